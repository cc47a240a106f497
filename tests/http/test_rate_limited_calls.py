"""Calls that the rate limit delays or fails, in virtual time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from amp_exp_async import APITimeoutError, RateLimit, RateLimitError, RetryPolicy
from amp_exp_async.config import Endpoint, Secret
from amp_exp_async.http import (
    AmbiguousWriteError,
    CallOptions,
    HttpOptions,
    HttpSession,
    Idempotency,
    Request,
    Transport,
)
from tests.virtual_time import Answer, ScriptedSession, now, outcome, run

MIDNIGHT = 1_800_057_600.0  # 2027-01-16T00:00:00Z
RESETS = "Continue after the daily limit resets at 2027-01-16T00:00:00Z."
LIST = Request("GET", "/flags")
DAILY = Answer(429, b'{"error": "daily limit"}', {"Retry-After": "7200"}, seconds=1.0)


def open_session(
    *answers: Answer, limit: RateLimit | None = None, max_concurrency: int = 64
) -> tuple[HttpSession, ScriptedSession]:
    """Return a session of ours, an hour before midnight, and the scripted session below it."""
    scripted: Any = ScriptedSession(list(answers))
    options = HttpOptions(
        session=scripted,
        rate_limit=limit or RateLimit(),
        max_concurrency=max_concurrency,
        wall_clock=lambda: MIDNIGHT - 3600.0 + now(),
    )
    return HttpSession(Endpoint("https://service.example/api/1", Secret("limit-management-key")), options), scripted


def test_the_deadline_passes_while_a_call_waits() -> None:
    """The call fails exactly at its deadline, sends nothing, and its wait is in the usage."""

    async def scenario() -> None:
        session, scripted = open_session(Answer(), limit=RateLimit(per_second=1))
        transport = Transport(session, CallOptions(deadline=0.4))
        await transport.send(LIST)
        error, elapsed = await outcome(transport.send(LIST))
        assert isinstance(error, APITimeoutError)
        assert (error.sent, error.attempts) == (False, 0)
        assert elapsed == session.usage.seconds_waited == pytest.approx(0.4)
        assert (session.usage.requests, session.usage.requests_today) == (1, 1)
        assert len(scripted.sent) == 1
        await session.close()

    run(scenario())


@pytest.mark.parametrize("deadline", [3000.0, 4000.0, None])
def test_a_call_after_the_last_request_of_the_day(deadline: float | None) -> None:
    """A call whose deadline comes before midnight fails at once without a request; any other waits."""

    async def scenario() -> None:
        session, scripted = open_session(Answer(), limit=RateLimit(per_day=2))
        transport = Transport(session, CallOptions(deadline=deadline))
        for _ in range(2):
            await transport.send(LIST)
        result, elapsed = await outcome(transport.send(LIST))
        if deadline == 3000.0:
            assert isinstance(result, RateLimitError)
            assert (result.daily, result.attempts, elapsed) == (True, 0, 0.0)
            assert result.retry_after == pytest.approx(3600.0)
            assert "was not sent: the requests of the day are used up" in str(result)
            assert (len(scripted.sent), session.usage.requests_today) == (2, 2)
        else:
            assert elapsed == pytest.approx(3600.0, abs=0.001)
            assert session.usage.seconds_waited == pytest.approx(elapsed)
            assert (len(scripted.sent), session.usage.requests_today) == (3, 1)
        await session.close()

    run(scenario())


def test_a_daily_429_pauses_the_next_calls() -> None:
    """The next call is not sent, and its error also says that the limit of the day is reached."""

    async def scenario() -> None:
        session, scripted = open_session(Answer(429, b'{"error": "daily limit"}', {"Retry-After": "7200"}))
        transport = Transport(session, CallOptions(deadline=60.0))
        for attempts in (1, 0):
            error, elapsed = await outcome(transport.send(LIST))
            assert isinstance(error, RateLimitError)
            assert (error.daily, error.attempts, elapsed) == (True, attempts, 0.0)
            assert error.retry_after == pytest.approx(3600.0, abs=1.0)
        assert len(scripted.sent) == 1
        await session.close()

    run(scenario())


@pytest.mark.parametrize("deadline", [600.0, None])
def test_a_daily_429_ends_every_call(deadline: float | None) -> None:
    """Calls that are in flight or queued fail at once, and their errors say when the limit resets."""

    async def scenario() -> None:
        session, scripted = open_session(DAILY, limit=RateLimit(per_second=2), max_concurrency=4)
        transport = Transport(session, CallOptions(deadline=deadline, deadline_excludes_queueing=deadline is None))
        results = await asyncio.gather(*(outcome(transport.send(LIST)) for _ in range(30)))
        for error, seconds in results:
            assert isinstance(error, RateLimitError)
            assert RESETS in str(error)
            assert (error.daily, seconds) == (True, 1.0)
            assert error.retry_after == pytest.approx(3599.0)
        assert sum("was not sent" in str(error) for error, _ in results) == 28
        assert len(scripted.sent) == 2
        await session.close()

    run(scenario())


def test_a_daily_429_without_a_time_lasts_until_midnight() -> None:
    """After half a minute of refusals, a call without a deadline waits for midnight, and one with a deadline fails."""

    async def scenario() -> None:
        session, scripted = open_session(Answer(429, b'{"error": "daily limit exceeded"}'))
        patient = RetryPolicy(max_attempts=1000, backoff_base=2.0, backoff_cap=2.0)
        unlimited, limited = (Transport(session, CallOptions(deadline=d, retry=patient)) for d in (None, 120.0))
        waiting = asyncio.ensure_future(unlimited.send(LIST))
        await asyncio.sleep(40.0)
        assert all(time < 33.0 for time in scripted.times)
        error, elapsed = await outcome(limited.send(LIST))
        assert isinstance(error, RateLimitError)
        assert (error.daily, error.attempts, elapsed) == (True, 0, 0.0)
        assert RESETS in str(error)
        scripted.answers[:] = [Answer()]
        await waiting
        assert 3600.0 <= now() < 3603.0
        await session.close()

    run(scenario())


def test_a_daily_429_with_a_time_lasts_until_then() -> None:
    """`Retry-After` counts more than the calendar."""

    async def scenario() -> None:
        refused = Answer(429, b'{"error": "daily limit"}', {"Retry-After": "1800"})
        session, _ = open_session(refused, limit=RateLimit(per_day=1))
        error, _ = await outcome(Transport(session, CallOptions()).send(LIST))
        assert isinstance(error, RateLimitError)
        assert (error.daily, error.retry_after) == (True, 1800.0)
        assert "Continue after the daily limit resets at 2027-01-15T23:30:00Z." in str(error)
        await session.close()

    run(scenario())


def test_a_deadline_that_excludes_queueing() -> None:
    """Waits for earlier writes, other requests and the rate limit do not count; what comes after them does."""

    async def scenario() -> None:
        session, scripted = open_session(Answer(seconds=3.0), limit=RateLimit(per_second=1), max_concurrency=2)
        queueing = Transport(session, CallOptions(deadline=5.0, deadline_excludes_queueing=True))
        ordinary = Transport(session, CallOptions(deadline=5.0))
        write = Request("PATCH", "/flags/1", body=b"{}", idempotency=Idempotency.IDEMPOTENT)
        sends = [queueing.send(write) for _ in range(2)] + [queueing.send(LIST) for _ in range(4)]
        calls = [asyncio.ensure_future(outcome(send)) for send in sends]
        await asyncio.sleep(0)
        error, seconds = await outcome(ordinary.send(LIST))
        assert isinstance(error, APITimeoutError)
        assert seconds == 5.0
        assert not any(isinstance(result, Exception) for result, _ in await asyncio.gather(*calls))
        assert now() == 6 * 4.0 - 1.0
        scripted.answers[:] = [Answer(503, headers={"Retry-After": "9"})]
        error, seconds = await outcome(queueing.send(LIST))
        assert seconds == 1.0
        assert "deadline of 5.0 s left no time" in str(error)
        await session.close()

    run(scenario())


def test_queueing_without_a_deadline() -> None:
    """The call waits as long as it takes, for any pause but the one until the next day."""

    async def scenario() -> None:
        slow = Answer(429, headers={"Retry-After": "50"})
        session, scripted = open_session(slow, slow, Answer(), DAILY)
        queueing = Transport(
            session, CallOptions(deadline=None, deadline_excludes_queueing=True, retry=RetryPolicy(backoff_base=0.0))
        )
        await queueing.send(LIST)
        assert now() == 100.0
        error, seconds = await outcome(queueing.send(LIST))
        assert isinstance(error, RateLimitError)
        assert (error.attempts, seconds) == (1, 1.0)
        assert len(scripted.sent) == 4
        await session.close()

    run(scenario())


def test_reading_back_counts_queueing() -> None:
    """To read back after an ambiguous write, there is only the rest of the deadline, queueing included."""

    async def scenario() -> None:
        session, scripted = open_session(Answer(503), limit=RateLimit(per_second=1))
        transport = Transport(session, CallOptions(deadline=0.5, deadline_excludes_queueing=True))
        request = Request("POST", "/flags", body=b"{}", idempotency=Idempotency.NON_IDEMPOTENT)

        async with transport.serialized(request) as write:
            with pytest.raises(AmbiguousWriteError) as caught:
                await write.send(lambda response: response)
            reader = caught.value.write.transport()
            assert (reader.options.deadline_excludes_queueing, reader.options.deadline) == (False, 0.5)
            error, seconds = await outcome(reader.send(LIST))
            assert isinstance(error, APITimeoutError)
            assert seconds == 0.5
        assert len(scripted.sent) == 1
        await session.close()

    run(scenario())
