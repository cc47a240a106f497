"""The retry policy and its decisions: pure functions and frozen objects."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from datetime import UTC
from http import HTTPStatus

import attrs
from attrs import field, frozen

from amp_exp_async.ratelimit import seconds_to_midnight
from amp_exp_async.validation.settings import non_negative_seconds, positive_int

from .refusals import RefusalKind

_MAX_EXPONENT = 64  # more would overflow
_NUMBER_RE = re.compile(r"[0-9]+(\.[0-9]*)?|\.[0-9]+")
_MIN_POSIX_TIME = 1e9  # in the year 2001; no service asks to wait for as many seconds
_MAX_POSIX_TIME = 1e10  # in the year 2286
_DAY_RE = re.compile(r"\b(day|daily|today)\b", re.IGNORECASE)
_MAX_SHORT_WAIT = 60.0  # seconds; the limit per second does not ask for a longer wait
_MAX_BURST = 30.0  # seconds for which the limit per second may refuse every request
_MIN_ROUNDS = 5  # refusals, one after another, without which that time shows nothing
_MAX_IDLE = 10.0  # seconds beyond the requested wait in which nothing was sent, so that nothing is known of them


class Idempotency(enum.Enum):
    """The effect of a request that is applied a second time."""

    IDEMPOTENT = "nothing changes"
    DELETE = "the object is already gone: 'not found' confirms the removal"
    EXCLUDE = "the ids are already gone: 'no users for this key' confirms the removal"
    RENAME = "the old key is already gone: 'not found' is reconciled by reading the new key"
    ARCHIVE = "the object is already archived"
    CREATE = "a second object is created: an ambiguous outcome is reconciled by reading back"
    NON_IDEMPOTENT = "something else changes"

    @property
    def may_repeat(self) -> bool:
        """Whether the request may be sent again after it may have been applied."""
        return self not in (Idempotency.CREATE, Idempotency.NON_IDEMPOTENT)


_ABOUT_THE_OBJECT = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT})
_REMOVED = {Idempotency.DELETE: RefusalKind.NOT_FOUND, Idempotency.EXCLUDE: RefusalKind.NOT_INCLUDED}


@frozen(kw_only=True)
class RetryPolicy:
    """The maximum number of attempts of a call, and the waits between them.

    The n-th wait is drawn evenly from 0 to `backoff_base * 2 ** (n - 1)` seconds, and at most `backoff_cap`. A
    `Retry-After` of the service is added. The policy does not decide what may be repeated: a request whose repetition
    could change something else is never sent again after the service may have received it.

    Attributes:
        max_attempts: how often a request is sent at most; 1 for no retries.
        backoff_base: seconds.
        backoff_cap: seconds.
    """

    max_attempts: int = field(default=5, validator=positive_int)
    backoff_base: float = field(default=0.25, validator=non_negative_seconds)
    backoff_cap: float = field(default=20.0, validator=non_negative_seconds)

    def wait(self, attempt: int, fraction: float) -> float:
        """Return the seconds to wait after an attempt (from 1), for a random fraction between 0 and 1."""
        return fraction * min(self.backoff_cap, self.backoff_base * 2.0 ** min(attempt - 1, _MAX_EXPONENT))


class RetryDecision(enum.Enum):
    """The step that follows an attempt."""

    RETURN = "return the response"
    RAISE = "raise the response or failure as an error"
    RETRY = "send the request again"
    RECONCILE = "read back, because the outcome is ambiguous"


@frozen
class AttemptResult:
    """The result of an attempt.

    Attributes:
        status: the HTTP status, or None if no complete response arrived.
        sent: without a response: whether the service may have received the request.
        retryable: without a response: whether another attempt may succeed.
        refusal: what a refusal says about the object, if that is known.
    """

    status: int | None
    sent: bool = True
    retryable: bool = True
    refusal: RefusalKind | None = None

    @property
    def ambiguous(self) -> bool:
        """Whether the request may have been applied, without a response that confirms it."""
        return self.sent if self.status is None else self.status >= HTTPStatus.INTERNAL_SERVER_ERROR

    @property
    def may_follow_from_a_change(self) -> bool:
        """Whether the service may refuse the request because an earlier attempt was applied."""
        return self.status in _ABOUT_THE_OBJECT or self.refusal is RefusalKind.NOT_FOUND

    @property
    def may_succeed_later(self) -> bool:
        """Whether another attempt may succeed."""
        return self.retryable if self.status is None else self.ambiguous or self.status == HTTPStatus.TOO_MANY_REQUESTS


@frozen
class RequestedWait:
    """The wait that the service asks for.

    Attributes:
        seconds: the seconds, until the end of the UTC day at most; None if it does not say.
        daily: whether the daily limit is the reason.
        ends_at: the POSIX time at which the wait ends, by the clock of the service.
    """

    seconds: float | None = None
    daily: bool = False
    ends_at: float = 0.0


NO_WAIT = RequestedWait()


@frozen
class RefusalStreak:
    """Refusals (429) without any other response between them.

    Attributes:
        started: when the first refused attempt was sent.
        rounds: the number of refused attempts that followed one another. Those in flight together count as one.
        last_round: when the last round was refused.
        resume_at: when the wait ends that the last refusal asked for.
    """

    started: float
    rounds: int
    last_round: float
    resume_at: float

    @property
    def is_persistent(self) -> bool:
        """Whether the service has refused every attempt for longer than the limit per second does."""
        return self.rounds >= _MIN_ROUNDS and self.last_round - self.started >= _MAX_BURST

    def followed_by(self, sent_at: float, now: float) -> RefusalStreak:
        """Return the streak with one more refusal, or a new one if nothing was sent for too long before it."""
        if sent_at > self.resume_at + _MAX_IDLE:
            return start_streak(sent_at, now)
        if sent_at < self.last_round:
            return self
        return attrs.evolve(self, rounds=self.rounds + 1, last_round=now, resume_at=now)

    def after_wait(self, resume_at: float) -> RefusalStreak:
        """Return the streak with the end of the wait that its last refusal asked for."""
        return attrs.evolve(self, resume_at=max(self.resume_at, resume_at))


def start_streak(sent_at: float, now: float) -> RefusalStreak:
    """Return the streak that a refusal starts."""
    return RefusalStreak(sent_at, 1, now, now)


def is_success(status: int) -> bool:
    """Return whether a status is 2xx."""
    return 200 <= status < 300


def confirms_removal(refusal: RefusalKind | None, idempotency: Idempotency) -> bool:
    """Return whether a refusal of a repeat confirms that an earlier attempt has removed what it should."""
    return refusal is not None and _REMOVED.get(idempotency) is refusal


def rules_out(refusal: RefusalKind | None, idempotency: Idempotency) -> bool:
    """Return whether a refusal of a repeat shows that no change by an earlier attempt is in effect."""
    return refusal is RefusalKind.NOT_FOUND and idempotency is not Idempotency.RENAME


def decide(
    result: AttemptResult,
    idempotency: Idempotency,
    *,
    attempts_left: bool,
    ambiguous_before: bool,
    may_lag: bool = False,
) -> RetryDecision:
    """Decide what follows an attempt.

    Args:
        result: how the attempt ended.
        idempotency: the effect of a second application.
        attempts_left: whether the policy and the deadline allow another attempt.
        ambiguous_before: whether an earlier attempt of the call may have been applied.
        may_lag: whether an object that is not found was created just now.
    """
    if result.status is not None and is_success(result.status):
        return RetryDecision.RETURN
    if ambiguous_before and confirms_removal(result.refusal, idempotency):
        return RetryDecision.RETURN
    if may_lag:
        return RetryDecision.RETRY
    if ambiguous_before and result.may_follow_from_a_change and not rules_out(result.refusal, idempotency):
        return RetryDecision.RECONCILE
    if result.ambiguous and not idempotency.may_repeat:
        return RetryDecision.RECONCILE
    return RetryDecision.RETRY if result.may_succeed_later and attempts_left else RetryDecision.RAISE


def read_requested_wait(
    status: int,
    headers: Mapping[str, str],
    body_text: str,
    *,
    now: float,
    persistent: bool = False,
    near_daily_limit: bool = False,
) -> RequestedWait:
    """Return the wait that a response asks for. It ends with the UTC day at the latest.

    Args:
        status: the HTTP status.
        headers: the response headers.
        body_text: the response body.
        now: the POSIX time by the local clock.
        persistent: whether the service has refused every attempt for half a minute.
        near_daily_limit: whether the counted requests of the day come close to the daily limit.
    """
    service_now = _service_time(headers, now)
    rest_of_day = seconds_to_midnight(service_now)
    seconds = parse_retry_after(headers, now)
    daily = status == HTTPStatus.TOO_MANY_REQUESTS and is_daily(
        seconds, body_text, rest_of_day=rest_of_day, persistent=persistent, near_daily_limit=near_daily_limit
    )
    if daily and (seconds is None or seconds <= _MAX_SHORT_WAIT):
        seconds = rest_of_day
    if seconds is not None:
        # The local clock counts too, in case the `Date` of the response is wrong.
        seconds = min(seconds, rest_of_day, seconds_to_midnight(now))
    return RequestedWait(seconds, daily, service_now + (seconds or 0.0))


def parse_retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds that a `Retry-After` header asks to wait; None without a header that can be understood.

    It has seconds, a date, or a POSIX time in seconds or milliseconds. Times are measured against the `Date` of the
    response, or against `now` without one.
    """
    value = headers.get("Retry-After", "").strip()
    if _NUMBER_RE.fullmatch(value):
        number = float(value)
        if number < _MIN_POSIX_TIME:
            return number
        scale = next((scale for scale in (1.0, 1000.0) if _MIN_POSIX_TIME <= number / scale < _MAX_POSIX_TIME), None)
        time = None if scale is None else number / scale
    else:
        time = parse_http_date(value)
    return None if time is None else max(0.0, time - _service_time(headers, now))


