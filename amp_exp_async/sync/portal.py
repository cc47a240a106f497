"""One event loop on one thread of its own, and blocking calls into it from any other thread."""

from __future__ import annotations

import asyncio
import atexit
import os
import sys
import threading
import warnings
import weakref
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Generic, TypeVar

from amp_exp_async.errors import ClientClosedError, ConfigurationError
from amp_exp_async.forking import leak

R = TypeVar("R")

# On Windows a wait without an end cannot be interrupted.
_POLL = 0.05 if sys.platform == "win32" else -1
_GRACE = 1.0  # seconds for calls to end by themselves once the client is closed

_PORTALS: weakref.WeakSet[BlockingPortal] = weakref.WeakSet()


class BlockingPortal:
    """Runs async work for blocking callers. The thread starts on first use and ends with `close` or at exit.

    Everything that makes calls holds the portal: the thread ends by itself when nothing is left that could.
    """

    def __init__(self, name: str, finish: Callable[[], Coroutine[Any, Any, None]], forget: Callable[[], None]) -> None:
        """Make a portal.

        Args:
            name: whose it is, for the warning when it is left unclosed.
            finish: what is to be run in the loop at the end.
            forget: called in a forked child, to drop what belongs to the parent's event loop.
        """
        self.closed = False
        self.generation = 0
        self._name = name
        self._finish = finish
        self._forget = forget
        # Collecting garbage while it is held may close an abandoned iterator, which takes it again.
        self._lock = threading.RLock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        _PORTALS.add(self)

    def call(self, work: Callable[[], Awaitable[R]]) -> R:
        """Run async work to its end. When the waiting is interrupted (Ctrl-C), the work is cancelled first.

        Raises:
            ClientClosedError: the portal is closed, or was closed before the work ended.
            ConfigurationError: this is the loop's own thread, which would wait for itself.
        """
        if self.in_loop_thread():
            raise ConfigurationError(
                "a blocking call from the client's own thread would wait for itself: in callbacks such as on_attempt, "
                "hand the work to another thread"
            )
        call = _Call(work)
        loop: asyncio.AbstractEventLoop | None = None
        try:
            with self._lock:
                loop = self._running_loop()
                loop.call_soon_threadsafe(call.start)
            call.wait()
        except BaseException:
            if loop is not None and not loop.is_closed():
                loop.call_soon_threadsafe(call.cancel)
                call.wait()
            raise
        return call.outcome(self)

    def in_loop_thread(self) -> bool:
        """Whether this is the thread of the event loop."""
        return self._thread is threading.current_thread()

    def close(self) -> None:
        """Cancel what is under way, finish, and end the thread. Idempotent."""
        with self._lock:
            already, self.closed = self.closed, True
            loop, thread, finish = self._loop, self._thread, self._finish
        if loop is None or thread is None:
            return
        if not already:
            loop.call_soon_threadsafe(lambda: loop.create_task(_end(loop, finish)))
        if not self.in_loop_thread():
            thread.join()

    def __del__(self) -> None:
        if self._thread is not None and not self.closed:
            try:
                warnings.warn(
                    f"unclosed {self._name}: use it with `with`, or close() it", ResourceWarning, stacklevel=2
                )
            finally:
                self.close()

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self.closed:
            raise ClientClosedError("this client is closed: open a new one")
        if self._loop is None:
            loop = asyncio.new_event_loop()
            thread = threading.Thread(target=_run, args=(loop,), name="amp_exp_async", daemon=True)
            try:
                thread.start()
            except BaseException:
                loop.close()
                raise
            self._loop, self._thread = loop, thread
        return self._loop

    def check_not_forked(self, generation: int) -> None:
        """Refuse to go on with what was begun when the portal was of another generation.

        Raises:
            ConfigurationError: it was begun before a fork.
        """
        if generation != self.generation:
            raise ConfigurationError("this was begun before a fork, and is the parent's to go on with: begin a new one")

    def forget_parent(self) -> None:
        """In a forked child: the thread was not copied, and the parent's loop must not be touched."""
        if self._loop is not None:
            leak(self._loop)
        self.generation += 1
        self._lock = threading.RLock()
        self._loop = self._thread = None
        self._forget()


class _Call(Generic[R]):
    """One call, between the thread that waits and the loop that works."""

    def __init__(self, work: Callable[[], Awaitable[R]]) -> None:
        self._over = False
        self._finished = threading.Lock()
        self._finished.acquire()
        self._work = work
        self._task: asyncio.Task[None] | None = None
        self._cancelled = False
        self._result: tuple[R] | None = None
        self._error: BaseException | None = None

    def wait(self) -> None:
        """Wait for the end. A second wait returns at once, wherever the first was interrupted."""
        while not self._over:
            self._finished.acquire(timeout=_POLL)

    def start(self) -> None:
        if not self._cancelled:
            self._task = asyncio.get_running_loop().create_task(self._run())
            self._task.add_done_callback(lambda _: self._finish())

    def cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()
        elif not self._cancelled:
            self._cancelled = True
            self._finish()

    def _finish(self) -> None:
        self._over = True
        self._finished.release()

    async def _run(self) -> None:
        try:
            self._result = (await self._work(),)
        except BaseException as error:  # noqa: BLE001 - it is raised again where the result is waited for
            self._error = error

    def outcome(self, portal: BlockingPortal) -> R:
        try:
            if self._result is not None:
                return self._result[0]
            if self._error is None or (isinstance(self._error, asyncio.CancelledError) and portal.closed):
                raise ClientClosedError("this client was closed while the call was under way")
            raise self._error
        finally:
            self._error = None  # its traceback leads back here


def _run(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


async def _end(loop: asyncio.AbstractEventLoop, finish: Callable[[], Coroutine[Any, Any, None]]) -> None:
    try:
        await finish()
        others = asyncio.all_tasks(loop) - {asyncio.current_task(loop)}
        _, late = await asyncio.wait(others, timeout=_GRACE) if others else (others, others)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
    finally:
        loop.stop()


@atexit.register
def _at_exit() -> None:
    for portal in list(_PORTALS):
        portal.close()


def _after_fork() -> None:
    for portal in list(_PORTALS):
        portal.forget_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
