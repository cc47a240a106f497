"""`client.watch`: each change once and in order, with a cursor that continues after any of them."""

from __future__ import annotations

import asyncio
import base64
import json
import zlib
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from itertools import groupby
from operator import attrgetter, itemgetter
from random import Random
from typing import Any, cast
from unittest.mock import patch

import pytest
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st

from amp_exp_async import (
    APITimeoutError,
    AsyncExperimentClient,
    ChangeEvent,
    ClientClosedError,
    Experiment,
    ExperimentClient,
    Flag,
    FlagConfig,
    InvalidInputError,
    NotFoundError,
    Page,
    ServerError,
    Version,
)
from amp_exp_async.emulator import Emulator, Fault
from amp_exp_async.pagination import AsyncPager
from amp_exp_async.resources import watch, watch_changes
from tests.polling import TIMEOUT, eventually
from tests.resources.concurrent_writers import sent_methods, write_elsewhere

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
FUTURE = datetime(2100, 3, 1, tzinfo=UTC)  # nothing is far back
SOON = 0.001


def watch_cursor(document: object) -> str:
    """Return a text that has the form of a cursor."""
    return base64.urlsafe_b64encode(zlib.compress(json.dumps(document).encode())).decode()


async def take(changes: AsyncGenerator[ChangeEvent, None], count: int) -> list[ChangeEvent]:
    """Return the next changes."""
    return [await anext(changes) for _ in range(count)]


def numbers(changes: list[ChangeEvent]) -> list[tuple[str, int]]:
    """Return the key and the version of each change."""
    return [(change.after.key, change.version) for change in changes]


async def until_listed(emulator: Emulator) -> None:
    """Wait until the first list was read."""
    await eventually(lambda: emulator.requests)
    await asyncio.sleep(0.05)


