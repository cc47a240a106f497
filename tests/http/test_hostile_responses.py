"""Responses that are too large, that were not requested, or that come at the wrong time."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import cache, partial
from typing import Any

import aiohttp
import pytest

from amp_exp_async import (
    AmpExpError,
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AsyncExperimentClient,
    OutcomeUnknownError,
    RetryPolicy,
    ServerError,
    UnexpectedResponseError,
)
from tests.conftest import PATHS
from tests.crossing import cross
from tests.polling import eventually, wait_until
from tests.reliability.raw_server import RawConnection, RawServer, Script, chunk, head, response

pytestmark = pytest.mark.usefixtures("each_path")

KEY = "hostile-management-key"
LIMIT = 100_000
RETRY = RetryPolicy(max_attempts=3, backoff_base=0.0)
Send = Callable[[RawConnection], Awaitable[None]]


def client_of(server: RawServer, **options: Any) -> AsyncExperimentClient:
    """Return a client that accepts responses up to `LIMIT`."""
    values = {"rate_limit": None, "retry": RETRY, "max_response_bytes": LIMIT, "timeout": 20.0}
    return AsyncExperimentClient(KEY, base_url=server.url, **values | options)


def always(send: Send | bytes) -> Script:
    """Answer every request of a connection in the same way."""

    async def serve(connection: RawConnection) -> None:
        while await connection.read_request() is not None:
            await (connection.send(send) if isinstance(send, bytes) else send(connection))

    return serve


def flag(id: str) -> bytes:
    """Return a flag with this ID, as JSON."""
    return b'{"id": "%s", "key": "k", "projectId": "1"}' % id.encode()


async def _endless_chunks(connection: RawConnection) -> None:
    await connection.send(head([("Transfer-Encoding", "chunked")]))
    while True:
        await connection.send(chunk(b" " * 10_000))


async def _endless_until_closed(connection: RawConnection) -> None:
    await connection.send(head())
    while True:
        await connection.send(b" " * 10_000)


async def _declared(connection: RawConnection) -> None:
    await connection.send(head([("Content-Length", str(10**12))]))
    while True:
        await connection.send(b" " * 10_000)


def _bomb(encoding: str, compress: Callable[[bytes], bytes]) -> Send:
    async def send(connection: RawConnection) -> None:
        await connection.send(response(body(), headers=[("Content-Encoding", encoding)]))

    @cache
    def body() -> bytes:
        bomb = compress(bytes(1 << 28))
        assert len(bomb) < 1 << 22
        return bomb

    return send


ENDLESS: dict[str, Send] = {
    "chunks": _endless_chunks,
    "until closed": _endless_until_closed,
    "declared": _declared,
    "gzip": _bomb("gzip", lambda data: gzip.compress(data, 1)),
    "deflate": _bomb("deflate", lambda data: zlib.compress(data, 1)),
}


@pytest.mark.parametrize(("send", "each_path"), cross(ENDLESS, PATHS), indirect=["each_path"])
async def test_a_response_without_end(send: Send) -> None:
    """It is read up to the limit, rejected by name, not requested again, and its connection is not used again."""
    with RawServer(always(send)) as server:
        async with client_of(server) as client:
            with pytest.raises(UnexpectedResponseError, match=r"is larger than 100000 bytes") as caught:
                await client.flags.get("1")
            assert caught.value.attempts == 1
            with pytest.raises(UnexpectedResponseError, match="The change may have been applied"):
                await client.flags.edit("1", name="x")
            with pytest.raises(OutcomeUnknownError) as unknown:
                await client.flags.users.remove_at("1", "on", 0)
            assert isinstance(unknown.value.__cause__, UnexpectedResponseError)
    assert server.lines == [
        "GET /api/1/flags/1",
        "PATCH /api/1/flags/1",
        "DELETE /api/1/flags/1/variants/on/users/0",
    ]
    assert server.connections == 3


_TEXT = b'{"error": "no access"}'
_GZIP_HEAD, _EMPTY_BLOCK = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03", b"\x00\x00\x00\xff\xff"


def _endless_error(status: str) -> Send:
    async def send(connection: RawConnection) -> None:
        await connection.send(head([("Transfer-Encoding", "chunked")], status=status) + chunk(_TEXT))
        while True:
            await connection.send(chunk(b" " * 10_000))

    return send


def _error(status: str, encoding: str, body: bytes) -> bytes:
    return response(body, status=status, headers=[("Content-Encoding", encoding)])


# How the body of an error cannot be read as a whole, and whether its beginning is read.
LARGE_ERRORS: dict[str, tuple[Callable[[str], Send | bytes], bool]] = {
    "without end": (_endless_error, True),
    "long": (lambda status: response(_TEXT + b" " * (2 * LIMIT), status=status), True),
    "bomb": (lambda status: _error(status, "gzip", gzip.compress(_TEXT + b" " * (1 << 26), 1)), True),
    "compressed nothing": (lambda status: _error(status, "gzip", _GZIP_HEAD + _EMPTY_BLOCK * 50_000), False),
    "unknown encoding": (lambda status: _error(status, "br", _TEXT), False),
}


@pytest.mark.parametrize(("large", "each_path"), cross(LARGE_ERRORS, PATHS), indirect=["each_path"])
@pytest.mark.parametrize("status", ["400 Bad Request", "403 Forbidden", "404 Not Found", "409 Conflict"])
async def test_a_refusal_with_a_large_body(large: tuple[Callable[[str], Send | bytes], bool], status: str) -> None:
    """The status refuses the request, whatever is read of the body, and the connection is not used again."""
    make_response, has_text = large
    with RawServer(always(make_response(status))) as server:
        async with client_of(server) as client:
            for call in (
                partial(client.flags.create, project_id="1", key="x"),
                partial(client.flags.edit, "1", name="x"),
            ):
                with pytest.raises(APIStatusError) as caught:
                    await call()
                assert (caught.value.status, caught.value.attempts) == (int(status[:3]), 1)
                assert ("no access" in str(caught.value)) == has_text
    assert server.lines == ["POST /api/1/flags", "PATCH /api/1/flags/1"]


@pytest.mark.parametrize(("large", "each_path"), cross(LARGE_ERRORS, PATHS), indirect=["each_path"])
async def test_a_server_error_with_a_large_body(large: tuple[Callable[[str], Send | bytes], bool]) -> None:
    """A read is repeated, and the outcome of a removal by index is unknown."""
    with RawServer(always(large[0]("503 Busy"))) as server:
        async with client_of(server) as client:
            with pytest.raises(ServerError) as caught:
                await client.flags.get("1")
            assert caught.value.attempts == RETRY.max_attempts
            with pytest.raises(OutcomeUnknownError):
                await client.flags.users.remove_at("1", "on", 0)
    assert len(server.requests) == RETRY.max_attempts + 1


@pytest.mark.parametrize(("encoding", "each_path"), cross(["gzip", "deflate"], PATHS), indirect=["each_path"])
async def test_a_bomb_does_not_block_the_event_loop(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step decompresses a bounded amount, and other tasks run between the steps."""
    sizes: list[int] = []
    create = zlib.decompressobj

    class Decompressor:
        def __init__(self, wbits: int) -> None:
            self.real = create(wbits)

        def __getattr__(self, name: str) -> object:
            return getattr(self.real, name)

        def decompress(self, data: bytes, max_length: int) -> bytes:
            block = self.real.decompress(data, max_length)
            sizes.append(len(block))
            return block

    monkeypatch.setattr(zlib, "decompressobj", Decompressor)
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    with RawServer(always(ENDLESS[encoding])) as server:
        async with client_of(server, max_response_bytes=1 << 26) as client:
            counting = asyncio.ensure_future(count())
            with pytest.raises(UnexpectedResponseError, match="larger than"):
                await client.flags.get("1")
            counting.cancel()
    assert max(sizes) <= 1 << 20
    assert 1 << 26 < sum(sizes) < 1 << 27
    assert turns > (1 << 26) / (1 << 22)


