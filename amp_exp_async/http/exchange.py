"""One request and its response, over aiohttp's connector and protocol instead of its session.

aiohttp resolves, connects, pools, limits, speaks TLS and parses. This module sends each request once, bounds the
response, and keeps the key out of local variables.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from typing import Any

import aiohttp
from yarl import URL

from amp_exp_async.config import Endpoint, Secret

from .bounded_headers import AIOHTTP_HAS_BOUNDS, check_headers
from .request import Request, Response
from .response_body import read_body

_SWITCHING_PROTOCOLS, _FIRST_ERROR = 101, 400
_WITHOUT_BODY = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


class Exchange:
    """The exchange of requests and responses over the connections of one connector.

    Args:
        connector: makes and keeps the connections.
        endpoint: the URL.
        key: the key that is sent.
        headers: the headers of every request, without the key.
        ssl: as in aiohttp.
        max_response_bytes: the maximum size of a response body after decompression.
    """

    def __init__(
        self,
        connector: aiohttp.BaseConnector,
        endpoint: Endpoint,
        key: Secret,
        headers: dict[str, str],
        *,
        ssl: ssl.SSLContext | aiohttp.Fingerprint | bool,
        max_response_bytes: int,
    ) -> None:
        url = URL(endpoint.base_url, encoded=True)
        self._connector = connector
        self._key = key
        self._max_response_bytes = max_response_bytes
        # What the connector needs to know of a request. It does not contain the key, so that no frame of aiohttp does.
        self._destination = aiohttp.ClientRequest("GET", url, headers=headers, ssl=ssl, loop=asyncio.get_running_loop())
        self._path = url.raw_path.rstrip("/")
        fields = self._destination.headers
        authorization = Secret(f"Authorization: Bearer {key.reveal()}\r\n")
        self._header_lines = _encode_headers(fields) + authorization.reveal().encode()
        # For requests that have headers of their own, with another `User-Agent`.
        self._shared_header_lines = _encode_headers(fields, "User-Agent") + authorization.reveal().encode()

    async def send(self, request: Request, timeout: aiohttp.ClientTimeout) -> Response:  # noqa: ASYNC109 - the name in aiohttp
        """Send a request once, and return the complete response.

        Args:
            request: the request.
            timeout: the times to connect and to wait for a piece of the response. The caller bounds the rest.

        Raises:
            UnreadableBodyError: If the body is larger than allowed, or in another encoding than those requested.
            aiohttp.ClientError, HttpProcessingError, OSError, TimeoutError: If no complete response arrives.
        """
        # What cannot be encoded must fail while nothing can have been sent.
        line = f"{request.method} {self._path}{request.target} HTTP/1.1\r\n".encode()
        connection = await self._connector.connect(self._destination, [], timeout)
        protocol: Any = connection.protocol
        transport: Any = connection.transport
        try:
            protocol.set_response_params(
                skip_payload=request.method == "HEAD",
                read_until_eof=True,
                auto_decompress=False,
                read_timeout=timeout.sock_read,
            )
            # The repr of a view shows nothing, in case asyncio logs a failed write with its local variables.
            transport.write(memoryview(self._encode(line, request)))
            protocol.start_timeout()
            message, payload = await protocol.read()
            while 100 <= message.code < 200 and message.code != _SWITCHING_PROTOCOLS:
                protocol.start_timeout()
                message, payload = await protocol.read()
            if not AIOHTTP_HAS_BOUNDS:
                check_headers(message.raw_headers)
            is_error = message.code >= _FIRST_ERROR
            body = await read_body(payload, message.headers, self._max_response_bytes, is_error=is_error)
            if transport.get_write_buffer_size():
                protocol.force_close()  # the server does not wait for what is still to be sent
        except BaseException:
            connection.close()
            raise
        connection.release()
        return Response(request, message.code, message.headers, body, self._key)

    def _encode(self, line: bytes, request: Request) -> bytes:
        """Return the bytes of a request. They contain the key: do not keep them in a variable."""
        body = request.body
        if body is not None:
            length = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        elif request.method in _WITHOUT_BODY:
            length = "\r\n"
        else:
            length = "Content-Length: 0\r\n\r\n"
        if request.headers is None:
            return b"".join((line, self._header_lines, length.encode(), body or b""))
        return b"".join((line, self._shared_header_lines, request.headers.encode(), length.encode(), body or b""))


def _encode_headers(fields: Mapping[str, str], excluded: str = "") -> bytes:
    return b"".join([f"{name}: {value}\r\n".encode() for name, value in fields.items() if name != excluded])
