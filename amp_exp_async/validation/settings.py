"""attrs validators for a client's settings. Each raises `ConfigurationError`."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import attrs

from amp_exp_async.errors import ConfigurationError


def positive_int(_: object, field: attrs.Attribute[Any], value: object) -> None:
    """Reject anything but an integer of at least 1."""
    if type(value) is not int or value < 1:
        raise ConfigurationError(f"{field.name} must be an integer of at least 1, got {value!r}")


def optional_positive_int(instance: object, field: attrs.Attribute[Any], value: object) -> None:
    """Reject anything but None or an integer of at least 1."""
    if value is not None:
        positive_int(instance, field, value)


def non_negative_seconds(_: object, field: attrs.Attribute[Any], value: object) -> None:
    """Reject anything but a finite number of at least 0."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ConfigurationError(f"{field.name} must be a number of seconds, at least 0, got {value!r}")


def positive_seconds(_: object, field: attrs.Attribute[Any], value: object) -> None:
    """Reject anything but a finite number above 0."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ConfigurationError(f"{field.name} must be a number of seconds over 0, got {value!r}")


def optional_positive_seconds(instance: object, field: attrs.Attribute[Any], value: object) -> None:
    """Reject anything but None or a finite number above 0."""
    if value is not None:
        positive_seconds(instance, field, value)


def optional_http_url(_: object, field: attrs.Attribute[Any], value: object) -> None:
    """Reject anything but None or an HTTP URL."""
    if value is not None and not (isinstance(value, str) and value.startswith(("http://", "https://"))):
        # The value is not shown: the URL of a proxy may contain a password.
        raise ConfigurationError(f"{field.name} must be a URL like 'http://host:3128', or None")


def optional_function(_: object, field: attrs.Attribute[Any], value: object) -> None:
    """Reject anything but None or a callable that is not a coroutine function."""
    if value is not None and (not callable(value) or inspect.iscoroutinefunction(value)):
        raise ConfigurationError(f"{field.name} must be a plain function of one argument, got {value!r}")


def instance_of(cls: type, name: str) -> Callable[[object, attrs.Attribute[Any], object], None]:
    """Return a validator that rejects anything but an instance of a class, which messages call `name`."""

    def validate(_: object, field: attrs.Attribute[Any], value: object) -> None:
        if not isinstance(value, cls):
            raise ConfigurationError(f"{field.name} must be {name}, got {value!r}")

    return validate
