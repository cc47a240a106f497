"""Writes to one object never overlap and keep their order; nothing else waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from attrs import define, field

from amp_exp_async import APITimeoutError, AsyncExperimentClient, NotFoundError, RateLimit, RetryPolicy
from amp_exp_async.emulator import Emulator, Fault
from amp_exp_async.http.locks import KeyedLocks
from tests.virtual_time import now, run

pytestmark = pytest.mark.usefixtures("path_in_turn")

Call = Callable[[AsyncExperimentClient], Awaitable[Any]]
TestServer.__test__ = False  # type: ignore[attr-defined]  # its name looks like a test class

WRITES: list[Call] = [
    lambda c: c.flags.edit("1", enabled=True),
    lambda c: c.flags.archive("1"),
    lambda c: c.flags.variants.create("1", key="new"),
    lambda c: c.flags.variants.edit("1", "on", name="x"),
    lambda c: c.flags.variants.remove("1", "on"),
    lambda c: c.flags.users.add("1", "on", ["u"]),
    lambda c: c.flags.users.remove("1", "on", ["u"]),
    lambda c: c.flags.users.remove_at("1", "on", 0),
    lambda c: c.flags.users.remove_all("1", "on"),
    lambda c: c.flags.cohorts.add("1", "on", ["c"]),
    lambda c: c.flags.deployments.add("1", ["d"]),
    lambda c: c.flags.deployments.remove("1", "d"),
    lambda c: c.request("POST", "/flags/1/anything", json={}),
]


@define
class SlowService:
    """A slow service that records overlapping requests."""

    seconds: float = 0.004
    started: list[str] = field(factory=list[str])
    in_flight: list[str] = field(factory=list[str])
    overlapping: set[tuple[str, str]] = field(factory=set[tuple[str, str]])
    """Pairs of requests that were in flight at the same time."""
    max_in_flight: int = 0

    async def handle(self, request: web.Request) -> web.Response:
        """Answer a request after some time."""
        name = f"{request.method} {request.path.removeprefix('/api/1')}"
        self.started.append(name)
        self.overlapping |= {(other, name) for other in self.in_flight}
        self.in_flight.append(name)
        self.max_in_flight = max(self.max_in_flight, len(self.in_flight))
        try:
            await asyncio.sleep(self.seconds)
        finally:
            self.in_flight.remove(name)
        id = request.path.rpartition("/")[2]
        return web.json_response({"flags": [], "id": id} | ({"key": "x"} if request.method == "GET" else {}))


@pytest.fixture
def service() -> SlowService:
    return SlowService()


@pytest.fixture
async def client(service: SlowService) -> AsyncIterator[AsyncExperimentClient]:
    """Open a client of the slow service."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", service.handle)
    async with TestServer(app) as server:
        url = str(server.make_url("")).rstrip("/")
        async with AsyncExperimentClient("ordering-key", base_url=url, retry=RetryPolicy(max_attempts=1)) as client:
            yield client


def locks(client: AsyncExperimentClient) -> KeyedLocks:
    return client._transport.session.locks


async def test_writes_to_one_flag_never_overlap(client: AsyncExperimentClient, service: SlowService) -> None:
    """Each operation waits for earlier ones, and no lock is left."""
    await asyncio.gather(*(write(client) for write in WRITES))
    assert len(service.started) == len(WRITES)
    assert service.overlapping == set()
    assert len(locks(client)) == 0


async def test_writes_keep_their_order(client: AsyncExperimentClient, service: SlowService) -> None:
    """Writes to one flag arrive in the order of the calls."""
    await asyncio.gather(*(client.flags.variants.edit("1", f"v{index}", name="x") for index in range(12)))
    assert service.started == [f"PATCH /flags/1/variants/v{index}" for index in range(12)]


async def test_writes_to_different_objects(client: AsyncExperimentClient, service: SlowService) -> None:
    """Writes to different flags, to an experiment or deployment with the same ID, and creations run concurrently."""
    service.seconds = 0.2
    writes = [
        *(client.flags.edit(str(index), enabled=True) for index in range(1, 6)),
        client.experiments.edit("1", enabled=True),
        client.deployments.edit("1", label="x"),
        client.flags.create(project_id="1", key="a"),
        client.flags.create(project_id="1", key="b"),
    ]
    await asyncio.gather(*writes)
    assert service.max_in_flight == len(writes)


async def test_reads_need_no_lock(client: AsyncExperimentClient, service: SlowService) -> None:
    """Reads of a flag do not wait for writes to it, or for each other."""
    service.seconds = 0.2
    await asyncio.gather(client.flags.edit("1", enabled=True), *(client.flags.get("1") for _ in range(4)))
    assert service.max_in_flight == 5


@pytest.mark.parametrize("bound", [1, 3])
async def test_max_concurrency(client: AsyncExperimentClient, service: SlowService, bound: int) -> None:
    """Exactly `max_concurrency` requests are in flight under load, including reads."""
    url = client._transport.session.endpoint.base_url.removesuffix("/api/1")
    async with AsyncExperimentClient("ordering-key", base_url=url, max_concurrency=bound) as bounded:
        await asyncio.gather(*(bounded.flags.get(str(index)) for index in range(9)), bounded.flags.archive("1"))
    assert len(service.started) == 10
    assert service.max_in_flight == bound


