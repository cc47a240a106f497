"""A connection that cannot be secured carries no request, and is never taken for one that may have."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest

from amp_exp_async import AmpExpError, APIConnectionError, APITimeoutError, RetryPolicy
from tests.polling import TIMEOUT
from tests.reliability.conftest import ClientFactory
from tests.reliability.exposure import find_secrets
from tests.reliability.figures import Figures
from tests.reliability.hostile_responses import BODY, GOOD, keeps, sends
from tests.reliability.raw_server import RawConnection, RawServer, Script, head

AREA = "Hostile server"
CANARY = "canary-of-the-tls-tests"
ATTEMPTS = 2

CERTIFICATES = Path(__file__).parent / "certificates"
"""Self-signed certificates with their keys, for these tests only."""


def server_context(certificate: str) -> ssl.SSLContext:
    """Return the context of a server with a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / certificate)
    return context


def trusting(certificate: str) -> ssl.SSLContext:
    """Return the context of a client that trusts a certificate."""
    return ssl.create_default_context(cafile=CERTIFICATES / certificate)


def greets(data: bytes, *, waits: bool = False) -> Script:
    """Return a script that answers the handshake with these bytes."""

    async def script(connection: RawConnection) -> None:
        await connection.send(data)
        await connection.wait_closed() if waits else connection.close()

    return script


async def _resets(connection: RawConnection) -> None:
    connection.reset()


HANDSHAKES: dict[str, Script] = {
    "an HTTP response": greets(GOOD),
    "random bytes": greets(bytes(range(256)) * 8),
    "nothing, and closes": greets(b""),
    "a reset": _resets,
    "an alert": greets(b"\x15\x03\x03\x00\x02\x02\x28"),
    "a record that is too long": greets(b"\x16\x03\x03\xff\xff" + b"x" * 1000),
    "half of a record": greets(b"\x16\x03\x03\x01\x00" + b"x" * 100),
    "a handshake message of another type": greets(b"\x16\x03\x03\x00\x04\x0e\x00\x00\x00"),
    "an old version": greets(b"\x16\x02\x00\x00\x04\x02\x00\x00\x00"),
    "an SMTP greeting": greets(b"220 mail.example.com ESMTP\r\n"),
}
SILENT: dict[str, Script] = {
    "nothing": greets(b"", waits=True),
    "half of a record": greets(b"\x16\x03\x03\x01\x00" + b"x" * 100, waits=True),
}


async def error_of(call: Any) -> AmpExpError:
    """Return the documented error of a call."""
    async with asyncio.timeout(TIMEOUT):
        with pytest.raises(AmpExpError) as caught:
            await call
    return caught.value


async def check_never_sent(client: Any, error_class: type[AmpExpError], figures: Figures) -> None:
    """Assert that a read and a write that must not be repeated fail, and say that nothing was sent."""
    for call in (client.flags.get("1"), client.flags.users.remove_at("1", "on", 0)):
        error = await error_of(call)
        assert isinstance(error, error_class), repr(error)
        assert isinstance(error, APIConnectionError)
        assert not error.sent
        assert "Nothing was sent" in str(error)
        assert find_secrets(error, [CANARY]) == []
    figures.count("handshakes")


@pytest.mark.parametrize("handshake", HANDSHAKES)
async def test_a_handshake_that_fails(make_client: ClientFactory, figures: Figures, handshake: str) -> None:
    """Whatever answers the handshake, nothing was sent."""
    retry = RetryPolicy(max_attempts=ATTEMPTS, backoff_base=0.0)
    with RawServer(HANDSHAKES[handshake]) as server:
        client = await make_client(f"https://127.0.0.1:{server.port}", api_key=CANARY, retry=retry)
        await check_never_sent(client, APIConnectionError, figures)


@pytest.mark.parametrize("handshake", SILENT)
async def test_a_handshake_that_hangs(make_client: ClientFactory, figures: Figures, handshake: str) -> None:
    """The time to connect ends it, and nothing was sent."""
    with RawServer(SILENT[handshake]) as server:
        url = f"https://127.0.0.1:{server.port}"
        client = await make_client(url, api_key=CANARY, timeout=0.6, retry=RetryPolicy(max_attempts=1))
        await check_never_sent(client, APITimeoutError, figures)


@pytest.mark.parametrize(
    ("certificate", "trusted"),
    [("localhost.pem", None), ("other-host.pem", "other-host.pem"), ("expired.pem", "expired.pem")],
    ids=["not trusted", "of another host", "expired"],
)
async def test_a_certificate_that_is_not_valid(
    make_client: ClientFactory, figures: Figures, certificate: str, trusted: str | None
) -> None:
    """It is rejected, without another attempt, and nothing was sent."""
    with RawServer(sends(GOOD), server_context(certificate)) as server:
        context = True if trusted is None else trusting(trusted)
        client = await make_client(server.url, api_key=CANARY, ssl=context)
        await check_never_sent(client, APIConnectionError, figures)
        assert "TLS failed" in str(await error_of(client.flags.get("1")))
    assert server.requests == []


async def test_a_good_certificate(make_client: ClientFactory) -> None:
    """With one that is trusted, the flag is read."""
    with RawServer(sends(GOOD), server_context("localhost.pem")) as server:
        client = await make_client(server.url, ssl=trusting("localhost.pem"))
        assert (await client.flags.get("1")).key == "k"


@pytest.mark.parametrize(
    ("script", "error_class"),
    [
        (sends(head([("Content-Length", "90")]) + BODY), APIConnectionError),
        (sends(b""), APIConnectionError),
        (keeps(b""), APITimeoutError),
    ],
    ids=["closed in the body", "closed before the response", "silent"],
)
async def test_a_secure_connection_that_is_lost(
    make_client: ClientFactory, script: Script, error_class: type[AmpExpError]
) -> None:
    """After the handshake, a request may have arrived."""
    retry = RetryPolicy(max_attempts=1)
    with RawServer(script, server_context("localhost.pem")) as server:
        client = await make_client(server.url, ssl=trusting("localhost.pem"), retry=retry, timeout=1.0)
        error = await error_of(client.flags.get("1"))
    assert isinstance(error, error_class)
    assert isinstance(error, APIConnectionError)
    assert error.sent


async def test_a_secure_server_without_tls_on_the_clients_side(make_client: ClientFactory) -> None:
    """The alert that the server sends is not a response."""
    retry = RetryPolicy(max_attempts=1)
    with RawServer(sends(GOOD), server_context("localhost.pem")) as server:
        client = await make_client(f"http://127.0.0.1:{server.port}", retry=retry)
        assert isinstance(await error_of(client.flags.get("1")), APIConnectionError)
    assert server.requests == []
