"""Application of plans: everything becomes as declared, in a safe order, and never over changes by others."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amp_exp_async import (
    UNSET,
    AsyncExperimentClient,
    BulkError,
    Dependencies,
    EditConflictError,
    ExperimentClient,
    ExperimentSpec,
    FieldChange,
    FlagSpec,
    InvalidInputError,
    InvalidManifestError,
    Manifest,
    Outcome,
    Plan,
    RetryPolicy,
    Segment,
    VariantSpec,
)
from amp_exp_async.emulator import Emulator, Fault
from amp_exp_async.manifests import compare
from tests.manifests.fixtures import account
from tests.manifests.strategies import LABELS, PROJECTS, manifests


@pytest.fixture(autouse=True)
def deployment(emulator: Emulator) -> None:
    """Add the deployment that the manifests name."""
    emulator.state.add_deployment(id="51", label="web")


def writes(emulator: Emulator) -> list[str]:
    """Return the requests that changed something, in order."""
    return [
        f"{request.method} {request.path.removeprefix('/api/1')}"
        for request in emulator.requests
        if request.method != "GET"
    ]


SpecsByName: TypeAlias = dict[tuple[str, Any, str], Any]
COMPARED_SEPARATELY = {"archived", "variants", "rollout_weights", "tags", "deployments", "users", "cohorts"}
FAULTS = (Fault.status(400), Fault.status(500), Fault.status(500, applied=True), Fault.close(applied=True))
MAX_RUNS = 100


async def apply_all(client: AsyncExperimentClient, manifest: Manifest, **options: Any) -> list[Outcome]:
    """Return the outcomes of the plan of a manifest."""
    return [outcome async for outcome in client.apply(await client.plan(manifest), **options)]


def specs_by_name(manifest: Manifest) -> SpecsByName:
    """Return the specs of a manifest by kind, project and key."""
    return {(kind, spec.project_id, spec.key): spec for kind in ("flags", "experiments") for spec in manifest.of(kind)}


def assert_is_as_desired(live: Any, desired: Any, before: Any) -> None:
    """Check that each field is as desired if it is declared, and else as before."""
    if desired is None:
        assert live == before
        return
    assert bool(live.archived) == bool(desired.archived)
    separate = ("archived", "variants", "rollout_weights", "tags", "deployments")
    if desired.archived and desired.enabled:  # an archived flag is not enabled
        assert live.enabled == (before.enabled if before else False)
        desired = attrs.evolve(desired, enabled=UNSET)
    variants = {variant.key: variant for variant in live.variants}
    assert_fields(
        live, attrs.evolve(desired, **dict.fromkeys(separate, UNSET)), before and with_weights_of(before, variants)
    )
    assert_sets(live, desired, before, ("tags", "deployments"))
    old_variants = {variant.key: variant for variant in before.variants} if before else {}
    assert variants.keys() == {variant.key for variant in desired.variants}
    for variant in desired.variants:
        live_variant, old = variants[variant.key], old_variants.get(variant.key)
        assert_fields(live_variant, attrs.evolve(variant, users=UNSET, cohorts=UNSET), old)
        assert_sets(live_variant, variant, old, ("users", "cohorts"))
    weights = {} if desired.rollout_weights is UNSET else desired.rollout_weights
    kept = {key: weight for key, weight in (before.rollout_weights if before else {}).items() if key in variants}
    assert live.rollout_weights.items() >= (kept | weights).items()


def with_weights_of(spec: Any, variants: Collection[str]) -> Any:
    """Return a spec whose segments have only the weights of some variants."""
    segments = [
        attrs.evolve(
            segment, rollout_weights={key: weight for key, weight in segment.rollout_weights.items() if key in variants}
        )
        for segment in spec.target_segments
    ]
    return attrs.evolve(spec, target_segments=segments)


def assert_fields(live: Any, desired: Any, before: Any) -> None:
    """Check that declared fields are as desired, and all others as before."""
    for name in (field.name for field in attrs.fields(type(desired)) if field.eq is True):
        value = getattr(desired, name)
        assert value is UNSET or getattr(live, name) == value
        if value is UNSET and before and name not in COMPARED_SEPARATELY:
            assert getattr(live, name) == getattr(before, name)


def assert_sets(live: Any, desired: Any, before: Any, names: Collection[str]) -> None:
    """Check that unordered lists are as desired if they are declared, and else as before."""
    for name in names:
        value = getattr(desired, name)
        old = getattr(before, name) if before else ()
        assert set(getattr(live, name)) == set(old if value is UNSET else value)


@given(before=manifests(), after=manifests())
def test_live_flags_become_as_desired(before: Manifest, after: Manifest) -> None:
    """This holds after any other manifest. Afterwards the plans of the manifest and of an export are empty."""

    async def journey() -> None:
        async with account(PROJECTS) as (_, client):
            old: SpecsByName = {}
            for manifest in (before, after):
                assert all(outcome.ok for outcome in await apply_all(client, manifest))
                assert not await client.plan(manifest)
                everything = await client.export(include_archived=True, users=True, cohorts=True, variants=True)
                assert not await client.plan(everything)
                live, desired = specs_by_name(everything), specs_by_name(manifest)
                assert live.keys() == old.keys() | desired.keys()
                for name, spec in live.items():
                    assert_is_as_desired(spec, desired.get(name), old.get(name))
                old = live

    asyncio.run(journey())


@given(before=manifests(), after=manifests())
def test_the_quick_look_for_unchanged_fields_changes_no_plan(before: Manifest, after: Manifest) -> None:
    """A plan is the same if every field is compared in detail."""

    async def journey() -> None:
        async with account(PROJECTS) as (_, client):
            await apply_all(client, before)
            plans = [await client.plan(manifest) for manifest in (before, after)]
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(compare, "is_unchanged", lambda *_: False)
                assert plans == [await client.plan(manifest) for manifest in (before, after)]

    asyncio.run(journey())


@given(before=manifests(), after=manifests(), fault=st.sampled_from(FAULTS), seed=st.integers(0, 99))
def test_failed_run_continues_from_its_journal(before: Manifest, after: Manifest, fault: Fault, seed: int) -> None:
    """Its own writes are not drift, and no flag is enabled before everything else is done."""

    async def journey(journal: Path) -> None:
        async with account(PROJECTS, retry=RetryPolicy(max_attempts=1), seed=seed) as (emulator, client):
            await apply_all(client, before)
            plan = await client.plan(after)
            enabled = FieldChange("enabled", before=False, after=True)
            enabled_by_plan = {change.target for change in plan.changes if change.fields.get("enabled") == enabled}
            for _ in range(MAX_RUNS):
                for method in ("POST", "PATCH", "DELETE"):
                    emulator.inject(fault, method=method, probability=0.4, times=None)
                await client.apply(plan, journal=journal)
                emulator.clear_faults()
                remaining = (await client.plan(after)).changes
                assert all("enabled" in change.fields for change in remaining if change.target in enabled_by_plan)
                if not remaining:
                    return
            pytest.fail(f"{MAX_RUNS} runs did not apply the plan")

    with TemporaryDirectory() as folder:
        asyncio.run(journey(Path(folder, "apply.jsonl")))


@pytest.mark.parametrize(("payload", "is_drift"), [(None, False), (5, True)])
async def test_variant_that_is_still_to_be_removed_is_no_drift(
    emulator: Emulator, client: AsyncExperimentClient, tmp_path: Path, payload: object, *, is_drift: bool
) -> None:
    """The rerun reads less of it than the plan did. A variant that somebody changed is drift."""
    id = emulator.state.add_flag(key="f", projectId="1", variants=[{"key": "on"}, {"key": "old", "payload": 1}])["id"]
    plan = await client.plan(Manifest(flags=[FlagSpec(key="f", variants=[VariantSpec(key="on", payload={"a": 1})])]))
    emulator.inject(Fault.status(400), method="DELETE")
    assert not (await client.apply(plan, journal=tmp_path / "j")).ok
    if payload is not None:
        await client.flags.variants.edit(id, "old", payload=payload)
    rerun = client.apply(plan, journal=tmp_path / "j")
    if is_drift:
        with pytest.raises(EditConflictError, match=r"variants\.old"):
            await rerun
    else:
        assert (await rerun).ok
        assert not await client.plan(plan.manifest)


async def test_flag_is_enabled_last_and_disabled_first(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """It is never half-enabled."""
    on, new = VariantSpec(key="on", users=["u"]), VariantSpec(key="new", payload=1)
    segment = Segment("s", [], 5, {"on": 1})
    flag = FlagSpec(
        key="f",
        project_id="1",
        enabled=True,
        tags=["t"],
        deployments=["web"],
        variants=[on, VariantSpec(key="old")],
        rollout_weights={"on": 1, "old": 0},
        target_segments=[segment],
    )
    await apply_all(client, Manifest(flags=[flag]))
    [created] = emulator.state.flags
    id = created["id"]
    assert writes(emulator) == ["POST /flags", f"POST /flags/{id}/variants/on/users", f"PATCH /flags/{id}"]

    emulator.requests.clear()
    changed = FlagSpec(
        key="f",
        project_id="1",
        enabled=False,
        deployments=[],
        variants=[on, new],
        rollout_weights={"on": 2, "new": 1},
        target_segments=[],
    )
    await apply_all(client, Manifest(flags=[changed]))
    assert writes(emulator) == [
        f"PATCH /flags/{id}",
        f"DELETE /flags/{id}/deployments/51",
        f"POST /flags/{id}/variants",
        f"PATCH /flags/{id}/variants/on",
        f"PATCH /flags/{id}",
        f"DELETE /flags/{id}/variants/old",
    ]

    emulator.requests.clear()
    await apply_all(client, Manifest(flags=[FlagSpec(key="f", enabled=True, deployments=["web"], variants=[on])]))
    assert writes(emulator) == [
        f"POST /flags/{id}/deployments",
        f"DELETE /flags/{id}/variants/new",
        f"PATCH /flags/{id}",
    ]


BOTH = [VariantSpec(key="on"), VariantSpec(key="new")]


@pytest.mark.parametrize(
    ("live", "desired", "steps"),
    [
        (None, {"archived": True, "tags": ["t"]}, ["POST", {"tags": ["t"]}, {"archive": True}]),
        (None, {"archived": True, "enabled": True}, ["POST", {"archive": True}]),
        (
            {"enabled": True},
            {"archived": True, "enabled": False, "name": "n"},
            [{"enabled": False, "name": "n"}, {"archive": True}],
        ),
        (
            {"enabled": True},
            {"archived": True, "enabled": False, "variants": BOTH},
            [{"enabled": False}, "POST", {"archive": True}],
        ),
        ({"enabled": True}, {"archived": True, "enabled": True}, [{"archive": True}]),
        ({}, {"archived": True, "enabled": True}, [{"archive": True}]),
        ({"deleted": True}, {}, [{"archive": False}]),
        (
            {"deleted": True, "deployments": ["51"]},
            {"enabled": True, "name": "n", "variants": BOTH, "deployments": ["ios"]},
            [{"archive": False}, "POST", "DELETE", "POST", {"name": "n", "enabled": True}],
        ),
        (
            {"deleted": True, "enabled": True},
            {"enabled": False, "variants": BOTH},
            [{"archive": False}, {"enabled": False}, "POST"],
        ),
        (
            {"deleted": True},
            {"archived": True, "name": "n", "variants": BOTH},
            [{"archive": False}, "POST", {"name": "n"}, {"archive": True}],
        ),
        ({"deleted": True}, {"archived": True, "enabled": True}, []),
    ],
)
async def test_archiving_and_restoring_are_requests_of_their_own(
    emulator: Emulator,
    client: AsyncExperimentClient,
    live: dict[str, Any] | None,
    desired: dict[str, Any],
    steps: list[Any],
) -> None:
    """A flag is restored before everything else and archived after it. An archived flag is not enabled."""
    emulator.state.add_deployment(id="52", label="ios")
    if live is not None:
        emulator.state.add_flag(id="1", key="a", variants=[{"key": "on"}], **live)
    manifest = Manifest(flags=[FlagSpec(key="a", project_id="1", **desired)])
    assert all(outcome.ok for outcome in await apply_all(client, manifest))
    sent = [request for request in emulator.requests if request.method != "GET"]
    assert [request.body if request.method == "PATCH" else request.method for request in sent] == steps
    assert not await client.plan(manifest)


@pytest.mark.parametrize(("fails", "statuses"), [(0, "fss"), (1, "dfs"), (2, "ddf")])
async def test_failure_between_restoring_and_archiving(
    emulator: Emulator, client: AsyncExperimentClient, tmp_path: Path, fails: int, statuses: str
) -> None:
    """The outcomes tell which step was reached, and a rerun continues there."""
    emulator.state.add_flag(id="1", key="a", deleted=True)
    plan = await client.plan(Manifest(flags=[FlagSpec(key="a", name="n", archived=True)]))
    assert "    archived: true" in str(plan)
    assert plan.summary == "1 to edit"
    emulator.inject(Fault.status(400), method="PATCH", nth=fails + 1)
    outcomes = [outcome async for outcome in client.apply(plan, journal=tmp_path / "j")]
    assert "".join(outcome.status[0] for outcome in outcomes) == statuses
    assert (await client.apply(plan, journal=tmp_path / "j")).ok
    assert (emulator.state.flag("1")["name"], emulator.state.flag("1")["deleted"]) == ("n", True)
    assert not await client.plan(plan.manifest)


async def test_archived_flag_that_would_serve_users_is_not_changed(
    emulator: Emulator, client: AsyncExperimentClient
) -> None:
    """It would be restored for the change. It can be left as it is, or restored."""
    emulator.state.add_flag(key="a", deleted=True, enabled=True)
    with pytest.raises(InvalidManifestError, match=r"archived: .*would serve users meanwhile: leave out name, or"):
        await client.plan(Manifest(flags=[FlagSpec(key="a", name="n", archived=True)]))
    assert not await client.plan(Manifest(flags=[FlagSpec(key="a", enabled=True, archived=True)]))
    assert await client.plan(Manifest(flags=[FlagSpec(key="a", name="n", archived=False)]))


async def test_failure_stops_only_its_flag(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """The flag is not enabled without a missing variant; other flags continue."""
    for key in ("a", "b"):
        emulator.state.add_flag(key=key, id=key, deployments=["51"])
    emulator.inject(Fault.status(400), method="POST", path="/flags/a/variants")
    variants = [VariantSpec(key="on"), VariantSpec(key="new")]
    manifest = Manifest(flags=[FlagSpec(key=key, enabled=True, variants=variants) for key in ("a", "b")])
    run = client.apply(await client.plan(manifest))
    outcomes = sorted([outcome async for outcome in run], key=lambda outcome: outcome.index)

    assert [outcome.status for outcome in outcomes] == ["failed", "skipped", "done", "done"]
    assert [flag["enabled"] for flag in emulator.state.flags] == [False, True]
    with pytest.raises(
        BulkError, match=r"an earlier operation on this flag failed \(#0 CreateVariant flags/a/variants/new failed"
    ):
        run.raise_for_failures()


async def test_failed_creation_skips_later_operations(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """They need the ID of the experiment."""
    emulator.inject(Fault.status(400), method="POST", path="/experiments")
    manifest = Manifest(experiments=[ExperimentSpec(key="e", project_id="1", enabled=True, deployments=["web"])])
    assert [outcome.status for outcome in await apply_all(client, manifest)] == ["failed", "skipped"]


MANIFEST = Manifest(
    flags=[
        FlagSpec(
            key="a", project_id="1", enabled=True, deployments=["web"], variants=[VariantSpec(key="on", payload=1)]
        )
    ]
)


@pytest.mark.parametrize("via_file", [False, True])
async def test_drift_is_rejected(
    emulator: Emulator, client: AsyncExperimentClient, tmp_path: Path, *, via_file: bool
) -> None:
    """Nothing is written, and the message has the old and the live value."""
    flag = emulator.state.add_flag(key="a", deployments=["51"])
    plan = await client.plan(MANIFEST)
    if via_file:
        plan.save(tmp_path / "plan.json")
        plan = Plan.load(tmp_path / "plan.json")
    await client.flags.variants.edit(flag["id"], "on", payload=2)
    await client.flags.edit(flag["id"], description="of no concern to the plan")
    emulator.requests.clear()

    with pytest.raises(EditConflictError, match=r"variants\.on\.payload was .*, is now 2"):
        await client.apply(plan)
    assert writes(emulator) == []


@pytest.mark.parametrize("via_file", [False, True])
@pytest.mark.parametrize("is_new", [False, True])
async def test_a_deployment_label_that_stands_for_another_deployment_is_drift(
    emulator: Emulator, client: AsyncExperimentClient, tmp_path: Path, *, is_new: bool, via_file: bool
) -> None:
    """The plan names the deployment by its label, and assigns the one that had the label when it was made."""
    if not is_new:
        emulator.state.add_flag(key="a")
    plan = await client.plan(Manifest(flags=[FlagSpec(key="a", project_id="1", deployments=["web"])]))
    if via_file:
        plan.save(tmp_path / "plan.json")
        plan = Plan.load(tmp_path / "plan.json")
    await client.deployments.edit("51", label="old-web")
    emulator.state.add_deployment(id="54", label="web")
    emulator.requests.clear()
    with pytest.raises(EditConflictError, match=r'flags/a in project 1: deployment "web" had ID 51, now has ID 54'):
        await client.apply(plan)
    assert writes(emulator) == []


async def test_a_deployment_label_that_no_deployment_has_is_drift(
    emulator: Emulator, client: AsyncExperimentClient
) -> None:
    """The message names it."""
    emulator.state.add_flag(key="a")
    plan = await client.plan(Manifest(flags=[FlagSpec(key="a", deployments=["web"])]))
    await client.deployments.edit("51", label="old-web")
    emulator.requests.clear()
    with pytest.raises(EditConflictError, match=r'deployments\[0\]: no deployment with label "web"'):
        await client.apply(plan)
    assert writes(emulator) == []


async def test_a_changed_label_map_is_drift(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """A deployment that the label does not stand for is not assigned."""
    emulator.state.add_deployment(id="54", label="ios")
    emulator.state.add_flag(key="a")
    plan = await client.plan(Manifest(flags=[FlagSpec(key="a", deployments=["web"])]))
    [change] = plan.changes
    changed = attrs.evolve(plan, changes=(attrs.evolve(change, deployments={"web": "54"}),))
    with pytest.raises(EditConflictError, match='deployment "web" had ID 54, now has ID 51'):
        await client.apply(changed)
    assert writes(emulator) == []


@pytest.mark.parametrize("parent", ["flag", "group"])
async def test_a_parent_key_that_stands_for_another_object_is_drift(
    emulator: Emulator, client: AsyncExperimentClient, parent: str
) -> None:
    """A dependency names a flag, an experiment or a group by its key."""
    if parent == "flag":
        emulator.state.add_flag(id="7", key="parent")
    else:
        emulator.state.add_mutex(id="7", key="parent")
    manifest = Manifest(
        flags=[FlagSpec(key="a", project_id="1", name="n", dependencies=Dependencies(flags={"parent": ["on"]}))]
    )
    plan = await client.plan(manifest)
    assert plan.changes[0].parents == {"parent": "7"}
    if parent == "flag":
        await client.flags.archive("7")
        emulator.state.add_flag(id="8", key="parent")
    else:
        emulator.state.update_group("mutexes", "7", key="former-parent")
        emulator.state.add_mutex(id="8", key="parent")
    emulator.requests.clear()
    with pytest.raises(EditConflictError, match='flags/a in project 1: parent "parent" had ID 7, now has ID 8'):
        await client.apply(plan)
    assert writes(emulator) == []


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/flags/1/deployments"), ("PATCH", "/flags/1"), ("POST", "/flags")],
    ids=["before it is assigned", "after it was assigned", "before the flag is created"],
)
async def test_a_rerun_does_not_assign_a_relabelled_deployment(
    emulator: Emulator, client: AsyncExperimentClient, tmp_path: Path, method: str, path: str
) -> None:
    """Also if the flag has the deployment with the label meanwhile, so that nothing seems left to change."""
    is_new = path == "/flags"
    if not is_new:
        emulator.state.add_flag(key="a", id="1")
    plan = await client.plan(Manifest(flags=[FlagSpec(key="a", project_id="1", name="n", deployments=["web"])]))
    emulator.inject(Fault.status(400), method=method, path=path)
    assert not (await client.apply(plan, journal=tmp_path / "j")).ok

    await client.deployments.edit("51", label="legacy")
    emulator.state.add_deployment(id="54", label="web")
    if not is_new:
        await client.flags.deployments.add("1", ["54"])
        await client.flags.edit("1", name="n")
        if "51" in emulator.state.flag("1")["deployments"]:
            await client.flags.deployments.remove("1", "51")
    emulator.requests.clear()
    with pytest.raises(EditConflictError, match=r'flags/a in project 1: deployment "web" had ID 51, now has ID 54'):
        await client.apply(plan, journal=tmp_path / "j")
    assert writes(emulator) == []


@pytest.mark.parametrize("name", ["n", "other"], ids=["as desired", "to change"])
async def test_a_rerun_does_not_write_for_another_flag_or_parent_of_the_same_key(
    emulator: Emulator, client: AsyncExperimentClient, tmp_path: Path, name: str
) -> None:
    """The operations of the plan go to the flag that it saw."""
    emulator.state.add_flag(key="a", id="1")
    emulator.state.add_flag(key="parent", id="7")
    dependencies = Dependencies(flags={"parent": ["on"]})
    plan = await client.plan(
        Manifest(flags=[FlagSpec(key="a", project_id="1", name="n", description="d", dependencies=dependencies)])
    )
    emulator.inject(Fault.status(400), method="PATCH", path="/flags/1")
    assert not (await client.apply(plan, journal=tmp_path / "j")).ok

    await client.flags.archive("7")
    emulator.state.add_flag(key="parent", id="8")
    with pytest.raises(EditConflictError, match='parent "parent" had ID 7, now has ID 8'):
        await client.apply(plan, journal=tmp_path / "j")
    await client.flags.archive("1")
    emulator.state.add_flag(key="a", id="2", name=name, description="d")
    emulator.requests.clear()
    with pytest.raises(EditConflictError, match="ID was 1, is now 2"):
        await client.apply(plan, journal=tmp_path / "j")
    assert writes(emulator) == []


CREATED = FlagSpec(
    key="a",
    project_id="1",
    enabled=True,
    deployments=["web"],
    rollout_percentage=20,
    tags=["t"],
    variants=[VariantSpec(key="on", payload=1, users=["u", "v"])],
)


async def half_create(emulator: Emulator, client: AsyncExperimentClient, journal: Path) -> tuple[Plan, str]:
    """Create the flag, let the next step fail, and return the plan and the flag's ID."""
    plan = await client.plan(Manifest(flags=[CREATED]))
    emulator.inject(Fault.status(400), method="POST", path="/flags/*/variants/on/users")
    outcomes = [outcome async for outcome in client.apply(plan, journal=journal)]
    assert [outcome.status for outcome in outcomes] == ["done", "failed", "skipped"]
    assert outcomes[0].created is not None
    emulator.requests.clear()
    return plan, outcomes[0].created.id


