"""Locks that keep the writes to one object apart."""

from __future__ import annotations

import asyncio

from anyio import Semaphore


class KeyedLocks:
    """A FIFO lock for each key, which exists while it is held or awaited. The key None needs no lock."""

    def __init__(self) -> None:
        self._locks: dict[str, Semaphore] = {}

    def __len__(self) -> int:
        return len(self._locks)

    def acquire_nowait(self, key: str | None) -> bool:
        """Acquire the lock of a key if it is free, and return whether it was."""
        if key is None:
            return True
        if key in self._locks:
            return False
        self._locks[key] = Semaphore(0)
        return True

    async def acquire(self, key: str | None, deadline: float | None) -> None:
        """Acquire the lock of a key.

        Raises:
            TimeoutError: If the lock is not released before the loop time `deadline`.
        """
        if key is None or self.acquire_nowait(key):
            return
        try:
            async with asyncio.timeout_at(deadline):
                await self._locks[key].acquire()
        except BaseException:
            self._discard_unused(key)
            raise

    def release(self, key: str | None) -> None:
        """Release the lock of a key."""
        if key is not None:
            self._locks[key].release()
            self._discard_unused(key)

    def _discard_unused(self, key: str) -> None:
        lock = self._locks.get(key)  # None if the last holder has left before the waiter
        if lock is not None and lock.value:
            del self._locks[key]
