"""A connector of aiohttp that checks connections before they are used, and ends those that carry unrequested data."""

from __future__ import annotations

import asyncio
import select
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection

from .attempt_connections import CURRENT_CONNECTIONS
from .bounded_headers import AIOHTTP_HAS_BOUNDS, BoundedResponseHandler
from .resolver import create_resolver

# Attributes of protocols that have carried a request.
_CHECK, _ATTEMPT = "amp_exp_has_unread_data", "amp_exp_attempt"
_TURNS = 4  # of the event loop: in which a server that speaks first is noticed


class CheckedProtocol(ResponseHandler):
    """A protocol that ends its connection when data arrives while no request is in flight.

    Attributes:
        is_idle: whether the connection is in the pool.
    """

    is_idle = False

    def data_received(self, data: bytes) -> None:
        """Parse data. aiohttp would keep all that is not requested, without a bound."""
        if not self.is_idle:
            super().data_received(data)
        elif data and self.transport is not None:
            self.transport.abort()


class _BoundedCheckedProtocol(CheckedProtocol, BoundedResponseHandler):
    """The same for releases of aiohttp that do not bound headers."""


class _CheckedConnections:
    """What connects, and checks that nothing is unread that could be taken for the response to the next request."""

    _connect: Callable[..., Awaitable[Connection]]

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Any],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - the name in aiohttp
    ) -> Connection:
        """Return a connection to send a request over, new or kept alive.

        Raises:
            aiohttp.ClientError, OSError, TimeoutError: If no connection can be made. Nothing was sent.
        """
        attempt = CURRENT_CONNECTIONS.get()
        if attempt is None:
            return await self._connect_checked(req, traces, timeout)
        attempt.start_connecting()
        try:
            connection = await self._connect_checked(req, traces, timeout)
        except BaseException:
            attempt.end_connecting()
            raise
        protocol: Any = connection.protocol
        setattr(protocol, _ATTEMPT, attempt)
        attempt.end_connecting(protocol)
        return connection

    async def _connect_checked(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Any],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - the name in aiohttp
    ) -> Connection:
        while True:
            connection = await self._connect(req, traces, timeout)
            protocol: Any = connection.protocol
            has_unread_data = getattr(protocol, _CHECK, None)
            if has_unread_data is None:
                try:
                    await _check_new(protocol)
                except BaseException:
                    connection.close()
                    raise
                return connection
            protocol.is_idle = False
            if not (
                protocol.should_close
                or _is_in_progress(protocol)
                or has_unread_data()
                or _has_partial_response(protocol)
            ):
                return connection
            connection.close()


class CheckedConnector(_CheckedConnections, aiohttp.TCPConnector):
    """A connector that checks each connection before it is used, and ends it if data arrives while it is idle."""

    _connect = aiohttp.TCPConnector.connect

    def __init__(self, *, limit: int) -> None:
        super().__init__(limit=limit, resolver=create_resolver())  # pyright: ignore[reportUnknownMemberType] - aiohttp leaves a type open
        protocol_class = CheckedProtocol if AIOHTTP_HAS_BOUNDS else _BoundedCheckedProtocol
        make_protocol: Any = partial(protocol_class, loop=asyncio.get_running_loop())
        self._factory = make_protocol

    def _release(self, key: Any, protocol: Any, *, should_close: bool = False) -> None:
        protocol.is_idle = True
        super()._release(key, protocol, should_close=should_close)


class WrappedConnector(_CheckedConnections):
    """Any connector, such as that of a caller's session, with a check of each connection before it is used.

    Args:
        connector: the connector. It is not changed.
    """

    def __init__(self, connector: aiohttp.BaseConnector) -> None:
        self._connector = connector
        self._connect = connector.connect

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connector, name)


async def _check_new(protocol: Any) -> None:
    """Raise if the server has closed a new connection, or has sent something over it."""
    # What has arrived may be a session ticket of TLS, so the event loop reads it.
    for _ in range(_TURNS):
        await asyncio.sleep(0)
    if protocol.should_close or not protocol.is_connected():
        raise aiohttp.ClientConnectionError("the server ended the connection, or spoke, before the request")
    setattr(protocol, _CHECK, _unread_check(protocol.transport))


def _is_in_progress(protocol: Any) -> bool:
    """Return whether the response to another request is still being read or parsed, and may turn out to be wrong."""
    attempt = getattr(protocol, _ATTEMPT, None)
    return attempt is not None and attempt is not CURRENT_CONNECTIONS.get() and attempt.is_in_progress


def _has_partial_response(protocol: Any) -> bool:
    """Return whether the beginning of another response followed a complete one: the parser hides it."""
    try:
        parser = protocol._parser  # noqa: SLF001
        return parser is not None and parser.feed_eof() is not None
    except Exception:  # noqa: BLE001 - what the parser rejects is not nothing, nor need it be nothing without a parser
        return True


def _unread_check(transport: asyncio.Transport) -> Callable[[], object]:
    """Return a function that tells whether the server has sent something, or closed, since the event loop last read."""
    sock = transport.get_extra_info("socket")
    if not hasattr(select, "poll"):  # Windows
        return lambda: select.select([sock], [], [], 0)[0]
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return partial(poll.poll, 0)
