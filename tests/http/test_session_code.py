"""What an exception of code that aiohttp's session calls, such as middlewares and traces, says about a request."""

from __future__ import annotations

import asyncio
import inspect
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey, RequestInfo
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from amp_exp_async import (
    AmpExpError,
    APIConnectionError,
    AsyncExperimentClient,
    CreateFlag,
    Edit,
    OutcomeUnknownError,
    RetryPolicy,
)
from amp_exp_async.emulator import Emulator, Fault
from tests.clients import client_of
from tests.crossing import cross
from tests.reliability.exposure import find_secrets

COLLECTOR = ConnectionKey("collector", 443, True, True, None, None, None)
UNUSED_URL = "http://127.0.0.1:1"
ATTEMPTS = 3
RETRY = RetryPolicy(max_attempts=ATTEMPTS, backoff_base=0.0)


class StrangeError(Exception):
    """An error of the user, whose text and repr fail."""

    def __str__(self) -> str:
        raise RuntimeError

    __repr__ = __str__


def _proxy_error() -> Exception:
    url = URL("http://collector")
    info = RequestInfo(url, "POST", CIMultiDictProxy(CIMultiDict()), url)
    return aiohttp.ClientHttpProxyError(info, (), status=502)


EXCEPTIONS: dict[str, Callable[[], Exception]] = {
    "refused": lambda: aiohttp.ClientConnectorError(COLLECTOR, ConnectionRefusedError(111, "refused")),
    "no such host": lambda: aiohttp.ClientConnectorDNSError(COLLECTOR, OSError("no such host")),
    "certificate": lambda: aiohttp.ClientConnectorCertificateError(COLLECTOR, ssl.SSLCertVerificationError("expired")),
    "fingerprint": lambda: aiohttp.ServerFingerprintMismatch(b"a", b"b", "collector", 443),
    "connect timeout": aiohttp.ConnectionTimeoutError,
    "proxy": _proxy_error,
    "invalid URL": lambda: aiohttp.InvalidURL("http://"),
    "TLS": lambda: ssl.SSLError(1, "bad record"),
    "disconnected": aiohttp.ServerDisconnectedError,
    "OSError": lambda: OSError("disk full"),
    "timeout": TimeoutError,
    "JSON": lambda: json.JSONDecodeError("no JSON", "", 0),
    "KeyError": lambda: KeyError("region"),
    "RuntimeError": RuntimeError,
    "other client": lambda: APIConnectionError("could not connect", sent=False),
    "strange": StrangeError,
}

Hook = Callable[[str], Awaitable[None]]


def _trace(event: str, hook: Hook) -> aiohttp.TraceConfig:
    trace = aiohttp.TraceConfig()

    async def call(_: object, __: object, params: Any) -> None:
        await hook(params.method)

    getattr(trace, event).append(call)
    return trace


