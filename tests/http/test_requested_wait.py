"""The wait that a response asks for: the forms of `Retry-After`, its cap, and which limit it is about."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from amp_exp_async import APITimeoutError, AsyncExperimentClient, RateLimit, RateLimitError, RetryPolicy
from amp_exp_async.http.retry import RequestedWait, parse_retry_after, read_requested_wait
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
    retry_after: object = None, body: object = "", *, refused_for: float = 0.0, near_daily_limit: bool = False
) -> RequestedWait:
    """Return the wait that a 429 asks for."""
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    text = body if isinstance(body, str) else json.dumps(body)
    return read_requested_wait(429, headers, text, now=NOW, refused_for=refused_for, near_daily_limit=near_daily_limit)


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
# What a 429 says, and whether it is about the daily limit: its `Retry-After`, its body.
DAILY: list[tuple[object, object, bool]] = [
    (None, "", False),
    (0, "", False),
    (1, {"error": "too many requests"}, False),
    (60, "over 100 requests a second", False),
    (300, "", False),
    (3600, "", False),
    (REST_OF_DAY, "", True),
    (REST_OF_DAY - 30, "", True),
    (300, {"error": "Daily limit exceeded"}, True),
    (None, {"error": "Daily limit exceeded"}, True),
    (None, {"error": "the daily request limit is used up: try again in 3600 seconds"}, True),
    (None, {"message": "100,000 requests per day"}, True),
    (None, {"error": {"code": 429, "message": "DAILY QUOTA exceeded"}}, True),
    (1, {"error": "Daily limit exceeded"}, False),
    (None, {"error": BOTH}, False),
    (None, BOTH, False),
    (300, {"error": BOTH}, False),
    (None, {"error": "Rate limit exceeded", "limits": {"second": 100, "day": 100000}}, False),
    (None, {"error": "Daily limit exceeded", "limits": {"second": 100, "day": 100000}}, False),
    (None, {"error": "slow down", "hint": "the daily limit is not reached"}, False),
    (None, {"error": "too many requests today"}, False),
    (None, "<p>Talk to our sales team today. 100 requests per day.</p>", False),
    (None, "daily limit", False),
]


def test_which_limit_refused_a_request() -> None:
    """The daily limit is recognised by the wait and by the message of a JSON body that names no other limit."""
    wrong = [(asked, body) for asked, body, daily in DAILY if wait_of(asked, body).daily is not daily]
    assert wrong == []


def test_the_counted_requests_decide() -> None:
    """A long wait is about the daily limit if the requests of the day come close to it; a short one is not."""
    assert wait_of(300, near_daily_limit=True) == RequestedWait(300.0, daily=True, ends_at=NOW + 300.0)
    assert not any(wait_of(asked, near_daily_limit=True).daily for asked in (None, 0, 1, 60))


def test_repeated_refusals_teach() -> None:
    """If every response of half a minute is a 429, one that mentions the day is about the daily limit after all."""
    for asked, body, near in [(1, BOTH, False), (None, {"error": BOTH}, False), (None, "", True), (1, "", True)]:
        assert not wait_of(asked, body, refused_for=29.0, near_daily_limit=near).daily
        wait = wait_of(asked, body, refused_for=30.0, near_daily_limit=near)
        assert wait == RequestedWait(REST_OF_DAY, daily=True, ends_at=NOW + REST_OF_DAY)
    assert not wait_of(1, "slow down", refused_for=3600.0).daily


ACCEPTED = Answer(body=b'{"flags": []}')
DIGITS = st.from_regex(r"[0-9]{1,400}(\.[0-9]{0,400})?", fullmatch=True)
DATES = st.datetimes().map(lambda date: format_datetime(date.replace(tzinfo=UTC), usegmt=True))
VALUES = st.text() | st.text("0123456789.:, +-GMTWedOct") | DIGITS | DATES | st.integers().map(str)
HEADERS = st.fixed_dictionaries({}, optional={"Retry-After": VALUES, "Date": VALUES})
BODIES = st.text() | st.sampled_from([body for _, body, _ in DAILY]).map(json.dumps)


@given(
    status=st.sampled_from([429, 500, 503]),
    headers=HEADERS,
    body=BODIES,
    clock=st.floats(1e9, 4e9),
    refused_for=st.floats(0, 1e6),
    near=st.booleans(),
)
def test_any_response_asks_for_a_wait_within_the_day(
    *, status: int, headers: Mapping[str, str], body: str, clock: float, refused_for: float, near: bool
) -> None:
    """Whatever the headers, the body and the clock are, the wait is none, or it ends with the UTC day at most."""
    wait = read_requested_wait(status, headers, body, now=clock, refused_for=refused_for, near_daily_limit=near)
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
