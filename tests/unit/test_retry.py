"""What follows an attempt, how long to wait, and the errors that a call may end with."""

from __future__ import annotations

import math
import pickle
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import product
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import amp_exp_async
from amp_exp_async import (
    AmpExpError,
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    BulkError,
    ClientClosedError,
    ConfigurationError,
    ConflictError,
    EditConflictError,
    InvalidInputError,
    InvalidManifestError,
    MethodNotAllowedError,
    NotFoundError,
    OutcomeUnknownError,
    PermissionDeniedError,
    Problem,
    RateLimitError,
    RetryPolicy,
    ServerError,
    UnexpectedResponseError,
)
from amp_exp_async.http.error_mapping import error_class
from amp_exp_async.http.retry import AttemptResult, Idempotency, RetryDecision, decide, is_daily, parse_retry_after
from amp_exp_async.ratelimit.window import seconds_to_midnight

# How an attempt can end, by what the contract makes of it.
OUTCOMES: dict[str, list[AttemptResult]] = {
    "accepted": [AttemptResult(200), AttemptResult(201), AttemptResult(204)],
    "refused": [AttemptResult(status) for status in (301, 302, 307, 400, 401, 403, 405, 409, 418, 422)],
    "absent": [AttemptResult(404)],
    "not processed": [AttemptResult(429), AttemptResult(None, sent=False, retryable=True)],
    "hopeless": [AttemptResult(None, sent=False, retryable=False)],
    "ambiguous": [*(AttemptResult(status) for status in (500, 502, 503, 504, 599)), AttemptResult(None, sent=True)],
}
TABLE = [
    (kind, result, idempotency, attempts_left, ambiguous_before)
    for kind, outcomes in OUTCOMES.items()
    for result, idempotency, attempts_left, ambiguous_before in product(
        outcomes, Idempotency, (True, False), (True, False)
    )
]

NOW = 1_700_000_000.0


def expected(kind: str, idempotency: Idempotency, *, attempts_left: bool, ambiguous_before: bool) -> RetryDecision:
    """The contract's words on what may be repeated."""
    again = RetryDecision.RETRY if attempts_left else RetryDecision.RAISE
    match kind, idempotency:
        case "accepted", _:
            return RetryDecision.RETURN
        case "absent", Idempotency.DELETE if ambiguous_before:
            return RetryDecision.RETURN
        case "absent", Idempotency.RENAME if ambiguous_before:
            return RetryDecision.RECONCILE
        case "ambiguous", Idempotency.CREATE | Idempotency.NON_IDEMPOTENT:
            return RetryDecision.RECONCILE
        case (("ambiguous" | "not processed"), _):
            return again
        case _:
            return RetryDecision.RAISE


@pytest.mark.parametrize(("kind", "result", "idempotency", "attempts_left", "ambiguous_before"), TABLE)
def test_what_follows_an_attempt(
    kind: str, result: AttemptResult, idempotency: Idempotency, *, attempts_left: bool, ambiguous_before: bool
) -> None:
    """Every combination of result, request, attempts left and earlier losses leads where the contract says."""
    decision = decide(result, idempotency, attempts_left=attempts_left, ambiguous_before=ambiguous_before)

    assert decision is expected(kind, idempotency, attempts_left=attempts_left, ambiguous_before=ambiguous_before)


@pytest.mark.parametrize(("kind", "result"), [(kind, result) for kind in OUTCOMES for result in OUTCOMES[kind]])
def test_what_counts_as_ambiguous(kind: str, result: AttemptResult) -> None:
    """A write may have been applied after a 5xx or without a reply to what was sent, and never else."""
    assert result.ambiguous == (kind == "ambiguous")


