"""Conversions of single JSON values. An unexpected value raises `TypeError` or `ValueError`.

The unused second parameter is the type that cattrs passes.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any, NoReturn

from amp_exp_async.formatting import format_value

_DATE_LENGTH = len("2023-07-29")


def reject(value: object, expected: str) -> NoReturn:
    """Raise `TypeError` for a value of another type."""
    actual = "an object" if isinstance(value, dict) else "an array" if isinstance(value, list) else format_value(value)
    raise TypeError(f"expected {expected}, got {actual}")


def string(value: Any, _: object = None) -> str:
    """Require a string."""
    return value if value.__class__ is str else reject(value, "a string")


def identifier(value: Any, _: object = None) -> str:
    """Convert an ID, which the service sends as a string or an integer, to a string."""
    if value.__class__ is str:
        return value
    if value.__class__ is int:
        return str(value)
    return reject(value, "a string or an integer")


def boolean(value: Any, _: object = None) -> bool:
    """Require a boolean."""
    return value if value.__class__ is bool else reject(value, "a boolean")


def integer(value: Any, _: object = None) -> int:
    """Require an integer."""
    return value if value.__class__ is int else reject(value, "an integer")


def number(value: Any, _: object = None) -> float:
    """Require a number."""
    return value if value.__class__ is int or value.__class__ is float else reject(value, "a number")


def timestamp(value: Any, _: object = None) -> datetime:
    """Parse a timestamp; without an offset it is in UTC."""
    if value.__class__ is not str or len(value) <= _DATE_LENGTH:
        reject(value, "a timestamp")
    parsed = datetime.fromisoformat(value)
    return parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=UTC)


def timestamp_or_date(value: Any, _: object = None) -> datetime | date:
    """Parse a timestamp, or a date, which remains a date."""
    if value.__class__ is str and len(value) == _DATE_LENGTH:
        return date.fromisoformat(value)
    return timestamp(value)


def format_timestamp(value: date) -> str:
    """Return a timestamp in UTC, with milliseconds (or microseconds if there are any) and `Z`, or a date."""
    if not isinstance(value, datetime):
        return value.isoformat()
    precision = "microseconds" if value.microsecond % 1000 else "milliseconds"
    return value.astimezone(UTC).isoformat(timespec=precision).removesuffix("+00:00") + "Z"


def identifiers(value: Any) -> list[str]:
    """Convert an array of IDs."""
    if value.__class__ is not list:
        reject(value, "an array")
    return [item if item.__class__ is str else identifier(item) for item in value]
