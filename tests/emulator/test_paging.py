"""Lists in pages."""

from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from amp_exp_async.emulator import Emulator

Api = Callable[..., Awaitable[Any]]
ENVELOPES = ["flags", "experiments", "deployments", "mutexes", "holdouts"]


def fill(emulator: Emulator, envelope: str, count: int) -> list[str]:
    """Add some objects; returns their ids, the newest first."""
    state = emulator.state
    add = {
        "flags": state.add_flag,
        "experiments": state.add_experiment,
        "deployments": state.add_deployment,
        "mutexes": state.add_mutex,
        "holdouts": state.add_holdout,
    }[envelope]
    return [add()["id"] for _ in range(count)][::-1]


async def pages(api: Api, envelope: str, query: str) -> list[list[str]]:
    """The ids of every page, cursors followed."""
    result: list[list[str]] = []
    cursor: Any = None
    while not result or cursor:
        answer = await api("GET", f"/{envelope}?{query}" + (f"&cursor={cursor}" if cursor else ""))
        assert answer.status == 200
        result.append([document["id"] for document in answer.body[envelope]])
        cursor = answer.body.get("nextCursor")
    return result


@pytest.mark.parametrize("envelope", ENVELOPES)
@pytest.mark.parametrize(("count", "sizes"), [(0, [0]), (2, [2]), (3, [2, 1]), (4, [2, 2])])
async def test_pages_are_full_and_newest_first(
    api: Api, emulator: Emulator, envelope: str, count: int, sizes: list[int]
) -> None:
    """Every object comes once, the newest first; a last page that is full is not followed by an empty one."""
    ids = fill(emulator, envelope, count)
    result = await pages(api, envelope, "limit=2")
    assert [len(page) for page in result] == sizes
    assert [id for page in result for id in page] == ids


async def test_what_is_created_meanwhile_shifts_nothing(api: Api, emulator: Emulator) -> None:
    """The second page goes on where the first ended, though the list has grown at its head."""
    ids = fill(emulator, "flags", 4)
    first = (await api("GET", "/flags?limit=2")).body
    fill(emulator, "flags", 3)
    second = (await api("GET", f"/flags?limit=2&cursor={first['nextCursor']}")).body
    assert [flag["id"] for flag in first["flags"] + second["flags"]] == ids


async def test_filters_hold_over_pages(api: Api, emulator: Emulator) -> None:
    """A page is filled with matching objects however far apart they are."""
    for number in range(9):
        emulator.state.add_flag(projectId=str(number % 3))
    assert [len(page) for page in await pages(api, "flags", "limit=2&projectId=1")] == [2, 1]


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "ten", "", "1.5", "²"])
@pytest.mark.parametrize("envelope", ENVELOPES)
async def test_limits_out_of_range(api: Api, envelope: str, limit: str) -> None:
    """A page has 1 to 1000 objects."""
    assert (await api("GET", f"/{envelope}?limit={limit}")).status == 400


@pytest.mark.parametrize("cursor", ["", "7", "before-", "before-99", "nonsense"])
async def test_cursors_that_were_never_given(api: Api, emulator: Emulator, cursor: str) -> None:
    """Only a cursor of this list will do."""
    fill(emulator, "flags", 3)
    assert (await api("GET", f"/flags?cursor={cursor}")).status == 400


async def test_include_archived_is_true_or_false(api: Api, kind: str) -> None:
    """Any other word is refused."""
    assert (await api("GET", f"/{kind}?includeArchived=yes")).status == 400


@pytest.mark.parametrize(
    ("last", "end"), [("absent", {}), ("null", {"nextCursor": None}), ("empty", {"nextCursor": ""})]
)
@pytest.mark.parametrize(("cursor_type", "type_"), [("string", str), ("number", int)])
@pytest.mark.parametrize("envelope", ["flags", "holdouts"])
async def test_the_shapes_of_cursors_that_the_service_may_send(
    session: aiohttp.ClientSession, *, cursor_type: Any, type_: type, last: Any, end: dict[str, Any], envelope: str
) -> None:
    """The size of a page, the type of a cursor and the mark of the last page are the emulator's options."""
    async with Emulator(default_limit=2, cursor_type=cursor_type, last_cursor=last) as emulator:
        fill(emulator, envelope, 3)
        session.headers["Authorization"] = f"Bearer {emulator.api_key}"
        url = f"{emulator.base_url}/api/1/{envelope}"
        first = await (await session.get(url)).json()
        assert len(first[envelope]) == 2
        assert type(first["nextCursor"]) is type_
        second = await (await session.get(url, params={"cursor": first.pop("nextCursor")})).json()
        assert len(second.pop(envelope)) == 1
        assert second == end


async def test_the_largest_page(api: Api, emulator: Emulator) -> None:
    """A thousand objects fit on one page."""
    ids = fill(emulator, "experiments", 1001)
    assert await pages(api, "experiments", "limit=1000") == [ids[:1000], ids[1000:]]
