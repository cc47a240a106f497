"""A server with the protocol of Redis that responds to every script with the bytes that a test sets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from attrs import define


@define(eq=False)
class FakeRedis:
    """The server.

    Attributes:
        response: the response to a script, as it stands on the wire.
        port: where it listens on 127.0.0.1.
        scripts: the number of scripts so far.
    """

    response: bytes
    port: int = 0
    scripts: int = 0

    @property
    def url(self) -> str:
        """The URL of the server."""
        return f"redis://127.0.0.1:{self.port}/0"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Respond to the commands of one connection."""
        try:
            while line := await reader.readline():
                words = list[bytes]()
                for _ in range(int(line[1:])):
                    length = int((await reader.readline())[1:])
                    words.append((await reader.readexactly(length + 2))[:-2])
                is_script = words[0].upper().startswith(b"EVAL")
                self.scripts += is_script
                writer.write(self.response if is_script else b"+OK\r\n")
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def fake_redis(response: bytes) -> AsyncIterator[FakeRedis]:
    """Serve until the block ends."""
    fake = FakeRedis(response)
    server = await asyncio.start_server(fake.serve, "127.0.0.1", 0)
    fake.port = server.sockets[0].getsockname()[1]
    try:
        yield fake
    finally:
        server.close()


def integers(*values: int) -> bytes:
    """Return an array of integers as it stands on the wire."""
    return f"*{len(values)}\r\n".encode() + b"".join(b":%d\r\n" % value for value in values)
