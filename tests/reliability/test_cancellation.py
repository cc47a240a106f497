"""Calls that are cancelled at random moments, in every way: afterwards nothing is held, waited for or left."""

from __future__ import annotations

import asyncio
import gc
import random
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from typing import Any

import anyio
import attrs
import pytest

from amp_exp_async import AddUsers, AmpExpError, AsyncExperimentClient, Edit, RateLimit, RetryPolicy
from amp_exp_async.emulator import Emulator, Fault
from tests.conftest import PATHS
from tests.crossing import cross, slow
from tests.polling import TIMEOUT
from tests.reliability.emulator_process import EmulatorProcess
from tests.reliability.figures import Figures

AREA = "Cancellation storm"
MAX_CONCURRENCY = 8
_AT_ONCE = 25
_MAX_SECONDS = 0.03
"""Most calls take less than this, so some of them end before they are cancelled."""

Call = Callable[[AsyncExperimentClient, str, int], Awaitable[object]]
Cancel = Callable[[Awaitable[object], float], Awaitable[bool]]


def populate(emulator: Emulator, count: int) -> list[str]:
    """Add flags, and make the service slow and unreliable."""
    ids = [emulator.state.add_flag(variants=[{"key": "on"}], name="0")["id"] for _ in range(count)]
    emulator.inject(Fault.status(503), probability=0.05, times=None)
    emulator.inject(Fault.close(applied=True), probability=0.03, times=None)
    emulator.inject(Fault.status(429, retry_after=0), probability=0.02, times=None)
    emulator.inject(Fault.delay(0.02), probability=0.5, times=None)
    return ids


async def iterate(client: AsyncExperimentClient, *_: object) -> None:
    """Read a list of several pages."""
    async for _flag in client.flags.list(limit=3):
        await asyncio.sleep(0)


async def run_bulk(client: AsyncExperimentClient, id: str, number: int) -> None:
    """Run operations from an async generator."""

    async def operations() -> AsyncGenerator[Edit | AddUsers, None]:
        for name in range(5):
            yield Edit("flags", id, {"name": f"{number} {name}"})
            await asyncio.sleep(0)
            yield AddUsers("flags", id, "on", [f"u{number}"])

    async with client.bulk(operations()) as run:
        async for _outcome in run:
            await asyncio.sleep(0)


CALLS: list[Call] = [
    lambda c, id, _: c.flags.get(id),
    lambda c, id, number: c.flags.edit(id, name=str(number)),
    lambda c, id, number: c.flags.users.add(id, "on", [f"v{number}"]),
    lambda c, id, number: c.flags.variants.create(id, key=f"variant-{number}"),
    lambda c, _, number: c.flags.create(project_id="1", key=f"flag-{number}"),
    lambda c, id, number: c.flags.guarded_edit(id, lambda flag: attrs.evolve(flag, description=str(number))),
    lambda c, id, number: c.flags.tags.add(id, [f"t{number}"]),
    iterate,
    run_bulk,
]


async def by_task(work: Awaitable[object], seconds: float) -> bool:
    """Cancel the task of a call; return whether the cancellation ended it."""
    task = asyncio.ensure_future(work)
    await asyncio.sleep(seconds)
    task.cancel()
    await asyncio.wait([task])
    return task.cancelled()


