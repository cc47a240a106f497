"""Every way in which a worker pool ends: stopped, finished, or by an error of its source or a worker."""

from __future__ import annotations

import asyncio

import pytest

from tests.bulk.pool_harness import Item, PoolHarness, create_items, drain, indexes
from tests.virtual_time import now, run


@pytest.mark.parametrize("stop_at", [0.5, 1.5, 2.5])
def test_stopping(stop_at: float) -> None:
    """`stop` lets items in flight finish, skips those already read and reads no more; each has one result."""
    harness = PoolHarness(create_items([*"aabbccdd", *range(92)]), max_concurrency=3)

    async def main() -> None:
        pool = harness.create_pool()
        asyncio.get_running_loop().call_at(stop_at, pool.stop)
        results = await drain(pool)
        assert now() == pytest.approx(int(stop_at) + 1)
        assert sorted(index for _, index in results) == list(range(harness.read))
        assert sorted(indexes(results, "done")) == sorted(harness.order)
        assert harness.read < 20
        pool.stop()
        assert await pool.results() == []
        assert (harness.closed, harness.ends) == (True, 1)

    run(main())


def test_stopping_cancels_a_waiting_source() -> None:
    """`stop` cancels a source that waits."""
    harness = PoolHarness(create_items(range(5)), pause=1000.0)

    async def main() -> None:
        pool = harness.create_pool()
        asyncio.get_running_loop().call_at(1500.0, pool.stop)
        assert await drain(pool) == [("done", 0)]
        assert now() == 1500.0
        assert harness.closed

    run(main())


def test_stopped_by_its_source() -> None:
    """An item that the source yields after it stopped the pool has a result."""
    harness = PoolHarness(create_items("a"))

    async def main() -> None:
        pool = harness.create_pool()
        harness.items = iter(pool.stop() or item for item in harness.items)
        assert await drain(pool) == [("skipped", 0)]

    run(main())


def test_finish_waits_and_keeps_results() -> None:
    """After `finish` no task is left and the results can still be read. A second call does nothing."""
    harness = PoolHarness(create_items(range(50), 5.0), max_concurrency=3)

    async def main() -> None:
        pool = harness.create_pool()
        consumer = asyncio.ensure_future(pool.results())
        await asyncio.sleep(1.0)
        consumer.cancel()
        await pool.finish()
        assert now() == pytest.approx(5.0)
        assert all(task.done() for task in harness.tasks)
        assert sorted(indexes(await drain(pool), "done")) == [0, 1, 2]
        await pool.finish()

    run(main())
    assert harness.ends == 1


def test_finish_before_the_start() -> None:
    """A pool that is finished before it started reads nothing and has no results."""
    harness = PoolHarness(create_items(range(5)))

    async def main() -> None:
        pool = harness.create_pool()
        await pool.finish()
        assert await pool.results() == []
        assert not pool.started

    run(main())
    assert (harness.read, harness.tasks) == (0, [])


def test_a_source_that_raises() -> None:
    """The items before the error have results; then the error is raised once."""
    harness = PoolHarness(create_items(range(10)), max_concurrency=4, source_error=ZeroDivisionError("source"))

    async def main() -> None:
        pool, results = harness.create_pool(), []
        with pytest.raises(ZeroDivisionError, match="source"):
            await drain(pool, results)
        assert sorted(index for _, index in results) == list(range(10))
        assert len(indexes(results, "done")) >= 4
        assert await pool.results() == []

    run(main())
    assert harness.ends == 1


def test_a_worker_that_raises() -> None:
    """An error of a worker stops the pool: items in flight finish, the rest is skipped, then the error is raised."""
    items = [*create_items("abc", 1.0), Item(3, "d", 0.5, KeyError("worker")), *(Item(n, n, 1.0) for n in range(4, 50))]
    harness = PoolHarness(items, max_concurrency=4)

    async def main() -> None:
        pool, results = harness.create_pool(), []
        with pytest.raises(KeyError, match="worker"):
            await drain(pool, results)
        assert sorted(indexes(results, "done")) == [0, 1, 2]
        assert sorted(index for _, index in results) == [n for n in range(harness.read) if n != 3]
        assert await pool.results() == []

    run(main())
    assert harness.ends == 1
