"""Applying: everything becomes as declared, in an order that is safe, and never over what somebody else has changed."""

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
    EditConflictError,
    ExperimentClient,
    ExperimentSpec,
    FieldChange,
    FlagSpec,
    InvalidInputError,
    Manifest,
    Outcome,
    Plan,
    RetryPolicy,
    Segment,
    VariantSpec,
)
from amp_exp_async.emulator import Emulator, Fault
from tests.manifests.fixtures import account
from tests.manifests.strategies import LABELS, PROJECTS, manifests


def writes(emulator: Emulator) -> list[str]:
    """The requests that changed something, in order."""
    return [
        f"{request.method} {request.path.removeprefix('/api/1')}"
        for request in emulator.requests
        if request.method != "GET"
    ]


FlagConfigs: TypeAlias = dict[tuple[str, Any, str], Any]
CHECKED_APART = {"archived", "variants", "rollout_weights", "tags", "deployments", "users", "cohorts"}
FAULTS = (Fault.status(400), Fault.status(500), Fault.status(500, applied=True), Fault.close(applied=True))
MOST_RUNS = 100


async def applied(client: AsyncExperimentClient, state: Manifest, **options: Any) -> list[Outcome]:
    """What became of a state's plan."""
    return [outcome async for outcome in client.apply(await client.plan(state), **options)]


def toggles(state: Manifest) -> FlagConfigs:
    """The flags and experiments of a state, by name."""
    return {(kind, one.project_id, one.key): one for kind in ("flags", "experiments") for one in state.of(kind)}


def assert_is_as_declared(now: Any, declared: Any, was: Any) -> None:
    """Each field is as it was, or as it is declared where it is."""
    if declared is None:
        assert now == was
        return
    assert bool(now.archived) == bool(declared.archived)
    parts = ("archived", "variants", "rollout_weights", "tags", "deployments")
    new = {variant.key: variant for variant in now.variants}
    assert_has(now, attrs.evolve(declared, **dict.fromkeys(parts, UNSET)), was and without_weights_but(was, new))
    for name in ("tags", "deployments"):
        given = getattr(declared, name)
        before = getattr(was, name) if was else ()
        assert set(getattr(now, name)) == set(before if given is UNSET else given)
    old = {variant.key: variant for variant in was.variants} if was else {}
    assert new.keys() == {variant.key for variant in declared.variants}
    for variant in declared.variants:
        assert_has(new[variant.key], attrs.evolve(variant, users=UNSET, cohorts=UNSET), old.get(variant.key))
        for name in ("users", "cohorts"):
            before = getattr(old[variant.key], name) if variant.key in old else ()
            given = getattr(variant, name)
            assert set(getattr(new[variant.key], name)) == set(before if given is UNSET else given)
    weights = {} if declared.rollout_weights is UNSET else declared.rollout_weights
    kept = {key: weight for key, weight in (was.rollout_weights if was else {}).items() if key in new}
    assert now.rollout_weights.items() >= (kept | weights).items()


def without_weights_but(was: Any, variants: Collection[str]) -> Any:
    """It, its segments without the weights of variants that are gone."""
    kept = [
        attrs.evolve(
            one, rollout_weights={key: weight for key, weight in one.rollout_weights.items() if key in variants}
        )
        for one in was.target_segments
    ]
    return attrs.evolve(was, target_segments=kept)


def assert_has(now: Any, declared: Any, was: Any) -> None:
    """The fields that are declared are so; the others are as they were."""
    for name in (field.name for field in attrs.fields(type(declared)) if field.eq is True):
        given = getattr(declared, name)
        assert given is UNSET or getattr(now, name) == given
        if given is UNSET and was and name not in CHECKED_APART:
            assert getattr(now, name) == getattr(was, name)


@given(before=manifests(), after=manifests())
def test_everything_becomes_as_declared(before: Manifest, after: Manifest) -> None:
    """From nothing, and from any other state; a second plan is empty, and so is the plan of what is exported."""

    async def journey() -> None:
        async with account(PROJECTS) as (_, client):
            was: FlagConfigs = {}
            for state in (before, after):
                assert all(outcome.ok for outcome in await applied(client, state))
                assert not await client.plan(state)
                everything = await client.export(include_archived=True, users=True, cohorts=True, variants=True)
                assert not await client.plan(everything)
                now, declared = toggles(everything), toggles(state)
                assert now.keys() == was.keys() | declared.keys()
                for name, toggle in now.items():
                    assert_is_as_declared(toggle, declared.get(name), was.get(name))
                was = now

    asyncio.run(journey())


