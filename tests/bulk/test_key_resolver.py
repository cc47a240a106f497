"""Flags and experiments that are named by key: with how many list requests they are found, and in which order."""

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
from tests.bulk.emulator_snapshot import carried_out, outcomes


def flags(emulator: Emulator, count: int, project: str = "1", prefix: str = "k") -> list[str]:
    """The keys of so many new flags of a project."""
    return [emulator.state.add_flag(key=f"{prefix}{n}", projectId=project)["key"] for n in range(count)]


def edits(keys: Iterable[str], **where: Any) -> list[Edit]:
    return [Edit("flags", key=key, changes={"name": f"named {key}"}, **where) for key in keys]


def lists(emulator: Emulator) -> list[dict[str, str]]:
    """The queries of the list requests."""
    paths = {"/api/1/flags", "/api/1/experiments"}
    return [dict(request.query) for request in emulator.requests if request.method == "GET" and request.path in paths]


def named(emulator: Emulator) -> set[str]:
    return {flag["key"] for flag in emulator.state.flags if flag["name"] == f"named {flag['key']}"}


@pytest.mark.parametrize("where", [{}, {"project_id": "1"}], ids=["any project", "one project"])
@pytest.mark.parametrize(("wanted", "requests"), [(1, 1), (2, 1), (500, 1)])
async def test_keys_of_one_project(
    client: AsyncExperimentClient, emulator: Emulator, wanted: int, requests: int, where: dict[str, str]
) -> None:
    """One key is asked for by itself, and a page of the list serves for any number."""
    keys = flags(emulator, 500)
    run = client.bulk(edits(keys[:wanted], **where))
    assert (await run).ok
    assert named(emulator) == set(keys[:wanted])
    assert len(lists(emulator)) == requests
    assert (lists(emulator)[0].get("key") == "k0") == (wanted == 1)
    assert run.summary.requests == len(emulator.requests) == wanted + requests


@pytest.mark.parametrize("operations", [2, 50])
async def test_one_key_many_times(client: AsyncExperimentClient, emulator: Emulator, operations: int) -> None:
    """A key is looked up once, however many operations name it, and they keep their order."""
    [key, _] = flags(emulator, 2)
    id = emulator.state.flags[0]["id"]
    done = await carried_out(client, *(Edit("flags", key=key, changes={"name": f"{n}"}) for n in range(operations)))
    assert all(outcome.ok for outcome in done)
    assert len(lists(emulator)) == 1
    assert [r.body["name"] for r in emulator.requests if r.method == "PATCH"] == [f"{n}" for n in range(operations)]
    assert emulator.state.flag(id)["name"] == f"{operations - 1}"


@pytest.mark.parametrize(
    ("wanted", "requests"),
    [
        ([0], 1),  # by itself
        ([2199, 2100, 2000], 1),  # newest first: the first page has them
        ([2199, 0, 1], 3),
        ([2199, 0], 3),  # two pages do not show the second: it is asked for
        (range(0, 2200, 100), 3),
    ],
    ids=["one", "on the first page", "on three pages", "fewer keys than pages", "everywhere"],
)
async def test_a_list_of_several_pages(
    client: AsyncExperimentClient, emulator: Emulator, wanted: Iterable[int], requests: int
) -> None:
    """No more pages are read than needed, and not more than keys are wanted."""
    keys = flags(emulator, 2200)
    mine = [keys[n] for n in wanted]
    assert (await client.bulk(edits(mine, project_id="1"))).ok
    assert named(emulator) == set(mine)
    assert len(lists(emulator)) <= requests


async def test_several_projects_and_both_kinds(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """One list request for each project and kind; the same key in another project is another flag."""
    for project in ("1", "2"):
        flags(emulator, 30, project)
    for number in range(30):
        emulator.state.add_experiment(key=f"k{number}")
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
    """Without a project it is refused, and the message says where it exists; nothing is written."""
    for project in ("1", "2"):
        flags(emulator, 3, project)
    flags(emulator, 1, "3", "only")
    found = await carried_out(client, *edits(["k1", "only0", "k2"]))
    assert [outcome.status for outcome in found] == ["failed", "done", "failed"]
    assert isinstance(found[0].error, InvalidInputError)
    assert "exists 2 times" in str(found[0].error)
    assert named(emulator) == {"only0"}


async def test_a_double_on_a_later_page(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """Without a project, a key is not taken for the only one of its kind before all pages are read."""
    flags(emulator, 1, "2", "double")
    flags(emulator, 1000)
    flags(emulator, 1, "1", "double")
    found = await carried_out(client, *edits(["double0", "k999"]))
    assert [outcome.status for outcome in found] == ["failed", "done"]
    assert named(emulator) == {"k999"}


@pytest.mark.parametrize("count", [1, 3])
async def test_a_key_that_does_not_exist(client: AsyncExperimentClient, emulator: Emulator, count: int) -> None:
    """It fails its own operations and no other, with one list request; a flag that is archived has it."""
    flags(emulator, 3)
    emulator.state.add_flag(key="archived", deleted=True)
    found = await carried_out(client, *edits(["k0", *["nothing", "archived"] * count, "k2"]))
    assert [outcome.status for outcome in found] == ["done", *["failed", "done"] * count, "done"]
    assert all(type(outcome.error) is NotFoundError for outcome in found[1:-1:2])
    assert "none with the key 'nothing' in any project" in str(found[1].error)
    assert named(emulator) == {"k0", "k2", "archived"}
    assert len(lists(emulator)) == 3


async def test_a_list_that_cannot_be_read(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """The operations that need it fail, those by id do not."""
    flags(emulator, 3)
    id = emulator.state.flags[2]["id"]
    emulator.inject(Fault.status(500), path="/flags", times=None)
    found = await carried_out(client, *edits(["k0", "k1"]), Edit("flags", id, {"name": "named k2"}))
    assert [outcome.status for outcome in found] == ["failed", "failed", "done"]
    assert isinstance(found[0].error, ServerError)
    assert named(emulator) == {"k2"}


async def test_by_key_and_by_id(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """Operations on one flag keep their order and never overlap, whichever way each of them names it."""
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
    """Operations after a creation find the new flag by its key, in their order.

    With its project they need no list request; without it some, since another project might have the key too.
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
    found = await outcomes(client.bulk(operations if pause is None else generated(operations)))
    assert [outcome.error for outcome in found] == [None] * 9
    assert {flag["key"]: emulator.state.users("flags", flag["id"], "on") for flag in emulator.state.flags} == {
        key: [f"of {key}"] for key in ("a", "b", "c")
    }
    assert len(lists(emulator)) <= (0 if where else 3)


async def test_used_after_a_creation_that_failed(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """Where the flag existed before, the later operations find it; where there is none, they fail too."""
    flags(emulator, 1)
    emulator.inject(Fault.status(403), method="POST", nth=2)
    operations = [CreateFlag("1", "k0"), *edits(["k0"], project_id="1"), CreateFlag("1", "x"), *edits(["x"])]
    found = await carried_out(client, *operations)
    assert [outcome.status for outcome in found] == ["failed", "done", "failed", "failed"]
    assert named(emulator) == {"k0"}
