"""Reruns with the journal of an incomplete run: operations in flight are reconciled, failed ones repeated."""

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
    EditConflictError,
    EditVariant,
    OutcomeUnknownError,
    RemoveVariant,
    ReplaceUsers,
)
from amp_exp_async.bulk.journal import Journal, digest
from amp_exp_async.bulk.results import Outcome
from amp_exp_async.emulator import Emulator, Fault
from tests.bulk.emulator_snapshot import KINDS, changes, collect, execute, populate, sent_requests, snapshot
from tests.bulk.test_handlers import CASES
from tests.crossing import cross


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


def write_journal(path: Path, emulator: Emulator, operations: list[Any], *states: str) -> None:
    """Write a journal with the states of the operations."""
    journal = Journal(path, f"{emulator.base_url}/api/1")
    for index, (operation, state) in enumerate(zip(operations, states, strict=False)):
        write_entries(journal, emulator, index, operation, state)
    journal.close()


def write_entries(journal: Journal, emulator: Emulator, index: int, operation: Any, state: str) -> None:
    """Write the entries of an operation up to its state."""
    ids = {(kind, document["key"]): document["id"] for kind in KINDS for document in getattr(emulator.state, kind)}
    flag = operation.order_key or f"{operation.kind}/{ids.get((operation.kind, operation.key))}"
    if state != "not started":
        journal.write_start(index, digest(operation), operation, flag)
    if state not in {"not started", "begun"}:
        journal.write_outcome(digest(operation), Outcome(operation, index, state), flag)


@pytest.mark.parametrize(
    ("state", "applied"),
    [("begun", True), ("begun", False), ("unknown", True), ("unknown", False), ("failed", False)],
)
@pytest.mark.parametrize(("case", "kind"), cross(list(CASES), KINDS))
async def test_an_operation_in_flight(  # noqa: PLR0917 - fixtures
    client: AsyncExperimentClient, emulator: Emulator, path: Path, case: str, kind: str, applied: bool, state: str
) -> None:
    """After the rerun an operation in flight is applied once, whether or not it was applied before."""
    make, _, _, expected = CASES[case]
    id = populate(emulator)[kind]
    operation, before = make(kind, id), snapshot(emulator)
    if applied:
        await execute(client, operation)
        emulator.requests.clear()
    write_journal(path, emulator, [operation], state)
    [outcome] = await collect(client.bulk([operation], journal=path))
    assert (outcome.status, outcome.error) == ("done", None)
    assert changes(before, snapshot(emulator)) == {(kind, id, *place): value for place, value in expected.items()}
    if applied and case != "remove a variant":
        assert [line for line in sent_requests(emulator) if not line.startswith("GET")] == [], (
            "nothing is written again"
        )
    emulator.requests.clear()
    assert (await client.bulk([operation], journal=path)).skipped == 1
    assert emulator.requests == []


CREATIONS: dict[str, tuple[dict[str, Any] | None, str]] = {
    "missing": (None, "done"),
    "as requested": ({"name": "N", "variants": [{"key": "on"}]}, "done"),
    "another name": ({"name": "M", "variants": [{"key": "on"}]}, "unknown"),
    "other variants": ({"name": "N", "variants": [{"key": "off"}]}, "unknown"),
    "archived since": ({"name": "N", "variants": [{"key": "on"}], "deleted": True}, "done"),
    "in another project": ({"name": "N", "projectId": "2"}, "done"),
}


