"""Pagers: every cursor is followed, nothing is lost or repeated, and nothing is read without need."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any, Literal

import pytest

from amp_exp_async import AsyncExperimentClient, Page, PermissionDeniedError, UnexpectedResponseError, pagination
from amp_exp_async.emulator import Emulator, Fault
from tests.pagination.conftest import COUNT
from tests.reliability.raw_server import RawConnection, RawServer, response


@pytest.fixture
def expected() -> list[str]:
    """Return the keys of all flags in the order of the list."""
    return [f"f{index}" for index in reversed(range(COUNT))]


def cursors(emulator: Emulator) -> list[str | None]:
    """Return the cursor of each request."""
    return [request.query.get("cursor") for request in emulator.requests]


async def run_callbacks() -> None:
    """Let callbacks that are due run."""
    for _ in range(5):
        await asyncio.sleep(0.003)


@pytest.mark.parametrize("cursor_type", ["string", "number"])
@pytest.mark.parametrize("last_cursor", ["absent", "null", "empty"])
@pytest.mark.parametrize("limit", [1, 3, 5, 9, 10, 11, 1000])
async def test_every_shape_of_cursor(
    cursor_type: Literal["string", "number"],
    last_cursor: Literal["absent", "null", "empty"],
    limit: int,
    expected: list[str],
) -> None:
    """A list is read to its end, each item once and in order, with any form of cursor."""
    async with Emulator(cursor_type=cursor_type, last_cursor=last_cursor, per_second=None) as emulator:
        for key in reversed(expected):
            emulator.state.add_flag(key=key)
        async with AsyncExperimentClient(emulator.api_key, base_url=emulator.base_url) as client:
            assert [flag.key async for flag in client.flags.list(limit=limit)] == expected
            assert [flag.key for flag in await client.flags.list(limit=limit)] == expected
            pages = [page async for page in client.flags.list(limit=limit).pages()]
        assert [flag.key for page in pages for flag in page.items] == expected
        assert pages[-1].next_cursor is None
        assert all(isinstance(page.next_cursor, str) for page in pages[:-1])
        assert len(emulator.requests) == 3 * -(-COUNT // limit)


async def test_deployments_are_paged_too(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """This list follows its cursor, although the API reference does not mention one."""
    labels = [deployment.label async for deployment in client.deployments.list(limit=4)]
    assert labels == [f"d{index}" for index in reversed(range(COUNT))]
    assert len(emulator.requests) == 3


def page(cursor: Any, *ids: str) -> Fault:
    """Return a fault that answers with a page of these IDs and that cursor."""
    return Fault.status(200, body={"flags": [{"id": id, "key": id} for id in ids], "nextCursor": cursor})


@pytest.mark.parametrize(
    ("asked", "answers", "requests"),
    [
        (None, ["a", "a"], 2),
        (None, ["a", "b", "a"], 3),
        (None, ["a", "b", "c", "b"], 4),
        (None, [7, 7], 2),
        ("a", ["a"], 1),
        ("a", ["b", "a"], 2),
    ],
    ids=["a a", "a b a", "a b c b", "numbers", "the one asked for", "back to the one asked for"],
)
@pytest.mark.parametrize("whole_pages", [True, False], ids=["pages", "items"])
async def test_a_cursor_that_repeats(
    *,
    client: AsyncExperimentClient,
    emulator: Emulator,
    asked: str | None,
    answers: list[Any],
    requests: int,
    whole_pages: bool,
) -> None:
    """A circle of any length ends in an error, after all items before it."""
    for nth, cursor in enumerate(answers, 1):
        emulator.inject(page(cursor, f"{nth}x", f"{nth}y"), nth=nth)
    got: list[str] = []
    pager = client.flags.list(cursor=asked)
    with pytest.raises(UnexpectedResponseError, match="a second time") as caught:  # noqa: PT012 - what came before counts
        if whole_pages:
            async for page_read in pager.pages():
                got += [flag.id for flag in page_read.items]
        else:
            async for flag in pager:
                got.append(flag.id)
    assert got == [f"{nth}{letter}" for nth in range(1, len(answers) + 1) for letter in "xy"]
    assert caught.value.location == "nextCursor"
    assert len(emulator.requests) == requests


async def test_an_error_comes_after_the_items_before_it(
    client: AsyncExperimentClient, emulator: Emulator, expected: list[str]
) -> None:
    """The items of page 1 are yielded before the error of page 2 is raised, although page 2 was requested earlier."""
    emulator.inject(Fault.status(403), nth=2, times=None)
    got: list[str] = []
    with pytest.raises(PermissionDeniedError):  # noqa: PT012 - what came before counts
        async for flag in client.flags.list(limit=4):
            got.append(flag.key)
            await asyncio.sleep(0.002)
    assert got == expected[:4]


@pytest.mark.parametrize("fault", [Fault.status(503), Fault.close(), Fault.truncate()], ids=["503", "closed", "cut"])
async def test_a_page_is_retried_not_the_list(
    client: AsyncExperimentClient, emulator: Emulator, expected: list[str], fault: Fault
) -> None:
    """A page that failed is requested again with its own cursor."""
    emulator.inject(fault, nth=2, times=2)
    assert [flag.key async for flag in client.flags.list(limit=4)] == expected
    first, second, third = cursors(emulator)[0], cursors(emulator)[1], cursors(emulator)[4]
    assert cursors(emulator) == [first, second, second, second, third]
    assert len({first, second, third}) == 3


async def test_pages_and_their_cursors(client: AsyncExperimentClient, emulator: Emulator, expected: list[str]) -> None:
    """Each page takes one request, none is prefetched, and its cursor continues the list."""
    async with aclosing(client.flags.list(limit=4).pages()) as pages:
        first = await anext(pages)
        await run_callbacks()
        assert len(emulator.requests) == 1
        second = await anext(pages)
    assert [flag.key for flag in [*first.items, *second.items]] == expected[:8]
    rest = await client.flags.list(limit=4, cursor=first.next_cursor)
    assert [flag.key for flag in rest] == expected[4:]
    assert len(emulator.requests) == 4


async def test_reading_a_pager_again_sends_again(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """A pager sends nothing until it is read, and each way of reading sends its own requests."""
    pager = client.flags.list(limit=1000)
    await run_callbacks()
    assert len(emulator.requests) == 0
    before = await pager
    emulator.state.add_flag(key="later")
    assert [flag.key for flag in await pager] == ["later", *(flag.key for flag in before)]
    assert len(emulator.requests) == 2


@pytest.mark.parametrize("whole_pages", [True, False], ids=["pages", "items"])
async def test_empty_pages_with_a_cursor(client: AsyncExperimentClient, emulator: Emulator, whole_pages: bool) -> None:
    """A page without items is not the end of the list if it has a cursor."""
    for nth, fault in enumerate([page("a"), page("b", "x"), page("c"), page(None)], 1):
        emulator.inject(fault, nth=nth)
    pager = client.flags.list()
    if whole_pages:
        assert [[flag.id for flag in page_read.items] async for page_read in pager.pages()] == [[], ["x"], [], []]
    else:
        assert [flag.id async for flag in pager] == ["x"]
    assert cursors(emulator) == [None, "a", "b", "c"]


async def test_an_empty_list(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """It takes one request."""
    assert await client.flags.list(project_id="404") == []
    assert len(emulator.requests) == 1


async def test_flags_that_are_created_while_the_list_is_read(
    client: AsyncExperimentClient, emulator: Emulator, expected: list[str]
) -> None:
    """Each flag is yielded once, item by item and page by page, although the pages overlap."""
    for number in range(2):
        keys: list[str] = []
        async for flag in client.flags.list(limit=3):
            keys.append(flag.key)
            if len(keys) in {1, 4, 5}:
                emulator.state.add_flag(key=f"{flag.key}-new{number}")
        assert [key for key in keys if "new" not in key] == expected
        assert len(set(keys)) == len(keys)

    ids: list[str] = []
    async for page in client.flags.list(limit=3).pages():
        ids += [flag.id for flag in page.items]
        emulator.state.add_flag()
        if len(ids) > 50:
            break
    assert len(set(ids)) == len(ids)


async def test_the_same_deployment_on_two_pages_while_a_creation_is_reconciled(
    client: AsyncExperimentClient, emulator: Emulator
) -> None:
    """It is one deployment, not two with one label."""
    listed = {"id": "9", "label": "new", "projectId": "1"}
    emulator.inject(Fault.close(applied=False), method="POST")
    emulator.inject(Fault.status(200, body={"deployments": [listed], "nextCursor": 1}), method="GET")
    emulator.inject(Fault.status(200, body={"deployments": [listed]}), method="GET", nth=2)
    assert (await client.deployments.create(project_id="1", label="new", type="client")).id == "9"


async def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest IDs are forgotten, also if one page has more than are remembered."""
    monkeypatch.setattr(pagination, "_MAX_REMEMBERED", 4)
    ids = [["a", "b"], ["b", "c", "d"], ["d", "e", "f"], ["c", "a", "g", "h", "i", "j"], ["g", "j", "k"]]
    remaining = iter(ids)

    async def fetch(cursor: str | None) -> Page[str]:
        return Page(next(remaining), None if cursor == "4" else str(int(cursor or 0) + 1))

    pager = pagination.AsyncPager(fetch, asyncio.ensure_future, identify=str)
    assert "".join(await pager) == "abcdefaghijk"


