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


async def attempt_in(scope: CancelScope, timer: DeadlineTimer, deadline: float, seconds: float) -> tuple[str, float]:
    """Sleep as an attempt in a scope; return how it ended, and when."""
    with scope:
        timer.start_attempt(scope, deadline)
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            return ("timed out" if scope.end_attempt() else "cancelled"), now()
        return ("late" if scope.end_attempt() else "done"), now()


def test_each_attempt_times_out_at_its_deadline() -> None:
    """The order of the starts does not matter, and an attempt that ended in time is not cancelled."""

    async def scenario() -> None:
        scopes: set[CancelScope] = set()
        timer = DeadlineTimer(scopes)
        sleeps = [(5.0, 9.0), (3.0, 9.0), (7.0, 6.0), (3.0, 1.0), (8.0, 9.0)]
        tasks = [
            asyncio.ensure_future(attempt_in(CancelScope(scopes), timer, deadline, sleep)) for deadline, sleep in sleeps
        ]
        expected = [("timed out", 5.0), ("timed out", 3.0), ("done", 6.0), ("done", 1.0), ("timed out", 8.0)]
        assert await asyncio.gather(*tasks) == expected
        assert timer._timer is None
        assert await attempt_in(CancelScope(scopes), timer, now() + 1.0, 2.0) == ("timed out", 9.0)

    run(scenario())


def test_closing_leaves_no_timer() -> None:
    """A closed `DeadlineTimer` has cancelled its timer."""

    async def scenario() -> None:
        scopes: set[CancelScope] = set()
        timer = DeadlineTimer(scopes)
        assert await attempt_in(CancelScope(scopes), timer, now() + 5.0, 1.0) == ("done", 1.0)
        assert timer._timer is not None
        timer.close()
        assert timer._timer is None

    run(scenario())


def test_the_scope_outlives_an_attempt_that_timed_out() -> None:
    """The task goes on: another attempt in the scope can time out too, and the deadline of the first is forgotten."""

    async def scenario() -> None:
        scopes: set[CancelScope] = set()
        timer, scope, ends = DeadlineTimer(scopes), CancelScope(scopes), list[float]()
        with scope:
            for seconds in (2.0, 3.0):
                timer.start_attempt(scope, now() + seconds)
                with pytest.raises(asyncio.CancelledError):
                    await asyncio.sleep(9.0)
                assert scope.end_attempt()
                ends.append(now())
            await asyncio.sleep(9.0)
        assert ends == [2.0, 5.0]
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0

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


@pytest.mark.parametrize("calls", [("cancel", "time_out"), ("time_out", "cancel"), ("cancel",), ("time_out",)])
def test_a_scope_is_cancelled_when_its_attempt_times_out(calls: tuple[str, ...]) -> None:
    """The cancellation ends at the scope. Without it, a timeout ends with the attempt."""

    async def call(scope: CancelScope) -> str:
        with scope:
            try:
                await asyncio.sleep(9.0)
            except asyncio.CancelledError:
                if not scope.end_attempt():
                    raise
            return "attempt"
        return "scope"

    async def scenario() -> None:
        scope = CancelScope(set())
        task = asyncio.ensure_future(call(scope))
        await asyncio.sleep(1.0)
        for name in calls:
            getattr(scope, name)()
        assert await task == ("scope" if "cancel" in calls else "attempt")
        assert task.cancelling() == 0

    run(scenario())


def test_a_task_is_cancelled_when_its_attempt_times_out() -> None:
    """The cancellation of the task passes."""

    async def scenario() -> None:
        scopes: set[CancelScope] = set()
        task = asyncio.ensure_future(attempt_in(CancelScope(scopes), DeadlineTimer(scopes), 1.0, 9.0))
        asyncio.get_running_loop().call_at(1.0, task.cancel)
        assert await task == ("cancelled", 1.0)
        assert task.cancelling() == 1

    run(scenario())