@pytest.mark.parametrize("is_as_planned", [True, False])
async def test_a_rerun_does_not_write_to_another_flag_with_the_key_of_a_created_one(
    emulator: Emulator, client: AsyncExperimentClient, tmp_path: Path, is_as_planned: bool
) -> None:
    """The journal knows the ID of what the plan has created, also if nothing seems left to change."""
    plan, id = await half_create(emulator, client, tmp_path / "j")
    await client.flags.archive(id)
    fields: dict[str, Any] = {"rolloutPercentage": 100, "variants": [{"key": "on", "payload": 1}], "tags": ["t"]}
    if is_as_planned:
        fields["rolloutPercentage"] = 20
    other = emulator.state.add_flag(key="a", projectId="1", deployments=["51"], enabled=True, **fields)
    emulator.state.add_users("flags", other["id"], "on", ["u", "v"] if is_as_planned else ["theirs"])
    emulator.requests.clear()
    with pytest.raises(EditConflictError, match=f"ID was {id}, is now {other['id']}"):
        await client.apply(plan, journal=tmp_path / "j")
    assert writes(emulator) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"deployments": ["52"]}, "deployments changed after the run in this journal applied it"),
        ({"tags": ["t", "theirs"]}, "tags was absent, is now"),
        ({"variants": [{"key": "on", "payload": 2}]}, "variants.on.payload changed after the run"),
        ({"enabled": True}, None),
        ({"rolloutPercentage": 50}, "rollout_percentage was absent, is now 50"),
    ],
    ids=str,
)
async def test_changes_of_others_to_a_created_flag_are_drift(
    emulator: Emulator, client: AsyncExperimentClient, tmp_path: Path, change: dict[str, Any], message: str | None
) -> None:
    """A rerun overwrites neither what the creation has set, nor what a new flag does not have."""
    plan, id = await half_create(emulator, client, tmp_path / "j")
    emulator.state.add_deployment(id="52", label="ios")
    state = emulator.state
    state.update(state.stored_flag("flags", id), **change)
    if message is None:  # as planned
        assert (await client.apply(plan, journal=tmp_path / "j")).ok
        return
    with pytest.raises(EditConflictError) as caught:
        await client.apply(plan, journal=tmp_path / "j")
    assert message in str(caught.value)
    assert writes(emulator) == []


