"""Applying a plan: read again, refuse what changed in between, and carry out the rest in bulk."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Sequence
from itertools import chain, compress

from attrs import frozen

from amp_exp_async import validation
from amp_exp_async.bulk import AsyncBulkRun, Operation
from amp_exp_async.bulk.journal import as_path, completed
from amp_exp_async.http import Transport
from amp_exp_async.resources import flag_resources

from .conflicts import refuse_conflicts
from .operations import operations
from .plan import Plan
from .planning import make_plan


def apply(transport: Transport, plan: Plan, *, journal: str | os.PathLike[str] | None) -> AsyncBulkRun:
    """A run that carries out a plan."""
    service = transport.session.endpoint.base_url
    if plan.service != service:
        validation.reject("plan", f"must be of this service: it was made for {plan.service}, and this is {service}")
    steps = [operations(change) for change in plan.changes]
    before = None if journal is None else completed(as_path(journal), service, list(chain.from_iterable(steps)))
    done: list[Sequence[Operation] | None] = [None] * len(steps)
    if before is not None:
        known = iter(before)
        done = [list(compress(one, known)) for one in steps]
    return AsyncBulkRun(
        transport,
        _Steps(transport, plan, steps, done),
        resources=flag_resources,
        journal=journal,
        on_error="stop_flag",
    )


@frozen(eq=False)
class _Steps:
    """The operations of a plan, handed out once it is sure that nothing has changed in between.

    Attributes:
        transport: sends the requests.
        plan: the plan.
        steps: the operations of each of its changes.
        done: those that an earlier run has done; None where there was none.
    """

    transport: Transport
    plan: Plan
    steps: Sequence[Sequence[Operation]]
    done: Sequence[Sequence[Operation] | None]

    def __len__(self) -> int:
        return sum(map(len, self.steps))

    async def __aiter__(self) -> AsyncGenerator[Operation, None]:
        if self.plan:
            fresh = await make_plan(self.transport, self.plan.state, prune=False)
            refuse_conflicts(self.plan.changes, fresh.changes, self.done)
        for step in chain.from_iterable(self.steps):
            yield step
