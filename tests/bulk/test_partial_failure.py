"""Operations that fail half-way, or whose outcome nobody knows: what is told, and what it stops."""

from __future__ import annotations

from typing import Any

import pytest

from amp_exp_async import (
    AddCohorts,
    AddUsers,
    APIConnectionError,
    AsyncExperimentClient,
    BadRequestError,
    CreateFlag,
    Edit,
    NotFoundError,
    OutcomeUnknownError,
    RemoveUsers,
    RemoveVariant,
    ReplaceUsers,
    RetryPolicy,
    ServerError,
)
from amp_exp_async.emulator import Emulator, Fault
from tests.bulk.emulator_snapshot import carried_out, changes, filled, wire, world


def many(first: int, end: int) -> list[str]:
    return [f"x{number}" for number in range(first, end)]


@pytest.mark.parametrize("failing", [1, 2, 3])
async def test_a_removal_that_fails_half_way(client: AsyncExperimentClient, emulator: Emulator, failing: int) -> None:
    """It says which ids are gone, sends no more, and the next operation on the same flag goes on."""
    id = filled(emulator)["flags"]
    emulator.state.add_users("flags", id, "on", many(0, 250))
    emulator.inject(Fault.status(400), method="DELETE", nth=failing)
    failed, later = await carried_out(
        client, RemoveUsers("flags", id, "on", many(0, 250)), AddUsers("flags", id, "on", ["later"])
    )
    arrived = 100 * (failing - 1)
    assert (failed.status, failed.ok, type(failed.error)) == ("failed", False, BadRequestError)
    assert list(failed.changed) == many(0, arrived)
    assert failed.requests == 1 + failing
    assert later.ok
    assert emulator.state.users("flags", id, "on") == ["u1", "u2", "u3", *many(arrived, 250), "later"]


async def test_a_replacement_that_fails_half_way(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """What was added stays added and is told; the removals did not take place."""
    id = filled(emulator)["flags"]
    emulator.inject(Fault.status(403), method="DELETE")
    [outcome] = await carried_out(client, ReplaceUsers("flags", id, "on", ["new", "u1"]))
    assert (outcome.status, outcome.changed, outcome.requests) == ("failed", ("new",), 3)
    assert emulator.state.users("flags", id, "on") == ["u1", "u2", "u3", "new"]


async def test_additions_that_fail_half_way(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """So do additions that take several requests."""
    id = filled(emulator)["flags"]
    emulator.inject(Fault.status(400), method="POST", nth=2)
    [outcome] = await carried_out(client, AddCohorts("flags", id, "on", many(0, 4500)))
    assert (outcome.status, outcome.requests, list(outcome.changed)) == ("failed", 3, many(0, 2000))


LOSSES: dict[str, Fault] = {
    "closed after it was applied": Fault.close(applied=True),
    "closed before": Fault.close(applied=False),
    "cut off": Fault.truncate(),
    "a server error after it was applied": Fault.status(500, applied=True),
    "a server error before": Fault.status(503),
}


@pytest.mark.parametrize("loss", LOSSES)
async def test_nobody_knows(client: AsyncExperimentClient, emulator: Emulator, loss: str) -> None:
    """With all attempts lost, the write is unknown, its ids are not told as changed, and others go on."""
    first = filled(emulator)
    id, fault = first["flags"], LOSSES[loss]
    emulator.inject(fault, method="POST", path=f"/flags/{id}/*", times=5)
    before = world(emulator)
    unknown, later, other = await carried_out(
        client,
        AddUsers("flags", id, "on", ["a"]),
        AddCohorts("flags", id, "on", ["b"]),
        AddUsers("experiments", first["experiments"], "on", ["c"]),
    )
    assert (unknown.status, unknown.changed, unknown.requests) == ("unknown", (), 6)
    assert isinstance(unknown.error, APIConnectionError | ServerError)
    assert (later.status, other.status) == ("done", "done")
    changed = changes(before, world(emulator))
    assert (("flags", id, "on", "users") in changed) == fault.applied
    assert {("flags", id, "on", "cohorts"), ("experiments", first["experiments"], "on", "users")} <= changed.keys()


async def test_doubt_ends_with_its_operation(emulator: Emulator) -> None:
    """One worker after a lost write: what it does next is not in doubt, and a lost reading never is."""
    id = filled(emulator)["flags"]
    options: dict[str, Any] = {"rate_limit": None, "retry": RetryPolicy(max_attempts=1), "max_concurrency": 1}
    emulator.inject(Fault.close(applied=True), method="PATCH")
    emulator.inject(Fault.close(), method="GET")
    emulator.inject(Fault.status(400), method="DELETE")
    async with AsyncExperimentClient(emulator.api_key, base_url=emulator.base_url, **options) as client:
        found = await carried_out(
            client,
            Edit("flags", id, {"enabled": True}),
            AddUsers("flags", id, "on", ["a"]),
            RemoveVariant("flags", id, "on"),
            RemoveVariant("flags", id, "off"),
        )
    assert [outcome.status for outcome in found] == ["unknown", "failed", "failed", "done"]
    assert [outcome.requests for outcome in found] == [1, 1, 1, 1]


async def test_a_retry_that_works_is_no_failure(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """A lost write that may be repeated is repeated, and told as done with all its requests."""
    id = filled(emulator)["flags"]
    emulator.inject(Fault.close(applied=True), method="DELETE", times=2)
    [outcome] = await carried_out(client, RemoveVariant("flags", id, "on"))
    assert (outcome.status, outcome.requests) == ("done", 3)
    assert [variant["key"] for variant in emulator.state.flag(id)["variants"]] == ["off"]


@pytest.mark.parametrize(
    ("fault", "state", "there"),
    [
        (Fault.close(applied=True), "done", True),
        (Fault.truncate(), "done", True),
        (Fault.status(500, applied=True), "done", True),
        (Fault.invalid_json(), "done", True),
        (Fault.status(500), "failed", False),
        (Fault.close(), "unknown", False),
        (Fault.status(502), "unknown", False),
        (Fault.status(400), "failed", False),
    ],
)
async def test_a_creation_is_never_sent_twice(
    client: AsyncExperimentClient, emulator: Emulator, fault: Fault, state: str, there: bool
) -> None:
    """It is settled by reading back: made, not made, or unknown; the outcome has the id of what is there."""
    filled(emulator)
    emulator.inject(fault, method="POST", times=None)
    [outcome] = await carried_out(client, CreateFlag("1", "new"))
    assert outcome.status == state
    assert isinstance(outcome.error, OutcomeUnknownError) == (state == "unknown")
    made = [flag["id"] for flag in emulator.state.flags if flag["key"] == "new"]
    assert len(made) == there
    assert ([outcome.created.id] if outcome.created else []) == made
    assert wire(emulator).count("POST /flags") == 1
    assert outcome.requests == len(emulator.requests)


async def test_one_failure_stops_nothing(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """Operations after a failure are carried out, on the same flag and on others."""
    id = filled(emulator)["flags"]
    found = await carried_out(
        client,
        *(Edit("flags", "nothing", {"name": "x"}) for _ in range(3)),
        RemoveVariant("flags", id, "nothing"),
        Edit("flags", id, {"name": "x"}),
    )
    assert [outcome.status for outcome in found] == ["failed"] * 4 + ["done"]
    assert {type(outcome.error) for outcome in found[:4]} == {NotFoundError}
    assert emulator.state.flag(id)["name"] == "x"
