"""The choice between the implementations of `RateLimiter`."""

from __future__ import annotations

from collections.abc import Callable

from amp_exp_async.config import Endpoint
from amp_exp_async.errors import ConfigurationError

from .config import RateLimit, RedisRateLimit
from .limiter import LocalRateLimiter, RateLimiter, get_shared_limiter


def create_limiter(
    limit: RateLimit, endpoint: Endpoint, *, wall_clock: Callable[[], float], share: bool
) -> RateLimiter:
    """Return a rate limiter for one client.

    Args:
        limit: the limits; a `RedisRateLimit` is shared with other processes.
        endpoint: the host and the API key that the limits apply to.
        wall_clock: returns POSIX time in seconds.
        share: whether to share the limits with the other clients of this process that use the same host and key. An
            endpoint without a key shares nothing.

    Raises:
        ConfigurationError: If `limit` needs redis-py and it is not installed, if its URL is invalid, or if the key is
            returned by a function, so that it may change.
    """
    if isinstance(limit, RedisRateLimit):
        if endpoint.key_function is not None:
            raise ConfigurationError(
                argument="rate_limit",
                rule="is a RedisRateLimit, which counts the requests of one key, but api_key is a function, whose key "
                "may change",
                advice="Pass a key, or a RateLimit.",
            )
        from amp_exp_async.ratelimit.redis import create_redis_limiter  # noqa: PLC0415 - few clients share their limit with other processes

        return create_redis_limiter(limit, endpoint, wall_clock)
    return LocalRateLimiter(limit, wall_clock, get_shared_limiter(endpoint) if share and endpoint.has_key else None)
