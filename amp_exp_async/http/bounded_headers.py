"""The bounds of headers and trailers that aiohttp has had since 3.13.4, for its older releases.

Delete this module when 3.13.4 is the oldest release that is supported.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import BadHttpMessage

AIOHTTP_HAS_BOUNDS = "max_headers" in inspect.signature(ResponseHandler.set_response_params).parameters
_MAX_HEADERS = 128
_MAX_BYTES = 1 << 18


def check_headers(headers: Sequence[tuple[bytes, bytes]]) -> None:
    """Raise `BadHttpMessage` if there are too many headers, or one has a value with a null byte."""
    if len(headers) > _MAX_HEADERS:
        raise BadHttpMessage("Too many headers received")
    for _, value in headers:
        if b"\0" in value:
            raise BadHttpMessage(f"Invalid HTTP header: {value!r}")


class BoundedResponseHandler(ResponseHandler):
    """A protocol that ends a connection over which headers, trailers or empty lines come without end."""

    _messages = 0
    _progress = (0, 0)
    _bytes_without_progress = 0

    def feed_data(self, data: Any, size: int = 0) -> None:
        """Take the head of a response from the parser."""
        self._messages += 1
        super().feed_data(data, size)

    def data_received(self, data: bytes) -> None:
        """Parse what the server sent."""
        super().data_received(data)
        progress = self._messages, getattr(self._payload, "total_bytes", 0)
        if progress != self._progress:
            self._progress, self._bytes_without_progress = progress, 0
            return
        self._bytes_without_progress += len(data)
        if self._bytes_without_progress > _MAX_BYTES and self.transport is not None:
            self.transport.close()
            self.set_exception(BadHttpMessage("Too many headers received"))
