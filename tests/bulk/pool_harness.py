"""A bench for the runner: jobs that only take time, and a record of what was done when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable, Iterable
from typing import Any

from attrs import define, field, frozen

from amp_exp_async.bulk.worker_pool import KeyedWorkerPool
from tests.virtual_time import now


@frozen
class Job:
    """Something that takes so many seconds."""

    index: int
    key: Hashable
    seconds: float = 0.0
    error: Exception | None = None


@define
class Bench:
    """A runner over jobs, and a record of what it did when."""

    jobs: list[Job]
    at_once: int = 4
    pause: float = 0.0
    source_error: Exception | None = None
    read: int = 0
    closed: bool = False
    spans: dict[int, tuple[float, float]] = field(factory=dict[int, tuple[float, float]])
    order: list[int] = field(factory=list[int])
    under_way: int = 0
    most: int = 0
    ends: int = 0
    tasks: list[asyncio.Task[None]] = field(factory=list[asyncio.Task[None]])

    async def source(self) -> AsyncGenerator[tuple[Hashable, Job], None]:
        try:
            for job in self.jobs:
                if self.pause:
                    await asyncio.sleep(self.pause)
                self.read += 1
                yield job.key, job
            if self.source_error is not None:
                raise self.source_error
        finally:
            self.closed = True

    def worker(self) -> Callable[[Job], Awaitable[tuple[str, int]]]:
        async def work(job: Job) -> tuple[str, int]:
            began = now()
            self.order.append(job.index)
            self.under_way += 1
            self.most = max(self.most, self.under_way)
            await asyncio.sleep(job.seconds)
            self.under_way -= 1
            self.spans[job.index] = (began, now())
            if job.error is not None:
                raise job.error
            return "done", job.index

        return work

    def spawn(self, work: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self.tasks.append(task)
        task.add_done_callback(lambda task: task.cancelled() or task.exception())
        return task

    def ended(self) -> None:
        self.ends += 1

    def runner(self) -> KeyedWorkerPool[Job, tuple[str, int]]:
        return KeyedWorkerPool(
            self.source(),
            create_worker=self.worker,
            on_skip=lambda job: ("dropped", job.index),
            spawn=self.spawn,
            max_concurrency=self.at_once,
            on_stop=list,
            on_end=self.ended,
        )

    async def all(self) -> list[tuple[str, int]]:
        return await drain(self.runner())


async def drain(runner: KeyedWorkerPool[Job, tuple[str, int]], into: list[tuple[str, int]] | None = None) -> list[Any]:
    """All results that are still to come."""
    found = [] if into is None else into
    while batch := await runner.results():
        found += batch
    return found


def jobs_of(keys: Iterable[Hashable], seconds: float = 1.0) -> list[Job]:
    return [Job(index, key, seconds) for index, key in enumerate(keys)]


def indexes(results: Iterable[tuple[str, int]], state: str) -> list[int]:
    return [index for found, index in results if found == state]


def check(bench: Bench) -> None:
    """No two jobs of a key overlap, and each key's jobs are in their order."""
    last: dict[Hashable, tuple[int, float]] = {}
    for index in bench.order:
        key = bench.jobs[index].key
        began, ended = bench.spans[index]
        before, until = last.get(key, (-1, 0.0))
        assert before < index
        assert until <= began
        last[key] = (index, ended)
