"""TLS in front of a server that has none, with a certificate that is made for it."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path

MISSING = "needs openssl on PATH (apt-get install openssl, brew install openssl)"


def make_certificate(directory: Path) -> Path:
    """Return the path of a new self-signed certificate for localhost; `key.pem` is beside it."""
    openssl = shutil.which("openssl")
    assert openssl is not None, MISSING
    certificate = directory / "certificate.pem"
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    command += ["-keyout", str(directory / "key.pem"), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    return certificate


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError, ssl.SSLError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.transport.abort()


@asynccontextmanager
async def tls_proxy(certificate: Path, port: int) -> AsyncIterator[int]:
    """Serve TLS on the port that is returned, and pass everything on to another port, until the block ends."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.parent / "key.pem")
    connections = set[asyncio.Task[None] | None]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.add(asyncio.current_task())
        with ExitStack() as stack:
            stack.callback(writer.transport.abort)
            with suppress(ConnectionError, asyncio.CancelledError):
                backend_reader, backend_writer = await asyncio.open_connection("127.0.0.1", port)
                stack.callback(backend_writer.transport.abort)
                await asyncio.gather(_copy(reader, backend_writer), _copy(backend_reader, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for connection in connections:
            if connection is not None:
                connection.cancel()
        await asyncio.gather(*filter(None, connections), return_exceptions=True)
        await asyncio.sleep(0.01)  # until the transports are closed
