"""Ctrl-C in each line that starts, uses or ends an event loop's thread is `KeyboardInterrupt`, and leaves nothing."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import amp_exp_async
from amp_exp_async import ExperimentClient
from amp_exp_async.emulator import Emulator
from amp_exp_async.interruption import Latch, start_thread
from tests.polling import TIMEOUT, wait_until
from tests.sync.timeouts import client_of, start

_PACKAGE = Path(amp_exp_async.__file__).parent
_TRACED = (
    str(_PACKAGE / "interruption.py"),
    str(_PACKAGE / "loop_thread.py"),
    str(_PACKAGE / "emulator" / "server.py"),
    str(_PACKAGE / "sync" / "portal.py"),
    str(Path(asyncio.__file__).parent),
    threading.__file__,
)


class Interruption:
    """A Ctrl-C in one of the lines that this thread runs in a block.

    Attributes:
        has_come: whether there were that many lines.
    """

    def __init__(self, line: int) -> None:
        self.has_come = False
        self._left = line

    def trace(self, frame: FrameType, event: str, _: object) -> Any:
        """Do what Python does in each line: look for signals."""
        if not frame.f_code.co_filename.startswith(_TRACED):
            return None
        if event == "line" and not self.has_come:
            self._left -= 1
            if self._left < 0:
                self.has_come = True
                raise KeyboardInterrupt
        return self.trace


@contextmanager
def interrupted_in(line: int) -> Iterator[Interruption]:
    """Raise `KeyboardInterrupt` in a line of a block, and take nothing else for it."""
    interruption, before = Interruption(line), sys.gettrace()
    raised = False
    sys.settrace(interruption.trace)
    try:
        yield interruption
    except KeyboardInterrupt:
        raised = True
    finally:
        sys.settrace(before)
    assert raised == interruption.has_come


def each_line(work: Callable[[int], Interruption]) -> int:
    """Do work that is interrupted in its first line, then in its second, until it has no such line. Count them."""
    return next(line for line in count() if not work(line).has_come)


@pytest.fixture(autouse=True)
def _no_thread_left() -> Iterator[None]:
    """No thread is left, and the collector finds nothing that is half made: a warning would fail the test."""
    gc.collect()
    before = threading.active_count()
    yield
    wait_until(lambda: threading.active_count() <= before)
    gc.collect()


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """An emulator in a thread."""
    with Emulator() as emulator:
        yield emulator


def test_a_client_that_starts(emulator: Emulator) -> None:
    """A call that is interrupted while the thread starts leaves no thread, or one for the next call, which works."""
    id = emulator.state.add_flag(key="a")["id"]

    def work(line: int) -> Interruption:
        with client_of(emulator) as client:
            with interrupted_in(line) as interruption:
                client.flags.get(id)
            assert client.flags.get(id).id == id
        return interruption

    assert each_line(work) > 50


def test_a_client_that_is_closed(emulator: Emulator) -> None:
    """Only the wait is interrupted: closing again finds the client closed, or closes it."""
    id = emulator.state.add_flag(key="a")["id"]

    def work(line: int) -> Interruption:
        client: ExperimentClient = client_of(emulator)
        client.flags.get(id)
        with interrupted_in(line) as interruption:
            client.close()
        client.close()
        return interruption

    assert each_line(work) > 20


def test_an_emulator_that_starts() -> None:
    """It leaves no thread and no socket if its start is interrupted, and can be started again."""

    def work(line: int) -> Interruption:
        emulator = Emulator()
        with interrupted_in(line) as interruption:
            emulator.__enter__()
        if interruption.has_come:
            wait_until(lambda: not [t for t in threading.enumerate() if t.name == "experiment-emulator"])
            emulator.__enter__()
        emulator.__exit__(None, None, None)
        return interruption

    assert each_line(work) > 50


def test_an_emulator_that_ends() -> None:
    """Only the wait is interrupted: it ends nevertheless, unless that has not started."""

    def work(line: int) -> Interruption:
        emulator = Emulator()
        emulator.__enter__()
        with interrupted_in(line) as interruption:
            emulator.__exit__(None, None, None)
        emulator.__exit__(None, None, None)
        return interruption

    assert each_line(work) > 20


def test_waiting_for_a_latch() -> None:
    """A wait that is interrupted leaves those of other threads alone."""

    def work(line: int) -> Interruption:
        latch, is_waiting = Latch(), threading.Event()

        def wait() -> bool:
            is_waiting.set()
            return latch.wait(TIMEOUT)

        other = start(wait)
        assert is_waiting.wait(TIMEOUT)
        with interrupted_in(line) as interruption:
            latch.wait(0.001)
        assert not latch.is_set
        latch.set()
        assert other.result(TIMEOUT)
        assert latch.wait(0)
        return interruption

    assert each_line(work) > 5


def test_starting_a_thread() -> None:
    """It starts completely or not at all, and its start is never taken for another error."""

    def work(line: int) -> Interruption:
        ran = Latch()
        thread = threading.Thread(target=ran.set)
        with interrupted_in(line) as interruption:
            start_thread(thread)
        wait_until(lambda: thread not in threading.enumerate())
        assert interruption.has_come or ran.wait(TIMEOUT)
        return interruption

    assert each_line(work) > 5
