"""What becomes of the operations of a run: each outcome, how far it is, and the sum."""

from __future__ import annotations

from collections import deque
from typing import Literal, TypeAlias

from attrs import frozen

from amp_exp_async.errors import AmpExpError, BulkError
from amp_exp_async.models import Created

from .operations import Operation

Status: TypeAlias = Literal["done", "failed", "unknown", "skipped"]

_SHOWN = 10  # outcomes that an error names
_ADVICE = "Correct what failed and run it again; with a journal, what is done is skipped."


@frozen
class Outcome:
    """What became of one operation.

    Attributes:
        operation: the operation.
        index: its place in the input, from 0.
        status: `done`; `failed`: not, or not wholly, carried out, see `error`; `unknown`: a write of it may or may not
            have been applied; `skipped`: not begun, because the journal has it as done (no `error`), or because the run
            was stopped (`error` says by what).
        error: why it is not done.
        requests: requests sent for it, those that looked first, retries and settling included.
        changed: the ids of users, cohorts or deployments that were really added or removed, also where the operation
            failed half-way.
        created: what a creation made.
    """

    operation: Operation
    index: int
    status: Status
    error: AmpExpError | None = None
    requests: int = 0
    changed: tuple[str, ...] = ()
    created: Created | None = None

    @property
    def ok(self) -> bool:
        """Whether the operation is done, in this run or, by the journal, before it."""
        return self.error is None


@frozen(kw_only=True)
class Progress:
    """How far a run is.

    Attributes:
        done: operations done, those that the journal had as done included.
        failed: operations that failed, or of which nobody knows.
        total: how many there are; None while that is not known.
        rate: operations finished a second, over the last seconds.
        seconds_left: an estimate, by that rate; None where there is nothing to go by.
    """

    done: int
    failed: int
    total: int | None
    rate: float
    seconds_left: float | None


@frozen(kw_only=True)
class BulkSummary:
    """What became of all operations of a run, so far or, after its end, in all.

    Attributes:
        done: operations that were carried out.
        failed: operations that were not, or not wholly, carried out.
        unknown: operations of which nobody knows whether they were carried out.
        skipped: operations that were not begun: done before, by the journal, or left out when the run was stopped.
        not_started: how many of those were left out.
        requests: requests sent, those that looked up keys included.
        changed: how many ids were really added or removed.
        seconds: how long it took.
        complete: whether the input was read to its end. Of what was not read, nothing is counted.
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
        counted = {"done": self.done, "failed": self.failed, "unknown": self.unknown, "skipped": self.skipped}
        states = ", ".join(f"{count} {name}" for name, count in counted.items() if count or name == "done")
        short = "" if self.complete else ", and the input was not read to its end"
        return f"{states}{short}; {self.requests} requests in {self.seconds:.1f} s"


class Account:
    """Counts the outcomes of a run, and keeps none but the first that went wrong.

    Attributes:
        total: how many there will be; None while that is not known.
        finished: how many there are.
        requests: requests sent for them.
        complete: whether the input has been read to its end.
    """

    def __init__(self, total: int | None) -> None:
        self.total = total
        self.complete = False
        self.finished = 0
        self.requests = 0
        self._counts: dict[Status, int] = {"done": 0, "failed": 0, "unknown": 0, "skipped": 0}
        self._not_started = 0
        self._changed = 0
        self._wrong: list[Outcome] = []
        self._pace = _Pace()
        self._started: float | None = None
        self._last = 0.0

    def start(self, now: float) -> None:
        """Begin to count the seconds."""
        self._started = self._last = now
        self._pace.mark(now, 0)

    def add(self, outcome: Outcome, now: float) -> None:
        """Count an outcome."""
        self.finished += 1
        self._counts[outcome.status] += 1
        self.requests += outcome.requests
        self._changed += len(outcome.changed)
        self._last = now
        self._pace.mark(now, self.finished)
        if outcome.error is not None:
            self._not_started += outcome.status == "skipped"
            if len(self._wrong) < _SHOWN:
                self._wrong.append(outcome)

    @property
    def progress(self) -> Progress:
        """How far it is."""
        rate = self._pace.rate
        left = None if self.total is None else self.total - self.finished
        return Progress(
            done=self._counts["done"] + self._counts["skipped"] - self._not_started,
            failed=self._counts["failed"] + self._counts["unknown"],
            total=self.total,
            rate=rate,
            seconds_left=0.0 if left == 0 else left / rate if left is not None and rate else None,
        )

    @property
    def summary(self) -> BulkSummary:
        """The sum."""
        return BulkSummary(
            **self._counts,
            not_started=self._not_started,
            requests=self.requests,
            changed=self._changed,
            seconds=0.0 if self._started is None else self._last - self._started,
            complete=self.complete,
        )

    def raise_for_failures(self, summary: BulkSummary, *, ended: bool) -> None:
        """Raise if anything is not done; of what has not been read, once the run has ended."""
        wrong = summary.failed + summary.unknown + summary.not_started
        if not wrong and (summary.complete or not ended):
            return
        named = [f"  {describe(outcome)}" for outcome in self._wrong]
        if wrong > _SHOWN:
            named.append(f"  and {wrong - _SHOWN} more")
        if ended and not summary.complete:
            named.append("  and what was not read any more")
        raise BulkError(
            "\n".join([f"{wrong} of {self.finished} operations are not done ({summary}):", *named, _ADVICE]),
            errors=[outcome.error for outcome in self._wrong if outcome.error is not None],
        )


def describe(outcome: Outcome) -> str:
    """An outcome in one line."""
    operation = outcome.operation
    said = "" if outcome.error is None else f": {outcome.error}"
    return f"#{outcome.index} {type(operation).__name__} {operation.target} {outcome.status}{said}"


class _Pace:
    """How many a second, over the last seconds: a mark a second at the most, and few of them."""

    def __init__(self) -> None:
        self._marks: deque[tuple[float, int]] = deque(maxlen=10)
        self._now = (0.0, 0)
        self._next = 0.0

    def mark(self, now: float, finished: int) -> None:
        self._now = (now, finished)
        if now >= self._next:
            self._marks.append(self._now)
            self._next = now + 1.0

    @property
    def rate(self) -> float:
        if not self._marks:
            return 0.0
        (since, before), (now, finished) = self._marks[0], self._now
        return (finished - before) / (now - since) if now > since else 0.0
