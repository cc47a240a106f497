"""The phases of an attempt: each has a limit of its own, and the attempt as a whole has one."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Any, TypeAlias

import aiohttp
import pytest

from amp_exp_async import (
    APITimeoutError,
    AsyncBetaClient,
    AsyncExperimentClient,
    BetaClient,
    ConfigurationError,
    ExperimentClient,
    OutcomeUnknownError,
    RetryPolicy,
    Timeout,
)
from amp_exp_async.http.timeouts import AttemptLimits, to_timeout
from tests import virtual_time
from tests.leaks import leaks
from tests.reliability.raw_server import RawConnection, RawServer, Script, head, response

KEY = "canary-management-key"
FLAG = '{"id": "1", "key": "k"}'
TWICE = RetryPolicy(max_attempts=2, backoff_base=0.0)
LONG = 20.0
"""Seconds that no test waits."""

Make: TypeAlias = Callable[..., Awaitable[AsyncExperimentClient]]


@pytest.fixture(params=["connector", "caller's session", "traces"])
async def make(request: pytest.FixtureRequest) -> AsyncIterator[Make]:
    """Return a function that opens clients, whose requests go over the connector or through a session."""
    async with AsyncExitStack() as stack:

        async def make_client(url: str, timeout: float | Timeout, **options: Any) -> AsyncExperimentClient:  # noqa: ASYNC109 - the name of the argument
            if request.param == "caller's session":
                options["session"] = await stack.enter_async_context(aiohttp.ClientSession())
            if request.param == "traces":
                options["trace_configs"] = [aiohttp.TraceConfig()]
            options = {"rate_limit": None, "retry": TWICE, **options}
            return await stack.enter_async_context(AsyncExperimentClient(KEY, base_url=url, timeout=timeout, **options))

        yield make_client


@contextmanager
def full_queue() -> Iterator[str]:
    """Yield the URL of a server that accepts no connection, and whose queue of connections is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        for connection in waiting:
            connection.setblocking(False)
            connection.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        for connection in waiting:
            connection.close()


async def _keep_silent(connection: RawConnection) -> None:
    await connection.wait_closed()


@contextmanager
def silent_handshake() -> Iterator[str]:
    """Yield the URL of a server that answers no TLS handshake."""
    with RawServer(_keep_silent) as server:
        yield f"https://127.0.0.1:{server.port}"


CONNECTING = {"no accept": full_queue, "no handshake": silent_handshake}


async def check_not_sent(client: AsyncExperimentClient, phase: str, *, attempts: int = 2) -> None:
    """Assert that a read and a write that must not be repeated are sent again, and fail as not sent."""
    for call in (client.flags.get("1"), client.flags.users.remove_at("1", "on", 0)):
        with pytest.raises(
            APITimeoutError, match=rf"no connection within .* s \({phase}\)\..* Nothing was sent\."
        ) as caught:
            await call
        assert (caught.value.sent, caught.value.attempts) == (False, attempts)
        assert leaks(caught.value, KEY) == []


@pytest.mark.parametrize("kind", CONNECTING)
async def test_a_connection_that_takes_too_long(make: Make, kind: str) -> None:
    """Nothing was sent, so that even a removal by index is sent again, and is not ambiguous."""
    with CONNECTING[kind]() as url:
        client = await make(url, Timeout(LONG, connect=0.1))
        await check_not_sent(client, "connect timeout")


def test_a_limit_of_many_seconds() -> None:
    """It is not rounded up to a whole second, as aiohttp does from 5 seconds on."""

    async def connect(url: str) -> float:
        options: dict[str, Any] = {"rate_limit": None, "retry": RetryPolicy(max_attempts=1)}
        async with AsyncExperimentClient(KEY, base_url=url, timeout=Timeout(LONG, connect=5.3), **options) as client:
            start = virtual_time.now()
            with pytest.raises(APITimeoutError, match=r"no connection within 5\.3 s"):
                await client.flags.get("1")
            return virtual_time.now() - start

    with full_queue() as url:
        assert virtual_time.run(connect(url)) == pytest.approx(5.3)


@pytest.mark.parametrize("kind", CONNECTING)
async def test_an_attempt_that_ends_while_it_connects(make: Make, kind: str) -> None:
    """The same holds if only the whole attempt, or the call, has a limit. The message names it."""
    with CONNECTING[kind]() as url:
        client = await make(url, Timeout(0.1))
        await check_not_sent(client, "total timeout")
        await check_not_sent(client.with_options(timeout=Timeout(LONG), deadline=0.1), "deadline", attempts=1)


