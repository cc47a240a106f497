"""The options of the connection: session, proxy, certificates, traces and environment."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from attrs import define, field

from amp_exp_async import APIConnectionError, APIStatusError, AsyncExperimentClient, ConfigurationError, RetryPolicy
from amp_exp_async.emulator import Emulator, Fault
from tests.clients import client_of

pytestmark = pytest.mark.usefixtures("each_path")

KEY = "emulator-management-key"


async def test_the_callers_session(emulator: Emulator) -> None:
    """Its headers are sent, the key is the client's, and closing the client does not change or close it."""
    headers = {"X-Team": "growth", "Authorization": "Bearer theirs", "User-Agent": "theirs"}
    async with aiohttp.ClientSession(headers=headers, cookies={"c": "1"}, raise_for_status=True) as session:
        jar = aiohttp.CookieJar(unsafe=True)
        session._cookie_jar = jar
        jar.update_cookies({"c": "1"})
        before = dict(vars(session))
        async with client_of(emulator, session=session) as client:
            await client.flags.list()
            with pytest.raises(APIStatusError):  # not their raise_for_status
                await client.flags.get("404")
        assert not session.closed
        assert dict(vars(session)) == before
        async with session.get(f"{emulator.base_url}/api/1/x", raise_for_status=False) as response:
            assert response.status == 401
    ours, theirs = emulator.requests[0], emulator.requests[-1]
    assert (ours.authorized, theirs.authorized) == (True, False)
    assert ours.headers["x-team"] == theirs.headers["x-team"] == "growth"
    assert ("cookie" in ours.headers, theirs.headers["cookie"]) == (False, "c=1")


async def test_trace_configurations(emulator: Emulator) -> None:
    """They see every request of the client's own session, including retries."""
    seen: list[str] = []

    async def started(_: object, __: object, params: aiohttp.TraceRequestStartParams) -> None:
        seen.append(params.method)

    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(started)
    emulator.inject(Fault.close())
    async with client_of(emulator, trace_configs=[trace], retry=RetryPolicy(backoff_base=0.0)) as client:
        await client.flags.list()
    assert seen == ["GET", "GET"]


@define
class Proxy:
    """An HTTP proxy that answers without forwarding."""

    url: str = ""
    requests: list[str] = field(factory=list[str])

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request with an empty list."""
        head = await reader.readuntil(b"\r\n\r\n")
        self.requests.append(head.decode().split("\r\n")[0])
        writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{"flags":[]}')
        writer.close()


@pytest.fixture
async def proxy() -> AsyncIterator[Proxy]:
    running = Proxy()
    async with await asyncio.start_server(running.serve, "127.0.0.1", 0) as server:
        running.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield running


@pytest.mark.parametrize("how", ["proxy", "proxy beside a session", "environment"])
async def test_a_proxy(proxy: Proxy, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests go to the proxy of the argument, or with `trust_env` to that of the environment, with the full URL."""
    monkeypatch.setenv("http_proxy", proxy.url)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    async with aiohttp.ClientSession() as session:
        options: dict[str, Any] = {
            "proxy": {"proxy": proxy.url},
            "proxy beside a session": {"proxy": proxy.url, "session": session},
            "environment": {"trust_env": True},
        }[how]
        url = "http://service.example/prefix"
        async with AsyncExperimentClient(KEY, base_url=url, allow_insecure_http=True, **options) as client:
            assert await client.flags.list(limit=7) == []
    assert proxy.requests == ["GET http://service.example/prefix/api/1/flags?limit=7 HTTP/1.1"]