@pytest.mark.parametrize("cls", [CreateFlag, CreateExperiment])
@pytest.mark.parametrize("case", CREATIONS)
async def test_a_creation_in_flight(
    client: AsyncExperimentClient, emulator: Emulator, path: Path, cls: type[Any], case: str
) -> None:
    """A creation in flight is looked up first: it may exist as requested, differ, or not exist."""
    existing, state = CREATIONS[case]
    kind: Any = "flags" if cls is CreateFlag else "experiments"
    live = None if existing is None else emulator.state.add(kind, {"key": "new", **existing})
    operation = cls("1", "new", name="N", variants=[{"key": "on"}])
    write_journal(path, emulator, [operation], "begun")
    [outcome] = await collect(client.bulk([operation], journal=path))
    assert outcome.status == state
    assert isinstance(outcome.error, OutcomeUnknownError) == (state == "unknown")
    sent = [line for line in sent_requests(emulator) if line.startswith("POST")]
    if live is None or live["projectId"] == "2":
        assert (len(sent), outcome.requests) == (1, 2)
    else:
        assert sent == []
        assert (outcome.created is None) == (state == "unknown")
        assert outcome.created is None or outcome.created.id == live["id"]
    made = emulator.state.flags if cls is CreateFlag else emulator.state.experiments
    assert len([document for document in made if document["projectId"] == "1"]) == 1


async def test_a_variant_creation_in_flight(client: AsyncExperimentClient, emulator: Emulator, path: Path) -> None:
    """A variant that exists but differs is unknown: it is neither created nor changed."""
    id = populate(emulator)["flags"]
    operation = CreateVariant("flags", id, "on", name="Other")
    write_journal(path, emulator, [operation], "begun")
    [outcome] = await collect(client.bulk([operation], journal=path))
    assert (outcome.status, type(outcome.error)) == ("unknown", OutcomeUnknownError)
    assert "The variant exists, but differs" in str(outcome.error)
    assert sent_requests(emulator) == [f"GET /flags/{id}/variants/on"]


async def slowly(items: list[Any]) -> AsyncGenerator[Any, None]:
    """Yield the items, the last after a pause in which the others finish."""
    for item in items[:-1]:
        yield item
    await asyncio.sleep(0.05)
    yield items[-1]


@pytest.mark.parametrize("slow", [False, True], ids=["list", "slow generator"])
@pytest.mark.parametrize("naming", ["id", "key", "key of a creation"])
@pytest.mark.parametrize("state", ["failed", "begun", "unknown"])
async def test_operations_after_a_repeated_one(  # noqa: PLR0917 - fixtures
    client: AsyncExperimentClient, emulator: Emulator, path: Path, naming: str, state: str, slow: bool
) -> None:
    """Later operations on the same flag are applied again, so that the last one wins."""
    document = emulator.state.add_flag(key="k")
    other = emulator.state.add_flag(key="other")
    where: dict[str, Any] = {"id": document["id"]} if naming == "id" else {"key": "k", "project_id": "1"}
    operations: list[Any] = [
        CreateFlag("1", "k") if naming == "key of a creation" else AddUsers("flags", other["id"], "on", ["z"]),
        ReplaceUsers("flags", variant="on", users=["first"], **where),
        AddUsers("flags", other["id"], "on", ["z"]),
        ReplaceUsers("flags", variant="on", users=["last"], **where),
    ]
    write_journal(path, emulator, operations, "done", state, "done", "done")
    emulator.state.add_users("flags", document["id"], "on", ["last"])
    emulator.inject(Fault.delay(0.005), times=None)
    outcomes = await collect(client.bulk(slowly(operations) if slow else operations, journal=path))
    assert emulator.state.users("flags", document["id"], "on") == ["last"]
    assert [outcome.status for outcome in outcomes] == ["skipped", "done", "skipped", "done"]
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
    """A completed sequence that is applied again after a failed operation ends in the same state."""
    id = populate(emulator)["flags"]
    operations = [Edit("flags", id, {"tags": ["t"]}), *(make(id) for make in SEQUENCES[case])]
    assert all(outcome.ok for outcome in await execute(client, *operations[1:]))
    before = snapshot(emulator)
    write_journal(path, emulator, operations, "failed", *["done"] * 2)
    outcomes = await collect(client.bulk(operations, journal=path))
    assert [(outcome.status, outcome.error) for outcome in outcomes] == [("done", None)] * 3
    assert changes(before, snapshot(emulator)) == {("flags", id, "tags"): ["t"]}
    emulator.requests.clear()
    assert (await client.bulk(operations, journal=path)).skipped == 3
    assert emulator.requests == []