@pytest.mark.parametrize(("users", "is_drift"), [(["u"], False), (["theirs"], True), (["u", "theirs"], True)])
async def test_users_of_a_created_flag(
    emulator: Emulator, client: AsyncExperimentClient, tmp_path: Path, users: list[str], is_drift: bool
) -> None:
    """A part of the planned users may be from the failed step. Others are not removed."""
    plan, id = await half_create(emulator, client, tmp_path / "j")
    emulator.state.add_users("flags", id, "on", users)
    if is_drift:
        with pytest.raises(EditConflictError, match=r"variants\.on\.users was \[\], is now"):
            await client.apply(plan, journal=tmp_path / "j")
        assert emulator.state.users("flags", id, "on") == users
    else:
        assert (await client.apply(plan, journal=tmp_path / "j")).ok
        assert emulator.state.users("flags", id, "on") == ["u", "v"]


async def test_a_deployment_that_others_removed_again(
    emulator: Emulator, client: AsyncExperimentClient, tmp_path: Path
) -> None:
    """It is drift if only one of those that a completed step added is gone; only what was applied is named."""
    emulator.state.add_deployment(id="52", label="ios")
    emulator.state.add_flag(key="a", id="1")
    plan = await client.plan(Manifest(flags=[FlagSpec(key="a", name="n", deployments=["web", "ios"])]))
    emulator.inject(Fault.status(400), method="PATCH", path="/flags/1")
    assert not (await client.apply(plan, journal=tmp_path / "j")).ok
    await client.flags.deployments.remove("1", "52")
    with pytest.raises(EditConflictError, match="in project 1: deployments changed after the run in this journal"):
        await client.apply(plan, journal=tmp_path / "j")


