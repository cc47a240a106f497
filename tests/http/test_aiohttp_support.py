"""Whether requests go over aiohttp's connector or through its session."""

from __future__ import annotations

import ast
import gc
import inspect
import logging
from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import Any

import aiohttp
import pytest
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http_parser import HttpResponseParser, RawResponseMessage

from amp_exp_async import AsyncExperimentClient, ConfigurationError
from amp_exp_async.emulator import Emulator
from amp_exp_async.http import aiohttp_support, connector, exchange, response_body
from amp_exp_async.http.aiohttp_support import NEEDED, NEEDED_BY_CHECKS
from amp_exp_async.http.connector import WrappedConnector, _has_partial_response
from tests.clients import client_of
from tests.reliability.raw_server import RawServer, answer_all, response


@pytest.fixture
async def session_requests(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record the methods of the requests that go through sessions, although they are not replaced."""
    assert aiohttp_support.is_supported()
    return record_requests(monkeypatch)


def record_requests(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record them from now on."""
    requests: list[str] = []
    send = aiohttp.ClientSession._request

    async def record(session: aiohttp.ClientSession, method: str, *args: Any, **options: Any) -> Any:
        requests.append(method)
        return await send(session, method, *args, **options)

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


def _inherit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(ResponseHandler, "data_received")  # asyncio's protocols have it too


def _rename_factory(monkeypatch: pytest.MonkeyPatch) -> None:
    create = aiohttp.BaseConnector.__init__

    def rename(connector: Any, *args: Any, **options: Any) -> None:
        create(connector, *args, **options)
        del connector._factory

    monkeypatch.setattr(aiohttp.BaseConnector, "__init__", rename)


CHANGES = {
    "ResponseHandler.force_close": _remove,
    "ResponseHandler.set_response_params": _change_parameters,
    "ResponseHandler.should_close": _change_kind,
    "ResponseHandler.data_received": _inherit,
    "BaseConnector._factory": _rename_factory,
}


def replace(monkeypatch: pytest.MonkeyPatch, owner: type, name: str, members: dict[str, Any]) -> None:
    """Let the check find another class with these members, since some of aiohttp's are in C and cannot be changed."""
    other = type(owner.__name__, (), members)
    for list_name, needed in (("NEEDED", NEEDED), ("NEEDED_BY_CHECKS", NEEDED_BY_CHECKS)):
        changed = [(other if (of, what) == (owner, name) else of, what, form) for of, what, form in needed]
        monkeypatch.setattr(aiohttp_support, list_name, changed)


async def expect_unsupported(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """Expect one line of the log about a missing name."""
    caplog.set_level(logging.DEBUG, logger="amp_exp_async")
    for _ in range(2):
        assert not aiohttp_support.is_supported()
    (message,) = caplog.messages
    assert message == f"aiohttp {aiohttp.__version__} has no {name}. Requests use its session."


async def expect_the_session(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Expect that no client uses the connector, and that connections are checked all the same."""
    requests = record_requests(monkeypatch)
    async with client_of(emulator) as client:
        assert await client.flags.list() == []
        assert type(client._transport.session.open().connector) is WrappedConnector
    assert requests == ["GET"]


def name_of(value: object) -> str | None:
    """Return the ID of a parameter."""
    return value.__name__ if isinstance(value, type) else value if isinstance(value, str) else ""


@pytest.mark.parametrize("name", CHANGES)
async def test_another_release_of_aiohttp(
    name: str, emulator: Emulator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """If something is missing or has another form, its name is logged once, and no client uses the connector."""
    with monkeypatch.context() as patch:
        CHANGES[name](patch)
        await expect_unsupported(name, caplog)
    await expect_the_session(emulator, monkeypatch)


@pytest.mark.parametrize(("owner", "name", "parameters"), NEEDED, ids=name_of)
@pytest.mark.parametrize("is_removed", [True, False], ids=["removed", "another form"])
async def test_everything_that_is_needed(
    *,
    owner: type,
    name: str,
    parameters: Collection[str] | None,
    is_removed: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """If it is missing, or is a method with other parameters or an attribute instead, the release is not supported."""
    other = None if parameters == () else lambda: None
    replace(monkeypatch, owner, name, {} if is_removed else {name: other})
    await expect_unsupported(f"{owner.__name__}.{name}", caplog)


async def test_a_release_that_names_something_else(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """A removal by index arrives once and succeeds: it does not end in an error after it was applied."""
    monkeypatch.setattr(aiohttp.connector.Connection, "put_back", aiohttp.connector.Connection.release, raising=False)
    monkeypatch.delattr(aiohttp.connector.Connection, "release")

    def release(response: Any) -> None:
        if response._connection is not None:
            response._connection.put_back()
            response._connection = None

    monkeypatch.setattr(aiohttp.ClientResponse, "_release_connection", release)
    id = emulator.state.add_flag(variants=[{"key": "on"}])["id"]
    async with client_of(emulator) as client:
        await client.flags.users.add(id, "on", ["a", "b"])
        for _ in range(2):
            await client.flags.users.remove_at(id, "on", 0)
    assert [request.method for request in emulator.requests] == ["POST", "DELETE", "DELETE"]


@pytest.mark.parametrize("callers", [True, False], ids=["caller's session", "own session"])
@pytest.mark.parametrize(("owner", "name"), [needed[:2] for needed in NEEDED_BY_CHECKS], ids=name_of)
async def test_a_release_whose_connections_cannot_be_checked(
    *,
    owner: type,
    name: str,
    callers: bool,
    emulator: Emulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is rejected before anything is sent: a response could be taken for that to another request."""
    replace(monkeypatch, owner, name, {})
    async with aiohttp.ClientSession() as session:
        client = client_of(emulator, session=session if callers else None)
        for start in (client.__aenter__, client.flags.list):
            with pytest.raises(ConfigurationError) as caught:
                await start()
            assert f"has no {owner.__name__}.{name}, so the response" in str(caught.value)
        await client.aclose()
    gc.collect()
    assert emulator.requests == []


def test_a_protocol_without_a_parser() -> None:
    """It is not known what it has read, so its connection is not used again."""
    assert _has_partial_response(object())


# The variables of the modules that hold objects of aiohttp.
VARIABLES = {
    "connection": Connection,
    "self._connector": aiohttp.BaseConnector,
    "self._destination": aiohttp.ClientRequest,
    "message": RawResponseMessage,
    "parser": HttpResponseParser,
    "payload": aiohttp.StreamReader,
    "protocol": ResponseHandler,
}


def used_names() -> set[tuple[str, str]]:
    """Return the classes of aiohttp, and what of them the modules use that send requests over the connector."""
    names: set[tuple[str, str]] = set()
    for module in (connector, exchange, response_body):
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            if isinstance(node, ast.Attribute) and (owner := VARIABLES.get(ast.unparse(node.value))):
                names.add((owner.__name__, node.attr))
            if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("super()."):
                names.add(("super", ast.unparse(node.func).removeprefix("super().")))
    return names


def test_the_check_is_complete() -> None:
    """Everything that is used of aiohttp's connections, protocols, parsers and responses is checked."""
    ours = {"is_idle"}
    used = {(owner, name) for owner, name in used_names() if name not in ours}
    assert len(used) > 15
    checked = {(owner.__name__, name) for owner, name, _ in NEEDED}
    overridden = {("super", name) for _, name in checked}
    assert used - checked - overridden == set()


def _with_proxy(options: dict[str, Any], url: str) -> None:
    options["proxy"] = url


def _with_header(options: dict[str, Any], _: str) -> None:
    options["headers"] = {"X-Added": "theirs"}


def _with_middleware(options: dict[str, Any], _: str) -> None:
    async def add(request: Any, handler: Any) -> Any:
        request.headers["X-Added"] = "theirs"
        return await handler(request)

    options["middlewares"] = (add,)


ADDITIONS: dict[str, Callable[[dict[str, Any], str], None]] = {"proxy": _with_proxy, "header": _with_header}
if "middlewares" in inspect.signature(aiohttp.ClientSession).parameters:  # since aiohttp 3.12
    ADDITIONS["middleware"] = _with_middleware


@pytest.mark.parametrize("addition", ADDITIONS)
async def test_code_that_changes_how_sessions_are_made(addition: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it gives to every session is used for the requests of clients too."""
    create = aiohttp.ClientSession.__init__

    def add(session: aiohttp.ClientSession, **options: Any) -> None:
        ADDITIONS[addition](options, server.url)
        create(session, **options)

    monkeypatch.setattr(aiohttp.ClientSession, "__init__", add)
    with RawServer(answer_all(response(b'{"id": "1", "key": "k"}'))) as server:
        url = "http://service.invalid" if addition == "proxy" else server.url
        async with AsyncExperimentClient("added-key", base_url=url, allow_insecure_http=True) as client:
            await client.flags.get("1")
    (request,) = server.requests
    if addition == "proxy":
        assert request.target == "http://service.invalid/api/1/flags/1"
    else:
        assert request.headers["x-added"] == "theirs"


class Wrapper:
    """What libraries put in the place of a method to observe it: it looks like the method, as those of wrapt do."""

    def __init__(self, method: Any) -> None:
        self.method = method
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.method, name)

    def __get__(self, instance: object, owner: type) -> Callable[..., Any]:
        return partial(self, instance) if instance is not None else self

    def __call__(self, *args: Any, **options: Any) -> Any:
        self.calls += 1
        return self.method(*args, **options)


@pytest.mark.parametrize(("name", "original"), [("request", "_REQUEST"), ("_request", "_INNER_REQUEST")])
async def test_a_method_that_was_wrapped_before_the_import(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, name: str, original: str
) -> None:
    """Requests go through the wrapper, although it has the code of aiohttp's method."""
    wrapper = Wrapper(getattr(aiohttp.ClientSession, name))
    monkeypatch.setattr(aiohttp.ClientSession, name, wrapper)
    monkeypatch.setattr(aiohttp_support, original, wrapper)
    await list_flags(client_of(emulator))
    assert wrapper.calls == 2


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


async def test_the_same_request_on_each_path(emulator: Emulator) -> None:
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
