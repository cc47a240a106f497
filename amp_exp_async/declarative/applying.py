"""Applying a plan: read again, refuse what changed in between, and carry out the rest in bulk."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

import orjson
from attrs import frozen

from amp_exp_async import checks
from amp_exp_async.bulk import BulkRun, Operation
from amp_exp_async.errors import EditConflictError
from amp_exp_async.models import UNSET
from amp_exp_async.transport import Transport

from .change import Change, FieldChange
from .operations import operations
from .plan import Plan
from .planning import make_plan


def apply(transport: Transport, plan: Plan, *, journal: str | os.PathLike[str] | None) -> BulkRun:
    """A run that carries out a plan."""
    service = transport.connection.endpoint.base_url
    if plan.service != service:
        checks.refuse("plan", f"must be of this service: it was made for {plan.service}, and this is {service}")
    begun = journal is not None and Path(journal).exists()
    steps = tuple(step for change in plan.changes for step in operations(change))
    return BulkRun(transport, _Steps(transport, plan, steps, begun), journal=journal, on_error="leave")


@frozen(eq=False)
class _Steps:
    """The operations of a plan, handed out once it is sure that nothing has changed in between."""

    transport: Transport
    plan: Plan
    steps: Sequence[Operation]
    begun: bool

    def __len__(self) -> int:
        return len(self.steps)

    async def __aiter__(self) -> AsyncGenerator[Operation, None]:
        if self.plan:
            fresh = await make_plan(self.transport, self.plan.state, prune=False)
            refuse_conflicts(self.plan.changes, fresh.changes, begun=self.begun)
        for step in self.steps:
            yield step


def refuse_conflicts(planned: Sequence[Change], fresh: Sequence[Change], *, begun: bool) -> None:
    """Refuse a plan if what it saw is not what there is.

    Args:
        planned: its changes.
        fresh: the changes that are due now.
        begun: whether it was begun to be applied: some of its changes may be done.

    Raises:
        EditConflictError: something changed in between.
    """
    now = {(change.kind, change.project_id, change.key): change for change in fresh}
    lines: list[str] = []
    for change in planned:
        other = now.get((change.kind, change.project_id, change.key))
        lines += [f"  {change.target}: {why}" for why in _conflicts(change, other, begun=begun)]
    if lines:
        raise EditConflictError(
            "What the plan saw has changed in between, and nothing was written. Make a new plan.\n" + "\n".join(lines)
        )


def _conflicts(planned: Change, fresh: Change | None, *, begun: bool) -> list[str]:
    if fresh is None:
        return [] if begun else ["it is as planned already"]
    if not begun and planned.id != fresh.id:
        return [f"its id was {planned.id or 'none'}, and is {fresh.id or 'none'}"]
    nothing = FieldChange(UNSET, UNSET)
    why: list[str] = []
    for name in dict.fromkeys([*planned.fields, *fresh.fields]):
        then, now = planned.fields.get(name, nothing), fresh.fields.get(name, nothing)
        is_done = begun and name not in fresh.fields
        is_ours = begun and planned.id is None and name in planned.fields
        is_same = then == now or (is_ours and then.after == now.after)
        if not (is_done or is_same):
            why.append(f"{name} was {_short(then.before)}, and is {_short(_present(now, then))}")
    return why


def _present(now: FieldChange, then: FieldChange) -> object:
    """What a field is. One that does not change any more is what it was to be."""
    return then.after if now == FieldChange(UNSET, UNSET) else now.before


def _short(value: object) -> str:
    text = "not there" if value is UNSET else orjson.dumps(value).decode()
    return text if len(text) <= 60 else f"{text[:57]}..."
