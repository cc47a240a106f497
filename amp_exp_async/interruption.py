"""Waiting for other threads, and starting them, where Ctrl-C may interrupt.

Python raises the exception of a signal handler wherever its main thread is. In `threading.Event.wait`, and so in
`Thread.start`, that may become "release unlocked lock", or let go of a lock that another thread has.
"""

from __future__ import annotations

import _thread
import sys
import threading
import time

# Windows cannot interrupt a wait for a lock.
_LONGEST_WAIT = 0.05 if sys.platform == "win32" else threading.TIMEOUT_MAX


class Latch:
    """An event that is set once. Each thread that waits has a lock of its own, which an interruption leaves alone."""

    def __init__(self) -> None:
        self.is_set = False
        self._waiters: list[threading.Lock] = []

    def set(self) -> None:
        """Set it, and wake all threads that wait."""
        if not self.is_set:
            self.is_set = True
            for waiter in self._waiters:
                waiter.release()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set, at most for some seconds, and return whether it is."""
        deadline = None if timeout is None else time.monotonic() + timeout
        waiter = threading.Lock()
        waiter.acquire()
        self._waiters.append(waiter)  # before the look below: `set` either sees it or is seen
        while not self.is_set:
            left = _LONGEST_WAIT if deadline is None else min(deadline - time.monotonic(), _LONGEST_WAIT)
            if left <= 0:
                break
            waiter.acquire(timeout=left)
        return self.is_set


def start_thread(thread: threading.Thread) -> None:
    """Start a thread. If this is interrupted, it starts nevertheless, or not at all, but not by half.

    Raises:
        RuntimeError: If the system or the interpreter starts no thread.
    """
    started = Latch()
    errors: list[BaseException] = []

    def start() -> None:
        try:
            thread.start()
        except BaseException as error:  # noqa: BLE001 - raised again below
            errors.append(error)
        finally:
            started.set()

    _thread.start_new_thread(start, ())  # signal handlers run in the main thread only, so nothing interrupts this one
    started.wait()
    if errors:
        raise errors.pop()


def is_shutdown_error(error: BaseException) -> bool:
    """Return whether an error says that the interpreter starts no thread any longer, because the program ends."""
    return isinstance(error, RuntimeError) and not threading.main_thread().is_alive()
