"""Promotion: what one project has, planned for another; deployments by label there, and dependencies by key."""

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


def in_project(state: Manifest, project_id: str) -> Manifest:
    """A state with everything in one project; of two with one key the first stays."""
    kinds: dict[str, Any] = {}
    for kind in ("flags", "experiments"):
        by_key = {toggle.key: toggle for toggle in reversed(state.of(kind))}
        kinds[kind] = [attrs.evolve(toggle, project_id=project_id) for toggle in by_key.values()]
    return Manifest(**kinds)


def by_key(state: Manifest) -> dict[tuple[str, str], Any]:
    """What a state declares, whatever the project, and the order of variants."""
    return {
        (kind, toggle.key): attrs.evolve(
            toggle, project_id="", variants=sorted(toggle.variants or (), key=lambda variant: variant.key)
        )
        for kind in ("flags", "experiments")
        for toggle in state.of(kind)
    }


async def applied(client: AsyncExperimentClient, plan: Plan) -> None:
    """Carry out a plan, all of it."""
    run = client.apply(plan)
    await run
    run.raise_for_failures()


def problems(error: InvalidManifestError) -> dict[str, str]:
    """What was refused, by field."""
    return {problem.field: problem.message for problem in error.problems}


@given(before=manifests(), staging=manifests())
def test_a_promotion_makes_one_project_like_the_other(before: Manifest, staging: Manifest) -> None:
    """From whatever is there, and a second plan is empty; what only the target has is archived with `prune`."""

    async def journey() -> None:
        async with account((STAGING, PRODUCTION, EMPTY)) as (emulator, client):
            for state in (in_project(staging, STAGING), in_project(before, PRODUCTION)):
                await applied(client, await client.plan(state))
            whole: dict[str, Any] = {"users": True, "cohorts": True, "variants": True}
            exported = await client.export(project_id=STAGING, include_archived=True, **whole)
            untouched = json.dumps([one for one in emulator.state.flags if one["projectId"] == STAGING])

            for project in (PRODUCTION, EMPTY):
                plan = await client.plan(exported, prune=True, project_id=project)
                await applied(client, plan)
                assert not await client.plan(exported, prune=True, project_id=project)
                made = by_key(await client.export(project_id=project, include_archived=True, **whole))
                assert all(one.archived for name, one in made.items() if name not in by_key(exported))
            assert made == by_key(exported)
            assert json.dumps([one for one in emulator.state.flags if one["projectId"] == STAGING]) == untouched

    asyncio.run(journey())


def fill(emulator: Emulator) -> None:
    """A flag in both projects, and one in staging only; the deployments of both have the same labels."""
    state = emulator.state
    for id, label, project in (("51", "web", STAGING), ("52", "ios", STAGING), ("61", "web", PRODUCTION)):
        state.add_deployment(id=id, label=label, projectId=project)
    on = [{"key": "on", "payload": 1}]
    state.add_flag(id="11", key="both", enabled=True, projectId=STAGING, deployments=["51"], variants=on)
    state.add_flag(id="12", key="new", projectId=STAGING, deployments=["51"], variants=on)
    state.add_flag(id="21", key="both", projectId=PRODUCTION, variants=[{"key": "on", "payload": 2}])
    state.add_flag(id="22", key="theirs", projectId=PRODUCTION)
    emulator.requests.clear()


async def test_flags_and_deployments_are_those_of_the_target(
    emulator: Emulator, client: AsyncExperimentClient, tmp_path: Path
) -> None:
    """The plan tells the target's ids, and holds what it was made for, so that it is applied from a file."""
    fill(emulator)
    save(await client.export(project_id=STAGING), tmp_path / "flags.yaml")
    plan = await client.plan(load(tmp_path / "flags.yaml"), project_id=PRODUCTION)

    assert [(one.key, one.project_id, one.id, one.action) for one in plan.changes] == [
        ("both", PRODUCTION, "21", "edit"),
        ("new", PRODUCTION, None, "create"),
    ]
    assert plan.changes[0].fields == {
        "enabled": FieldChange("enabled", before=False, after=True),
        "deployments": FieldChange("deployments", [], ["web"]),
        "variants.on.payload": FieldChange("variants.on.payload", 2, 1),
    }
    assert {toggle.project_id for toggle in plan.manifest.of("flags")} == {PRODUCTION}

    plan.save(tmp_path / "plan.json")
    assert Plan.load(tmp_path / "plan.json") == plan
    await applied(client, Plan.load(tmp_path / "plan.json"))
    assert not await client.plan(load(tmp_path / "flags.yaml"), project_id=PRODUCTION)
    assert {(one["key"], one["projectId"], *one["deployments"]) for one in emulator.state.flags} == {
        ("both", STAGING, "51"),
        ("new", STAGING, "51"),
        ("both", PRODUCTION, "61"),
        ("new", PRODUCTION, "61"),
        ("theirs", PRODUCTION),
    }