async def test_a_repeated_failure(client: AsyncExperimentClient, emulator: Emulator, path: Path) -> None:
    """An operation that fails in every run does not cause later ones to be applied again."""
    id = populate(emulator)["flags"]
    operations = [RemoveVariant("flags", id, "nothing"), Edit("flags", id, {"name": "x"})]
    for state in ("done", "skipped", "skipped"):
        outcomes = await collect(client.bulk(operations, journal=path))
        assert [outcome.status for outcome in outcomes] == ["failed", state]
    assert sent_requests(emulator).count(f"PATCH /flags/{id}") == 1


@pytest.mark.parametrize("cut", range(5))
async def test_a_rerun_that_is_killed(client: AsyncExperimentClient, emulator: Emulator, path: Path, cut: int) -> None:
    """Wherever a rerun of [failed, done] is killed, the next one ends with the last operation applied."""
    id = populate(emulator)["flags"]
    operations = [Edit("flags", id, {"description": text}) for text in ("first", "second")]
    write_journal(path, emulator, operations, "failed", "done")
    rerun = [(0, "begun"), (0, "done"), (1, "begun"), (1, "done")][:cut]
    journal = Journal(path, f"{emulator.base_url}/api/1")
    for index, state in rerun:
        write_entries(journal, emulator, index, operations[index], state)
    journal.close()
    await client.flags.edit(id, description="first" if cut else "second")  # the state that rerun has left

    assert (await client.bulk(operations, journal=path)).ok
    if cut < 4:
        assert emulator.state.flag(id)["description"] == "second"
    else:
        assert emulator.state.flag(id)["description"] == "first"  # completed, then edited by somebody else


@pytest.mark.parametrize("cls", [CreateFlag, CreateExperiment])
async def test_a_created_flag_whose_key_another_one_has(
    client: AsyncExperimentClient, emulator: Emulator, path: Path, cls: type[Any]
) -> None:
    """Operations on a flag that an earlier run created go to this flag, even if another one has its key."""
    kind: Any = "flags" if cls is CreateFlag else "experiments"
    operations = [
        cls("1", "new", variants=[{"key": "on"}]),
        ReplaceUsers(kind=kind, key="new", project_id="1", variant="on", users=["u"]),
    ]
    emulator.inject(Fault.status(400), method="POST", path=f"/{kind}/*/variants/on/users")
    first, second = await collect(client.bulk(operations, journal=path))
    assert (first.status, second.status) == ("done", "failed")
    await getattr(client, kind).archive(first.created.id)
    other = emulator.state.add(kind, {"key": "new", "projectId": "1", "variants": [{"key": "on"}]})
    emulator.state.add_users(kind, other["id"], "on", ["theirs"])
    emulator.requests.clear()

    skipped, refused = await collect(client.bulk(operations, journal=path))
    assert (skipped.status, refused.status) == ("skipped", "failed")
    assert emulator.state.users(kind, other["id"], "on") == ["theirs"]
    assert not any(f"/{kind}/{other['id']}" in line for line in sent_requests(emulator))


async def test_a_journal_without_ids_of_creations(
    client: AsyncExperimentClient, emulator: Emulator, path: Path
) -> None:
    """The journal of an earlier version is continued: the key names the flag."""
    operations = [CreateFlag("1", "new"), Edit("flags", key="new", project_id="1", changes={"name": "N"})]
    live = emulator.state.add_flag(key="new", projectId="1")
    write_journal(path, emulator, operations, "done", "failed")
    assert (await client.bulk(operations, journal=path)).ok
    assert emulator.state.flag(live["id"])["name"] == "N"


