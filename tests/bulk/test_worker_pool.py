"""The worker pool with items that only take time: order, overlap, look-ahead and results."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Hashable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amp_exp_async.bulk.worker_pool import KeyedWorkerPool
from tests.bulk.pool_harness import Item, PoolHarness, check, create_items, drain
from tests.virtual_time import now, run


async def steps(count: int = 20) -> None:
    """Run the event loop for some iterations."""
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("keys", "max_concurrency", "seconds"),
    [("aaaa", 4, 4), ("abcd", 4, 1), ("abcd", 2, 2), ("abcd", 1, 4), ("aabb", 4, 2), ("abab", 9, 2), ("", 3, 0)],
)
def test_concurrent_keys_and_ordered_items(keys: str, max_concurrency: int, seconds: float) -> None:
    """Keys run concurrently up to the bound; the items of one key run in order without overlap."""
    harness = PoolHarness(create_items(keys), max_concurrency)

    async def main() -> float:
        assert sorted(await harness.all()) == [("done", index) for index in range(len(keys))]
        return now()

    assert run(main()) == pytest.approx(seconds)
    check(harness)
    assert harness.max_in_flight == min(len(set(keys)), max_concurrency)
    assert (harness.closed, harness.ends, [task for task in harness.tasks if not task.done()]) == (True, 1, [])


@given(
    keys=st.lists(st.tuples(st.integers(0, 5), st.sampled_from([0.0, 0.3, 1.0, 7.0])), max_size=40),
    max_concurrency=st.integers(1, 7),
    pause=st.sampled_from([0.0, 0.1, 2.0]),
)
@settings(max_examples=150, deadline=None)
def test_any_mixture(keys: list[tuple[int, float]], max_concurrency: int, pause: float) -> None:
    """Each item runs once, in its key's order, without overlap, within the bound, and no worker idles needlessly.

    If all items can be read at once, the total time is at most that of a list schedule.
    """
    harness = PoolHarness(
        [Item(index, key, seconds) for index, (key, seconds) in enumerate(keys)], max_concurrency, pause
    )

    async def main() -> float:
        results = await harness.all()
        assert Counter(results) == Counter(("done", index) for index in range(len(keys)))
        return now()

    took = run(main())
    check(harness)
    assert harness.max_in_flight <= max_concurrency
    assert (harness.ends, harness.closed) == (1, True)
    total = sum(item.seconds for item in harness.items)
    longest_key = max((sum(j.seconds for j in harness.items if j.key == key) for key in range(6)), default=0.0)
    assert max(longest_key, total / max_concurrency) - 1e-6 <= took <= total + pause * len(keys) + 1e-6
    if not pause:
        assert took <= total / max_concurrency + longest_key * (max_concurrency - 1) / max_concurrency * 2 + 1e-6


def test_a_slow_key_does_not_block_others() -> None:
    """Items behind a slow one wait while all other keys proceed."""
    items = [Item(0, "slow", 1000.0), *(Item(n, "slow", 1.0) for n in range(1, 900))]
    items += [Item(n, n, 1.0) for n in range(900, 1200)]
    harness = PoolHarness(items, max_concurrency=4)

    async def main() -> None:
        pool, done = harness.create_pool(), []
        while len(done) < 300:
            done += await pool.results()
        assert sorted(done) == [("done", index) for index in range(900, 1200)]
        assert now() <= 101.0
        await drain(pool)

    run(main())
    check(harness)


def test_bounded_look_ahead() -> None:
    """The look-ahead behind a slow item is bounded and resumes when there is room."""
    harness = PoolHarness(create_items(["slow"] * 5000, 1.0), max_concurrency=4)

    async def main() -> None:
        pool = harness.create_pool()
        await pool.results()
        assert harness.read <= 1010
        await drain(pool)

    run(main())
    assert harness.read == 5000
    check(harness)


@pytest.mark.parametrize("max_concurrency", [1, 3, 16])
def test_items_are_read_on_demand(max_concurrency: int) -> None:
    """Nothing is read before results are requested, and then at most a small multiple of the concurrency."""
    harness = PoolHarness(create_items(range(1000)), max_concurrency)

    async def main() -> None:
        pool = harness.create_pool()
        await steps()
        assert (pool.started, harness.read, harness.tasks) == (False, 0, [])
        await pool.results()
        assert pool.started
        assert harness.read <= 3 * max_concurrency + 1
        await asyncio.sleep(100)
        assert harness.read <= 4 * max_concurrency + 1, "unread results pause the producer"
        assert harness.in_flight == 0
        await drain(pool)

    run(main())
    assert harness.read == 1000


def test_unread_results_pause_the_workers() -> None:
    """A consumer that pauses also pauses the workers, and no result is lost."""
    harness = PoolHarness(create_items(range(100), 0.1), max_concurrency=5)

    async def main() -> None:
        pool = harness.create_pool()
        results = await pool.results()
        await asyncio.sleep(50)
        assert len(harness.spans) <= len(results) + 2 * harness.max_concurrency
        results += await drain(pool)
        assert sorted(results) == [("done", index) for index in range(100)]

    run(main())


def test_several_consumers() -> None:
    """Several consumers share the results, each result goes to one, and all reach the end."""
    harness = PoolHarness(create_items(range(30)), max_concurrency=3)

    async def main() -> None:
        pool = harness.create_pool()
        results = await asyncio.gather(*(drain(pool) for _ in range(3)))
        assert sorted(index for part in results for _, index in part) == list(range(30))

    run(main())


def test_cancelled_consumers() -> None:
    """A consumer that is cancelled at any time loses no result."""
    harness = PoolHarness(create_items([*"aaabbb", *range(30)], 0.7), max_concurrency=3)

    async def main() -> None:
        pool, results = harness.create_pool(), []
        for _ in range(1000):
            try:
                async with asyncio.timeout(0.1):
                    batch = await pool.results()
            except TimeoutError:
                continue
            if not batch:
                break
            results += batch
        assert sorted(results) == [("done", index) for index in range(36)]

    run(main())


@pytest.mark.parametrize(
    ("keys", "total"), [(lambda n: n, 60_000), (lambda n: n % 7, 30_000), (lambda _: 0, 30_000)], ids=["all", "7", "1"]
)
def test_memory_stays_flat(keys: Callable[[int], int], total: int) -> None:
    """Memory is bounded by the look-ahead, for items of many keys or of few."""

    async def source() -> AsyncGenerator[tuple[Hashable, int], None]:
        for number in range(total):
            yield keys(number), number

    async def work(item: int) -> int:
        return item

    async def main() -> None:
        loop = asyncio.get_running_loop()
        pool: KeyedWorkerPool[int, int] = KeyedWorkerPool(
            source(),
            create_worker=lambda: work,
            on_skip=lambda item: item,
            spawn=loop.create_task,
            max_concurrency=64,
            on_stop=list,
            on_end=list,
        )
        count, base, peak = 0, 0, 0
        while batch := await pool.results():
            count += len(batch)
            if count > 5000 and not base:
                base = tracemalloc.get_traced_memory()[0]
                tracemalloc.reset_peak()
            peak = tracemalloc.get_traced_memory()[1]
        assert count == total
        assert peak - base < 600_000

    tracemalloc.start()
    try:
        run(main())
    finally:
        tracemalloc.stop()
