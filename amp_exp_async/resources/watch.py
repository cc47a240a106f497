"""`client.watch`: the changes of all flags and experiments, as they are made."""

from __future__ import annotations

import asyncio
import base64
import math
import zlib
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing, suppress
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Any, TypeAlias

import attrs
from attrs import field, frozen

from amp_exp_async import lazy_bulk, serialization, validation
from amp_exp_async.errors import NotFoundError
from amp_exp_async.escaping import escape
from amp_exp_async.http import HttpSession
from amp_exp_async.models import UNSET, Experiment, FlagConfig, Maybe, UnsetType, Version

from .diff import FieldChange, diff_flags, summarize_version
from .flags import AsyncExperiments, AsyncFlags
from .versions import AsyncProjectVersions

FlagId: TypeAlias = "tuple[lazy_bulk.KindName, str]"

# Versions that are this much older than the newest one are read again, in case the service shows them late.
_OVERLAP = timedelta(seconds=60)
_PAGE_SIZE = validation.MAX_PAGE
# A list begins with the newest version. If it has more, spans of it are read, the oldest first: memory is bounded.
_MAX_LISTED = 10 * _PAGE_SIZE
_MIN_SPAN = 5 * _OVERLAP  # a span begins an overlap before the end of the last one
_NEVER = datetime.min.replace(tzinfo=UTC)
_MAX_IN_CURSOR = 6000  # flags: as many as the limit of 100 requests a second lets anyone change in the overlap
_MAX_CURSOR_BYTES = 1 << 22  # of JSON


@frozen
class ChangeEvent:
    """A change that someone made to a flag or experiment.

    Attributes:
        kind: `flags` or `experiments`.
        version: the number of the version that the change made.
        created_by: the author.
        created_at: the time of the change, in UTC.
        before: the flag or experiment before the change; None if the change created it, or if the service no longer
            shows the version before.
        after: the flag or experiment after the change.
        cursor: pass it to `watch` to continue after this change. It has about 100 characters, and up to 8 more for each
            flag that changed within the minute before it, of at most 6,000.
    """

    kind: lazy_bulk.KindName
    version: int
    created_by: Maybe[str]
    created_at: Maybe[datetime]
    before: FlagConfig | None
    after: FlagConfig
    cursor: str = field(repr=False)

    @property
    def differences(self) -> dict[str, FieldChange]:
        """The fields that the change made different, by name.

        Empty for a creation, and if the service does not show the change, as when a flag is archived.
        """
        return {} if self.before is None else diff_flags(self.before, self.after)

    @property
    def summary(self) -> str:
        """The differences as one text: `created` for version 1, `no visible difference` if the service shows none."""
        return summarize_version(self.version, self.differences)

    def __str__(self) -> str:
        time = f"{self.created_at:%Y-%m-%d %H:%M:%S} UTC" if self.created_at else "(unknown time)"
        author = self.created_by or "(unknown)"
        return escape(f"{time} {author} {self.kind}/{self.after.key} version {self.version}: {self.summary}")


