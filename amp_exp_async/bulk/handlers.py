"""The requests of each operation: read the live state if that saves or settles a write, then send the difference."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from attrs import frozen

from amp_exp_async.errors import NotFoundError, OutcomeUnknownError
from amp_exp_async.matching import could_be_created_with, matches
from amp_exp_async.models import Created, FlagConfig

from .operations import (
    AddDeployments,
    CreateExperiment,
    CreateFlag,
    CreateVariant,
    Edit,
    EditVariant,
    FlagOperation,
    InclusionOperation,
    Operation,
    RemoveAllUsers,
    RemoveDeployment,
    RemoveVariant,
)
from .protocols import FlagResource, Resources


@frozen
class PriorRun:
    """What earlier runs did with an operation.

    Attributes:
        is_rerun: whether one started it, so that it may have been applied.
        already_done: whether one completed it: what it created may have been changed since.
        has_successor: whether one started later operations on the same flag, which may have renamed its variants.
    """

    is_rerun: bool = False
    already_done: bool = False
    has_successor: bool = False


FIRST_RUN = PriorRun()


class OperationHandler:
    """Executes operations one at a time.

    Attributes:
        changed: the IDs that the current operation has added or removed so far.
    """

    def __init__(self, resources: Resources) -> None:
        self.changed: list[str] = []
        self._resources = resources

    def handle(
        self, operation: Operation, id: str | None, prior: PriorRun = FIRST_RUN
    ) -> Coroutine[Any, Any, Created | None]:
        """Execute an operation.

        Args:
            operation: the operation.
            id: the ID of its flag or experiment; None for a creation.
            prior: what earlier runs did with it.

        Raises:
            AmpExpError: If the operation failed, or its outcome is unknown. `changed` lists what was applied.
        """
        if isinstance(operation, CreateFlag | CreateExperiment):
            return self._create(operation, prior)
        if isinstance(operation, FlagOperation) and id is not None:
            return self._change(self._resources[operation.kind], operation, id, prior)
        raise TypeError(f"unsupported operation: {operation!r}")

    def _change(
        self, flags: FlagResource, operation: FlagOperation, id: str, prior: PriorRun
    ) -> Coroutine[Any, Any, None]:
        match operation:
            case Edit():
                work: Coroutine[Any, Any, None] = _edit(flags, operation, id, prior)
            case InclusionOperation():
                work = self._change_inclusions(flags, operation, id)
            case RemoveAllUsers():
                work = self._remove_all_users(flags, operation, id)
            case CreateVariant():
                work = _create_variant(flags, operation, id, prior)
            case EditVariant():
                work = _edit_variant(flags, operation, id, prior)
            case RemoveVariant():
                work = _remove_variant(flags, operation, id, prior)
            case AddDeployments():
                work = self._add_deployments(flags, operation, id)
            case RemoveDeployment():
                work = self._remove_deployment(flags, operation, id)
            case _:
                raise TypeError(f"unsupported operation: {operation!r}")
        return work

    async def _create(self, operation: CreateFlag | CreateExperiment, prior: PriorRun) -> Created:
        flags, key = self._resources[operation.kind], operation.key
        if prior.is_rerun:
            listing = flags.list(key=key, project_id=operation.project_id, include_archived=True)
            live: list[FlagConfig] = [flag async for flag in listing if flag.key == key]
            if len(live) == 1 and (prior.already_done or could_be_created_with(live[0], operation.fields)):
                return Created(live[0].id)
            if live:
                ids = ", ".join(flag.id for flag in live)
                raise _exists_error(operation, f"{operation.kind.removesuffix('s')} (ID {ids})")
        return await flags.create(project_id=operation.project_id, key=key, **operation.fields)

    async def _change_inclusions(self, flags: FlagResource, operation: InclusionOperation, id: str) -> None:
        inclusions = flags.users if operation.member == "users" else flags.cohorts
        for request in operation.requests(await inclusions.list(id, operation.variant)):
            send = inclusions.add if request.action == "add" else inclusions.remove
            await send(id, operation.variant, request.ids)
            self.changed += request.ids

    async def _remove_all_users(self, flags: FlagResource, operation: RemoveAllUsers, id: str) -> None:
        if live := await flags.users.list(id, operation.variant):
            await flags.users.remove_all(id, operation.variant)
            self.changed += live

    async def _add_deployments(self, flags: FlagResource, operation: AddDeployments, id: str) -> None:
        live = {deployment.id for deployment in await flags.deployments.list(id)}
        if missing := [deployment for deployment in operation.deployments if deployment not in live]:
            await flags.deployments.add(id, missing)
            self.changed += missing

    async def _remove_deployment(self, flags: FlagResource, operation: RemoveDeployment, id: str) -> None:
        live = {deployment.id for deployment in await flags.deployments.list(id)}
        if operation.deployment in live:
            await flags.deployments.remove(id, operation.deployment)
            self.changed.append(operation.deployment)


async def _edit(flags: FlagResource, operation: Edit, id: str, prior: PriorRun) -> None:
    if prior.is_rerun:
        desired = dict(operation.changes)
        if "archive" in desired:
            desired["deleted"] = desired.pop("archive")
        if matches(await flags.get(id), desired):
            return
    await flags.edit(id, **operation.changes)


async def _create_variant(flags: FlagResource, operation: CreateVariant, id: str, prior: PriorRun) -> None:
    if prior.is_rerun:
        try:
            live = await flags.variants.get(id, operation.variant)
        except NotFoundError:
            pass
        else:
            if prior.already_done or matches(live, operation.fields):
                return
            raise _exists_error(operation, "variant")
    await flags.variants.create(id, key=operation.variant, **operation.fields)


async def _edit_variant(flags: FlagResource, operation: EditVariant, id: str, prior: PriorRun) -> None:
    key = operation.changes.get("key", operation.variant)
    if prior.is_rerun:
        try:
            if matches(await flags.variants.get(id, key), operation.changes):
                return
        except NotFoundError:
            pass
        if prior.has_successor and key != operation.variant:
            raise OutcomeUnknownError(
                f"{type(operation).__name__} {operation.target}: an earlier run may have applied it, and later "
                f"operations may have renamed variant {key} since. Check the variants before you repeat the operation."
            )
    await flags.variants.edit(id, operation.variant, **operation.changes)


async def _remove_variant(flags: FlagResource, operation: RemoveVariant, id: str, prior: PriorRun) -> None:
    try:
        await flags.variants.remove(id, operation.variant)
    except NotFoundError:
        if not prior.is_rerun:
            raise


def _exists_error(operation: Operation, noun: str) -> OutcomeUnknownError:
    return OutcomeUnknownError(
        f"{type(operation).__name__} {operation.target}: an earlier run may have applied it. The {noun} exists, "
        "but differs from what the operation creates. Check it before you repeat the creation."
    )
