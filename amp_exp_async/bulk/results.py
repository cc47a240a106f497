"""The results of a bulk run: the outcome of each operation, the progress and the summary."""

from __future__ import annotations

import math
from collections import deque
from typing import Literal, TypeAlias

from attrs import field, frozen

from amp_exp_async.errors import AmpExpError, BulkError
from amp_exp_async.formatting import format_count, short_items
from amp_exp_async.models import Created

from .operations import Operation

Status: TypeAlias = Literal["done", "failed", "unknown", "skipped"]

_BURST = 1.0  # seconds in which the limiter sends as many requests as it may at once
_MIN_OBSERVED = 1.0  # seconds without which a rate says nothing
_MAX_LISTED = 10  # outcomes that an error lists
_ADVICE = "Correct what failed and run it again; with a journal, completed operations are skipped."


@frozen
class Outcome:
    """The outcome of one operation.

    Attributes:
        operation: the operation.
        index: its position in the input, from 0.
        status: `done`; `failed`: not applied, or only in part; `unknown`: a write may have been applied; `skipped`: not
            started, because the journal has it as done (no `error`) or because the run or its flag was stopped (`error`
            has the reason).
        error: why the operation is not done.
        requests: requests sent for it, including reads, retries and reconciliation.
        changed: the IDs of users, cohorts or deployments that were added or removed, also if the operation failed
            later.
        created: the flag or experiment that a creation made.
    """

    operation: Operation
    index: int
    status: Status
    error: AmpExpError | None = None
    requests: int = 0
    changed: tuple[str, ...] = field(default=(), repr=short_items)
    created: Created | None = None

    @property
    def ok(self) -> bool:
        """Whether the operation is done, in this run or, according to the journal, in an earlier one."""
        return self.error is None


@frozen(kw_only=True)
class Progress:
    """The progress of a run.

    Attributes:
        done: operations done, including those that the journal has as done.
        failed: operations that failed or whose outcome is unknown.
        total: the number of operations; None while it is not known.
        rate: operations carried out per second, over the last seconds, at most the rate limit. It is 0.0 for the first
            two seconds, because the requests of the first second are sent at once.
        seconds_left: an estimate from the rate; None if no estimate is possible.
    """

    done: int
    failed: int
    total: int | None
    rate: float
    seconds_left: float | None


@frozen(kw_only=True)
class BulkSummary:
    """The totals of a run, so far or, after its end, overall.

    Attributes:
        done: operations that were applied.
        failed: operations that were not applied, or only in part.
        unknown: operations that may have been applied.
        skipped: operations that were not started: done according to the journal, or not started because the run or
            their flag was stopped.
        not_started: how many of the skipped operations were not started because the run or their flag was stopped.
        requests: requests sent, including those that resolved keys.
        changed: how many IDs were added or removed.
        seconds: how long the run took.
        complete: whether the input was read to its end. Operations that were not read are not counted.
    """

    done: int
    failed: int
    unknown: int
    skipped: int
    not_started: int
    requests: int
    changed: int
    seconds: float
    complete: bool

    @property
    def ok(self) -> bool:
        """Whether every operation is done."""
        return self.complete and not (self.failed or self.unknown or self.not_started)

    def __str__(self) -> str:
        counts = {"done": self.done, "failed": self.failed, "unknown": self.unknown, "skipped": self.skipped}
        listed = ", ".join(f"{count} {status}" for status, count in counts.items() if count or status == "done")
        note = "" if self.complete else ", input not read to its end"
        return f"{listed}{note}; {format_count(self.requests, 'request')} in {self.seconds:.1f} s"


