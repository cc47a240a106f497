"""Redis itself, over redis-py. This module is imported only where a client shares its limit."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import suppress
from typing import Any

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError

from amp_exp_async.errors import ConfigurationError

from .messages import Answer, Ask
from .script import SCRIPT

# Their types are known in part only.
_Pool: Any = ConnectionPool
_Redis: Any = Redis

_LONGEST_CALL = 0.5  # seconds
_SHA = hashlib.sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()


class Store:
    """The accounts of one key in Redis. It opens on first use and belongs to the event loop of that moment.

    Attributes:
        where: host and port, or the socket's path.
    """

    def __init__(self, url: str, name: str) -> None:
        """Read the URL, and connect to nothing yet.

        Args:
            url: a Redis URL.
            name: what the names in Redis begin with.

        Raises:
            ConfigurationError: that is no Redis URL.
        """
        # The braces keep both on one node of a cluster.
        self._keys = f"{{{name}}}:parts", f"{{{name}}}:account"
        try:
            self._pool = _Pool.from_url(
                url,
                socket_timeout=_LONGEST_CALL,
                socket_connect_timeout=_LONGEST_CALL,
                retry=Retry(NoBackoff(), 0),
                protocol=2,
                driver_info=None,
            )
            probe = self._pool.connection_class(**self._pool.connection_kwargs)  # checks the options
        except (ValueError, TypeError, AttributeError, RedisError):
            # Without the value and without the cause: the URL may hold a password.
            raise ConfigurationError(
                "rate_limit: its url is no Redis URL: set it to something like 'redis://host:6379/0'"
            ) from None
        # Pieces that hold neither user nor password.
        pieces = dict(probe.repr_pieces())
        self.where = pieces.get("path") or f"{pieces.get('host')}:{pieces.get('port')}"
        self._redis = _Redis(connection_pool=self._pool)

    async def exchange(self, ask: Ask) -> Answer:
        """Ask, in one round trip, and within half a second."""
        async with asyncio.timeout(_LONGEST_CALL):
            arguments = ask.arguments()
            try:
                answer = await self._call("EVALSHA", _SHA, arguments)
            except NoScriptError:
                answer = await self._call("EVAL", SCRIPT, arguments)
        return Answer(*answer)

    async def _call(self, command: str, script: str, arguments: list[str | int]) -> list[int]:
        reply: list[int] = await self._redis.execute_command(command, script, len(self._keys), *self._keys, *arguments)
        return reply

    async def close(self) -> None:
        """Close what is open. It may be used again."""
        with suppress(RedisError, OSError, TimeoutError):
            async with asyncio.timeout(_LONGEST_CALL):
                await self._pool.disconnect()
