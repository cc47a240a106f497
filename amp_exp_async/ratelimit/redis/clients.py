"""The registry of the lease clients of this process, which share one fallback limit while Redis is unavailable."""

from __future__ import annotations

import os
import threading
import weakref
from collections import defaultdict
from typing import Protocol


class Degradable(Protocol):
    """A lease client.

    Attributes:
        degraded: whether Redis is unavailable for it.
    """

    degraded: bool


_lock = threading.Lock()
_clients: defaultdict[str, weakref.WeakSet[Degradable]] = defaultdict(weakref.WeakSet)


def register(name: str, client: Degradable) -> None:
    """Add a client of the leases with a name."""
    with _lock:
        _clients[name].add(client)


def unregister(name: str, client: Degradable) -> None:
    """Remove a client. Idempotent."""
    with _lock:
        _clients[name].discard(client)
        if not _clients[name]:
            del _clients[name]


def count(name: str) -> int:
    """Return the number of clients, at least 1."""
    with _lock:
        return max(1, len(_clients.get(name, ())))


def mark_degraded(name: str, client: Degradable, *, degraded: bool) -> bool:
    """Set whether Redis is unavailable for a client, and return whether it is available for all other clients."""
    with _lock:
        client.degraded = degraded
        return not any(other.degraded for other in _clients.get(name, ()) if other is not client)


def _after_fork() -> None:
    global _lock  # noqa: PLW0603 - a thread of the parent may hold the lock, and a lock cannot be reset
    _lock = threading.Lock()
    _clients.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
