"""Rule 3: the pacer under every request, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amp_exp_async import APITimeoutError, RateLimit, RateLimitError, RetryPolicy
from amp_exp_async.config import Endpoint, Secret
from amp_exp_async.http import CallOptions, HttpOptions, HttpSession, Request, Transport
from amp_exp_async.ratelimit.limiter import LimitExceededError, LocalRateLimiter
from amp_exp_async.ratelimit.window import seconds_to_midnight
from tests.virtual_time import Answer, ScriptedSession, now, outcome, run

MIDNIGHT = 1_800_057_600.0  # some UTC midnight, POSIX seconds
assert MIDNIGHT % 86_400 == 0


def paced(limit: RateLimit, scenario: Callable[[LocalRateLimiter], Coroutine[Any, Any, None]]) -> LocalRateLimiter:
    """Run a scenario with a pacer whose wall clock goes with the loop's, one hour before midnight."""

    async def with_pacer() -> LocalRateLimiter:
        pacer = LocalRateLimiter(limit, lambda: MIDNIGHT - 3600.0 + now())
        await scenario(pacer)
        return pacer

    return run(with_pacer())


def test_a_burst_after_idling_is_immediate() -> None:
    """A second after the last reply all permits are there, and that many requests go at once, not one more."""

    async def scenario(pacer: LocalRateLimiter) -> None:
        for start in (0.0, 60.0):
            await asyncio.sleep(start - now())
            for _ in range(100):
                await pacer.acquire(now())
            assert now() == start
            for _ in range(100):
                pacer.release(start, reached=True, answered=True)
            with pytest.raises(TimeoutError):
                await pacer.acquire(start + 0.5)

    assert paced(RateLimit(), scenario).seconds_waited == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("reached", "answered", "held"),
    [(True, True, 1.0), (True, False, 1.0 + 0.7), (False, False, 0.0)],
    ids=["answered", "lost", "never connected"],
)
def test_how_long_a_permit_is_held(reached: bool, answered: bool, held: float) -> None:
    """A second after a reply; longer when the request may still arrive; not at all when it never went out."""

    async def scenario(pacer: LocalRateLimiter) -> None:
        await pacer.acquire(None)
        sent_at = now()
        await asyncio.sleep(0.7)
        pacer.release(sent_at, reached=reached, answered=answered)
        await pacer.acquire(None)
        assert now() == pytest.approx(0.7 + held)
        assert pacer.requests_today == 1 + reached

    pacer = paced(RateLimit(per_second=1, per_day=None), scenario)
    assert pacer.seconds_waited == pytest.approx(held)


def test_a_pause_stops_everything() -> None:
    """Until it ends nothing goes, with permits or without, those who wait already included; then all go at once."""

    async def scenario(pacer: LocalRateLimiter) -> None:
        for _ in range(3):
            await pacer.acquire(None)
        waiting = [asyncio.ensure_future(pacer.acquire(None)) for _ in range(2)]
        await asyncio.sleep(0)
        for _ in range(3):
            pacer.release(0.0, reached=True, answered=True)
        pacer.pause(5.0)
        pacer.pause(2.0)  # a shorter one does not end a longer one
        with pytest.raises(LimitExceededError):
            await pacer.acquire(4.9)
        await asyncio.sleep(4.99)
        assert not any(waiter.done() for waiter in waiting)
        await asyncio.gather(*waiting)
        assert now() == pytest.approx(5.0)

    paced(RateLimit(per_second=3), scenario)


@pytest.mark.parametrize("per_second", [1, 100, None])
def test_the_daily_limit_ends_at_midnight(per_second: int | None) -> None:
    """When the day's requests are used up, the next waits for the UTC midnight, and the count begins anew."""

    async def scenario(pacer: LocalRateLimiter) -> None:
        for _ in range(3):
            await pacer.acquire(None)
            pacer.release(now(), reached=True, answered=True)
        assert pacer.requests_today == 3
        started = now()
        with pytest.raises(LimitExceededError) as caught:
            await pacer.acquire(started + 3000.0)
        assert caught.value.daily
        assert caught.value.seconds == pytest.approx(3600.0 - started)
        assert now() == started
        await pacer.acquire(started + 3601.0)
        assert now() == pytest.approx(3600.0, abs=0.001)
        assert pacer.requests_today == 1
        await asyncio.sleep(86_400.0)
        assert pacer.requests_today == 0

    paced(RateLimit(per_second=per_second, per_day=3), scenario)


@pytest.mark.parametrize("seconds", [3600.0, 1.0, 0.001, 1e-6, 3e-7])
def test_seconds_to_midnight(seconds: float) -> None:
    """Until the UTC day ends it is never longer than it is, also in the day's last moment."""
    assert seconds_to_midnight(MIDNIGHT - seconds) == pytest.approx(seconds, abs=1e-6)
    assert seconds_to_midnight(MIDNIGHT) == 86_400