async def test_a_relabelled_deployment_that_a_manifest_names_by_id(
    emulator: Emulator, client: AsyncExperimentClient
) -> None:
    """The message shows what would be assigned, because the flag itself has not changed."""
    emulator.state.add_flag(key="a", id="1")
    plan = await client.plan(Manifest(flags=[FlagSpec(key="a", deployments=["id:51"])]))
    await client.deployments.edit("51", label="legacy")
    with pytest.raises(EditConflictError, match=r'deployments was to become \["web"\], is now to become \["legacy"\]'):
        await client.apply(plan)


@pytest.mark.parametrize("prune", [True, False])
@pytest.mark.parametrize("enabled", [True, False])
async def test_a_plan_shows_if_a_flag_that_it_archives_is_enabled(
    emulator: Emulator, client: AsyncExperimentClient, tmp_path: Path, enabled: bool, prune: bool
) -> None:
    """A flag that somebody has enabled or disabled since is not archived. Otherwise archiving is the only request."""
    emulator.state.add_flag(key="a", id="1", projectId="1", enabled=enabled, deployments=["51"])
    if prune:
        plan = await client.plan(Manifest(flags=[]), prune=True, project_id="1")
    else:
        plan = await client.plan(Manifest(flags=[FlagSpec(key="a", archived=True)]))
    assert f"enabled: {str(enabled).lower()}\n" in str(plan)
    assert plan.changes[0].action == "archive"
    plan.save(tmp_path / "plan.json")
    plan = Plan.load(tmp_path / "plan.json")
    await client.flags.edit("1", enabled=not enabled)
    emulator.requests.clear()
    with pytest.raises(EditConflictError, match=f"enabled was {enabled}, is now {not enabled}".lower()):
        await client.apply(plan)
    assert writes(emulator) == []
    await client.flags.edit("1", enabled=enabled)
    emulator.requests.clear()
    assert (await client.apply(plan)).ok
    assert writes(emulator) == ["PATCH /flags/1"]