@frozen
class WatchPosition:
    """The changes that were yielded so far.

    Attributes:
        start: the time from which the next list is read; None to read from the beginning.
        yielded: the highest version that was yielded of each flag that changed since then, and its time.
    """

    start: datetime | None
    yielded: Mapping[FlagId, tuple[int, datetime]] = {}

    def includes(self, version: Version[FlagConfig]) -> bool:
        """Return whether a version was yielded."""
        return version.version <= self.yielded.get(flag_id(version.config), (0, None))[0]

    def after(self, versions: Iterable[Version[FlagConfig]]) -> WatchPosition:
        """Return the position after some more versions."""
        yielded = dict(self.yielded)
        for version in versions:
            id = flag_id(version.config)
            # A version can have an earlier time than the one before it.
            time = max(version.created_at or _NEVER, yielded[id][1] if id in yielded else _NEVER)
            yielded[id] = version.version, time
        return attrs.evolve(self, yielded=yielded)

    @property
    def newest(self) -> datetime:
        """The newest time of a version that was yielded."""
        return max((time for _, time in self.yielded.values()), default=_NEVER)

    def starting_at(self, start: datetime) -> WatchPosition:
        """Return the position with a later start, without the versions before it."""
        if self.start is not None and start <= self.start:
            return self
        return WatchPosition(start, {id: entry for id, entry in self.yielded.items() if entry[1] >= start})

    def to_cursor(self, latest_start: datetime) -> str:
        """Return the position as the text of a cursor, whose size is bounded.

        Args:
            latest_start: the time before which all versions that are known were yielded. If too many flags have changed
                to remember them all, the next list is read from a later time, but not from one after this.
        """
        position = self
        if len(self.yielded) > _MAX_IN_CURSOR:
            times = sorted((time for _, time in self.yielded.values()), reverse=True)
            position = self.starting_at(min(times[_MAX_IN_CURSOR - 1], latest_start))
        start = position.start or _NEVER
        # In order, with times as rarely as possible, so that they can be compressed.
        seconds: dict[int, dict[str, dict[str, int]]] = {}
        for (kind, id), (number, time) in sorted(position.yielded.items()):
            offset = math.ceil((time - start).total_seconds())
            seconds.setdefault(offset, {}).setdefault(kind, {})[id] = number
        document = serialization.dumps([start.isoformat(), sorted(seconds.items())])
        return base64.urlsafe_b64encode(zlib.compress(document)).decode()


def parse_cursor(cursor: str) -> WatchPosition:
    """Return the position of a cursor.

    Raises:
        InvalidInputError: If it is not the cursor of a `ChangeEvent`.
    """
    try:
        compressed = base64.urlsafe_b64decode(validation.string("cursor", cursor).strip())
        document = zlib.decompressobj().decompress(compressed, _MAX_CURSOR_BYTES)
        text, seconds = serialization.loads(document)
        start = validation.aware_datetime("cursor", text)
        return WatchPosition(
            start,
            {
                (kind, validation.identifier("cursor", id)): (int(number), start + timedelta(seconds=offset))
                for offset, kinds in seconds
                for kind, numbers in kinds.items()
                for id, number in numbers.items()
            },
        )
    except (ValueError, TypeError, AttributeError, OverflowError, zlib.error):
        validation.reject("cursor", "must be the cursor of a ChangeEvent", cursor)


def flag_id(config: FlagConfig) -> FlagId:
    """Return what identifies a flag or experiment: they are numbered independently."""
    return "experiments" if isinstance(config, Experiment) else "flags", config.id


def watch_changes(
    session: HttpSession,
    resources: tuple[AsyncProjectVersions, AsyncFlags, AsyncExperiments],
    *,
    since: datetime | str | None,
    cursor: str | None,
    project_id: str | None,
    poll_interval: float,
) -> AsyncGenerator[ChangeEvent, None]:
    """Check the arguments of `client.watch`, and return its iterator.

    Raises:
        InvalidInputError: If an argument breaks a rule.
    """
    if since is not None and cursor is not None:
        validation.reject("since", "must not be given together with cursor, which says where to continue")
    if project_id is not None:
        project_id = validation.project_id("project_id", project_id)
    if not validation.number("poll_interval", poll_interval) > 0:
        validation.reject("poll_interval", "must be a number of seconds of more than 0", poll_interval)
    position = None
    if since is not None:
        position = WatchPosition(validation.aware_datetime("since", since))
    elif cursor is not None:
        position = parse_cursor(cursor)
    return _Watcher(session, resources, position, project_id=project_id, poll_interval=poll_interval).changes()


