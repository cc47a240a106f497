"""attrs validators for settings. Each raises `ConfigurationError`."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, cast

import attrs

from amp_exp_async.errors import ConfigurationError
from amp_exp_async.formatting import format_value

_MAX_SECONDS = sys.float_info.max  # an integer may be larger, and cannot be added to a time then


def positive_int(_: object, field: attrs.Attribute[Any], value: object) -> None:
    """Reject anything but an integer of at least 1."""
    if type(value) is not int or value < 1:
        _reject(field, "an integer of at least 1", value)


def optional_positive_int(instance: object, field: attrs.Attribute[Any], value: object) -> None:
    """Reject anything but None or an integer of at least 1."""
    if value is not None:
        positive_int(instance, field, value)


def non_negative_seconds(_: object, field: attrs.Attribute[Any], value: object) -> None:
    """Reject anything but a finite number of at least 0."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MAX_SECONDS:
        _reject(field, "a number of seconds of at least 0", value)


def optional_non_negative_seconds(instance: object, field: attrs.Attribute[Any], value: object) -> None:
    """Reject anything but None or a finite number of at least 0."""
    if value is not None:
        non_negative_seconds(instance, field, value)


def is_positive_seconds(value: object) -> bool:
    """Return whether a value is a finite number above 0."""
    return not isinstance(value, bool) and isinstance(value, int | float) and 0 < value <= _MAX_SECONDS


def positive_seconds(_: object, field: attrs.Attribute[Any], value: object) -> None:
    """Reject anything but a finite number above 0."""
    if not is_positive_seconds(value):
        _reject(field, "a number of seconds above 0", value)


def optional_positive_seconds(instance: object, field: attrs.Attribute[Any], value: object) -> None:
    """Reject anything but None or a finite number above 0."""
    if value is not None:
        positive_seconds(instance, field, value)


def optional_function(_: object, field: attrs.Attribute[Any], value: object) -> None:
    """Reject anything but None or a callable that is not a coroutine function."""
    if value is not None and not callable(value):
        _reject(field, "a function (not async) of one argument", value)
    if any(map(inspect.iscoroutinefunction, (value, getattr(value, "__call__", None)))):  # noqa: B004 - its kind matters, not that it is there
        raise ConfigurationError(
            argument=field.name, rule="must not be async", advice="Pass a function that returns at once."
        )


def optional_callable(_: object, field: attrs.Attribute[Any], value: object) -> None:
    """Reject anything but None or a callable, which may be async."""
    if value is not None and not callable(value):
        _reject(field, "a function of one argument", value)


def session_of_aiohttp(_: object, field: attrs.Attribute[Any], value: object) -> None:
    """Reject anything but None or an object that sends requests as a session of aiohttp does."""
    is_session = callable(getattr(value, "request", None)) and hasattr(value, "closed") and not isinstance(value, type)
    if value is not None and not is_session:
        _reject(field, "an aiohttp.ClientSession or None", value)


def instance_of(cls: type | tuple[type, ...], expected: str) -> Callable[[object, attrs.Attribute[Any], object], None]:
    """Return a validator that rejects anything but an instance of a class or of one of several.

    Args:
        cls: the class, or several.
        expected: the words for it in the message.
    """

    def validate(_: object, field: attrs.Attribute[Any], value: object) -> None:
        if not isinstance(value, cls):
            _reject(field, expected, value)

    return validate


def optional_list_of(cls: type, expected: str) -> Callable[[object, attrs.Attribute[Any], object], None]:
    """Return a validator that rejects anything but None or a sequence of instances of a class.

    Args:
        cls: the class.
        expected: the words for the sequence in the message.
    """

    def validate(_: object, field: attrs.Attribute[Any], value: Any) -> None:
        items: list[object] = [*cast("Sequence[object]", value)] if isinstance(value, Sequence) else [None]
        if value is not None and not all(isinstance(item, cls) for item in items):
            _reject(field, f"{expected}, or None", cast("object", value))

    return validate


def _reject(field: attrs.Attribute[Any], expected: str, value: object) -> NoReturn:
    # A URL may contain a password.
    got = "a URL" if isinstance(value, str) and "://" in value else format_value(value)
    raise ConfigurationError(argument=field.name, rule=f"must be {expected}", got=got)
