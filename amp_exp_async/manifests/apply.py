"""The application of a plan: a check for drift, and then a bulk run of its operations."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Sequence
from itertools import chain, islice

from attrs import frozen

from amp_exp_async import validation
from amp_exp_async.bulk import AsyncBulkRun, Operation
from amp_exp_async.bulk.journal import as_path, read_records
from amp_exp_async.errors import InvalidManifestError
from amp_exp_async.http import Transport
from amp_exp_async.resources import flag_resources

from .drift import EarlierRun, drift_error, raise_for_drift
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
    earlier: list[EarlierRun | None] = [None] * len(operations)
    if journal is not None:
        records = read_records(as_path(journal), service, list(chain.from_iterable(operations)))
        if records is not None:
            rest = iter(records)
            earlier = [EarlierRun.of(group, list(islice(rest, len(group)))) for group in operations]
    source = _PlannedOperations(transport, plan, operations, earlier)
    return AsyncBulkRun(transport, source, resources=flag_resources, journal=journal, fsync=fsync, on_error="stop_flag")


@frozen(eq=False)
class _PlannedOperations:
    """The operations of a plan. The first iteration checks for drift.

    Attributes:
        transport: sends the requests.
        plan: the plan.
        operations: the operations of each change.
        earlier: the part of each change that an earlier run applied; None if there was no earlier run.
    """

    transport: Transport
    plan: Plan
    operations: Sequence[Sequence[Operation]]
    earlier: Sequence[EarlierRun | None]

    def __len__(self) -> int:
        return sum(map(len, self.operations))

    async def __aiter__(self) -> AsyncGenerator[Operation, None]:
        if self.plan:
            try:
                current, ids = await plan_again(self.transport, self.plan)
            except InvalidManifestError as error:  # without drift, the plan could be made again
                raise drift_error(map(str, error.problems)) from None
            raise_for_drift(self.plan.changes, current.changes, ids, self.earlier)
        for operation in chain.from_iterable(self.operations):
            yield operation
