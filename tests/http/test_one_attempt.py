"""One attempt is one request on the wire."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator

import aiohttp
import pytest
from attrs import define, field

from amp_exp_async import (
    APIConnectionError,
    AsyncExperimentClient,
    ConfigurationError,
    OutcomeUnknownError,
    RetryPolicy,
)

pytestmark = pytest.mark.usefixtures("each_path")

KEY = "one-attempt-management-key"
REPLY = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n{"flags":[]}'


@define
class DroppingServer:
    """A server that answers the first request of a connection and drops the connection at the second one."""

    port: int = 0
    received: list[str] = field(factory=list[str])
    """The method and path of every request that arrived, including dropped ones."""
    connections: int = 0

    @property
    def url(self) -> str:
        """The URL of the server."""
        return f"http://127.0.0.1:{self.port}"

    def count(self, method: str) -> int:
        """Return the number of requests of this method."""
        return sum(line.startswith(method) for line in self.received)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.connections += 1
        try:
            for answered in (True, False):
                head = await reader.readuntil(b"\r\n\r\n")
                self.received.append(head.decode().partition(" HTTP/")[0])
                if answered:
                    writer.write(REPLY)
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


@pytest.fixture
async def server() -> AsyncIterator[DroppingServer]:
    """Run the server."""
    dropping = DroppingServer()
    listener = await asyncio.start_server(dropping.serve, "127.0.0.1", 0)
    dropping.port = listener.sockets[0].getsockname()[1]
    async with listener:
        yield dropping


def client_of(server: DroppingServer, session: aiohttp.ClientSession | None = None) -> AsyncExperimentClient:
    return AsyncExperimentClient(
        KEY, base_url=server.url, session=session, rate_limit=None, retry=RetryPolicy(max_attempts=3, backoff_base=0.0)
    )


async def test_bare_aiohttp_sends_twice(server: DroppingServer) -> None:
    """aiohttp resends a DELETE if a kept-alive connection drops; this library turns that off."""
    async with aiohttp.ClientSession() as session:
        for method in ("GET", "DELETE"):
            async with session.request(method, f"{server.url}/x") as response:
                await response.read()
    assert server.received == ["GET /x", "DELETE /x", "DELETE /x"]


@pytest.mark.parametrize("own_session", [True, False], ids=["own session", "caller's session"])
async def test_a_removal_by_index_arrives_once(server: DroppingServer, own_session: bool) -> None:
    """A dropped removal by index is not sent again, and its outcome is unknown."""
    async with aiohttp.ClientSession() as theirs:
        async with client_of(server, None if own_session else theirs) as client:
            await client.flags.list()
            with pytest.raises(OutcomeUnknownError, match="may have been applied") as caught:
                await client.flags.users.remove_at("1", "on", 0)
        assert not theirs.closed
    assert server.received == ["GET /api/1/flags", "DELETE /api/1/flags/1/variants/on/users/0"]
    assert caught.value.attempts == 1
    assert isinstance(caught.value.__cause__, APIConnectionError)


async def test_the_callers_session_does_not_change(server: DroppingServer) -> None:
    """Requests of the caller over their session are still resent by aiohttp, while the client uses it and after."""
    async with aiohttp.ClientSession() as theirs:
        async with client_of(server, theirs) as client:
            await client.flags.list()
            assert theirs._retry_connection is True  # type: ignore[attr-defined]  # aiohttp's own
        assert theirs._retry_connection is True  # type: ignore[attr-defined]  # aiohttp's own
        async with theirs.delete(f"{server.url}/theirs") as response:
            assert response.status == 200
    assert server.count("DELETE") == 2


async def test_a_read_is_retried_and_counted(server: DroppingServer) -> None:
    """A dropped read is retried by the policy, and the usage counts every request."""
    async with client_of(server) as client:
        await client.flags.list()
        assert await client.flags.list() == []
        assert (client.usage.requests, client.usage.retries) == (3, 1)
        assert client.usage.requests_today == 3
    assert server.received == ["GET /api/1/flags"] * 3


@pytest.mark.parametrize("attempts", [1, 2])
async def test_no_more_requests_than_attempts(server: DroppingServer, attempts: int) -> None:
    """The server receives as many requests as the policy allows, even if every connection is kept alive."""
    policy = RetryPolicy(max_attempts=attempts, backoff_base=0.0)
    async with client_of(server) as client:
        await asyncio.gather(*(client.flags.list() for _ in range(2)))
        alive = server.connections
        assert alive == 2
        with pytest.raises(APIConnectionError) as caught:
            await client.with_options(retry=policy).flags.get("1")
    assert server.received.count("GET /api/1/flags/1") == attempts
    assert caught.value.attempts == attempts


@pytest.mark.parametrize("own_session", [True, False], ids=["own session", "caller's session"])
async def test_the_attribute_that_stops_the_resend_is_needed(
    server: DroppingServer, monkeypatch: pytest.MonkeyPatch, own_session: bool, each_path: str
) -> None:
    """If it had no effect, aiohttp's session would apply a removal twice, and no error would say so."""

    def keep(session: aiohttp.ClientSession, name: str, value: object) -> None:
        object.__setattr__(session, name, True if name == "_retry_connection" else value)

    monkeypatch.setattr(aiohttp.ClientSession, "__setattr__", keep, raising=False)
    async with aiohttp.ClientSession() as theirs, client_of(server, None if own_session else theirs) as client:
        await client.flags.list()
        if own_session and each_path == "connector":
            with pytest.raises(OutcomeUnknownError):
                await client.flags.users.remove_at("1", "on", 0)
            assert server.count("DELETE") == 1
        else:
            await client.flags.users.remove_at("1", "on", 0)
            assert server.count("DELETE") == 2


def remove_attribute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give sessions no attribute that stops the resend."""

    def set_others(session: aiohttp.ClientSession, name: str, value: object) -> None:
        if name != "_retry_connection":
            object.__setattr__(session, name, value)

    monkeypatch.setattr(aiohttp.ClientSession, "__setattr__", set_others, raising=False)


@pytest.mark.parametrize("own_session", [True, False], ids=["own session", "caller's session"])
async def test_a_release_of_aiohttp_without_the_attribute(
    server: DroppingServer, monkeypatch: pytest.MonkeyPatch, own_session: bool
) -> None:
    """If requests need its session, it is rejected before anything is sent, and no session is left open."""
    monkeypatch.setattr("amp_exp_async.http.sender.is_plain", lambda _: False)
    remove_attribute(monkeypatch)
    async with aiohttp.ClientSession() as theirs:
        client = client_of(server, None if own_session else theirs)
        for start in (client.__aenter__, client.flags.list):
            with pytest.raises(ConfigurationError, match=rf"^aiohttp {aiohttp.__version__} has no attribute"):
                await start()
        await client.aclose()
        assert not theirs.closed
    gc.collect()
    assert server.received == []


@pytest.mark.parametrize("each_path", ["connector"], indirect=True)
async def test_the_connector_does_not_need_the_attribute(
    server: DroppingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests over the connector work without it. Where other code turns up that needs the session, they end."""
    remove_attribute(monkeypatch)
    async with client_of(server) as client:
        assert await client.flags.list() == []
        with pytest.raises(OutcomeUnknownError):
            await client.flags.users.remove_at("1", "on", 0)
        assert server.count("DELETE") == 1
        monkeypatch.setattr("amp_exp_async.http.sender.is_replaced", lambda: True)
        with pytest.raises(ConfigurationError, match="has no attribute"):
            await client.flags.list()
        monkeypatch.undo()
        assert await client.flags.list() == []
