"""The progress of a plan: flags and experiments by status, and the steps that failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Literal, TypeAlias

from attrs import frozen

import amp_exp_async

from .errors import describe_error

Status: TypeAlias = Literal["done", "failed", "unknown", "begun", "left"]
"""The status of a flag or experiment, by the keys that `--json` prints; `begun` is partly done, `left` not started."""

_WORDS: dict[Status, str] = {"failed": "failed", "unknown": "unknown", "begun": "partly done", "left": "not started"}


@frozen
class FailedStep:
    """A step that failed, or that may or may not have been applied.

    Attributes:
        target: the flag or experiment.
        step: the step.
        state: `failed` or `unknown`.
        error: the error.
    """

    target: str
    step: str
    state: str
    error: str

    def __str__(self) -> str:
        state = "unknown whether it was applied" if self.state == "unknown" else self.state
        return f"{self.target}: {self.step}: {state}: {self.error}"


class PlanProgress:
    """The counted outcomes of a plan that is being applied.

    Args:
        plan: the plan.

    Attributes:
        failed_steps: the steps that failed or whose outcome is unknown.
    """

    def __init__(self, plan: amp_exp_async.Plan) -> None:
        self.failed_steps: list[FailedStep] = []
        self._changes = plan.changes
        positions = {id(change): index for index, change in enumerate(plan.changes)}
        self._change_of_step = [positions[id(change)] for change, _ in plan.operations()]
        self._totals = Counter(self._change_of_step)
        self._outcomes: list[Counter[str]] = [Counter() for _ in plan.changes]

    def record(self, outcome: amp_exp_async.Outcome) -> None:
        """Count an outcome."""
        index = self._change_of_step[outcome.index]
        self._outcomes[index]["done" if outcome.ok else outcome.status] += 1
        if outcome.error is not None and outcome.status in {"failed", "unknown"}:
            step = f"{type(outcome.operation).__name__} {outcome.operation.target}"
            error = describe_error(outcome.error, sent=True)
            self.failed_steps.append(FailedStep(self._changes[index].target, step, outcome.status, error))

    @property
    def is_started(self) -> bool:
        """Whether any step was started."""
        return any(outcomes.keys() - {"skipped"} for outcomes in self._outcomes)

    @property
    def counts(self) -> dict[Status, int]:
        """The number of flags and experiments by status."""
        counted = Counter(self._statuses())
        statuses: tuple[Status, ...] = ("done", "failed", "unknown", "begun", "left")
        return {status: counted[status] for status in statuses}

    @property
    def partly_done(self) -> Iterable[str]:
        """The flags and experiments with some steps done and none failed, as lines."""
        for index, status in enumerate(self._statuses()):
            if status == "begun":
                done, total = self._outcomes[index]["done"], self._totals[index]
                yield f"{self._changes[index].target}: partly done: {done} of {total} steps"

    def __str__(self) -> str:
        counts = self.counts
        rest = "".join(f", {counts[status]} {word}" for status, word in _WORDS.items() if counts[status])
        return f"{counts['done']} of {len(self._changes)} flags and experiments{rest}"

    def _statuses(self) -> Iterator[Status]:
        for index, outcomes in enumerate(self._outcomes):
            if outcomes["unknown"]:
                yield "unknown"
            elif outcomes["failed"]:
                yield "failed"
            elif outcomes["done"] == self._totals[index]:
                yield "done"
            else:
                yield "begun" if outcomes["done"] else "left"
