"""Writes to one object never overlap; writes to different objects do not wait for each other."""

from __future__ import annotations

import asyncio
from collections import deque


class Places:
    """So many at once, first come, first served.

    Attributes:
        free: places that nobody has. While there are any, nobody waits.
    """

    __slots__ = ("_waiters", "free")

    def __init__(self, free: int) -> None:
        self.free = free
        self._waiters: deque[asyncio.Future[None]] = deque()

    def take_free(self) -> bool:
        """Take a place, if one is free."""
        if not self.free:
            return False
        self.free -= 1
        return True

    async def wait(self, until: float | None) -> None:
        """Take the next place that somebody gives back.

        Raises:
            TimeoutError: there was none before the loop's time `until`.
        """
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(place)
        try:
            async with asyncio.timeout_at(until):
                await place
        except BaseException:
            if place.done() and not place.cancelled():
                self.give_back()
            elif place in self._waiters:
                self._waiters.remove(place)
            raise

    def give_back(self) -> None:
        """Hand a place to whoever has waited longest, else leave it free."""
        while self._waiters:
            place = self._waiters.popleft()
            if not place.done():  # or its waiter is cancelled, and has not run since
                place.set_result(None)
                return
        self.free += 1


class KeyedLocks:
    """A lock for each key, first come, first served, kept only while somebody wants it. None needs no lock."""

    def __init__(self) -> None:
        self._locks: dict[str, Places] = {}

    def __len__(self) -> int:
        return len(self._locks)

    def take_free(self, key: str | None) -> bool:
        """Take the lock of a key, if nobody has it."""
        if key is None:
            return True
        if key in self._locks:
            return False
        self._locks[key] = Places(0)
        return True

    async def acquire(self, key: str | None, until: float | None) -> None:
        """Take the lock of a key.

        Raises:
            TimeoutError: it was not to be had before the loop's time `until`.
        """
        if key is None or self.take_free(key):
            return
        try:
            await self._locks[key].wait(until)
        except BaseException:
            self._forget(key)
            raise

    def release(self, key: str | None) -> None:
        """Give the lock of a key back."""
        if key is not None:
            self._locks[key].give_back()
            self._forget(key)

    def _forget(self, key: str) -> None:
        lock = self._locks.get(key)  # None where the wait ended after the last holder had gone
        if lock is not None and lock.free:
            del self._locks[key]
