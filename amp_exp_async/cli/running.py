"""Carrying out a bulk run for somebody who may press Ctrl-C, and lose no account of what was done."""

from __future__ import annotations

import asyncio
import math
import signal
import time
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress

from attrs import frozen

from amp_exp_async import BulkError, BulkRun, BulkSummary, ExperimentClient, Outcome

_POLL = 0.1
_GRACE = 5.0  # seconds for what is under way to end by itself


@frozen
class Ending:
    """How a run ended.

    Attributes:
        summary: what became of its operations.
        error: what went wrong first, if anything.
        interrupted: whether Ctrl-C ended it.
    """

    summary: BulkSummary
    error: Exception | None
    interrupted: bool


def carry_out(
    run: BulkRun,
    client: ExperimentClient,
    *,
    note: Callable[[Outcome], object],
    tell: Callable[[str], None],
) -> Ending:
    """Carry a run out. Ctrl-C begins nothing more and lets what is under way end; not for long, if it takes long.

    Args:
        run: the run.
        client: whose run it is.
        note: is given each outcome, those of what was given up included; in another thread.
        tell: says to the user what happens.
    """
    with _ctrl_c() as pressed, ThreadPoolExecutor() as pool:
        reading = pool.submit(_read, run, note)
        _wait(reading, lambda: not pressed)
        if pressed:
            tell(f"Interrupted: what is under way has {_GRACE:.0f} s to end. Ctrl-C again gives it up at once.")
            pool.submit(run.close)
            _wait(reading, lambda: len(pressed) == 1, _GRACE)
        if not reading.done():
            # Closing the client would wait for the run.
            client._portal.call(_cancel_all)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - until it is public
            _wait(reading, lambda: True)
            reading = pool.submit(_read, run, note)
    return Ending(run.summary, _exception(reading) or _first_error(run), bool(pressed))


@contextmanager
def _ctrl_c() -> Generator[list[int], None, None]:
    """Count how often Ctrl-C is pressed. An exception in the midst of anything here could leave a lock held."""
    pressed: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: pressed.append(number))
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)


def _wait(reading: Future[None], patient: Callable[[], bool], seconds: float = math.inf) -> None:
    end = time.monotonic() + seconds
    while patient() and not reading.done() and time.monotonic() < end:
        wait([reading], _POLL)


def _read(run: BulkRun, note: Callable[[Outcome], object]) -> None:
    with suppress(asyncio.CancelledError):  # given up
        for outcome in run:
            note(outcome)


async def _cancel_all() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def _exception(reading: Future[None]) -> Exception | None:
    error = reading.exception()
    if error is None or isinstance(error, Exception):
        return error
    raise error


def _first_error(run: BulkRun) -> Exception | None:
    try:
        run.raise_for_failures()
    except BulkError as error:
        return error.errors[0]
    return None
