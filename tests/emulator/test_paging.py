"""Pages of lists."""

from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from amp_exp_async.emulator import Emulator

Api = Callable[..., Awaitable[Any]]
ENVELOPES = ["flags", "experiments", "deployments", "mutexes", "holdouts"]


def fill(emulator: Emulator, envelope: str, count: int) -> list[str]:
    """Add some objects, and return their IDs, newest first."""
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
    """Return the IDs of every page."""
    result: list[list[str]] = []
    cursor: Any = None
    while not result or cursor:
        response = await api("GET", f"/{envelope}?{query}" + (f"&cursor={cursor}" if cursor else ""))
        assert response.status == 200
        result.append([document["id"] for document in response.body[envelope]])
        cursor = response.body.get("nextCursor")
    return result


@pytest.mark.parametrize("envelope", ENVELOPES)
@pytest.mark.parametrize(("count", "sizes"), [(0, [0]), (2, [2]), (3, [2, 1]), (4, [2, 2])])
async def test_pages_are_full_and_newest_first(
    api: Api, emulator: Emulator, envelope: str, count: int, sizes: list[int]
) -> None:
    """Every object is listed once, newest first; a full last page is not followed by an empty one."""
    ids = fill(emulator, envelope, count)
    result = await pages(api, envelope, "limit=2")
    assert [len(page) for page in result] == sizes
    assert [id for page in result for id in page] == ids


async def test_a_new_object_does_not_shift_pages(api: Api, emulator: Emulator) -> None:
    """The second page continues after the first, although the list has grown at its head."""
    ids = fill(emulator, "flags", 4)
    first = (await api("GET", "/flags?limit=2")).body
    fill(emulator, "flags", 3)
    second = (await api("GET", f"/flags?limit=2&cursor={first['nextCursor']}")).body
    assert [flag["id"] for flag in first["flags"] + second["flags"]] == ids


async def test_filters_hold_over_pages(api: Api, emulator: Emulator) -> None:
    """A page is filled with matching objects, however far apart they are."""
    for number in range(9):
        emulator.state.add_flag(projectId=str(number % 3))
    assert [len(page) for page in await pages(api, "flags", "limit=2&projectId=1")] == [2, 1]


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "ten", "", "1.5", "²"])
@pytest.mark.parametrize("envelope", ENVELOPES)
async def test_limits_out_of_range(api: Api, envelope: str, limit: str) -> None:
    """A page has 1 to 1000 objects."""
    assert (await api("GET", f"/{envelope}?limit={limit}")).status == 400


@pytest.mark.parametrize("cursor", ["", "7", "before-", "before-99", "nonsense"])
async def test_invalid_cursors(api: Api, emulator: Emulator, cursor: str) -> None:
    """Only a cursor of this list is accepted."""
    fill(emulator, "flags", 3)
    assert (await api("GET", f"/flags?cursor={cursor}")).status == 400


async def test_include_archived_is_true_or_false(api: Api, kind: str) -> None:
    """Other values are rejected."""
    assert (await api("GET", f"/{kind}?includeArchived=yes")).status == 400


@pytest.mark.parametrize(
    ("last", "end"), [("absent", {}), ("null", {"nextCursor": None}), ("empty", {"nextCursor": ""})]
)
@pytest.mark.parametrize(("cursor_type", "type_"), [("string", str), ("number", int)])
@pytest.mark.parametrize("envelope", ["flags", "holdouts"])
async def test_cursor_settings(
    session: aiohttp.ClientSession, *, cursor_type: Any, type_: type, last: Any, end: dict[str, Any], envelope: str
) -> None:
    """Page size, cursor type and the end of the list are options of the emulator."""
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
    """A page can have 1000 objects."""
    ids = fill(emulator, "experiments", 1001)
    assert await pages(api, "experiments", "limit=1000") == [ids[:1000], ids[1000:]]
