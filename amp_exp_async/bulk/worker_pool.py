"""A pool of workers for keyed items: items of one key run in order, those of different keys concurrently."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Hashable
from contextlib import suppress
from typing import Any, Generic, TypeAlias, TypeVar

from amp_exp_async.errors import AmpExpError
from amp_exp_async.ratelimit import get_running_loop

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

Process: TypeAlias = Callable[[ItemT], Awaitable[ResultT]]
SpawnTask: TypeAlias = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]

_CANCEL_SECONDS = 1.0  # in which a cancelled source must end
_MAX_BACKLOG = 1000  # items that wait behind an earlier one of their key, before reading pauses


class KeyedWorkerPool(Generic[ItemT, ResultT]):
    """Workers that process items from a source and hand out each result once, as the items finish.

    Items are read as they are needed. At most `max_concurrency` results wait to be taken; then no item is started.
    """

    # Not an anyio task group: it would stay open while results are handed out (PEP 789), and consumers change tasks.

    def __init__(
        self,
        source: AsyncGenerator[tuple[Hashable, ItemT], None],
        *,
        create_worker: Callable[[], Process[ItemT, ResultT]],
        on_skip: Callable[[ItemT], ResultT],
        spawn: SpawnTask,
        max_concurrency: int,
        on_stop: Callable[[], None],
        on_end: Callable[[], None],
    ) -> None:
        """Create a pool. It starts when results are first requested.

        Args:
            source: the items, each with the key that it is ordered by.
            create_worker: returns the function with which one worker processes its items. An exception from that
                function stops the pool.
            on_skip: returns the result of an item that was read but not started.
            spawn: starts a task. Its owner outlives the consumers, so an abandoned consumer leaves no suspended task.
            max_concurrency: the number of items that may be in flight.
            on_stop: called when no further item is started, before the end.
            on_end: called when nothing is in flight any longer.
        """
        self.stopped = False
        self._source = source
        self._create_worker = create_worker
        self._on_skip = on_skip
        self._spawn = spawn
        self._max_concurrency = max_concurrency
        self._on_stop = on_stop
        self._on_end = on_end
        self._stop_requested = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._error: BaseException | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._producer: asyncio.Task[None] | None = None
        self._exhausted = False
        self._queue: deque[tuple[Hashable, ItemT]] = deque()
        # Keys with an item in the queue or in flight, each with the items that wait behind it.
        self._busy_keys: dict[Hashable, deque[ItemT] | None] = {}
        self._backlog = 0
        self._results: deque[ResultT] = deque()
        self._idle_workers: deque[asyncio.Future[None]] = deque()
        self._paused_producer: asyncio.Future[None] | None = None
        self._consumers: set[asyncio.Future[None]] = set()

    @property
    def started(self) -> bool:
        """Whether results were requested."""
        return self._producer is not None

    def is_busy(self, key: Hashable) -> bool:
        """Return whether an item of this key is queued or in flight."""
        return key in self._busy_keys

    async def results(self) -> list[ResultT]:
        """Wait for results and return all that are available. An empty list means that no more will come.

        Raises:
            BaseException: If an error stopped the pool: that error, once all results were taken.
        """
        if self._producer is None and not self.stopped:
            self._loop = asyncio.get_running_loop()
            self._producer = self._start_task(self._produce())
        while not self._results and self._tasks:
            consumer = asyncio.get_running_loop().create_future()
            self._consumers.add(consumer)
            try:
                await consumer
            finally:
                self._consumers.discard(consumer)
        results = list(self._results)
        self._results.clear()
        for _ in range(min(len(self._queue), len(self._idle_workers))):
            _wake(self._idle_workers.popleft())
        if not results and self._error is not None:
            error, self._error = self._error, None
            raise error
        return results

    def stop(self, error: BaseException | None = None) -> None:
        """Start no further item; items in flight finish. Thread-safe.

        Args:
            error: raised to the consumer after the last result.
        """
        if self._loop is None or get_running_loop() is self._loop:
            self._stop(error)
        else:
            self.request_stop(error)

    def request_stop(self, error: BaseException | None = None) -> None:
        """Schedule a stop without running any code now: the garbage collector may be the caller."""
        self._stop_requested = True
        if self._loop is None:
            self.stopped = True
            return
        with suppress(RuntimeError):  # the loop is closed, so nothing runs there
            self._loop.call_soon_threadsafe(self._stop, error)

    def add_result(self, result: ResultT) -> None:
        """Hand out a result that a cancelled worker cannot return."""
        self._results.append(result)
        self._notify()

    async def finish(self) -> None:
        """Stop, and wait until nothing is in flight. A task of the pool itself may call it."""
        self.stop()
        while others := self._tasks - {asyncio.current_task()}:
            await asyncio.wait(others)

    async def cancel(self) -> None:
        """Stop, cancel the items in flight, and wait until none is left."""
        self.stop()
        others = self._tasks - {asyncio.current_task()}
        for task in others:
            task.cancel()
        if workers := others - {self._producer}:
            await asyncio.wait(workers)
        if producer := others & {self._producer}:
            await asyncio.wait(producer, timeout=_CANCEL_SECONDS)
            self.abandon_source()

    def abandon_source(self) -> None:
        """Wait for the source no longer. It is code of the caller, and may ignore that it was cancelled."""
        if self._producer in self._tasks:
            self._tasks.discard(self._producer)
            self._on_task_end()

    def _stop(self, error: BaseException | None) -> None:
        self._error = self._error or error
        if self.stopped:
            return
        self.stopped = self._stop_requested = True
        skipped = [item for _, item in self._queue]
        skipped += [item for waiting in self._busy_keys.values() if waiting for item in waiting]
        self._results.extend(map(self._on_skip, skipped))
        self._queue.clear()
        self._busy_keys.clear()
        if self._producer is not None and self._producer is not asyncio.current_task():
            self._producer.cancel()
        self._on_stop()
        self._wake_all()

    def _start_task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._spawn(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_task_done)
        return task

    def _on_task_done(self, task: asyncio.Task[None]) -> None:
        if task not in self._tasks:
            return  # it was abandoned
        self._tasks.discard(task)
        if task.cancelled():
            if not self.stopped:
                self._stop(AmpExpError("a task of the run was cancelled from outside; the run was stopped"))
        elif (error := task.exception()) is not None:
            if task is self._producer and isinstance(error, Exception):
                self._error = self._error or error  # raised once the items that were read before it are done
            else:
                self._stop(error)
        self._on_task_end()

    def _on_task_end(self) -> None:
        if not self._tasks:
            self._on_end()
            self._notify()

    async def _produce(self) -> None:
        """Read items while there is room for them."""
        try:
            async for key, item in self._source:
                if self.stopped:
                    self._results.append(self._on_skip(item))
                    break
                if key in self._busy_keys:
                    self._enqueue_behind(key, item)
                else:
                    self._busy_keys[key] = None
                    self._enqueue(key, item)
                while not self.stopped and (len(self._queue) >= self._max_concurrency or self._backlog >= _MAX_BACKLOG):
                    self._paused_producer = asyncio.get_running_loop().create_future()
                    await self._paused_producer
        finally:
            self._exhausted = True
            self._wake_all()
            await self._source.aclose()

    async def _work(self) -> None:
        """Process queued items until there are no more."""
        process = self._create_worker()
        while True:
            if self._queue and len(self._results) < self._max_concurrency and not self._stop_requested:
                key, item = self._queue.popleft()
                _wake(self._paused_producer)
                result = await process(item)
                self._results.append(result)
                self._notify()
                self._release_key(key)
            elif self.stopped or (self._exhausted and not self._busy_keys):
                return
            else:
                idle = asyncio.get_running_loop().create_future()
                self._idle_workers.append(idle)
                await idle

    def _enqueue_behind(self, key: Hashable, item: ItemT) -> None:
        waiting = self._busy_keys[key]
        if waiting is None:
            waiting = self._busy_keys[key] = deque()
        waiting.append(item)
        self._backlog += 1

    def _enqueue(self, key: Hashable, item: ItemT) -> None:
        self._queue.append((key, item))
        if self._idle_workers:
            _wake(self._idle_workers.popleft())
        elif len(self._tasks) <= self._max_concurrency:  # one of the tasks is the producer
            self._start_task(self._work())

    def _release_key(self, key: Hashable) -> None:
        if self.stopped:
            return
        waiting = self._busy_keys[key]
        if waiting:
            self._backlog -= 1
            _wake(self._paused_producer)
            self._queue.append((key, waiting.popleft()))
            return
        del self._busy_keys[key]
        if self._exhausted and not self._busy_keys:
            self._wake_all()

    def _wake_all(self) -> None:
        while self._idle_workers:
            _wake(self._idle_workers.popleft())
        _wake(self._paused_producer)
        self._notify()

    def _notify(self) -> None:
        for consumer in self._consumers:
            _wake(consumer)


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)