@given(before=manifests(), after=manifests(), fault=st.sampled_from(FAULTS), seed=st.integers(0, 99))
def test_a_run_that_fails_anywhere_goes_on_by_its_journal(
    before: Manifest, after: Manifest, fault: Fault, seed: int
) -> None:
    """What it has done itself is no conflict, and no flag is put into service before all else of it is done."""

    async def journey(journal: Path) -> None:
        async with account(PROJECTS, retry=RetryPolicy(max_attempts=1), seed=seed) as (emulator, client):
            await applied(client, before)
            plan = await client.plan(after)
            due = {change.target for change in plan.changes}
            entering = {
                one.target for one in plan.changes if one.fields.get("enabled") == FieldChange("enabled", False, True)
            }
            for _ in range(MOST_RUNS):
                for method in ("POST", "PATCH", "DELETE"):
                    emulator.inject(fault, method=method, probability=0.4, times=None)
                await client.apply(plan, journal=journal)
                emulator.clear_faults()
                rest = (await client.plan(after)).changes
                assert all("enabled" in one.fields for one in rest if one.target in entering)
                due = {change.target for change in rest}
                if not due:
                    break
            assert not due

    with TemporaryDirectory() as folder:
        asyncio.run(journey(Path(folder, "apply.jsonl")))


@pytest.mark.parametrize(("payload", "is_conflict"), [(None, False), (5, True)])
async def test_a_variant_that_is_still_to_go_is_no_conflict(
    emulator: Emulator, client: AsyncExperimentClient, tmp_path: Path, payload: object, *, is_conflict: bool
) -> None:
    """Though less of it is read again than the plan has read; but one that somebody has changed is."""
    id = emulator.state.add_flag(key="f", projectId="1", variants=[{"key": "on"}, {"key": "old", "payload": 1}])["id"]
    plan = await client.plan(Manifest(flags=[FlagSpec(key="f", variants=[VariantSpec(key="on", payload={"a": 1})])]))
    emulator.inject(Fault.status(400), method="DELETE")
    assert not (await client.apply(plan, journal=tmp_path / "j")).ok
    if payload is not None:
        await client.flags.variants.edit(id, "old", payload=payload)
    again = client.apply(plan, journal=tmp_path / "j")
    if is_conflict:
        with pytest.raises(EditConflictError, match=r"variants\.old"):
            await again
    else:
        assert (await again).ok
        assert not await client.plan(plan.manifest)