async def test_a_watch(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """Changes made after the first request come oldest first, with author, before and after."""
    old = emulator.state.add_flag(key="old")["id"]
    async with aclosing(client.watch(poll_interval=SOON)) as changes:
        first = asyncio.ensure_future(anext(changes))
        await until_listed(emulator)
        write_elsewhere(emulator, old, enabled=True)
        change = await first
        write_elsewhere(emulator, old, name="New")
        new = emulator.state.add_experiment(key="new")["id"]
        following = await take(changes, 2)
    assert str(change).endswith("emulator@example.com flags/old version 2: enabled: false -> true")
    assert (change.kind, change.created_by) == ("flags", "emulator@example.com")
    assert numbers(following) == [("old", 3), ("new", 1)]
    assert following[0].before == change.after
    assert isinstance(following[1].after, Experiment)
    assert (following[1].kind, following[1].after.id, following[1].before) == ("experiments", str(new), None)
    assert str(following[1]).endswith("version 1: created")


async def test_requests_are_bounded(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """A list is one request, and a change sends one more only if the version before it was not read yet."""
    id = emulator.state.add_flag(key="one")["id"]
    write_elsewhere(emulator, id, name="two")
    emulator.requests.clear()
    start = datetime.now(UTC) - timedelta(hours=1)
    async with aclosing(client.watch(since=start)) as changes:
        await take(changes, 2)
    assert sent_methods(emulator) == ["GET"]


@pytest.mark.parametrize("since", [NOON, "2026-03-01T13:00:00+01:00"])
async def test_a_start_far_back(client: AsyncExperimentClient, emulator: Emulator, since: datetime | str) -> None:
    """Changes since a time are listed at once, without those before."""
    now = NOON - timedelta(seconds=1)
    emulator.state.clock = lambda: now
    id = emulator.state.add_flag(key="flag")["id"]
    for days in (1, 3):
        now = NOON + timedelta(days=days)
        write_elsewhere(emulator, id, name=f"day {days}")
    async with aclosing(client.watch(since=since, poll_interval=3600)) as changes:
        found = await take(changes, 2)
    assert numbers(found) == [("flag", 2), ("flag", 3)]
    assert found[0].before is not None  # read by itself: it is older than the start
    assert found[0].differences["name"].after == "day 1"


@pytest.mark.parametrize("hours", [-48, -25, 0, 48])
async def test_the_clock_of_the_service(client: AsyncExperimentClient, emulator: Emulator, hours: int) -> None:
    """It may differ from that of this machine."""
    emulator.state.clock = lambda: datetime.now(UTC) + timedelta(hours=hours)
    id = emulator.state.add_flag(key="flag")["id"]
    async with aclosing(client.watch(poll_interval=SOON)) as changes:
        first = asyncio.ensure_future(anext(changes))
        await until_listed(emulator)
        write_elsewhere(emulator, id, enabled=True)
        assert numbers([await first]) == [("flag", 2)]


async def test_a_long_silence(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """Years without a change take no requests, nor do years before the first one."""
    now = datetime(2020, 1, 1, tzinfo=UTC)
    emulator.state.clock = lambda: now
    id = emulator.state.add_flag(key="flag")["id"]
    now += timedelta(days=2000)
    write_elsewhere(emulator, id, enabled=True)
    emulator.requests.clear()
    async with aclosing(client.watch(since=datetime(1, 1, 1, tzinfo=UTC))) as changes:
        assert numbers(await take(changes, 2)) == [("flag", 1), ("flag", 2)]
    assert sent_methods(emulator) == ["GET"]


@pytest.mark.parametrize("gap", [timedelta(0), timedelta(seconds=7), timedelta(minutes=20), timedelta(days=40)])
async def test_long_lists(
    client: AsyncExperimentClient, emulator: Emulator, monkeypatch: pytest.MonkeyPatch, gap: timedelta
) -> None:
    """What is too long for one list is read in parts, the oldest first, each change once."""
    monkeypatch.setattr(watch, "_PAGE_SIZE", 2)
    monkeypatch.setattr(watch, "_MAX_LISTED", 6)
    now = NOON
    emulator.state.clock = lambda: now
    id = emulator.state.add_flag(key="flag")["id"]
    for number in range(40):
        now += gap * (number % 3)
        write_elsewhere(emulator, id, name=f"name {number}")
    async with aclosing(client.watch(since=NOON, poll_interval=SOON)) as changes:
        found = await take(changes, 41)
        following = asyncio.ensure_future(anext(changes))
        write_elsewhere(emulator, id, name="last")
        found.append(await following)
    assert [change.version for change in found] == list(range(1, 43))


async def test_a_start_in_the_future(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """The last day that Python knows is a time like any other."""
    emulator.state.add_flag(key="flag")
    async with aclosing(client.watch(since="9999-12-31T23:59Z", poll_interval=SOON)) as changes:
        first = asyncio.ensure_future(anext(changes))
        await eventually(lambda: len(emulator.requests) > 2)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first


async def test_the_deadline_of_a_block(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """It ends the wait for the next list."""
    async with asyncio.timeout(TIMEOUT), client.deadline(0.2), aclosing(client.watch(poll_interval=3600)) as changes:
        with pytest.raises(APITimeoutError, match=r"deadline of 0\.2 s of the block"):
            await anext(changes)
    assert sent_methods(emulator) == ["GET"]


async def test_a_project(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """Only changes of one project are yielded, and a cursor passes by the others."""
    for project in (1, 2, 1):
        emulator.state.add_flag(projectId=project)
    start = datetime.now(UTC) - timedelta(hours=1)
    async with aclosing(client.watch(since=start, project_id="1")) as changes:
        found = await take(changes, 2)
    assert {change.after.project_id for change in found} == {"1"}
    async with aclosing(client.watch(cursor=found[0].cursor, project_id="2")) as changes:
        assert (await anext(changes)).after.project_id == "2"


async def test_an_error(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """An error ends the iterator, and the last cursor continues without a loss."""
    for number in range(3):
        emulator.state.add_flag(key=f"flag-{number}")
    changes = client.watch(since=datetime.now(UTC) - timedelta(hours=1), poll_interval=SOON)
    found = await take(changes, 2)
    emulator.inject(Fault.status(503), path="/versions", times=5)
    await anext(changes)
    with pytest.raises(ServerError):
        await anext(changes)
    with pytest.raises(StopAsyncIteration):
        await anext(changes)
    async with aclosing(client.watch(cursor=found[-1].cursor)) as resumed:
        assert numbers(await take(resumed, 1)) == [("flag-2", 1)]


async def test_closing_the_client(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """A watch that waits for its next list ends when the client is closed."""
    waiting = asyncio.ensure_future(anext(client.watch(poll_interval=3600)))
    await until_listed(emulator)
    await client.aclose()
    with pytest.raises(ClientClosedError):
        await waiting


def test_the_blocking_client(experiment_emulator: Emulator) -> None:
    """The blocking client yields the same changes."""
    for key in ("one", "two"):
        experiment_emulator.state.add_flag(key=key)
    with ExperimentClient(experiment_emulator.api_key, base_url=experiment_emulator.base_url) as client:
        changes = client.watch(since=datetime.now(UTC) - timedelta(hours=1), poll_interval=SOON)
        assert numbers([next(changes), next(changes)]) == [("one", 1), ("two", 1)]
        changes.close()
        with pytest.raises(InvalidInputError, match="cursor: must be the cursor of a ChangeEvent"):
            client.watch(cursor="x")


async def test_the_size_of_a_cursor(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """It has the flags of the last minute only, and continues at once after any change of a bulk edit."""
    now = NOON
    emulator.state.clock = lambda: now
    ids = [emulator.state.add_flag()["id"] for _ in range(300)]
    now += timedelta(minutes=2)
    for id in ids:
        write_elsewhere(emulator, id, enabled=True)
    async with aclosing(client.watch(since=NOON)) as changes:
        found = await take(changes, 600)
    sizes = [len(change.cursor) for change in found]
    assert max(sizes) < 100 + 8 * 300
    assert sizes[300] < 150 < sizes[299]
    for index in (0, 298, 299, 300, 450):
        async with aclosing(client.watch(cursor=f"{found[index].cursor}\n")) as changes:
            following = await take(changes, min(5, 599 - index))
        assert [(change.after.id, change.version) for change in following] == [
            (change.after.id, change.version) for change in found[index + 1 : index + 6]
        ]


@pytest.mark.parametrize("ids", [range(200_000), range(10**6, 10**7)], ids=["few", "many"])
def test_the_bound_of_a_cursor(ids: range) -> None:
    """Whatever changes within a minute, a cursor fits into a command line, and has the newest versions."""
    chosen = Random(1).sample(ids, 20_000)
    yielded: dict[Any, tuple[int, datetime]] = {
        ("flags", str(id)): (number % 300 + 1, NOON + timedelta(milliseconds=number))
        for number, id in enumerate(chosen)
    }
    newest = NOON + timedelta(milliseconds=19_999)
    cursor = watch.WatchPosition(NOON - timedelta(seconds=40), yielded).to_cursor(newest)
    assert len(cursor) <= 50_000
    position = watch.parse_cursor(cursor)
    assert position.start == NOON + timedelta(milliseconds=14_000)
    assert {id: number for id, (number, _) in position.yielded.items()} == {
        id: number for id, (number, time) in yielded.items() if time >= position.start
    }


def test_a_cursor_that_would_not_end(client: AsyncExperimentClient) -> None:
    """A text that becomes huge when it is decompressed is rejected."""
    bomb = base64.urlsafe_b64encode(zlib.compress(b"[" + b" " * (1 << 24) + b"]")).decode()
    with pytest.raises(InvalidInputError, match="cursor: must be the cursor"):
        client.watch(cursor=bomb)


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"since": NOON, "cursor": "x"}, "since: must not be given together with cursor"),
        ({"since": "yesterday"}, "since: must be a date or timestamp"),
        ({"since": datetime(2026, 3, 1)}, "since: must have a time zone"),  # noqa: DTZ001 - the invalid value
        ({"cursor": "bm90IGEgY3Vyc29y"}, "cursor: must be the cursor of a ChangeEvent"),
        *(
            ({"cursor": watch_cursor(document)}, "cursor: must be the cursor of a ChangeEvent")
            for document in (
                [],
                ["2026-03-01T12:00Z", {"flags": 1}],
                ["2026-03-01T12:00Z", [[1e30, {"flags": {"1": 2}}]]],
            )
        ),
        ({"cursor": 5}, "cursor: must be the cursor of a ChangeEvent"),
        ({"poll_interval": 0}, "poll_interval: must be a number of seconds of more than 0, got 0"),
        ({"project_id": ""}, "project_id: "),
    ],
)
async def test_invalid_arguments(client: AsyncExperimentClient, options: dict[str, Any], rule: str) -> None:
    """Invalid arguments are rejected by the call, before anything is read."""
    with pytest.raises(InvalidInputError, match=rule):
        client.watch(**options)


# Any service that lists a version at most a minute late


@define
class _Service:
    """Versions in the order in which lists begin to show them, which is not the order of their times."""

    hidden: list[Version[FlagConfig]]
    counts: Iterator[int]
    shown: list[Version[FlagConfig]] = field(factory=list[Version[FlagConfig]])
    block_seconds_left: None = None
    idle_polls: int = 0
    page_size: int = 2

    @property
    def on_close(self) -> _Service:
        """Stand in for a session too: a watch waits for its end, and that is when lists show more."""
        return self

    def add(self, stop_waiting: Callable[[], None]) -> None:
        """Show some more versions, and end the wait."""
        self.idle_polls += not self.hidden
        assert self.idle_polls < 10, "a version was not yielded"
        count = next(self.counts, len(self.hidden))
        self.shown, self.hidden = self.shown + self.hidden[:count], self.hidden[count:]
        stop_waiting()

    def discard(self, stop_waiting: Callable[[], None]) -> None:
        """Forget the end of a wait."""

    def list(self, *, start: Any = None, end: Any = None, limit: int = 0) -> AsyncPager[Version[FlagConfig]]:
        """List the versions of all projects, as the service does."""
        assert limit

        def selects(version: Any) -> bool:
            return (not start or version.created_at >= start) and (not end or version.created_at < end)

        async def fetch(cursor: str | None) -> Page[Version[FlagConfig]]:
            # A version that appears while pages are read moves the others to the next page.
            newest_first = sorted(filter(selects, self.shown), key=lambda version: version.created_at, reverse=True)  # type: ignore[arg-type,return-value]
            offset = int(cursor or 0)
            page = newest_first[offset : offset + self.page_size]
            more = offset + self.page_size < len(newest_first)
            return Page(page, str(offset + self.page_size) if more else None)

        return AsyncPager(
            fetch,
            asyncio.ensure_future,
            None,
            lambda version: (version.config.id, version.version),  # type: ignore[arg-type]
        )


@define
class _FlagVersions:
    """The versions of one flag, which are complete at once."""

    all: list[Version[FlagConfig]]

    async def get(self, id: str, number: int) -> Version[FlagConfig]:
        """Get a version."""
        for version in await self.list(id):
            if version.version == number:
                return version
        raise NotFoundError("no version", status=404, method="GET", path="/", body="", headers={}, attempts=1)

    async def list(self, id: str) -> list[Version[FlagConfig]]:
        """List the versions of a flag."""
        return [version for version in self.all if version.config.id == id]


@define
class _Flags:
    versions: _FlagVersions


@given(
    edits=st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 50), st.integers(0, 55)), max_size=25),
    stops=st.lists(st.integers(1, 4), max_size=6),
    polls=st.lists(st.integers(0, 5), max_size=30),
)
def test_no_change_is_missed_or_repeated(edits: list[tuple[str, int, int]], stops: list[int], polls: list[int]) -> None:
    """If lists show versions up to a minute late, a watch, also if resumed, yields each once, by flag in order."""
    asyncio.run(_check(edits, stops, polls))


@given(
    edits=st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 20), st.just(0)), max_size=25),
    stops=st.lists(st.integers(1, 4), max_size=6),
    polls=st.lists(st.integers(0, 5), max_size=30),
    max_in_cursor=st.integers(1, 2),
)
def test_more_changes_than_a_cursor_has(
    edits: list[tuple[str, int, int]], stops: list[int], polls: list[int], max_in_cursor: int
) -> None:
    """If more flags change in a minute, changes that are not late are still yielded once each."""
    with patch.object(watch, "_MAX_IN_CURSOR", max_in_cursor):
        asyncio.run(_check(edits, stops, polls))


