"""The settings of the rate limiter."""

from __future__ import annotations

from typing import Any

import attrs
from attrs import field, frozen

from amp_exp_async.errors import ConfigurationError
from amp_exp_async.validation.settings import optional_positive_int, positive_int


@frozen(kw_only=True)
class RateLimit:
    """The rate limits of one client.

    All clients of one process that use the same key on the same host share one limiter, in every thread and event
    loop. If their limits differ, the strictest limit of all open clients applies.

    Attributes:
        per_second: the maximum number of requests in any one second; None for no limit.
        per_day: the maximum number of requests in a UTC day; None for no limit.
    """

    per_second: int | None = field(default=100, validator=optional_positive_int)
    per_day: int | None = field(default=100_000, validator=optional_positive_int)


def _non_empty_string(_: object, field: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, str) or not value:
        # The message does not show the value: a URL may contain a password.
        raise ConfigurationError(f"{field.name} must be a non-empty string")


@frozen(kw_only=True)
class RedisRateLimit(RateLimit):
    """Rate limits that several processes share through Redis. They need the extra `redis`.

    They apply to all clients, in any process and on any machine, that have the same Redis, namespace, key and host.
    If the limits per second differ, the strictest applies. While Redis is unavailable, each process keeps to a limit
    of its own.

    Attributes:
        url: the URL of Redis: `redis://`, `rediss://` or `unix://`, as in redis-py.
        per_second: the maximum number of requests in any one second.
        per_day: the maximum number of requests in a UTC day; None for no limit.
        fallback_per_second: the maximum number of requests in any one second of this process while Redis is
            unavailable.
        namespace: the prefix of the names in Redis.

    Example:
        `AsyncExperimentClient(rate_limit=RedisRateLimit("redis://localhost:6379/0"))`
    """

    url: str = field(kw_only=False, repr=False, validator=_non_empty_string)
    per_second: int = field(default=100, validator=positive_int)
    fallback_per_second: int = field(default=10, validator=positive_int)
    namespace: str = field(default="amp_exp_async", validator=_non_empty_string)
