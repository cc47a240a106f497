"""attrs validators for a client's settings. Each raises `ConfigurationError`."""

from __future__ import annotations

import math
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