def _version(id: str, number: int, seconds: float) -> Version[FlagConfig]:
    time = FUTURE + timedelta(seconds=seconds)
    return Version(version=number, config=Flag(id=id, key=id), created_by="jane", created_at=time)


async def _watch_twice(
    shown: list[Version[FlagConfig]],
    later: Sequence[Version[FlagConfig]] = (),
    hidden: Sequence[Version[FlagConfig]] = (),
    *,
    stop: int,
) -> list[tuple[str, int]]:
    """Return all changes, of which lists show some one by one later, and some never. Another watch starts at `stop`."""
    everything = [*shown, *later, *hidden]
    service = _Service([*later], iter([1] * len(later)), shown)
    flags = _Flags(_FlagVersions(everything))
    resources: Any = (service, flags, _Flags(_FlagVersions([])))
    options: Any = {"project_id": None, "poll_interval": 3600}
    async with aclosing(watch_changes(resources[0], resources, since=FUTURE, cursor=None, **options)) as changes:
        found = await take(changes, stop)
    cursor = found[-1].cursor
    async with aclosing(watch_changes(resources[0], resources, since=None, cursor=cursor, **options)) as changes:
        found += await take(changes, len(everything) - stop)
    return numbers(found)


@pytest.mark.parametrize("stop", [1, 2, 3])
async def test_times_that_are_not_in_order(stop: int) -> None:
    """If a later version of a flag has an earlier time, a cursor between them misses no change of another flag."""
    versions = [_version("a", 1, 200), _version("a", 2, 5), _version("b", 1, 100), _version("c", 1, 201)]
    assert await _watch_twice(versions, stop=stop) == [("a", 1), ("b", 1), ("a", 2), ("c", 1)]


