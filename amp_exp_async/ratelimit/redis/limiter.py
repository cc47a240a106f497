"""The rate limiter of a client that shares its limits with other processes."""

from __future__ import annotations

import asyncio
import hashlib
import weakref
from collections.abc import Awaitable, Callable

from amp_exp_async.config import Endpoint
from amp_exp_async.errors import ConfigurationError
from amp_exp_async.ratelimit.config import RedisRateLimit
from amp_exp_async.ratelimit.limiter import LocalRateLimiter, SharedLimiter

from .lease_client import LeaseClient
from .lease_protocol import LeaseStore
from .leased_window import LeasedWindow


class RedisRateLimiter:
    """The `RateLimiter` of a client whose permits are leased from Redis."""

    def __init__(self, limit: RedisRateLimit, store: LeaseStore, name: str, wall_clock: Callable[[], float]) -> None:
        """Create a limiter that does not use the store yet.

        Args:
            limit: the limits.
            store: the place where leases are kept.
            name: the name of the leases there.
            wall_clock: returns POSIX time in seconds.
        """
        window = LeasedWindow(wall_clock)
        shared = SharedLimiter(window)
        self._local = LocalRateLimiter(limit, wall_clock, shared)
        self._lease_client = LeaseClient(limit, store, name, window, shared)
        window.on_starved = self._lease_client.notify
        self._finalizer = weakref.finalize(self, self._lease_client.close)
        self._finalizer.atexit = False

    @property
    def seconds_waited(self) -> float:
        return self._local.seconds_waited

    @property
    def requests_today(self) -> int:
        return self._local.requests_today

    @property
    def permits_in_use(self) -> int:
        return self._local.permits_in_use

    def acquire_nowait(self) -> bool:
        return self._local.acquire_nowait()

    def acquire(self, deadline: float | None, *, fail_on_daily_limit: bool = False) -> Awaitable[None]:
        return self._local.acquire(deadline, fail_on_daily_limit=fail_on_daily_limit)

    def fail_fast(self, deadline: float | None, *, fail_on_daily_limit: bool = False) -> None:
        self._local.fail_fast(deadline, fail_on_daily_limit=fail_on_daily_limit)

    def release(self, sent_at: float, *, reached: bool, answered: bool, throttled: bool = False) -> None:
        self._local.release(sent_at, reached=reached, answered=answered, throttled=throttled)

    def pause(self, seconds: float, *, daily: bool = False) -> None:
        self._local.pause(seconds, daily=daily)
        self._lease_client.pause(asyncio.get_running_loop().time(), seconds, daily=daily)

    def close(self) -> None:
        self._local.close()
        self._finalizer()

    async def wait_closed(self) -> None:
        await self._lease_client.wait_closed()

    def after_fork(self) -> None:
        self._finalizer.detach()
        self._local.after_fork()


def create_redis_limiter(
    limit: RedisRateLimit, endpoint: Endpoint, wall_clock: Callable[[], float]
) -> RedisRateLimiter:
    """Return a limiter for the host and key of an endpoint.

    Raises:
        ConfigurationError: If redis-py is not installed, or if the URL is not a Redis URL.
    """
    try:
        from .store import RedisLeaseStore  # noqa: PLC0415 - redis-py is an optional dependency
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "redis":
            raise
        raise ConfigurationError(
            argument="rate_limit",
            rule="is a RedisRateLimit, which needs the package redis",
            advice="Run pip install 'amp_exp_async[redis]'.",
        ) from None
    key = hashlib.sha256(f"{endpoint.base_url}\n{endpoint.key.reveal()}".encode()).hexdigest()
    name = f"{limit.namespace}:{key}"
    return RedisRateLimiter(limit, RedisLeaseStore(limit, name), name, wall_clock)
