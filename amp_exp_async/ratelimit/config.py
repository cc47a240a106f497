"""What may be asked of the pacer, and what it answers when nothing may be sent."""

from __future__ import annotations

from typing import Any

import attrs
from attrs import field, frozen

from amp_exp_async.errors import ConfigurationError
from amp_exp_async.validation.settings import optional_positive_int, positive_int


@frozen(kw_only=True)
class RateLimit:
    """The limits that the client keeps to.

    All clients of one process that use the same key on the same host keep to them together, whichever thread or event
    loop they run in. Where they were given different limits, the strictest of those that are open holds for all.

    Attributes:
        per_second: requests in any one second; None for no limit.
        per_day: requests in a UTC day; None for no limit.
    """

    per_second: int | None = field(default=100, validator=optional_positive_int)
    per_day: int | None = field(default=100_000, validator=optional_positive_int)


def _text(_: object, field: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, str) or not value:
        # Without the value: a URL may hold a password.
        raise ConfigurationError(f"{field.name} must be a text that is not empty")


@frozen(kw_only=True)
class RedisRateLimit(RateLimit):
    """Limits that several processes keep to together, by way of Redis. It needs the extra `redis`.

    They hold for all clients, of all processes and machines, that were given the same Redis, namespace, key and host.
    Where they were given different limits of a second, the strictest holds. If Redis goes away, each process goes on by
    itself.

    Attributes:
        url: where Redis is: `redis://`, `rediss://` or `unix://`, as redis-py reads it.
        per_second: requests in any one second.
        per_day: requests in a UTC day; None for no limit.
        fallback_per_second: requests in any one second that this process sends while Redis does not answer.
        namespace: what the names in Redis begin with.

    Example:
        `AsyncExperimentClient(rate_limit=RedisRateLimit("redis://localhost:6379/0"))`
    """

    url: str = field(kw_only=False, repr=False, validator=_text)
    per_second: int = field(default=100, validator=positive_int)
    fallback_per_second: int = field(default=10, validator=positive_int)
    namespace: str = field(default="amp_exp_async", validator=_text)


@frozen
class LimitExceededError(Exception):
    """No request may be sent before a moment that is too late for the one who asks.

    Attributes:
        seconds: until then.
        daily: whether it is the day's limit that has been reached.
    """

    seconds: float
    daily: bool
