"""Validators of request bodies. A value that breaks a rule is rejected with 400 and its location in the body."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from amp_exp_async.emulator.documents import Document, is_list, is_object

FieldValidator = Callable[[Any, str], None]
"""Rejects an invalid value; the second argument is its location in the body."""

Fields = Mapping[str, FieldValidator]
"""The fields that a body may have, each with its validator."""

_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")


class HTTPError(Exception):
    """The request is rejected with this status and message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def validate(
    body: Document, fields: Fields, required: tuple[str, ...] = (), prefix: str = "", *, missing: str = "is required"
) -> Document:
    """Return the body if it has the required fields, no unknown ones, and only valid values."""
    for name in required:
        if name not in body:
            raise HTTPError(400, f'"{prefix}{name}" {missing}')
    for name, value in body.items():
        if name not in fields:
            raise HTTPError(400, f'"{prefix}{name}" is not allowed')
        fields[name](value, f"{prefix}{name}")
    return body


def json_value(_value: Any, _location: str) -> None:
    """Accept any JSON value."""


def string(value: Any, location: str) -> None:
    """Require a string."""
    _require(isinstance(value, str), location, "a string")


def non_empty_string(value: Any, location: str) -> None:
    """Require a non-empty string."""
    _require(isinstance(value, str) and value != "", location, "a non-empty string")


def key(value: Any, location: str) -> None:
    """Require a key or label: letters, digits, `_` and `-`."""
    is_key = isinstance(value, str) and _KEY.fullmatch(value) is not None
    _require(is_key, location, 'a string of letters, digits, "_" and "-"')


def boolean(value: Any, location: str) -> None:
    """Require true or false."""
    _require(isinstance(value, bool), location, "true or false")


def weight(value: Any, location: str) -> None:
    """Require a rollout weight: a number of at least 0."""
    _require(_is_number(value) and value >= 0, location, "a number of at least 0")


def integer_weight(value: Any, location: str) -> None:
    """Require a rollout weight where the API reference asks for an integer."""
    _require(_is_integer(value) and value >= 0, location, "an integer of at least 0")


def percentage(value: Any, location: str) -> None:
    """Require a number from 0 to 100."""
    _require(_is_number(value) and 0 <= value <= 100, location, "a number from 0 to 100")


def number_id(value: Any, location: str) -> None:
    """Require an ID where the API reference asks for a number."""
    _require(_is_integer(value) and value >= 0, location, "an ID as a number")


def date(value: Any, location: str) -> None:
    """Require an ISO 8601 timestamp or date."""
    _require(isinstance(value, str) and _is_date(value), location, "a date in ISO 8601")


def integer(min_value: int, max_value: int) -> FieldValidator:
    """Return a validator of integers in a range that includes both bounds."""

    def validator(value: Any, location: str) -> None:
        in_range = _is_integer(value) and min_value <= value <= max_value
        _require(in_range, location, f"an integer from {min_value} to {max_value}")

    return validator


def one_of(*choices: str) -> FieldValidator:
    """Return a validator that accepts these strings."""

    def validator(value: Any, location: str) -> None:
        _require(value in choices, location, f"one of {', '.join(choices)}")

    return validator


def nullable(validator: FieldValidator) -> FieldValidator:
    """Return a validator that also accepts null."""

    def nullable_validator(value: Any, location: str) -> None:
        if value is not None:
            validator(value, location)

    return nullable_validator


def list_of(validator: FieldValidator, *, max_items: int | None = None) -> FieldValidator:
    """Return a validator of lists with valid items."""

    def list_validator(value: Any, location: str) -> None:
        _require(is_list(value), location, "a list")
        _require(
            max_items is None or len(value) <= max_items,
            location,
            f"a list of at most {max_items} items, not {len(value)}",
        )
        for index, item in enumerate(value):
            validator(item, f"{location}[{index}]")

    return list_validator


def mapping_of(validator: FieldValidator) -> FieldValidator:
    """Return a validator of objects with any names and valid values."""

    def mapping_validator(value: Any, location: str) -> None:
        _require(is_object(value), location, "an object")
        for name, item in value.items():
            validator(item, f"{location}.{name}")

    return mapping_validator


def object_with(
    required: Fields, optional: Fields, *, allow_unknown: bool = False, missing: str = "is required"
) -> FieldValidator:
    """Return a validator of objects with these fields."""
    fields = {**required, **optional}

    def object_validator(value: Any, location: str) -> None:
        _require(is_object(value), location, "an object")
        accepted = {**dict.fromkeys(value, json_value), **fields} if allow_unknown else fields
        validate(value, accepted, tuple(required), f"{location}.", missing=missing)

    return object_validator


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_date(value: str) -> bool:
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def _require(valid: bool, location: str, expected: str) -> None:
    if not valid:
        raise HTTPError(400, f'"{location}" must be {expected}')
