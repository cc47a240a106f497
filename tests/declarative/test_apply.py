"""Applying: everything becomes as declared, in an order that is safe, and never over what somebody else has changed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from amp_exp_async import (
    AsyncExperimentClient,
    BulkError,
    EditConflictError,
    ExperimentClient,
    ExperimentState,
    FlagState,
    InvalidInputError,
    Outcome,
    Plan,
    RetryPolicy,
    Segment,
    State,
    VariantState,
)
from amp_exp_async.emulator import Emulator, Fault
from tests.declarative.states import LABELS, PROJECTS, states


def writes(emulator: Emulator) -> list[str]:
    """The requests that changed something, in order."""
    return [
        f"{request.method} {request.path.removeprefix('/api/1')}"
        for request in emulator.requests
        if request.method != "GET"
    ]


async def applied(client: AsyncExperimentClient, state: State, **options: Any) -> list[Outcome]:
    """What became of a state's plan."""
    return [outcome async for outcome in client.apply(await client.plan(state), **options)]


@given(before=states(), after=states())
def test_everything_becomes_as_declared(before: State, after: State) -> None:
    """From nothing, and from any other state; a second plan is empty, and so is the plan of what is exported."""

    async def journey() -> None:
        async with (
            Emulator(per_second=None, per_day=None) as emulator,
            AsyncExperimentClient(
                emulator.api_key, base_url=emulator.base_url, rate_limit=None, retry=RetryPolicy(base=0.0)
            ) as client,
        ):
            for project in PROJECTS:
                for label in LABELS:
                    emulator.state.add_deployment(label=label, projectId=project)
            for state in (before, after):
                assert all(outcome.ok for outcome in await applied(client, state))
                assert not await client.plan(state)
            everything = await client.export(include_archived=True, users=True, cohorts=True, variants=True)
            assert not await client.plan(everything)

    asyncio.run(journey())


async def test_a_flag_is_enabled_last_and_disabled_first(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """It is never half-enabled."""
    emulator.state.add_deployment(id="51", label="web")
    on, off = VariantState(key="on", users=["u"]), VariantState(key="off", payload=1)
    segment = Segment("s", [], 5, {"on": 1})
    flag = FlagState(
        key="f",
        project_id="1",
        enabled=True,
        tags=["t"],
        deployments=["web"],
        variants=[on, VariantState(key="old")],
        rollout_weights={"on": 1, "old": 0},
        target_segments=[segment],
    )
    await applied(client, State(flags=[flag]))
    [created] = emulator.state.flags
    id = created["id"]
    assert writes(emulator) == ["POST /flags", f"POST /flags/{id}/variants/on/users", f"PATCH /flags/{id}"]

    emulator.requests.clear()
    changed = FlagState(
        key="f",
        project_id="1",
        enabled=False,
        deployments=[],
        variants=[on, off],
        rollout_weights={"on": 2, "off": 1},
        target_segments=[],
    )
    await applied(client, State(flags=[changed]))
    assert writes(emulator) == [
        f"PATCH /flags/{id}",
        f"DELETE /flags/{id}/deployments/51",
        f"POST /flags/{id}/variants",
        f"PATCH /flags/{id}/variants/on",
        f"PATCH /flags/{id}",
        f"DELETE /flags/{id}/variants/old",
    ]

    emulator.requests.clear()
    await applied(client, State(flags=[FlagState(key="f", enabled=True, archived=True, variants=[on])]))
    assert writes(emulator) == [f"PATCH /flags/{id}", f"DELETE /flags/{id}/variants/off", f"PATCH /flags/{id}"]


async def test_after_a_failure_a_flag_is_left_alone(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """It is not enabled over a variant that is missing; other flags go on."""
    for key in ("a", "b"):
        emulator.state.add_flag(key=key, id=key)
    emulator.fail(Fault.status(400), method="POST", path="/flags/a/variants")
    variants = [VariantState(key="on"), VariantState(key="new")]
    state = State(flags=[FlagState(key=key, enabled=True, variants=variants) for key in ("a", "b")])
    run = client.apply(await client.plan(state))
    outcomes = sorted([outcome async for outcome in run], key=lambda outcome: outcome.index)

    assert [outcome.state for outcome in outcomes] == ["failed", "skipped", "done", "done"]
    assert [flag["enabled"] for flag in emulator.state.flags] == [False, True]
    with pytest.raises(BulkError, match="left alone since #0 CreateVariant flags/a/variants/new failed"):
        run.raise_for_failures()


async def test_a_creation_that_fails_leaves_the_rest_alone(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """Its later steps are left out."""
    emulator.fail(Fault.status(400), method="POST", path="/experiments")
    state = State(experiments=[ExperimentState(key="e", project_id="1", enabled=True)])
    assert [outcome.state for outcome in await applied(client, state)] == ["failed", "skipped"]


STATE = State(flags=[FlagState(key="a", project_id="1", enabled=True, variants=[VariantState(key="on", payload=1)])])


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

    with pytest.raises(EditConflictError, match=r"variants\.on\.payload was .*, and is 2"):
        await client.apply(plan)
    assert writes(emulator) == []


async def test_what_was_created_or_done_in_between_is_refused(
    emulator: Emulator, client: AsyncExperimentClient
) -> None:
    """Also where it would be as planned."""
    plan = await client.plan(STATE)
    flag = emulator.state.add_flag(key="a")
    with pytest.raises(EditConflictError, match="its id was none, and is"):
        await client.apply(plan)

    plan = await client.plan(State(flags=[FlagState(key="a", enabled=True, name="n")]))
    await client.flags.edit(flag["id"], enabled=True)
    with pytest.raises(EditConflictError, match="enabled was false, and is true"):
        await client.apply(plan)
    await client.flags.edit(flag["id"], name="n")
    with pytest.raises(EditConflictError, match="it is as planned already"):
        await client.apply(plan)


async def test_a_journal_goes_on_where_it_ended(
    emulator: Emulator, client: AsyncExperimentClient, tmp_path: Path
) -> None:
    """What this plan itself has done is no conflict, what others did is."""
    plan = await client.plan(STATE)
    emulator.fail(Fault.status(400), method="PATCH", path="/flags/*")
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


async def test_a_plan_of_another_service_is_refused(client: AsyncExperimentClient) -> None:
    """Ids of one mean nothing to the other."""
    plan = await client.plan(STATE)
    async with AsyncExperimentClient("a-key-of-no-account", base_url="https://host.invalid") as other:
        with pytest.raises(InvalidInputError, match="must be of this service"):
            other.apply(plan)


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
