"""The runner alone, with jobs that only take time: order, overlap, window, results, and every way to end."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Hashable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amp_exp_async.bulk.worker_pool import KeyedWorkerPool
from tests.bulk.pool_harness import Bench, Job, check, drain, jobs_of
from tests.virtual_time import now, run


async def steps(count: int = 20) -> None:
    """Let whatever can run, run."""
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("keys", "at_once", "seconds"),
    [("aaaa", 4, 4), ("abcd", 4, 1), ("abcd", 2, 2), ("abcd", 1, 4), ("aabb", 4, 2), ("abab", 9, 2), ("", 3, 0)],
)
def test_keys_go_at_once_and_their_jobs_one_by_one(keys: str, at_once: int, seconds: float) -> None:
    """As many keys at once as there are workers; the jobs of one key never overlap and keep their order."""
    bench = Bench(jobs_of(keys), at_once)

    async def main() -> float:
        assert sorted(await bench.all()) == [("done", index) for index in range(len(keys))]
        return now()

    assert run(main()) == pytest.approx(seconds)
    check(bench)
    assert bench.most == min(len(set(keys)), at_once)
    assert (bench.closed, bench.ends, [task for task in bench.tasks if not task.done()]) == (True, 1, [])


@given(
    keys=st.lists(st.tuples(st.integers(0, 5), st.sampled_from([0.0, 0.3, 1.0, 7.0])), max_size=40),
    at_once=st.integers(1, 7),
    pause=st.sampled_from([0.0, 0.1, 2.0]),
)
@settings(max_examples=150, deadline=None)
def test_any_mixture(keys: list[tuple[int, float]], at_once: int, pause: float) -> None:
    """Each job is done once, in its key's order, without overlap and within the bound, and no worker is idle in vain.

    The model of the last: with everything readable at once, the time is at most that of a list schedule.
    """
    bench = Bench([Job(index, key, seconds) for index, (key, seconds) in enumerate(keys)], at_once, pause)

    async def main() -> float:
        results = await bench.all()
        assert Counter(results) == Counter(("done", index) for index in range(len(keys)))
        return now()

    took = run(main())
    check(bench)
    assert bench.most <= at_once
    assert (bench.ends, bench.closed) == (1, True)
    work = sum(job.seconds for job in bench.jobs)
    longest_key = max((sum(j.seconds for j in bench.jobs if j.key == key) for key in range(6)), default=0.0)
    assert max(longest_key, work / at_once) - 1e-6 <= took <= work + pause * len(keys) + 1e-6
    if not pause:
        assert took <= work / at_once + longest_key * (at_once - 1) / at_once * 2 + 1e-6


def test_a_slow_key_idles_nobody() -> None:
    """Many jobs behind a slow one wait there, while all others are done meanwhile."""
    jobs = [Job(0, "slow", 1000.0), *(Job(n, "slow", 1.0) for n in range(1, 900))]
    jobs += [Job(n, n, 1.0) for n in range(900, 1200)]
    bench = Bench(jobs, at_once=4)

    async def main() -> None:
        runner, done = bench.runner(), []
        while len(done) < 300:
            done += await runner.results()
        assert sorted(done) == [("done", index) for index in range(900, 1200)]
        assert now() <= 101.0
        await drain(runner)

    run(main())
    check(bench)


def test_the_look_ahead_has_an_end() -> None:
    """Behind a slow job only so much is read; it goes on as soon as there is room."""
    bench = Bench(jobs_of(["slow"] * 5000, 1.0), at_once=4)

    async def main() -> None:
        runner = bench.runner()
        await runner.results()
        assert bench.read <= 1010
        await drain(runner)

    run(main())
    assert bench.read == 5000
    check(bench)


@pytest.mark.parametrize("at_once", [1, 3, 16])
def test_nothing_is_read_that_is_not_needed(at_once: int) -> None:
    """Nothing is read before results are asked for, and then no more than can be begun, and as much again."""
    bench = Bench(jobs_of(range(1000)), at_once)

    async def main() -> None:
        runner = bench.runner()
        await steps()
        assert (runner.started, bench.read, bench.tasks) == (False, 0, [])
        await runner.results()
        assert runner.started
        assert bench.read <= 3 * at_once + 1
        await asyncio.sleep(100)
        assert bench.read <= 4 * at_once + 1, "results that nobody takes hold the reading up"
        assert bench.under_way == 0
        await drain(runner)

    run(main())
    assert bench.read == 1000


def test_results_that_nobody_takes_stop_the_work_until_they_are() -> None:
    """A consumer that rests makes the workers rest, and nothing gets lost."""
    bench = Bench(jobs_of(range(100), 0.1), at_once=5)

    async def main() -> None:
        runner = bench.runner()
        found = await runner.results()
        await asyncio.sleep(50)
        assert len(bench.spans) <= len(found) + 2 * bench.at_once
        found += await drain(runner)
        assert sorted(found) == [("done", index) for index in range(100)]

    run(main())


def test_asked_by_several() -> None:
    """Several who ask share the results, each has one owner, and all get to the end."""
    bench = Bench(jobs_of(range(30)), at_once=3)

    async def main() -> None:
        runner = bench.runner()
        found = await asyncio.gather(*(drain(runner) for _ in range(3)))
        assert sorted(index for part in found for _, index in part) == list(range(30))

    run(main())


def test_asking_may_be_cancelled_at_any_time() -> None:
    """One who gives up asking loses no result."""
    bench = Bench(jobs_of([*"aaabbb", *range(30)], 0.7), at_once=3)

    async def main() -> None:
        runner, found = bench.runner(), []
        for _ in range(1000):
            try:
                async with asyncio.timeout(0.1):
                    batch = await runner.results()
            except TimeoutError:
                continue
            if not batch:
                break
            found += batch
        assert sorted(found) == [("done", index) for index in range(36)]

    run(main())


@pytest.mark.parametrize(
    ("keys", "total"), [(lambda n: n, 60_000), (lambda n: n % 7, 30_000), (lambda _: 0, 30_000)], ids=["all", "7", "1"]
)
def test_memory_stays_flat(keys: Callable[[int], int], total: int) -> None:
    """200,000 jobs, of different keys or of few, take no more memory than the window has."""

    async def source() -> AsyncGenerator[tuple[Hashable, int], None]:
        for number in range(total):
            yield keys(number), number

    async def work(job: int) -> int:
        return job

    async def main() -> None:
        loop = asyncio.get_running_loop()
        runner: KeyedWorkerPool[int, int] = KeyedWorkerPool(
            source(),
            create_worker=lambda: work,
            on_skip=lambda job: job,
            spawn=loop.create_task,
            max_concurrency=64,
            on_stop=list,
            on_end=list,
        )
        count, base, most = 0, 0, 0
        while batch := await runner.results():
            count += len(batch)
            if count > 5000 and not base:
                base = tracemalloc.get_traced_memory()[0]
                tracemalloc.reset_peak()
            most = tracemalloc.get_traced_memory()[1]
        assert count == total
        assert most - base < 600_000

    tracemalloc.start()
    try:
        run(main())
    finally:
        tracemalloc.stop()
