"""What to do after an attempt: pure decisions, tested without a network."""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

import attrs
from attrs import field, frozen

from amp_exp_async.errors import ConfigurationError

SECONDS_A_DAY = 86_400

_MOST_DOUBLINGS = 64
_TOO_MANY = 429
_NOT_FOUND = 404
_SERVER_ERROR = 500
_DAY = re.compile(r"\b(day|daily|today)\b", re.IGNORECASE)
_DAILY = 60.0  # seconds; the limit of a second never asks for longer


class Repeat(enum.Enum):
    """What happens when a request is applied a second time."""

    HARMLESS = "nothing changes"
    GONE = "a removal finds nothing: 404 then means done"
    MOVED = "a rename finds nothing under the old name: 404 is settled by reading back"
    HARMFUL = "something else changes"


def at_least_one(_: object, field: attrs.Attribute[Any], value: object) -> None:
    """Refuse what is no count of one or more."""
    if type(value) is not int or value < 1:
        raise ConfigurationError(f"{field.name} must be a whole number of at least 1, got {value!r}")


def _seconds(_: object, field: attrs.Attribute[Any], value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ConfigurationError(f"{field.name} must be a number of seconds, at least 0, got {value!r}")


@frozen(kw_only=True)
class RetryPolicy:
    """How often a call is tried, and how long it waits in between.

    The n-th wait is drawn evenly from 0 to `base * 2 ** (n - 1)` seconds, at most `cap`. A `Retry-After` of the service
    is added to it. What may be repeated at all is not a matter of policy: a request whose repetition could change
    something else is never sent twice once the service may have received it.

    Attributes:
        attempts: how many times a request is sent at the most; 1 for no retries.
        base: seconds.
        cap: seconds.
    """

    attempts: int = field(default=5, validator=at_least_one)
    base: float = field(default=0.25, validator=_seconds)
    cap: float = field(default=20.0, validator=_seconds)

    def wait(self, attempt: int, chance: float) -> float:
        """Seconds to wait after an attempt (counted from 1), for a chance from 0 to 1."""
        return chance * min(self.cap, self.base * 2.0 ** min(attempt - 1, _MOST_DOUBLINGS))


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
    """Whether the service did what was asked."""
    return 200 <= status < 300


def next_step(outcome: Outcome, repeat: Repeat, *, attempts_left: bool, lost_before: bool) -> Step:
    """Decide, by the contract's table of what may be repeated.

    Args:
        outcome: how the attempt ended.
        repeat: what a second application of this request would do.
        attempts_left: whether the policy and the deadline allow another attempt.
        lost_before: whether an earlier attempt of this call may have been applied.
    """
    status = outcome.status
    if status is not None and is_success(status):
        return Step.DONE
    if status == _NOT_FOUND and lost_before and repeat is Repeat.GONE:
        return Step.DONE
    if status == _NOT_FOUND and lost_before and repeat is Repeat.MOVED:
        return Step.SETTLE
    if outcome.lost and repeat is Repeat.HARMFUL:
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


def seconds_to_midnight(now: float) -> float:
    """Seconds from a POSIX time to the end of its UTC day."""
    return SECONDS_A_DAY - now % SECONDS_A_DAY
