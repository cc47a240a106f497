"""Redis fails in every way while several clients share a limit through it: the limit holds, and no call fails.

The service is in a process of its own, and rejects each request beyond the limit in any one second. The long form runs
20 processes at the limit of the live service. The short form runs all faults at once, with a few clients each.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Protocol

import pytest
from attrs import frozen

from amp_exp_async import AsyncExperimentClient, RedisRateLimit
from amp_exp_async.ratelimit.redis import store
from tests.polling import TIMEOUT
from tests.ratelimit.redis.moved_clock import script_with_offset, set_clock
from tests.ratelimit.redis.redis_server import MISSING, RedisServer, find_server
from tests.ratelimit.redis.workers import Worker, send_repeatedly, start_workers
from tests.ratelimit.simulated_network import max_per_second
from tests.reliability.figures import Figures
from tests.reliability.strict_server import StrictServer
from tests.reliability.tls_proxy import make_certificate, tls_proxy

AREA = "Redis"

Action = Callable[[RedisServer], None]


@frozen
class Fault:
    """A fault of Redis.

    Attributes:
        begin: brings it about.
        end: removes it.
        times: how often.
        seconds: how long it lasts each time.
        tls: whether the clients use TLS.
    """

    begin: Action
    end: Action
    times: int = 1
    seconds: float = 1.0
    tls: bool = False


def _nothing(_: RedisServer) -> None: ...


def _restart(server: RedisServer) -> None:
    server.kill()
    server.start()


def _set_clock(offset: int) -> Action:
    def act(server: RedisServer) -> None:
        with server.client() as client:
            set_clock(client, offset)

    return act


FAULTS = {
    "killed": Fault(RedisServer.kill, RedisServer.start),
    "hung": Fault(RedisServer.freeze, RedisServer.thaw),
    "emptied": Fault(RedisServer.empty, _nothing, times=3, seconds=0.4),
    "restarted empty": Fault(_restart, _nothing, times=2, seconds=0.5),
    "read-only": Fault(
        lambda server: server.reject_writes(reject=True), lambda server: server.reject_writes(reject=False)
    ),
    "full": Fault(lambda server: server.fill(full=True), lambda server: server.fill(full=False)),
    "clock an hour ahead and back": Fault(_set_clock(3600), _set_clock(0), seconds=0.6),
    "clock a day ahead": Fault(_set_clock(86_400), _nothing),
    "killed, over TLS": Fault(RedisServer.kill, RedisServer.start, tls=True),
}

LONG_FAULTS = FAULTS | {"hung for longer than a lease": Fault(RedisServer.freeze, RedisServer.thaw, seconds=6.0)}


@frozen
class Setup:
    """What one fault is tried with.

    Attributes:
        server: the server, which is not started.
        url: its URL for the clients.
        service: the service.
        key: the key that the service counts by.
        limit: the requests a second.
    """

    server: RedisServer
    url: str
    service: StrictServer
    key: str
    limit: int

    def rate_limit(self, clients: int) -> RedisRateLimit:
        """Return the limit, with a fallback rate that half of it is enough for."""
        return RedisRateLimit(self.url, per_second=self.limit, fallback_per_second=max(1, self.limit // 2 // clients))


class Load(Protocol):
    """A function that sends as many requests as the limit allows, until the event is set, and returns the failures."""

    def __call__(self, setup: Setup, stop: asyncio.Event) -> Awaitable[int]: ...


async def load_by_clients(setup: Setup, stop: asyncio.Event) -> int:
    """Send requests through three clients of this process, which is one for the fallback rate."""
    async with AsyncExitStack() as stack:
        tasks = list[asyncio.Task[None]]()
        for _ in range(3):
            client = await stack.enter_async_context(
                AsyncExperimentClient(setup.key, base_url=setup.service.base_url, rate_limit=setup.rate_limit(1))
            )
            tasks += [asyncio.create_task(send_repeatedly(client)) for _ in range(setup.limit)]
        await stop.wait()
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    return sum(not isinstance(result, asyncio.CancelledError) for result in results)


@pytest.fixture(scope="module")
def twenty_processes() -> Iterator[list[Worker]]:
    """Start twenty processes, each of which has a client at a time: it takes longer than what a test does with them."""
    with start_workers(20) as workers:
        yield workers


async def load_by_processes(workers: Sequence[Worker], setup: Setup, stop: asyncio.Event) -> int:
    """Send requests through one client in each process."""
    limit = setup.rate_limit(len(workers))
    for worker in workers:
        worker.start(setup.service.base_url, setup.key, limit, concurrency=6, moved_clock=True)
    await stop.wait()
    reports = await asyncio.gather(*(asyncio.to_thread(worker.stop) for worker in workers))
    return sum(report["failed"] for report in reports)


async def wait_for_rate(setup: Setup, since: float, rate: float) -> None:
    """Wait until the service has accepted `rate` requests in one second."""
    async with asyncio.timeout(3 * TIMEOUT):  # twenty processes start slowly on a busy machine
        while True:
            report = await asyncio.to_thread(setup.service.report, setup.key)
            arrivals = [time for time in report.accepted if time >= since]
            if arrivals and max_per_second(arrivals) >= rate:
                return
            await asyncio.sleep(0.1)


async def try_fault(fault: Fault, setup: Setup, load: Load, figures: Figures) -> None:
    """Assert that the limit holds and that no call fails while Redis has a fault."""
    loop = asyncio.get_running_loop()
    setup.server.start()
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        failed = group.create_task(_count_failures(load, setup, stop))
        await wait_for_rate(setup, 0.0, 0.7 * setup.limit)
        for _ in range(fault.times):
            fault.begin(setup.server)
            await asyncio.sleep(fault.seconds)
            fault.end(setup.server)
        await wait_for_rate(setup, loop.time(), 0.7 * setup.limit)
        stop.set()
    report = await asyncio.to_thread(setup.service.report, setup.key)
    figures.count("requests", len(report.accepted))
    figures.count("refused requests", len(report.rejected))
    figures.count("failed calls", failed.result())
    assert report.rejected == []
    assert max_per_second(report.accepted) <= setup.limit
    assert failed.result() == 0


async def _count_failures(load: Load, setup: Setup, stop: asyncio.Event) -> int:
    return await load(setup, stop)


@asynccontextmanager
async def set_up(name: str, service: StrictServer, limit: int, directory: Path) -> AsyncIterator[Setup]:
    """Yield what a fault is tried with; the server is killed at the end."""
    path = find_server()
    if path is None:
        pytest.skip(MISSING)
    server = RedisServer(path, directory)
    key = f"key-{list(LONG_FAULTS).index(name)}-of-redis"
    async with AsyncExitStack() as stack:
        stack.callback(server.kill)
        url = server.url
        if LONG_FAULTS[name].tls:
            certificate = make_certificate(directory)
            port = await stack.enter_async_context(tls_proxy(certificate, server.port))
            url = f"rediss://localhost:{port}/0?ssl_ca_certs={certificate}"
        yield Setup(server, url, service, key, limit)


async def test_all_faults_at_once(figures: Figures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a few clients for each fault, no second has more requests than the limit."""
    for name, value in script_with_offset().items():
        monkeypatch.setattr(store, name, value)
    limit = 10
    with StrictServer(limit) as service:
        async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
            for name, fault in FAULTS.items():
                setup = await stack.enter_async_context(set_up(name, service, limit, tmp_path))
                group.create_task(try_fault(fault, setup, load_by_clients, figures))


@pytest.mark.slow
@pytest.mark.parametrize("name", LONG_FAULTS)
async def test_twenty_processes(name: str, twenty_processes: list[Worker], figures: Figures, tmp_path: Path) -> None:
    """With twenty processes at the limit of the live service, no second has more requests than the limit."""
    limit = 100
    with StrictServer(limit) as service:
        async with set_up(name, service, limit, tmp_path) as setup:
            await try_fault(LONG_FAULTS[name], setup, partial(load_by_processes, twenty_processes), figures)
