"""Prefetched pages: when they are requested, how much memory they take, and what remains after leaving early."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from typing import Any

import pytest

from amp_exp_async import AsyncExperimentClient, Attempt, ClientClosedError, Flag, ServerError
from amp_exp_async.emulator import Emulator, Fault
from tests.pagination.conftest import COUNT
from tests.polling import TIMEOUT


async def run_callbacks() -> None:
    """Let callbacks that are due run."""
    for _ in range(5):
        await asyncio.sleep(0.002)


async def arrived(emulator: Emulator, count: int) -> int:
    """Wait for a number of requests, and return how many have arrived when none is in flight."""
    async with asyncio.timeout(TIMEOUT):
        while len(emulator.requests) < count:  # noqa: ASYNC110 - the log has no event to wait for
            await asyncio.sleep(0.001)
    await run_callbacks()
    return len(emulator.requests)


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5])
async def test_when_the_next_page_is_requested(client: AsyncExperimentClient, emulator: Emulator, limit: int) -> None:
    """It is requested when the consumer reaches the second half of a page, and never a page further."""
    taken = 0
    async with aclosing(aiter(client.flags.list(limit=limit))) as flags:
        async for _ in flags:
            taken += 1
            pages_started = -(-taken // limit)
            in_second_half = (taken - 1) % limit >= limit // 2
            expected = min(pages_started + in_second_half, -(-COUNT // limit))
            assert await arrived(emulator, expected) == expected
    assert taken == COUNT


async def test_the_next_page_arrives_early(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """The next page arrives while the second half is processed, so its first item needs no wait."""
    seen: list[Attempt] = []
    emulator.inject(Fault.delay(0.02), nth=2)
    async with aclosing(aiter(client.with_options(on_attempt=seen.append).flags.list(limit=5))) as flags:
        for _ in range(5):
            await anext(flags)
        async with asyncio.timeout(TIMEOUT):
            while len(seen) < 2:  # noqa: ASYNC110 - the point is that nothing awaits it
                await asyncio.sleep(0.001)
        await run_callbacks()
        sixth = asyncio.ensure_future(anext(flags))
        await asyncio.sleep(0)
        assert sixth.done()
        assert sixth.result().key == "f4"


@pytest.mark.parametrize("stop_after", [1, 4, 5])
@pytest.mark.parametrize("how", ["break", "closing", "cancel", "error"])
async def test_leaving_early_leaves_nothing_behind(
    client: AsyncExperimentClient, emulator: Emulator, stop_after: int, how: str
) -> None:
    """However a loop is left, no task remains, nothing more is sent, and the client still works."""
    emulator.inject(Fault.delay(0.02), nth=2)
    tasks = asyncio.all_tasks()

    async def consume() -> None:
        taken = 0
        async for _ in client.flags.list(limit=5):
            taken += 1
            if taken == stop_after:
                if how == "break":
                    break
                if how == "error":
                    raise ZeroDivisionError
                await asyncio.sleep(60.0)

    async def close() -> None:
        async with aclosing(aiter(client.flags.list(limit=5))) as flags:
            for _ in range(stop_after):
                await anext(flags)

    consumer = asyncio.ensure_future(close() if how == "closing" else consume())
    if how == "cancel":
        await arrived(emulator, 1 if stop_after == 1 else 2)
        consumer.cancel()
    await asyncio.gather(consumer, return_exceptions=True)
    await run_callbacks()
    gc.collect()
    await run_callbacks()
    assert left_behind(tasks) == set()
    sent = len(emulator.requests)
    assert sent == (1 if stop_after == 1 else 2)
    await asyncio.sleep(0.03)
    assert len(emulator.requests) == sent
    assert len(await client.flags.list()) == COUNT


def left_behind(before: set[asyncio.Task[Any]]) -> set[asyncio.Task[Any]]:
    """Return the new tasks, except those of the emulator, which keeps idle connections open."""
    new = asyncio.all_tasks() - before
    return {task for task in new if not getattr(task.get_coro(), "__qualname__", "").startswith("RequestHandler.")}


@pytest.fixture
def flags_alive() -> Iterator[Callable[[], int]]:
    """Return a function that counts the flags in memory that the test has created."""
    gc.collect()
    gc.disable()  # so that new objects, and no others, stay in the first generation
    yield lambda: sum(type(item) is Flag for item in gc.get_objects(generation=0))
    gc.enable()


async def test_at_most_two_pages_in_memory(
    client: AsyncExperimentClient, emulator: Emulator, flags_alive: Callable[[], int]
) -> None:
    """A list of any length holds at most the items of two pages."""
    for index in range(190):
        emulator.state.add_flag(key=f"more{index}")
    limit, max_alive, taken = 10, 0, 0
    async for flag in client.flags.list(limit=limit):
        taken += 1
        await asyncio.sleep(0.001)
        max_alive = max(max_alive, flags_alive())
        del flag
    assert taken == 200
    assert limit < max_alive <= 2 * limit + 1  # one is the consumer's


@pytest.mark.parametrize("awaits", [True, False], ids=["waiting for it", "still in the page before"])
async def test_closing_during_a_prefetch(emulator: Emulator, awaits: bool) -> None:
    """The consumer gets the rest of its page, then `ClientClosedError`, and is not cancelled."""
    tasks = asyncio.all_tasks()
    emulator.inject(Fault.delay(30.0), nth=2)
    client = AsyncExperimentClient(emulator.api_key, base_url=emulator.base_url)
    got: list[str] = []
    second_half = asyncio.Event()

    async def consume() -> None:
        async for flag in client.flags.list(limit=4):
            got.append(flag.key)
            if len(got) == 3:
                second_half.set()
                await asyncio.sleep(0 if awaits else 0.03)

    consumer = asyncio.ensure_future(consume())
    await second_half.wait()
    await asyncio.sleep(0.015)
    await client.aclose()
    with pytest.raises(ClientClosedError):
        await consumer
    assert len(got) == 4
    await emulator.stop()
    assert asyncio.all_tasks() == tasks


async def test_a_consumer_that_never_awaits() -> None:
    """The next page is requested before the item is yielded, so work that blocks the loop does not delay it."""

    def work_until(requests: int) -> int:
        for _ in range(1000):
            time.sleep(0.002)
            if len(emulator.requests) >= requests:
                break
        return len(emulator.requests)

    with Emulator() as emulator:
        for _ in range(COUNT):
            emulator.state.add_flag()
        taken = 0
        async with AsyncExperimentClient(emulator.api_key, base_url=emulator.base_url) as client:
            async for _ in client.flags.list(limit=5):
                taken += 1
                expected = 1 if taken < 3 else 2
                assert work_until(expected) == expected


async def test_an_error_of_an_unused_prefetch(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """A prefetch that fails after the loop was left raises and logs nothing."""
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    emulator.inject(Fault.status(500), nth=2, times=None)

    async def three() -> AsyncIterator[Flag]:
        async with aclosing(aiter(client.flags.list(limit=5))) as flags:
            for _ in range(3):
                yield await anext(flags)
            await run_callbacks()

    assert len([flag async for flag in three()]) == 3
    gc.collect()
    await run_callbacks()
    assert complaints == []
    with pytest.raises(ServerError):
        await client.flags.list()
