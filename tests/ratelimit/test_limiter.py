"""The rate limiter of one client, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amp_exp_async import RateLimit
from amp_exp_async.ratelimit.limiter import LimitExceededError, LocalRateLimiter
from tests.virtual_time import now, outcome, run

MIDNIGHT = 1_800_057_600.0  # a UTC midnight, as POSIX time
assert MIDNIGHT % 86_400 == 0


def run_with_limiter(
    limit: RateLimit, scenario: Callable[[LocalRateLimiter], Coroutine[Any, Any, None]]
) -> LocalRateLimiter:
    """Run a scenario that starts an hour before midnight, and return its limiter."""

    async def create_and_run() -> LocalRateLimiter:
        limiter = LocalRateLimiter(limit, lambda: MIDNIGHT - 3600.0 + now())
        await scenario(limiter)
        return limiter

    return run(create_and_run())


def test_a_burst_after_idling_is_immediate() -> None:
    """A second after the last response all permits are available, and exactly that many requests go out at once."""

    async def scenario(limiter: LocalRateLimiter) -> None:
        for start in (0.0, 60.0):
            await asyncio.sleep(start - now())
            for _ in range(100):
                await limiter.acquire(now())
            assert now() == start
            for _ in range(100):
                limiter.release(start, reached=True, answered=True)
            with pytest.raises(TimeoutError):
                await limiter.acquire(start + 0.5)

    assert run_with_limiter(RateLimit(), scenario).seconds_waited == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("reached", "answered", "held"),
    [(True, True, 1.0), (True, False, 1.0 + 0.7), (False, False, 0.0)],
    ids=["answered", "no response", "never connected"],
)
def test_how_long_a_permit_is_held(reached: bool, answered: bool, held: float) -> None:
    """One second after a response, longer if the request may still arrive, and not at all if it was never sent."""

    async def scenario(limiter: LocalRateLimiter) -> None:
        await limiter.acquire(None)
        sent_at = now()
        await asyncio.sleep(0.7)
        limiter.release(sent_at, reached=reached, answered=answered)
        await limiter.acquire(None)
        assert now() == pytest.approx(0.7 + held)
        assert limiter.requests_today == 1 + reached

    limiter = run_with_limiter(RateLimit(per_second=1, per_day=None), scenario)
    assert limiter.seconds_waited == pytest.approx(held)


@pytest.mark.parametrize(("seconds", "held"), [(0.5, 1.5), (2.0, 3.0), (30.0, 3.0)])
def test_how_long_a_request_without_a_response_holds_its_permit(seconds: float, held: float) -> None:
    """For one second and as long again as it was in flight, at most three seconds."""

    async def scenario(limiter: LocalRateLimiter) -> None:
        await limiter.acquire(None)
        await asyncio.sleep(seconds)
        limiter.release(0.0, reached=True, answered=False)
        await limiter.acquire(None)
        assert now() == pytest.approx(seconds + held)

    run_with_limiter(RateLimit(per_second=1), scenario)


def test_a_429_resets_the_rtt_estimate() -> None:
    """A slow network is used fully after 100 responses, until a 429, and again after 200 more responses."""
    waits: list[float] = []

    async def scenario(limiter: LocalRateLimiter) -> None:
        for index in range(350):
            started = now()
            await limiter.acquire(None)
            waits.append(now() - started)
            throttled = index == 125
            sent_at = now()
            await asyncio.sleep(0.5)
            limiter.release(sent_at, reached=True, answered=True, throttled=throttled)
            if throttled:
                limiter.pause(0.0)

    run_with_limiter(RateLimit(per_second=1), scenario)
    warm, cold = pytest.approx(1.0 - 0.95 * 0.5), pytest.approx(1.0)
    assert waits[1:100] == [cold] * 99
    assert waits[100:126] == [warm] * 26
    assert waits[126:326] == [cold] * 200
    assert waits[326:] == [warm] * 24


def test_a_pause_stops_all_requests() -> None:
    """Until it ends nothing is sent, whether calls wait already or permits are available; then all is sent at once."""

    async def scenario(limiter: LocalRateLimiter) -> None:
        for _ in range(3):
            await limiter.acquire(None)
        waiting = [asyncio.ensure_future(limiter.acquire(None)) for _ in range(2)]
        await asyncio.sleep(0)
        for _ in range(3):
            limiter.release(0.0, reached=True, answered=True)
        limiter.pause(5.0)
        limiter.pause(2.0)  # does not end the longer one
        with pytest.raises(LimitExceededError):
            await limiter.acquire(4.9)
        await asyncio.sleep(4.99)
        assert not any(task.done() for task in waiting)
        await asyncio.gather(*waiting)
        assert now() == pytest.approx(5.0)

    run_with_limiter(RateLimit(per_second=3), scenario)


@pytest.mark.parametrize("daily", [True, False])
def test_a_pause_rejects_waiters_that_it_makes_too_late(daily: bool) -> None:
    """It rejects calls with an earlier deadline at once, and calls that fail on the limit of the day if it is daily."""

    async def scenario(limiter: LocalRateLimiter) -> None:
        await limiter.acquire(None)
        calls = {"early": (30.0, False), "late": (90.0, False), "not tomorrow": (None, True), "ever": (None, False)}
        waiting = {
            name: asyncio.ensure_future(outcome(limiter.acquire(deadline, fail_on_daily_limit=fail_on_daily_limit)))
            for name, (deadline, fail_on_daily_limit) in calls.items()
        }
        await asyncio.sleep(10.0)
        limiter.pause(50.0, daily=daily)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        rejected = {"early", "not tomorrow"} if daily else {"early"}
        assert {name for name, task in waiting.items() if task.done()} == rejected
        for name in rejected:
            error, seconds = waiting[name].result()
            assert isinstance(error, LimitExceededError)
            assert (error.seconds, error.daily, seconds) == (50.0, daily, 10.0)
        for _ in range(len(waiting) - len(rejected)):
            limiter.release(now(), reached=False, answered=False)
            await asyncio.sleep(51.0)
        assert all(task.done() for task in waiting.values())
        # The same for calls that start during a pause.
        limiter.pause(50.0, daily=daily)
        for deadline, fail_on_daily_limit in ((now() + 30.0, False), (None, True))[: 1 + daily]:
            with pytest.raises(LimitExceededError):
                limiter.fail_fast(deadline, fail_on_daily_limit=fail_on_daily_limit)
            with pytest.raises(LimitExceededError):
                await limiter.acquire(deadline, fail_on_daily_limit=fail_on_daily_limit)
        limiter.fail_fast(None)

    run_with_limiter(RateLimit(per_second=1), scenario)


@pytest.mark.parametrize("per_second", [1, 100, None])
def test_the_limit_of_the_day_ends_at_midnight(per_second: int | None) -> None:
    """When the limit of the day is reached, the next request waits for midnight UTC, and the count starts over."""

    async def scenario(limiter: LocalRateLimiter) -> None:
        for _ in range(3):
            await limiter.acquire(None)
            limiter.release(now(), reached=True, answered=True)
        assert limiter.requests_today == 3
        started = now()
        with pytest.raises(LimitExceededError) as caught:
            await limiter.acquire(started + 3000.0)
        assert caught.value.daily
        assert caught.value.seconds == pytest.approx(3600.0 - started)
        assert now() == started
        await limiter.acquire(started + 3601.0)
        assert now() == pytest.approx(3600.0, abs=0.001)
        assert limiter.requests_today == 1
        await asyncio.sleep(86_400.0)
        assert limiter.requests_today == 0

    run_with_limiter(RateLimit(per_second=per_second, per_day=3), scenario)


def test_the_last_request_of_the_day_rejects_the_waiters() -> None:
    """Calls behind it fail at once."""

    async def scenario(limiter: LocalRateLimiter) -> None:
        await limiter.acquire(None)
        waiting = [asyncio.ensure_future(outcome(limiter.acquire(now() + 60.0))) for _ in range(3)]
        await asyncio.sleep(2.0)
        limiter.release(now(), reached=True, answered=True)
        first, *others = await asyncio.gather(*waiting)
        assert first == (None, 3.0)
        for error, seconds in others:
            assert isinstance(error, LimitExceededError)
            assert (error.seconds, error.daily, seconds) == (pytest.approx(3597.0), True, 3.0)

    run_with_limiter(RateLimit(per_second=1, per_day=2), scenario)


@settings(deadline=None, max_examples=60, derandomize=True)
@given(st.integers(1, 5), st.lists(st.sampled_from(["wait", "cancel", "time out"]), min_size=1, max_size=20))
def test_permits_are_granted_in_order(limit: int, fates: list[str]) -> None:
    """Calls get permits in the order in which they came; a call that is cancelled or times out takes none."""
    served: list[int] = []

    async def call(limiter: LocalRateLimiter, index: int, deadline: float | None) -> None:
        await limiter.acquire(deadline)
        served.append(index)
        limiter.release(now(), reached=True, answered=True)

    async def scenario(limiter: LocalRateLimiter) -> None:
        for _ in range(limit):
            await limiter.acquire(None)
            limiter.release(now(), reached=True, answered=True)
        calls = [
            asyncio.ensure_future(call(limiter, index, 0.9 if fate == "time out" else None))
            for index, fate in enumerate(fates)
        ]
        await asyncio.sleep(0.5)
        for task, fate in zip(calls, fates, strict=True):
            if fate == "cancel":
                task.cancel()
        results = await asyncio.gather(*calls, return_exceptions=True)
        expected = {"cancel": asyncio.CancelledError, "time out": TimeoutError, "wait": type(None)}
        assert [type(result) for result in results] == [expected[fate] for fate in fates]
        assert served == [index for index, fate in enumerate(fates) if fate == "wait"]
        await asyncio.sleep(2.0)
        for _ in range(limit):
            await limiter.acquire(now())  # all permits are available
        with pytest.raises(TimeoutError):
            await limiter.acquire(now() + 0.1)

    run_with_limiter(RateLimit(per_second=limit), scenario)


@pytest.mark.parametrize("cancel_first", [True, False], ids=["before", "after"])
def test_a_waiter_that_is_cancelled_when_it_is_granted_a_permit(cancel_first: bool) -> None:
    """The permit goes to the next waiter, whether the first is cancelled just before or just after."""

    async def scenario(limiter: LocalRateLimiter) -> None:
        await limiter.acquire(None)
        first, second = (asyncio.ensure_future(limiter.acquire(None)) for _ in range(2))
        await asyncio.sleep(0)
        if cancel_first:
            first.cancel()
        limiter.release(now(), reached=False, answered=False)
        first.cancel()
        await asyncio.wait_for(second, 5)
        assert first.cancelled()
        assert limiter.requests_today == 1

    run_with_limiter(RateLimit(per_second=1), scenario)


@pytest.mark.parametrize("fate", ["cancelled", "timed out"])
def test_a_waiter_that_stops_waiting_leaves_the_queue(fate: str) -> None:
    """The queue holds only the other waiters, and closing stops the timer."""

    async def scenario(limiter: LocalRateLimiter) -> None:
        await limiter.acquire(None)
        limiter.release(now(), reached=True, answered=True)
        leaving = asyncio.ensure_future(limiter.acquire(0.3 if fate == "timed out" else None))
        staying = asyncio.ensure_future(limiter.acquire(None))
        await asyncio.sleep(0.2)
        timer = limiter._client._timer
        assert timer is not None
        assert limiter._shared.waiting == 2
        if fate == "cancelled":
            leaving.cancel()
        await asyncio.wait([leaving])
        assert limiter._shared.waiting == 1
        limiter.close()
        assert (limiter._client._timer, timer.cancelled()) == (None, True)
        staying.cancel()

    run_with_limiter(RateLimit(per_second=1), scenario)


def test_a_limiter_that_is_used_in_another_loop() -> None:
    """Its timer in the first loop does not keep it from setting one in the second."""
    limiter = LocalRateLimiter(RateLimit(per_second=1))

    async def scenario() -> None:
        await limiter.acquire(None)
        limiter.release(now(), reached=True, answered=True)
        with pytest.raises(TimeoutError):
            await limiter.acquire(now() + 0.5)

    run(scenario())
    run(asyncio.wait_for(limiter.acquire(None), 5.0))
