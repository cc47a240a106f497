"""How long requests are under way, by small waits of real time."""

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
    """How long a request takes."""
    begin = time.monotonic()
    await request
    return time.monotonic() - begin


async def test_one_half_before_arrival_and_one_after(api: Api, emulator: Emulator) -> None:
    """The log has the moment of arrival, and the reply comes as much later as the request was under way."""
    emulator.latency = 0.04
    begin = time.monotonic()
    assert (await api("POST", "/flags", {"projectId": "1", "key": "x"})).status == 200
    end = time.monotonic()
    (request,) = emulator.requests
    assert request.monotonic - begin >= 0.02
    assert end - request.monotonic >= 0.02
    assert request.body == {"projectId": "1", "key": "x"}


async def test_what_is_set_holds_from_then_on(api: Api, emulator: Emulator) -> None:
    """Latency can be set and taken away while requests come; without it none waits."""
    assert emulator.latency is None
    emulator.latency = (0.03, 0.04)
    assert await seconds_of(api("GET", "/flags")) >= 0.03
    for none in (None, 0, (0, 0), lambda: 0.0):
        emulator.latency = 60
        emulator.latency = none
        assert await seconds_of(api("GET", "/flags")) < 5
    emulator.reset()
    assert emulator.latency is none


async def test_requests_are_under_way_at_the_same_time(session: aiohttp.ClientSession) -> None:
    """Twenty at once take no longer than the slowest."""
    latencies = [0.01, 0.05] * 10
    async with Emulator(latency=latencies.pop) as emulator:
        requests = [session.get(f"{emulator.base_url}/api/1/flags") for _ in range(20)]
        assert 0.05 <= await seconds_of(asyncio.gather(*requests)) < 0.5
    assert latencies == []


async def test_limits_count_at_arrival(session: aiohttp.ClientSession) -> None:
    """The one that arrives first takes the room, not the one that was sent first."""
    latencies = [0.0, 0.1]
    async with Emulator(latency=latencies.pop, per_second=1) as emulator:
        slow = asyncio.ensure_future(session.get(f"{emulator.base_url}/api/1/flags?slow"))
        while len(latencies) == 2:  # noqa: ASYNC110 - the emulator has no event for what has not arrived
            await asyncio.sleep(0.001)
        assert emulator.requests == []
        assert (await session.get(f"{emulator.base_url}/api/1/flags")).status == 401
        assert (await slow).status == 429


@pytest.mark.parametrize("patience", [0.01, 0.04])
async def test_a_client_that_does_not_wait(api: Api, emulator: Emulator, patience: float) -> None:
    """What has been sent is carried out, whether the client leaves before it arrives or before the reply does."""
    emulator.latency = 0.06
    with pytest.raises(TimeoutError):
        await api("POST", "/flags", {"projectId": "1", "key": "x"}, timeout=aiohttp.ClientTimeout(total=patience))
    async with asyncio.timeout(5):
        while not emulator.state.flags:  # noqa: ASYNC110 - the state has no event to wait for
            await asyncio.sleep(0.001)
    assert [request.applied for request in emulator.requests] == [True]


async def test_a_client_that_leaves_in_the_middle_of_its_request(emulator: Emulator, arrival: Any) -> None:
    """It is logged without an answer, as without latency."""
    emulator.latency = 0.01
    host, port = emulator.base_url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /api/1/flags HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    await writer.drain()
    writer.close()
    await arrival(emulator)
    assert (emulator.requests[0].status, emulator.requests[0].applied) == (None, False)


@pytest.mark.parametrize("arrived", [False, True])
async def test_stopping_ends_the_waits(api: Api, emulator: Emulator, arrival: Any, arrived: bool) -> None:
    """The client loses its connection at once; what has not arrived never does, and what has is done."""
    drawing = asyncio.Event()

    def latency() -> float:
        drawing.set()
        return 0.1 if arrived else 60.0

    emulator.latency = latency
    waiting = asyncio.ensure_future(api("POST", "/flags", {"projectId": "1", "key": "x"}))
    await (arrival(emulator) if arrived else drawing.wait())
    assert await seconds_of(emulator.stop()) < 1
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await waiting
    assert [(request.status, request.applied) for request in emulator.requests] == [(None, True)] * arrived
    assert len(emulator.state.flags) == arrived


@pytest.mark.parametrize(
    ("fault", "error"),
    [(Fault.close(), aiohttp.ServerDisconnectedError), (Fault.truncate(), aiohttp.ClientPayloadError)],
)
async def test_faults_come_as_late_as_replies(api: Api, emulator: Emulator, fault: Fault, error: type) -> None:
    """A connection that breaks is noticed when the reply would have come."""
    emulator.latency = 0.04
    emulator.inject(fault)
    with pytest.raises(error):
        await api("POST", "/flags")
    assert time.monotonic() - emulator.requests[0].monotonic >= 0.02


async def test_a_delay_comes_on_top(api: Api, emulator: Emulator) -> None:
    """The emulator takes its time between the two ways."""
    emulator.latency = 0.02
    emulator.inject(Fault.delay(0.02))
    assert await seconds_of(api("GET", "/flags")) >= 0.04


def test_a_pair_is_drawn_from_evenly() -> None:
    """All of the range comes about, the same for the same seed."""
    draw, again = make_latency((0.02, 0.08), Random(5)), make_latency((0.02, 0.08), Random(5))
    seconds = [draw() for _ in range(1000)]
    assert seconds == [again() for _ in range(1000)]
    assert 0.02 <= min(seconds) < 0.021
    assert 0.079 < max(seconds) <= 0.08
    assert sum(seconds) / 1000 == pytest.approx(0.05, abs=0.002)


@pytest.mark.parametrize("latency", [-0.1, float("nan"), float("inf"), (0.2, 0.1), (-1, 1), (0, float("nan"))])
def test_what_is_no_latency(latency: Any) -> None:
    """It is refused at once, and what was set stays."""
    with pytest.raises(ValueError, match=r"latency must be a .* of at least 0, not"):
        Emulator(latency=latency)
    emulator = Emulator(latency=1)
    with pytest.raises(ValueError, match="latency must be"):
        emulator.latency = latency
    assert emulator.latency == 1
