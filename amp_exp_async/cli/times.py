"""Times and durations on the command line: `7d`, `2026-11-03`, `2026-11-03T09:00Z`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import amp_exp_async

from .output import format_value

_DURATION = re.compile(r"(\d{1,4000})([smhdw])")  # Python converts no more digits
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}  # seconds
_MAX = timedelta(days=36_500)  # a time before it exists


def parse_duration(option: str, text: str) -> timedelta:
    """Return the duration that an option gives, such as `90d` or `12h`.

    Raises:
        InvalidInputError: If the text is not a duration.
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        raise amp_exp_async.InvalidInputError(
            f"{option}: must be a duration such as 7d, 12h or 30m, got {format_value(text)}. Nothing was sent."
        )
    seconds = int(match[1]) * _UNITS[match[2]]
    if seconds > _MAX.total_seconds():
        raise amp_exp_async.InvalidInputError(
            f"{option}: must be at most {_MAX.days}d, got {format_value(text)}. Nothing was sent."
        )
    return timedelta(seconds=seconds)


def parse_time(option: str, text: str, now: datetime) -> datetime:
    """Return the time that an option gives: a duration before now, a date, or a time. Without a zone, it is in UTC.

    Raises:
        InvalidInputError: If the text is none of these.
    """
    if _DURATION.fullmatch(text):
        return now - parse_duration(option, text)
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise amp_exp_async.InvalidInputError(
            f"{option}: must be a duration such as 7d, or a date or time such as 2026-11-03T09:00Z, got "
            f"{format_value(text)}. "
            "Nothing was sent."
        ) from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)