@pytest.mark.parametrize("repeated", [(), ("x",), ("x", "y")], ids=["empty pages", "one item", "two items"])
@pytest.mark.parametrize("whole_pages", [True, False], ids=["pages", "items"])
async def test_a_list_without_end(
    *, client: AsyncExperimentClient, emulator: Emulator, repeated: tuple[str, ...], whole_pages: bool
) -> None:
    """Pages without a new item, with ever new cursors, end in an error after 100 requests without a new item."""
    for nth in range(1, 150):
        emulator.inject(page(nth, *repeated), nth=nth)
    got: list[str] = []
    pager = client.flags.list()
    with pytest.raises(UnexpectedResponseError, match="the list does not end") as caught:  # noqa: PT012 - what came before counts
        if whole_pages:
            async for page_read in pager.pages():
                got += [flag.id for flag in page_read.items]
        else:
            async for flag in pager:
                got.append(flag.id)
    assert caught.value.location == "nextCursor"
    assert got == list(repeated)
    assert len(emulator.requests) == 100 + bool(repeated)


async def test_a_new_item_after_many_pages_without_one() -> None:
    """Only pages in a row count, and the last page may be one of them."""
    gap: list[list[str]] = [[]] * 99
    pages = [["a"], *gap, ["b"], *gap, ["c"], *gap, ["a"]]

    async def fetch(cursor: str | None) -> Page[str]:
        index = int(cursor or 0)
        return Page(pages[index], None if index == len(pages) - 1 else str(index + 1))

    assert await pagination.AsyncPager(fetch, asyncio.ensure_future, identify=str) == ["a", "b", "c"]
    assert await pagination.AsyncPager(fetch, asyncio.ensure_future) == ["a", "b", "c", "a"]