class _Watcher:
    """Reads the versions of all projects again and again, and yields each change once.

    Args:
        session: tells when the client is closed.
        resources: the resources that read the versions: those of all projects, of flags, and of experiments.
        position: the changes that were yielded already; None for all that exist when the first list is read.
        project_id: only changes in this project; None for all projects.
        poll_interval: seconds between two lists.
    """

    def __init__(
        self,
        session: HttpSession,
        resources: tuple[AsyncProjectVersions, AsyncFlags, AsyncExperiments],
        position: WatchPosition | None,
        *,
        project_id: str | None,
        poll_interval: float,
    ) -> None:
        self._session = session
        self._versions, flags, experiments = resources
        self._flag_versions: Mapping[lazy_bulk.KindName, Any] = {
            "flags": flags.versions,
            "experiments": experiments.versions,
        }
        self._position = position
        self._project_id = project_id
        self._poll_interval = poll_interval
        self._latest: dict[FlagId, Version[FlagConfig]] = {}  # of the flags in the position

    async def changes(self) -> AsyncGenerator[ChangeEvent, None]:
        """Yield the changes without end."""
        position = self._position
        if position is None:
            position = await self._current_position()
            await self._sleep()
        span = _Span(position.start)
        while True:
            listed, is_complete = await self._list(span)
            if not is_complete:
                span.shorten(listed[0].created_at or _NEVER)
                continue
            new = await self._new_versions(position, listed)
            for version, earliest_later in zip(new, _earliest_times(new, span.end), strict=True):
                position = position.after([version])
                latest_start = min(position.newest, earliest_later)
                position = position.starting_at(_overlapping(latest_start))
                if self._project_id in {None, version.config.project_id}:
                    yield await self._event(version, position.to_cursor(latest_start))
                self._latest[flag_id(version.config)] = version
            position = self._advanced(position, span.end)
            if span.end is UNSET:
                await self._sleep()
            span.follow(position.start)

    async def _current_position(self) -> WatchPosition:
        """Return the position after all changes that exist now: one request."""
        async with aclosing(self._versions.list(limit=_PAGE_SIZE).pages()) as pages:
            page = await anext(pages)
        position = WatchPosition(None).after(_oldest_first(page.items))
        times = [version.created_at for version in page.items if version.created_at]
        if not times:
            return position
        start = max(times) - _OVERLAP
        # What is older than a full page was not read, so it is not known.
        return position.starting_at(start if page.next_cursor is None else max(start, min(times)))

    async def _list(self, span: _Span) -> tuple[list[Version[FlagConfig]], bool]:
        """Return the versions of a span, newest first, and whether these are all."""
        pager = self._versions.list(start=span.start or UNSET, end=span.end, limit=_PAGE_SIZE)
        listed: list[Version[FlagConfig]] = []
        async with aclosing(pager.pages()) as pages:
            async for page in pages:
                listed += page.items
                if len(listed) >= _MAX_LISTED and page.next_cursor is not None and not span.is_shortest:
                    return listed, False
        return listed, True

    async def _new_versions(
        self, position: WatchPosition, listed: Sequence[Version[FlagConfig]]
    ) -> list[Version[FlagConfig]]:
        """Return those of the listed versions that were not yielded yet, oldest first.

        If a list shows a version of a flag and not the one before it, the versions between are read too.
        """
        last = {id: number for id, (number, _) in position.yielded.items()}
        new: list[Version[FlagConfig]] = []
        for version in _oldest_first(listed):
            if not position.includes(version):
                id = flag_id(version.config)
                new += [*await self._hidden_versions(version, last.get(id), position.start), version]
                last[id] = version.version
        return new

    async def _hidden_versions(
        self, version: Version[FlagConfig], last: int | None, start: datetime | None
    ) -> list[Version[FlagConfig]]:
        """Return the versions of a flag before a new one that no list has shown.

        Args:
            version: the new version.
            last: the version of this flag that was found before, if it is known.
            start: the time from which versions are new.
        """
        id, number = flag_id(version.config), version.version
        if last is not None:
            return (
                [] if number == last + 1 else [item for item in await self._history(id) if last < item.version < number]
            )
        before = await self._version_before(id, number)
        if before is None:
            return []
        if start is not None and (before.created_at or _NEVER) < start:
            self._latest[id] = before
            return []
        earlier = [item for item in await self._history(id) if item.version < number]
        return [item for item in earlier if start is None or (item.created_at or _NEVER) >= start]

    async def _history(self, id: FlagId) -> list[Version[FlagConfig]]:
        kind, number = id
        with suppress(NotFoundError):
            return _oldest_first(await self._flag_versions[kind].list(number))
        return []

    async def _event(self, version: Version[FlagConfig], cursor: str) -> ChangeEvent:
        id = flag_id(version.config)
        before = await self._version_before(id, version.version)
        return ChangeEvent(
            kind=id[0],
            version=version.version,
            created_by=version.created_by,
            created_at=version.created_at,
            before=None if before is None else before.config,
            after=version.config,
            cursor=cursor,
        )

    async def _version_before(self, id: FlagId, number: int) -> Version[FlagConfig] | None:
        """Return the version before a number: at most one request, two if the numbers have a gap."""
        if number == 1:
            return None
        latest = self._latest.get(id)
        if latest is not None and latest.version < number:
            return latest
        with suppress(NotFoundError):
            version: Version[FlagConfig] = await self._flag_versions[id[0]].get(id[1], number - 1)
            return version
        earlier = [version for version in await self._history(id) if version.version < number]
        return earlier[-1] if earlier else None

    def _advanced(self, position: WatchPosition, end: datetime | UnsetType) -> WatchPosition:
        """Return the position from which the next list is read."""
        if position.yielded or end is not UNSET:
            position = position.starting_at(_overlapping(position.newest if end is UNSET else end))
        self._latest = {id: version for id, version in self._latest.items() if id in position.yielded}
        return position

    async def _sleep(self) -> None:
        """Wait for the time of the next list, or until the client is closed."""
        closing = asyncio.Event()
        self._session.on_close.add(closing.set)
        try:
            # If the deadline of a block passes before, the next list raises its error.
            seconds_left = self._session.block_seconds_left
            seconds = self._poll_interval if seconds_left is None else min(seconds_left, self._poll_interval)
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await closing.wait()
        finally:
            self._session.on_close.discard(closing.set)


