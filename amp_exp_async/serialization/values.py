"""Single values: what each may be on the wire, and what it becomes. A wrong one raises `TypeError` or `ValueError`."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any, NoReturn

_BARE_DATE = 10  # the length of 2023-07-29

_NAMES: dict[type, str] = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}


def refuse(value: object, expected: str) -> NoReturn:
    """Say what a value is not."""
    got = _NAMES.get(type(value), "a number")
    shown = "" if isinstance(value, dict | list | None) else f" {value!r:.60}"
    raise TypeError(f"expected {expected}, got {got}{shown}")


def text(value: Any, _: object = None) -> str:
    return value if value.__class__ is str else refuse(value, "a string")


def identifier(value: Any, _: object = None) -> str:
    if value.__class__ is str:
        return value
    if value.__class__ is int:
        return str(value)
    return refuse(value, "a string or an integer")


def boolean(value: Any, _: object = None) -> bool:
    return value if value.__class__ is bool else refuse(value, "a boolean")


def integer(value: Any, _: object = None) -> int:
    return value if value.__class__ is int else refuse(value, "an integer")


def number(value: Any, _: object = None) -> float:
    return value if value.__class__ is int or value.__class__ is float else refuse(value, "a number")


def moment(value: Any, _: object = None) -> datetime:
    """A timestamp. One without an offset is in UTC, as the contract says of all."""
    if value.__class__ is not str or len(value) <= _BARE_DATE:
        refuse(value, "a timestamp")
    parsed = datetime.fromisoformat(value)
    return parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=UTC)


def moment_or_date(value: Any, _: object = None) -> datetime | date:
    """A timestamp, or a bare date, which keeps being a date."""
    if value.__class__ is str and len(value) == _BARE_DATE:
        return date.fromisoformat(value)
    return moment(value)


def moment_to_json(value: date) -> str:
    """A timestamp as the wire writes it: UTC, milliseconds (microseconds where there are any), `Z`."""
    if not isinstance(value, datetime):
        return value.isoformat()
    precision = "microseconds" if value.microsecond % 1000 else "milliseconds"
    return value.astimezone(UTC).isoformat(timespec=precision).removesuffix("+00:00") + "Z"


def strings(value: Any) -> list[str]:
    if value.__class__ is not list:
        refuse(value, "an array")
    for item in value:
        if item.__class__ is not str:
            refuse(item, "a string")
    return value


def identifiers(value: Any) -> list[str]:
    if value.__class__ is not list:
        refuse(value, "an array")
    return [item if item.__class__ is str else identifier(item) for item in value]


def numbers_by_key(value: Any) -> dict[str, float]:
    if value.__class__ is not dict:
        refuse(value, "an object")
    for item in value.values():
        if item.__class__ is not int and item.__class__ is not float:
            refuse(item, "a number")
    return value


def strings_by_key(value: Any) -> dict[str, list[str]]:
    if value.__class__ is not dict:
        refuse(value, "an object")
    return {key: strings(item) for key, item in value.items()}
