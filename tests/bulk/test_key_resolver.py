"""Flags and experiments named by key: the list requests that resolve them, and the order of operations."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from typing import Any

import pytest

from amp_exp_async import (
    AddUsers,
    AsyncExperimentClient,
    CreateFlag,
    Edit,
    InvalidInputError,
    NotFoundError,
    ReplaceUsers,
    ServerError,
)
from amp_exp_async.emulator import Emulator, Fault
from tests.bulk.emulator_snapshot import collect, execute


def flags(emulator: Emulator, count: int, project: str = "1", prefix: str = "k") -> list[str]:
    """Add flags to a project and return their keys."""
    return [emulator.state.add_flag(key=f"{prefix}{n}", projectId=project)["key"] for n in range(count)]


def edits(keys: Iterable[str], **where: Any) -> list[Edit]:
    return [Edit("flags", key=key, changes={"name": f"named {key}"}, **where) for key in keys]


def lists(emulator: Emulator) -> list[dict[str, str]]:
    """Return the queries of the list requests."""
    paths = {"/api/1/flags", "/api/1/experiments"}
    return [dict(request.query) for request in emulator.requests if request.method == "GET" and request.path in paths]


def named(emulator: Emulator) -> set[str]:
    return {flag["key"] for flag in emulator.state.flags if flag["name"] == f"named {flag['key']}"}


@pytest.mark.parametrize("where", [{}, {"project_id": "1"}], ids=["any project", "one project"])
@pytest.mark.parametrize(("count", "requests"), [(1, 1), (2, 1), (500, 1)])
async def test_keys_of_one_project(
    client: AsyncExperimentClient, emulator: Emulator, count: int, requests: int, where: dict[str, str]
) -> None:
    """A single key is looked up directly; several are resolved from one page."""
    keys = flags(emulator, 500)
    run = client.bulk(edits(keys[:count], **where))
    assert (await run).ok
    assert named(emulator) == set(keys[:count])
    assert len(lists(emulator)) == requests
    assert (lists(emulator)[0].get("key") == "k0") == (count == 1)
    assert run.summary.requests == len(emulator.requests) == count + requests


@pytest.mark.parametrize("operations", [2, 50])
async def test_a_repeated_key(client: AsyncExperimentClient, emulator: Emulator, operations: int) -> None:
    """A key is looked up once for all operations, which keep their order."""
    [key, _] = flags(emulator, 2)
    id = emulator.state.flags[0]["id"]
    done = await execute(client, *(Edit("flags", key=key, changes={"name": f"{n}"}) for n in range(operations)))
    assert all(outcome.ok for outcome in done)
    assert len(lists(emulator)) == 1
    assert [r.body["name"] for r in emulator.requests if r.method == "PATCH"] == [f"{n}" for n in range(operations)]
    assert emulator.state.flag(id)["name"] == f"{operations - 1}"


# The numbers of flags that are named by key, and how many list requests that takes at most.
SELECTIONS: dict[str, tuple[Iterable[int], int]] = {
    "looked up directly": ([0], 1),
    "on the first page, newest first": ([2199, 2100, 2000], 1),
    "on three pages": ([2199, 0, 1], 3),
    "fewer than pages, so looked up directly": ([2199, 0], 3),
    "everywhere": (range(0, 2200, 100), 3),
}


async def test_a_list_of_several_pages(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """No more pages are read than needed, and no more than there are keys."""
    keys = flags(emulator, 2200)
    done: set[str] = set()
    for case, (numbers, requests) in SELECTIONS.items():
        emulator.requests.clear()
        selected = [keys[n] for n in numbers]
        assert (await client.bulk(edits(selected, project_id="1"))).ok, case
        done |= set(selected)
        assert named(emulator) == done, case
        assert len([r for r in emulator.requests if r.method == "PATCH"]) == len(selected), case
        assert len(lists(emulator)) <= requests, case


async def test_several_projects_and_both_kinds(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """Each project and kind takes one list request; the same key in another project is another flag."""
    for project in ("1", "2"):
        flags(emulator, 30, project)
    for number in range(30):
        emulator.state.add("experiments", {"key": f"k{number}"})
    operations = [
        Edit(kind, key=f"k{number}", project_id=project, changes={"name": f"{kind} {project} {number}"})
        for number in range(30)
        for kind, project in (("flags", "1"), ("flags", "2"), ("experiments", "1"))
    ]
    assert (await client.bulk(operations)).ok
    assert len(lists(emulator)) == 3
    for kind, documents in (("flags", emulator.state.flags), ("experiments", emulator.state.experiments)):
        for document in documents:
            assert document["name"] == f"{kind} {document['projectId']} {document['key'][1:]}"


async def test_a_key_that_exists_in_several_projects(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """An ambiguous key without a project is rejected, and nothing is written."""
    for project in ("1", "2"):
        flags(emulator, 3, project)
    flags(emulator, 1, "3", "only")
    outcomes = await execute(client, *edits(["k1", "only0", "k2"]))
    assert [outcome.status for outcome in outcomes] == ["failed", "done", "failed"]
    assert isinstance(outcomes[0].error, InvalidInputError)
    assert "exists 2 times" in str(outcomes[0].error)
    assert named(emulator) == {"only0"}


async def test_a_duplicate_on_a_later_page(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """Without a project, a key counts as unique only after all pages are read."""
    flags(emulator, 1, "2", "duplicate")
    flags(emulator, 1000)
    flags(emulator, 1, "1", "duplicate")
    outcomes = await execute(client, *edits(["duplicate0", "k999"]))
    assert [outcome.status for outcome in outcomes] == ["failed", "done"]
    assert named(emulator) == {"k999"}


@pytest.mark.parametrize("count", [1, 3])
async def test_a_key_that_does_not_exist(client: AsyncExperimentClient, emulator: Emulator, count: int) -> None:
    """An unknown key fails only its own operations; an archived flag is found."""
    flags(emulator, 3)
    emulator.state.add_flag(key="archived", deleted=True)
    restore = Edit("flags", key="archived", changes={"archive": False})
    pairs = [*edits(["nothing"]), restore] * count
    outcomes = await execute(client, *edits(["k0"]), *pairs, *edits(["k2"]))
    assert [outcome.status for outcome in outcomes] == ["done", *["failed", "done"] * count, "done"]
    assert all(type(outcome.error) is NotFoundError for outcome in outcomes[1:-1:2])
    assert 'no flag with key "nothing" in any project' in str(outcomes[1].error)
    assert named(emulator) == {"k0", "k2"}
    assert [flag["deleted"] for flag in emulator.state.flags if flag["key"] == "archived"] == [False]
    assert len(lists(emulator)) == 3


async def test_a_flag_on_two_pages(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """A flag that comes on two pages, because another was created between them, exists once."""
    keys = flags(emulator, 3)
    first, second, third = reversed(emulator.state.flags)
    pages: list[dict[str, Any]] = [{"flags": [first, second], "nextCursor": 2}, {"flags": [second, third]}]
    for number, page in enumerate(pages, 1):
        emulator.inject(Fault.status(200, body=page), method="GET", path="/flags", nth=number, times=1)
    assert (await client.bulk(edits(keys))).ok
    assert named(emulator) == set(keys)
    assert len(lists(emulator)) == 2


async def test_a_list_with_a_flag_on_two_pages(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """A run over a list meets a flag once that moves to the next page meanwhile, and so does a lookup by key."""
    keys = flags(emulator, 3)
    first, second, third = reversed(emulator.state.flags)
    pages: list[dict[str, Any]] = [{"flags": [first, second], "nextCursor": 2}, {"flags": [second, third]}]
    for number, page in enumerate(pages, 1):
        emulator.inject(Fault.status(200, body=page), method="GET", path="/flags", nth=number, times=1)
    operations = (Edit("flags", flag.id, {"name": f"named {flag.key}"}) async for flag in client.flags.list())
    assert (await client.bulk(operations)).done == 3
    assert named(emulator) == set(keys)
    pages = [{"flags": [second], "nextCursor": 1}, {"flags": [second]}]
    for number, page in enumerate(pages, 1):
        emulator.inject(Fault.status(200, body=page), method="GET", path="/flags", nth=number, times=1)
    assert (await client.bulk(edits([second["key"]]))).ok


async def test_a_list_that_cannot_be_read(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """A failing list fails the operations that need it, not those by ID."""
    flags(emulator, 3)
    id = emulator.state.flags[2]["id"]
    emulator.inject(Fault.status(500), path="/flags", times=None)
    outcomes = await execute(client, *edits(["k0", "k1"]), Edit("flags", id, {"name": "named k2"}))
    assert [outcome.status for outcome in outcomes] == ["failed", "failed", "done"]
    assert isinstance(outcomes[0].error, ServerError)
    assert named(emulator) == {"k2"}


async def test_by_key_and_by_id(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """Operations on one flag keep their order and never overlap, whether they name it by ID or by key."""
    flags(emulator, 3)
    id = emulator.state.flags[0]["id"]
    emulator.inject(Fault.delay(0.02), method="PATCH", times=None)
    ways: list[dict[str, Any]] = [{"id": id}, {"key": "k0"}, {"key": "k0", "project_id": "1"}, {"id": int(id)}]
    operations = [Edit("flags", changes={"name": f"{n}"}, **way) for n, way in enumerate(ways * 2)]
    assert (await client.bulk(operations)).ok
    assert [r.body["name"] for r in emulator.requests if r.method == "PATCH"] == [f"{n}" for n in range(8)]


@pytest.mark.parametrize("where", [{"project_id": "1"}, {}], ids=["with project", "without"])
@pytest.mark.parametrize("pause", [None, 0.0, 0.03], ids=["list", "generator", "slow generator"])
async def test_created_and_then_used(
    client: AsyncExperimentClient, emulator: Emulator, pause: float | None, where: dict[str, str]
) -> None:
    """Operations after a creation find the new flag by its key, in order.

    With a project they need no list request; without one they do, because another project may have the key.
    """
    emulator.inject(Fault.delay(0.02), method="POST", path="/flags", times=None)

    async def generated(operations: list[Any]) -> AsyncGenerator[Any, None]:
        for operation in operations:
            yield operation
            await asyncio.sleep(pause or 0)

    operations: list[Any] = []
    for key in ("a", "b", "c"):
        operations += [
            CreateFlag("1", key, variants=[{"key": "on"}]),
            AddUsers("flags", key=key, variant="on", users=["u"], **where),
            ReplaceUsers("flags", key=key, variant="on", users=[f"of {key}"], **where),
        ]
    outcomes = await collect(client.bulk(operations if pause is None else generated(operations)))
    assert [outcome.error for outcome in outcomes] == [None] * 9
    assert {flag["key"]: emulator.state.users("flags", flag["id"], "on") for flag in emulator.state.flags} == {
        key: [f"of {key}"] for key in ("a", "b", "c")
    }
    assert len(lists(emulator)) <= (0 if where else 3)


async def test_used_after_a_creation_that_failed(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """After a failed creation, later operations on its key are skipped: an existing flag may be somebody else's."""
    flags(emulator, 1)
    emulator.inject(Fault.status(403), method="POST", nth=2)
    operations = [CreateFlag("1", "k0"), *edits(["k0"], project_id="1"), CreateFlag("1", "x"), *edits(["x"])]
    outcomes = await execute(client, *operations)
    assert [outcome.status for outcome in outcomes] == ["failed", "skipped", "failed", "skipped"]
    assert named(emulator) == set()