@given(
    attempt=st.integers(1, 5000),
    chance=st.floats(0, 1),
    base=st.floats(0, 1000),
    cap=st.floats(0, 1000),
)
@example(attempt=1025, chance=1.0, base=0.25, cap=20.0)
def test_a_wait_stays_within_its_bounds(attempt: int, chance: float, base: float, cap: float) -> None:
    """A wait is never negative or over the cap, grows with chance, and at most doubles from attempt to attempt."""
    policy = RetryPolicy(max_attempts=5000, backoff_base=base, backoff_cap=cap)

    wait = policy.wait(attempt, chance)

    assert 0.0 <= wait <= policy.wait(attempt, 1.0) <= cap
    assert policy.wait(attempt, 0.0) == 0.0
    assert policy.wait(1, 1.0) == min(base, cap)
    assert policy.wait(attempt, 1.0) <= policy.wait(attempt + 1, 1.0) <= 2 * policy.wait(attempt, 1.0)


def test_waits_double_up_to_the_cap() -> None:
    """The longest waits are those of the documentation."""
    policy = RetryPolicy(backoff_base=0.5, backoff_cap=3.0)

    assert [policy.wait(attempt, 1.0) for attempt in (1, 2, 3, 4, 5)] == [0.5, 1.0, 2.0, 3.0, 3.0]
    assert policy.wait(3, 0.25) == 0.5


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("0.5", 0.5),
        ("86400", 86_400.0),
        (format_datetime(datetime.fromtimestamp(NOW + 90, UTC), usegmt=True), 90.0),
        (format_datetime(datetime.fromtimestamp(NOW + 90, UTC)), 90.0),
        (format_datetime(datetime.fromtimestamp(NOW + 90, UTC) + timedelta(hours=2)).replace("+0000", "+0200"), 90.0),
        (format_datetime(datetime.fromtimestamp(NOW + 90, UTC)).replace("+0000", "-0000"), 90.0),
        (format_datetime(datetime.fromtimestamp(NOW - 90, UTC), usegmt=True), 0.0),
    ],
)
def test_a_retry_after_is_read_in_both_forms(value: str, seconds: float) -> None:
    """Seconds, whole or not, and dates; one in the past asks for no wait."""
    assert parse_retry_after({"Retry-After": value}, lambda: NOW) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "value",
    [
        "",
        ".",
        "soon",
        "-5",
        "+5",
        "5s",
        "1.2.3",
        "1e3",
        "inf",
        "nan",
        "²",
        "Wed",
        "99 Foo 2023 12:00:00 GMT",
        "Wed, 21 Oct 99999 07:28:00 GMT",
        "Wed, 21 Oct 2015 07:28:00 +9999",
        "Wed, 21 Oct 2015 07:28:00 +99999999999999999",
    ],
)
def test_a_retry_after_that_makes_no_sense_asks_for_nothing(value: str) -> None:
    """Garbage in the header is passed over: it must not hide the refusal that came with it."""
    assert parse_retry_after({"Retry-After": value}, lambda: NOW) is None


def test_a_missing_retry_after_asks_for_nothing() -> None:
    """Most replies have none."""
    assert parse_retry_after({}, lambda: NOW) is None


@given(st.text() | st.text("0123456789.:, +-GMTWedOct"))
def test_any_retry_after_can_be_read(value: str) -> None:
    """Whatever the header holds, there is nothing or a wait that is no less than zero."""
    seconds = parse_retry_after({"Retry-After": value}, lambda: NOW)

    assert seconds is None or seconds >= 0.0


@pytest.mark.parametrize(
    ("after", "body", "daily"),
    [
        (None, "", False),
        (0.0, "", False),
        (1.0, '{"error": "too many requests"}', False),
        (60.0, "over 100 requests a second", False),
        (60.5, "", True),
        (3600.0, "", True),
        (None, "100,000 requests a day", True),
        (1.0, '{"error": "Daily limit exceeded"}', True),
        (None, "no more requests TODAY", True),
        (None, "holiday, days, yesterday, everyday", False),
    ],
)
def test_the_limit_of_the_day_is_told_from_that_of_the_second(after: float | None, body: str, *, daily: bool) -> None:
    """A 429 is about the day when it says so, or asks for more than a minute."""
    assert is_daily(after, body) is daily


