"""How far the work is: bars on a terminal, plain lines elsewhere, nothing where only JSON is wanted."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from typing import TypeAlias

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

Advance: TypeAlias = Callable[[int], None]
Reporter: TypeAlias = Callable[[str, int | None], AbstractContextManager[Advance]]
"""Called with the title of a step and how many there will be (None: not known yet); gives a function to count with."""


def reporter(console: Console, *, silent: bool) -> Reporter:
    """The reporter that fits."""
    if silent:
        return _silent
    return _bars(console) if console.is_terminal else _lines(console)


@contextmanager
def _silent(_: str, __: int | None) -> Generator[Advance, None, None]:
    yield lambda _: None


def _lines(console: Console) -> Reporter:
    @contextmanager
    def step(title: str, total: int | None) -> Generator[Advance, None, None]:
        counted: list[int] = []
        started = time.monotonic()
        yield counted.append
        of = "" if total is None else f" of {total}"
        console.print(f"{title}: {sum(counted)}{of} in {time.monotonic() - started:.2f} s", highlight=False)

    return step


def _bars(console: Console) -> Reporter:
    @contextmanager
    def step(title: str, total: int | None) -> Generator[Advance, None, None]:
        columns = (SpinnerColumn(), TextColumn("{task.description:<44}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
            task = progress.add_task(title, total=total)
            yield lambda count: progress.advance(task, count)
            progress.update(task, total=progress.tasks[task].completed)

    return step
