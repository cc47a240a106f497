"""Promotion: the flags of one project planned for another, with deployments by label and dependencies by key."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given

from amp_exp_async import (
    AsyncExperimentClient,
    Dependencies,
    ExperimentClient,
    FieldChange,
    FlagSpec,
    InvalidInputError,
    InvalidManifestError,
    Manifest,
    Plan,
    RetryPolicy,
    VariantSpec,
    load,
    save,
)
from amp_exp_async.emulator import Emulator
from tests.manifests.fixtures import account
from tests.manifests.strategies import manifests
from tests.manifests.test_plan import paths

STAGING, PRODUCTION, EMPTY = "1", "2", "3"


def in_project(manifest: Manifest, project_id: str) -> Manifest:
    """Return a manifest with all specs in one project; of specs with one key only the first is kept."""
    kinds: dict[str, Any] = {}
    for kind in ("flags", "experiments"):
        by_key = {spec.key: spec for spec in reversed(manifest.of(kind))}
        kinds[kind] = [attrs.evolve(spec, project_id=project_id) for spec in by_key.values()]
    return Manifest(**kinds)


def by_key(manifest: Manifest) -> dict[tuple[str, str], Any]:
    """Return the specs by kind and key, without the project and the order of variants."""
    return {
        (kind, spec.key): attrs.evolve(
            spec, project_id="", variants=sorted(spec.variants or (), key=lambda variant: variant.key)
        )
        for kind in ("flags", "experiments")
        for spec in manifest.of(kind)
    }


async def apply_all(client: AsyncExperimentClient, plan: Plan) -> None:
    """Apply a plan and raise if an operation failed."""
    run = client.apply(plan)
    await run
    run.raise_for_failures()


def problems(error: InvalidManifestError) -> dict[str, str]:
    """Return the messages of an error by field."""
    return {problem.field: problem.message for problem in error.problems}


@given(before=manifests(), staging=manifests())
def test_promotion_makes_a_project_equal_to_another(before: Manifest, staging: Manifest) -> None:
    """A second plan is empty; `prune` archives flags that only the target has."""

    async def journey() -> None:
        async with account((STAGING, PRODUCTION, EMPTY)) as (emulator, client):
            for manifest in (in_project(staging, STAGING), in_project(before, PRODUCTION)):
                await apply_all(client, await client.plan(manifest))
            options: dict[str, Any] = {"users": True, "cohorts": True, "variants": True}
            exported = await client.export(project_id=STAGING, include_archived=True, **options)
            untouched = json.dumps([flag for flag in emulator.state.flags if flag["projectId"] == STAGING])

            for project in (PRODUCTION, EMPTY):
                plan = await client.plan(exported, prune=True, project_id=project)
                await apply_all(client, plan)
                assert not await client.plan(exported, prune=True, project_id=project)
                live = by_key(await client.export(project_id=project, include_archived=True, **options))
                assert all(spec.archived for name, spec in live.items() if name not in by_key(exported))
            assert live == by_key(exported)
            assert json.dumps([flag for flag in emulator.state.flags if flag["projectId"] == STAGING]) == untouched

    asyncio.run(journey())


def fill(emulator: Emulator) -> None:
    """Add a flag in both projects, one only in staging, and deployments with the same labels in both."""
    store = emulator.state
    for id, label, project in (("51", "web", STAGING), ("52", "ios", STAGING), ("61", "web", PRODUCTION)):
        store.add_deployment(id=id, label=label, projectId=project)
    on = [{"key": "on", "payload": 1}]
    store.add_flag(id="11", key="both", enabled=True, projectId=STAGING, deployments=["51"], variants=on)
    store.add_flag(id="12", key="new", projectId=STAGING, deployments=["51"], variants=on)
    store.add_flag(id="21", key="both", projectId=PRODUCTION, variants=[{"key": "on", "payload": 2}])
    store.add_flag(id="22", key="theirs", projectId=PRODUCTION)
    emulator.requests.clear()


async def test_plan_has_the_ids_of_the_target(
    emulator: Emulator, client: AsyncExperimentClient, tmp_path: Path
) -> None:
    """It also has the target's specs, so it can be applied from a file."""
    fill(emulator)
    save(await client.export(project_id=STAGING), tmp_path / "flags.yaml")
    plan = await client.plan(load(tmp_path / "flags.yaml"), project_id=PRODUCTION)

    assert [(change.key, change.project_id, change.id, change.action) for change in plan.changes] == [
        ("both", PRODUCTION, "21", "edit"),
        ("new", PRODUCTION, None, "create"),
    ]
    assert plan.changes[0].fields == {
        "enabled": FieldChange("enabled", before=False, after=True),
        "deployments": FieldChange("deployments", [], ["web"]),
        "variants.on.payload": FieldChange("variants.on.payload", 2, 1),
    }
    assert {spec.project_id for spec in plan.manifest.of("flags")} == {PRODUCTION}

    plan.save(tmp_path / "plan.json")
    assert Plan.load(tmp_path / "plan.json") == plan
    await apply_all(client, Plan.load(tmp_path / "plan.json"))
    assert not await client.plan(load(tmp_path / "flags.yaml"), project_id=PRODUCTION)
    assert {(flag["key"], flag["projectId"], *flag["deployments"]) for flag in emulator.state.flags} == {
        ("both", STAGING, "51"),
        ("new", STAGING, "51"),
        ("both", PRODUCTION, "61"),
        ("new", PRODUCTION, "61"),
        ("theirs", PRODUCTION),
    }


