"""An event loop on its own thread, and blocking calls into it from other threads.

anyio's `BlockingPortal` is not used: it takes 1.4 times the CPU per call, it cannot be interrupted by Ctrl-C
while it waits, and it does not survive a fork.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import closing, suppress
from typing import Generic, TypeVar

from .interruption import Latch, start_thread

R = TypeVar("R")

_END_SECONDS = 1.0  # in which the last tasks may end by themselves, and again once they are cancelled


class LoopThread:
    """An event loop on a daemon thread of its own.

    Whatever is interrupted here by Ctrl-C raises `KeyboardInterrupt`. Call `stop` then: it also ends a thread that
    was interrupted while it started.

    Attributes:
        loop: The event loop; None before the thread has started.
    """

    def __init__(self, name: str) -> None:
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.loop: asyncio.AbstractEventLoop | None = None
        # The first to acquire it decides whether the loop runs: the thread, or a `stop` that came before.
        self._claim = threading.Lock()
        self._ready, self._ended = Latch(), Latch()
        self._error: BaseException | None = None
        self._finishing: asyncio.Task[None] | None = None

    def start(self) -> asyncio.AbstractEventLoop:
        """Start the thread, and return its loop.

        Raises:
            RuntimeError, OSError: If the system or the interpreter starts no thread, or creates no loop.
        """
        start_thread(self._thread)
        self._ready.wait()
        if self.loop is None:
            raise self._error or RuntimeError("the thread has created no event loop")
        return self.loop

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return not self._ended.is_set

    def is_current(self) -> bool:
        """Return whether this is called in the thread."""
        return self._thread is threading.current_thread()

    def call(self, work: Callable[[], Awaitable[R]]) -> R:
        """Run async work and return its result. If the wait is interrupted (Ctrl-C), cancel the work first."""
        assert self.loop is not None  # noqa: S101 - it has started
        call = LoopCall(work)
        try:
            call.start(self.loop)
            call.wait()
        except BaseException:
            call.abort()
            raise
        return call.result()

    def stop(self, finish: Callable[[], Awaitable[object]] | None = None) -> None:
        """Let the loop run `finish`, end the other tasks, and stop; or keep it from starting. Idempotent."""
        if self._claim.acquire(blocking=False):
            self._ended.set()
        elif self.loop is not None:
            with suppress(RuntimeError):  # the loop is closed by now
                self.loop.call_soon_threadsafe(self._stop, finish)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the thread has ended, at most for some seconds, and return whether it has."""
        # Not only `Thread.join`: if that is interrupted, Python takes the thread for ended.
        if self._ended.wait(timeout) and self._thread.is_alive():
            self._thread.join()
        return self._ended.is_set

    def _run(self) -> None:
        try:
            # Created here, where nothing interrupts it: asyncio cannot close a loop of which it has only a part.
            with closing(asyncio.new_event_loop()) as self.loop:
                if self._claim.acquire(blocking=False):
                    self._run_loop(self.loop)
        except BaseException as error:
            if self.loop is not None:
                raise
            self._error = error  # raised by `start`
        finally:
            self._ended.set()
            self._ready.set()

    def _run_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        self._ready.set()
        try:
            loop.run_forever()
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())

    def _stop(self, finish: Callable[[], Awaitable[object]] | None) -> None:
        if self._finishing is None:
            loop = asyncio.get_running_loop()
            self._finishing = loop.create_task(_finish(loop, finish))
            self._finishing.add_done_callback(lambda _: loop.stop())


async def _finish(loop: asyncio.AbstractEventLoop, finish: Callable[[], Awaitable[object]] | None) -> None:
    try:
        if finish is not None:
            await finish()
    finally:
        others = asyncio.all_tasks(loop) - {asyncio.current_task(loop)}
        _, late = await asyncio.wait(others, timeout=_END_SECONDS) if others else (others, others)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=_END_SECONDS)


class LoopCall(Generic[R]):
    """A call, shared by the thread that waits and the loop that works."""

    def __init__(self, work: Callable[[], Awaitable[R]]) -> None:
        self._work = work
        self._finished = Latch()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._cancelled = False
        self._result: tuple[R] | None = None
        self._error: BaseException | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start the work in the loop."""
        self._loop = loop
        loop.call_soon_threadsafe(self._start)

    def wait(self) -> None:
        """Wait for the end. Return at once if called again after an interrupted wait that has ended."""
        self._finished.wait()

    def abort(self) -> None:
        """Cancel the work if it has started, and wait for its end."""
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed by now, so the work has ended
                self._loop.call_soon_threadsafe(self._cancel)
                self.wait()

    def result(self) -> R:
        """Return the result of the work, or raise its error.

        Raises:
            asyncio.CancelledError: If the work was cancelled.
        """
        try:
            if self._result is not None:
                return self._result[0]
            raise self._error or asyncio.CancelledError
        finally:
            self._error = None  # its traceback refers to this frame

    def _start(self) -> None:
        if not self._cancelled:
            self._task = asyncio.get_running_loop().create_task(self._run())
            self._task.add_done_callback(lambda _: self._finished.set())

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()
        else:
            self._cancelled = True
            self._finished.set()

    async def _run(self) -> None:
        try:
            self._result = (await self._work(),)
        except BaseException as error:  # noqa: BLE001 - raised again in the waiting thread
            self._error = error