ENDLESS: dict[str, Callable[[AsyncExperimentClient], Any]] = {
    "items": lambda client: client.flags.list(limit=2),
    "pages": lambda client: _read_pages(client.flags.list(limit=2).pages()),
    "find": lambda client: client.flags.find("nowhere"),
    "export": lambda client: client.export(),
    "export of keys": lambda client: client.export(keys=["nowhere"]),
}


async def _read_pages(pages: AsyncIterator[Page[Any]]) -> None:
    async for _ in pages:
        pass


@pytest.mark.parametrize("read", ENDLESS.values(), ids=ENDLESS)
async def test_a_list_of_ever_new_items(
    read: Callable[[AsyncExperimentClient], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ever new items with ever new cursors end in an error after very many pages."""
    monkeypatch.setattr(pagination, "_MAX_PAGES", 7)
    ids = itertools.count(1)

    async def serve(connection: RawConnection) -> None:
        while await connection.read_request() is not None:
            flags = [{"id": str(next(ids)), "key": f"k{next(ids)}", "projectId": "1"} for _ in range(2)]
            body = {**dict.fromkeys(("flags", "experiments", "deployments"), flags), "nextCursor": str(next(ids))}
            await connection.send(response(json.dumps(body)))

    with RawServer(serve) as server:
        async with AsyncExperimentClient("key", base_url=server.url) as client:
            with pytest.raises(UnexpectedResponseError, match="the list has more than 7 pages") as caught:
                await read(client)
    assert caught.value.location == "nextCursor"
    # The next page is requested before the last one has been yielded. An export reads several lists.
    paths = Counter(request.line for request in server.requests)
    assert 7 <= max(paths.values()) <= 8