@pytest.mark.parametrize("beside_session", [True, False])
async def test_a_proxy_that_opens_no_tunnel(beside_session: bool) -> None:
    """The tunnel belongs to the connection: nothing was sent."""

    async def take(connection: RawConnection) -> None:
        await connection.read_request()
        await connection.wait_closed()

    with RawServer(take) as proxy:
        async with aiohttp.ClientSession() as session:
            client = AsyncExperimentClient(
                KEY,
                base_url="https://127.0.0.1:9",
                proxy=proxy.url,
                session=session if beside_session else None,
                retry=TWICE,
                timeout=Timeout(LONG, connect=0.1),
            )
            async with client:
                await check_not_sent(client, "connect timeout")
    assert [request.method for request in proxy.requests] == ["CONNECT"] * 4


async def test_an_open_connection_takes_no_time_to_connect(make: Make) -> None:
    """A limit that no new connection could keep does not end requests over a connection that is open."""
    served = list[str]()

    async def answer(connection: RawConnection) -> None:
        while (request := await connection.read_request()) is not None:
            served.append(request.line)
            await connection.send(response(FLAG))

    with RawServer(answer) as server:
        client = await make(server.url, LONG)
        await client.flags.get("1")
        await client.with_options(timeout=Timeout(LONG, connect=1e-9), retry=RetryPolicy(max_attempts=1)).flags.get("1")
        assert (len(served), server.connections) == (2, 1)


def stops_after(data: bytes) -> Script:
    """Return a script that answers a request with these bytes, and then sends nothing more."""

    async def script(connection: RawConnection) -> None:
        await connection.read_request()
        await connection.send(data)
        await connection.wait_closed()

    return script


STALLED = {
    "nothing": b"",
    "half of the headers": b"HTTP/1.1 200 OK\r\nContent-",
    "the headers": head([("Content-Length", "90")]),
    "half of the body": head([("Content-Length", "90")]) + b"{",
    "half of a chunk": head([("Transfer-Encoding", "chunked")]) + b"5\r\n{",
    "half of a compressed body": head([("Content-Length", "90"), ("Content-Encoding", "gzip")]) + b"\x1f\x8b\x08\x00",
}


@pytest.mark.parametrize("data", STALLED.values(), ids=STALLED)
async def test_a_response_that_stops(make: Make, data: bytes) -> None:
    """The request may have arrived: a read is sent again, and a removal by index is ambiguous."""
    with RawServer(stops_after(data)) as server:
        client = await make(server.url, Timeout(LONG, read=0.1))
        with pytest.raises(
            APITimeoutError, match=r"nothing more of the response for 0\.1 s \(read timeout\)\."
        ) as caught:
            await client.flags.get("1")
        assert (caught.value.sent, caught.value.attempts) == (True, 2)
        assert caught.value.advice == "Try again, or raise the read timeout."
        assert leaks(caught.value, KEY) == []
        with pytest.raises(OutcomeUnknownError, match=r"may have been applied: .*\(read timeout\)") as unknown:
            await client.flags.users.remove_at("1", "on", 0)
        assert unknown.value.attempts == 1
        assert isinstance(unknown.value.__cause__, APITimeoutError)
        assert len(server.requests) == 3


async def test_an_interim_response() -> None:
    """The wait for what follows it has the same limit. (aiohttp's session has none there.)"""
    with RawServer(stops_after(head(status="103 Early Hints"))) as server:
        async with AsyncExperimentClient(
            KEY, base_url=server.url, retry=TWICE, timeout=Timeout(LONG, read=0.1)
        ) as client:
            with pytest.raises(APITimeoutError, match="read timeout"):
                await client.flags.get("1")


def drips(pieces: int, seconds: float) -> Script:
    """Return a script that answers each request in pieces, with a pause after each."""
    body = FLAG.encode().ljust(pieces)

    async def script(connection: RawConnection) -> None:
        while await connection.read_request() is not None:
            await connection.send(head([("Content-Length", str(pieces))]))
            await connection.drip(body, seconds)

    return script


async def test_a_response_in_pieces(make: Make) -> None:
    """Each piece has the whole time: the response may take longer, and the connection stays open after it."""
    with RawServer(drips(25, 0.02)) as server:
        client = await make(server.url, Timeout(LONG, read=0.35))
        for _ in range(2):
            assert (await client.flags.get("1")).key == "k"
        assert (len(server.requests), server.connections) == (2, 1)


async def test_a_slow_trickle(make: Make) -> None:
    """Pieces that each come in time do not prolong the attempt: it ends after its total."""
    with RawServer(drips(1000, 0.01)) as server:
        client = await make(server.url, Timeout(0.2, connect=0.1, read=0.15))
        with pytest.raises(APITimeoutError, match=r"no complete response within 0\.2 s \(total timeout\)") as caught:
            await client.flags.get("1")
        assert (caught.value.sent, caught.value.attempts) == (True, 2)
        assert caught.value.advice == "Try again, or raise timeout."
        with pytest.raises(APITimeoutError, match=r"no complete response within 0\.2 s \(deadline\)") as caught:
            await client.with_options(timeout=LONG, deadline=0.2).flags.get("1")
        assert caught.value.advice == "Try again, or raise deadline."