@pytest.mark.parametrize("encoding", ["", "gzip"])
@pytest.mark.parametrize("excess", [0, 1])
async def test_the_limit_is_exact(encoding: str, excess: int) -> None:
    """A body of the maximum size is accepted, and one more byte is rejected; what counts is its decompressed size."""
    body = b'"' + b"x" * (LIMIT + excess - 2) + b'"'
    headers = [("Content-Encoding", encoding)] if encoding else []
    answer = response(gzip.compress(body) if encoding else body, headers=headers)
    with RawServer(always(answer)) as server:
        async with client_of(server) as client:
            if excess:
                with pytest.raises(UnexpectedResponseError, match="larger than"):
                    await client.request("GET", "/x")
            else:
                assert len(await client.request("GET", "/x")) == LIMIT - 2
                assert len(await client.request("GET", "/x")) == LIMIT - 2
                assert server.connections == 1


MANY: dict[str, tuple[bytes, str]] = {
    "arrays": (b"[" + b"[]," * 270_000 + b"1]", "has more than 262144 arrays and objects"),
    "numbers": (b"[" + b"1," * 2_200_000 + b"1]", "has more than 2097152 values"),
    "digits": (b"1" * 600_000, "has too many long numbers"),
}


@pytest.mark.parametrize(("many", "each_path"), cross(MANY, PATHS), indirect=["each_path"])
async def test_too_many_values(many: tuple[bytes, str]) -> None:
    """What would take long to parse is rejected by name before; of an error, only the beginning is parsed."""
    body, reason = many
    with RawServer(always(response(body))) as server:
        async with client_of(server, max_response_bytes=1 << 26) as client:
            with pytest.raises(UnexpectedResponseError, match=f"the response {reason}") as caught:
                await client.flags.get("1")
            assert caught.value.attempts == 1
            server.script = always(response(body, status="400 Bad Request"))
        async with client_of(server, max_response_bytes=1 << 26) as client:
            with pytest.raises(APIStatusError) as rejected:
                await client.flags.get("1")
            assert (rejected.value.status, len(rejected.value.body)) == (400, 1 << 16)


