"""Rule 3, the day's limit: who cannot wait for another day is told at once; and patient calls, which wait in line."""

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
from amp_exp_async.ratelimit.limiter import LimitExceededError, LocalRateLimiter
from tests.virtual_time import Answer, ScriptedSession, now, outcome, run

MIDNIGHT = 1_800_057_600.0  # 2027-01-16T00:00:00Z
RESETS = "The day's limit resets at 2027-01-16T00:00:00Z."
LIST = Request("GET", "/flags")
DAILY = Answer(429, b'{"error": "daily limit"}', seconds=1.0)


def wall() -> float:
    """An hour before midnight, at the loop's beginning."""
    return MIDNIGHT - 3600.0 + now()


def connection(*answers: Answer, limit: RateLimit | None = None, at_once: int = 64) -> tuple[HttpSession, Any]:
    session: Any = ScriptedSession(list(answers))
    network = HttpOptions(session=session, rate_limit=limit or RateLimit(), max_concurrency=at_once, wall_clock=wall)
    return HttpSession(Endpoint("https://service.example/api/1", Secret("day-management-key")), network), session


def told(result: Any, seconds: float) -> tuple[float, bool, float]:
    """For how long nothing may be sent, whether it is the day, and when that was said."""
    assert isinstance(result, LimitExceededError)
    return result.seconds, result.daily, seconds


@pytest.mark.parametrize("daily", [True, False])
def test_a_pause_refuses_at_once_those_who_wait(daily: bool) -> None:
    """Those whose time ends before it does; for the patient only another day is too late."""

    async def scenario() -> None:
        pacer = LocalRateLimiter(RateLimit(per_second=1), wall)
        await pacer.acquire(None)
        untils = {"soon": (30.0, False), "later": (90.0, False), "patient": (None, True), "ever": (None, False)}
        waiting = {
            name: asyncio.ensure_future(outcome(pacer.acquire(until, fail_on_daily_limit=patient)))
            for name, (until, patient) in untils.items()
        }
        await asyncio.sleep(10.0)
        pacer.pause(50.0, daily=daily)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        refused = {"soon", "patient"} if daily else {"soon"}
        assert {name for name, task in waiting.items() if task.done()} == refused
        for name in refused:
            assert told(*waiting[name].result()) == (50.0, daily, 10.0)
        for _ in range(len(waiting) - len(refused)):
            pacer.release(now(), reached=False, answered=False)
            await asyncio.sleep(51.0)
        assert all(task.done() for task in waiting.values())
        # The same for those who come while it lasts.
        pacer.pause(50.0, daily=daily)
        for until, patient in ((now() + 30.0, False), (None, True))[: 1 + daily]:
            with pytest.raises(LimitExceededError):
                pacer.fail_fast(until, fail_on_daily_limit=patient)
            with pytest.raises(LimitExceededError):
                await pacer.acquire(until, fail_on_daily_limit=patient)
        pacer.fail_fast(None)

    run(scenario())


def test_the_last_of_the_days_requests_refuses_those_who_wait() -> None:
    """Who stands behind it in line learns at once that there are no more."""

    async def scenario() -> None:
        pacer = LocalRateLimiter(RateLimit(per_second=1, per_day=2), wall)
        await pacer.acquire(None)
        waiting = [asyncio.ensure_future(outcome(pacer.acquire(now() + 60.0))) for _ in range(3)]
        await asyncio.sleep(2.0)
        pacer.release(now(), reached=True, answered=True)
        results = await asyncio.gather(*waiting)
        assert results[0] == (None, 3.0)
        assert [told(*result) for result in results[1:]] == [(pytest.approx(3597.0), True, 3.0)] * 2

    run(scenario())


