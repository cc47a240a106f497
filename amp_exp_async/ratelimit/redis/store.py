"""Leases in Redis, over redis-py. Only clients with a `RedisRateLimit` import this module."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import suppress
from importlib import resources
from typing import Any

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError

from amp_exp_async.errors import ConfigurationError

from .lease_client import LeaseRequest, LeaseResponse

# redis-py types them only in part.
_Pool: Any = ConnectionPool
_Redis: Any = Redis

_TIMEOUT = 0.5  # seconds
_SCRIPT = resources.files("amp_exp_async.ratelimit.redis").joinpath("lease.lua").read_text(encoding="utf-8")
_SCRIPT_SHA = hashlib.sha1(_SCRIPT.encode(), usedforsecurity=False).hexdigest()


class RedisLeaseStore:
    """The leases of one key in Redis. It connects on first use, and belongs to one event loop.

    Attributes:
        location: the host and port, or the path of the socket.
    """

    def __init__(self, url: str, name: str) -> None:
        """Parse the URL. Nothing connects yet.

        Args:
            url: the URL of Redis.
            name: the prefix of the names in Redis.

        Raises:
            ConfigurationError: If `url` is not a Redis URL.
        """
        # The braces keep both keys on one node of a cluster. Other versions of this library use the same names.
        self._keys = f"{{{name}}}:parts", f"{{{name}}}:account"
        try:
            self._pool = _Pool.from_url(
                url,
                socket_timeout=_TIMEOUT,
                socket_connect_timeout=_TIMEOUT,
                retry=Retry(NoBackoff(), 0),
                protocol=2,
                driver_info=None,
            )
            connection = self._pool.connection_class(**self._pool.connection_kwargs)  # validates the options
        except (ValueError, TypeError, AttributeError, RedisError):
            # The message shows neither the URL nor the cause: they may contain a password.
            raise ConfigurationError(
                'rate_limit: url is not a Redis URL: use a URL such as "redis://host:6379/0"'
            ) from None
        pieces = dict(connection.repr_pieces())  # without user and password
        self.location = pieces.get("path") or f"{pieces.get('host')}:{pieces.get('port')}"
        self._redis = _Redis(connection_pool=self._pool)

    async def refresh(self, request: LeaseRequest) -> LeaseResponse:
        """Refresh a lease in one round trip.

        Raises:
            TimeoutError: If Redis does not respond within half a second.
            RedisError: If Redis fails.
        """
        async with asyncio.timeout(_TIMEOUT):
            args = request.to_args()
            try:
                response = await self._execute("EVALSHA", _SCRIPT_SHA, args)
            except NoScriptError:
                response = await self._execute("EVAL", _SCRIPT, args)
        return LeaseResponse(*response)

    async def _execute(self, command: str, script: str, args: list[str | int]) -> list[int]:
        response: list[int] = await self._redis.execute_command(command, script, len(self._keys), *self._keys, *args)
        return response

    async def close(self) -> None:
        """Close the connections. The store may be used again."""
        with suppress(RedisError, OSError, TimeoutError):
            async with asyncio.timeout(_TIMEOUT):
                await self._pool.disconnect()
