"""Whatever size a response has, a call uses little more memory than the bound, and does not block the event loop."""

from __future__ import annotations

import asyncio
import time
import tracemalloc
import zlib
from typing import Any, Self

import pytest
from attrs import frozen

from amp_exp_async import (
    AmpExpError,
    APIConnectionError,
    APITimeoutError,
    BadRequestError,
    NotFoundError,
    RetryPolicy,
    ServerError,
    UnexpectedResponseError,
)
from amp_exp_async.http.bounded_headers import AIOHTTP_HAS_BOUNDS
from tests.crossing import cross
from tests.polling import TIMEOUT
from tests.reliability.conftest import OWN_SESSION, SESSION_PATHS, ClientFactory
from tests.reliability.figures import Figures
from tests.reliability.hostile_responses import BODY, JSON, Outcome
from tests.reliability.raw_server import RawConnection, RawServer, chunk, head, response
from tests.reliability.wire_faults import BODY_BOUND, COMPRESSIONS, bomb

AREA = "Hostile server"

_BLOCK = b" " * 65_536
_MAX_MEMORY = 24 * BODY_BOUND
_MAX_STEP = 5.0
"""Seconds of CPU time that the event loop may be blocked for."""


@frozen
class Flood:
    """A response that is too large in some way.

    Attributes:
        outcome: what a call must end with.
        start: the bytes at its beginning.
        block: the bytes that follow again and again.
        count: how often they follow; None for as long as the client reads.
        hangs: whether only the timeout ends an attempt, because nothing of it has to be kept.
    """

    outcome: Outcome
    start: bytes
    block: bytes = b""
    count: int | None = 0
    hangs: bool = False

    async def script(self, connection: RawConnection) -> None:
        """Send the response to each request of a connection."""
        while await connection.read_request() is not None:
            await connection.send(self.start)
            sent = 0
            while self.count is None or sent < self.count:
                await connection.send(self.block)
                sent += 1


_CHUNKED = head([JSON, ("Transfer-Encoding", "chunked")])
_CLOSING = head([JSON, ("Connection", "close")])
_GOOD_HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n" % len(BODY)
_SIZE = BODY_BOUND + 1
# Where aiohttp bounds no headers, the client bounds all that is not body.
_TIMEOUT_OR_BOUND: Outcome = APITimeoutError if AIOHTTP_HAS_BOUNDS else "wrong"
_HEADERS_WITHOUT_END = frozenset({"endless headers", "endless cookies", "endless trailers"})

FLOODS: dict[str, Flood] = {
    "endless chunks": Flood(UnexpectedResponseError, _CHUNKED, chunk(_BLOCK), None),
    "endless small chunks": Flood(UnexpectedResponseError, _CHUNKED, chunk(b" " * 100) * 100, None),
    "endless body": Flood(UnexpectedResponseError, _CLOSING, _BLOCK, None),
    "a length of a terabyte": Flood(UnexpectedResponseError, head([("Content-Length", str(10**12))]), _BLOCK, None),
    "endless error": Flood(
        BadRequestError, head([("Content-Length", str(10**12))], status="400 Bad Request"), _BLOCK, None
    ),
    "endless 503": Flood(ServerError, head([("Transfer-Encoding", "chunked")], status="503 Busy"), chunk(_BLOCK), None),
    "endless 404 with the text of a removal": Flood(
        NotFoundError,
        head([("Content-Length", str(10**12))], status="404 Not Found"),
        b"not found " * 999,
        None,
    ),
    "one byte too many": Flood(UnexpectedResponseError, response(BODY + b" " * (_SIZE - len(BODY)))),
    "as many bytes as allowed": Flood("right", response(BODY + b" " * (BODY_BOUND - len(BODY)))),
    "endless status line": Flood("wrong", b"HTTP/1.1 200 ", b"x" * 65_536, None),
    "endless header line": Flood("wrong", b"HTTP/1.1 200 OK\r\nX-Long: ", b"x" * 65_536, None),
    "endless header name": Flood("wrong", b"HTTP/1.1 200 OK\r\n", b"x" * 65_536, None),
    "endless headers": Flood("wrong", b"HTTP/1.1 200 OK\r\n", b"X-Many: 1\r\n" * 5_000, None),
    "endless cookies": Flood("wrong", b"HTTP/1.1 200 OK\r\n", b"Set-Cookie: a=b; Path=/\r\n" * 5_000, None),
    "a header of 256 KiB": Flood(
        UnexpectedResponseError, _GOOD_HEAD + b"X-Long: " + b"x" * (256 << 10) + b"\r\n\r\n" + BODY
    ),
    "10,000 headers": Flood(UnexpectedResponseError, _GOOD_HEAD + b"X-Many: 1\r\n" * 10_000 + b"\r\n" + BODY),
    "endless chunk size": Flood(_TIMEOUT_OR_BOUND, _CHUNKED, b"0" * 65_536, None, hangs=True),
    "endless chunk extension": Flood(_TIMEOUT_OR_BOUND, _CHUNKED + b"5;x=", b"y" * 65_536, None, hangs=True),
    "endless trailers": Flood("wrong", _CHUNKED + chunk(BODY) + b"0\r\n", b"X-Trailer: 1\r\n" * 5_000, None),
    "endless hints": Flood(APITimeoutError, b"", head(status="103 Early Hints") * 2_000, None, hangs=True),
    "endless empty lines": Flood(_TIMEOUT_OR_BOUND, b"", b"\r\n" * 30_000, None, hangs=True),
    **{
        f"a bomb of {encoding}": Flood(
            UnexpectedResponseError, response(bomb(encoding), headers=[("Content-Encoding", encoding)])
        )
        for encoding in COMPRESSIONS
    },
    **{
        f"a bomb of {encoding} in small chunks": Flood(
            UnexpectedResponseError,
            head([("Content-Encoding", encoding), ("Transfer-Encoding", "chunked")])
            + b"".join(chunk(bomb(encoding)[start : start + 50]) for start in range(0, len(bomb(encoding)), 50))
            + chunk(b""),
        )
        for encoding in COMPRESSIONS
    },
    "endless compressed nothing": Flood(
        UnexpectedResponseError,
        head([JSON, ("Content-Encoding", "deflate"), ("Content-Length", str(10**12))]) + zlib.compress(b"")[:2],
        b"\x00\x00\x00\xff\xff" * 10_000,  # stored blocks of no bytes
        None,
    ),
    "a bomb with an error": Flood(
        ServerError,
        response(bomb("gzip"), status="500 Internal Server Error", headers=[("Content-Encoding", "gzip")]),
    ),
    "stray data without end": Flood("either", response(BODY), _BLOCK, None),
}