async def test_prune_archives_flags_of_the_target(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """It does so for a kind that is declared as empty, but not for a kind that is not declared."""
    fill(emulator)
    emulator.state.add_experiment(key="e", projectId=PRODUCTION)
    exported = await client.export(project_id=STAGING)
    plan = await client.plan(exported, prune=True, project_id=PRODUCTION)
    assert [(change.kind, change.key) for change in plan.changes if change.action == "archive"] == [
        ("flags", "theirs"),
        ("experiments", "e"),
    ]
    plan = await client.plan(Manifest(flags=exported.flags), prune=True, project_id=PRODUCTION)
    assert [change.key for change in plan.changes if change.action == "archive"] == ["theirs"]


async def test_spec_without_a_project_is_planned_for_the_target(
    emulator: Emulator, client: AsyncExperimentClient
) -> None:
    """Its key exists in two projects."""
    fill(emulator)
    manifest = Manifest(flags=[FlagSpec(key="both", name="both of them")])
    [change] = (await client.plan(manifest, project_id=PRODUCTION)).changes
    assert (change.project_id, change.id) == (PRODUCTION, "21")


async def test_all_unresolvable_references_are_reported(
    emulator: Emulator, client: AsyncExperimentClient, tmp_path: Path
) -> None:
    """Each has its file, line and field: missing and ambiguous labels, and IDs of another project."""
    fill(emulator)
    for id in ("62", "63"):
        emulator.state.add_deployment(id=id, label="twin", projectId=PRODUCTION)
    path = tmp_path / "flags.yaml"
    path.write_text("""\
project_id: "1"
flags:
  - key: both
    deployments:
      - ios
      - web
      - twin
      - id:51
    dependencies:
      flags:
        gone: ["on"]
        id:12: ["on"]
        id:99: ["on"]
""")
    with pytest.raises(InvalidManifestError) as caught:
        await client.plan(load(path), project_id=PRODUCTION)
    assert [str(problem).removeprefix(f"{path}:") for problem in caught.value.problems] == [
        (
            '5: flags[0].deployments[0]: no deployment with label "ios" in project 2: '
            "correct the label or create the deployment first"
        ),
        '7: flags[0].deployments[2]: 2 deployments in project 2 have the label "twin": use id:62 or id:63',
        (
            '8: flags[0].deployments[3]: the deployment with ID "51" belongs to project 1, not to project 2: '
            "use the label of a deployment in project 2"
        ),
        (
            '11: flags[0].dependencies.flags.gone: no flag, experiment or group with key "gone" in project 2: '
            "correct the key or create the flag, experiment or group first"
        ),
        (
            '12: flags[0].dependencies.flags.id:12: the flag, experiment or group with ID "12" belongs to project 1, '
            "not to project 2: use the key of a flag, experiment or group in project 2"
        ),
        '13: flags[0].dependencies.flags.id:99: no flag, experiment or group with ID "99"',
    ]
    assert {request.method for request in emulator.requests} == {"GET"}


async def test_several_projects_are_rejected(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """No request is sent, and the message names the projects."""
    manifest = Manifest(flags=[FlagSpec(key=key, project_id=project) for key, project in (("a", "1"), ("b", "3"))])
    with pytest.raises(InvalidManifestError, match="projects 1, 3 are named: promote one project at a time") as caught:
        await client.plan(manifest, project_id=PRODUCTION)
    assert list(problems(caught.value)) == ["flags[1].project_id"]
    with pytest.raises(InvalidInputError, match="project_id: must not be empty"):
        await client.plan(Manifest(), project_id="")
    assert paths(emulator) == []


def add_dependencies(emulator: Emulator) -> None:
    """Add to both projects a flag and an experiment in a mutex slot, each with something that depends on it."""
    for project, base in ((STAGING, 100), (PRODUCTION, 200)):
        store = emulator.state
        store.add_flag(id=str(base + 1), key="parent", projectId=project)
        on_parent = {"flags": {str(base + 1): ["on"]}, "operator": "all"}
        store.add_flag(id=str(base + 2), key="child", projectId=project, enabled=True, parentDependencies=on_parent)
        store.add_experiment(id=str(base + 3), key="e", projectId=project)
        slots = [{"percentage": 100, "experiments": [base + 3]}]
        store.add_mutex(id=str(base + 4), key="group", projectId=int(project), slots=slots)
    emulator.requests.clear()


async def test_dependencies_are_exported_by_key(
    emulator: Emulator, client: AsyncExperimentClient, tmp_path: Path
) -> None:
    """Groups are listed only if a dependency is not in the other lists."""
    add_dependencies(emulator)
    manifest = await client.export(project_id=STAGING)
    child, parent = manifest.of("flags")
    assert child.dependencies == Dependencies(flags={"parent": ["on"]}, operator="all")
    assert (bool(parent.dependencies), manifest.of("experiments")[0].dependencies) == (
        False,
        Dependencies(flags={"group": ["slot-1"]}, operator="all"),
    )
    assert sorted(paths(emulator)) == ["/experiments", "/flags", "/holdouts", "/mutexes"]

    for name in ("flags.yaml", "flags.json"):
        save(manifest, tmp_path / name)
        assert load(tmp_path / name) == manifest
    emulator.requests.clear()
    await client.export(project_id=STAGING, keys=["child", "parent"])
    assert sorted(paths(emulator)) == ["/experiments", "/flags"]


async def test_unlisted_parents_are_read(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """An ambiguous parent is exported by ID, an unknown one is left out, and the plan of that export is empty."""
    store = emulator.state
    store.add_flag(id="31", key="twin")
    store.add_group("mutexes", {"id": "32", "key": "twin", "projectId": 1, "slots": [{"percentage": 100}]})
    store.add_flag(id="33", key="archived", deleted=True)
    store.add_flag(id="34", key="elsewhere", projectId=PRODUCTION)
    parents = {id: ["on"] for id in ("31", "33", "34", "99")}
    store.add_flag(key="child", enabled=True, parentDependencies={"flags": parents, "operator": "all"})
    emulator.requests.clear()

    exported = await client.export(project_id="1")
    names = {"id:31": ["on"], "archived": ["on"], "id:34": ["on"]}
    assert exported.of("flags")[0].dependencies == Dependencies(flags=names, operator="all")
    assert sorted(paths(emulator)) == [
        *("/experiments", "/experiments/99"),
        *("/flags", "/flags/33", "/flags/34", "/flags/99"),
        *("/holdouts", "/mutexes"),
    ]
    plan = await client.plan(exported)
    assert (plan.changes, plan.warnings) == ((), ())

    emulator.requests.clear()
    alone = Manifest(flags=[spec for spec in exported.of("flags") if spec.key == "child"])
    assert not (await client.plan(alone)).warnings
    assert sorted(paths(emulator)) == [
        *("/deployments", "/experiments", "/experiments/99"),
        *("/flags", "/flags", "/flags/99", "/holdouts", "/mutexes"),
    ]


async def test_ambiguous_parent_is_rejected(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """The message says what to write instead."""
    emulator.state.add_flag(id="31", key="twin")
    emulator.state.add("experiments", {"id": "32", "key": "twin"})
    manifest = Manifest(
        flags=[FlagSpec(key="child", project_id="1", dependencies=Dependencies(flags={"twin": ["on"]}))]
    )
    with pytest.raises(InvalidManifestError, match=r'2 flags, experiments or groups .* "twin": use id:31 or id:32'):
        await client.plan(manifest)


async def test_equal_dependencies_do_not_differ(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """This holds across projects with different IDs, and costs only the lists of groups."""
    add_dependencies(emulator)
    exported = await client.export(project_id=STAGING)
    emulator.requests.clear()
    for plan in (await client.plan(exported), await client.plan(exported, project_id=PRODUCTION)):
        assert (bool(plan), plan.warnings) == (False, ())
    assert sorted(paths(emulator)) == sorted(2 * ["/flags", "/experiments", "/mutexes", "/holdouts", "/deployments"])


NO_PARENTS = "depends on nothing instead of"
CANNOT_SET = "and the API cannot set dependencies"


@pytest.mark.parametrize(
    ("live", "fields", "is_rejected"),
    [
        (None, {"enabled": True}, True),
        (None, {"enabled": False}, False),
        (None, {"enabled": True, "archived": True}, False),
        ({"enabled": False}, {"enabled": True}, True),
        ({"enabled": False}, {}, False),
        ({"enabled": True, "deleted": True}, {}, True),
        ({"enabled": True, "deleted": True}, {"enabled": False}, False),
        ({"enabled": True, "deleted": True}, {"archived": True}, False),
        ({"enabled": True}, {"enabled": True, "name": "x"}, False),
    ],
)
async def test_flag_is_not_enabled_without_its_dependencies(
    emulator: Emulator,
    client: AsyncExperimentClient,
    live: dict[str, Any] | None,
    fields: dict[str, Any],
    *,
    is_rejected: bool,
) -> None:
    """Such a plan is rejected; any other plan has a warning, which does not make it truthy."""
    emulator.state.add_flag(key="parent", projectId=PRODUCTION)
    if live is not None:
        emulator.state.add_flag(key="child", projectId=PRODUCTION, **live)
    dependencies = Dependencies(flags={"parent": ["on"]}, operator="all")
    manifest = Manifest(flags=[FlagSpec(key="child", project_id=STAGING, dependencies=dependencies, **fields)])
    if is_rejected:
        with pytest.raises(InvalidManifestError) as caught:
            await client.plan(manifest, project_id=PRODUCTION)
        message = problems(caught.value)["flags[0].dependencies"]
        assert message.startswith(f"{NO_PARENTS} all of parent (on), {CANNOT_SET}: ")
        assert message.endswith("set the dependencies in the app, then enable it")
        return
    plan = await client.plan(manifest, project_id=PRODUCTION)
    [warning] = plan.warnings
    assert warning.field == "flags[0].dependencies"
    assert warning.message == f"{NO_PARENTS} all of parent (on), {CANNOT_SET}: set them in the app"
    assert all("dependencies" not in change.fields for change in plan.changes)
    assert bool(plan) is bool(plan.changes)


async def test_parent_may_be_created_by_the_same_plan(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """The child is created disabled with a warning; when the app has set its dependencies, it can be enabled."""
    dependencies = Dependencies(flags={"a": ["on"]})
    emulator.state.add_deployment(id="61", label="web", projectId=PRODUCTION)
    child = FlagSpec(key="b", project_id=STAGING, dependencies=dependencies)
    manifest = Manifest(flags=[FlagSpec(key="a", project_id=STAGING), child])
    plan = await client.plan(manifest, project_id=PRODUCTION)
    assert [change.key for change in plan.changes] == ["a", "b"]
    assert [warning.message for warning in plan.warnings] == [f"{NO_PARENTS} a (on), {CANNOT_SET}: set them in the app"]
    await apply_all(client, plan)

    parent, created = emulator.state.flags
    assert not created["enabled"]
    emulator.state.add_flag(
        **{
            **created,
            "id": "77",
            "key": "c",
            "deployments": ["61"],
            "parentDependencies": {"flags": {parent["id"]: ["on"]}, "operator": "all"},
        }
    )
    manifest = Manifest(flags=[attrs.evolve(child, key="c", enabled=True)])
    plan = await client.plan(manifest, project_id=PRODUCTION)
    assert ([change.key for change in plan.changes], plan.warnings) == (["c"], ())
    await apply_all(client, plan)
    assert emulator.state.flag("77")["enabled"]


async def test_warning_for_experiments_names_the_group_operations(
    emulator: Emulator, client: AsyncExperimentClient
) -> None:
    """The dependencies of an experiment follow from its groups, which the API can edit."""
    add_dependencies(emulator)
    [experiment] = (await client.export(project_id=STAGING)).of("experiments")
    assert experiment.dependencies
    other = attrs.evolve(experiment, dependencies=Dependencies(flags={"group": ["slot-2"]}, operator="any"))
    plan = await client.plan(Manifest(experiments=[other]))
    [warning] = plan.warnings
    assert warning.message == (
        f"depends on all of group (slot-1) instead of any of group (slot-2), {CANNOT_SET}: "
        "set them by editing its mutex or holdout group, or in the app"
    )


async def test_warning_about_cohorts_of_another_project(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """Each flag has at most one such warning, and only if the plan writes cohorts."""
    emulator.state.add_flag(key="live", projectId=PRODUCTION)
    variants = [VariantSpec(key="other", cohorts=[]), *(VariantSpec(key=key, cohorts=["c1"]) for key in ("on", "more"))]
    manifest = Manifest(flags=[FlagSpec(key=key, project_id=STAGING, variants=variants) for key in ("new", "live")])
    plan = await client.plan(manifest, project_id=PRODUCTION)
    reason = "these cohort IDs may belong to a project other than 2: check them first"
    assert [(warning.field, warning.message) for warning in plan.warnings] == [
        ("flags[0].variants[1].cohorts", reason),
        ("flags[1].variants[1].cohorts", reason),
    ]
    await apply_all(client, plan)
    for options in ({}, {"project_id": STAGING}, {"project_id": PRODUCTION}):
        assert (await client.plan(manifest, **options)).warnings == ()


WARNED = """\
project_id: "1"
experiments:
  - key: child
    dependencies:
      flags:
        parent: ["on"]
"""


async def test_warnings_are_shown_and_saved(
    emulator: Emulator, client: AsyncExperimentClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are in the text, in Markdown, in JSON, and in a saved plan."""
    emulator.state.add_flag(key="parent")
    path = tmp_path / "flags.yaml"
    path.write_text(WARNED)
    plan = await client.plan(load(path))
    [warning] = plan.warnings
    line = f"! {path}:4: experiments[0].dependencies: {warning.message}"
    assert str(plan).splitlines() == ["+ create experiments/child in project 1", line, "1 to create"]
    assert plan.to_markdown().endswith(f"\n**Warnings**\n\n```diff\n{line}\n```\n")
    assert json.loads(plan.to_json())["warnings"] == [attrs.asdict(warning)]
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert f"\x1b[33m{line}\x1b[0m" in str(plan)

    saved = tmp_path / "plan.json"
    plan.save(saved)
    assert Plan.load(saved) == plan
    assert Plan.load(saved).warnings == (warning,)
    older = json.loads(saved.read_text()) | {"plan": "amp_exp_async plan 1"}
    del older["warnings"], older["digest"]
    saved.write_text(json.dumps(older))
    assert Plan.load(saved) == attrs.evolve(plan, warnings=())


@pytest.mark.parametrize(
    ("dependencies", "message"),
    [
        ({}, r"dependencies\.flags: is missing"),
        ({"flags": ["a"]}, r"dependencies\.flags: must be a mapping"),
        ({"flags": {"a": "on"}}, r"dependencies\.flags\.a: must be a list"),
        ({"flags": {"": []}}, r"dependencies\.flags\.: must not be empty"),
        ({"flags": {}, "operater": "all"}, r"operater: unknown field; did you mean \"operator\""),
    ],
)
async def test_invalid_dependencies_are_reported(
    client: AsyncExperimentClient, dependencies: Any, message: str
) -> None:
    """The message names the field."""
    with pytest.raises(InvalidManifestError, match=message):
        await client.plan(Manifest(flags=[FlagSpec(key="a", dependencies=dependencies)]))


async def test_empty_dependencies_are_compared(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """Missing dependencies are not compared."""
    add_dependencies(emulator)
    empty = Dependencies(flags={})
    manifest = Manifest(
        flags=[FlagSpec(key=key, project_id=STAGING, dependencies=empty) for key in ("child", "parent")]
    )
    [warning] = (await client.plan(manifest)).warnings
    assert warning.message.startswith(f"depends on all of parent (on) instead of nothing, {CANNOT_SET}")
    assert not (await client.plan(Manifest(flags=[FlagSpec(key="child", project_id=STAGING)]))).warnings


def test_sync_promotion(experiment_emulator: Emulator, no_backoff: RetryPolicy) -> None:
    """The synchronous client promotes as the asynchronous one does."""
    fill(experiment_emulator)
    with ExperimentClient(
        experiment_emulator.api_key, base_url=experiment_emulator.base_url, retry=no_backoff
    ) as client:
        exported = client.export(project_id=STAGING)
        plan = client.plan(exported, project_id=PRODUCTION)
        run = client.apply(plan)
        run.wait()
        run.raise_for_failures()
        assert not client.plan(exported, project_id=PRODUCTION)