async def test_a_flag_is_enabled_last_and_disabled_first(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """It is never half-enabled."""
    emulator.state.add_deployment(id="51", label="web")
    on, off = VariantSpec(key="on", users=["u"]), VariantSpec(key="off", payload=1)
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
    await applied(client, Manifest(flags=[flag]))
    [created] = emulator.state.flags
    id = created["id"]
    assert writes(emulator) == ["POST /flags", f"POST /flags/{id}/variants/on/users", f"PATCH /flags/{id}"]

    emulator.requests.clear()
    changed = FlagSpec(
        key="f",
        project_id="1",
        enabled=False,
        deployments=[],
        variants=[on, off],
        rollout_weights={"on": 2, "off": 1},
        target_segments=[],
    )
    await applied(client, Manifest(flags=[changed]))
    assert writes(emulator) == [
        f"PATCH /flags/{id}",
        f"DELETE /flags/{id}/deployments/51",
        f"POST /flags/{id}/variants",
        f"PATCH /flags/{id}/variants/on",
        f"PATCH /flags/{id}",
        f"DELETE /flags/{id}/variants/old",
    ]

    emulator.requests.clear()
    await applied(client, Manifest(flags=[FlagSpec(key="f", enabled=True, archived=True, variants=[on])]))
    assert writes(emulator) == [f"PATCH /flags/{id}", f"DELETE /flags/{id}/variants/off", f"PATCH /flags/{id}"]


async def test_after_a_failure_a_flag_is_left_alone(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """It is not enabled over a variant that is missing; other flags go on."""
    for key in ("a", "b"):
        emulator.state.add_flag(key=key, id=key)
    emulator.inject(Fault.status(400), method="POST", path="/flags/a/variants")
    variants = [VariantSpec(key="on"), VariantSpec(key="new")]
    state = Manifest(flags=[FlagSpec(key=key, enabled=True, variants=variants) for key in ("a", "b")])
    run = client.apply(await client.plan(state))
    outcomes = sorted([outcome async for outcome in run], key=lambda outcome: outcome.index)

    assert [outcome.status for outcome in outcomes] == ["failed", "skipped", "done", "done"]
    assert [flag["enabled"] for flag in emulator.state.flags] == [False, True]
    with pytest.raises(
        BulkError, match=r"an earlier operation on this flag failed \(#0 CreateVariant flags/a/variants/new failed"
    ):
        run.raise_for_failures()


async def test_a_creation_that_fails_leaves_the_rest_alone(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """Its later steps are left out."""
    emulator.inject(Fault.status(400), method="POST", path="/experiments")
    state = Manifest(experiments=[ExperimentSpec(key="e", project_id="1", enabled=True)])
    assert [outcome.status for outcome in await applied(client, state)] == ["failed", "skipped"]


STATE = Manifest(flags=[FlagSpec(key="a", project_id="1", enabled=True, variants=[VariantSpec(key="on", payload=1)])])


@pytest.mark.parametrize("via_file", [False, True])
async def test_what_changed_in_between_is_refused(
    emulator: Emulator, client: AsyncExperimentClient, tmp_path: Path, *, via_file: bool
) -> None:
    """Nothing is written, and the message says what it was and is."""
    flag = emulator.state.add_flag(key="a")
    plan = await client.plan(STATE)
    if via_file:
        plan.save(tmp_path / "plan.json")
        plan = Plan.load(tmp_path / "plan.json")
    await client.flags.variants.edit(flag["id"], "on", payload=2)
    await client.flags.edit(flag["id"], description="of no concern to the plan")
    emulator.requests.clear()

    with pytest.raises(EditConflictError, match=r"variants\.on\.payload was .*, is now 2"):
        await client.apply(plan)
    assert writes(emulator) == []


async def test_what_was_created_or_done_in_between_is_refused(
    emulator: Emulator, client: AsyncExperimentClient
) -> None:
    """Also where it would be as planned."""
    plan = await client.plan(STATE)
    flag = emulator.state.add_flag(key="a")
    with pytest.raises(EditConflictError, match="ID was none, is now"):
        await client.apply(plan)

    plan = await client.plan(Manifest(flags=[FlagSpec(key="a", enabled=True, name="n")]))
    await client.flags.edit(flag["id"], enabled=True)
    with pytest.raises(EditConflictError, match="enabled was false, is now true"):
        await client.apply(plan)
    await client.flags.edit(flag["id"], name="n")
    with pytest.raises(EditConflictError, match="already as planned"):
        await client.apply(plan)


async def test_a_journal_goes_on_where_it_ended(
    emulator: Emulator, client: AsyncExperimentClient, tmp_path: Path
) -> None:
    """What this plan itself has done is no conflict, what others did is."""
    plan = await client.plan(STATE)
    emulator.inject(Fault.status(400), method="PATCH", path="/flags/*")
    journal = tmp_path / "apply.jsonl"
    first = await client.apply(plan, journal=journal)
    assert (first.done, first.failed) == (1, 1)

    flag = emulator.state.flags[0]
    second = await client.apply(plan, journal=journal)
    assert (second.done, second.skipped, second.ok) == (1, 1, True)
    assert not await client.plan(STATE)

    await client.flags.variants.edit(flag["id"], "on", payload=3)
    await client.flags.variants.create(flag["id"], key="theirs")
    with pytest.raises(EditConflictError, match=r"variants\.theirs"):
        await client.apply(plan, journal=journal)


async def test_what_a_journal_has_done_and_somebody_undid_is_refused(
    emulator: Emulator, client: AsyncExperimentClient, tmp_path: Path
) -> None:
    """Not skipped as done: the same plan, made anew and applied with the journal of last time, must do something."""
    emulator.state.add_flag(key="a", id="1", variants=[{"key": "on", "payload": 1}])
    journal = tmp_path / "apply.jsonl"
    await applied(client, STATE, journal=journal)
    await client.flags.edit("1", enabled=False)
    with pytest.raises(EditConflictError, match="enabled changed after the run in this journal applied it"):
        await applied(client, STATE, journal=journal)

    variants = [VariantSpec(key="on"), VariantSpec(key="new")]
    state = Manifest(flags=[FlagSpec(key="a", enabled=True, variants=variants)])
    emulator.inject(Fault.status(400), method="PATCH", path="/flags/1")
    half = tmp_path / "half.jsonl"
    await applied(client, state, journal=half)
    await client.flags.variants.remove("1", "new")
    with pytest.raises(EditConflictError, match=r"enabled, variants\.new changed after the run"):
        await applied(client, state, journal=half)
    assert not emulator.state.flag("1")["enabled"]


async def test_a_journal_of_a_refused_plan_says_nothing(
    emulator: Emulator, client: AsyncExperimentClient, tmp_path: Path
) -> None:
    """The plan is as strictly refused a second time."""
    emulator.state.add_flag(key="a", id="1")
    plan = await client.plan(STATE)
    await client.flags.edit("1", enabled=True)
    for _ in range(2):
        with pytest.raises(EditConflictError, match="enabled was false, is now true"):
            await client.apply(plan, journal=tmp_path / "apply.jsonl")


@pytest.mark.parametrize("path", ["/flags/1/deployments/*", "/flags/1/variants/on/bulk-delete-users"])
async def test_a_list_that_is_half_done_is_no_conflict(
    emulator: Emulator, client: AsyncExperimentClient, tmp_path: Path, path: str
) -> None:
    """By its own journal; what somebody else has added is."""
    for label in LABELS:
        emulator.state.add_deployment(id=f"id-{label}", label=label)
    emulator.state.add_flag(key="a", id="1", deployments=["id-web"], variants=[{"key": "on"}])
    emulator.state.add_users("flags", "1", "on", [f"old-{at}" for at in range(150)])
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


async def test_a_plan_of_another_service_is_refused(client: AsyncExperimentClient) -> None:
    """Ids of one mean nothing to the other."""
    plan = await client.plan(STATE)
    async with AsyncExperimentClient("a-key-of-no-account", base_url="https://host.invalid") as other:
        with pytest.raises(InvalidInputError, match=r"plan: was made for .*, but this client uses https://host"):
            other.apply(plan)


async def test_a_journal_that_is_no_path_is_refused(client: AsyncExperimentClient) -> None:
    """As `bulk` does."""
    wrong: Any = 5
    with pytest.raises(InvalidInputError, match="journal: must be a path, got 5"):
        client.apply(await client.plan(STATE), journal=wrong)


async def test_an_empty_plan_sends_nothing(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """Not even to read."""
    emulator.state.add_flag(key="a", enabled=True, variants=[{"key": "on", "payload": 1}])
    plan = await client.plan(STATE)
    emulator.requests.clear()
    summary = await client.apply(plan)
    assert (summary.done, summary.ok, len(emulator.requests)) == (0, True, 0)


async def test_progress_knows_how_many_steps_there_are(client: AsyncExperimentClient) -> None:
    """From the beginning."""
    run = client.apply(await client.plan(STATE))
    assert run.progress.total == 2
    assert (await run).done == 2


async def test_prune_archives(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """One request for each."""
    emulator.state.add_flag(key="b", id="7", enabled=True)
    await client.apply(await client.plan(STATE, prune=True))
    assert emulator.state.flag("7")["deleted"]
    assert "PATCH /flags/7" in writes(emulator)
    assert not await client.plan(STATE, prune=True)


def test_apply_for_blocking_callers(experiment_emulator: Emulator, at_once: RetryPolicy) -> None:
    """The same, without await."""
    with ExperimentClient(experiment_emulator.api_key, base_url=experiment_emulator.base_url, retry=at_once) as client:
        plan = client.plan(STATE)
        assert all(outcome.ok for outcome in client.apply(plan))
        with pytest.raises(EditConflictError):
            client.apply(plan).wait()