async def test_a_proxy_of_the_environment_is_ignored(
    emulator: Emulator, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without `trust_env`, no request goes to it."""
    monkeypatch.setenv("http_proxy", proxy.url)
    async with client_of(emulator) as client:
        assert await client.flags.list() == []
    assert proxy.requests == []


async def test_a_netrc_file(emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With `trust_env`, an entry for the host does not replace the key."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    async with client_of(emulator, trust_env=True) as client:
        assert await client.flags.list() == []
    assert emulator.requests[0].authorized


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Create a self-signed certificate with its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs openssl to make a certificate")  # nothing that is installed can sign one
    options = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1"
    command = [openssl, *options.split(), "-keyout", "key.pem", "-out", "certificate.pem"]
    subprocess.run(command, check=True, capture_output=True, cwd=tmp_path)
    return tmp_path / "certificate.pem"


@pytest.fixture
async def tls_url(certificate: Path) -> AsyncIterator[str]:
    """Serve HTTPS with that certificate, and yield the URL."""

    async def answer(_: web.BaseRequest) -> web.Response:
        return web.json_response({"flags": []})

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    yield f"https://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.fixture
def digest(certificate: Path) -> bytes:
    """Return the fingerprint of the certificate."""
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate.read_text())).digest()


async def test_certificates(tls_url: str, certificate: Path, digest: bytes) -> None:
    """By default it must be trusted. `ssl` accepts a context that trusts it, its fingerprint, or False for no check."""
    trusting = ssl.create_default_context(cafile=str(certificate))
    for accepting in (trusting, aiohttp.Fingerprint(digest), False):
        async with AsyncExperimentClient(KEY, base_url=tls_url, ssl=accepting) as client:
            assert await client.flags.list() == []
    for refusing in (True, ssl.create_default_context(), aiohttp.Fingerprint(digest[::-1])):
        async with AsyncExperimentClient(KEY, base_url=tls_url, ssl=refusing) as client:
            with pytest.raises(APIConnectionError, match=r"TLS failed .*Nothing was sent") as caught:
                await client.flags.list()
        assert (caught.value.sent, caught.value.attempts) == (False, 1)
        if not isinstance(refusing, aiohttp.Fingerprint):
            message = str(caught.value)
            assert "TLS failed (the certificate of the service is not trusted: self-signed certificate). " in message
            assert "If a private CA has issued it, name that CA with ssl. Pass ssl=ssl.create_default_con" in message
        assert caught.value.setting == "ssl"
    trusting.hostname_checks_common_name = False
    async with AsyncExperimentClient(KEY, base_url=tls_url.replace("127.0.0.1", "localhost"), ssl=trusting) as client:
        with pytest.raises(APIConnectionError, match=r"is for another host: .*Check the host in base_url") as caught:
            await client.flags.list()


@pytest.mark.parametrize("name", ["ssl", "session", "proxy"])
def test_values_of_wrong_types(name: str) -> None:
    """They are rejected when the client is created, not by its first call."""
    wrong: dict[str, list[Any]] = {
        "ssl": ["yes", "ca.pem", 1, None, b"digest", ssl],
        "session": [object(), "session", aiohttp.ClientSession, 0],
        "proxy": ["host:3128", "http://", "http://ho st", "http://host\x7f", "http://host\n", "http://h\u00f6st", 5],
    }
    expected = {"ssl": "SSLContext such as", "session": "an aiohttp.ClientSession", "proxy": "a URL like"}[name]
    for value in wrong[name]:
        with pytest.raises(ConfigurationError, match=f"^{name} (must be|is not) .*{expected}"):
            AsyncExperimentClient(KEY, **{name: value})


async def test_a_session_of_another_loop(emulator: Emulator) -> None:
    """The first call is rejected, and nothing is sent. In the session's own loop the client works."""
    async with aiohttp.ClientSession() as session:
        client = client_of(emulator, session=session)

        async def call_elsewhere() -> None:
            with pytest.raises(ConfigurationError, match=r"session belongs to another event loop"):
                await client.flags.list()

        await asyncio.to_thread(lambda: asyncio.run(call_elsewhere()))
        assert emulator.requests == []
        assert await client.flags.list() == []
        await client.aclose()