def parse_http_date(text: str) -> float | None:
    """Return the POSIX time of a date in a header; None if the text is not a date."""
    if not text:
        return None
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - slow to import, and seldom needed

    try:
        date = parsedate_to_datetime(text)
        return (date if date.tzinfo is not None else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def is_daily(
    retry_after: float | None, body_text: str, *, rest_of_day: float, persistent: bool, near_daily_limit: bool
) -> bool:
    """Return whether a 429 is about the daily limit. If in doubt, it is about the limit per second.

    The words of the body never decide alone: they may list both limits, in any form.

    Args:
        retry_after: the seconds that it asks to wait.
        body_text: the response body.
        rest_of_day: the seconds to the end of the UTC day.
        persistent: whether the service has refused every attempt for half a minute.
        near_daily_limit: whether the counted requests of the day come close to the daily limit.
    """
    asked = retry_after or 0.0
    if asked > _MAX_SHORT_WAIT and (near_daily_limit or asked >= rest_of_day - _MAX_SHORT_WAIT):
        return True
    return persistent and (near_daily_limit or _DAY_RE.search(body_text) is not None)


def _service_time(headers: Mapping[str, str], now: float) -> float:
    """Return the POSIX time of a response by the clock of the service, or `now` if it does not say."""
    time = parse_http_date(headers.get("Date", ""))
    return now if time is None else time