@asynccontextmanager
async def _client(emulator: Emulator, place: str, hook: Hook) -> AsyncIterator[AsyncExperimentClient]:
    """Open a client, some place of whose session calls a hook with the method of each request."""

    async def middleware(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        response = await handler(request)
        try:
            await hook(request.method)
        except BaseException:
            response.close()
            raise
        return response

    async with AsyncExitStack() as stack:
        options: dict[str, Any] = {}
        if place == "middleware":
            options["session"] = await stack.enter_async_context(aiohttp.ClientSession(middlewares=(middleware,)))
        elif place.startswith("caller's "):
            session = aiohttp.ClientSession(trace_configs=[_trace(place.rsplit(maxsplit=1)[-1], hook)])
            options["session"] = await stack.enter_async_context(session)
        else:
            options["trace_configs"] = [_trace(place, hook)]
        yield await stack.enter_async_context(client_of(emulator, retry=RETRY, **options))


def _raise_for(methods: set[str], make_error: Callable[[], BaseException]) -> Hook:
    async def hook(method: str) -> None:
        if method in methods:
            raise make_error()

    return hook


HAS_MIDDLEWARES = "middlewares" in inspect.signature(aiohttp.ClientSession).parameters  # since aiohttp 3.12
needs_middlewares = pytest.mark.middlewares
AFTER_SENDING = ["on_request_end", "on_response_chunk_received", "caller's on_request_end"]
if HAS_MIDDLEWARES:
    AFTER_SENDING.append("middleware")


@pytest.mark.parametrize(("make_error", "place"), cross(EXCEPTIONS, AFTER_SENDING))
async def test_a_creation(emulator: Emulator, make_error: Callable[[], Exception], place: str) -> None:
    """It is sent once, and reconciled by reading back, whatever the class of the exception says about requests."""
    async with _client(emulator, place, _raise_for({"POST"}, make_error)) as client:
        created = await client.deployments.create(project_id="1", label="web", type="server")
        (deployment,) = await client.deployments.list()
    assert created.id == deployment.id
    assert [request.method for request in emulator.requests] == ["POST", "GET", "GET"]


@pytest.mark.parametrize(("make_error", "place"), cross(EXCEPTIONS, AFTER_SENDING))
async def test_a_removal_by_index(emulator: Emulator, make_error: Callable[[], Exception], place: str) -> None:
    """It is sent once, and its outcome is unknown."""
    id = emulator.state.add_flag(variants=[{"key": "on", "inclusions": ["a", "b"]}])["id"]
    async with _client(emulator, place, _raise_for({"DELETE"}, make_error)) as client:
        with pytest.raises(OutcomeUnknownError, match="may have been applied"):
            await client.flags.users.remove_at(id, "on", 0)
    assert [request.method for request in emulator.requests] == ["DELETE"]


@pytest.mark.parametrize(("make_error", "place"), cross(EXCEPTIONS, AFTER_SENDING))
async def test_an_edit_and_a_read(emulator: Emulator, make_error: Callable[[], Exception], place: str) -> None:
    """Their error says that the request may have arrived, and has the exception as its cause."""
    id = emulator.state.add_flag()["id"]
    async with _client(emulator, place, _raise_for({"PATCH", "GET"}, make_error)) as client:
        with pytest.raises(APIConnectionError, match="The change may have been applied") as edit:
            await client.flags.edit(id, enabled=True)
        with pytest.raises(APIConnectionError) as read:
            await client.flags.get(id)
    for raised in (edit.value, read.value):
        assert raised.sent
        assert "Nothing was" not in str(raised)
        if _shows_cause(make_error()):
            assert isinstance(raised.__cause__, (type(make_error()), aiohttp.ClientOSError))  # aiohttp renames some
        else:
            assert raised.__cause__ is None


def _shows_cause(error: Exception) -> bool:
    """Return whether a cause is kept: it has no headers, and can be looked through for secrets."""
    return not isinstance(error, aiohttp.ClientResponseError | StrangeError)


@pytest.mark.parametrize(("make_error", "place"), cross(EXCEPTIONS, AFTER_SENDING))
async def test_a_bulk_run(emulator: Emulator, make_error: Callable[[], Exception], place: str) -> None:
    """The outcomes of writes that cannot be read back are unknown, and the run goes on."""
    id = emulator.state.add_flag(variants=[{"key": "on", "inclusions": ["a"]}])["id"]
    operations = [Edit("flags", id, {"name": "x"}), CreateFlag(project_id="1", key="new")]
    async with _client(emulator, place, _raise_for({"GET", "POST", "PATCH"}, make_error)) as client:
        outcomes = [outcome async for outcome in client.bulk(operations)]
    assert sorted(outcome.status for outcome in outcomes) == ["unknown", "unknown"]
    assert sum(request.path.endswith("/flags") and request.method == "POST" for request in emulator.requests) == 1


@pytest.mark.parametrize(("make_error", "place"), cross(EXCEPTIONS, ["on_request_start", "caller's on_request_start"]))
async def test_before_anything_is_sent(emulator: Emulator, make_error: Callable[[], Exception], place: str) -> None:
    """If aiohttp has not asked for a connection, nothing was sent, also if the class speaks of a lost connection."""
    async with _client(emulator, place, _raise_for({"POST"}, make_error)) as client:
        with pytest.raises(APIConnectionError, match=r"Nothing was sent\.") as caught:
            await client.flags.create(project_id="1", key="new")
    assert not caught.value.sent
    assert emulator.requests == []


@pytest.mark.parametrize(
    "event", ["on_connection_create_start", "on_connection_create_end", "on_connection_queued_end"]
)
async def test_while_connecting(emulator: Emulator, event: str) -> None:
    """Without a connection, nothing was sent."""
    attempts = 0
    trace = aiohttp.TraceConfig()

    async def fail(*_: object) -> None:
        nonlocal attempts
        attempts += 1
        raise aiohttp.ServerDisconnectedError

    getattr(trace, event).append(fail)
    if event == "on_connection_queued_end":
        trace.on_connection_create_start.append(fail)
    async with client_of(emulator, trace_configs=[trace], retry=RETRY) as client:
        with pytest.raises(APIConnectionError, match=r"failed after 3 attempts.*Nothing was sent\."):
            await client.flags.create(project_id="1", key="new")
    assert attempts == ATTEMPTS
    assert emulator.requests == []


class GatewayError(Exception):
    """How a middleware names a failure of aiohttp."""


async def _rename(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    try:
        return await handler(request)
    except aiohttp.ClientError as error:
        raise GatewayError from error


@needs_middlewares
@pytest.mark.parametrize("renames", [True, False], ids=["renamed", "as aiohttp raised it"])
async def test_a_middleware_and_no_connection(renames: bool) -> None:
    """A connection that was not made says that nothing was sent, whatever a middleware makes of it."""
    middlewares = (_rename,) if renames else (_pass,)
    async with (
        aiohttp.ClientSession(middlewares=middlewares) as session,
        AsyncExperimentClient("session-code-key", base_url=UNUSED_URL, session=session, retry=RETRY) as client,
    ):
        with pytest.raises(APIConnectionError, match=r"Nothing was sent\.") as caught:
            await client.flags.create(project_id="1", key="new")
    assert caught.value.attempts == (1 if renames else ATTEMPTS)


async def _pass(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    return await handler(request)


@needs_middlewares
async def test_a_middleware_that_sends_twice(emulator: Emulator) -> None:
    """A first request that was sent counts, also if there is no connection for the second one."""

    async def send_twice(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        (await handler(request)).release()
        request.url = URL(UNUSED_URL).join(request.url.relative())
        return await handler(request)

    async with (
        aiohttp.ClientSession(middlewares=(send_twice,)) as session,
        client_of(emulator, session=session, retry=RETRY) as client,
    ):
        with pytest.raises(OutcomeUnknownError):
            await client.flags.create(project_id="1", key="new")
    assert [request.method for request in emulator.requests].count("POST") == 1


def _make_subclass(forward: Callable[..., Awaitable[aiohttp.ClientResponse]]) -> type[aiohttp.ClientSession]:
    def request(_: object, method: str, url: URL, **options: Any) -> Awaitable[aiohttp.ClientResponse]:
        return forward(method, url, options["headers"])

    with pytest.warns(DeprecationWarning, match="Inheritance"):
        return type("Session", (aiohttp.ClientSession,), {"_request": request})


@pytest.mark.parametrize("kind", [pytest.param("middleware", marks=needs_middlewares), "subclass"])
async def test_code_that_does_not_use_the_connector(emulator: Emulator, kind: str) -> None:
    """It may have sent the request in another way, so the outcome is unknown."""
    async with aiohttp.ClientSession() as other:

        async def forward(method: str, url: URL, headers: Any) -> aiohttp.ClientResponse:
            async with other.request(method, url, headers=headers):
                error = EXCEPTIONS["refused"]()
                raise error

        async def middleware(request: aiohttp.ClientRequest, _: object) -> aiohttp.ClientResponse:
            return await forward(request.method, request.url, request.headers)

        async with aiohttp.ClientSession(**({"middlewares": (middleware,)} if kind == "middleware" else {})) as session:
            if kind == "subclass":
                session.__class__ = _make_subclass(forward)
            async with client_of(emulator, session=session, retry=RETRY) as client:
                with pytest.raises(OutcomeUnknownError):
                    await client.flags.users.remove_at("1", "on", 0)
    assert len(emulator.requests) == 1


async def test_a_cancellation_goes_on(emulator: Emulator) -> None:
    """An exception that ends tasks or the program is not taken for a failure of the request."""
    for make_error in (asyncio.CancelledError, GeneratorExit):
        async with _client(emulator, "on_request_end", _raise_for({"GET"}, make_error)) as client:
            with pytest.raises(make_error):
                await client.flags.list()


async def _send_in_group(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(handler(request))
    return task.result()


@needs_middlewares
async def test_a_middleware_with_a_task_group(emulator: Emulator) -> None:
    """What it sends counts, and the errors of the group do not lead to the frames of aiohttp, which show the key."""
    emulator.inject(Fault.close(), times=None)
    async with (
        aiohttp.ClientSession(middlewares=(_send_in_group,)) as session,
        client_of(emulator, session=session, retry=RETRY) as client,
    ):
        with pytest.raises(OutcomeUnknownError, match="ExceptionGroup") as caught:
            await client.flags.users.remove_at("1", "on", 0)
    assert caught.value.__cause__ is not None
    group = caught.value.__cause__.__cause__
    assert isinstance(group, ExceptionGroup)
    assert [error.__traceback__ for error in group.exceptions] == [None]
    assert find_secrets(caught.value, [emulator.api_key]) == []
    assert len(emulator.requests) == 1


@needs_middlewares
async def test_a_connection_attempt_does_not_count_for_another(emulator: Emulator) -> None:
    """A client that a middleware uses has attempts of its own: what it sends says nothing about the outer request."""
    async with client_of(emulator) as inner:

        async def ask(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
            await inner.flags.list()
            return await handler(request)

        async with (
            aiohttp.ClientSession(middlewares=(ask,)) as session,
            AsyncExperimentClient("session-code-key", base_url=UNUSED_URL, session=session, retry=RETRY) as client,
        ):
            with pytest.raises(AmpExpError, match=r"Nothing was sent\."):
                await client.flags.create(project_id="1", key="new")
    assert [request.method for request in emulator.requests] == ["GET"] * ATTEMPTS
