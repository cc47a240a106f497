"""The last line of a terminal, which says what a command waits for."""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager

import amp_exp_async

_AFTER = 2.0  # seconds; most calls take less
_INTERVAL = 0.25


class StatusLine:
    """A line that is rewritten in place. Whatever else is printed to the terminal clears it first."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._text = ""
        self._suspended = 0

    def show(self, text: str) -> None:
        """Show a text, unless the line is suspended. It is cut at the terminal's width, so that it stays one line."""
        text = text[: _width()]
        with self._lock:
            if not self._suspended and text != self._text:
                self._write(f"\r{text.ljust(len(self._text))}")
                self._text = text

    def clear(self) -> None:
        """Remove the line."""
        with self._lock:
            if self._text:
                self._write(f"\r{' ' * len(self._text)}\r")
                self._text = ""

    @contextmanager
    def suspended(self) -> Generator[None, None, None]:
        """Show nothing in the block, because something else is drawn there."""
        with self._lock:
            self.clear()
            self._suspended += 1
        try:
            yield
        finally:
            with self._lock:
                self._suspended -= 1

    def _write(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()


def _width() -> int:
    """Return the number of columns that a line may have without being wrapped."""
    return shutil.get_terminal_size().columns - 1


STATUS_LINE = StatusLine()
"""The line of the terminal that the program runs in."""


@contextmanager
def showing_waits(calls: Callable[[], Sequence[amp_exp_async.PendingCall]]) -> Generator[None, None, None]:
    """Say what the oldest call waits for if it takes longer than two seconds, on a terminal's stderr.

    Args:
        calls: returns the calls in flight, the oldest first.
    """
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield
        return

    def show() -> None:
        pending = calls()
        if pending and pending[0].seconds >= _AFTER:
            STATUS_LINE.show(describe_wait(pending[0], _width()))
        else:
            STATUS_LINE.clear()

    try:
        with repeating(_INTERVAL, show):
            yield
    finally:
        STATUS_LINE.clear()


@contextmanager
def repeating(seconds: float, show: Callable[[], None]) -> Generator[None, None, None]:
    """Call a function repeatedly in another thread, because this one may be blocked."""
    is_over = threading.Event()

    def repeat() -> None:
        while not is_over.wait(seconds):
            show()

    thread = threading.Thread(target=repeat, name="amp-exp display", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def describe_wait(call: amp_exp_async.PendingCall, width: int) -> str:
    """Return what a call waits for, and for how long.

    A narrow terminal gets the reason of the last failure in short, or not at all, and at last not the host either.

    Args:
        call: the call.
        width: the number of columns.
    """
    seconds = f"; {call.seconds:.0f} s"
    texts = [f"waiting {text}{seconds}" for text in _describe_subject(call)]
    return next((text for text in texts if len(text) <= width), texts[-1])


def _describe_subject(call: amp_exp_async.PendingCall) -> list[str]:
    """Return descriptions of what a call waits for, the longest first."""
    if call.waits_for == "turn":
        return ["for earlier requests"]
    reasons = _describe_failure(call.last_failure)
    if call.waits_for == "rate limit":
        return [f"for the rate limit{reason}" for reason in reasons]
    attempt = f"attempt {call.attempt} of {call.max_attempts}"
    return [*(f"for {call.host}: {attempt}{reason}" for reason in reasons), attempt]


def _describe_failure(failure: str | None) -> list[str]:
    """Return the reason for a wait, the longest form first."""
    if not failure:
        return [""]
    short = [" after a timeout"] if " within " in failure else []
    return [f" after {failure}", *short, ""]