async def by_timeout(work: Awaitable[object], seconds: float) -> bool:
    """Let a timeout of asyncio expire."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await work
            return False
    return True


async def by_wait_for(work: Awaitable[object], seconds: float) -> bool:
    """Let `wait_for` give up."""
    try:
        await asyncio.wait_for(work, seconds)
    except TimeoutError:
        return True
    return False


async def by_scope(work: Awaitable[object], seconds: float) -> bool:
    """Let a cancel scope of anyio expire, which cancels every further wait of the call too."""
    with anyio.move_on_after(seconds) as scope:
        await work
    return scope.cancelled_caught


async def by_task_group(work: Awaitable[object], seconds: float) -> bool:
    """Cancel a task group of anyio in which the call runs."""
    ended: list[bool] = []

    async def run() -> None:
        await work
        ended.append(True)

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await anyio.sleep(seconds)
        group.cancel_scope.cancel()
    return not ended


WAYS: dict[str, list[Cancel]] = {
    "asyncio": [by_task, by_timeout, by_wait_for],
    "anyio": [by_scope, by_task_group],
}


async def cancel_one(client: AsyncExperimentClient, ids: list[str], number: int, cancel: Cancel, seed: str) -> bool:
    """Make a call, cancel it at a random moment, and return whether the cancellation ended it."""
    rng = random.Random(f"{seed} {number}")
    work = rng.choice(CALLS)(client, rng.choice(ids), number)
    try:
        return await cancel(work, rng.uniform(0, _MAX_SECONDS))
    except AmpExpError:  # the call has failed before it was cancelled
        return False
    except BaseExceptionGroup as group:
        others = group.split(AmpExpError)[1]
        if others is not None:
            raise others from None
        return False


async def storm(emulator: EmulatorProcess, ids: list[str], count: int, ways: list[Cancel], seed: str) -> int:
    """Cancel calls until a number of cancellations has ended one, check that nothing is held, and close the client."""
    before = asyncio.all_tasks()
    client = AsyncExperimentClient(
        emulator.api_key,
        base_url=emulator.base_url,
        rate_limit=RateLimit(per_second=5_000, per_day=None),
        retry=RetryPolicy(backoff_base=0.001),
        max_concurrency=MAX_CONCURRENCY,
    )
    cancelled = number = 0
    while cancelled < count:
        calls = []
        for _ in range(_AT_ONCE):
            calls.append(cancel_one(client, ids, number, ways[number % len(ways)], seed))
            number += 1
        cancelled += sum(await asyncio.gather(*calls))
        assert number < 100 * count
    await wait_until_idle(client)
    assert (await client.flags.get(ids[0])).id == ids[0]
    await client.aclose()
    session = client._transport.session
    assert (session.in_flight, session._tasks, session.on_close, session._session) == (set(), set(), set(), None)
    assert asyncio.all_tasks() == before
    return cancelled


async def wait_until_idle(client: AsyncExperimentClient) -> None:
    """Wait until every counter, permit and lock is back: runs that were left may still finish their operations."""
    session = client._transport.session
    limiter: Any = session.limiter

    def held() -> list[object]:
        waiting = [len(limiter._shared._waiters), limiter._client.in_flight, limiter._client.waiting]
        locks = [len(session.locks), len(session.edit_locks), len(session.writes)]
        return [*waiting, *locks, len(session.in_flight), len(session._tasks), session.concurrency.value]

    async with asyncio.timeout(TIMEOUT):
        while held() != [0] * 8 + [MAX_CONCURRENCY]:
            gc.collect()  # stops runs that were abandoned
            await asyncio.sleep(0.01)


def loop_factory(name: str) -> Callable[[], asyncio.AbstractEventLoop]:
    """Return what creates an event loop."""
    if name == "asyncio":
        return asyncio.new_event_loop
    import uvloop

    return uvloop.new_event_loop


LOOPS = ["asyncio", *(["uvloop"] if sys.platform != "win32" else [])]


_SHORT = cross(list(WAYS), LOOPS, PATHS)
_STORMS = [pytest.param(125, *of.values, id=f"125-{of.id}", marks=of.marks) for of in _SHORT]
_STORMS += slow([pytest.param(2_500, *of.values, id=f"2500-{of.id}") for of in _SHORT if not of.marks])


@pytest.mark.parametrize(("count", "way", "loop", "each_path"), _STORMS, indirect=["each_path"])
@pytest.mark.usefixtures("each_path")
def test_cancellations(emulator_process: EmulatorProcess, figures: Figures, *, loop: str, way: str, count: int) -> None:
    """In debug mode, with warnings as errors, nothing is held or left after any number of cancellations."""
    ids = emulator_process.run(populate, 10)
    with asyncio.Runner(debug=True, loop_factory=loop_factory(loop)) as runner:
        unhandled: list[dict[str, Any]] = []
        runner.get_loop().set_exception_handler(lambda _, context: unhandled.append(context))
        cancelled = runner.run(storm(emulator_process, ids, count, WAYS[way], f"{loop} {way}"))
        gc.collect()
        runner.run(asyncio.sleep(0.01))
    assert unhandled == []
    figures.count("cancellations", cancelled)
