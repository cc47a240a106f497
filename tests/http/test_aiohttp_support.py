"""Whether requests go over aiohttp's connector or through its session."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
from aiohttp.client_proto import ResponseHandler

from amp_exp_async import AsyncExperimentClient
from amp_exp_async.emulator import Emulator
from amp_exp_async.http import aiohttp_support
from tests.clients import client_of


@pytest.fixture
def session_requests(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record the methods of the requests that go through sessions, although they are not replaced."""
    requests: list[str] = []
    send = aiohttp.ClientSession._request

    async def record(session: aiohttp.ClientSession, method: str, *args: Any, **options: Any) -> Any:
        requests.append(method)
        return await send(session, method, *args, **options)

    assert aiohttp_support.is_supported()
    monkeypatch.setattr(aiohttp.ClientSession, "_request", record)
    monkeypatch.setattr(aiohttp_support, "_INNER_REQUEST", record)
    return requests


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """Let each test check the release of aiohttp again."""
    aiohttp_support.is_supported.cache_clear()
    yield
    aiohttp_support.is_supported.cache_clear()


async def list_flags(client: AsyncExperimentClient) -> None:
    """Send two requests, and close the client."""
    async with client:
        assert await client.flags.list() == []
        assert await client.flags.list() == []


async def test_own_session(emulator: Emulator, session_requests: list[str]) -> None:
    """Without anything that needs it, no request goes through a session."""
    await list_flags(client_of(emulator))
    assert session_requests == []
    assert len(emulator.requests) == 2


async def test_the_callers_session(emulator: Emulator, session_requests: list[str]) -> None:
    """Requests go through it."""
    async with aiohttp.ClientSession() as session:
        await list_flags(client_of(emulator, session=session))
    assert session_requests == ["GET", "GET"]


async def test_traces(emulator: Emulator, session_requests: list[str]) -> None:
    """Requests go through the session, which reports everything, including what was read."""
    seen: list[str] = []
    trace = aiohttp.TraceConfig()

    async def on_start(_: object, __: object, params: aiohttp.TraceRequestStartParams) -> None:
        seen.append(params.method)

    async def on_chunk(_: object, __: object, params: aiohttp.TraceResponseChunkReceivedParams) -> None:
        seen.append(params.chunk.decode()[:8])

    trace.on_request_start.append(on_start)
    trace.on_response_chunk_received.append(on_chunk)
    await list_flags(client_of(emulator, trace_configs=[trace]))
    assert session_requests == ["GET", "GET"]
    assert seen == ["GET", '{"flags"'] * 2


def _remove(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(ResponseHandler, "force_close")


def _change_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    def set_response_params(_: ResponseHandler, *, skip: bool) -> None:
        raise AssertionError(skip)

    monkeypatch.setattr(ResponseHandler, "set_response_params", set_response_params)


def _change_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ResponseHandler, "should_close", lambda _: False)


CHANGES = {
    "ResponseHandler.force_close": _remove,
    "ResponseHandler.set_response_params": _change_parameters,
    "ResponseHandler.should_close": _change_kind,
}


@pytest.mark.parametrize("name", CHANGES)
async def test_another_release_of_aiohttp(
    name: str, emulator: Emulator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """If something is missing or has another form, its name is logged once, and no client uses the connector."""
    caplog.set_level(logging.DEBUG, logger="amp_exp_async")
    with monkeypatch.context() as patch:
        CHANGES[name](patch)
        for _ in range(2):
            assert not aiohttp_support.is_supported()
    (message,) = caplog.messages
    assert message == f"aiohttp {aiohttp.__version__} has no {name}. Requests use its session."
    async with client_of(emulator) as client:
        assert await client.flags.list() == []
        assert type(client._transport.session.open().connector) is aiohttp.TCPConnector


async def test_a_session_that_is_replaced_while_the_client_is_open(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests go through the substitute for as long as there is one."""
    seen: list[str] = []
    send = aiohttp.ClientSession._request

    async def observe(session: aiohttp.ClientSession, method: str, *args: Any, **options: Any) -> Any:
        seen.append(method)
        return await send(session, method, *args, **options)

    async with client_of(emulator) as client:
        await client.flags.list()
        with monkeypatch.context() as patch:
            patch.setattr(aiohttp.ClientSession, "_request", observe)
            await client.flags.list()
        await client.flags.list()
    assert seen == ["GET"]
    assert len(emulator.requests) == 3


async def test_the_same_request_on_both_paths(emulator: Emulator) -> None:
    """The service receives the same method, path, query, headers and body over the connector and through a session."""

    async def requests(client: AsyncExperimentClient) -> list[Any]:
        before = len(emulator.requests)
        async with client:
            await client.flags.list(key="a b&c/d?\u00fc", limit=7)
            for method in ("POST", "PATCH", "DELETE", "PUT"):
                for json in (None, {"a": "\u00fc"}):
                    with pytest.raises(Exception, match="failed with"):
                        await client.request(method, "/x/a%2Fb", params={"q": "1 2"}, json=json)
        sent = emulator.requests[before:]
        return [(item.method, item.path, item.query, sorted(item.headers.items()), item.body) for item in sent]

    async with aiohttp.ClientSession() as session:
        assert await requests(client_of(emulator)) == await requests(client_of(emulator, session=session))
    assert len(emulator.requests) == 18
