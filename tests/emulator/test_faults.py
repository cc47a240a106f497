"""Faults on demand."""

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
    """Whether the one flag has got its new variant."""
    return len(emulator.state.flags[0]["variants"]) == 2


@pytest.fixture
def path(emulator: Emulator) -> str:
    return f"/flags/{emulator.state.add_flag(key='x')['id']}/variants"


@pytest.mark.parametrize("wanted", [True, False])
async def test_a_status_with_or_without_the_change(api: Api, emulator: Emulator, path: str, wanted: bool) -> None:
    """The change is made first if asked for; the answer is the same."""
    emulator.inject(Fault.status(503, applied=wanted))
    answer = await api("POST", path, NEW)
    assert (answer.status, answer.body) == (503, {"error": "Injected fault: status 503"})
    assert applied(emulator) is emulator.requests[-1].applied is wanted
    assert emulator.requests[-1].fault == Fault.status(503, applied=wanted)


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
async def test_headers_and_bodies(api: Api, emulator: Emulator, fault: Fault, headers: Any, body: Any) -> None:
    """Retry-After is seconds or a date; bodies are JSON, text or bytes under any content type."""
    emulator.inject(fault)
    answer = await api("GET", "/flags")
    assert answer.status == fault.code
    assert answer.body == body
    assert headers.items() <= dict(answer.headers).items()


async def test_a_redirect_changes_nothing(api: Api, emulator: Emulator, path: str) -> None:
    """The status may be any of the redirects."""
    emulator.inject(Fault.redirect("/elsewhere", status=307))
    assert (await api("POST", path, NEW)).status == 307
    assert not applied(emulator)


@pytest.mark.parametrize("wanted", [True, False])
async def test_a_connection_that_is_closed(api: Api, emulator: Emulator, path: str, wanted: bool) -> None:
    """There is no reply at all, before or after the change."""
    emulator.inject(Fault.close(applied=wanted))
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await api("POST", path, NEW)
    assert applied(emulator) is emulator.requests[-1].applied is wanted
    assert emulator.requests[-1].status is None


@pytest.mark.parametrize("wanted", [True, False])
async def test_a_reply_that_is_cut_off(api: Api, emulator: Emulator, path: str, wanted: bool) -> None:
    """Status and headers arrive, and less than the announced length of the body."""
    emulator.inject(Fault.truncate(applied=wanted))
    with pytest.raises(aiohttp.ClientPayloadError):
        await api("POST", path, NEW)
    assert applied(emulator) is wanted
    assert emulator.requests[-1].status == 200


async def test_json_that_is_cut_off(api: Api, emulator: Emulator, path: str) -> None:
    """Status 200 and a whole reply whose JSON is broken; the change is made."""
    emulator.inject(Fault.invalid_json())
    with pytest.raises(ValueError, match="Unterminated"):
        await api("POST", path, NEW)
    assert applied(emulator)


@pytest.mark.parametrize("wanted", [True, False])
async def test_a_delay_that_the_client_does_not_wait_for(api: Api, emulator: Emulator, path: str, wanted: bool) -> None:
    """The change is made before the delay or, if so wanted, not as long as it lasts."""
    emulator.inject(Fault.delay(60, applied=wanted))
    with pytest.raises(TimeoutError):
        await api("POST", path, NEW, timeout=aiohttp.ClientTimeout(total=0.02))
    assert applied(emulator) is wanted
    await emulator.stop()
    assert applied(emulator) is wanted


@pytest.mark.parametrize("wanted", [True, False])
async def test_a_delay_that_passes(api: Api, emulator: Emulator, path: str, wanted: bool) -> None:
    """The answer comes as usual, only later."""
    emulator.inject(Fault.delay(0.02, applied=wanted))
    begin = time.monotonic()
    assert (await api("POST", path, NEW)).body == "OK"
    assert time.monotonic() - begin >= 0.02
    assert applied(emulator)


async def test_stopping_ends_a_delay(api: Api, emulator: Emulator, path: str, arrival: Any) -> None:
    """A client that waits for a delayed answer loses its connection, and stopping takes no longer than usual."""
    emulator.inject(Fault.delay(60))
    waiting = asyncio.ensure_future(api("POST", path, NEW))
    await arrival(emulator)
    begin = time.monotonic()
    await emulator.stop()
    assert time.monotonic() - begin < 1
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await waiting


