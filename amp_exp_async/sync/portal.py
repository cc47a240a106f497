"""The portal: the event loop of a blocking client, on its own thread, and the client's calls into it."""

from __future__ import annotations

import asyncio
import atexit
import os
import sys
import threading
import warnings
import weakref
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress
from typing import TypeVar

from amp_exp_async.client import AsyncClient
from amp_exp_async.errors import ClientClosedError, ConfigurationError
from amp_exp_async.forking import leak
from amp_exp_async.http import shutdown_error
from amp_exp_async.loop_thread import LoopCall, LoopThread

R = TypeVar("R")

_THREAD_SECONDS = 10.0  # in which the thread must end once nothing is waited for; if not, a callback blocks it

_PORTALS: weakref.WeakSet[BlockingPortal] = weakref.WeakSet()


class BlockingPortal:
    """An event loop on its own thread. The thread starts on first use and ends with `close` or at exit.

    Everything that makes calls holds a reference to the portal, so an unreferenced portal ends its thread.
    """

    def __init__(self, name: str, client: AsyncClient) -> None:
        """Create a portal.

        Args:
            name: The owner's name, for warnings.
            client: The client that lives in the loop. It is closed before the loop stops.
        """
        self.closed = False
        self.pid = os.getpid()
        self._name = name
        self._client = client
        # Reentrant: a garbage collection while it is held may close an abandoned iterator, which takes it.
        self._lock = threading.RLock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: LoopThread | None = None
        self._closing_client: asyncio.Task[None] | None = None
        _PORTALS.add(self)

    def call(self, work: Callable[[], Awaitable[R]]) -> R:
        """Run async work and return its result. If the wait is interrupted (Ctrl-C), cancel the work first.

        Raises:
            ClientClosedError: If the portal is closed before the work ends.
            ConfigurationError: If this is the loop's own thread, which would wait for itself.
        """
        if self.in_loop_thread():
            raise ConfigurationError(
                "a blocking call from the client's own thread would wait for itself. In callbacks such as "
                "on_attempt, hand the work to another thread"
            )
        call = LoopCall(work)
        try:
            with self._lock:
                call.start(self._running_loop())
            call.wait()
        except BaseException:
            call.abort()
            raise
        try:
            return call.result()
        except asyncio.CancelledError:
            if not self.closed:
                raise
        raise ClientClosedError("this client was closed while the call was in flight")

    @property
    def is_running(self) -> bool:
        """Whether its thread runs."""
        return self._thread is not None and self._thread.is_running

    def in_loop_thread(self) -> bool:
        """Return whether this is the event loop's thread."""
        return self._thread is not None and self._thread.is_current()

    def close(self, shutdown_timeout: float | None) -> None:
        """Close the client, end the calls that are still in flight, and end the thread. Idempotent.

        An interruption (Ctrl-C) ends the wait for what is in flight, not the closing.

        Args:
            shutdown_timeout: The seconds to wait for what is in flight; None to wait until it ends.
        """
        try:
            self._start_closing(shutdown_timeout)
            if self._thread is not None and not self.in_loop_thread():
                self._thread.wait(shutdown_timeout)
        finally:
            if not self.in_loop_thread():
                self._end_thread()

    def _end_thread(self) -> None:
        """End the wait for what is in flight, and wait for the end of the thread."""
        loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        if thread.is_running:
            with suppress(RuntimeError):  # the loop is closed by now
                loop.call_soon_threadsafe(self._stop_waiting, loop, thread)
        if not thread.wait(_THREAD_SECONDS):
            warnings.warn(f"{self._name} is closed, but a callback blocks its thread", ResourceWarning, 4)

    def close_at_exit(self) -> None:
        """Close as the options say."""
        self.close(self._client.shutdown_timeout)

    def start_closing_at_exit(self) -> None:
        """Start to close, without waiting."""
        self._start_closing(self._client.shutdown_timeout)

    def _start_closing(self, shutdown_timeout: float | None) -> None:
        with self._lock:
            self.closed = True
            loop, thread = self._loop, self._thread
        if loop is not None and thread is not None and thread.is_running:
            with suppress(RuntimeError):  # the loop is closed by now
                loop.call_soon_threadsafe(self._close_client, loop, thread, shutdown_timeout)

    def _close_client(
        self, loop: asyncio.AbstractEventLoop, thread: LoopThread, shutdown_timeout: float | None
    ) -> asyncio.Task[None]:
        """Start to close the client, unless that has started, and stop the loop afterwards."""
        if (closing := self._closing_client) is None:
            closing = self._closing_client = loop.create_task(self._client.aclose(shutdown_timeout=shutdown_timeout))
            thread.stop(lambda: asyncio.wait([closing]))
        return closing

    def _stop_waiting(self, loop: asyncio.AbstractEventLoop, thread: LoopThread) -> None:
        # Later, so that a task that is new by now has started.
        loop.call_soon(self._close_client(loop, thread, 0.0).cancel)

    def check_not_forked(self, pid: int) -> None:
        """Raise if this is a forked child of the process with an earlier value of `pid`.

        Raises:
            ConfigurationError: If it is.
        """
        if pid != self.pid:
            raise ConfigurationError("this was started before a fork and belongs to the parent. Start a new one")

    def after_fork(self) -> None:
        """Forget the thread, which was not copied into this forked child, and leave the parent's loop alone."""
        if self._loop is not None:
            leak(self._loop)
        self.pid = os.getpid()
        self._lock = threading.RLock()
        self._loop = self._thread = self._closing_client = None
        self._client.after_fork()

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        self._check_open()
        return self._start() if self._loop is None else self._loop

    def _start(self) -> asyncio.AbstractEventLoop:
        """Start the thread and return its loop. If this is interrupted (Ctrl-C), leave no thread and no open loop."""
        self._check_gevent()
        thread = LoopThread("amp_exp_async")
        try:
            loop = thread.start()
            self._check_open()  # a signal handler may have closed it
            self._loop, self._thread = loop, thread
        except BaseException as error:
            self._loop = self._thread = None
            thread.stop()
            thread.wait()
            if (at_exit := shutdown_error(error)) is not None:
                raise at_exit from error
            raise
        return loop

    def _check_gevent(self) -> None:
        """Raise if the thread would share its thread of the operating system with another event loop."""
        monkey = sys.modules.get("gevent.monkey")
        if monkey is None or not monkey.is_module_patched("threading"):
            return
        if any(other is not self and other.is_running for other in list(_PORTALS)):
            raise ConfigurationError(
                "gevent runs all threads in one, where asyncio runs one event loop only. Use one client for the whole "
                "process, or close the other one first"
            )

    def _check_open(self) -> None:
        if self.closed:
            raise ClientClosedError("this client is closed. Create a new one")

    def __del__(self) -> None:
        if self._thread is not None and not self.closed:
            try:
                warnings.warn(
                    f"unclosed {self._name}: use it with `with`, or call close()", ResourceWarning, stacklevel=2
                )
            finally:
                self.close_at_exit()


@atexit.register
def _close_all() -> None:
    with ExitStack() as stack:
        for portal in list(_PORTALS):
            portal.start_closing_at_exit()
            stack.callback(portal.close_at_exit)


def _after_fork() -> None:
    for portal in list(_PORTALS):
        portal.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
