"""Injected faults."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import aiohttp
import pytest

from amp_exp_async.emulator import Emulator, Fault
from amp_exp_async.emulator.faults import Faults

Api = Callable[..., Awaitable[Any]]
NEW = {"key": "new"}


def applied(emulator: Emulator) -> bool:
    """Return whether the flag has its new variant."""
    return len(emulator.state.flags[0]["variants"]) == 2


@pytest.fixture
def path(emulator: Emulator) -> str:
    return f"/flags/{emulator.state.add_flag(key='x')['id']}/variants"


@pytest.mark.parametrize("is_applied", [True, False])
async def test_status_fault(api: Api, emulator: Emulator, path: str, is_applied: bool) -> None:
    """The response is the same whether or not the change is applied."""
    emulator.inject(Fault.status(503, applied=is_applied))
    response = await api("POST", path, NEW)
    assert (response.status, response.body) == (503, {"error": "Injected fault: status 503"})
    assert applied(emulator) is emulator.requests[-1].applied is is_applied
    assert emulator.requests[-1].fault == Fault.status(503, applied=is_applied)


@pytest.mark.parametrize(
    ("fault", "headers", "body"),
    [
        (Fault.status(429, retry_after=2), {"Retry-After": "2"}, {"error": "Injected fault: status 429"}),
        (Fault.status(429, retry_after=0.5), {"Retry-After": "0.5"}, {"error": "Injected fault: status 429"}),
        (
            Fault.status(503, retry_after="Wed, 21 Oct 2026 07:28:00 GMT", body={"message": "later"}),
            {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT", "Content-Type": "application/json; charset=utf-8"},
            {"message": "later"},
        ),
        (Fault.status(500, body="plain"), {"Content-Type": "text/plain; charset=utf-8"}, "plain"),
        (Fault.status(502, body=b"<p>", content_type="text/html"), {"Content-Type": "text/html"}, "<p>"),
        (Fault.status(200, body="", content_type="application/xml"), {"Content-Type": "application/xml"}, ""),
        (Fault.redirect("http://127.0.0.1:1/x"), {"Location": "http://127.0.0.1:1/x"}, ""),
    ],
)
async def test_fault_headers_and_bodies(api: Api, emulator: Emulator, fault: Fault, headers: Any, body: Any) -> None:
    """`Retry-After` is seconds or a date; a body is JSON, text or bytes with any content type."""
    emulator.inject(fault)
    response = await api("GET", "/flags")
    assert response.status == fault.code
    assert response.body == body
    assert headers.items() <= dict(response.headers).items()


async def test_redirect_fault(api: Api, emulator: Emulator, path: str) -> None:
    """A redirect with any status changes nothing."""
    emulator.inject(Fault.redirect("/elsewhere", status=307))
    assert (await api("POST", path, NEW)).status == 307
    assert not applied(emulator)


@pytest.mark.parametrize("is_applied", [True, False])
async def test_close_fault(api: Api, emulator: Emulator, path: str, is_applied: bool) -> None:
    """The connection is closed without a response, before or after the change."""
    emulator.inject(Fault.close(applied=is_applied))
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await api("POST", path, NEW)
    assert applied(emulator) is emulator.requests[-1].applied is is_applied
    assert emulator.requests[-1].status is None


@pytest.mark.parametrize("is_applied", [True, False])
async def test_truncate_fault(api: Api, emulator: Emulator, path: str, is_applied: bool) -> None:
    """Status and headers arrive, but only a part of the body."""
    emulator.inject(Fault.truncate(applied=is_applied))
    with pytest.raises(aiohttp.ClientPayloadError):
        await api("POST", path, NEW)
    assert applied(emulator) is is_applied
    assert emulator.requests[-1].status == 200


async def test_invalid_json_fault(api: Api, emulator: Emulator, path: str) -> None:
    """The status is 200, the JSON is invalid, and the change is applied."""
    emulator.inject(Fault.invalid_json())
    with pytest.raises(ValueError, match="Unterminated"):
        await api("POST", path, NEW)
    assert applied(emulator)


@pytest.mark.parametrize("is_applied", [True, False])
async def test_delay_fault_longer_than_the_timeout(api: Api, emulator: Emulator, path: str, is_applied: bool) -> None:
    """The change is applied before the delay, or not during it."""
    emulator.inject(Fault.delay(600, applied=is_applied))
    with pytest.raises(TimeoutError):
        await api("POST", path, NEW, timeout=aiohttp.ClientTimeout(total=0.3))
    assert applied(emulator) is is_applied
    await emulator.stop()
    assert applied(emulator) is is_applied


@pytest.mark.parametrize("is_applied", [True, False])
async def test_delay_fault(api: Api, emulator: Emulator, path: str, is_applied: bool) -> None:
    """The usual response arrives later."""
    emulator.inject(Fault.delay(0.02, applied=is_applied))
    start = time.monotonic()
    assert (await api("POST", path, NEW)).body == "OK"
    assert time.monotonic() - start >= 0.02
    assert applied(emulator)


async def test_stopping_ends_a_delay(api: Api, emulator: Emulator, path: str, arrival: Any) -> None:
    """Stopping does not wait for a delayed response, and closes its connection."""
    emulator.inject(Fault.delay(600))
    waiting = asyncio.ensure_future(api("POST", path, NEW))
    await arrival(emulator)
    async with asyncio.timeout(60):
        await emulator.stop()
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await waiting


@pytest.mark.parametrize(
    ("options", "injected"),
    [
        ({}, [0]),
        ({"nth": 3}, [2]),
        ({"nth": 2, "times": 2}, [1, 2]),
        ({"times": None}, [0, 1, 2, 3, 4]),
        ({"method": "post"}, [1]),
        ({"path": "/flags/*/variants", "times": 9}, [0, 1]),
        ({"path": "/flags/*", "times": 9}, [0, 1, 2]),
        ({"path": "/flags/[!/]*/variants/on", "times": 9}, [2]),
        ({"path": "/api/1/flags", "times": 9}, [3, 4]),
        ({"method": "GET", "path": "/flags", "nth": 2}, [4]),
    ],
)
async def test_fault_filters(api: Api, emulator: Emulator, path: str, options: Any, injected: list[int]) -> None:
    """A fault is injected by method, path, index and count."""
    emulator.inject(Fault.status(500), **options)
    requests = [("GET", path), ("POST", path), ("GET", f"{path}/on"), ("GET", "/flags"), ("GET", "/flags")]
    statuses = [(await api(method, below, NEW if method == "POST" else None)).status for method, below in requests]
    assert [index for index, status in enumerate(statuses) if status == 500] == injected


async def test_several_faults(api: Api, emulator: Emulator) -> None:
    """If several faults match, the first is injected; all of them count the request."""
    emulator.inject(Fault.status(500))
    emulator.inject(Fault.status(501))
    emulator.inject(Fault.status(502), nth=2)
    assert [(await api("GET", "/flags")).status for _ in range(3)] == [500, 502, 200]


async def test_clear_faults(api: Api, emulator: Emulator) -> None:
    """A cleared fault is not injected."""
    emulator.inject(Fault.status(500), times=None)
    emulator.clear_faults()
    assert (await api("GET", "/flags")).status == 200


@pytest.mark.parametrize("options", [{"nth": 0}, {"times": 0}])
def test_counts_begin_at_one(options: Any) -> None:
    """`nth` and `times` of 0 are rejected."""
    with pytest.raises(ValueError, match="count from 1"):
        Emulator().inject(Fault.close(), **options)


async def test_applied_fault_without_a_key(api: Api, emulator: Emulator, path: str) -> None:
    """A request that the API would reject changes nothing, even if the fault is applied."""
    emulator.inject(Fault.status(503, applied=True))
    assert (await api("POST", path, NEW, key="wrong")).status == 503
    assert not applied(emulator)


def injections(seed: int | None, count: int, **options: Any) -> list[bool]:
    """Return for each of the requests whether it gets a fault."""
    faults = Faults(Random(seed))
    faults.add(Fault.close(), **{"method": None, "path": None, "nth": 1, "times": None} | options)
    return [faults.take("GET", "/flags") is not None for _ in range(count)]


@pytest.mark.parametrize("probability", [0, 0.05, 0.5, 1])
def test_probability(probability: float) -> None:
    """The number of faults matches the probability in both halves of the requests."""
    injected = injections(1, 10_000, probability=probability)
    for half in (injected[:5000], injected[5000:]):
        assert half.count(True) == pytest.approx(5000 * probability, abs=110)


def test_probability_depends_on_the_seed() -> None:
    """The same seed gives the same faults, and another seed others."""
    assert (
        injections(7, 200, probability=0.5)
        == injections(7, 200, probability=0.5)
        != injections(8, 200, probability=0.5)
    )


def test_probability_with_times() -> None:
    """`times` counts the requests that get the fault."""
    assert injections(1, 1000, probability=0.1, times=3).count(True) == 3


async def test_probability_of_matching_requests(session: aiohttp.ClientSession) -> None:
    """Other requests do not draw a random number, and a reset restarts the sequence."""

    async def injected(emulator: Emulator, *, others: bool) -> list[int]:
        emulator.inject(Fault.status(503), method="POST", probability=0.5, times=None)
        headers = {"Authorization": f"Bearer {emulator.api_key}"}
        statuses: list[int] = []
        for _ in range(20):
            if others:
                assert (await session.get(f"{emulator.base_url}/api/1/flags", headers=headers)).status == 200
            statuses.append((await session.post(f"{emulator.base_url}/api/1/flags", headers=headers)).status)
        return statuses

    async with Emulator(seed=3, per_second=None) as emulator:
        first = await injected(emulator, others=False)
        assert set(first) == {400, 503}
        emulator.reset()
        assert await injected(emulator, others=True) == first


@pytest.mark.parametrize("probability", [-0.1, 1.5, float("nan")])
def test_invalid_probability(probability: float) -> None:
    """A probability is a number from 0 to 1."""
    with pytest.raises(ValueError, match="probability must be a number from 0 to 1"):
        Emulator().inject(Fault.close(), probability=probability)


def test_probability_excludes_nth() -> None:
    """A fault is injected at random or by index."""
    with pytest.raises(ValueError, match=r"nth and probability exclude each other, not nth=2, probability=0\.5"):
        Emulator().inject(Fault.close(), nth=2, probability=0.5)