@given(st.floats(0, 4e9))
@example(0.0)
@example(86_399.999_999)
@example(86_400.0)
def test_midnight_is_the_end_of_the_utc_day(now: float) -> None:
    """There is always some time left, a day at the most, and it ends where a UTC day ends."""
    left = seconds_to_midnight(now)

    assert 0 < left <= 86_400
    days = (now + left) / 86_400
    assert math.isclose(days, round(days), abs_tol=1e-6)


@pytest.mark.parametrize(
    ("status", "cls"),
    [
        (400, BadRequestError),
        (401, AuthenticationError),
        (403, PermissionDeniedError),
        (404, NotFoundError),
        (405, MethodNotAllowedError),
        (409, ConflictError),
        (429, RateLimitError),
        (500, ServerError),
        (503, ServerError),
        (599, ServerError),
        (302, APIStatusError),
        (418, APIStatusError),
    ],
)
def test_each_status_has_its_class(status: int, cls: type[APIStatusError]) -> None:
    """The class of the error is the status's own, or the general one."""
    assert error_class(status) is cls


_REQUEST: dict[str, Any] = {"method": "GET", "path": "/flags/1", "attempts": 3}
_STATUS: dict[str, Any] = {**_REQUEST, "status": 418, "body": {"error": ["x"]}, "headers": {"Date": "today"}}
ATTRIBUTES: dict[type[AmpExpError], dict[str, Any]] = {
    AmpExpError: {},
    BulkError: {"errors": ()},
    ConfigurationError: {},
    ClientClosedError: {},
    EditConflictError: {"field": "tags", "base": ["a"], "ours": ["b"], "theirs": amp_exp_async.UNSET, "written": True},
    InvalidInputError: {"argument": "users[1]", "rule": "must not be empty"},
    InvalidManifestError: {"problems": [Problem("flags.yaml", 3, "flags[0].key", "is missing")]},
    APIConnectionError: {**_REQUEST, "sent": True},
    APITimeoutError: {**_REQUEST, "sent": True},
    APIStatusError: _STATUS,
    BadRequestError: _STATUS,
    AuthenticationError: _STATUS,
    PermissionDeniedError: _STATUS,
    NotFoundError: _STATUS,
    MethodNotAllowedError: _STATUS,
    ConflictError: _STATUS,
    ServerError: _STATUS,
    RateLimitError: {**_STATUS, "retry_after": 1.5, "daily": True},
    UnexpectedResponseError: {**_REQUEST, "location": "flags[1].key", "body": "{}"},
    OutcomeUnknownError: _REQUEST,
}


def tree(cls: type[AmpExpError]) -> Iterator[type[AmpExpError]]:
    yield cls
    for below in cls.__subclasses__():
        yield from tree(below)


def test_the_tree_is_public_and_covered() -> None:
    """Every class of the tree can be imported from the package, and is gone over by the test below."""
    classes = {cls for cls in tree(AmpExpError) if not cls.__name__.startswith("_")}

    assert classes == set(ATTRIBUTES)
    assert all(getattr(amp_exp_async, cls.__name__) is cls for cls in classes)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("cls", ATTRIBUTES)
def test_errors_pickle_with_their_attributes(cls: type[AmpExpError], protocol: int) -> None:
    """An error that crosses to another process keeps its message and all that it knows."""
    error = cls("what happened, and what to do", **ATTRIBUTES[cls])

    twin = pickle.loads(pickle.dumps(error, protocol))

    assert type(twin) is cls
    assert str(twin) == str(error) == "what happened, and what to do"
    assert {name: getattr(twin, name) for name in ATTRIBUTES[cls]} == ATTRIBUTES[cls]
    assert vars(twin) == vars(error)


@pytest.mark.parametrize(
    ("cls", "standard"),
    [(InvalidInputError, ValueError), (APITimeoutError, TimeoutError), (ClientClosedError, RuntimeError)],
)
def test_errors_are_also_what_python_calls_them(cls: type[AmpExpError], standard: type[Exception]) -> None:
    """Code that catches the standard exception catches ours."""
    assert issubclass(cls, standard)
