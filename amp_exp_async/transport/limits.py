"""What may be asked of the pacer, and what it answers when nothing may be sent."""

from __future__ import annotations

from typing import Any

import attrs
from attrs import field, frozen

from .retry import at_least_one


def _one_or_none(instance: object, field: attrs.Attribute[Any], value: object) -> None:
    if value is not None:
        at_least_one(instance, field, value)


@frozen(kw_only=True)
class RateLimit:
    """The limits that the client keeps to.

    All clients of one process that use the same key on the same host keep to them together, whichever thread or event
    loop they run in. Where they were given different limits, the strictest of those that are open holds for all.

    Attributes:
        per_second: requests in any one second; None for no limit.
        per_day: requests in a UTC day; None for no limit.
    """

    per_second: int | None = field(default=100, validator=_one_or_none)
    per_day: int | None = field(default=100_000, validator=_one_or_none)


@frozen
class Paused(Exception):  # noqa: N818 - it is a state that ends, told to the transport
    """No request may be sent before a moment that is too late for the one who asks.

    Attributes:
        seconds: until then.
        daily: whether it is the day's limit that has been reached.
    """

    seconds: float
    daily: bool