class _Span:
    """The span of a list, by times of the service: the clock of this machine may differ.

    Args:
        start: the start; None to read from the beginning.
    """

    def __init__(self, start: datetime | None) -> None:
        self.start = start
        self._length: timedelta | None = None  # None for a span that reaches the present
        self._newest = _NEVER

    @property
    def end(self) -> datetime | UnsetType:
        """The end; `UNSET` if the span reaches the present."""
        if self.start is None or self._length is None or self._newest - self.start <= self._length:
            return UNSET
        return self.start + self._length

    @property
    def is_shortest(self) -> bool:
        """Whether the span cannot be shortened."""
        return self.start is None or (self._length is not None and self._length <= _MIN_SPAN)

    def shorten(self, newest: datetime) -> None:
        """Take the older half of a span with too many versions, of which the newest was made at a time."""
        if self.start is not None:
            self._newest = max(self._newest, newest)
            self._length = max((newest - self.start) / 2, _MIN_SPAN)

    def follow(self, start: datetime | None) -> None:
        """Take the next span, twice as long because nothing may have changed for years, or up to the present."""
        is_last = self.end is UNSET
        self.start = start
        if self._length is not None:
            self._length = None if is_last else 2 * self._length


def _overlapping(time: datetime) -> datetime:
    """Return the time from which a list shows the versions that may come late, if all before a time were yielded."""
    return max(time, _NEVER + _OVERLAP) - _OVERLAP


def _earliest_times(versions: Sequence[Version[Any]], end: datetime | UnsetType) -> list[datetime]:
    """Return for each of some versions the earliest time of those that follow, or the end of their list."""
    earliest = datetime.max.replace(tzinfo=UTC) if end is UNSET else end
    times: list[datetime] = []
    for version in reversed(versions):
        times.append(earliest)
        earliest = min(earliest, version.created_at or _NEVER)
    return times[::-1]


def _oldest_first(listed: Sequence[Version[Any]]) -> list[Version[Any]]:
    """Return a list of versions by time. Those of one flag are ordered by number, even if their times are not."""
    oldest_first = listed[::-1]
    by_time = sorted(oldest_first, key=lambda version: version.created_at or _NEVER)
    by_flag: dict[FlagId, list[Version[Any]]] = {}
    for version in by_time:
        by_flag.setdefault(flag_id(version.config), []).append(version)
    ordered = {id: iter(sorted(versions, key=attrgetter("version"))) for id, versions in by_flag.items()}
    return [next(ordered[flag_id(version.config)]) for version in by_time]