class RunStats:
    """Counters of a run. Only the first failed outcomes are kept.

    Attributes:
        total: the number of operations; None while it is not known.
        finished: the number of outcomes so far.
        requests: requests sent for the operations.
        complete: whether the input was read to its end.
    """

    def __init__(self, total: int | None, max_rate: int | None = None) -> None:
        self.total = total
        self.complete = False
        self.finished = 0
        self.requests = 0
        self._counts: dict[Status, int] = {"done": 0, "failed": 0, "unknown": 0, "skipped": 0}
        self._not_started = 0
        self._changed = 0
        self._not_done: list[Outcome] = []
        self._rate = _RateEstimator(max_rate)
        self._started_at: float | None = None
        self._last_at = 0.0

    def start(self, now: float) -> None:
        """Start the clock."""
        self._started_at = self._last_at = now
        self._rate.start(now)

    def add(self, outcome: Outcome, now: float) -> None:
        """Count an outcome."""
        self.finished += 1
        self._counts[outcome.status] += 1
        self.requests += outcome.requests
        self._changed += len(outcome.changed)
        self._last_at = now
        self._rate.record(now, self.finished - self._counts["skipped"])
        if outcome.error is not None:
            self._not_started += outcome.status == "skipped"
            if len(self._not_done) < _MAX_LISTED:
                self._not_done.append(outcome)

    @property
    def progress(self) -> Progress:
        """The progress so far."""
        rate = self._rate.per_second
        remaining = None if self.total is None else self.total - self.finished
        return Progress(
            done=self._counts["done"] + self._counts["skipped"] - self._not_started,
            failed=self._counts["failed"] + self._counts["unknown"],
            total=self.total,
            rate=rate,
            seconds_left=0.0 if remaining == 0 else remaining / rate if remaining is not None and rate else None,
        )

    @property
    def summary(self) -> BulkSummary:
        """The totals so far."""
        return BulkSummary(
            **self._counts,
            not_started=self._not_started,
            requests=self.requests,
            changed=self._changed,
            seconds=0.0 if self._started_at is None else self._last_at - self._started_at,
            complete=self.complete,
        )

    def raise_for_failures(self, summary: BulkSummary, *, ended: bool) -> None:
        """Raise `BulkError` if an operation is not done, or if the run has ended before the end of its input."""
        not_done = summary.failed + summary.unknown + summary.not_started
        if not not_done and (summary.complete or not ended):
            return
        lines = [f"  {format_outcome(outcome)}" for outcome in self._not_done]
        if not_done > _MAX_LISTED:
            lines.append(f"  and {not_done - _MAX_LISTED} more")
        if ended and not summary.complete:
            lines.append("  and the operations that were not read")
        operations, verb = format_count(self.finished, "operation"), "is" if not_done == 1 else "are"
        raise BulkError(
            "\n".join(
                [
                    f"{not_done} of {operations} {verb} not done ({summary}):",
                    *lines,
                    _ADVICE,
                ]
            ),
            errors=[outcome.error for outcome in self._not_done if outcome.error is not None],
        )


def format_outcome(outcome: Outcome) -> str:
    """Return an outcome as one line of text."""
    operation = outcome.operation
    error = "" if outcome.error is None else f": {outcome.error}"
    return f"#{outcome.index} {type(operation).__name__} {operation.target} {outcome.status}{error}"


class _RateEstimator:
    """The rate of operations over the last ten seconds, from at most one sample per second.

    Args:
        max_rate: the rate limit; None for none. Two bursts of the limiter can fall into a little more than a second.
    """

    def __init__(self, max_rate: int | None) -> None:
        self._max_rate = math.inf if max_rate is None else float(max_rate)
        self._samples: deque[tuple[float, int]] = deque(maxlen=10)
        self._last = (0.0, 0)
        self._next_sample_at = math.inf

    def start(self, now: float) -> None:
        self._next_sample_at = now + _BURST

    def record(self, now: float, finished: int) -> None:
        self._last = (now, finished)
        if now >= self._next_sample_at:
            self._samples.append(self._last)
            self._next_sample_at = now + 1.0

    @property
    def per_second(self) -> float:
        if not self._samples:
            return 0.0
        (first_at, first_count), (last_at, last_count) = self._samples[0], self._last
        seconds = last_at - first_at
        return 0.0 if seconds < _MIN_OBSERVED else min(self._max_rate, (last_count - first_count) / seconds)
