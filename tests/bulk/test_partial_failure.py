"""Operations that fail in part or have an unknown outcome: what is reported, and what continues."""

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
from tests.bulk.emulator_snapshot import changes, execute, populate, sent_requests, snapshot


def many(first: int, end: int) -> list[str]:
    return [f"x{number}" for number in range(first, end)]


@pytest.mark.parametrize("failing", [1, 2, 3])
async def test_a_removal_that_fails_in_part(client: AsyncExperimentClient, emulator: Emulator, failing: int) -> None:
    """A failed removal reports the removed IDs and sends no more; the next operation on the flag runs."""
    id = populate(emulator)["flags"]
    emulator.state.add_users("flags", id, "on", many(0, 250))
    emulator.inject(Fault.status(400), method="DELETE", nth=failing)
    failed, later = await execute(
        client, RemoveUsers("flags", id, "on", many(0, 250)), AddUsers("flags", id, "on", ["later"])
    )
    arrived = 100 * (failing - 1)
    assert (failed.status, failed.ok, type(failed.error)) == ("failed", False, BadRequestError)
    assert list(failed.changed) == many(0, arrived)
    assert failed.requests == 2 + failing  # the list is read before, and after the refusal
    assert later.ok
    assert emulator.state.users("flags", id, "on") == ["u1", "u2", "u3", *many(arrived, 250), "later"]


async def test_a_replacement_that_fails_in_part(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """A failed replacement reports the added IDs; nothing was removed."""
    id = populate(emulator)["flags"]
    emulator.inject(Fault.status(403), method="DELETE")
    [outcome] = await execute(client, ReplaceUsers("flags", id, "on", ["new", "u1"]))
    assert (outcome.status, outcome.changed, outcome.requests) == ("failed", ("new",), 3)
    assert emulator.state.users("flags", id, "on") == ["u1", "u2", "u3", "new"]


async def test_additions_that_fail_in_part(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """Failed additions report the IDs of the requests before."""
    id = populate(emulator)["flags"]
    emulator.inject(Fault.status(400), method="POST", nth=2)
    [outcome] = await execute(client, AddCohorts("flags", id, "on", many(0, 4500)))
    assert (outcome.status, outcome.requests, list(outcome.changed)) == ("failed", 3, many(0, 2000))


LOSSES: dict[str, Fault] = {
    "closed after it was applied": Fault.close(applied=True),
    "closed before": Fault.close(applied=False),
    "cut off": Fault.truncate(),
    "a server error after it was applied": Fault.status(500, applied=True),
    "a server error before": Fault.status(503),
}


@pytest.mark.parametrize("loss", LOSSES)
async def test_an_ambiguous_write(client: AsyncExperimentClient, emulator: Emulator, loss: str) -> None:
    """A write with an ambiguous last attempt is unknown, its IDs do not count as changed, and others continue."""
    first = populate(emulator)
    id, fault = first["flags"], LOSSES[loss]
    emulator.inject(fault, method="POST", path=f"/flags/{id}/*", times=5)
    before = snapshot(emulator)
    unknown, later, other = await execute(
        client,
        AddUsers("flags", id, "on", ["a"]),
        AddCohorts("flags", id, "on", ["b"]),
        AddUsers("experiments", first["experiments"], "on", ["c"]),
    )
    assert (unknown.status, unknown.changed, unknown.requests) == ("unknown", (), 6)
    assert isinstance(unknown.error, APIConnectionError | ServerError)
    assert (later.status, other.status) == ("done", "done")
    changed = changes(before, snapshot(emulator))
    assert (("flags", id, "on", "users") in changed) == fault.applied
    assert {("flags", id, "on", "cohorts"), ("experiments", first["experiments"], "on", "users")} <= changed.keys()


async def test_ambiguity_ends_with_its_operation(emulator: Emulator) -> None:
    """After an ambiguous write, the next operation of the worker is not unknown; an ambiguous read never is."""
    id = populate(emulator)["flags"]
    options: dict[str, Any] = {"rate_limit": None, "retry": RetryPolicy(max_attempts=1), "max_concurrency": 1}
    emulator.inject(Fault.close(applied=True), method="PATCH")
    emulator.inject(Fault.close(), method="GET")
    emulator.inject(Fault.status(400), method="DELETE")
    async with AsyncExperimentClient(emulator.api_key, base_url=emulator.base_url, **options) as client:
        outcomes = await execute(
            client,
            Edit("flags", id, {"enabled": True}),
            AddUsers("flags", id, "on", ["a"]),
            RemoveVariant("flags", id, "on"),
            RemoveVariant("flags", id, "off"),
        )
    assert [outcome.status for outcome in outcomes] == ["unknown", "failed", "failed", "done"]
    assert [outcome.requests for outcome in outcomes] == [1, 1, 1, 1]


async def test_a_successful_retry(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """An idempotent ambiguous write is retried and reported as done, with all its requests."""
    id = populate(emulator)["flags"]
    emulator.inject(Fault.close(applied=True), method="DELETE", times=2)
    [outcome] = await execute(client, RemoveVariant("flags", id, "on"))
    assert (outcome.status, outcome.requests) == ("done", 3)
    assert [variant["key"] for variant in emulator.state.flag(id)["variants"]] == ["off"]


@pytest.mark.parametrize(
    ("fault", "state", "exists"),
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
    client: AsyncExperimentClient, emulator: Emulator, fault: Fault, state: str, exists: bool
) -> None:
    """A creation is reconciled by reading back: created, not created or unknown; the outcome has the live ID."""
    populate(emulator)
    emulator.inject(fault, method="POST", times=None)
    [outcome] = await execute(client, CreateFlag("1", "new"))
    assert outcome.status == state
    assert isinstance(outcome.error, OutcomeUnknownError) == (state == "unknown")
    created = [flag["id"] for flag in emulator.state.flags if flag["key"] == "new"]
    assert len(created) == exists
    assert ([outcome.created.id] if outcome.created else []) == created
    assert sent_requests(emulator).count("POST /flags") == 1
    assert outcome.requests == len(emulator.requests)


async def test_other_operations_continue_after_a_failure(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """Operations after a failure run, on the same flag and on others."""
    id = populate(emulator)["flags"]
    outcomes = await execute(
        client,
        *(Edit("flags", "nothing", {"name": "x"}) for _ in range(3)),
        RemoveVariant("flags", id, "nothing"),
        Edit("flags", id, {"name": "x"}),
    )
    assert [outcome.status for outcome in outcomes] == ["failed"] * 4 + ["done"]
    assert {type(outcome.error) for outcome in outcomes[:4]} == {NotFoundError}
    assert emulator.state.flag(id)["name"] == "x"
