"""The writes of a client in the last seconds: a read may not show them yet, because reads lag behind writes.

Paths are those of requests, such as `/flags/1` or `/flags/1/variants/on/users`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import attrs
from attrs import frozen

T = TypeVar("T")

LAG = 2.0
"""The seconds for which reads may lag behind writes."""

READ_INTERVAL = 0.1
"""The seconds between reads of an object that may not be shown yet."""


class _Recent(Generic[T]):
    """The values of the last seconds by path, oldest first."""

    def __init__(self) -> None:
        self._entries: dict[str, tuple[float, T]] = {}

    def put(self, path: str, value: T, now: float) -> None:
        """Store a value, and drop those that are too old."""
        self._entries.pop(path, None)
        self._entries[path] = now, value
        while self._entries[oldest := next(iter(self._entries))][0] < now - LAG:
            del self._entries[oldest]

    def get(self, path: str, now: float) -> T | None:
        """Return the value of a path, or None if no value was stored in the last seconds."""
        time, value = self._entries.get(path, (0.0, None))
        return value if now - time < LAG else None

    def forget(self, path: str) -> None:
        """Drop the value of a path."""
        self._entries.pop(path, None)

    def forget_object(self, path: str) -> None:
        """Drop the values at and below a path."""
        below = f"{path}/"
        for other in [other for other in self._entries if other == path or other.startswith(below)]:
            del self._entries[other]


@frozen
class _ListChanges:
    """The own changes of a list of IDs.

    Attributes:
        emptied_at: when the list was emptied, or its variant removed; None if it was not.
        ids: when each ID was added or removed last, and which of both.
    """

    emptied_at: float | None = None
    ids: Mapping[str, tuple[float, bool]] = attrs.field(factory=dict[str, tuple[float, bool]])


class RecentWrites:
    """The recent writes of a client. Writes with an unknown outcome are not among them.

    Args:
        clock: returns the time in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._created: _Recent[bool] = _Recent()
        self._lists: _Recent[_ListChanges] = _Recent()
        self._edits: _Recent[Mapping[str, Any]] = _Recent()

    def add_creation(self, path: str) -> None:
        """Record that an object was created."""
        self._created.put(path, True, self._clock())

    def is_new(self, path: str) -> bool:
        """Return whether the object of a path, or one that contains it, was created just now."""
        segments = path.split("/")
        now = self._clock()
        return any(self._created.get("/".join(segments[:end]), now) for end in range(2, len(segments) + 1))

    def add_edit(self, path: str, fields: Mapping[str, Any]) -> None:
        """Record the fields that an edit of an object has set."""
        now = self._clock()
        self._edits.put(path, {**(self._edits.get(path, now) or {}), **fields}, now)

    def edited_fields(self, path: str) -> Mapping[str, Any]:
        """Return the fields that recent edits of an object have set."""
        return self._edits.get(path, self._clock()) or {}

    def change_list(self, path: str, *, added: Iterable[str] = (), removed: Iterable[str] = ()) -> None:
        """Record that IDs were added to a list or removed from it."""
        now = self._clock()
        before = self._lists.get(path, now) or _ListChanges()
        kept = {id: change for id, change in before.ids.items() if now - change[0] < LAG}
        changes = dict.fromkeys(added, (now, True)) | dict.fromkeys(removed, (now, False))
        self._lists.put(path, attrs.evolve(before, ids=kept | changes), now)

    def empty_list(self, path: str) -> None:
        """Record that a list has no IDs."""
        now = self._clock()
        self._lists.put(path, _ListChanges(now), now)

    def apply_to_list(self, path: str, ids: Sequence[str]) -> list[str]:
        """Return the IDs that were read from a list, with the changes that the read may not show yet."""
        now = self._clock()
        changes = self._lists.get(path, now)
        if changes is None:
            return list(ids)
        is_emptied = changes.emptied_at is not None and now - changes.emptied_at < LAG
        recent = {id: included for id, (time, included) in changes.ids.items() if now - time < LAG}
        kept = [] if is_emptied else [id for id in ids if recent.get(id, True)]
        return list(dict.fromkeys([*kept, *(id for id, included in recent.items() if included)]))

    def forget(self, path: str) -> None:
        """Drop the changes of a path, after a write whose outcome is not certain."""
        self._lists.forget(path)
        self._edits.forget(path)

    def forget_object(self, path: str) -> None:
        """Drop everything at and below a path, because the object was removed or replaced."""
        for writes in (self._created, self._lists, self._edits):
            writes.forget_object(path)
