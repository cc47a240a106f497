"""A connector of aiohttp that checks a connection before it is used."""

from __future__ import annotations

import asyncio
import select
import traceback
import weakref
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection


class CheckedConnector(aiohttp.TCPConnector):
    """A connector whose connections have nothing unread that could be taken for the response to the next request."""

    def __init__(self, *, limit: int) -> None:
        super().__init__(limit=limit)
        self._used: weakref.WeakSet[ResponseHandler] = weakref.WeakSet()

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
        while True:
            connection = await super().connect(req, traces, timeout)
            protocol, transport = connection.protocol, connection.transport
            is_reused = protocol in self._used
            if protocol is not None and transport is not None and not (connection.closed or protocol.should_close):
                if not is_reused:
                    self._used.add(protocol)
                    return connection
                if not _has_unread_data(transport):
                    return connection
            connection.close()
            if not is_reused:
                raise aiohttp.ClientConnectionError("the server ended the connection, or spoke, before the request")


def was_connecting(error: BaseException) -> bool:
    """Return whether an exception was raised before there was a connection to send the request over."""
    connecting = (aiohttp.BaseConnector.connect.__code__, CheckedConnector.connect.__code__)
    return any(frame.f_code in connecting for frame, _ in traceback.walk_tb(error.__traceback__))


def _has_unread_data(transport: asyncio.Transport) -> bool:
    """Return whether the server has sent something, or has closed the connection, since the event loop last read."""
    sock = transport.get_extra_info("socket")
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([sock], [], [], 0)[0])
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))
