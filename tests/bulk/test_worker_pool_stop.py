"""Every way in which a runner ends: stopped, finished, given up by its source or by a worker."""

from __future__ import annotations

import asyncio

import pytest

from tests.bulk.pool_harness import Bench, Job, drain, indexes, jobs_of
from tests.virtual_time import now, run


@pytest.mark.parametrize("at", [0.5, 1.5, 2.5])
def test_stopping(at: float) -> None:
    """What is under way ends, what was read is dropped, no more is read; each has one result."""
    bench = Bench(jobs_of([*"aabbccdd", *range(92)]), at_once=3)

    async def main() -> None:
        runner = bench.runner()
        asyncio.get_running_loop().call_at(at, runner.stop)
        results = await drain(runner)
        assert now() == pytest.approx(int(at) + 1)
        assert sorted(index for _, index in results) == list(range(bench.read))
        assert sorted(indexes(results, "done")) == sorted(bench.order)
        assert bench.read < 20
        runner.stop()
        assert await runner.results() == []
        assert (bench.closed, bench.ends) == (True, 1)

    run(main())


def test_stopping_ends_a_source_that_waits() -> None:
    """Nobody waits for a job that would not be begun."""
    bench = Bench(jobs_of(range(5)), pause=1000.0)

    async def main() -> None:
        runner = bench.runner()
        asyncio.get_running_loop().call_at(1500.0, runner.stop)
        assert await drain(runner) == [("done", 0)]
        assert now() == 1500.0
        assert bench.closed

    run(main())


def test_stopped_by_the_source_itself() -> None:
    """The job that it gives nevertheless has its result."""
    bench = Bench(jobs_of("a"))

    async def main() -> None:
        runner = bench.runner()
        bench.jobs = iter(runner.stop() or job for job in bench.jobs)
        assert await drain(runner) == [("dropped", 0)]

    run(main())


def test_finishing_waits_for_what_is_under_way_and_results_stay() -> None:
    """After `finish` no task is left; what was done meanwhile can still be asked for. Again, it does nothing."""
    bench = Bench(jobs_of(range(50), 5.0), at_once=3)

    async def main() -> None:
        runner = bench.runner()
        asking = asyncio.ensure_future(runner.results())
        await asyncio.sleep(1.0)
        asking.cancel()
        await runner.finish()
        assert now() == pytest.approx(5.0)
        assert all(task.done() for task in bench.tasks)
        assert sorted(indexes(await drain(runner), "done")) == [0, 1, 2]
        await runner.finish()

    run(main())
    assert bench.ends == 1


def test_finished_before_it_began() -> None:
    """Nothing is read or begun, and there are no results."""
    bench = Bench(jobs_of(range(5)))

    async def main() -> None:
        runner = bench.runner()
        await runner.finish()
        assert await runner.results() == []
        assert not runner.started

    run(main())
    assert (bench.read, bench.tasks) == (0, [])


def test_a_source_that_raises() -> None:
    """What it gave before is done, its results are handed out, and then its error, once."""
    bench = Bench(jobs_of(range(10)), at_once=4, source_error=ZeroDivisionError("source"))

    async def main() -> None:
        runner, found = bench.runner(), []
        with pytest.raises(ZeroDivisionError, match="source"):
            await drain(runner, found)
        assert sorted(index for _, index in found) == list(range(10))
        assert len(indexes(found, "done")) >= 4
        assert await runner.results() == []

    run(main())
    assert bench.ends == 1


def test_a_worker_that_raises() -> None:
    """It stops all: the others end, what waits is dropped, and the error comes after the last result."""
    jobs = [*jobs_of("abc", 1.0), Job(3, "d", 0.5, KeyError("worker")), *(Job(n, n, 1.0) for n in range(4, 50))]
    bench = Bench(jobs, at_once=4)

    async def main() -> None:
        runner, found = bench.runner(), []
        with pytest.raises(KeyError, match="worker"):
            await drain(runner, found)
        assert sorted(indexes(found, "done")) == [0, 1, 2]
        assert sorted(index for _, index in found) == [n for n in range(bench.read) if n != 3]
        assert await runner.results() == []

    run(main())
    assert bench.ends == 1
