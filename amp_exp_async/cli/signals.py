"""Signals that end a command like Ctrl-C: SIGTERM of a scheduler or container, SIGHUP of a closed terminal."""

from __future__ import annotations

import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from .exit_codes import FIRST_SIGNAL_STATUS

# Windows has no SIGHUP.
_TERMINATING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
_received: list[int] = []


def interrupt_on_termination() -> None:
    """Raise `KeyboardInterrupt` on SIGTERM and SIGHUP, unless they are ignored, as under `nohup`."""
    for number in _TERMINATING:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _interrupt)


def _interrupt(number: int, _: FrameType | None) -> NoReturn:
    _received.append(number)
    raise KeyboardInterrupt


@contextmanager
def counting_interrupts() -> Generator[Callable[[], int], None, None]:
    """Count Ctrl-C, SIGTERM and SIGHUP instead of raising: an exception anywhere in the block could leave a lock held.

    Returns:
        A context manager that gives the function that returns the count.
    """
    counted: list[int] = []

    def count(number: int, _: FrameType | None) -> None:
        counted.append(number)
        _received.append(number)

    numbers = [number for number in (signal.SIGINT, *_TERMINATING) if signal.getsignal(number) is not signal.SIG_IGN]
    previous = {number: signal.signal(number, count) for number in numbers}
    try:
        yield lambda: len(counted)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def interrupt_status() -> int:
    """Return the exit status of a command that was interrupted: 128 and the number of the signal."""
    return FIRST_SIGNAL_STATUS + (_received[-1] if _received else signal.SIGINT)


def forget_signals() -> None:
    """Forget the signals of an earlier command in this process."""
    _received.clear()
