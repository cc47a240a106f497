"""Locks by key."""

from __future__ import annotations

import asyncio

import pytest

from amp_exp_async.http.locks import KeyedLocks
from tests.virtual_time import now, run


def test_waiters_are_served_in_order() -> None:
    """A release wakes the oldest waiter, and the lock disappears with its last holder."""

    async def scenario() -> None:
        locks, order = KeyedLocks(), list[int]()

        async def hold(number: int) -> None:
            await locks.acquire("a", None)
            order.append(number)
            await asyncio.sleep(1.0)
            locks.release("a")

        assert locks.acquire_nowait("a")
        assert not locks.acquire_nowait("a")
        assert locks.acquire_nowait("b")
        waiting = [asyncio.ensure_future(hold(number)) for number in range(3)]
        await asyncio.sleep(1.0)
        locks.release("a")
        locks.release("b")
        await asyncio.wait(waiting)
        assert order == [0, 1, 2]
        assert len(locks) == 0

    run(scenario())


def test_a_lock_that_is_handed_to_a_cancelled_waiter() -> None:
    """The lock goes on to the next waiter; without one it disappears."""

    async def scenario() -> None:
        locks = KeyedLocks()
        for key in ("a", "b"):
            await locks.acquire(key, None)
        waiting = [asyncio.ensure_future(locks.acquire("a", None)) for _ in range(3)]
        alone = asyncio.ensure_future(locks.acquire("b", None))
        await asyncio.sleep(1.0)
        waiting[1].cancel()
        locks.release("a")
        waiting[0].cancel()
        locks.release("b")
        alone.cancel()
        await asyncio.wait([*waiting, alone])
        assert [task.cancelled() for task in waiting] == [True, True, False]
        assert alone.cancelled()
        assert len(locks) == 1
        locks.release("a")
        assert len(locks) == 0

    run(scenario())


def test_a_deadline() -> None:
    """A waiter gives up at its deadline and leaves the lock to its holder."""

    async def scenario() -> None:
        locks = KeyedLocks()
        await locks.acquire("a", None)
        with pytest.raises(TimeoutError):
            await locks.acquire("a", 2.0)
        assert now() == 2.0
        locks.release("a")
        assert len(locks) == 0

    run(scenario())


def test_the_key_none() -> None:
    """It needs no lock."""

    async def scenario() -> None:
        locks = KeyedLocks()
        assert locks.acquire_nowait(None)
        await locks.acquire(None, 0.0)
        locks.release(None)
        assert len(locks) == 0

    run(scenario())
