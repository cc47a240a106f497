"""Running many keyed jobs: those of one key in their order, those of different keys at once, in a bounded window."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Hashable
from contextlib import suppress
from typing import Any, Generic, TypeAlias, TypeVar

from amp_exp_async.errors import AmpExpError

J = TypeVar("J")
R = TypeVar("R")

Work: TypeAlias = Callable[[J], Awaitable[R]]
Spawn: TypeAlias = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]

_LOOKAHEAD = 1000  # jobs that may wait behind an earlier one of their key, before no more are read


class Runner(Generic[J, R]):
    """Reads jobs as they are needed, lets workers do them, and hands out each result once, as they come.

    The tasks belong to whoever spawns them, and not to the one who asks for results: one who stops asking leaves
    nothing suspended. At most `at_once` results wait to be asked for; then no job is begun.
    """

    def __init__(
        self,
        source: AsyncGenerator[tuple[Hashable, J], None],
        *,
        worker: Callable[[], Work[J, R]],
        drop: Callable[[J], R],
        spawn: Spawn,
        at_once: int,
        on_stop: Callable[[], None],
        on_end: Callable[[], None],
    ) -> None:
        """Make a runner; it begins when the first result is asked for.

        Args:
            source: the jobs, each with the key that it keeps its order on.
            worker: makes what one worker does its jobs with. It must not raise but to stop all.
            drop: the result of a job that is not begun any more.
            spawn: starts a task.
            at_once: how many jobs may be under way.
            on_stop: called when no job is begun any more, before the end.
            on_end: called when nothing is under way any more.
        """
        self.stopped = False
        self._source = source
        self._worker = worker
        self._drop = drop
        self._spawn = spawn
        self._at_once = at_once
        self._on_stop = on_stop
        self._on_end = on_end
        self._halting = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._error: BaseException | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._feeder: asyncio.Task[None] | None = None
        self._fed = False
        self._ready: deque[tuple[Hashable, J]] = deque()
        # A key is here while one of its jobs is ready or under way, with the jobs that wait behind that.
        self._busy: dict[Hashable, deque[J] | None] = {}
        self._waiting = 0
        self._results: deque[R] = deque()
        self._idle: deque[asyncio.Future[None]] = deque()
        self._full: asyncio.Future[None] | None = None
        self._asking: set[asyncio.Future[None]] = set()

    @property
    def begun(self) -> bool:
        """Whether a result has been asked for."""
        return self._feeder is not None

    def is_busy(self, key: Hashable) -> bool:
        """Whether a job of this key is ready, under way or waiting."""
        return key in self._busy

    async def results(self) -> list[R]:
        """Wait for results, and take all that are there. An empty list says that there will be none any more.

        Raises:
            BaseException: what has stopped the run, once all results have been taken.
        """
        if self._feeder is None and not self.stopped:
            self._loop = asyncio.get_running_loop()
            self._feeder = self._start(self._feed())
        while not self._results and self._tasks:
            asking = asyncio.get_running_loop().create_future()
            self._asking.add(asking)
            try:
                await asking
            finally:
                self._asking.discard(asking)
        taken = list(self._results)
        self._results.clear()
        for _ in range(min(len(self._ready), len(self._idle))):
            _wake(self._idle.popleft())
        if not taken and self._error is not None:
            error, self._error = self._error, None
            raise error
        return taken

    def stop(self, error: BaseException | None = None) -> None:
        """Begin nothing any more. What is under way goes on to its end. From any thread.

        Args:
            error: what the one who asks for results is to be told after the last of them.
        """
        if self._loop is None or _running_loop() is self._loop:
            self._stop(error)
        else:
            self.stop_soon(error)

    def stop_soon(self, error: BaseException | None = None) -> None:
        """Begin nothing any more, without doing anything here: it may be the garbage collector that calls."""
        self._halting = True
        if self._loop is None:
            self.stopped = True
            return
        with suppress(RuntimeError):  # the loop is closed, and nothing goes on there
            self._loop.call_soon_threadsafe(self._stop, error)

    def add(self, result: R) -> None:
        """Hand out a result that a worker cannot give any more."""
        self._results.append(result)
        self._tell()

    def _stop(self, error: BaseException | None) -> None:
        self._error = self._error or error
        if self.stopped:
            return
        self.stopped = self._halting = True
        dropped = [job for _, job in self._ready]
        dropped += [job for behind in self._busy.values() if behind for job in behind]
        self._results.extend(map(self._drop, dropped))
        self._ready.clear()
        self._busy.clear()
        if self._feeder is not None and self._feeder is not asyncio.current_task():
            self._feeder.cancel()
        self._on_stop()
        self._wake_all()

    async def finish(self) -> None:
        """Stop, and wait until nothing is under way, but for a task of the run's own that asks for it."""
        self.stop()
        while others := self._tasks - {asyncio.current_task()}:
            await asyncio.wait(others)

    async def cancel(self) -> None:
        """Stop, cancel the jobs in flight, and wait until none is left."""
        self.stop()
        for task in self._tasks - {asyncio.current_task()}:
            task.cancel()
        await self.finish()

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._spawn(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            if not self.stopped:
                self._stop(AmpExpError("a task of the run was cancelled, and not by the run: it begins nothing more"))
        elif (error := task.exception()) is not None:
            if task is self._feeder and isinstance(error, Exception):
                self._error = self._error or error  # once what was read before it is done
            else:
                self._stop(error)
        if not self._tasks:
            self._on_end()
            self._tell()

    async def _feed(self) -> None:
        """Read jobs while there is room for them."""
        try:
            async for key, job in self._source:
                if self.stopped:
                    self._results.append(self._drop(job))
                    break
                if key in self._busy:
                    self._put_behind(key, job)
                else:
                    self._busy[key] = None
                    self._make_ready(key, job)
                while not self.stopped and (len(self._ready) >= self._at_once or self._waiting >= _LOOKAHEAD):
                    self._full = asyncio.get_running_loop().create_future()
                    await self._full
        finally:
            self._fed = True
            self._wake_all()
            await self._source.aclose()

    async def _work(self) -> None:
        """Do one job after the other, until there is none."""
        work = self._worker()
        while True:
            if self._ready and len(self._results) < self._at_once and not self._halting:
                key, job = self._ready.popleft()
                _wake(self._full)
                result = await work(job)
                self._results.append(result)
                self._tell()
                self._set_free(key)
            elif self.stopped or (self._fed and not self._busy):
                return
            else:
                rest = asyncio.get_running_loop().create_future()
                self._idle.append(rest)
                await rest

    def _put_behind(self, key: Hashable, job: J) -> None:
        behind = self._busy[key]
        if behind is None:
            behind = self._busy[key] = deque()
        behind.append(job)
        self._waiting += 1

    def _make_ready(self, key: Hashable, job: J) -> None:
        self._ready.append((key, job))
        if self._idle:
            _wake(self._idle.popleft())
        elif len(self._tasks) <= self._at_once:
            # One of the tasks is the feeder.
            self._start(self._work())

    def _set_free(self, key: Hashable) -> None:
        if self.stopped:
            return
        behind = self._busy[key]
        if behind:
            self._waiting -= 1
            _wake(self._full)
            self._ready.append((key, behind.popleft()))
            return
        del self._busy[key]
        if self._fed and not self._busy:
            self._wake_all()

    def _wake_all(self) -> None:
        while self._idle:
            _wake(self._idle.popleft())
        _wake(self._full)
        self._tell()

    def _tell(self) -> None:
        """Let those who ask for results look again."""
        for asking in self._asking:
            _wake(asking)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)
