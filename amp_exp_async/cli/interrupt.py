"""Bulk runs that Ctrl-C, SIGTERM and SIGHUP end without losing track of what was done."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait

from attrs import frozen

import amp_exp_async

_POLL_INTERVAL = 0.1
_GRACE = 5.0  # seconds for requests in flight


@frozen
class RunEnd:
    """The end of a run.

    Attributes:
        summary: the counts of the run.
        error: the first error; None without one, also if an interruption came before the first operation.
        count_interrupts: returns how many signals have come until now.
    """

    summary: amp_exp_async.BulkSummary
    error: Exception | None
    count_interrupts: Callable[[], int]

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C or another signal has come, in the run or after it."""
        return bool(self.count_interrupts())


def run_interruptibly(
    run: amp_exp_async.BulkRun,
    count_interrupts: Callable[[], int],
    *,
    on_outcome: Callable[[amp_exp_async.Outcome], object],
    echo_err: Callable[[str], None],
) -> RunEnd:
    """Carry out a run. On Ctrl-C, SIGTERM or SIGHUP, start nothing more and wait a few seconds for requests in flight.

    Args:
        run: the run.
        count_interrupts: that of `counting_interrupts`, whose block has the run and its report: a signal that comes
            when all is done must not hide what was done.
        on_outcome: called with each outcome, also of abandoned operations, in another thread.
        echo_err: prints a message.
    """
    with ThreadPoolExecutor() as pool:
        reader = pool.submit(_read, run, on_outcome)
        _wait(reader, lambda: not count_interrupts())
        if count_interrupts():
            echo_err(f"Interrupted. Waiting up to {_GRACE:.0f} s for requests in flight; Ctrl-C again abandons them.")
            pool.submit(run.close)
            _wait(reader, lambda: count_interrupts() == 1, _GRACE)
        if not reader.done():
            run.cancel()
    return RunEnd(run.summary, _exception(reader) or _first_error(run), count_interrupts)


def _wait(reader: Future[None], is_waiting: Callable[[], bool], seconds: float = math.inf) -> None:
    deadline = time.monotonic() + seconds
    while is_waiting() and not reader.done() and time.monotonic() < deadline:
        wait([reader], _POLL_INTERVAL)


def _read(run: amp_exp_async.BulkRun, on_outcome: Callable[[amp_exp_async.Outcome], object]) -> None:
    for outcome in run:
        on_outcome(outcome)


def _exception(reader: Future[None]) -> Exception | None:
    error = reader.exception()
    if error is None or isinstance(error, Exception):
        return error
    raise error


def _first_error(run: amp_exp_async.BulkRun) -> Exception | None:
    try:
        run.raise_for_failures()
    except amp_exp_async.BulkError as error:
        return next(iter(error.errors), None)
    return None
