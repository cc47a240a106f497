"""The clients of this process that share one key: what they may send without Redis is for all of them together."""

from __future__ import annotations

import os
import threading
import weakref
from collections import defaultdict
from typing import Protocol


class Sibling(Protocol):
    """One of them.

    Attributes:
        away: whether Redis does not answer it.
    """

    away: bool


_lock = threading.Lock()
_siblings: defaultdict[str, weakref.WeakSet[Sibling]] = defaultdict(weakref.WeakSet)


def join(name: str, sibling: Sibling) -> None:
    """Be one of those that share the accounts of a name."""
    with _lock:
        _siblings[name].add(sibling)


def leave(name: str, sibling: Sibling) -> None:
    """Be one of them no more. Idempotent."""
    with _lock:
        _siblings[name].discard(sibling)
        if not _siblings[name]:
            del _siblings[name]


def how_many(name: str) -> int:
    """How many there are; 1 where there is none."""
    with _lock:
        return max(1, len(_siblings.get(name, ())))


def set_away(name: str, sibling: Sibling, *, away: bool) -> bool:
    """Note that Redis does or does not answer one; whether that is news to all of them."""
    with _lock:
        sibling.away = away
        return not any(other.away for other in _siblings.get(name, ()) if other is not sibling)


def _after_fork() -> None:
    # Another thread may have held the lock, and the parent's clients are none of the child's.
    global _lock  # noqa: PLW0603 - a lock cannot be made free otherwise
    _lock = threading.Lock()
    _siblings.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