@pytest.mark.parametrize(
    "fields",
    [[("X", "y" * 9_000)], [("y" * 9_000, "X")], [(f"X-{number}", "y") for number in range(200)]],
    ids=["long value", "long name", "many"],
)
async def test_too_large_headers(fields: list[tuple[str, str]]) -> None:
    """They are rejected by name, and the request is not sent again: the next response would be the same."""
    with RawServer(always(response(headers=fields))) as server:
        async with client_of(server) as client:
            for call in (client.flags.get("1"), client.flags.edit("1", name="x")):
                with pytest.raises(
                    UnexpectedResponseError, match="the headers of the response are too large"
                ) as caught:
                    await call
                assert "max_response_bytes" not in str(caught.value)
            with pytest.raises(OutcomeUnknownError, match="headers of the response are too large"):
                await client.flags.users.remove_at("1", "on", 0)
    assert len(server.requests) == 3


async def test_a_response_that_was_not_requested() -> None:
    """It is not taken for the answer to the next request."""
    strays = 0

    async def serve(connection: RawConnection) -> None:
        nonlocal strays
        while (request := await connection.read_request()) is not None:
            id = request.target.rpartition("/")[2]
            await connection.send(response(flag(id)))
            if id == "1":
                await connection.send(response(flag("666")))
                strays += 1

    with RawServer(serve) as server:
        async with client_of(server) as client:
            for number, id in enumerate(["1", "2", "3"] * 2):
                assert (await client.flags.get(id)).id == id
                await eventually(lambda: strays == 1 + number // 3)  # noqa: B023 - awaited at once
                await asyncio.sleep(0.05)
    assert server.connections == 3


@pytest.mark.parametrize("blocks", [True, False], ids=["event loop blocked", "event loop free"])
@pytest.mark.parametrize("callers", [True, False], ids=["caller's session", "own session"])
async def test_a_stray_success_is_not_that_of_a_write(callers: bool, blocks: bool) -> None:
    """A write is not sent over a connection with an unread success, but over another one, and arrives."""
    strays = 0

    async def serve(connection: RawConnection) -> None:
        nonlocal strays
        while (request := await connection.read_request()) is not None:
            await connection.send(response(flag("1") if request.method == "GET" else "OK"))
            if request.method == "GET":
                await connection.send(response("OK"))
                strays += 1

    async with maybe_session(callers) as options:
        with RawServer(serve) as server:
            async with client_of(server, **options) as client:
                await client.flags.get("1")
                if blocks:
                    block(lambda: strays == 1)
                else:
                    await eventually(lambda: strays == 1)
                    await asyncio.sleep(0.1)
                await client.flags.users.remove_at("1", "on", 0)
    assert [(request.method, request.connection) for request in server.requests] == [("GET", 0), ("DELETE", 1)]


def block(condition: Callable[[], bool]) -> None:
    """Block the event loop until something has happened on the server, and has reached this machine's sockets."""
    wait_until(condition)
    time.sleep(0.1)


@pytest.mark.parametrize("number", range(8))
async def test_a_creation_after_the_event_loop_was_blocked(number: int) -> None:
    """A connection that the server has closed meanwhile is not used, so the creation arrives."""
    created = b'{"id": "%d", "url": "https://host"}' % number

    async def serve(connection: RawConnection) -> None:
        while (request := await connection.read_request()) is not None:
            await connection.send(response(created if request.method == "POST" else b'{"flags": []}'))
            if request.method == "GET":
                return  # closes the connection

    # Half of the times with the caller's session.
    async with maybe_session(number % 2 == 1) as options:
        with RawServer(serve) as server:
            async with client_of(server, **options) as client:
                await client.flags.list()
                block(lambda: server.open_connections == 0)
                assert (await client.flags.create(project_id="1", key="k")).id == str(number)
    assert server.lines == ["GET /api/1/flags", "POST /api/1/flags"]


@pytest.mark.parametrize("blocks", [True, False], ids=["event loop blocked", "event loop free"])
@pytest.mark.parametrize("callers", [True, False], ids=["caller's session", "own session"])
async def test_a_server_that_speaks_first(callers: bool, blocks: bool) -> None:
    """Nothing was sent to it: its words are not the answer to a request."""
    spoken = 0

    async def serve(connection: RawConnection) -> None:
        nonlocal spoken
        await connection.send(response("OK"))
        spoken += 1
        while await connection.read_request() is not None:
            pass

    async with maybe_session(callers) as options:
        with RawServer(serve) as server:
            async with client_of(server, timeout=1.0, **options) as client:
                connector: Any = client._transport.session.open().connector
                connector = getattr(connector, "_connector", connector)  # that of the caller
                create, created = connector._create_connection, itertools.count(1)

                async def create_slowly(*args: Any) -> Any:
                    protocol, number = await create(*args), next(created)
                    if blocks:
                        block(lambda: spoken == number)
                    else:
                        await eventually(lambda: protocol.should_close)
                    return protocol

                connector._create_connection = create_slowly
                with pytest.raises(APIConnectionError, match="Nothing was sent") as caught:
                    await client.flags.users.remove_at("1", "on", 0)
                assert (caught.value.sent, caught.value.attempts) == (False, 3)
        assert server.requests == []


@asynccontextmanager
async def maybe_session(callers: bool) -> AsyncIterator[dict[str, Any]]:
    """Yield the options of a client with a session of the caller, or without one."""
    if not callers:
        yield {}
        return
    async with aiohttp.ClientSession() as session:
        yield {"session": session}


STRAYS = {
    "a byte": b"H",
    "part of a head": b"HTTP/1.1 200 OK\r\nContent-Le",
    "informational": head(status="103 Early Hints"),
}


@pytest.mark.parametrize("stray", STRAYS.values(), ids=STRAYS)
@pytest.mark.parametrize("callers", [True, False], ids=["caller's session", "own session"])
async def test_the_beginning_of_a_stray_response(callers: bool, stray: bytes) -> None:
    """It does not spoil the next request, whether it comes with the response before it or later."""

    async def serve(connection: RawConnection) -> None:
        await connection.read_request()
        if connection.number == 0:
            await connection.send(response(flag("1")) + stray)
        else:
            await connection.send(response(flag("1")))
            await asyncio.sleep(0.05)
            await connection.send(stray)
        while await connection.read_request() is not None:
            await connection.send(response(flag("666")))

    async with maybe_session(callers) as options:
        with RawServer(serve) as server:
            async with client_of(server, retry=RetryPolicy(max_attempts=1), **options) as client:
                await client.flags.get("1")
                await client.flags.get("1")
                await asyncio.sleep(0.1)
                await client.flags.get("1")
        assert [request.connection for request in server.requests] == [0, 1, 2]


@pytest.mark.parametrize("each_path", ["connector", "session"], indirect=True)
async def test_data_on_an_idle_connection() -> None:
    """It ends the connection at once: otherwise aiohttp would keep all that the server sends.

    With a release of aiohttp that is not supported, the connection is only not used again, as the tests above show.
    """

    async def serve(connection: RawConnection) -> None:
        await connection.read_request()
        await connection.send(response(flag("1")))
        await asyncio.sleep(0.05)
        while True:
            await connection.send(response("OK"))

    with RawServer(serve) as server:
        async with client_of(server) as client:
            await client.flags.get("1")
            await eventually(lambda: server.open_connections == 0)


@pytest.mark.parametrize("callers", [True, False], ids=["caller's session", "own session"])
@pytest.mark.parametrize("body", ["late", b""], ids=["body", "no body"])
@pytest.mark.parametrize("closes", [True, False], ids=["closes", "keeps alive"])
async def test_a_408_is_a_lost_connection(callers: bool, body: str | bytes, closes: bool) -> None:
    """It does not say whether the request arrived: what may be repeated is, over another connection."""
    fields = [("Connection", "close")] if closes else []
    timeout = response(body, status="408 Request Timeout", headers=fields)

    async def serve(connection: RawConnection) -> None:
        while await connection.read_request() is not None:
            await connection.send(response("OK") if len(server.requests) == 3 else timeout)

    async with maybe_session(callers) as options:
        with RawServer(serve) as server:
            async with client_of(server, **options) as client:
                await client.flags.edit("1", name="x")
                assert [request.connection for request in server.requests] == [0, 1, 2]
                server.requests.clear()
                with pytest.raises(OutcomeUnknownError, match="408"):
                    await client.flags.users.remove_at("1", "on", 0)
                server.requests.clear()
                policy = RetryPolicy(max_attempts=2, backoff_base=0.0)
                with pytest.raises(APIConnectionError, match="answered 408") as caught:
                    await client.with_options(retry=policy).flags.get("1")
                assert caught.value.attempts == 2
            assert server.connections == 5


@pytest.mark.parametrize("stage", ["head", "body", "connecting"])
async def test_a_cancelled_request_ends_its_connection(stage: str) -> None:
    """Nothing of it is left: no connection, no permit and no response that could be taken for another one."""

    async def serve(connection: RawConnection) -> None:
        while await connection.read_request() is not None:
            if stage == "body":
                await connection.send(response(flag("1"))[:-1])
            await connection.wait_closed()

    with RawServer(serve) as server:
        async with client_of(server) as client:
            connector = client._transport.session.open().connector
            assert connector is not None
            for _ in range(3):
                call = asyncio.ensure_future(client.flags.get("1"))
                if stage == "connecting":
                    await asyncio.sleep(0)
                else:
                    await eventually(lambda: bool(server.requests))
                call.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await call
                server.requests.clear()
                assert (connector._acquired, dict(connector._conns)) == (set(), {})
            await eventually(lambda: server.open_connections == 0)


SHAPES: dict[str, bytes] = {
    "chunks": head([("Transfer-Encoding", "chunked")]) + chunk(flag("1")[:9]) + chunk(flag("1")[9:]) + chunk(b""),
    "until closed": head() + flag("1"),
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\n\r\n" + flag("1"),
    "information first": head(status="103 Early Hints") + head(status="102 Processing") + response(flag("1")),
    "gzip": response(gzip.compress(flag("1")), headers=[("Content-Encoding", "gzip")]),
    "connection closed": response(flag("1"), headers=[("Connection", "close")]),
}


@pytest.mark.parametrize("answer", SHAPES.values(), ids=SHAPES)
async def test_shapes_of_a_response(answer: bytes) -> None:
    """Every form of HTTP/1 is read to its end."""

    async def serve(connection: RawConnection) -> None:
        while await connection.read_request() is not None:
            await connection.send(answer)
            if b"Content-Length" not in answer and b"chunked" not in answer:
                return

    with RawServer(serve) as server:
        async with client_of(server) as client:
            for _ in range(2):
                assert (await client.flags.get("1")).id == "1"


@pytest.mark.parametrize(
    "status", ["204 No Content", "304 Not Modified", "101 Switching Protocols", "099 Low", "999 High"]
)
async def test_statuses_without_a_body(status: str) -> None:
    """They end, as a success or as an error of the library."""
    with RawServer(always(head(status=status))) as server:
        async with client_of(server, timeout=0.5, retry=RetryPolicy(max_attempts=1)) as client:
            call = client.flags.edit("1", name="x")
            if status.startswith("204"):
                await call
            else:
                with pytest.raises((APIStatusError, APIConnectionError, UnexpectedResponseError)):
                    await call


async def test_endless_information() -> None:
    """Provisional responses without end are cut off by the timeout."""

    async def send(connection: RawConnection) -> None:
        while True:
            await connection.send(head(status="100 Continue") * 100)

    with RawServer(always(send)) as server:
        async with client_of(server, timeout=0.5, retry=RetryPolicy(max_attempts=1)) as client:
            with pytest.raises(APITimeoutError):
                await client.flags.get("1")


@pytest.mark.filterwarnings("ignore:Sending a large body")
async def test_an_answer_before_the_request_is_complete() -> None:
    """The rest of the request is not taken for the next one: its connection is not used again."""

    async def serve(connection: RawConnection) -> None:
        if connection.number == 0:
            await connection._reader.readuntil(b"\r\n\r\n")
            await connection.send(response("too large", status="413 Payload Too Large"))
            await asyncio.sleep(0.2)
            await connection.wait_closed()
        while await connection.read_request() is not None:
            await connection.send(response(flag("1")))

    with RawServer(serve) as server:
        async with client_of(server) as client:
            with pytest.raises(APIStatusError) as caught:
                await client.request("PATCH", "/flags/1", json={"description": "x" * 20_000_000})
            assert caught.value.status == 413
            assert (await client.flags.get("1")).id == "1"
    assert server.connections == 2


LONG = b"a" * 8000
QUOTED = {
    "name of a header": b"HTTP/1.1 200 OK\r\nX %s: 1\r\n\r\n" % LONG,
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: %s\r\n\r\n" % (b"1" * 8000),
    "status": b"HTTP/1.1 %s\r\n\r\n" % LONG,
    "words": b"HTTP/1.1 200 OK\r\nX %s: 1\r\n\r\n" % (b"Basic " * 1300),
    "body": response(LONG),
    "body of an error": response(LONG, status="400 Bad Request"),
    "name in a document": response(b'{"id": "1", "key": "k", "rolloutWeights": {"%s": []}}' % LONG),
    "value in a document": response(b'{"id": "1", "key": "k", "enabled": "%s"}' % LONG),
    "ID": response(b'{"id": "%s", "key": "k"}' % LONG),
    "ID of a request": response(b"{}", status="400 Bad Request", headers=[("X-Request-Id", "a" * 8000)]),
}


@pytest.mark.parametrize("answer", QUOTED.values(), ids=QUOTED)
async def test_a_long_text_in_an_error(answer: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """It is cut, in the error and in the log."""
    caplog.set_level("DEBUG", logger="amp_exp_async")
    with RawServer(always(answer)) as server:
        async with client_of(server, retry=RetryPolicy(max_attempts=1)) as client:
            with pytest.raises(AmpExpError) as caught:
                await client.flags.get("1")
    texts = [str(caught.value), str(getattr(caught.value, "location", "")), *caplog.messages]
    assert max(map(len, texts)) < 1000