async def test_prune_archives_what_only_the_target_has(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """Also where nothing is declared of a kind; a kind that the file says nothing of is left alone."""
    fill(emulator)
    emulator.state.add_experiment(key="e", projectId=PRODUCTION)
    exported = await client.export(project_id=STAGING)
    plan = await client.plan(exported, prune=True, project_id=PRODUCTION)
    assert [(one.kind, one.key) for one in plan.changes if one.action == "archive"] == [
        ("flags", "theirs"),
        ("experiments", "e"),
    ]
    plan = await client.plan(Manifest(flags=exported.flags), prune=True, project_id=PRODUCTION)
    assert [one.key for one in plan.changes if one.action == "archive"] == ["theirs"]


async def test_a_flag_that_names_no_project_is_planned_for_the_target(
    emulator: Emulator, client: AsyncExperimentClient
) -> None:
    """Though its key exists in two."""
    fill(emulator)
    state = Manifest(flags=[FlagSpec(key="both", enabled=True)])
    [change] = (await client.plan(state, project_id=PRODUCTION)).changes
    assert (change.project_id, change.id) == (PRODUCTION, "21")


async def test_what_cannot_be_mapped_is_refused_at_once(
    emulator: Emulator, client: AsyncExperimentClient, tmp_path: Path
) -> None:
    """A label that is missing or there twice, an id of another project: each with file, line and field."""
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
            "use the label of one in project 2"
        ),
        (
            '11: flags[0].dependencies.flags.gone: no flag, experiment or group with key "gone" in project 2: '
            "correct the key or create the flag, experiment or group first"
        ),
        (
            '12: flags[0].dependencies.flags.id:12: the flag, experiment or group with ID "12" belongs to project 1, '
            "not to project 2: use the key of one in project 2"
        ),
        '13: flags[0].dependencies.flags.id:99: no flag, experiment or group with ID "99"',
    ]
    assert {request.method for request in emulator.requests} == {"GET"}


