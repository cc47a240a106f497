"""A response that is not understood ends its connection, so that no other request gets the right one, which is late."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import orjson
import pytest

from amp_exp_async import (
    AsyncBetaClient,
    AsyncExperimentClient,
    OutcomeUnknownError,
    RetryPolicy,
    UnexpectedResponseError,
)
from tests.conftest import PATHS, use_path
from tests.crossing import cross
from tests.reliability.raw_server import RawConnection, RawServer, Script, response

FLAG = {"id": "1", "key": "k", "projectId": "1"}
WAYS = [*PATHS, "caller's session", "traces"]
Call = Callable[[AsyncExperimentClient], Awaitable[Any]]


def answer_late(wrong: bytes) -> Script:
    """Return a script: the first response is wrong, and a late one answers what follows on its connection."""

    async def script(connection: RawConnection) -> None:
        answers = [wrong] if connection.number == 0 else []
        late = response(orjson.dumps(FLAG)) if connection.number == 0 else response()
        while await connection.read_request() is not None:
            await connection.send(answers.pop() if answers else late)

    return script


@asynccontextmanager
async def client_of(server: RawServer, way: str, **options: Any) -> AsyncIterator[AsyncExperimentClient]:
    """Open a client whose requests go in some way through aiohttp."""
    async with AsyncExitStack() as stack:
        if way == "caller's session":
            options["session"] = await stack.enter_async_context(aiohttp.ClientSession())
        elif way == "traces":
            options.setdefault("trace_configs", [aiohttp.TraceConfig()])
        retry = RetryPolicy(max_attempts=1)
        client = AsyncExperimentClient("wrong-key", base_url=server.url, rate_limit=None, retry=retry, **options)
        yield await stack.enter_async_context(client)


async def list_deployments(client: AsyncExperimentClient) -> None:
    await client.flags.deployments.list("1")


async def list_flags(client: AsyncExperimentClient) -> None:
    await client.flags.list()


async def list_page(client: AsyncExperimentClient) -> None:
    await client.flags.list(cursor="c1")


MANY = [FLAG | {"id": str(index)} for index in range(1000)]
WRONG: dict[str, tuple[Call, bytes]] = {
    "read of another flag": (lambda c: c.flags.get("1"), response(orjson.dumps(FLAG | {"id": "666"}))),
    "read of another variant": (lambda c: c.flags.variants.get("1", "on"), response(b'{"key": "off"}')),
    "not JSON": (lambda c: c.flags.get("1"), response(b"OK")),
    "wrong type": (lambda c: c.flags.get("1"), response(orjson.dumps(FLAG | {"enabled": []}))),
    "edit of another flag": (lambda c: c.flags.edit("1", name="x"), response(orjson.dumps(FLAG | {"id": "666"}))),
    "web page": (lambda c: c.flags.edit("1", name="x"), response(b"<html>")),
    "failure": (lambda c: c.flags.users.add("1", "on", ["u"]), response(b'{"error": "no"}')),
    "array for IDs": (list_deployments, response(b"{}")),
    "page without items": (list_flags, response(orjson.dumps(FLAG))),
    "page with a bad item": (list_flags, response(orjson.dumps({"flags": [*MANY, {"id": []}]}))),
    "page before": (list_page, response(orjson.dumps({"flags": MANY, "nextCursor": "c1"}))),
    "too large": (lambda c: c.flags.get("1"), response(b"x" * 300_000)),
    "encoding": (lambda c: c.flags.get("1"), response(b"x", headers=[("Content-Encoding", "br")])),
}


@pytest.mark.parametrize(("wrong", "way"), cross(WRONG, WAYS))
async def test_the_next_request(wrong: tuple[Call, bytes], way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes over another connection, and has its own response."""
    call, answer = wrong
    use_path(way, monkeypatch)
    with RawServer(answer_late(answer)) as server:
        async with client_of(server, way, max_response_bytes=200_000) as client:
            with pytest.raises(UnexpectedResponseError):
                await call(client)
            assert await client.flags.users.add("1", "on", ["u"]) is None
    assert [request.connection for request in server.requests] == [0, 1]