@pytest.mark.parametrize("patient", [False, True])
def test_a_daily_refusal_ends_every_call(patient: bool) -> None:
    """Those in flight, in line and behind them fail in the moment in which the service says so, and say until when."""

    async def scenario() -> None:
        there, session = connection(DAILY, limit=RateLimit(per_second=2), at_once=4)
        transport = Transport(there, CallOptions(deadline=None if patient else 600.0, patient=patient))
        results = await asyncio.gather(*(outcome(transport.send(LIST)) for _ in range(30)))
        for error, seconds in results:
            assert isinstance(error, RateLimitError)
            assert RESETS in str(error)
            assert (error.daily, seconds) == (True, 1.0)
            assert error.retry_after == pytest.approx(3599.0)
        assert sum("was not sent" in str(error) for error, _ in results) == 28
        assert len(session.sent) == 2
        await there.close()

    run(scenario())


def test_when_the_service_says_until_when() -> None:
    """Its word counts more than the calendar here."""

    async def scenario() -> None:
        there, _ = connection(Answer(429, b"a day", {"Retry-After": "1800"}))
        error, _ = await outcome(Transport(there, CallOptions()).send(LIST))
        assert isinstance(error, RateLimitError)
        assert (error.daily, error.retry_after) == (True, 1800.0)
        assert "The day's limit resets at 2027-01-15T23:30:00Z. The deadline of 120.0 s left no time" in str(error)
        await there.close()

    run(scenario())


def test_a_patient_calls_deadline_begins_with_its_first_permit() -> None:
    """Waiting for earlier writes, other requests and the rate limit does not count; what comes after does."""

    async def scenario() -> None:
        there, session = connection(Answer(seconds=3.0), limit=RateLimit(per_second=1), at_once=2)
        patient, ordinary = (Transport(there, CallOptions(deadline=5.0, patient=patient)) for patient in (True, False))
        write = Request("PATCH", "/flags/1", body=b"{}", repeat=Idempotency.IDEMPOTENT)
        sends = [patient.send(write) for _ in range(2)] + [patient.send(LIST) for _ in range(4)]
        calls = [asyncio.ensure_future(outcome(send)) for send in sends]
        await asyncio.sleep(0)
        error, seconds = await outcome(ordinary.send(LIST))
        assert isinstance(error, APITimeoutError)
        assert seconds == 5.0
        assert not any(isinstance(result, Exception) for result, _ in await asyncio.gather(*calls))
        assert now() == 6 * 4.0 - 1.0
        session.answers[:] = [Answer(503, headers={"Retry-After": "9"})]
        error, seconds = await outcome(patient.send(LIST))
        assert seconds == 1.0
        assert "deadline of 5.0 s left no time" in str(error)
        await there.close()

    run(scenario())


def test_a_patient_call_without_a_deadline() -> None:
    """It waits for as long as it takes, and for any pause but the day's."""

    async def scenario() -> None:
        slow = Answer(429, headers={"Retry-After": "50"})
        there, session = connection(slow, slow, Answer(), DAILY)
        patient = Transport(there, CallOptions(deadline=None, patient=True, retry=RetryPolicy(backoff_base=0.0)))
        await patient.send(LIST)
        assert now() == 100.0
        error, seconds = await outcome(patient.send(LIST))
        assert isinstance(error, RateLimitError)
        assert (error.attempts, seconds) == (1, 1.0)
        assert len(session.sent) == 4
        await there.close()

    run(scenario())


def test_reading_back_for_a_patient_call() -> None:
    """What is left of its deadline is all the time for it, waiting in line included."""

    async def scenario() -> None:
        there, session = connection(Answer(503), limit=RateLimit(per_second=1))
        transport = Transport(there, CallOptions(deadline=0.5, patient=True))
        request = Request("POST", "/flags", body=b"{}", repeat=Idempotency.NON_IDEMPOTENT)

        async with transport.serialized(request) as write:
            with pytest.raises(AmbiguousWriteError) as caught:
                await write.send(lambda response: response)
            reader = caught.value.write.transport()
            assert (reader.options.patient, reader.options.deadline) == (False, 0.5)
            error, seconds = await outcome(reader.send(LIST))
            assert isinstance(error, APITimeoutError)
            assert seconds == 0.5
        assert len(session.sent) == 1
        await there.close()

    run(scenario())
