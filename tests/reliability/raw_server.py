"""A server on raw sockets, which sends whatever bytes a test wants, at the moments that it wants."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import threading
import weakref
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import Future
from types import TracebackType
from typing import Self, TypeAlias

from attrs import define, frozen

from tests.polling import TIMEOUT

_NO_LINGER = struct.pack("ii", 1, 0)


@frozen
class RawRequest:
    """A request as it arrived.

    Attributes:
        connection: the number of its connection, from 0.
        head: the request line and the headers, as bytes.
        method, target: from the request line.
        headers: the headers, with lower-case names.
        body: the body.
    """

    connection: int
    head: bytes
    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def line(self) -> str:
        """The method and the path, without the query."""
        return f"{self.method} {self.target.partition('?')[0]}"


@define(eq=False)
class RawConnection:
    """One connection of a client.

    Attributes:
        number: counts the connections of the server, from 0.
    """

    number: int
    _server: RawServer
    _reader: asyncio.StreamReader
    _writer: asyncio.StreamWriter

    async def read_request(self) -> RawRequest | None:
        """Return the next request, and record it; None if the client has closed the connection."""
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
            line, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
            method, target, _ = line.split(" ", 2)
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            body = await self._reader.readexactly(int(headers.get("content-length", 0)))
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        request = RawRequest(self.number, head, method, target, headers, body)
        self._server.requests.append(request)
        return request

    async def read_head(self) -> bytes:
        """Return the request line and the headers of the next request; its body stays unread."""
        return await self._reader.readuntil(b"\r\n\r\n")

    async def send(self, data: bytes) -> None:
        """Send bytes, and wait until the operating system has taken them.

        Raises:
            ConnectionError: If the client has closed the connection.
        """
        self._writer.write(data)
        await self._writer.drain()

    async def drip(self, data: bytes, seconds: float, size: int = 1) -> None:
        """Send bytes in pieces of a size, with a pause after each."""
        for start in range(0, len(data), size):
            await self.send(data[start : start + size])
            await asyncio.sleep(seconds)

    async def wait_closed(self) -> None:
        """Wait until the client closes the connection, and drop what it sends until then."""
        with contextlib.suppress(ConnectionError):
            while await self._reader.read(1 << 16):
                pass

    def close(self) -> None:
        """Close the connection after what was sent."""
        self._writer.close()

    async def aclose(self) -> None:
        """Close the connection after what was sent, and wait until it is closed."""
        self._writer.close()
        await self._writer.wait_closed()

    def reset(self) -> None:
        """Reset the connection: the client's next read fails."""
        self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self._writer.transport.abort()


Script: TypeAlias = Callable[[RawConnection], Awaitable[None]]
"""What the server does with one connection, which is closed when it returns."""


class RawServer:
    """A server that runs a script for each connection, on a thread of its own.

    It serves in a `with` block.

    Args:
        script: is called for each connection, concurrently.
        tls: the server's context; None for plain sockets.

    Attributes:
        requests: the requests that the script has read, in order of arrival.
        connections: the number of connections that clients have made.
        open_connections: the number of those that are open.
    """

    def __init__(self, script: Script, tls: ssl.SSLContext | None = None) -> None:
        self.script = script
        self.requests: list[RawRequest] = []
        self.connections = 0
        self.open_connections = 0
        self._tls = tls
        self._started: Future[int] = Future()
        self._loop = asyncio.new_event_loop()
        self._stopped = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._transports: weakref.WeakSet[asyncio.WriteTransport] = weakref.WeakSet()
        self._failures: list[BaseException] = []
        self._thread = threading.Thread(target=self._run, name="raw-server", daemon=True)

    @property
    def url(self) -> str:
        """The URL of the server."""
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self.port}"

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._started.result(TIMEOUT)

    @property
    def lines(self) -> list[str]:
        """The method and path of each request."""
        return [request.line for request in self.requests]

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._handle, "127.0.0.1", 0, ssl=self._tls, limit=1 << 20)
        self._started.set_result(server.sockets[0].getsockname()[1])
        await self._stopped.wait()
        for _ in range(20):
            await asyncio.sleep(0)  # a closed server leaks connections that it is still accepting
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for transport in self._transports:
            transport.abort()  # the client may never read what it still has to send
        await asyncio.sleep(0)

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._transports.add(writer.transport)
        connection = RawConnection(self.connections, self, reader, writer)
        self.connections += 1
        self.open_connections += 1
        try:
            await self.script(connection)
        except (ConnectionError, asyncio.CancelledError):
            pass
        except Exception as error:  # noqa: BLE001 - raised at the end of the block, in the test
            self._failures.append(error)
        finally:
            self.open_connections -= 1
            self._tasks.discard(task)
            writer.close()

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.result(TIMEOUT)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(TIMEOUT)
        assert not self._thread.is_alive()
        if self._failures and error is None:
            raise self._failures[0]


def response(
    body: bytes | str = b"OK",
    *,
    status: str = "200 OK",
    headers: Iterable[tuple[str, str]] = (),
    content_type: str = "application/json",
) -> bytes:
    """Return a complete response with a `Content-Length`."""
    body = body.encode() if isinstance(body, str) else body
    fields = [("Content-Type", content_type), ("Content-Length", str(len(body))), *headers]
    return head(fields, status=status) + body


def head(headers: Iterable[tuple[str, str]] = (), *, status: str = "200 OK") -> bytes:
    """Return a status line and headers, up to the empty line."""
    return "".join([f"HTTP/1.1 {status}\r\n", *(f"{name}: {value}\r\n" for name, value in headers), "\r\n"]).encode()


def chunk(data: bytes) -> bytes:
    """Return one chunk of a chunked body; the last one if there is no data."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def answer_all(data: bytes) -> Script:
    """Return a script that answers every request with these bytes."""

    async def script(connection: RawConnection) -> None:
        while await connection.read_request() is not None:
            await connection.send(data)

    return script
