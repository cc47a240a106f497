"""What becomes of a plan: its flags and experiments counted, and the steps that went wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, TypeAlias

from attrs import frozen

from amp_exp_async import Outcome, ResourceChange
from amp_exp_async.manifests.operations import operations_for

Fate: TypeAlias = Literal["done", "failed", "unknown", "begun", "left"]

_WORDS: dict[Fate, str] = {"failed": "failed", "unknown": "not known", "begun": "only begun", "left": "not begun"}


@frozen
class WrongStep:
    """A step that failed, or of which nobody knows whether it was carried out.

    Attributes:
        target: the flag or experiment.
        step: what was to be done.
        state: `failed` or `unknown`.
        error: why.
    """

    target: str
    step: str
    state: str
    error: str

    def __str__(self) -> str:
        state = "not known whether it was done" if self.state == "unknown" else self.state
        return f"{self.target}: {self.step}: {state}: {' '.join(self.error.split())}"


class Account:
    """Counts what becomes of the changes of a plan.

    Args:
        changes: the changes, in the order in which the plan is carried out.

    Attributes:
        wrong: the steps that went wrong.
    """

    def __init__(self, changes: Sequence[ResourceChange]) -> None:
        self.wrong: list[WrongStep] = []
        self._changes = changes
        self._due = [len(operations_for(change)) for change in changes]
        self._of = [at for at, due in enumerate(self._due) for _ in range(due)]
        self._states: list[Counter[str]] = [Counter() for _ in changes]

    def note(self, outcome: Outcome) -> None:
        """Count an outcome."""
        at = self._of[outcome.index]
        self._states[at]["done" if outcome.ok else outcome.status] += 1
        if outcome.status in {"failed", "unknown"}:
            step = f"{type(outcome.operation).__name__} {outcome.operation.target}"
            self.wrong.append(WrongStep(self._changes[at].target, step, outcome.status, str(outcome.error)))

    @property
    def is_begun(self) -> bool:
        """Whether anything was begun."""
        return any(states.keys() - {"skipped"} for states in self._states)

    @property
    def counts(self) -> dict[Fate, int]:
        """How many flags and experiments are `done`, `failed`, `unknown`, `begun` and not finished, or `left`."""
        counted = Counter(self._fates())
        fates: tuple[Fate, ...] = ("done", "failed", "unknown", "begun", "left")
        return {fate: counted[fate] for fate in fates}

    @property
    def begun(self) -> Iterable[str]:
        """Those that are begun and not finished, each with how far it is."""
        for change, fate, states, due in zip(self._changes, self._fates(), self._states, self._due, strict=True):
            if fate == "begun":
                yield f"{change.target}: only begun: {states['done']} of {due} steps are done"

    def __str__(self) -> str:
        counts = self.counts
        rest = "".join(f", {counts[fate]} {words}" for fate, words in _WORDS.items() if counts[fate])
        return f"{counts['done']} of {len(self._changes)} flags and experiments{rest}"

    def _fates(self) -> Iterator[Fate]:
        for states, due in zip(self._states, self._due, strict=True):
            if states["unknown"]:
                yield "unknown"
            elif states["failed"]:
                yield "failed"
            elif states["done"] == due:
                yield "done"
            else:
                yield "begun" if states["done"] else "left"
