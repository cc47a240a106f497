"""The application of a plan: a check for drift, and then a bulk run of its operations."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Sequence
from itertools import chain, compress

from attrs import frozen

from amp_exp_async import validation
from amp_exp_async.bulk import AsyncBulkRun, Operation
from amp_exp_async.bulk.journal import as_path, completed
from amp_exp_async.errors import InvalidManifestError
from amp_exp_async.http import Transport
from amp_exp_async.resources import flag_resources

from .drift import drift_error, raise_for_drift
from .operations import operations_for
from .plan import Plan, plan_again


def apply(
    transport: Transport, plan: Plan, *, journal: str | os.PathLike[str] | None, fsync: bool = False
) -> AsyncBulkRun:
    """Return a run that carries out a plan."""
    # Callers are seldom type checked.
    if not isinstance(plan, Plan):  # pyright: ignore[reportUnnecessaryIsInstance]
        validation.reject("plan", "must be a plan, made by client.plan or Plan.load", plan)
    service = transport.session.endpoint.base_url
    if plan.service != service:
        validation.reject("plan", f"was made for {plan.service}, but this client uses {service}")
    operations = [operations_for(change) for change in plan.changes]
    done: list[Sequence[Operation] | None] = [None] * len(operations)
    if journal is not None:
        flags = completed(as_path(journal), service, list(chain.from_iterable(operations)))
        if flags is not None:
            is_done = iter(flags)
            done = [list(compress(group, is_done)) for group in operations]
    source = _PlannedOperations(transport, plan, operations, done)
    return AsyncBulkRun(transport, source, resources=flag_resources, journal=journal, fsync=fsync, on_error="stop_flag")


@frozen(eq=False)
class _PlannedOperations:
    """The operations of a plan. The first iteration checks for drift.

    Attributes:
        transport: sends the requests.
        plan: the plan.
        operations: the operations of each change.
        done: the operations of each change that an earlier run has done; None if there was no earlier run.
    """

    transport: Transport
    plan: Plan
    operations: Sequence[Sequence[Operation]]
    done: Sequence[Sequence[Operation] | None]

    def __len__(self) -> int:
        return sum(map(len, self.operations))

    async def __aiter__(self) -> AsyncGenerator[Operation, None]:
        if self.plan:
            try:
                current, ids = await plan_again(self.transport, self.plan)
            except InvalidManifestError as error:  # without drift, the plan could be made again
                raise drift_error(map(str, error.problems)) from None
            raise_for_drift(self.plan.changes, current.changes, ids, self.done)
        for operation in chain.from_iterable(self.operations):
            yield operation