async def test_the_time_between_two_requests_is_not_limited(make: Make) -> None:
    """An open connection that is idle for longer than the wait for a piece is used again."""
    served = list[str]()

    async def answer(connection: RawConnection) -> None:
        while (request := await connection.read_request()) is not None:
            served.append(request.line)
            await connection.send(response(FLAG))

    with RawServer(answer) as server:
        client = await make(server.url, Timeout(LONG, read=0.2))
        await client.flags.get("1")
        with RawServer(stops_after(b"")) as other, pytest.raises(APITimeoutError):
            # The same time passes elsewhere.
            await (await make(other.url, Timeout(LONG, read=0.3), retry=RetryPolicy(max_attempts=1))).flags.get("1")
        await client.flags.get("1")
        assert (len(served), server.connections) == (2, 1)


@pytest.mark.parametrize("client_class", [AsyncExperimentClient, AsyncBetaClient, ExperimentClient, BetaClient])
async def test_all_clients(client_class: Any) -> None:
    """They take a `Timeout` when they are created, and when they are copied."""
    with RawServer(stops_after(b"")) as server:
        made = client_class(KEY, base_url=server.url, timeout=Timeout(read=0.05), retry=TWICE)
        for client in (made, made.with_options(timeout=Timeout(LONG, None, 0.06))):
            with pytest.raises(APITimeoutError, match=r"for 0\.0[56] s \(read timeout\)"):
                await client.flags.get("1")  # the blocking clients raise before there is anything to await
        if isinstance(made, ExperimentClient | BetaClient):
            made.close()
        else:
            await made.aclose()


def test_a_number_of_seconds() -> None:
    """It is the time of the whole attempt, of which connecting takes a part."""
    assert to_timeout(30) == Timeout(30, connect=10, read=None)
    assert to_timeout(0.5) == Timeout(0.5, connect=0.45)
    assert Timeout() == Timeout(30.0, None, None)


@pytest.mark.parametrize("field", ["total", "connect", "read"])
@pytest.mark.parametrize("value", [0, -1, True, "5", float("nan"), float("inf")], ids=repr)
def test_an_invalid_phase(field: str, value: Any) -> None:
    """It is rejected by name when the `Timeout` is created."""
    with pytest.raises(ConfigurationError, match=rf"^{field} must be a number of seconds above 0, got"):
        Timeout(**{field: value})


def test_an_attempt_always_has_a_limit() -> None:
    """`total` cannot be left out."""
    with pytest.raises(ConfigurationError, match=r"^total must be"):
        Timeout(None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("limits", "connect", "read", "total"),
    [
        (AttemptLimits(30, Timeout(30, 3, 7)), "3 s (connect timeout)", "7 s (read timeout)", "30 s (total timeout)"),
        (AttemptLimits(5, Timeout(30, 3, 7)), "3 s (connect timeout)", "5 s (deadline)", "5 s (deadline)"),
        (AttemptLimits(1.23456, Timeout(30, 3, 7)), "1.23 s (deadline)", "1.23 s (deadline)", "1.23 s (deadline)"),
        (
            AttemptLimits(1000, Timeout(1000)),
            "1000 s (total timeout)",
            "1000 s (total timeout)",
            "1000 s (total timeout)",
        ),
        (AttemptLimits(3, Timeout(3, 3, 3)), "3 s (total timeout)", "3 s (total timeout)", "3 s (total timeout)"),
    ],
    ids=str,
)
def test_the_phase_that_ran_out(limits: AttemptLimits, connect: str, read: str, total: str) -> None:
    """A message names the phase that ends first: the deadline of the call comes before what would end later."""
    failures = (limits.connect_failure(), limits.read_failure(), limits.total_failure(sent=True))
    for failure, end, sent in zip(failures, (connect, read, total), (False, True, True), strict=True):
        assert failure.reason.endswith(f" {end}")
        assert (failure.timeout, failure.sent, failure.retryable) == (True, sent, True)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.1998, "0.2 s"), (0.25, "0.25 s"), (0.0004, "0.0004 s"), (9.998, "10 s"), (1.25, "1.25 s"), (30.0, "30 s")],
)
def test_the_seconds_of_a_message(seconds: float, text: str) -> None:
    """What is left until a deadline is shown without the moment in which the call started."""
    failure = AttemptLimits(seconds, Timeout(60.0)).total_failure(sent=True)
    assert failure.reason == f"no complete response within {text} (deadline)"
