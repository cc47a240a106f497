"""How far the work is: bars on a terminal, plain lines elsewhere, nothing where only JSON is wanted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, TypeAlias

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from amp_exp_async import Progress

Advance: TypeAlias = Callable[[int], None]

_REDRAWN = 0.1
_NEXT_LINE = 10.0  # seconds: a log that is read later needs to show that it goes on, not every step of it


class Run(Protocol):
    """What can be watched: a `AsyncBulkRun`, or a `BulkRun`."""

    @property
    def progress(self) -> Progress:
        """How far it is; asked for from a thread of its own."""
        ...


class Reporter(Protocol):
    """Shows how far the work is, one step after the other."""

    def step(self, title: str, total: int | None) -> AbstractContextManager[Advance]:
        """Show a step that counts by itself.

        Args:
            title: what is done.
            total: how many there will be; None where that is not known yet.

        Returns:
            A block, and the function to count with in it.
        """
        ...

    def watch(self, title: str, run: Run) -> AbstractContextManager[None]:
        """Show a bulk run for as long as the block lasts, in which it is iterated or awaited.

        Args:
            title: what is done.
            run: what to watch.
        """
        ...


def reporter(console: Console, *, silent: bool, transient: bool = False) -> Reporter:
    """The reporter that fits.

    Args:
        console: where it is shown.
        silent: whether to show nothing.
        transient: whether bars go away at the end.
    """
    if silent:
        return _Silent()
    return _Bars(console, transient=transient) if console.is_terminal else _Lines(console)


class _Silent:
    @contextmanager
    def step(self, title: str, total: int | None) -> Generator[Advance, None, None]:  # noqa: ARG002 - the protocol's
        yield lambda _: None

    @contextmanager
    def watch(self, title: str, run: Run) -> Generator[None, None, None]:  # noqa: ARG002 - the protocol's
        yield


class _Lines:
    def __init__(self, console: Console) -> None:
        self._console = console

    @contextmanager
    def step(self, title: str, total: int | None) -> Generator[Advance, None, None]:
        counted: list[int] = []
        started = time.monotonic()
        yield counted.append
        self._print(title, _of(sum(counted), total), started)

    @contextmanager
    def watch(self, title: str, run: Run) -> Generator[None, None, None]:
        started = time.monotonic()

        def show() -> None:
            now = run.progress
            self._print(title, f"{_counted(now)}{_pace(now)}", started)

        try:
            with _every(_NEXT_LINE, show):
                yield
        finally:
            self._print(title, _counted(run.progress), started)

    def _print(self, title: str, done: str, started: float) -> None:
        line = f"{title}: {done} in {time.monotonic() - started:.2f} s"
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)


class _Bars:
    def __init__(self, console: Console, *, transient: bool) -> None:
        self._console = console
        self._transient = transient

    @contextmanager
    def step(self, title: str, total: int | None) -> Generator[Advance, None, None]:
        with self._bar() as bar:
            task = bar.add_task(title, total=total, note="")
            yield lambda count: bar.advance(task, count)
            if total is None:
                bar.update(task, total=bar.tasks[task].completed)

    @contextmanager
    def watch(self, title: str, run: Run) -> Generator[None, None, None]:
        with self._bar() as bar:
            task = bar.add_task(title, total=run.progress.total, note="")

            def show(*, over: bool = False) -> None:
                now = run.progress
                note = _failed(now) if over else f"{_failed(now)}{_pace(now)}"
                bar.update(task, completed=now.done + now.failed, total=now.total, note=note)

            try:
                with _every(_REDRAWN, show):
                    yield
            finally:
                show(over=True)

    def _bar(self) -> Bar:
        return Bar(
            SpinnerColumn(),
            TextColumn("{task.description:<44}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=self._console,
            transient=self._transient,
        )


@contextmanager
def _every(seconds: float, show: Callable[[], None]) -> Generator[None, None, None]:
    """Show how far it is, again and again, whatever the present thread waits for."""
    over = threading.Event()

    def repeat() -> None:
        while not over.wait(seconds):
            show()

    thread = threading.Thread(target=repeat, name="amp-exp progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _of(count: int, total: int | None) -> str:
    return f"{count}" if total is None else f"{count} of {total}"


def _counted(progress: Progress) -> str:
    return _of(progress.done + progress.failed, progress.total) + _failed(progress)


def _failed(progress: Progress) -> str:
    return f", {progress.failed} failed" if progress.failed else ""


def _pace(progress: Progress) -> str:
    left = progress.seconds_left
    return f", {progress.rate:.0f} a second" + ("" if left is None else f", {left:.0f} s left")
