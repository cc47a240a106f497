"""A worker pool over items that only take time, with a record of what ran when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable, Iterable
from typing import Any

from attrs import define, field, frozen

from amp_exp_async.bulk.worker_pool import KeyedWorkerPool
from tests.virtual_time import now


@frozen
class Item:
    """An item that takes some seconds to process."""

    index: int
    key: Hashable
    seconds: float = 0.0
    error: Exception | None = None


@define
class PoolHarness:
    """A pool over items, and a record of what it did."""

    items: list[Item]
    max_concurrency: int = 4
    pause: float = 0.0
    source_error: Exception | None = None
    read: int = 0
    closed: bool = False
    spans: dict[int, tuple[float, float]] = field(factory=dict[int, tuple[float, float]])
    order: list[int] = field(factory=list[int])
    in_flight: int = 0
    max_in_flight: int = 0
    ends: int = 0
    tasks: list[asyncio.Task[None]] = field(factory=list[asyncio.Task[None]])

    async def source(self) -> AsyncGenerator[tuple[Hashable, Item], None]:
        try:
            for item in self.items:
                if self.pause:
                    await asyncio.sleep(self.pause)
                self.read += 1
                yield item.key, item
            if self.source_error is not None:
                raise self.source_error
        finally:
            self.closed = True

    def worker(self) -> Callable[[Item], Awaitable[tuple[str, int]]]:
        async def work(item: Item) -> tuple[str, int]:
            started_at = now()
            self.order.append(item.index)
            self.in_flight += 1
            self.max_in_flight = max(self.max_in_flight, self.in_flight)
            await asyncio.sleep(item.seconds)
            self.in_flight -= 1
            self.spans[item.index] = (started_at, now())
            if item.error is not None:
                raise item.error
            return "done", item.index

        return work

    def spawn(self, work: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self.tasks.append(task)
        task.add_done_callback(lambda task: task.cancelled() or task.exception())
        return task

    def on_end(self) -> None:
        self.ends += 1

    def create_pool(self) -> KeyedWorkerPool[Item, tuple[str, int]]:
        return KeyedWorkerPool(
            self.source(),
            create_worker=self.worker,
            on_skip=lambda item: ("skipped", item.index),
            spawn=self.spawn,
            max_concurrency=self.max_concurrency,
            on_stop=list,
            on_end=self.on_end,
        )

    async def all(self) -> list[tuple[str, int]]:
        return await drain(self.create_pool())


async def drain(pool: KeyedWorkerPool[Item, tuple[str, int]], into: list[tuple[str, int]] | None = None) -> list[Any]:
    """Return all remaining results."""
    results = [] if into is None else into
    while batch := await pool.results():
        results += batch
    return results


def create_items(keys: Iterable[Hashable], seconds: float = 1.0) -> list[Item]:
    return [Item(index, key, seconds) for index, key in enumerate(keys)]


def indexes(results: Iterable[tuple[str, int]], status: str) -> list[int]:
    return [index for result, index in results if result == status]


def check(harness: PoolHarness) -> None:
    """Assert that the items of each key ran in order and did not overlap."""
    last: dict[Hashable, tuple[int, float]] = {}
    for index in harness.order:
        key = harness.items[index].key
        started_at, ended_at = harness.spans[index]
        last_index, last_end = last.get(key, (-1, 0.0))
        assert last_index < index
        assert last_end <= started_at
        last[key] = (index, ended_at)
