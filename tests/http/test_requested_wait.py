"""The wait that a response asks for: the forms of `Retry-After`, its cap, and which limit it is about."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from amp_exp_async import APITimeoutError, AsyncExperimentClient, RateLimit, RateLimitError, RetryPolicy
from amp_exp_async.http.retry import RefusalStreak, RequestedWait, parse_retry_after, read_requested_wait, start_streak
from amp_exp_async.ratelimit import seconds_to_midnight
from tests.virtual_time import Answer, ScriptedSession, now, outcome, run

NOW = 1_700_000_000.0  # 2023-11-14T22:13:20Z
REST_OF_DAY = 6400.0
LATER = datetime.fromtimestamp(NOW + 90, UTC)
VALID = {
    "0": 0.0,
    "7": 7.0,
    " 7 ": 7.0,
    "0.5": 0.5,
    ".5": 0.5,
    "86400": 86_400.0,
    "31000000": 31_000_000.0,
    format_datetime(LATER, usegmt=True): 90.0,
    format_datetime(LATER): 90.0,
    format_datetime(LATER + timedelta(hours=2)).replace("+0000", "+0200"): 90.0,
    format_datetime(LATER).replace("+0000", "-0000"): 90.0,
    f"{LATER:%A, %d-%b-%y %H:%M:%S} GMT": 90.0,
    f"{LATER:%a %b %d %H:%M:%S %Y}": 90.0,
    format_datetime(datetime.fromtimestamp(NOW - 90, UTC), usegmt=True): 0.0,
    "1700000090": 90.0,
    "1700000090.5": 90.5,
    "1700000090000": 90.0,
    "1700000090500": 90.5,
    "1699999000": 0.0,
    "1699999000000": 0.0,
}
INVALID = [
    *("", ".", "soon", "-3", "-5", "+5", "5s", "1.2.3", "1e3", "inf", "nan", "²", "٣", "Wed"),
    "99 Foo 2023 12:00:00 GMT",
    "Wed, 21 Oct 99999 07:28:00 GMT",
    "Wed, 21 Oct 2015 07:28:00 +9999",
    "Wed, 21 Oct 2015 07:28:00 +99999999999999999",
    *("99999999999", "17000000900000", str(2**63 - 1), "9" * 309, "9" * 5000),
]


def wait_of(
    retry_after: object = None, body: object = "", *, persistent: bool = False, near_daily_limit: bool = False
) -> RequestedWait:
    """Return the wait that a 429 asks for."""
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    text = body if isinstance(body, str) else json.dumps(body)
    return read_requested_wait(429, headers, text, now=NOW, persistent=persistent, near_daily_limit=near_daily_limit)


def test_a_valid_retry_after() -> None:
    """It is a number of seconds, a date in any form of HTTP, or a POSIX time. A past time asks for no wait."""
    assert {value: parse_retry_after({"Retry-After": value}, NOW) for value in VALID} == pytest.approx(VALID)


def test_an_invalid_retry_after() -> None:
    """It is ignored, so that it does not hide the response; so is a missing header."""
    assert {value: parse_retry_after({"Retry-After": value}, NOW) for value in INVALID} == dict.fromkeys(INVALID)
    assert parse_retry_after({}, NOW) is None


@pytest.mark.parametrize("value", [value for value, seconds in VALID.items() if seconds == 90.0])
@pytest.mark.parametrize("error", [-7200.0, -90.0, 90.0, 7200.0])
def test_a_wrong_local_clock(value: str, error: float) -> None:
    """A time is measured against the `Date` of the response."""
    date = format_datetime(datetime.fromtimestamp(NOW, UTC), usegmt=True)
    assert parse_retry_after({"Retry-After": value, "Date": date}, NOW + error) == 90.0
    assert parse_retry_after({"Retry-After": value, "Date": "nonsense"}, NOW) == 90.0


@pytest.mark.parametrize("value", ["6401", "86400", "31000000", str(10**9 - 1), "1800000000", "1800000000000"])
def test_a_wait_ends_with_the_day(value: str) -> None:
    """A wait to the end of the UTC day or beyond is about the daily limit, and is cut there."""
    assert wait_of(value) == RequestedWait(REST_OF_DAY, daily=True, ends_at=NOW + REST_OF_DAY)
    wait = read_requested_wait(503, {"Retry-After": value}, "", now=NOW)
    assert (wait.seconds, wait.daily) == (REST_OF_DAY, False)


BOTH = "Rate limit exceeded: 100 requests per second, 100000 requests per day"
# Texts of both limits, and of one. None of them shows alone which limit refused the request.
TEXTS: list[object] = [
    {"error": BOTH},
    BOTH,
    {"error": "100 rps, 100000 per day"},
    {"error": "100 per sec and 100000 per day"},
    {"error": "6000 requests per minute, 100000 requests per day"},
    {"error": "100 requests in 1000 ms; quota per day 100000"},
    {"error": "Rate limit exceeded", "limits": {"second": 100, "day": 100000}},
    {"error": "Daily limit exceeded"},
    {"error": "Daily limit exceeded", "limits": {"second": 100, "day": 100000}},
    {"error": "the daily request limit is used up: try again in 3600 seconds"},
    {"message": "100,000 requests per day"},
    {"error": {"code": 429, "message": "DAILY QUOTA exceeded"}},
    {"error": "slow down", "hint": "the daily limit is not reached"},
    {"error": "too many requests today"},
    "<p>Talk to our sales team today. 100 requests per day.</p>",
    "daily limit",
]


@pytest.mark.parametrize("body", TEXTS, ids=str)
def test_words_never_decide_alone(body: object) -> None:
    """A single refusal is about the limit per second, whatever it says, unless it asks to wait for midnight."""
    assert not any(wait_of(asked, body).daily for asked in (None, 0, 1, 60, 300, 3600))
    assert not any(wait_of(asked, body, near_daily_limit=True).daily for asked in (None, 0, 1, 60))
    assert all(wait_of(asked, body).daily for asked in (REST_OF_DAY, REST_OF_DAY - 30))


@pytest.mark.parametrize("body", ["", {"error": "too many requests"}, "over 100 requests a second"], ids=str)
def test_which_wait_is_about_the_daily_limit(body: object) -> None:
    """One that ends with the UTC day, and one of more than a minute if the counted requests come close to the limit."""
    assert not any(wait_of(asked, body).daily for asked in (None, 0, 1, 60, 300, 3600))
    assert not any(wait_of(asked, body, persistent=True).daily for asked in (None, 0, 1, 60, 300, 3600))
    assert all(wait_of(asked, body).daily for asked in (REST_OF_DAY, REST_OF_DAY - 30))
    assert wait_of(300, body, near_daily_limit=True) == RequestedWait(300.0, daily=True, ends_at=NOW + 300.0)


def test_persistent_refusals_teach() -> None:
    """If the service has refused everything for long, one that mentions the day is about the daily limit after all."""
    for asked, body, near in [(1, BOTH, False), (None, {"error": BOTH}, False), (None, "", True), (1, "", True)]:
        wait = wait_of(asked, body, persistent=True, near_daily_limit=near)
        assert wait == RequestedWait(REST_OF_DAY, daily=True, ends_at=NOW + REST_OF_DAY)
    assert wait_of(300, BOTH, persistent=True) == RequestedWait(300.0, daily=True, ends_at=NOW + 300.0)


def streak_of(*rounds: tuple[float, float, float]) -> RefusalStreak:
    """Return the streak of refusals, each with the times at which it was sent and refused, and the wait it asks for."""
    streak: RefusalStreak | None = None
    for sent_at, refused_at, wait in rounds:
        streak = start_streak(sent_at, refused_at) if streak is None else streak.followed_by(sent_at, refused_at)
        streak = streak.after_wait(refused_at + wait)
    assert streak is not None
    return streak


def every(seconds: float, count: int, wait: float = 0.0) -> list[tuple[float, float, float]]:
    """Return refusals at equal distances."""
    return [(number * seconds, number * seconds + 0.1, wait) for number in range(count)]


PERSISTENT = {
    "each second": every(1, 32, wait=1),
    "each ten seconds": every(10, 5),
    "after the longest wait": every(60, 5, wait=60),
    "with a burst at the start": [(0, 0.1, 1)] * 100 + every(7, 6)[1:],
}
NOT_PERSISTENT = {
    "one": every(1, 1),
    "for less than half a minute": every(1, 30, wait=1),
    "few, after long waits": every(30, 4, wait=30),
    "a burst and a stray one": [*[(0, 0.1, 30)] * 100, (31, 31.1, 30)],
    "stray ones, each after an idle half minute": every(31, 20),
    "stray ones, which were idle for longer than they were asked to wait": every(31, 20, wait=1),
    "in flight together for a minute": [(0, number / 10, 0) for number in range(600)],
    "a gap in the middle": [
        *every(1, 25),
        *((sent_at + 36, refused_at + 36, wait) for sent_at, refused_at, wait in every(1, 25)),
    ],
}


@pytest.mark.parametrize("name", [*PERSISTENT, *NOT_PERSISTENT])
def test_when_refusals_are_persistent(name: str) -> None:
    """Attempts must be refused one after another for half a minute. Time in which nothing is sent does not count."""
    refusals = {**PERSISTENT, **NOT_PERSISTENT}[name]
    assert streak_of(*refusals).is_persistent is (name in PERSISTENT)


ACCEPTED = Answer(body=b'{"flags": []}')
DIGITS = st.from_regex(r"[0-9]{1,400}(\.[0-9]{0,400})?", fullmatch=True)
DATES = st.datetimes().map(lambda date: format_datetime(date.replace(tzinfo=UTC), usegmt=True))
VALUES = st.text() | st.text("0123456789.:, +-GMTWedOct") | DIGITS | DATES | st.integers().map(str)
HEADERS = st.fixed_dictionaries({}, optional={"Retry-After": VALUES, "Date": VALUES})
BODIES = st.text() | st.sampled_from(TEXTS).map(json.dumps)


@given(
    status=st.sampled_from([429, 500, 503]),
    headers=HEADERS,
    body=BODIES,
    clock=st.floats(1e9, 4e9),
    persistent=st.booleans(),
    near=st.booleans(),
)
def test_any_response_asks_for_a_wait_within_the_day(
    *, status: int, headers: Mapping[str, str], body: str, clock: float, persistent: bool, near: bool
) -> None:
    """Whatever the headers, the body and the clock are, the wait is none, or it ends with the UTC day at most."""
    wait = read_requested_wait(status, headers, body, now=clock, persistent=persistent, near_daily_limit=near)
    assert wait.seconds is None or 0.0 <= wait.seconds <= seconds_to_midnight(clock) <= 86_400.0
    assert not wait.daily or (status == 429 and wait.seconds is not None)


@settings(max_examples=60, deadline=None)
@example({"Retry-After": "5"}, "")
@example({"Retry-After": "1771631394927"}, "")
@example({"Retry-After": "9" * 309}, "")
@given(HEADERS, BODIES)
def test_any_429_is_an_error_of_ours(headers: Mapping[str, str], body: str) -> None:
    """Calls fail with an error of a limit or of the deadline, or succeed, and are sent again after the day."""
    session: Any = ScriptedSession([Answer(429, body.encode("utf-8", "replace"), headers), ACCEPTED])

    async def scenario() -> None:
        async with AsyncExperimentClient(
            "wait-management-key",
            session=session,
            deadline=5.0,
            retry=RetryPolicy(max_attempts=1),
        ) as client:
            for _ in range(2):
                result, _ = await outcome(client.flags.list())
                if isinstance(result, Exception):
                    assert isinstance(result, (RateLimitError, APITimeoutError))
            result, _ = await outcome(client.with_options(deadline=None).flags.list())
            assert not isinstance(result, Exception)
            assert now() <= 86_400.0 + 1.0

    run(scenario())


def test_a_wait_of_five_minutes() -> None:
    """It is reported as what it is, to the call and to the next one, and not as the end of the day."""
    session: Any = ScriptedSession([Answer(429, headers={"Retry-After": "300"})])

    async def scenario() -> None:
        client = AsyncExperimentClient("five-management-key", session=session, deadline=20.0)
        async with client:
            error, _ = await outcome(client.flags.list())
            assert isinstance(error, RateLimitError)
            assert (error.daily, error.retry_after, error.attempts) == (False, 300.0, 1)
            assert "The service asks for 300 s." in str(error)
            assert "daily" not in str(error)
            error, _ = await outcome(client.flags.list())
            assert isinstance(error, RateLimitError)
            assert (error.daily, error.retry_after, error.attempts) == (False, 300.0, 0)
            assert "the service asks to pause for 300 s" in str(error)

    run(scenario())


@pytest.mark.parametrize("sent", [3, 9])
@pytest.mark.parametrize("asked", ["300", "1"])
def test_the_requests_of_the_day_are_counted(sent: int, asked: str) -> None:
    """A 429 that asks for minutes is about the daily limit if 90 % of it are counted."""
    session: Any = ScriptedSession([ACCEPTED] * sent + [Answer(429, headers={"Retry-After": asked})])

    async def scenario() -> None:
        async with AsyncExperimentClient(
            "count-management-key",
            session=session,
            rate_limit=RateLimit(per_day=10),
            retry=RetryPolicy(max_attempts=1),
        ) as client:
            for _ in range(sent):
                await client.flags.list()
            error, _ = await outcome(client.flags.list())
            assert isinstance(error, RateLimitError)
            assert (error.retry_after, error.daily) == (float(asked), sent == 9 and asked == "300")

    run(scenario())


def test_the_daily_limit_is_learned() -> None:
    """A text about both limits is retried each second, until nothing else came for half a minute."""
    session: Any = ScriptedSession([Answer(429, json.dumps({"error": BOTH}).encode(), {"Retry-After": "1"})])

    async def scenario() -> None:
        client = AsyncExperimentClient(
            "learn-management-key",
            session=session,
            deadline=3600.0,
            retry=RetryPolicy(max_attempts=100, backoff_base=0.0),
            rate_limit=RateLimit(per_second=10),
        )
        client._transport.session.wall_clock = lambda: NOW + now()  # more than the deadline before midnight
        async with client:
            error, seconds = await outcome(client.flags.list())
            assert isinstance(error, RateLimitError)
            assert error.daily
            assert 30.0 <= seconds <= 35.0

    run(scenario())


def test_an_accepted_request_ends_the_suspicion() -> None:
    """Refusals between which the service accepts something are never about the daily limit."""
    refused = Answer(429, json.dumps({"error": BOTH}).encode(), {"Retry-After": "5"})
    session: Any = ScriptedSession([refused, Answer(body=b'{"flags": []}')] * 20)

    async def scenario() -> None:
        client = AsyncExperimentClient("accept-management-key", session=session, rate_limit=None)
        async with client:
            for _ in range(20):
                await client.flags.list()
            assert now() >= 100.0

    run(scenario())


@pytest.mark.parametrize("body", TEXTS, ids=str)
def test_stray_refusals(body: object) -> None:
    """Refusals between which the client was idle for half a minute each stop nothing, whatever they say."""
    refused = Answer(429, (body if isinstance(body, str) else json.dumps(body)).encode())
    session: Any = ScriptedSession([refused] * 8 + [ACCEPTED])

    async def scenario() -> None:
        client = AsyncExperimentClient(
            "stray-management-key", session=session, retry=RetryPolicy(max_attempts=1), rate_limit=None
        )
        async with client:
            for _ in range(8):
                error, _ = await outcome(client.flags.list())
                assert isinstance(error, RateLimitError)
                assert (error.daily, error.attempts) == (False, 1)
                await asyncio.sleep(31.0)
            assert await client.flags.list() == []

    run(scenario())


def test_the_day_after_the_daily_limit() -> None:
    """The first refusal of the next day stops nothing."""
    refused = Answer(429, json.dumps({"error": BOTH}).encode(), {"Retry-After": "1"})
    session: Any = ScriptedSession([refused])

    async def scenario() -> None:
        client = AsyncExperimentClient(
            "next-day-management-key",
            session=session,
            deadline=3600.0,
            retry=RetryPolicy(max_attempts=100, backoff_base=0.0),
        )
        client._transport.session.wall_clock = lambda: NOW + now()  # more than the deadline before midnight
        async with client:
            error, _ = await outcome(client.flags.list())
            assert isinstance(error, RateLimitError)
            assert error.daily
            await asyncio.sleep(error.retry_after or 0.0)
            one_attempt = client.with_options(retry=RetryPolicy(max_attempts=1))
            error, _ = await outcome(one_attempt.flags.list())
            assert isinstance(error, RateLimitError)
            assert (error.daily, error.attempts) == (False, 1)

    run(scenario())