async def test_a_creation_of_unknown_outcome_whose_key_another_flag_has(
    client: AsyncExperimentClient, emulator: Emulator, path: Path
) -> None:
    """The rerun can tell neither whether it was applied, nor whose flag it is: it changes nothing."""
    operations = [CreateFlag("1", "new", name="N"), Edit("flags", key="new", project_id="1", changes={"tags": ["t"]})]
    write_journal(path, emulator, operations, "unknown")
    emulator.state.add_flag(key="new", projectId="1", name="theirs", description="theirs")
    creation, edit = await collect(client.bulk(operations, journal=path))
    assert (creation.status, edit.status) == ("unknown", "skipped")
    assert "an earlier operation on this flag failed" in str(edit.error)
    assert [line for line in sent_requests(emulator) if not line.startswith("GET")] == []


@pytest.mark.parametrize("state", ["begun", "unknown", "failed"])
async def test_a_key_that_names_another_flag_than_in_the_earlier_run(
    client: AsyncExperimentClient, emulator: Emulator, path: Path, state: str
) -> None:
    """The operation is not sent to it."""
    old = emulator.state.add_flag(key="k", projectId="1")
    operations = [Edit("flags", key="k", project_id="1", changes={"name": "N"})]
    write_journal(path, emulator, operations, state)
    await client.flags.archive(old["id"])
    new = emulator.state.add_flag(key="k", projectId="1")
    emulator.requests.clear()
    [outcome] = await collect(client.bulk(operations, journal=path))
    assert outcome.status == ("failed" if state == "failed" else "unknown")
    assert isinstance(outcome.error, EditConflictError)
    assert f"changed flags/{old['id']}, but the key names flags/{new['id']} now" in str(outcome.error)
    assert [line for line in sent_requests(emulator) if not line.startswith("GET")] == []


DOUBTS: dict[str, tuple[Any, str]] = {
    "creation": (CreateFlag("1", "new"), "GET"),
    "creation of a variant": (CreateVariant("flags", "1", "new"), "GET"),
    "rename": (EditVariant("flags", "1", "on", {"key": "renamed"}), "GET"),
    "removal of a variant": (RemoveVariant("flags", "1", "on"), "DELETE"),
    "archiving": (Edit("flags", "1", {"archive": True}), "GET"),
    "inclusion": (AddUsers("flags", "1", "on", ["u"]), "GET"),
}


@pytest.mark.parametrize("state", ["begun", "unknown"])
@pytest.mark.parametrize("case", DOUBTS)
async def test_a_rerun_that_cannot_settle_an_outcome(
    client: AsyncExperimentClient, emulator: Emulator, path: Path, case: str, state: str
) -> None:
    """The outcome stays unknown, and the next rerun settles it without a second write."""
    operation, method = DOUBTS[case]
    emulator.state.add_flag(id="1", key="k", projectId="1", variants=[{"key": "on"}])
    await execute(client, operation)
    write_journal(path, emulator, [operation], state)
    emulator.inject(Fault.status(403), method=method)
    [outcome] = await collect(client.bulk([operation], journal=path))
    assert (outcome.status, type(outcome.error).__name__) == ("unknown", "PermissionDeniedError")
    before = snapshot(emulator)
    [outcome] = await collect(client.bulk([operation], journal=path))
    assert (outcome.status, outcome.error) == ("done", None)
    assert changes(before, snapshot(emulator)) == {}


async def test_an_operation_that_was_certainly_not_applied(
    client: AsyncExperimentClient, emulator: Emulator, path: Path
) -> None:
    """If a rerun has read that it was not applied, and the service refuses it, it has failed."""
    operation = CreateVariant("flags", "1", "new")
    emulator.state.add_flag(id="1", key="k", projectId="1")
    write_journal(path, emulator, [operation], "unknown")
    emulator.inject(Fault.status(403), method="POST")
    [outcome] = await collect(client.bulk([operation], journal=path))
    assert outcome.status == "failed"