class Watch:
    """Measures the memory and the longest step of the event loop while a block runs."""

    def __init__(self) -> None:
        self.peak = 0
        self.longest = 0.0
        self._ticking: asyncio.Task[None] | None = None

    async def _tick(self) -> None:
        before = time.thread_time()
        while True:
            await asyncio.sleep(0)
            now = time.thread_time()
            self.longest, before = max(self.longest, now - before), now

    async def __aenter__(self) -> Self:
        tracemalloc.start()
        self._ticking = asyncio.create_task(self._tick())
        return self

    async def __aexit__(self, *exception: object) -> None:
        self.peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert self._ticking is not None
        self._ticking.cancel()


@pytest.mark.parametrize(("flood", "session_path"), cross(list(FLOODS), SESSION_PATHS), indirect=["session_path"])
async def test_a_flood(make_client: ClientFactory, session_path: str, figures: Figures, flood: str) -> None:
    """A call ends with an error long before its timeout, and a write that must not be repeated is not repeated."""
    expected, hangs = FLOODS[flood].outcome, FLOODS[flood].hangs
    is_bounded = AIOHTTP_HAS_BOUNDS or session_path == OWN_SESSION or flood not in _HEADERS_WITHOUT_END
    if not is_bounded:
        expected, hangs = APITimeoutError, True  # before aiohttp 3.13.4, the timeout is the only bound
    with RawServer(FLOODS[flood].script) as server:
        client = await make_client(
            server.url,
            max_response_bytes=BODY_BOUND,
            timeout=0.3 if hangs else TIMEOUT,
            retry=RetryPolicy(max_attempts=2, backoff_base=0.0),
        )
        async with Watch() as watch:
            result = await end_of(client.flags.get("1"))
        await end_of(client.flags.users.remove_at("1", "on", 0))
        await client.aclose()
    if expected == "right":
        assert result.id == "1"
    elif expected != "either":
        assert isinstance(result, _WRONG if expected == "wrong" else expected), repr(result)
    assert watch.peak < _MAX_MEMORY or not is_bounded  # then it depends on what arrives in the time
    assert watch.longest < _MAX_STEP
    assert [request.method for request in server.requests].count("DELETE") <= 1
    figures.count("floods")
    figures.peak("memory in a flood, MiB", round(watch.peak / 2**20, 1))


_WRONG = (APIConnectionError, UnexpectedResponseError)


async def end_of(call: Any) -> Any:
    """Return the result of a call, or its error. A call that hangs fails the test."""
    async with asyncio.timeout(TIMEOUT):
        try:
            return await call
        except AmpExpError as error:
            return error
