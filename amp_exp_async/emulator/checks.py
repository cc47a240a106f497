"""What a field of a request body may hold; everything else is refused with 400 and the name of the place."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from amp_exp_async.emulator.documents import Document, is_list, is_object
from amp_exp_async.emulator.refusal import Refusal

Check = Callable[[Any, str], None]
"""Refuses a value that will not do; the second argument is the place in the body, for the message."""

_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")


def checked(body: Document, fields: Mapping[str, Check], required: tuple[str, ...] = ()) -> Document:
    """The body, if it has the required fields and none but these, each of which will do."""
    _check_fields(body, "", fields, required)
    return body


def anything(_value: Any, _place: str) -> None:
    """Any JSON value."""


def text(value: Any, place: str) -> None:
    """A string."""
    _demand(isinstance(value, str), place, "a string")


def some_text(value: Any, place: str) -> None:
    """A string that is not empty."""
    _demand(isinstance(value, str) and value != "", place, "a string that is not empty")


def key(value: Any, place: str) -> None:
    """A key or a label: letters, digits, `_` and `-`."""
    fits = isinstance(value, str) and _KEY.fullmatch(value) is not None
    _demand(fits, place, "a string of letters, digits, '_' and '-'")


def boolean(value: Any, place: str) -> None:
    """True or false."""
    _demand(isinstance(value, bool), place, "true or false")


def weight(value: Any, place: str) -> None:
    """A rollout weight: a number from 0."""
    _demand(_is_number(value) and value >= 0, place, "a number from 0")


def whole_weight(value: Any, place: str) -> None:
    """A rollout weight where the contract asks for an integer."""
    _demand(isinstance(value, int) and _is_number(value) and value >= 0, place, "an integer from 0")


def percentage(value: Any, place: str) -> None:
    """A number from 0 to 100."""
    _demand(_is_number(value) and 0 <= value <= 100, place, "a number from 0 to 100")


def number_id(value: Any, place: str) -> None:
    """An id where the contract asks for a number."""
    _demand(isinstance(value, int) and _is_number(value) and value >= 0, place, "an id as a number")


def whole(least: int, most: int) -> Check:
    """An integer between the two, which may be reached."""

    def check(value: Any, place: str) -> None:
        fits = isinstance(value, int) and _is_number(value) and least <= value <= most
        _demand(fits, place, f"an integer from {least} to {most}")

    return check


def date(value: Any, place: str) -> None:
    """An ISO 8601 moment or a bare date."""
    _demand(isinstance(value, str) and _is_date(value), place, "a date in ISO 8601")


def one_of(*members: str) -> Check:
    """One of these strings."""

    def check(value: Any, place: str) -> None:
        _demand(value in members, place, f"one of {', '.join(members)}")

    return check


def nullable(check: Check) -> Check:
    """Null, or what the other check accepts."""

    def check_or_null(value: Any, place: str) -> None:
        if value is not None:
            check(value, place)

    return check_or_null


def list_of(check: Check, *, at_most: int | None = None) -> Check:
    """A list whose every item will do."""

    def check_items(value: Any, place: str) -> None:
        if not is_list(value):
            raise _refusal(place, "a list")
        if at_most is not None and len(value) > at_most:
            raise _refusal(place, f"a list of at most {at_most} items, not {len(value)}")
        for index, item in enumerate(value):
            check(item, f"{place}[{index}]")

    return check_items


def mapping_of(check: Check) -> Check:
    """An object with any names, whose every value will do."""

    def check_values(value: Any, place: str) -> None:
        if not is_object(value):
            raise _refusal(place, "an object")
        for name, item in value.items():
            check(item, f"{place}.{name}")

    return check_values


def object_with(required: Mapping[str, Check], optional: Mapping[str, Check], *, tolerant: bool = False) -> Check:
    """An object with these fields; a tolerant one keeps fields that nobody knows."""
    fields = {**required, **optional}

    def check_object(value: Any, place: str) -> None:
        if not is_object(value):
            raise _refusal(place, "an object")
        known = {**dict.fromkeys(value, anything), **fields} if tolerant else fields
        _check_fields(value, f"{place}.", known, tuple(required))

    return check_object


def _check_fields(body: Document, prefix: str, fields: Mapping[str, Check], required: tuple[str, ...]) -> None:
    for name in required:
        if name not in body:
            raise Refusal(400, f'"{prefix}{name}" is missing')
    for name, value in body.items():
        if name not in fields:
            raise Refusal(400, f'"{prefix}{name}" is not a field of this request')
        fields[name](value, f"{prefix}{name}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_date(value: str) -> bool:
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def _demand(fits: bool, place: str, wanted: str) -> None:
    if not fits:
        raise _refusal(place, wanted)


def _refusal(place: str, wanted: str) -> Refusal:
    return Refusal(400, f'"{place}" must be {wanted}')
