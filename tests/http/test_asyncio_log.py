"""The log of asyncio in debug mode does not show the key, if a connection breaks while a request is written."""

from __future__ import annotations

import asyncio
import logging
import ssl
import traceback
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from amp_exp_async import APIConnectionError, AsyncExperimentClient, RetryPolicy
from amp_exp_async.http.asyncio_log import hide_requests
from tests.reliability.raw_server import RawServer, answer_all, response

KEY = "logged-management-key"
CERTIFICATE = Path(__file__).parents[1] / "reliability" / "certificates" / "localhost.pem"


@pytest.mark.parametrize("own_session", [True, False], ids=["own session", "caller's session"])
@pytest.mark.parametrize("tls", [True, False], ids=["TLS", "plain"])
async def test_a_write_that_fails(own_session: bool, tls: bool, caplog: pytest.LogCaptureFixture) -> None:
    """The record is there, and no local variable of its traceback shows the key."""
    context = None
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE)
    caplog.set_level(logging.DEBUG, logger="asyncio")
    asyncio.get_running_loop().set_debug(True)
    with RawServer(answer_all(response(b'{"id": "1", "key": "k"}')), context) as server:
        async with aiohttp.ClientSession() as theirs:
            options: dict[str, Any] = {} if own_session else {"session": theirs}
            policy = RetryPolicy(max_attempts=1)
            async with AsyncExperimentClient(KEY, base_url=server.url, ssl=not tls, retry=policy, **options) as client:
                await client.flags.get("1")
                break_connections(client._transport.session.open().connector)
                with pytest.raises(APIConnectionError):
                    await client.flags.get("1")
    records = [record for record in caplog.records if record.exc_info]
    assert records
    for record in records:
        assert record.exc_info is not None
        kind, error, trace = record.exc_info
        assert kind is not None
        assert error is not None
        assert KEY not in "".join(traceback.TracebackException(kind, error, trace, capture_locals=True).format())
        assert KEY not in record.getMessage()


class BrokenSocket:
    """A socket that sends nothing."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def send(self, data: bytes) -> int:
        """Fail."""
        raise BrokenPipeError(len(data))


def break_connections(connector: Any) -> None:
    """Let the next write over an idle connection fail."""

    def write(data: bytes) -> int:
        raise ssl.SSLError(len(data), "broken")

    for connections in connector._conns.values():
        for protocol, _ in connections:
            tls = protocol.transport.get_extra_info("ssl_object")
            if tls is not None:
                tls.write = write
            else:
                protocol.transport._sock = BrokenSocket(protocol.transport._sock)


def test_other_records(caplog: pytest.LogCaptureFixture) -> None:
    """They keep their tracebacks."""
    hide_requests()
    hide_requests()

    def fail(data: list[bytes]) -> None:
        raise BrokenPipeError(len(data))

    try:
        fail([b"Host: example.com"])
    except BrokenPipeError:
        logging.getLogger("asyncio").exception("failed")
    (record,) = caplog.records
    assert record.exc_info is not None
    assert record.exc_info[2] is not None
    assert len(logging.getLogger("asyncio").filters) == 1
