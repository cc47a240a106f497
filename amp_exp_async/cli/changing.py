"""From what a variant includes to what it should: looking, sending, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Literal, TypeAlias

from attrs import define, field, frozen

from amp_exp_async import (
    AddUsers,
    BulkRun,
    ExperimentClient,
    InvalidInputError,
    NotFoundError,
    RemoveUsers,
    ReplaceUsers,
)
from amp_exp_async.bulk.operations import InclusionOperation, InclusionRequest
from amp_exp_async.http import Attempt
from amp_exp_async.models import FlagConfig
from amp_exp_async.sync.resources import Users

from .naming import Named, find
from .progress import Advance
from .running import Ending, carry_out
from .section import Section

Action: TypeAlias = Literal["add", "remove", "replace"]
Manifest: TypeAlias = Literal["planned", "unchanged", "done", "failed", "unknown"]

_OPERATIONS: dict[Action, Callable[..., InclusionOperation]] = {
    "add": AddUsers,
    "remove": RemoveUsers,
    "replace": ReplaceUsers,
}


@define
class Result:
    """What a command has done, as `--json` shows it.

    Attributes:
        kind: `flags` or `experiments`.
        id: the flag's or experiment's id.
        key: its key.
        variant: the variant's key.
        to_add: ids that were not included, and were to be.
        to_remove: ids that were included, and were not to be.
        already: ids of the file that were as wanted.
        added: ids that were added.
        removed: ids that were removed.
        unknown: ids of which nobody knows whether they were added or removed.
        requests: requests sent, those that looked first included.
        state: `planned` by a dry run; `unchanged`, since all was as wanted; `done`; `failed`; or `unknown`.
        error: what went wrong.
    """

    kind: Literal["flags", "experiments"]
    id: str | None = None
    key: str | None = None
    variant: str = ""
    to_add: int = 0
    to_remove: int = 0
    already: int = 0
    added: int = 0
    removed: int = 0
    unknown: int = 0
    requests: int = 0
    state: Manifest = "failed"
    error: str | None = None

    @property
    def left(self) -> int:
        """Ids that were neither added nor removed for certain."""
        return max(0, self.to_add + self.to_remove - self.added - self.removed)

    def __str__(self) -> str:
        named = f"{self.kind[:-1]} {self.id} ({self.key}), variant {self.variant}"
        return f"{named}: {self.to_add} to add, {self.to_remove} to remove, {self.already} already as wanted"


@frozen
class Order:
    """What was asked for.

    Attributes:
        action: what to do with the ids.
        section: flags or experiments.
        named: which of them.
        variant: the variant's key.
        ids: the ids.
    """

    action: Action
    section: Section
    named: Named
    variant: str
    ids: Sequence[str]


@define
class ResourceChange:
    """An order, on its way.

    Attributes:
        order: what was asked for.
        client: who sends it.
        result: what has come of it.
    """

    order: Order
    client: ExperimentClient
    result: Result
    _steps: list[InclusionRequest] = field(factory=list[InclusionRequest])

    def look(self) -> bool:
        """Read what is there; whether there is anything to change.

        Raises:
            InvalidInputError: something breaks a rule, there is no such flag or variant, or it would include too many.
            AmpExpError: a request failed.
        """
        order, result = self.order, self.result
        operation = _operation(order)
        toggle = find(order.section.of(self.client), order.named)
        result.id, result.key = toggle.id, toggle.key
        present = self._present(toggle)
        self._steps = [] if operation is None else operation.requests(present)
        result.to_add = sum(len(step.ids) for step in self._steps if step.action == "add")
        result.to_remove = sum(len(step.ids) for step in self._steps if step.action == "remove")
        result.already = len(order.ids) - (result.to_remove if order.action == "remove" else result.to_add)
        return bool(self._steps)

    def send(
        self,
        journal: Path | None,
        show: Callable[[int], AbstractContextManager[Advance]],
        tell: Callable[[str], None],
    ) -> Ending:
        """Send it.

        Args:
            journal: the journal to go on from.
            show: shows how many requests of so many are through.
            tell: says to the user what happens.

        Raises:
            InvalidInputError: the journal cannot be used. Nothing was sent.
        """
        through: list[Advance] = []
        changed: list[str] = []

        def count(attempt: Attempt) -> None:
            if attempt.status is not None and attempt.status < 300:
                through[0](1)

        run = self._run(self.client.with_options(on_attempt=count), journal)
        self.result.state = "unknown"  # it is, until the end that is reported below
        # Each operation reads the list again before it changes it.
        with show((run.progress.total or 0) + len(self._steps)) as advance:
            through.append(advance)
            ending = carry_out(run, self.client, note=lambda outcome: changed.extend(outcome.changed), tell=tell)
        if isinstance(ending.error, InvalidInputError) and not ending.summary.requests:
            self.result.state = "failed"
            raise ending.error
        self._settle(ending, changed, is_done=ending.error is None and run.progress.done == run.progress.total)
        return ending

    def _present(self, toggle: FlagConfig) -> list[str]:
        try:
            return self.order.section.of(self.client).users.list(toggle.id, self.order.variant)
        except NotFoundError as error:
            there = ", ".join(variant.key for variant in toggle.variants or ()) or "none"
            raise InvalidInputError(
                f"{self.order.section.label(toggle)} has no variant {self.order.variant!r}. "
                f"Its variants: {there}. Nothing was changed."
            ) from error

    def _run(self, client: ExperimentClient, journal: Path | None) -> BulkRun:
        begin = _stream(self.order.section.of(client).users, self.order.action)
        return begin(self.result.id or "", self.order.variant, self.order.ids, journal=journal)

    def _settle(self, ending: Ending, changed: Sequence[str], *, is_done: bool) -> None:
        """Note what was really done."""
        result, summary = self.result, ending.summary
        result.requests = self.client.usage.requests
        wanted = set(self.order.ids)
        result.added = 0 if self.order.action == "remove" else sum(id in wanted for id in changed)
        result.removed = len(changed) - result.added
        if summary.unknown:
            result.state, result.unknown = "unknown", min(self._under_way(len(changed)), result.left)
        else:
            result.state = "done" if is_done else "failed"
        if summary.skipped and result.left and is_done:
            result.state = "failed"
            result.error = "The journal has this as done, and somebody has changed the list since: use a new journal."
        elif ending.error is not None:
            result.error = f"Interrupted: {ending.error}" if ending.interrupted else str(ending.error)

    def _under_way(self, changed: int) -> int:
        """How many ids the request had that came after so many."""
        for step in self._steps:
            if changed < len(step.ids):
                return len(step.ids) - changed
            changed -= len(step.ids)
        return 0


def _operation(order: Order) -> InclusionOperation | None:
    """What is to be carried out, checked; None where there are no ids to add or remove."""
    if not order.ids and order.action != "replace":
        return None
    named = order.named
    id, key = (None, named.name) if named.by_key else (named.name, None)
    make = _OPERATIONS[order.action]
    return make(order.section.kind, id, order.variant, order.ids, key=key, project_id=named.project_id)


def _stream(users: Users, action: Action) -> Callable[..., BulkRun]:
    match action:
        case "add":
            return users.add_many
        case "remove":
            return users.remove_many
        case "replace":
            return users.replace