async def test_copies_share_locks_and_session(client: AsyncExperimentClient, service: SlowService) -> None:
    """A copy with other options waits for the writes of its client, and shares its session, rate limiter and usage."""
    copies = [client, client.with_options(timeout=5.0), client.with_options(deadline=None).with_options(timeout=9.0)]
    await asyncio.gather(*(copy.flags.edit("1", enabled=True) for copy in copies * 3))
    assert service.overlapping == set()
    assert {copy.usage for copy in copies} == {client.usage}
    assert client.usage.requests == 9
    assert len({id(copy._transport.session) for copy in copies}) == 1


async def test_copies_share_the_rate_limit(emulator: Emulator) -> None:
    """Two copies together keep the limit of one client."""
    limit = RateLimit(per_second=2)
    async with AsyncExperimentClient(emulator.api_key, base_url=emulator.base_url, rate_limit=limit) as client:
        copy = client.with_options(deadline=0.2)
        await asyncio.gather(client.flags.list(), copy.flags.list())
        with pytest.raises(APITimeoutError):
            await copy.flags.list()
    assert len(emulator.requests) == 2


@pytest.mark.parametrize("which", ["running", "waiting"])
async def test_a_cancelled_write_releases_the_lock(
    client: AsyncExperimentClient, service: SlowService, which: str
) -> None:
    """Later writes keep their order, whether the cancelled write was in flight or waiting, and no lock is left."""
    service.seconds = 0.02
    writes = [asyncio.ensure_future(client.flags.variants.edit("1", f"v{index}", name="x")) for index in range(4)]
    while not service.started:  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(0.001)
    cancelled = 0 if which == "running" else 1
    writes[cancelled].cancel()
    results = await asyncio.gather(*writes, return_exceptions=True)
    assert [index for index, result in enumerate(results) if result is not None] == [cancelled]
    assert isinstance(results[cancelled], asyncio.CancelledError)
    arrived = [0, 1, 2, 3] if which == "running" else [0, 2, 3]
    assert service.started == [f"PATCH /flags/1/variants/v{index}" for index in arrived]
    assert len(locks(client)) == 0


async def test_a_deadline_while_waiting_for_the_lock(client: AsyncExperimentClient, service: SlowService) -> None:
    """A write that times out is not sent, and leaves the lock to the next write."""
    service.seconds = 0.05
    first = asyncio.ensure_future(client.flags.edit("1", enabled=True))
    await asyncio.sleep(0)
    with pytest.raises(APITimeoutError, match="waited for earlier writes to the same object") as caught:
        await client.with_options(deadline=0.01).flags.archive("1")
    assert (caught.value.sent, caught.value.attempts) == (False, 0)
    await first
    await client.flags.edit("1", enabled=False)
    assert len(service.started) == 2
    assert len(locks(client)) == 0


async def test_retries_and_reconciling_hold_the_lock(emulator: Emulator, no_backoff: RetryPolicy) -> None:
    """No other write to the flag is sent between an ambiguous attempt and its retry, or its reading back."""
    emulator.state.add_flag(id="1", variants=[{"key": "on"}])
    emulator.inject(Fault.close(applied=True), nth=1, method="PATCH")
    emulator.inject(Fault.close(applied=True), nth=1, method="POST")
    async with AsyncExperimentClient(emulator.api_key, base_url=emulator.base_url, retry=no_backoff) as client:
        await asyncio.gather(
            client.flags.edit("1", name="first"),
            client.flags.variants.create("1", key="new"),
            client.flags.edit("1", name="last"),
        )
    assert [request.method for request in emulator.requests] == ["PATCH", "PATCH", "POST", "GET", "PATCH"]
    assert emulator.state.flag("1")["name"] == "last"


async def test_a_failed_write_releases_the_lock(emulator: Emulator, no_backoff: RetryPolicy) -> None:
    """A rejected write releases the lock too."""
    async with AsyncExperimentClient(emulator.api_key, base_url=emulator.base_url, retry=no_backoff) as client:
        writes = [client.flags.edit("1", enabled=True) for _ in range(3)]
        results = await asyncio.gather(*writes, return_exceptions=True)
        assert [type(result) for result in results] == [NotFoundError] * 3
        assert len(locks(client)) == 0


def test_locks_by_key() -> None:
    """Locks of different keys are independent, and exist while they are held or awaited."""

    async def scenario() -> None:
        table = KeyedLocks()
        await table.acquire("a", None)
        await table.acquire("b", None)
        await table.acquire(None, None)
        assert len(table) == 2
        with pytest.raises(TimeoutError):
            await table.acquire("a", 3.0)
        assert now() == 3.0
        waiting = asyncio.ensure_future(table.acquire("a", None))
        await asyncio.sleep(1.0)
        assert not waiting.done()
        table.release("a")
        table.release("b")
        table.release(None)
        await waiting
        assert len(table) == 1
        table.release("a")
        assert len(table) == 0

    run(scenario())