@pytest.mark.parametrize("fault", [Fault.status(400), Fault.close(applied=True)], ids=["failed", "unknown"])
@pytest.mark.parametrize("nth", [1, 2])
@pytest.mark.parametrize("enabled", [True, False, UNSET])
async def test_a_plan_that_also_disables_what_it_archives_continues(  # noqa: PLR0917 - fixtures
    emulator: Emulator, client: AsyncExperimentClient, tmp_path: Path, enabled: Any, nth: int, fault: Fault
) -> None:
    """What the earlier run has done itself is no drift."""
    emulator.state.add_flag(key="a", id="1", projectId="1", enabled=True, deployments=["51"])
    manifest = Manifest(flags=[FlagSpec(key="a", archived=True, enabled=enabled, tags=["t"])])
    plan = await client.plan(manifest)
    emulator.inject(fault, method="PATCH", path="/flags/1", nth=nth)
    emulator.inject(Fault.status(403), method="GET", path="/flags/1", times=None)
    once = client.with_options(retry=RetryPolicy(max_attempts=1))
    assert not (await once.apply(plan, journal=tmp_path / "j")).ok
    emulator.clear_faults()
    assert (await client.apply(plan, journal=tmp_path / "j")).ok
    assert not await client.plan(manifest)


async def test_a_plan_of_an_earlier_version_archives(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """It does not say whether the flag was enabled."""
    emulator.state.add_flag(key="a", id="1", projectId="1")
    plan = await client.plan(Manifest(flags=[FlagSpec(key="a", archived=True)]))
    [change] = plan.changes
    fields = {name: field for name, field in change.fields.items() if name != "enabled"}
    assert (await client.apply(attrs.evolve(plan, changes=(attrs.evolve(change, fields=fields),)))).ok
    assert emulator.state.flag("1")["deleted"]


async def test_a_parent_that_the_plan_creates_is_no_drift(
    emulator: Emulator, client: AsyncExperimentClient, tmp_path: Path
) -> None:
    """It has no ID when the plan is made. A rerun with a journal finds the one that the plan has created."""
    dependencies = Dependencies(flags={"parent": ["on"]})
    manifest = Manifest(
        flags=[
            FlagSpec(key="parent", project_id="1"),
            FlagSpec(key="a", project_id="1", name="n", dependencies=dependencies),
        ]
    )
    plan = await client.plan(manifest)
    assert plan.changes[0].parents == {"parent": ""}
    emulator.inject(Fault.status(400), method="POST", path="/flags", nth=1)
    assert not (await client.apply(plan, journal=tmp_path / "j")).ok
    assert (await client.apply(plan, journal=tmp_path / "j")).ok
    assert not await client.plan(manifest)


async def test_a_value_of_another_type_is_drift(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """Python takes true and 1 for equal, and JSON does not."""
    emulator.state.add_flag(key="a", variants=[{"key": "on", "payload": 0}])
    plan = await client.plan(Manifest(flags=[FlagSpec(key="a", variants=[VariantSpec(key="on", payload=True)])]))
    [change] = plan.changes
    fields = {"variants.on.payload": FieldChange("variants.on.payload", 0, 1)}
    with pytest.raises(EditConflictError, match=r"variants\.on\.payload"):
        await client.apply(attrs.evolve(plan, changes=(attrs.evolve(change, fields=fields),)))


async def test_creation_and_completion_by_others_are_drift(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """They are drift even if the result is as planned."""
    plan = await client.plan(MANIFEST)
    flag = emulator.state.add_flag(key="a", deployments=["51"])
    with pytest.raises(EditConflictError, match="ID was none, is now"):
        await client.apply(plan)

    plan = await client.plan(Manifest(flags=[FlagSpec(key="a", enabled=True, name="n")]))
    await client.flags.edit(flag["id"], enabled=True)
    with pytest.raises(EditConflictError, match="enabled was false, is now true"):
        await client.apply(plan)
    await client.flags.edit(flag["id"], name="n")
    with pytest.raises(EditConflictError, match="already as planned"):
        await client.apply(plan)


async def test_journal_continues_where_it_ended(
    emulator: Emulator, client: AsyncExperimentClient, tmp_path: Path
) -> None:
    """Writes of the same plan are not drift, writes of others are."""
    plan = await client.plan(MANIFEST)
    emulator.inject(Fault.status(400), method="PATCH", path="/flags/*")
    journal = tmp_path / "apply.jsonl"
    first = await client.apply(plan, journal=journal)
    assert (first.done, first.failed) == (1, 1)

    flag = emulator.state.flags[0]
    second = await client.apply(plan, journal=journal)
    assert (second.done, second.skipped, second.ok) == (1, 1, True)
    assert not await client.plan(MANIFEST)

    await client.flags.variants.edit(flag["id"], "on", payload=3)
    await client.flags.variants.create(flag["id"], key="theirs")
    with pytest.raises(EditConflictError, match=r"variants\.theirs"):
        await client.apply(plan, journal=journal)


async def test_undone_operations_of_a_journal_are_drift(
    emulator: Emulator, client: AsyncExperimentClient, tmp_path: Path
) -> None:
    """They are not skipped as done when the same plan is made again and applied with the same journal."""
    emulator.state.add_flag(key="a", id="1", deployments=["51"], variants=[{"key": "on", "payload": 1}])
    journal = tmp_path / "apply.jsonl"
    await apply_all(client, MANIFEST, journal=journal)
    await client.flags.edit("1", enabled=False)
    with pytest.raises(EditConflictError, match="enabled changed after the run in this journal applied it"):
        await apply_all(client, MANIFEST, journal=journal)

    variants = [VariantSpec(key="on"), VariantSpec(key="new")]
    manifest = Manifest(flags=[FlagSpec(key="a", enabled=True, variants=variants)])
    emulator.inject(Fault.status(400), method="PATCH", path="/flags/1")
    half = tmp_path / "half.jsonl"
    await apply_all(client, manifest, journal=half)
    await client.flags.variants.remove("1", "new")
    with pytest.raises(EditConflictError, match=r": variants\.new changed after the run"):
        await apply_all(client, manifest, journal=half)
    assert not emulator.state.flag("1")["enabled"]


async def test_journal_of_a_rejected_plan_has_no_effect(
    emulator: Emulator, client: AsyncExperimentClient, tmp_path: Path
) -> None:
    """The plan is rejected again."""
    emulator.state.add_flag(key="a", id="1", deployments=["51"])
    plan = await client.plan(MANIFEST)
    await client.flags.edit("1", enabled=True)
    for _ in range(2):
        with pytest.raises(EditConflictError, match="enabled was false, is now true"):
            await client.apply(plan, journal=tmp_path / "apply.jsonl")


@pytest.mark.parametrize("path", ["/flags/1/deployments/*", "/flags/1/variants/on/bulk-delete-users"])
async def test_partly_applied_list_is_no_drift(
    emulator: Emulator, client: AsyncExperimentClient, tmp_path: Path, path: str
) -> None:
    """An item that somebody else added is drift."""
    for label in LABELS[1:]:
        emulator.state.add_deployment(id=f"id-{label}", label=label)
    emulator.state.add_flag(key="a", id="1", deployments=["51"], variants=[{"key": "on"}])
    emulator.state.add_users("flags", "1", "on", [f"old-{number}" for number in range(150)])
    variants = [VariantSpec(key="on", users=["new"])]
    plan = await client.plan(Manifest(flags=[FlagSpec(key="a", deployments=["ios"], variants=variants)]))
    emulator.inject(Fault.status(400), method="DELETE", path=path, nth=1)
    assert (await client.apply(plan, journal=tmp_path / "apply.jsonl")).failed == 1

    await client.flags.deployments.add("1", ["id-server"])
    with pytest.raises(EditConflictError, match="deployments was"):
        await client.apply(plan, journal=tmp_path / "apply.jsonl")
    await client.flags.deployments.remove("1", "id-server")
    assert (await client.apply(plan, journal=tmp_path / "apply.jsonl")).ok
    assert (emulator.state.flag("1")["deployments"], emulator.state.users("flags", "1", "on")) == (["id-ios"], ["new"])


async def test_plan_of_another_service_is_rejected(client: AsyncExperimentClient) -> None:
    """IDs differ between services."""
    plan = await client.plan(MANIFEST)
    async with AsyncExperimentClient("a-key-of-no-account", base_url="https://host.invalid") as other:
        with pytest.raises(InvalidInputError, match=r"plan: was made for .*, but this client uses https://host"):
            other.apply(plan)


async def test_journal_must_be_a_path(client: AsyncExperimentClient) -> None:
    """The rule is that of `bulk`."""
    wrong: Any = 5
    with pytest.raises(InvalidInputError, match="journal: must be a path, got 5"):
        client.apply(await client.plan(MANIFEST), journal=wrong)


async def test_empty_plan_sends_nothing(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """It does not check for drift."""
    emulator.state.add_flag(key="a", enabled=True, deployments=["51"], variants=[{"key": "on", "payload": 1}])
    plan = await client.plan(MANIFEST)
    emulator.requests.clear()
    summary = await client.apply(plan)
    assert (summary.done, summary.ok, len(emulator.requests)) == (0, True, 0)


async def test_progress_has_the_total(client: AsyncExperimentClient) -> None:
    """It is known before the run starts."""
    run = client.apply(await client.plan(MANIFEST))
    assert run.progress.total == 2
    assert (await run).done == 2


async def test_prune_archives(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """Each flag takes one request."""
    emulator.state.add_flag(key="b", id="7", enabled=True)
    await client.apply(await client.plan(MANIFEST, prune=True))
    assert emulator.state.flag("7")["deleted"]
    assert "PATCH /flags/7" in writes(emulator)
    assert not await client.plan(MANIFEST, prune=True)


def test_sync_apply(experiment_emulator: Emulator, no_backoff: RetryPolicy) -> None:
    """The synchronous client applies as the asynchronous one does."""
    experiment_emulator.state.add_deployment(id="51", label="web")
    with ExperimentClient(
        experiment_emulator.api_key, base_url=experiment_emulator.base_url, retry=no_backoff
    ) as client:
        plan = client.plan(MANIFEST)
        assert all(outcome.ok for outcome in client.apply(plan))
        with pytest.raises(EditConflictError):
            client.apply(plan).wait()


async def test_operations_of_a_plan(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """The index of an outcome is that of its operation in the plan, which names the change that it belongs to."""
    for key in ("a", "b"):
        emulator.state.add_flag(key=key, projectId="1")
    variants = [VariantSpec(key="on", users=("ada",))]
    flags = [FlagSpec(key=key, project_id="1", name="new", variants=variants) for key in ("a", "b")]
    plan = await client.plan(Manifest(flags=flags))
    operations = plan.operations()
    assert [change.key for change, _ in operations] == ["a", "a", "b", "b"]
    outcomes = [outcome async for outcome in client.apply(plan)]
    assert [operations[outcome.index][1] for outcome in outcomes] == [outcome.operation for outcome in outcomes]
    assert len(outcomes) == len(operations)