@pytest.mark.parametrize("stop", [1, 2, 3, 4])
async def test_a_hidden_version_of_a_later_time(monkeypatch: pytest.MonkeyPatch, stop: int) -> None:
    """If no list shows a version, its time says nothing of the versions after the span of a list."""
    monkeypatch.setattr(watch, "_MAX_LISTED", 2)
    hidden = _version("a", 2, 5000)
    others = [_version(id, 1, 900 * number) for number, id in enumerate("bcdef", 1)]
    shown = [_version("a", 1, 10), _version("a", 3, 20), *others]
    expected = [("a", 1), ("a", 2), ("a", 3), *((id, 1) for id in "bcdef")]
    assert await _watch_twice(shown, hidden=[hidden], stop=stop) == expected


async def test_a_late_change_after_a_cursor() -> None:
    """A change that the service shows after the cursor of a newer one is found if it is a minute older at most."""
    late = [_version("b", 1, 140.5), _version("c", 1, 201)]
    assert await _watch_twice([_version("a", 1, 200)], late, stop=1) == [("a", 1), ("b", 1), ("c", 1)]


async def test_fractions_of_seconds_in_a_cursor() -> None:
    """The cursor knows a change as long as lists show it."""
    later = [_version("d", 1, 160.6), _version("e", 1, 161)]
    expected = [("a", 1), ("c", 1), ("d", 1), ("e", 1)]
    assert await _watch_twice([_version("a", 1, 100.7), _version("c", 1, 100.9)], later, stop=2) == expected


