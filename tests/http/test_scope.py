"""What is under way until somebody ends it: scopes, the alarm that ends them, and the places that calls wait for."""

from __future__ import annotations

import asyncio

import pytest

from amp_exp_async.http.ordering import KeyedLocks, Places
from amp_exp_async.http.scope import Alarm, Scope
from tests.virtual_time import now, run


async def inside(scope: Scope, seconds: float) -> tuple[str, float]:
    """Sleep in a scope: what became of it, and when."""
    with scope:
        await asyncio.sleep(seconds)
        return "done", now()
    return "ended", now()


def test_the_alarm_ends_each_scope_at_its_time() -> None:
    """In whatever order they were entered, and those that are left in time are not ended."""

    async def scenario() -> None:
        alarm = Alarm()
        sleeps = [(5.0, 9.0), (3.0, 9.0), (7.0, 6.0), (3.0, 1.0), (8.0, 9.0)]
        tasks = [asyncio.ensure_future(inside(alarm.within(seconds), sleep)) for seconds, sleep in sleeps]
        expected = [("ended", 5.0), ("ended", 3.0), ("done", 6.0), ("done", 1.0), ("ended", 8.0)]
        assert await asyncio.gather(*tasks) == expected
        assert alarm._timer is None
        assert await inside(alarm.within(1.0), 2.0) == ("ended", 9.0)

    run(scenario())


def test_a_closed_alarm_leaves_no_timer() -> None:
    """Nothing rings any more."""

    async def scenario() -> None:
        alarm = Alarm()
        assert await inside(alarm.within(5.0), 1.0) == ("done", 1.0)
        assert alarm._timer is not None
        alarm.close()
        assert alarm._timer is None

    run(scenario())


@pytest.mark.parametrize("ended", [True, False])
def test_a_cancellation_from_elsewhere_passes(ended: bool) -> None:
    """Also where the scope is ended in the same moment; an error of its own passes too."""

    async def scenario() -> None:
        scopes: set[Scope] = set()
        scope = Scope(scopes)
        task = asyncio.ensure_future(inside(scope, 9.0))
        await asyncio.sleep(1.0)
        assert scopes == {scope}
        if ended:
            scope.end()
            scope.end()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert scopes == set()
        with pytest.raises(KeyError), Scope(scopes):
            raise KeyError

    run(scenario())


def test_the_outer_scope_of_two() -> None:
    """Where both are ended at once, the outer one is what ended the call."""

    async def both(outer: Scope, inner: Scope) -> str:
        with outer:
            with inner:
                await asyncio.sleep(9.0)
            return "inner"
        return "outer"

    async def scenario() -> None:
        for ends, expected in (([0, 1], "outer"), ([1, 0], "outer"), ([0], "outer"), ([1], "inner")):
            scopes = Scope(set()), Scope(set())
            task = asyncio.ensure_future(both(*scopes))
            await asyncio.sleep(1.0)
            for end in ends:
                scopes[end].end()
            assert await task == expected
            assert task.cancelling() == 0

    run(scenario())


def test_a_place_that_is_handed_to_a_cancelled_waiter() -> None:
    """It goes on to the next one; when there is none, it is free, and a lock is gone."""

    async def scenario() -> None:
        places, locks = Places(1), KeyedLocks()
        assert places.take_free()
        assert not places.take_free()
        waiting = [asyncio.ensure_future(places.wait(None)) for _ in range(3)]
        await locks.acquire("a", None)
        lock_wanted = asyncio.ensure_future(locks.acquire("a", None))
        await asyncio.sleep(1.0)
        waiting[1].cancel()
        places.give_back()
        waiting[0].cancel()
        locks.release("a")
        lock_wanted.cancel()
        await asyncio.wait([*waiting, lock_wanted])
        assert [task.cancelled() for task in waiting] == [True, True, False]
        assert lock_wanted.cancelled()
        assert len(locks) == 0
        places.give_back()
        assert places.free == 1

    run(scenario())
