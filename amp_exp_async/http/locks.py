"""Locks that keep the writes to one object apart, and a wait for the end of all writes."""

from __future__ import annotations

import asyncio

from anyio import Semaphore


class KeyedLocks:
    """A FIFO lock for each key, which exists while it is held or awaited. The key None needs no lock."""

    def __init__(self) -> None:
        # A semaphore is expensive to create, and only a lock with waiters needs one.
        self._locks: dict[str, Semaphore | None] = {}

    def __len__(self) -> int:
        return len(self._locks)

    def acquire_nowait(self, key: str | None) -> bool:
        """Acquire the lock of a key if it is free, and return whether it was."""
        if key is None:
            return True
        if key in self._locks:
            return False
        self._locks[key] = None
        return True

    async def acquire(self, key: str | None, deadline: float | None) -> None:
        """Acquire the lock of a key.

        Raises:
            TimeoutError: If the lock is not released before the loop time `deadline`.
        """
        if key is None or self.acquire_nowait(key):
            return
        lock = self._locks[key]
        if lock is None:
            lock = self._locks[key] = Semaphore(0)
        try:
            async with asyncio.timeout_at(deadline):
                await lock.acquire()
        except BaseException:
            # The lock may have been handed to this waiter, which passes it on as it leaves.
            if lock.value and self._locks.get(key) is lock:
                del self._locks[key]
            raise

    def release(self, key: str | None) -> None:
        """Release the lock of a key."""
        if key is None:
            return
        lock = self._locks[key]
        if lock is not None:
            lock.release()
        if lock is None or lock.value:
            del self._locks[key]


class WaitGroup:
    """A count of what is in progress, and a wait for its end."""

    def __init__(self) -> None:
        self._count = 0
        self._waiters: set[asyncio.Future[None]] = set()

    def __len__(self) -> int:
        return self._count

    def add(self) -> None:
        """Count one more."""
        self._count += 1

    def done(self) -> None:
        """Count one less."""
        self._count -= 1
        if not self._count:
            for waiter in self._waiters:
                if not waiter.done():
                    waiter.set_result(None)

    async def wait(self) -> None:
        """Wait until nothing is in progress."""
        while self._count:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
            try:
                await waiter
            finally:
                self._waiters.discard(waiter)
