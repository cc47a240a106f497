"""A connector of aiohttp that checks a connection before it is used."""

from __future__ import annotations

import asyncio
import select
import traceback
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection

from .bounded_headers import AIOHTTP_HAS_BOUNDS, BoundedResponseHandler


class CheckedConnector(aiohttp.TCPConnector):
    """A connector whose connections have nothing unread that could be taken for the response to the next request."""

    def __init__(self, *, limit: int) -> None:
        super().__init__(limit=limit)  # pyright: ignore[reportUnknownMemberType] - aiohttp leaves a type open
        if not AIOHTTP_HAS_BOUNDS:
            make_protocol: Any = partial(BoundedResponseHandler, loop=asyncio.get_running_loop())
            self._factory = make_protocol
        # The connections that have carried a request, with a check of each.
        self._used = weakref.WeakKeyDictionary[ResponseHandler, Callable[[], object]]()

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
            protocol: Any = connection.protocol
            has_unread_data = self._used.get(protocol)
            if has_unread_data is None:
                if connection.closed or protocol.should_close:
                    connection.close()
                    raise aiohttp.ClientConnectionError("the server ended the connection, or spoke, before the request")
                self._used[protocol] = _unread_check(protocol.transport)
                return connection
            if not protocol.should_close and not has_unread_data():
                return connection
            connection.close()


def was_connecting(error: BaseException) -> bool:
    """Return whether an exception was raised before there was a connection to send the request over."""
    connecting = (aiohttp.BaseConnector.connect.__code__, CheckedConnector.connect.__code__)
    return any(frame.f_code in connecting for frame, _ in traceback.walk_tb(error.__traceback__))


def _unread_check(transport: asyncio.Transport) -> Callable[[], object]:
    """Return a function that tells whether the server has sent something, or closed, since the event loop last read."""
    sock = transport.get_extra_info("socket")
    if not hasattr(select, "poll"):  # Windows
        return lambda: select.select([sock], [], [], 0)[0]
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return partial(poll.poll, 0)