@pytest.mark.parametrize(
    ("options", "struck"),
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
async def test_which_requests_are_struck(
    api: Api, emulator: Emulator, path: str, options: Any, struck: list[int]
) -> None:
    """Method, path, the nth of them and how many."""
    emulator.inject(Fault.status(500), **options)
    requests = [("GET", path), ("POST", path), ("GET", f"{path}/on"), ("GET", "/flags"), ("GET", "/flags")]
    statuses = [(await api(method, below, NEW if method == "POST" else None)).status for method, below in requests]
    assert [index for index, status in enumerate(statuses) if status == 500] == struck


async def test_faults_one_after_another(api: Api, emulator: Emulator) -> None:
    """Of several that match, the first one strikes; all of them count the request."""
    emulator.inject(Fault.status(500))
    emulator.inject(Fault.status(501))
    emulator.inject(Fault.status(502), nth=2)
    assert [(await api("GET", "/flags")).status for _ in range(3)] == [500, 502, 200]


async def test_faults_can_be_cleared(api: Api, emulator: Emulator) -> None:
    """What has not struck yet never will."""
    emulator.inject(Fault.status(500), times=None)
    emulator.clear_faults()
    assert (await api("GET", "/flags")).status == 200


@pytest.mark.parametrize("options", [{"nth": 0}, {"times": 0}])
def test_counting_begins_at_one(options: Any) -> None:
    """There is no zeroth request, and no fault that strikes none."""
    with pytest.raises(ValueError, match="count from 1"):
        Emulator().inject(Fault.close(), **options)


async def test_a_faulty_request_without_a_key_changes_nothing(api: Api, emulator: Emulator, path: str) -> None:
    """Applied means: applied as far as the API allows it."""
    emulator.inject(Fault.status(503, applied=True))
    assert (await api("POST", path, NEW, key="wrong")).status == 503
    assert not applied(emulator)


def strikes(seed: int | None, count: int, **options: Any) -> list[bool]:
    """Which of so many requests a fault strikes that is meant for a share of them."""
    faults = Faults(Random(seed))
    faults.add(Fault.close(), **{"method": None, "path": None, "nth": 1, "times": None} | options)
    return [faults.take("GET", "/flags") is not None for _ in range(count)]


@pytest.mark.parametrize("share", [0, 0.05, 0.5, 1])
def test_a_share_of_the_requests(share: float) -> None:
    """As many as the share says are struck, give or take chance, over the whole time."""
    struck = strikes(1, 10_000, probability=share)
    for half in (struck[:5000], struck[5000:]):
        assert half.count(True) == pytest.approx(5000 * share, abs=110)


def test_a_share_is_drawn_anew_for_each_seed() -> None:
    """The same seed strikes the same requests, another one others."""
    assert strikes(7, 200, probability=0.5) == strikes(7, 200, probability=0.5) != strikes(8, 200, probability=0.5)


def test_a_share_until_it_has_struck_so_often() -> None:
    """Times counts those that are struck, not those that are spared."""
    assert strikes(1, 1000, probability=0.1, times=3).count(True) == 3


async def test_a_share_of_what_matches(session: aiohttp.ClientSession) -> None:
    """Other requests are neither struck nor drawn for, and a reset begins the drawing again."""

    async def struck(emulator: Emulator, *, others: bool) -> list[int]:
        emulator.inject(Fault.status(503), method="POST", probability=0.5, times=None)
        headers = {"Authorization": f"Bearer {emulator.api_key}"}
        statuses: list[int] = []
        for _ in range(20):
            if others:
                assert (await session.get(f"{emulator.base_url}/api/1/flags", headers=headers)).status == 200
            statuses.append((await session.post(f"{emulator.base_url}/api/1/flags", headers=headers)).status)
        return statuses

    async with Emulator(seed=3, per_second=None) as emulator:
        first = await struck(emulator, others=False)
        assert set(first) == {400, 503}
        emulator.reset()
        assert await struck(emulator, others=True) == first


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan")])
def test_a_share_is_a_probability(share: float) -> None:
    """Anything else is refused."""
    with pytest.raises(ValueError, match="probability must be a number from 0 to 1"):
        Emulator().inject(Fault.close(), probability=share)


def test_a_share_and_a_count_exclude_each_other() -> None:
    """A fault strikes at random or by count."""
    with pytest.raises(ValueError, match=r"nth and probability exclude each other, not nth=2, probability=0\.5"):
        Emulator().inject(Fault.close(), nth=2, probability=0.5)
