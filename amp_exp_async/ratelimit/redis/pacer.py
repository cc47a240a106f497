"""A client's place where several processes share the limits."""

from __future__ import annotations

import asyncio
import hashlib
import weakref
from collections.abc import Callable

from amp_exp_async.config import Endpoint
from amp_exp_async.errors import ConfigurationError
from amp_exp_async.ratelimit.config import RedisRateLimit
from amp_exp_async.ratelimit.limiter import LocalRateLimiter

from .courier import Courier


class RedisRateLimiter(LocalRateLimiter):
    """A pacer with a line of its own, and a courier that brings its permits."""

    def __init__(self, limit: RedisRateLimit, wall_clock: Callable[[], float], courier: Courier) -> None:
        """Take the place before a courier's line."""
        super().__init__(limit, wall_clock, courier.line)
        self._courier = courier
        self._end_of_courier = weakref.finalize(self, courier.close)
        self._end_of_courier.atexit = False

    def pause(self, seconds: float, *, daily: bool = False) -> None:
        """Send nothing for so many seconds, in no process: the service refused a request."""
        super().pause(seconds, daily=daily)
        self._courier.tell_pause(asyncio.get_running_loop().time(), seconds, daily=daily)

    def close(self) -> None:
        """Leave the line, and let the courier give back what it holds."""
        super().close()
        self._end_of_courier()

    async def wait_closed(self) -> None:
        """Wait until the courier has ended."""
        await self._courier.wait_closed()

    def after_fork(self) -> None:
        """In a forked child: leave the parent's courier alone."""
        self._end_of_courier.detach()
        super().after_fork()


def create_redis_limiter(
    limit: RedisRateLimit, endpoint: Endpoint, wall_clock: Callable[[], float]
) -> RedisRateLimiter:
    """A pacer for an endpoint's key and host.

    Raises:
        ConfigurationError: redis-py is missing, or the URL is none.
    """
    try:
        from .store import Store  # noqa: PLC0415 - only those who share need redis-py
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "redis":
            raise
        raise ConfigurationError(
            "rate_limit: a RedisRateLimit needs the package redis: install 'amp_exp_async[redis]'"
        ) from None
    key = hashlib.sha256(f"{endpoint.base_url}\n{endpoint.key.reveal()}".encode()).hexdigest()
    name = f"{limit.namespace}:{key}"
    return RedisRateLimiter(limit, wall_clock, Courier(limit, Store(limit.url, name), name, wall_clock))