async def _check(edits: list[tuple[str, int, int]], stops: list[int], polls: list[int]) -> None:
    now, counts, timed = FUTURE, dict.fromkeys("abc", 0), []
    for flag, gap, delay in edits:
        now += timedelta(seconds=gap)
        counts[flag] += 1
        version: Version[FlagConfig] = Version(
            version=counts[flag], config=Flag(id=flag, key=f"{flag}-{counts[flag]}"), created_by="jane", created_at=now
        )
        timed.append((now + timedelta(seconds=delay), version))
    everything = [version for _, version in timed]
    service = _Service([version for _, version in sorted(timed, key=itemgetter(0))], iter(polls))
    resources: Any = (service, _Flags(_FlagVersions(everything)), _Flags(_FlagVersions([])))
    found: list[ChangeEvent] = []
    cursor: str | None = None
    while len(found) < len(everything):
        changes = watch_changes(
            cast("Any", service),
            resources,
            since=FUTURE if cursor is None else None,
            cursor=cursor,
            project_id=None,
            poll_interval=3600,
        )
        count = min(stops.pop() if stops else len(everything), len(everything) - len(found))
        async with aclosing(changes):
            found += await take(changes, count)
        cursor = found[-1].cursor
    for flag, own in groupby(sorted(found, key=attrgetter("after.id")), key=attrgetter("after.id")):
        changes_of_flag = list(own)
        assert [change.version for change in changes_of_flag] == list(range(1, counts[flag] + 1))
        assert [change.before for change in changes_of_flag[1:]] == [change.after for change in changes_of_flag[:-1]]
    assert len(found) == len(everything)
