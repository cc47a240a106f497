"""Latency, by short waits of real time."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import aiohttp
import pytest

from amp_exp_async.emulator import Emulator, Fault
from amp_exp_async.emulator.server import make_latency

Api = Callable[..., Awaitable[Any]]


async def seconds_of(request: Awaitable[Any]) -> float:
    """Return the duration of a request."""
    start = time.monotonic()
    await request
    return time.monotonic() - start


async def test_one_half_before_arrival_and_one_after(api: Api, emulator: Emulator) -> None:
    """Half of the latency passes before the arrival, the other half before the response."""
    emulator.latency = 0.04
    start = time.monotonic()
    assert (await api("POST", "/flags", {"projectId": "1", "key": "x"})).status == 200
    end = time.monotonic()
    (request,) = emulator.requests
    assert request.monotonic - start >= 0.02
    assert end - request.monotonic >= 0.02
    assert request.body == {"projectId": "1", "key": "x"}


async def test_latency_can_be_changed(api: Api, emulator: Emulator) -> None:
    """A new latency holds for the next requests; without one no request waits."""
    assert emulator.latency is None
    emulator.latency = (0.03, 0.04)
    assert await seconds_of(api("GET", "/flags")) >= 0.03
    for none in (None, 0, (0, 0), lambda: 0.0):
        emulator.latency = 600
        emulator.latency = none
        async with asyncio.timeout(60):
            await api("GET", "/flags")
    emulator.reset()
    assert emulator.latency is none


async def test_latencies_overlap(session: aiohttp.ClientSession) -> None:
    """Twenty requests wait concurrently."""
    latencies = [600.0] * 20
    async with Emulator(latency=latencies.pop) as emulator:
        requests = [asyncio.ensure_future(session.get(f"{emulator.base_url}/api/1/flags")) for _ in range(20)]
        async with asyncio.timeout(60):
            while latencies:  # noqa: ASYNC110 - the emulator has no event for a request that has not arrived
                await asyncio.sleep(0.001)
        assert not any(request.done() for request in requests)
    await asyncio.wait(requests)
    assert all(isinstance(request.exception(), aiohttp.ClientConnectionError) for request in requests)


async def test_limits_count_at_arrival(session: aiohttp.ClientSession) -> None:
    """The request that arrives first gets the capacity, not the one that was sent first."""
    latencies = [0.0, 1.0]
    async with Emulator(latency=latencies.pop, per_second=1) as emulator:
        slow = asyncio.ensure_future(session.get(f"{emulator.base_url}/api/1/flags?slow"))
        while len(latencies) == 2:  # noqa: ASYNC110 - the emulator has no event for a request that has not arrived
            await asyncio.sleep(0.001)
        assert emulator.requests == []
        assert (await session.get(f"{emulator.base_url}/api/1/flags")).status == 401
        assert (await slow).status == 429


@pytest.mark.parametrize("seconds", [0.2, 0.6])
async def test_client_that_does_not_wait(api: Api, emulator: Emulator, seconds: float) -> None:
    """A request is applied even if the client disconnects before its arrival, or before the response."""
    emulator.latency = 0.8
    with pytest.raises(TimeoutError):
        await api("POST", "/flags", {"projectId": "1", "key": "x"}, timeout=aiohttp.ClientTimeout(total=seconds))
    async with asyncio.timeout(60):
        while not emulator.state.flags:  # noqa: ASYNC110 - the state has no event to wait for
            await asyncio.sleep(0.001)
    assert [request.applied for request in emulator.requests] == [True]


async def test_client_that_sends_half_a_request(emulator: Emulator, arrival: Any) -> None:
    """The request is logged without a status, as without latency."""
    emulator.latency = 0.01
    host, port = emulator.base_url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /api/1/flags HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
    await writer.drain()
    writer.close()
    await arrival(emulator)
    assert (emulator.requests[0].status, emulator.requests[0].applied) == (None, False)


@pytest.mark.parametrize("arrived", [False, True])
async def test_stopping_ends_the_waits(api: Api, emulator: Emulator, arrival: Any, arrived: bool) -> None:
    """Stopping closes the connections; requests that have arrived are applied, others are not."""
    drawing = asyncio.Event()

    def latency() -> float:
        drawing.set()
        return 0.5 if arrived else 600.0

    emulator.latency = latency
    waiting = asyncio.ensure_future(api("POST", "/flags", {"projectId": "1", "key": "x"}))
    await (arrival(emulator) if arrived else drawing.wait())
    async with asyncio.timeout(60):
        await emulator.stop()
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await waiting
    assert [(request.status, request.applied) for request in emulator.requests] == [(None, True)] * arrived
    assert len(emulator.state.flags) == arrived


@pytest.mark.parametrize(
    ("fault", "error"),
    [(Fault.close(), aiohttp.ServerDisconnectedError), (Fault.truncate(), aiohttp.ClientPayloadError)],
)
async def test_faults_are_delayed_like_responses(api: Api, emulator: Emulator, fault: Fault, error: type) -> None:
    """A broken connection is noticed when the response would have arrived."""
    emulator.latency = 0.04
    emulator.inject(fault)
    with pytest.raises(error):
        await api("POST", "/flags")
    assert time.monotonic() - emulator.requests[0].monotonic >= 0.02


async def test_a_delay_is_added_to_the_latency(api: Api, emulator: Emulator) -> None:
    """The delay passes between the two halves of the latency."""
    emulator.latency = 0.02
    emulator.inject(Fault.delay(0.02))
    assert await seconds_of(api("GET", "/flags")) >= 0.04


def test_range_of_latencies() -> None:
    """The values are uniformly distributed over the range, and the same for the same seed."""
    first, second = make_latency((0.02, 0.08), Random(5)), make_latency((0.02, 0.08), Random(5))
    seconds = [first() for _ in range(1000)]
    assert seconds == [second() for _ in range(1000)]
    assert 0.02 <= min(seconds) < 0.021
    assert 0.079 < max(seconds) <= 0.08
    assert sum(seconds) / 1000 == pytest.approx(0.05, abs=0.002)


@pytest.mark.parametrize("latency", [-0.1, float("nan"), float("inf"), (0.2, 0.1), (-1, 1), (0, float("nan"))])
def test_invalid_latency(latency: Any) -> None:
    """An invalid latency is rejected, and the old one stays."""
    with pytest.raises(ValueError, match=r"latency must be a .* of at least 0, not"):
        Emulator(latency=latency)
    emulator = Emulator(latency=1)
    with pytest.raises(ValueError, match="latency must be"):
        emulator.latency = latency
    assert emulator.latency == 1
