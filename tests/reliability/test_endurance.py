"""Many requests leave nothing behind: memory, tasks, descriptors and threads stay as they were."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from amp_exp_async import AmpExpError, AsyncExperimentClient, ExperimentClient, RetryPolicy
from amp_exp_async.emulator import Emulator, Fault
from tests.reliability.conftest import CALLERS_SESSION, OWN_SESSION, ClientFactory
from tests.reliability.emulator_process import EmulatorProcess
from tests.reliability.figures import Figures

AREA = "Endurance"
WORKERS = 16
THREADS = 8
RETRY = RetryPolicy(max_attempts=3, backoff_base=0.0)

_MAX_OBJECTS = 3_000
_MAX_MEGABYTES = 12.0
_STATM = Path("/proc/self/statm")


@frozen
class Footprint:
    """What this process uses.

    Attributes:
        objects: the objects that the garbage collector knows.
        megabytes: the memory in RAM; 0 if the system does not tell.
        tasks, descriptors, threads: their numbers.
    """

    objects: int
    megabytes: float
    tasks: int
    descriptors: int
    threads: int


def measure(loop: asyncio.AbstractEventLoop | None = None) -> Footprint:
    """Return what this process uses now."""
    gc.collect()
    pages = int(_STATM.read_text().split()[1]) if _STATM.exists() else 0
    return Footprint(
        len(gc.get_objects()),
        pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
        0 if loop is None else len(asyncio.all_tasks(loop)),
        len(os.listdir("/dev/fd")),  # noqa: PTH208 - names, which may be gone
        threading.active_count(),
    )


def check_flat(before: Footprint, after: Footprint, figures: Figures, connections: int = 0) -> None:
    """Assert that a process uses as much as before, give or take `connections` idle connections."""
    assert after.tasks <= before.tasks
    assert after.descriptors <= before.descriptors + connections
    assert after.threads <= before.threads
    assert after.objects - before.objects < _MAX_OBJECTS
    assert after.megabytes - before.megabytes < _MAX_MEGABYTES
    figures.peak("growth of memory, MiB", round(after.megabytes - before.megabytes, 1))
    figures.peak("growth of objects", after.objects - before.objects)
    figures.peak("growth of tasks and threads", after.tasks - before.tasks + after.threads - before.threads)


def prepare(emulator: Emulator) -> str:
    """Add a flag with users, and let some requests fail. Return the ID of the flag."""
    id = emulator.state.add_flag(key="worn", projectId="7", variants=[{"key": "on"}])["id"]
    emulator.state.add_users("flags", id, "on", [f"u{number}" for number in range(20)])
    for fault in (Fault.close(applied=True), Fault.status(503), Fault.truncate(), Fault.status(429, retry_after=0)):
        emulator.inject(fault, times=None, probability=0.002)
    return id


def call_of(client: Any, flag: str, number: int) -> Any:
    """Return one of several calls, some of which are rejected."""
    calls: list[Callable[[], Any]] = [
        lambda: client.flags.get(flag),
        lambda: client.flags.variants.get(flag, "on"),
        lambda: client.flags.users.add(flag, "on", [f"u{number % 30}"]),
        lambda: client.flags.get("missing"),
        lambda: client.flags.find("worn", project_id="7"),
        lambda: client.flags.users.remove(flag, "on", [f"u{number % 30}"]),
        lambda: client.flags.users.remove_at(flag, "on", 10_000),
        lambda: client.flags.variants.get(flag, "missing"),
    ]
    return calls[number % len(calls)]()


async def run_calls(client: AsyncExperimentClient, flag: str, requests: int) -> None:
    """Make calls in several tasks until that many requests were sent."""
    numbers = count()

    async def work() -> None:
        while client.usage.requests < requests:
            with contextlib.suppress(AmpExpError):
                await call_of(client, flag, next(numbers))

    async with asyncio.TaskGroup() as group:
        for _ in range(WORKERS):
            group.create_task(work())


# A release that is not supported differs from a caller's session in who made the connector.
@pytest.mark.parametrize("session_path", [OWN_SESSION, CALLERS_SESSION], indirect=True)
@pytest.mark.parametrize("requests", [1_500, pytest.param(90_000, marks=pytest.mark.slow)])
async def test_an_async_client(
    emulator_process: EmulatorProcess, make_client: ClientFactory, figures: Figures, requests: int
) -> None:
    """A client that has warmed up uses no more after many requests."""
    flag = emulator_process.run(prepare)
    loop = asyncio.get_running_loop()
    client = await make_client(emulator_process.base_url, api_key=emulator_process.api_key, retry=RETRY)
    await run_calls(client, flag, requests // 4)
    before = measure(loop)
    await run_calls(client, flag, requests)
    check_flat(before, measure(loop), figures, WORKERS)
    figures.count("requests", client.usage.requests)


@pytest.mark.parametrize("requests", [500, pytest.param(20_000, marks=pytest.mark.slow)])
def test_a_blocking_client(emulator_process: EmulatorProcess, figures: Figures, requests: int) -> None:
    """So does a client that many threads use."""
    flag = emulator_process.run(prepare)
    numbers = count()

    def work(limit: int) -> None:
        while client.usage.requests < limit:
            with contextlib.suppress(AmpExpError):
                call_of(client, flag, next(numbers))

    def run(limit: int) -> Footprint:
        with ThreadPoolExecutor(THREADS) as pool:
            for future in [pool.submit(work, limit) for _ in range(THREADS)]:
                future.result()
        return measure()

    with ExperimentClient(
        emulator_process.api_key, base_url=emulator_process.base_url, rate_limit=None, retry=RETRY
    ) as client:
        before = run(requests // 4)
        check_flat(before, run(requests), figures, THREADS)
        figures.count("requests", client.usage.requests)


@pytest.mark.parametrize("clients", [40, pytest.param(1_000, marks=pytest.mark.slow)])
async def test_many_clients(emulator_process: EmulatorProcess, figures: Figures, clients: int) -> None:
    """Clients that are opened and closed leave nothing behind."""
    flag = emulator_process.run(prepare)
    loop = asyncio.get_running_loop()

    async def use(number: int) -> None:
        async with AsyncExperimentClient(
            emulator_process.api_key, base_url=emulator_process.base_url, rate_limit=None, retry=RETRY
        ) as client:
            with contextlib.suppress(AmpExpError):
                await call_of(client, flag, number)

    for number in range(clients // 4):
        await use(number)
    before = measure(loop)
    for number in range(clients):
        await use(number)
    check_flat(before, measure(loop), figures)
    figures.count("clients", clients)