async def test_several_projects_are_refused(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """Before anything is read; they are named."""
    state = Manifest(flags=[FlagSpec(key=key, project_id=project) for key, project in (("a", "1"), ("b", "3"))])
    with pytest.raises(InvalidManifestError, match="projects 1, 3 are named: promote one project at a time") as caught:
        await client.plan(state, project_id=PRODUCTION)
    assert list(problems(caught.value)) == ["flags[1].project_id"]
    with pytest.raises(InvalidInputError, match="project_id: must not be empty"):
        await client.plan(Manifest(), project_id="")
    assert paths(emulator) == []


def depend(emulator: Emulator) -> None:
    """In both projects: a flag, an experiment in a mutex slot; and flags and experiments that depend on them."""
    for project, base in ((STAGING, 100), (PRODUCTION, 200)):
        state = emulator.state
        state.add_flag(id=str(base + 1), key="parent", projectId=project)
        on_parent = {"flags": {str(base + 1): ["on"]}, "operator": "all"}
        state.add_flag(id=str(base + 2), key="child", projectId=project, enabled=True, parentDependencies=on_parent)
        state.add_experiment(id=str(base + 3), key="e", projectId=project)
        slots = [{"percentage": 100, "experiments": [base + 3]}]
        state.add_mutex(id=str(base + 4), key="group", projectId=int(project), slots=slots)
    emulator.requests.clear()


async def test_dependencies_are_exported_by_key(
    emulator: Emulator, client: AsyncExperimentClient, tmp_path: Path
) -> None:
    """The lists of groups are read only where something depends on what the other lists do not show."""
    depend(emulator)
    state = await client.export(project_id=STAGING)
    child, parent = state.of("flags")
    assert child.dependencies == Dependencies(flags={"parent": ["on"]}, operator="all")
    assert (bool(parent.dependencies), state.of("experiments")[0].dependencies) == (
        False,
        Dependencies(flags={"group": ["slot-1"]}, operator="all"),
    )
    assert sorted(paths(emulator)) == ["/experiments", "/flags", "/holdouts", "/mutexes"]

    for name in ("flags.yaml", "flags.json"):
        save(state, tmp_path / name)
        assert load(tmp_path / name) == state
    emulator.requests.clear()
    await client.export(project_id=STAGING, keys=["child", "parent"])
    assert sorted(paths(emulator)) == ["/experiments", "/flags"]


async def test_a_parent_that_no_list_shows_is_asked_for(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """One that is not to be found, or shares its key, stays an id, and the plan of that is empty all the same."""
    state = emulator.state
    for kind, id in ((state.add_flag, "31"), (state.add_experiment, "32")):
        kind(id=id, key="twin")
    state.add_flag(id="33", key="archived", deleted=True)
    state.add_flag(id="34", key="elsewhere", projectId=PRODUCTION)
    parents = {id: ["on"] for id in ("31", "33", "34", "99")}
    state.add_flag(key="child", enabled=True, parentDependencies={"flags": parents, "operator": "all"})
    emulator.requests.clear()

    exported = await client.export(project_id="1")
    names = {"id:31": ["on"], "archived": ["on"], "id:34": ["on"], "id:99": ["on"]}
    assert exported.of("flags")[0].dependencies == Dependencies(flags=names, operator="all")
    assert sorted(paths(emulator)) == [
        *("/experiments", "/experiments/99"),
        *("/flags", "/flags/33", "/flags/34", "/flags/99"),
        *("/holdouts", "/mutexes"),
    ]
    plan = await client.plan(exported)
    assert (plan.changes, plan.warnings) == ((), ())

    emulator.requests.clear()
    alone = Manifest(flags=[one for one in exported.of("flags") if one.key == "child"])
    assert not (await client.plan(alone)).warnings
    assert sorted(paths(emulator)) == ["/deployments", "/experiments", "/flags", "/flags", "/holdouts", "/mutexes"]


async def test_a_key_that_two_things_have_is_refused(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """The message says what to write instead."""
    emulator.state.add_flag(id="31", key="twin")
    emulator.state.add_experiment(id="32", key="twin")
    state = Manifest(flags=[FlagSpec(key="child", project_id="1", dependencies=Dependencies(flags={"twin": ["on"]}))])
    with pytest.raises(InvalidManifestError, match=r'2 flags, experiments or groups .* "twin": use id:31 or id:32'):
        await client.plan(state)


async def test_dependencies_that_are_as_declared_are_no_difference(
    emulator: Emulator, client: AsyncExperimentClient
) -> None:
    """In the project that is planned for, whatever the ids are there; and the groups' lists are all it costs."""
    depend(emulator)
    exported = await client.export(project_id=STAGING)
    emulator.requests.clear()
    for plan in (await client.plan(exported), await client.plan(exported, project_id=PRODUCTION)):
        assert (bool(plan), plan.warnings) == (False, ())
    assert sorted(paths(emulator)) == sorted(2 * ["/flags", "/experiments", "/mutexes", "/holdouts", "/deployments"])


NO_PARENTS = "depends on nothing instead of"
CANNOT_SET = "and the API cannot set dependencies"


@pytest.mark.parametrize(
    ("there", "declared", "refused"),
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
async def test_nothing_is_put_into_service_without_its_dependencies(
    emulator: Emulator,
    client: AsyncExperimentClient,
    there: dict[str, Any] | None,
    declared: dict[str, Any],
    *,
    refused: bool,
) -> None:
    """Such a plan is refused; otherwise it has a warning, which makes it no truer."""
    emulator.state.add_flag(key="parent", projectId=PRODUCTION)
    if there is not None:
        emulator.state.add_flag(key="child", projectId=PRODUCTION, **there)
    dependencies = Dependencies(flags={"parent": ["on"]}, operator="all")
    state = Manifest(flags=[FlagSpec(key="child", project_id=STAGING, dependencies=dependencies, **declared)])
    if refused:
        with pytest.raises(InvalidManifestError) as caught:
            await client.plan(state, project_id=PRODUCTION)
        message = problems(caught.value)["flags[0].dependencies"]
        assert message.startswith(f"{NO_PARENTS} all of parent (on), {CANNOT_SET}: ")
        assert message.endswith("set the dependencies in the app, then enable it")
        return
    plan = await client.plan(state, project_id=PRODUCTION)
    [warning] = plan.warnings
    assert warning.field == "flags[0].dependencies"
    assert warning.message == f"{NO_PARENTS} all of parent (on), {CANNOT_SET}: set them in the app"
    assert all("dependencies" not in change.fields for change in plan.changes)
    assert bool(plan) is bool(plan.changes)


async def test_a_parent_that_the_same_plan_creates_is_found(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """What depends on it is created disabled with a warning; once the app has set it, it is enabled."""
    depends = Dependencies(flags={"a": ["on"]})
    child = FlagSpec(key="b", project_id=STAGING, dependencies=depends)
    state = Manifest(flags=[FlagSpec(key="a", project_id=STAGING), child])
    plan = await client.plan(state, project_id=PRODUCTION)
    assert [change.key for change in plan.changes] == ["a", "b"]
    assert [warning.message for warning in plan.warnings] == [f"{NO_PARENTS} a (on), {CANNOT_SET}: set them in the app"]
    await applied(client, plan)

    parent, made = emulator.state.flags
    assert not made["enabled"]
    emulator.state.add_flag(
        **{**made, "id": "77", "key": "c", "parentDependencies": {"flags": {parent["id"]: ["on"]}, "operator": "all"}}
    )
    state = Manifest(flags=[attrs.evolve(child, key="c", enabled=True)])
    plan = await client.plan(state, project_id=PRODUCTION)
    assert ([change.key for change in plan.changes], plan.warnings) == (["c"], ())
    await applied(client, plan)
    assert emulator.state.flag("77")["enabled"]


async def test_an_experiment_is_told_of_its_groups(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """Its dependencies follow from them, and requests set these."""
    depend(emulator)
    [experiment] = (await client.export(project_id=STAGING)).of("experiments")
    assert experiment.dependencies
    other = attrs.evolve(experiment, dependencies=Dependencies(flags={"group": ["slot-2"]}, operator="any"))
    plan = await client.plan(Manifest(experiments=[other]))
    [warning] = plan.warnings
    assert warning.message == (
        f"depends on all of group (slot-1) instead of any of group (slot-2), {CANNOT_SET}: "
        "set them with client.mutexes.edit_slot or client.holdouts.edit, or in the app"
    )


async def test_cohorts_of_another_project_are_warned_of(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """Once for each flag, where they would be written."""
    emulator.state.add_flag(key="there", projectId=PRODUCTION)
    variants = [VariantSpec(key="off", cohorts=[]), *(VariantSpec(key=key, cohorts=["c1"]) for key in ("on", "more"))]
    state = Manifest(flags=[FlagSpec(key=key, project_id=STAGING, variants=variants) for key in ("new", "there")])
    plan = await client.plan(state, project_id=PRODUCTION)
    reason = "these cohort IDs may belong to a project other than 2: check them first"
    assert [(warning.field, warning.message) for warning in plan.warnings] == [
        ("flags[0].variants[1].cohorts", reason),
        ("flags[1].variants[1].cohorts", reason),
    ]
    await applied(client, plan)
    for options in ({}, {"project_id": STAGING}, {"project_id": PRODUCTION}):
        assert (await client.plan(state, **options)).warnings == ()


WARNED = """\
project_id: "1"
experiments:
  - key: child
    dependencies:
      flags:
        parent: ["on"]
"""


async def test_warnings_are_shown_and_kept(
    emulator: Emulator, client: AsyncExperimentClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the diff, for a pull request, for programs, and in a saved plan."""
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
    older = json.loads(saved.read_text())
    del older["warnings"]
    saved.write_text(json.dumps(older))
    assert Plan.load(saved) == attrs.evolve(plan, warnings=())


@pytest.mark.parametrize(
    ("dependencies", "said"),
    [
        ({}, r"dependencies\.flags: is missing"),
        ({"flags": ["a"]}, r"dependencies\.flags: must be a mapping"),
        ({"flags": {"a": "on"}}, r"dependencies\.flags\.a: must be a list"),
        ({"flags": {"a b": []}}, r"dependencies\.flags\.a b: must consist of letters"),
        ({"flags": {}, "operater": "all"}, r"operater: unknown field; did you mean \"operator\""),
    ],
)
async def test_mistakes_in_dependencies_are_told(client: AsyncExperimentClient, dependencies: Any, said: str) -> None:
    """As those of every other field."""
    with pytest.raises(InvalidManifestError, match=said):
        await client.plan(Manifest(flags=[FlagSpec(key="a", dependencies=dependencies)]))


async def test_no_dependencies_may_be_declared(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """Then one that is there is a difference; where the field is left out, it is none."""
    depend(emulator)
    nothing = Dependencies(flags={})
    state = Manifest(flags=[FlagSpec(key=key, project_id=STAGING, dependencies=nothing) for key in ("child", "parent")])
    [warning] = (await client.plan(state)).warnings
    assert warning.message.startswith(f"depends on all of parent (on) instead of nothing, {CANNOT_SET}")
    assert not (await client.plan(Manifest(flags=[FlagSpec(key="child", project_id=STAGING)]))).warnings


def test_promotion_for_blocking_callers(experiment_emulator: Emulator, at_once: RetryPolicy) -> None:
    """The same, without await."""
    fill(experiment_emulator)
    with ExperimentClient(experiment_emulator.api_key, base_url=experiment_emulator.base_url, retry=at_once) as client:
        exported = client.export(project_id=STAGING)
        plan = client.plan(exported, project_id=PRODUCTION)
        run = client.apply(plan)
        run.wait()
        run.raise_for_failures()
        assert not client.plan(exported, project_id=PRODUCTION)