CREATIONS: dict[str, Call] = {
    "flag": lambda c: c.flags.create(project_id="1", key="new"),
    "variant": lambda c: c.flags.variants.create("1", key="new"),
    "mutex group": lambda c: c.mutexes.create(project_id="1", name="n", key="new", slots=[{"percentage": 100}]),
    "holdout group": lambda c: c.holdouts.create(project_id="1", name="n", key="new", holdout_percentage=5),
}


@pytest.mark.parametrize(("create", "way"), cross(CREATIONS, WAYS))
async def test_a_creation(create: Call, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the response names another key, it is that to another request: the outcome is read back."""
    use_path(way, monkeypatch)
    with RawServer(answer_late(response(orjson.dumps(FLAG)))) as server:
        async with client_of(server, way) as client:
            with pytest.raises(OutcomeUnknownError, match="the response is not understood") as caught:
                await create(client)
    assert 'at key: expected "new", got "k"' in str(caught.value.__cause__)
    assert [(request.method, request.connection) for request in server.requests] == [("POST", 0), ("GET", 1)]


async def test_a_creation_of_the_beta_api() -> None:
    """The same holds there."""
    with RawServer(answer_late(response(orjson.dumps(FLAG)))) as server:
        async with AsyncBetaClient("wrong-key", base_url=server.url, retry=RetryPolicy(max_attempts=1)) as client:
            with pytest.raises(OutcomeUnknownError):
                await client.experiments.create(project_id="1", key="new")
    assert [(request.method, request.connection) for request in server.requests] == [("POST", 0), ("GET", 1)]


@pytest.mark.parametrize("fields", [{}, {"key": "new"}, {"key": None}])
async def test_a_creation_that_is_acknowledged(fields: dict[str, Any]) -> None:
    """A response without a key, or with that of the request, is right."""
    body = orjson.dumps({"id": "7", **fields})

    async def script(connection: RawConnection) -> None:
        while await connection.read_request() is not None:
            await connection.send(response(body))

    with RawServer(script) as server:
        async with client_of(server, "connector") as client:
            assert (await client.flags.create(project_id="1", key="new")).id == "7"
            await client.flags.variants.create("7", key="new")
            assert (await client.deployments.create(project_id="1", label="other", type="server")).id == "7"
    assert len(server.requests) == 3


@pytest.mark.parametrize("way", WAYS)
async def test_a_request_during_the_parsing(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that starts while a long response is parsed does not take the connection either."""
    use_path(way, monkeypatch)
    others: list[asyncio.Task[None]] = []

    def start_other(_: object) -> None:
        if not others:
            others.append(asyncio.ensure_future(client.flags.users.add("1", "on", ["u"])))

    with RawServer(answer_late(WRONG["page with a bad item"][1])) as server:
        async with client_of(server, way, on_attempt=start_other) as client:
            with pytest.raises(UnexpectedResponseError):
                await client.flags.list()
            await others[0]
    assert [request.connection for request in server.requests] == [0, 1]


async def test_a_request_while_a_trace_takes_its_time() -> None:
    """aiohttp has put the connection into the pool by then, but another one is used."""
    trace = aiohttp.TraceConfig()

    async def send_other(_: object, __: object, params: aiohttp.TraceResponseChunkReceivedParams) -> None:
        if params.method == "GET":
            await client.flags.users.add("1", "on", ["u"])

    trace.on_response_chunk_received.append(send_other)
    with RawServer(answer_late(response(orjson.dumps(FLAG | {"id": "666"})))) as server:
        async with client_of(server, "traces", trace_configs=[trace]) as client:
            with pytest.raises(UnexpectedResponseError):
                await client.flags.get("1")
    assert [request.connection for request in server.requests] == [0, 1]


@pytest.mark.parametrize("way", WAYS)
async def test_right_responses(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """They leave their connection open for the next request."""
    use_path(way, monkeypatch)

    async def script(connection: RawConnection) -> None:
        while (request := await connection.read_request()) is not None:
            path = request.target.partition("?")[0]
            document = {"flags": MANY} if path.endswith("/flags") else FLAG
            await connection.send(response(orjson.dumps(document)))

    with RawServer(script) as server:
        async with client_of(server, way) as client:
            await client.flags.list()
            await client.flags.get("1")
            await client.flags.edit("1", name="x")
    assert {request.connection for request in server.requests} == {0}
