"""Cancel scopes and the timer that cancels them at their deadlines."""

from __future__ import annotations

import asyncio

import pytest

from amp_exp_async.http.deadlines import CancelScope, DeadlineTimer
from tests.virtual_time import now, run


async def sleep_in(scope: CancelScope, seconds: float) -> tuple[str, float]:
    """Sleep in a scope; return how it ended, and when."""
    with scope:
        await asyncio.sleep(seconds)
        return "done", now()
    return "cancelled", now()


def test_each_scope_is_cancelled_at_its_deadline() -> None:
    """The order of entering does not matter, and a scope that was left in time is not cancelled."""

    async def scenario() -> None:
        timer = DeadlineTimer()
        sleeps = [(5.0, 9.0), (3.0, 9.0), (7.0, 6.0), (3.0, 1.0), (8.0, 9.0)]
        tasks = [asyncio.ensure_future(sleep_in(timer.scope(deadline), sleep)) for deadline, sleep in sleeps]
        expected = [("cancelled", 5.0), ("cancelled", 3.0), ("done", 6.0), ("done", 1.0), ("cancelled", 8.0)]
        assert await asyncio.gather(*tasks) == expected
        assert timer._timer is None
        assert await sleep_in(timer.scope(now() + 1.0), 2.0) == ("cancelled", 9.0)

    run(scenario())


def test_closing_leaves_no_timer() -> None:
    """A closed `DeadlineTimer` has cancelled its timer."""

    async def scenario() -> None:
        timer = DeadlineTimer()
        assert await sleep_in(timer.scope(now() + 5.0), 1.0) == ("done", 1.0)
        assert timer._timer is not None
        timer.close()
        assert timer._timer is None

    run(scenario())


@pytest.mark.parametrize("cancelled", [True, False])
def test_a_cancellation_from_elsewhere_passes(cancelled: bool) -> None:
    """It passes even if the scope is cancelled at the same moment, and an exception of the block passes too."""

    async def scenario() -> None:
        scopes: set[CancelScope] = set()
        scope = CancelScope(scopes)
        task = asyncio.ensure_future(sleep_in(scope, 9.0))
        await asyncio.sleep(1.0)
        assert scopes == {scope}
        if cancelled:
            scope.cancel()
            scope.cancel()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert scopes == set()
        with pytest.raises(KeyError), CancelScope(scopes):
            raise KeyError

    run(scenario())


def test_cancelling_a_scope_that_was_left() -> None:
    """It does nothing to the task."""

    async def scenario() -> None:
        scope = CancelScope(set())
        assert await sleep_in(scope, 1.0) == ("done", 1.0)
        scope.cancel()
        await asyncio.sleep(1.0)
        assert not scope.cancel_called

    run(scenario())


def test_nested_scopes() -> None:
    """If both are cancelled at the same moment, the cancellation ends at the outer scope."""

    async def both(outer: CancelScope, inner: CancelScope) -> str:
        with outer:
            with inner:
                await asyncio.sleep(9.0)
            return "inner"
        return "outer"

    async def scenario() -> None:
        for order, expected in (([0, 1], "outer"), ([1, 0], "outer"), ([0], "outer"), ([1], "inner")):
            scopes = CancelScope(set()), CancelScope(set())
            task = asyncio.ensure_future(both(*scopes))
            await asyncio.sleep(1.0)
            for index in order:
                scopes[index].cancel()
            assert await task == expected
            assert task.cancelling() == 0

    run(scenario())
