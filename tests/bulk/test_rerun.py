"""A rerun with the journal of a run that did not end well: what was in flight is settled, what failed is repeated."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from amp_exp_async import (
    AddUsers,
    AsyncExperimentClient,
    CreateExperiment,
    CreateFlag,
    CreateVariant,
    Edit,
    EditVariant,
    OutcomeUnknownError,
    RemoveVariant,
    ReplaceUsers,
)
from amp_exp_async.bulk.journal import Journal, digest
from amp_exp_async.bulk.results import Outcome
from amp_exp_async.emulator import Emulator, Fault
from tests.bulk.emulator_snapshot import KINDS, carried_out, changes, filled, outcomes, wire, world
from tests.bulk.test_handlers import CASES


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


def write(path: Path, emulator: Emulator, operations: list[Any], *states: str) -> None:
    """A journal in which the operations came so far."""
    journal = Journal(path, f"{emulator.base_url}/api/1")
    for index, (operation, state) in enumerate(zip(operations, states, strict=False)):
        note(journal, emulator, index, operation, state)
    journal.close()


def note(journal: Journal, emulator: Emulator, index: int, operation: Any, state: str) -> None:
    """Note how far an operation came."""
    ids = {(kind, one["key"]): one["id"] for kind in KINDS for one in getattr(emulator.state, kind)}
    flag = operation.order_key or f"{operation.kind}/{ids.get((operation.kind, operation.key))}"
    if state != "not begun":
        journal.write_start(index, digest(operation), operation, flag)
    if state not in {"not begun", "begun"}:
        journal.write_outcome(digest(operation), Outcome(operation, index, state), flag)


@pytest.mark.parametrize(
    ("state", "applied"),
    [("begun", True), ("begun", False), ("unknown", True), ("unknown", False), ("failed", False)],
)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", CASES)
async def test_in_flight(  # noqa: PLR0917 - fixtures
    client: AsyncExperimentClient, emulator: Emulator, path: Path, case: str, kind: str, applied: bool, state: str
) -> None:
    """Whether or not an operation was applied before its end was noted, after the rerun it is, once."""
    make, _, _, expected = CASES[case]
    id = filled(emulator)[kind]
    operation, before = make(kind, id), world(emulator)
    if applied:
        await carried_out(client, operation)
        emulator.requests.clear()
    write(path, emulator, [operation], state)
    [outcome] = await outcomes(client.bulk([operation], journal=path))
    assert (outcome.status, outcome.error) == ("done", None)
    assert changes(before, world(emulator)) == {(kind, id, *place): value for place, value in expected.items()}
    if applied and case != "remove a variant":
        assert [line for line in wire(emulator) if not line.startswith("GET")] == [], "nothing is written again"
    emulator.requests.clear()
    assert (await client.bulk([operation], journal=path)).skipped == 1
    assert emulator.requests == []


CREATIONS: dict[str, tuple[dict[str, Any] | None, str]] = {
    "not there": (None, "done"),
    "there and as asked": ({"name": "N", "variants": [{"key": "on"}]}, "done"),
    "there with another name": ({"name": "M", "variants": [{"key": "on"}]}, "unknown"),
    "there with other variants": ({"name": "N", "variants": [{"key": "off"}]}, "unknown"),
    "there, archived since": ({"name": "N", "variants": [{"key": "on"}], "deleted": True}, "done"),
    "there in another project": ({"name": "N", "projectId": "2"}, "done"),
}


@pytest.mark.parametrize("cls", [CreateFlag, CreateExperiment])
@pytest.mark.parametrize("case", CREATIONS)
async def test_a_creation_in_flight(
    client: AsyncExperimentClient, emulator: Emulator, path: Path, cls: type[Any], case: str
) -> None:
    """It is looked for first: it may be there as it was asked for, be another one, or not be there."""
    there, state = CREATIONS[case]
    kind: Any = "flags" if cls is CreateFlag else "experiments"
    found = None if there is None else emulator.state.add(kind, {"key": "new", **there})
    operation = cls("1", "new", name="N", variants=[{"key": "on"}])
    write(path, emulator, [operation], "begun")
    [outcome] = await outcomes(client.bulk([operation], journal=path))
    assert outcome.status == state
    assert isinstance(outcome.error, OutcomeUnknownError) == (state == "unknown")
    sent = [line for line in wire(emulator) if line.startswith("POST")]
    if found is None or found["projectId"] == "2":
        assert (len(sent), outcome.requests) == (1, 2)
    else:
        assert sent == []
        assert (outcome.created is None) == (state == "unknown")
        assert outcome.created is None or outcome.created.id == found["id"]
    made = emulator.state.flags if cls is CreateFlag else emulator.state.experiments
    assert len([document for document in made if document["projectId"] == "1"]) == 1


async def test_a_variants_creation_in_flight(client: AsyncExperimentClient, emulator: Emulator, path: Path) -> None:
    """A variant that is there, but not as it was asked for, is in doubt: it is neither made nor changed."""
    id = filled(emulator)["flags"]
    operation = CreateVariant("flags", id, "on", name="Other")
    write(path, emulator, [operation], "begun")
    [outcome] = await outcomes(client.bulk([operation], journal=path))
    assert (outcome.status, type(outcome.error)) == ("unknown", OutcomeUnknownError)
    assert "The variant exists, but differs" in str(outcome.error)
    assert wire(emulator) == [f"GET /flags/{id}/variants/on"]


async def slowly(items: list[Any]) -> AsyncGenerator[Any, None]:
    """The items, the last once everything before it has had time to be done."""
    for item in items[:-1]:
        yield item
    await asyncio.sleep(0.05)
    yield items[-1]


@pytest.mark.parametrize("slow", [False, True], ids=["list", "slow generator"])
@pytest.mark.parametrize("naming", ["id", "key", "key of a creation"])
@pytest.mark.parametrize("state", ["failed", "begun", "unknown"])
async def test_what_came_after_a_repeated_operation(  # noqa: PLR0917 - fixtures
    client: AsyncExperimentClient, emulator: Emulator, path: Path, naming: str, state: str, slow: bool
) -> None:
    """What was done to the same flag after it is done after it once more: the last one wins, as in the input."""
    document = emulator.state.add_flag(key="k")
    other = emulator.state.add_flag(key="other")
    where: dict[str, Any] = {"id": document["id"]} if naming == "id" else {"key": "k", "project_id": "1"}
    operations: list[Any] = [
        CreateFlag("1", "k") if naming == "key of a creation" else AddUsers("flags", other["id"], "on", ["z"]),
        ReplaceUsers("flags", variant="on", users=["first"], **where),
        AddUsers("flags", other["id"], "on", ["z"]),
        ReplaceUsers("flags", variant="on", users=["last"], **where),
    ]
    write(path, emulator, operations, "done", state, "done", "done")
    emulator.state.add_users("flags", document["id"], "on", ["last"])
    emulator.inject(Fault.delay(0.005), times=None)
    found = await outcomes(client.bulk(slowly(operations) if slow else operations, journal=path))
    assert emulator.state.users("flags", document["id"], "on") == ["last"]
    assert [outcome.status for outcome in found] == ["skipped", "done", "skipped", "done"]
    assert not any(other["id"] in request.path for request in emulator.requests)


SEQUENCES: dict[str, list[Any]] = {
    "created and removed": [
        lambda id: CreateVariant("flags", id, "v", name="a"),
        lambda id: RemoveVariant("flags", id, "v"),
    ],
    "created and edited": [
        lambda id: CreateVariant("flags", id, "v", name="a"),
        lambda id: EditVariant("flags", id, "v", {"name": "b"}),
    ],
    "edited twice": [
        lambda id: EditVariant("flags", id, "on", {"name": "a"}),
        lambda id: EditVariant("flags", id, "on", {"name": "b"}),
    ],
    "removed and created": [
        lambda id: RemoveVariant("flags", id, "on"),
        lambda id: CreateVariant("flags", id, "on", name="a"),
    ],
    "archived and restored": [
        lambda id: Edit("flags", id, {"archive": True}),
        lambda id: Edit("flags", id, {"archive": False}),
    ],
}


@pytest.mark.parametrize("case", SEQUENCES)
async def test_sequences_after_a_repeated_operation(
    client: AsyncExperimentClient, emulator: Emulator, path: Path, case: str
) -> None:
    """A sequence that was done once, and is done again after an operation that had failed, ends as it did."""
    id = filled(emulator)["flags"]
    operations = [Edit("flags", id, {"tags": ["t"]}), *(make(id) for make in SEQUENCES[case])]
    assert all(outcome.ok for outcome in await carried_out(client, *operations[1:]))
    before = world(emulator)
    write(path, emulator, operations, "failed", *["done"] * 2)
    found = await outcomes(client.bulk(operations, journal=path))
    assert [(outcome.status, outcome.error) for outcome in found] == [("done", None)] * 3
    assert changes(before, world(emulator)) == {("flags", id, "tags"): ["t"]}
    emulator.requests.clear()
    assert (await client.bulk(operations, journal=path)).skipped == 3
    assert emulator.requests == []


async def test_a_failure_that_fails_again(client: AsyncExperimentClient, emulator: Emulator, path: Path) -> None:
    """What cannot be done stays failed, run after run; what was done after it is not touched."""
    id = filled(emulator)["flags"]
    operations = [RemoveVariant("flags", id, "nothing"), Edit("flags", id, {"name": "x"})]
    for state in ("done", "skipped", "skipped"):
        found = await outcomes(client.bulk(operations, journal=path))
        assert [outcome.status for outcome in found] == ["failed", state]
    assert wire(emulator).count(f"PATCH /flags/{id}") == 1


@pytest.mark.parametrize("cut", range(5))
async def test_a_rerun_that_is_killed_itself(
    client: AsyncExperimentClient, emulator: Emulator, path: Path, cut: int
) -> None:
    """Wherever a rerun of [failed, done] was killed, the next one ends with the last operation on the flag applied."""
    id = filled(emulator)["flags"]
    operations = [Edit("flags", id, {"description": text}) for text in ("first", "second")]
    write(path, emulator, operations, "failed", "done")
    rerun = [(0, "begun"), (0, "done"), (1, "begun"), (1, "done")][:cut]
    journal = Journal(path, f"{emulator.base_url}/api/1")
    for index, state in rerun:
        note(journal, emulator, index, operations[index], state)
    journal.close()
    await client.flags.edit(id, description="first" if cut else "second")  # what that rerun has left behind

    assert (await client.bulk(operations, journal=path)).ok
    if cut < 4:
        assert emulator.state.flag(id)["description"] == "second"
    else:
        assert emulator.state.flag(id)["description"] == "first"  # it was done, and somebody else has edited it since
