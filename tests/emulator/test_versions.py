"""The versions of all flags and experiments."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from amp_exp_async.emulator import Emulator

Api = Callable[..., Awaitable[Any]]


@pytest.fixture
def history(emulator: Emulator, clock: Any) -> list[tuple[str, int]]:
    """Make five versions, one per second from 12:00:00; return their keys and numbers, newest first."""
    state = emulator.state
    state.add_flag(key="a", projectId="1")
    clock.move(1)
    state.add_experiment(key="b", projectId="2")
    clock.move(1)
    state.update(state.stored_flag("flags", state.flags[0]["id"]), enabled=True)
    clock.move(1)
    state.add_flag(key="c", projectId="2", deleted=True)
    clock.move(1)
    state.update(state.stored_flag("experiments", state.experiments[0]["id"]), deleted=True)
    return [("b", 2), ("c", 1), ("a", 2), ("b", 1), ("a", 1)]


def identities(versions: Any) -> list[tuple[str, int]]:
    """Return the key and number of each version."""
    return [(version["flagConfig"]["key"], version["version"]) for version in versions]


async def test_all_versions(api: Api, emulator: Emulator, history: list[tuple[str, int]]) -> None:
    """Versions of flags and experiments are listed together, newest first, archived ones included."""
    body = (await api("GET", "/versions")).body
    assert set(body) == {"versions"}
    assert identities(body["versions"]) == history
    own = (await api("GET", f"/flags/{emulator.state.flags[0]['id']}/versions")).body
    assert [version for version in body["versions"] if version["flagConfig"]["key"] == "a"] == own
    assert set(own[0]) == {"createdAt", "createdBy", "version", "flagConfig"}


async def test_a_key_sees_only_its_projects_versions(api: Api, history: list[tuple[str, int]]) -> None:
    """Versions of other projects are absent."""
    body = (await api("GET", "/versions", key="narrow-key")).body
    assert identities(body["versions"]) == [version for version in history if version[0] == "a"]


@pytest.mark.parametrize("limit", [1, 2, 5])
async def test_pages_with_numeric_cursors(api: Api, history: list[tuple[str, int]], limit: int) -> None:
    """The cursor is always a number, and new versions do not shift the pages."""
    versions: list[tuple[str, int]] = []
    cursor = ""
    while True:
        body = (await api("GET", f"/versions?limit={limit}{cursor}")).body
        versions += identities(body["versions"])
        await api("POST", "/flags", {"projectId": "1", "key": f"new-{len(versions)}"})
        if "nextCursor" not in body:
            break
        assert type(body["nextCursor"]) is int
        cursor = f"&cursor={body['nextCursor']}"
    assert versions == history


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("start=2026-03-01T12:00:02.000Z", slice(0, 3)),
        ("end=2026-03-01T12:00:02.000Z", slice(3, 5)),
        ("start=2026-03-01T12:00:01Z&end=2026-03-01T12:00:03Z", slice(2, 4)),
        ("start=2026-03-01T13:00:02%2B01:00", slice(0, 3)),
        ("start=2026-03-01T12:00:03", slice(0, 2)),
        ("start=2026-03-01", slice(0, 5)),
        ("start=2026-03-02", slice(0, 0)),
        ("start=2026-03-01T12:00:02.001Z&end=2026-03-01T12:00:02Z", slice(0, 0)),
    ],
)
async def test_from_start_to_end(api: Api, history: list[tuple[str, int]], query: str, expected: slice) -> None:
    """The start is included, the end is not; a time without a zone and a date are in UTC."""
    body = (await api("GET", f"/versions?{query}")).body
    assert identities(body["versions"]) == history[expected]


async def test_pages_from_start_to_end(api: Api, history: list[tuple[str, int]]) -> None:
    """A page contains versions of the period only, and the last page has no cursor."""
    query = "limit=2&start=2026-03-01T12:00:00Z&end=2026-03-01T12:00:03Z"
    first = (await api("GET", f"/versions?{query}")).body
    second = (await api("GET", f"/versions?{query}&cursor={first['nextCursor']}")).body
    assert identities(first["versions"] + second["versions"]) == history[2:]
    assert "nextCursor" not in second


@pytest.mark.parametrize(
    "query",
    ["start=yesterday", "end=", "start=1772366400", "end=01.03.2026", "limit=0", "limit=1001", "cursor=x", "cursor=99"],
)
@pytest.mark.usefixtures("history")
async def test_invalid_parameters(api: Api, query: str) -> None:
    """The status is 400 with the parameter."""
    response = await api("GET", f"/versions?{query}")
    assert response.status == 400
    assert query.split("=", maxsplit=1)[0] in response.body["error"]


async def test_save_and_load(api: Api, emulator: Emulator, history: list[tuple[str, int]], tmp_path: Path) -> None:
    """A loaded state lists the same versions in the same order."""
    emulator.save(tmp_path / "state.json")
    emulator.load(tmp_path / "state.json")
    assert identities((await api("GET", "/versions")).body["versions"]) == history