@pytest.mark.parametrize(("deadline", "sent"), [(3000.0, 2), (4000.0, 3), (None, 3)])
def test_over_the_daily_limit_nothing_is_sent(deadline: float | None, sent: int) -> None:
    """A call whose deadline comes before midnight fails at once without a request; else it waits."""
    session = ScriptedSession([Answer()])

    async def scenario() -> None:
        network = HttpOptions(
            session=session,  # type: ignore[arg-type]  # a stand-in
            rate_limit=RateLimit(per_day=2),
            wall_clock=lambda: MIDNIGHT - 3600.0 + now(),
        )
        connection = HttpSession(Endpoint("https://service.example/api/1", Secret("pacing-key")), network)
        transport = Transport(connection, CallOptions(deadline=deadline))
        for _ in range(2):
            await transport.send(Request("GET", "/flags"))
        result, elapsed = await outcome(transport.send(Request("GET", "/flags")))
        if sent == 2:
            assert isinstance(result, RateLimitError)
            assert (result.daily, result.attempts, elapsed) == (True, 0, 0.0)
            assert result.retry_after == pytest.approx(3600.0)
            assert "was not sent: the day's requests are used up" in str(result)
        else:
            assert elapsed == pytest.approx(3600.0, abs=0.001)
            assert connection.usage.seconds_waited == pytest.approx(elapsed)
        assert connection.usage.requests_today == sent if sent == 2 else 1
        await connection.close()

    run(scenario())
    assert len(session.sent) == sent


def test_a_daily_refusal_pauses_every_other_call() -> None:
    """After the service refused for the rest of the day, no other call is sent, and each is told that it is daily."""
    answer = Answer(429, b'{"error": "daily limit"}', {"Retry-After": "7200"})
    session = ScriptedSession([answer])

    async def scenario() -> None:
        connection = HttpSession(
            Endpoint("https://service.example/api/1", Secret("pacing-key")),
            HttpOptions(session=session),  # type: ignore[arg-type]  # a stand-in
        )
        transport = Transport(connection, CallOptions(deadline=60.0, retry=RetryPolicy()))
        for attempts in (1, 0):
            result, elapsed = await outcome(transport.send(Request("GET", "/flags")))
            assert isinstance(result, RateLimitError)
            assert (result.daily, result.attempts, elapsed) == (True, attempts, 0.0)
            assert result.retry_after == pytest.approx(7200.0, abs=1.0)
        await connection.close()

    run(scenario())
    assert len(session.sent) == 1


@settings(deadline=None, max_examples=60, derandomize=True)
@given(st.integers(1, 5), st.lists(st.sampled_from(["wait", "cancel", "time out"]), min_size=1, max_size=20))
def test_first_come_first_served_and_nothing_lost(limit: int, fates: list[str]) -> None:
    """Permits go in the order of asking; who is cancelled or runs out of time takes none with them."""
    served: list[int] = []

    async def ask(pacer: LocalRateLimiter, index: int, until: float | None) -> None:
        await pacer.acquire(until)
        served.append(index)
        pacer.release(now(), reached=True, answered=True)

    async def scenario(pacer: LocalRateLimiter) -> None:
        for _ in range(limit):
            await pacer.acquire(None)
            pacer.release(now(), reached=True, answered=True)
        asking = [
            asyncio.ensure_future(ask(pacer, index, 0.9 if fate == "time out" else None))
            for index, fate in enumerate(fates)
        ]
        await asyncio.sleep(0.5)
        for task, fate in zip(asking, fates, strict=True):
            if fate == "cancel":
                task.cancel()
        results = await asyncio.gather(*asking, return_exceptions=True)
        failed = {"cancel": asyncio.CancelledError, "time out": TimeoutError, "wait": type(None)}
        assert [type(result) for result in results] == [failed[fate] for fate in fates]
        assert served == [index for index, fate in enumerate(fates) if fate == "wait"]
        await asyncio.sleep(2.0)
        for _ in range(limit):
            await pacer.acquire(now())  # every permit is there
        with pytest.raises(TimeoutError):
            await pacer.acquire(now() + 0.1)

    paced(RateLimit(per_second=limit), scenario)


def test_cancelled_in_the_moment_of_being_served() -> None:
    """A waiter that is cancelled after it was given a permit, and before it could run, passes it on."""

    async def scenario(pacer: LocalRateLimiter) -> None:
        await pacer.acquire(None)
        first, second = (asyncio.ensure_future(pacer.acquire(None)) for _ in range(2))
        await asyncio.sleep(0)
        pacer.release(now(), reached=False, answered=False)  # serves the first
        first.cancel()
        await second
        assert first.cancelled()
        assert pacer.requests_today == 1

    paced(RateLimit(per_second=1), scenario)


def test_cancelled_in_the_moment_before_being_served() -> None:
    """A waiter that is cancelled in the turn in which a permit comes back loses it for nobody."""

    async def scenario(pacer: LocalRateLimiter) -> None:
        await pacer.acquire(None)
        first, second = (asyncio.ensure_future(pacer.acquire(None)) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        pacer.release(now(), reached=False, answered=False)
        await asyncio.wait_for(second, 5)
        assert first.cancelled()
        assert pacer.requests_today == 1

    paced(RateLimit(per_second=1), scenario)


def test_the_deadline_while_waiting_for_a_permit() -> None:
    """The call fails at its deadline, not before and not after, was not sent, and its wait is in the usage."""
    session = ScriptedSession([Answer()])

    async def scenario() -> None:
        connection = HttpSession(
            Endpoint("https://service.example/api/1", Secret("pacing-key")),
            HttpOptions(session=session, rate_limit=RateLimit(per_second=1)),
        )
        transport = Transport(connection, CallOptions(deadline=0.4))
        await transport.send(Request("GET", "/flags"))
        result, elapsed = await outcome(transport.send(Request("GET", "/flags")))
        assert isinstance(result, APITimeoutError)
        assert (result.sent, result.attempts) == (False, 0)
        assert elapsed == connection.usage.seconds_waited == pytest.approx(0.4)
        assert (connection.usage.requests, connection.usage.requests_today) == (1, 1)
        await connection.close()

    run(scenario())
    assert len(session.sent) == 1
