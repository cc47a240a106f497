"""A minimal HTTP/1.1 server on loopback in its own process, so that its CPU time does not count."""

from __future__ import annotations

import asyncio
import multiprocessing
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from multiprocessing.connection import Connection
from typing import Any

import orjson

_LENGTH = re.compile(rb"\r\nContent-Length: (\d+)", re.IGNORECASE)


class Service:
    """The responses of the server. Instances of subclasses are sent to the server's process."""

    def delays(self) -> tuple[float, float]:
        """Return the seconds before the arrival of the next request, and before the end of its response."""
        return 0.0, 0.0

    def answer(self, method: str, target: str) -> tuple[int, bytes]:
        """Return the status and JSON body of the response to a request for a path and query."""
        raise NotImplementedError

    def headers(self, status: int) -> str:  # noqa: ARG002 - used by subclasses
        """Return additional header lines, each with its line end."""
        return ""


class Fixed(Service):
    """A service with one response for all requests."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def answer(self, method: str, target: str) -> tuple[int, bytes]:  # noqa: ARG002 - the response is always the same
        return 200, self._body


class FlagOfAnyId(Service):
    """A service with the same flag for every ID, which acknowledges every write."""

    def __init__(self, flag: dict[str, Any]) -> None:
        self._flag = flag

    def answer(self, method: str, target: str) -> tuple[int, bytes]:
        if method != "GET":
            return 200, b"OK"
        return 200, orjson.dumps(self._flag | {"id": target.rpartition("/")[2]})


@contextmanager
def serve(service: Service) -> Iterator[str]:
    """Serve until the block ends.

    Yields:
        The base URL.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_serve, args=(service, sender), daemon=True)
    process.start()
    try:
        if not receiver.poll(30):
            raise RuntimeError("the server did not start")
        yield f"http://127.0.0.1:{receiver.recv()}"
    finally:
        process.terminate()
        process.join()


def _serve(service: Service, started: Connection) -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _ServerProtocol(service), "127.0.0.1", 0, backlog=256)
        started.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


class _ServerProtocol(asyncio.Protocol):
    """A connection that serves one request at a time, without a body or with a `Content-Length`."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._received = b""
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not end or len(body) < (0 if length is None else int(length[1])):
            return
        method, target, _ = head.decode("latin-1").split(" ", 2)
        self._received = b""
        delay, response_delay = self._service.delays()
        if delay:
            self._loop.call_later(delay, self._respond, method, target, response_delay)
        else:
            self._respond(method, target, response_delay)

    def _respond(self, method: str, target: str, delay: float) -> None:
        status, body = self._service.answer(method, target)
        head = (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            f"{self._service.headers(status)}\r\n"
        )
        response = head.encode() + body
        if delay:
            self._loop.call_later(delay, self._transport.write, response)
        else:
            self._transport.write(response)
