"""Writes to one object never overlap; writes to different objects do not wait for each other."""

from __future__ import annotations

import asyncio


class KeyedLocks:
    """A lock for each key, first come, first served, kept only while somebody wants it. None needs no lock."""

    def __init__(self) -> None:
        self._locks: dict[str, asyncio.Lock] = {}
        self._users: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._locks)

    async def acquire(self, key: str | None, until: float | None) -> None:
        """Take the lock of a key.

        Raises:
            TimeoutError: it was not to be had before the loop's time `until`.
        """
        if key is None:
            return
        lock = self._locks.setdefault(key, asyncio.Lock())
        self._users[key] = self._users.get(key, 0) + 1
        try:
            if lock.locked():
                async with asyncio.timeout_at(until):
                    await lock.acquire()
            else:
                await lock.acquire()
        except BaseException:
            self._leave(key)
            raise

    def release(self, key: str | None) -> None:
        """Give the lock of a key back."""
        if key is not None:
            self._locks[key].release()
            self._leave(key)

    def _leave(self, key: str) -> None:
        self._users[key] -= 1
        if not self._users[key]:
            del self._users[key], self._locks[key]
