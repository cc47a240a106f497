"""The key and the proxy's password are in nothing that an interrupted call, or a failing proxy, leads to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from aiohttp.client_proto import ResponseHandler

from amp_exp_async import (
    AmpExpError,
    APIConnectionError,
    APITimeoutError,
    AsyncExperimentClient,
    OutcomeUnknownError,
    RetryPolicy,
)
from amp_exp_async.emulator import Emulator
from tests.leaks import chain, leaks
from tests.reliability.raw_server import RawConnection, RawServer

pytestmark = pytest.mark.usefixtures("path_in_turn")

KEY = "canary-management-key"
PASSWORD = "canary-proxy-password"
USERINFO = f"canary-user:{PASSWORD}"
SECRETS = (KEY, PASSWORD, "Y2FuYXJ5LXVzZXI6")  # the last one is the user in Base64
ONCE = RetryPolicy(max_attempts=1)


def server(reply: bytes | None) -> RawServer:
    """Return a server that answers every request with these bytes, or not for as long as the client waits."""

    async def serve(connection: RawConnection) -> None:
        if await connection.read_request() is None:
            return
        if reply is None:
            await connection.wait_closed()
        else:
            await connection.send(reply)

    return RawServer(serve)


def client_of(port: int, scheme: str, **options: Any) -> AsyncExperimentClient:
    """Return a client of a server, or of one that is reached through it as a proxy."""
    if scheme == "direct":
        return AsyncExperimentClient(KEY, base_url=f"http://127.0.0.1:{port}", **options)
    proxy = f"http://{USERINFO}@127.0.0.1:{port}"
    return AsyncExperimentClient(KEY, base_url=f"{scheme}://127.0.0.1:9", proxy=proxy, **options)


async def _timeout(call: Awaitable[object]) -> None:
    async with asyncio.timeout(0.1):
        await call


async def _wait_for(call: Awaitable[object]) -> None:
    await asyncio.wait_for(call, 0.1)


async def _fail_after(call: Awaitable[object]) -> None:
    with anyio.fail_after(0.1):
        await call


async def _cancel(call: Awaitable[object]) -> None:
    task = asyncio.ensure_future(call)
    await asyncio.sleep(0.1)
    task.cancel()
    await task


async def _group(call: Awaitable[object]) -> None:
    async def fail() -> None:
        await asyncio.sleep(0.1)
        raise RuntimeError

    async with asyncio.TaskGroup() as group:
        group.create_task(_wait(call))
        group.create_task(fail())


async def _wait(call: Awaitable[object]) -> None:
    await call


Call = Callable[[AsyncExperimentClient], Awaitable[object]]
CALLS: dict[str, Call] = {
    "get": lambda client: client.flags.get("1"),
    "edit": lambda client: client.flags.edit("1", name="x"),
    "list": lambda client: client.flags.list(),
    "remove_at": lambda client: client.flags.users.remove_at("1", "on", 0),
}


@pytest.mark.parametrize("interrupt", [_timeout, _wait_for, _fail_after, _cancel, _group])
@pytest.mark.parametrize("call", ["get", "edit"])
@pytest.mark.parametrize("scheme", ["direct", "http", "https"])
async def test_a_call_that_is_cancelled_from_outside(
    interrupt: Callable[[Awaitable[object]], Awaitable[None]], call: str, scheme: str
) -> None:
    """Nothing that its exception leads to shows the key or the password of the proxy."""
    with server(None) as running:
        async with client_of(running.port, scheme, rate_limit=None) as client:
            with pytest.raises((asyncio.CancelledError, TimeoutError, ExceptionGroup)) as caught:
                await interrupt(CALLS[call](client))
    assert leaks(caught.value, *SECRETS) == []


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), MemoryError(), RuntimeError("a mistake of aiohttp"), SystemExit(3)]
)
async def test_an_exception_that_is_no_failure_of_the_connection(
    emulator: Emulator, error: BaseException, monkeypatch: pytest.MonkeyPatch, path_in_turn: str
) -> None:
    """It is raised after the request, without the frames that show the key.

    A session runs code of the user too, so an `Exception` becomes the cause of an error that says so.
    """

    async def read(_: ResponseHandler) -> None:
        error.__context__ = ValueError(KEY)
        raise error

    monkeypatch.setattr(ResponseHandler, "read", read)
    async with AsyncExperimentClient(KEY, base_url=emulator.base_url) as client:
        with pytest.raises((type(error), APIConnectionError)) as caught:
            await client.flags.get("1")
        assert client.usage.requests == 1
    is_mapped = path_in_turn != "connector" and isinstance(error, Exception)
    assert isinstance(caught.value, APIConnectionError) == is_mapped
    assert error in (caught.value, caught.value.__cause__)
    assert leaks(caught.value, *SECRETS) == []


async def _while_handling(error: Exception, call: Awaitable[object]) -> None:
    try:
        raise error
    except KeyError:
        await _timeout(call)


async def test_the_callers_own_context_is_kept() -> None:
    """A call that is cancelled while the caller handles an exception keeps that exception as its context."""
    with server(None) as running:
        async with client_of(running.port, "direct") as client:
            with pytest.raises(TimeoutError) as caught:
                await _while_handling(KeyError("the caller's"), client.flags.get("1"))
    assert any(isinstance(linked, KeyError) for linked in chain(caught.value))


REPLIES = {
    "no HTTP": b"garbage\r\n\r\n",
    "nothing": b"",
    "407": b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
    "502": b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
    "no TLS": b"HTTP/1.1 200 OK\r\n\r\nno TLS",
    "huge headers": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20_000 + b"\r\n\r\n",
}


@pytest.mark.parametrize("reply", REPLIES)
@pytest.mark.parametrize("call", ["get", "remove_at"])
async def test_a_proxy_that_refuses_the_tunnel(reply: str, call: str) -> None:
    """Nothing was sent to the service, the error says so, and it does not show the password."""
    with server(REPLIES[reply]) as running:
        async with client_of(running.port, "https", retry=ONCE, rate_limit=None) as client:
            with pytest.raises(APIConnectionError, match="Nothing was sent") as caught:
                await CALLS[call](client)
            assert client.usage.requests == 0
    assert not caught.value.sent
    assert "may have been applied" not in str(caught.value)
    assert leaks(caught.value, *SECRETS) == []


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_cannot_be_reached(unused_tcp_port: int, scheme: str) -> None:
    """The error does not show the password."""
    async with client_of(unused_tcp_port, scheme, retry=ONCE) as client:
        with pytest.raises(APIConnectionError, match="could not connect") as caught:
            await client.flags.get("1")
    assert leaks(caught.value, *SECRETS) == []


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_is_silent(scheme: str) -> None:
    """The timeout does not show the password. Whether something was sent depends on the tunnel."""
    with server(None) as running:
        async with client_of(running.port, scheme, retry=ONCE, timeout=0.2) as client:
            with pytest.raises(APITimeoutError) as caught:
                await client.flags.edit("1", name="x")
    assert caught.value.sent == (scheme == "http")
    assert leaks(caught.value, *SECRETS) == []


async def test_garbage_from_a_proxy_without_a_tunnel() -> None:
    """A plain request may have reached the service through the proxy, so its outcome is unknown."""
    with server(b"garbage\r\n\r\n") as running:
        async with client_of(running.port, "http", retry=ONCE) as client:
            with pytest.raises(OutcomeUnknownError) as caught:
                await client.flags.users.remove_at("1", "on", 0)
    assert leaks(caught.value, *SECRETS) == []


async def test_closing_a_client_with_calls_in_flight() -> None:
    """Their errors do not show the key or the password."""
    with server(None) as running:
        client = client_of(running.port, "http")
        calls = [asyncio.ensure_future(call(client)) for call in CALLS.values()]
        await asyncio.sleep(0.1)
        await client.aclose(shutdown_timeout=0.1)
        errors = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(error).__mro__.index(AmpExpError) > 0 for error in errors] == [True] * len(CALLS)
    assert [leaks(error, *SECRETS) for error in errors if isinstance(error, BaseException)] == [[]] * len(CALLS)
