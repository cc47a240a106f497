"""The connections of one attempt: whether its request may have been sent, and their end if its response is wrong."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any


class AttemptConnections:
    """The connections that were requested for one attempt. Middlewares of a session may request several.

    The class and the origin of an exception do not tell whether the request was sent: middlewares and traces send
    requests of their own.

    Attributes:
        is_requested: whether a connection was requested.
        is_in_progress: whether the response is still being read or parsed.
    """

    __slots__ = ("_connecting", "_protocols", "is_in_progress", "is_requested")

    def __init__(self) -> None:
        self.is_requested = False
        self.is_in_progress = True
        self._connecting = 0
        self._protocols: list[Any] = []

    @property
    def may_have_sent(self) -> bool:
        """Whether there was, or may still be, a connection to send the request over."""
        return bool(self._connecting or self._protocols)

    def start_connecting(self) -> None:
        """Record that a connection is requested."""
        self.is_requested = True
        self._connecting += 1

    def end_connecting(self, protocol: Any = None) -> None:
        """Record the protocol of the connection; None if there is no connection."""
        self._connecting -= 1
        if protocol is not None:
            self._protocols.append(protocol)

    def close(self) -> None:
        """Close the connections, also one that another request has taken meanwhile: it may get the wrong response."""
        for protocol in self._protocols:
            if protocol.transport is not None:
                protocol.transport.abort()


CURRENT_CONNECTIONS: ContextVar[AttemptConnections | None] = ContextVar("amp_exp_async_connections", default=None)
"""The connections of the attempt that the running code belongs to; None outside of any."""
