"""Leases in Redis, over redis-py. Only clients with a `RedisRateLimit` import this module."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
from contextlib import suppress
from importlib import resources
from typing import Any

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError

from amp_exp_async.errors import ConfigurationError
from amp_exp_async.ratelimit.config import RedisRateLimit

from .lease_protocol import LeaseRequest, LeaseResponse, LeaseStoreError, parse_response

# redis-py types them only in part.
_Pool: Any = ConnectionPool
_Redis: Any = Redis
_Connection: Any = AbstractConnection

# A new connection does not name redis-py to the server, which takes a round trip.
_PARAMETERS = inspect.signature(_Connection.__init__).parameters
_ANONYMOUS: dict[str, Any] = dict.fromkeys(
    ["driver_info"] if "driver_info" in _PARAMETERS else ["lib_name", "lib_version"]  # until redis-py 7.1
)

_TIMEOUT = 0.5  # seconds
_SCRIPT = resources.files("amp_exp_async.ratelimit.redis").joinpath("lease.lua").read_text(encoding="utf-8")
_SCRIPT_SHA = hashlib.sha1(_SCRIPT.encode(), usedforsecurity=False).hexdigest()


class RedisLeaseStore:
    """The leases of one key in Redis. It connects on first use, and belongs to one event loop.

    Attributes:
        location: the host and port, or the path of the socket.
    """

    def __init__(self, limit: RedisRateLimit, name: str) -> None:
        """Parse the URL. Nothing connects yet.

        Args:
            limit: the limit with the URL of Redis.
            name: the prefix of the names in Redis.

        Raises:
            ConfigurationError: If the URL is not a Redis URL.
        """
        # The braces keep both keys on one node of a cluster. Other versions of this library use the same names.
        self._keys = f"{{{name}}}:parts", f"{{{name}}}:account"
        connection = None
        with suppress(ValueError, TypeError, AttributeError, RedisError):
            self._pool = _Pool.from_url(
                limit.url,
                socket_timeout=_TIMEOUT,
                socket_connect_timeout=_TIMEOUT,
                retry=Retry(NoBackoff(), 0),
                protocol=2,
                **_ANONYMOUS,
            )
            connection = self._pool.connection_class(**self._pool.connection_kwargs)  # validates the options
        if connection is None:
            # Neither the message nor a context shows the URL or the cause: they may contain a password.
            raise ConfigurationError(
                argument="rate_limit",
                rule="has a URL that is not a Redis URL",
                advice="Use a URL like redis://host:6379/0.",
            )
        pieces = dict(connection.repr_pieces())  # without user and password
        self.location = pieces.get("path") or f"{pieces.get('host')}:{pieces.get('port')}"
        self._redis = _Redis(connection_pool=self._pool)

    async def refresh(self, request: LeaseRequest) -> LeaseResponse:
        """Refresh a lease in one round trip.

        Raises:
            LeaseStoreError: If Redis fails, does not respond within half a second, or responds with anything but a
                lease.
        """
        values, failure = await self._run_script(request.to_args())
        if failure:
            raise LeaseStoreError(failure)
        return parse_response(values, request)

    async def _run_script(self, args: list[str | int]) -> tuple[object, str]:
        """Return the result of the script and an empty text, or None and the reason of the failure.

        No exception leaves with the frames of redis-py, because they show the password.
        """
        try:
            async with asyncio.timeout(_TIMEOUT):
                try:
                    return await self._execute("EVALSHA", _SCRIPT_SHA, args), ""
                except NoScriptError:
                    return await self._execute("EVAL", _SCRIPT, args), ""
        except Exception as error:  # noqa: BLE001 - redis-py raises errors of many kinds
            return None, type(error).__name__
        except BaseException as error:  # noqa: BLE001 - it is raised again, without the frames
            error.__context__ = None
            raise error.with_traceback(None) from None

    async def _execute(self, command: str, script: str, args: list[str | int]) -> object:
        return await self._redis.execute_command(command, script, len(self._keys), *self._keys, *args)

    async def close(self) -> None:
        """Close the connections. The store may be used again."""
        with suppress(Exception):  # redis-py raises errors of many kinds
            async with asyncio.timeout(_TIMEOUT):
                await self._pool.disconnect()
