"""What to do after an attempt: pure decisions, tested without a network."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

from attrs import field, frozen

from amp_exp_async.validation.settings import non_negative_seconds, positive_int

_MOST_DOUBLINGS = 64
_TOO_MANY = 429
_NOT_FOUND = 404
_SERVER_ERROR = 500
_DAY = re.compile(r"\b(day|daily|today)\b", re.IGNORECASE)
_DAILY = 60.0  # seconds; the limit of a second never asks for longer


class Idempotency(enum.Enum):
    """What happens when a request is applied a second time."""

    IDEMPOTENT = "nothing changes"
    DELETE = "a removal finds nothing: 404 then means done"
    RENAME = "a rename finds nothing under the old name: 404 is settled by reading back"
    CREATE = "a second object is created: reconciled by reading back"
    NON_IDEMPOTENT = "something else changes"

    @property
    def may_repeat(self) -> bool:
        """Whether a request may be sent again that may have been applied."""
        return self not in (Idempotency.CREATE, Idempotency.NON_IDEMPOTENT)


@frozen(kw_only=True)
class RetryPolicy:
    """How often a call is tried, and how long it waits in between.

    The n-th wait is drawn evenly from 0 to `backoff_base * 2 ** (n - 1)` seconds, at most `backoff_cap`. A
    `Retry-After` of the service is added to it. What may be repeated at all is not a matter of policy: a request whose
    repetition could change something else is never sent twice once the service may have received it.

    Attributes:
        max_attempts: how many times a request is sent at the most; 1 for no retries.
        backoff_base: seconds.
        backoff_cap: seconds.
    """

    max_attempts: int = field(default=5, validator=positive_int)
    backoff_base: float = field(default=0.25, validator=non_negative_seconds)
    backoff_cap: float = field(default=20.0, validator=non_negative_seconds)

    def wait(self, attempt: int, chance: float) -> float:
        """Seconds to wait after an attempt (counted from 1), for a chance from 0 to 1."""
        return chance * min(self.backoff_cap, self.backoff_base * 2.0 ** min(attempt - 1, _MOST_DOUBLINGS))


class Step(enum.Enum):
    """What comes next."""

    DONE = "the reply is the answer"
    FAIL = "the reply or failure is the answer, as an error"
    AGAIN = "try again"
    SETTLE = "the outcome is unknown: read back"


@frozen
class Outcome:
    """How one attempt ended.

    Attributes:
        status: the reply's status, or None when there was no complete reply.
        sent: without a reply, whether the service may have received the request.
        retryable: without a reply, whether another attempt can be expected to do better.
    """

    status: int | None
    sent: bool = True
    retryable: bool = True

    @property
    def lost(self) -> bool:
        """Whether nobody can know if the service applied the request."""
        return self.sent if self.status is None else self.status >= _SERVER_ERROR


def is_success(status: int) -> bool:
    """Return whether the service did what was asked."""
    return 200 <= status < 300


def is_done(status: int, repeat: Idempotency, *, lost_before: bool) -> bool:
    """Return whether a status is the answer: a success, or the 404 that confirms an ambiguous removal."""
    return is_success(status) or (status == _NOT_FOUND and lost_before and repeat is Idempotency.DELETE)


def next_step(outcome: Outcome, repeat: Idempotency, *, attempts_left: bool, lost_before: bool) -> Step:
    """Decide, by the contract's table of what may be repeated.

    Args:
        outcome: how the attempt ended.
        repeat: what a second application of this request would do.
        attempts_left: whether the policy and the deadline allow another attempt.
        lost_before: whether an earlier attempt of this call may have been applied.
    """
    status = outcome.status
    if status is not None and is_done(status, repeat, lost_before=lost_before):
        return Step.DONE
    if status == _NOT_FOUND and lost_before and repeat is Idempotency.RENAME:
        return Step.SETTLE
    if outcome.lost and not repeat.may_repeat:
        return Step.SETTLE
    may_repeat = outcome.retryable if status is None else outcome.lost or status == _TOO_MANY
    return Step.AGAIN if may_repeat and attempts_left else Step.FAIL


def retry_after(headers: Mapping[str, str], now: Callable[[], float]) -> float | None:
    """Seconds that a `Retry-After` header asks to wait, given as seconds or as a date; None without a usable one."""
    value = headers.get("Retry-After", "").strip()
    if value.replace(".", "", 1).isdecimal():
        return float(value)
    moment = http_date(value)
    return None if moment is None else max(0.0, moment - now())


def http_date(text: str) -> float | None:
    """The POSIX time of a date in a header; None for what is no date."""
    try:
        moment = parsedate_to_datetime(text)
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def is_daily(after: float | None, body: str) -> bool:
    """Whether a 429 speaks of the day's limit: it says so, or asks for longer than the limit of a second would."""
    return (after is not None and after > _DAILY) or _DAY.search(body) is not None
