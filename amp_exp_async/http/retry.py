"""The retry policy and its decisions: pure functions and frozen objects."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from attrs import field, frozen

from amp_exp_async.validation.settings import non_negative_seconds, positive_int

from .refusals import RefusalKind

_MAX_EXPONENT = 64  # more would overflow
_DAILY_LIMIT_RE = re.compile(r"\b(day|daily|today)\b", re.IGNORECASE)
_DAILY_RETRY_AFTER = 60.0  # seconds; the limit per second never asks for a longer wait


class Idempotency(enum.Enum):
    """The effect of a request that is applied a second time."""

    IDEMPOTENT = "nothing changes"
    DELETE = "the object is already gone: 'not found' confirms the removal"
    EXCLUDE = "the ids are already gone: 'no users for this key' confirms the removal"
    RENAME = "the old key is already gone: 'not found' is reconciled by reading the new key"
    ARCHIVE = "the object is already archived: 'cannot edit archived' is reconciled by reading it"
    CREATE = "a second object is created: an ambiguous outcome is reconciled by reading back"
    NON_IDEMPOTENT = "something else changes"

    @property
    def may_repeat(self) -> bool:
        """Whether the request may be sent again after it may have been applied."""
        return self not in (Idempotency.CREATE, Idempotency.NON_IDEMPOTENT)


_REMOVED = {Idempotency.DELETE: RefusalKind.NOT_FOUND, Idempotency.EXCLUDE: RefusalKind.NOT_INCLUDED}
_RECONCILED = {Idempotency.RENAME: RefusalKind.NOT_FOUND, Idempotency.ARCHIVE: RefusalKind.ARCHIVED}


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
    def may_succeed_later(self) -> bool:
        """Whether another attempt may succeed."""
        return self.retryable if self.status is None else self.ambiguous or self.status == HTTPStatus.TOO_MANY_REQUESTS


def is_success(status: int) -> bool:
    """Return whether a status is 2xx."""
    return 200 <= status < 300


def confirms_removal(refusal: RefusalKind | None, idempotency: Idempotency) -> bool:
    """Return whether a refusal of a repeat confirms that an earlier attempt has removed what it should."""
    return refusal is not None and _REMOVED.get(idempotency) is refusal


def decide(
    result: AttemptResult, idempotency: Idempotency, *, attempts_left: bool, ambiguous_before: bool
) -> RetryDecision:
    """Decide what follows an attempt.

    Args:
        result: how the attempt ended.
        idempotency: the effect of a second application.
        attempts_left: whether the policy and the deadline allow another attempt.
        ambiguous_before: whether an earlier attempt of the call may have been applied.
    """
    if result.status is not None and is_success(result.status):
        return RetryDecision.RETURN
    if ambiguous_before and confirms_removal(result.refusal, idempotency):
        return RetryDecision.RETURN
    if ambiguous_before and result.refusal is not None and _RECONCILED.get(idempotency) is result.refusal:
        return RetryDecision.RECONCILE
    if result.ambiguous and not idempotency.may_repeat:
        return RetryDecision.RECONCILE
    return RetryDecision.RETRY if result.may_succeed_later and attempts_left else RetryDecision.RAISE


def parse_retry_after(headers: Mapping[str, str], now: Callable[[], float]) -> float | None:
    """Return the seconds that a `Retry-After` header (seconds or a date) asks to wait; None without a valid one."""
    value = headers.get("Retry-After", "").strip()
    if value.replace(".", "", 1).isdecimal():
        return float(value)
    time = parse_http_date(value)
    return None if time is None else max(0.0, time - now())


def parse_http_date(text: str) -> float | None:
    """Return the POSIX time of a date in a header; None if the text is not a date."""
    try:
        date = parsedate_to_datetime(text)
        return (date if date.tzinfo is not None else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def is_daily(retry_after: float | None, body: str) -> bool:
    """Return whether a 429 is about the daily limit: its body says so, or its `Retry-After` exceeds a minute."""
    return (retry_after is not None and retry_after > _DAILY_RETRY_AFTER) or _DAILY_LIMIT_RE.search(body) is not None
