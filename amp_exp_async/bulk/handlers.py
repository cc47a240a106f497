"""The requests of each operation: reading if that saves or reconciles a write, then sending the difference."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any

from attrs import frozen

from amp_exp_async.errors import BadRequestError, NotFoundError, OutcomeUnknownError
from amp_exp_async.http import RecentWrites, build_path
from amp_exp_async.matching import could_be_created_with, matches
from amp_exp_async.models import Created, FlagConfig

from .operations import (
    AddDeployments,
    CreateExperiment,
    CreateFlag,
    CreateVariant,
    Edit,
    EditVariant,
    InclusionOperation,
    Operation,
    RemoveAllUsers,
    RemoveDeployment,
    RemoveVariant,
)
from .protocols import InclusionResource, Resources


@frozen
class PriorRun:
    """The part of earlier runs in an operation.

    Attributes:
        is_rerun: whether one started it, so that it may have been applied.
        already_done: whether one completed it: what it created may have been changed since.
        created_id: the ID of what one created, if the journal has it.
        has_successor: whether one started later operations on the same flag, which may have renamed its variants.
    """

    is_rerun: bool = False
    already_done: bool = False
    created_id: str | None = None
    has_successor: bool = False


FIRST_RUN = PriorRun()


class OperationHandler:
    """The executor of one operation at a time.

    Attributes:
        changed: the IDs that the current operation has added or removed so far.
        is_settled: whether it has been read that no earlier run has applied the current operation.
    """

    def __init__(self, resources: Resources, recent: RecentWrites) -> None:
        """Prepare a handler.

        Args:
            resources: send the requests.
            recent: the writes of the last seconds, which a list that is read may not show yet.
        """
        self.reset()
        self._resources = resources
        self._recent = recent

    def reset(self) -> None:
        """Prepare for the next operation."""
        self.changed: list[str] = []
        self.is_settled = False

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
        if id is None:
            return self._create(operation, prior)
        match operation:  # an exact class is matched without a slow check of the abstract base
            case Edit():
                work: Coroutine[Any, Any, None] = self._edit(operation, id, prior)
            case InclusionOperation():
                work = self._change_inclusions(operation, id)
            case RemoveAllUsers():
                work = self._remove_all_users(operation, id)
            case CreateVariant():
                work = self._create_variant(operation, id, prior)
            case EditVariant():
                work = self._edit_variant(operation, id, prior)
            case RemoveVariant():
                work = self._remove_variant(operation, id, prior)
            case AddDeployments():
                work = self._add_deployments(operation, id)
            case RemoveDeployment():
                work = self._remove_deployment(operation, id)
            case _:
                raise TypeError(f"unsupported operation: {operation!r}")
        return work

    async def _create(self, operation: Operation, prior: PriorRun) -> Created:
        if not isinstance(operation, CreateFlag | CreateExperiment):
            raise TypeError(f"unsupported operation: {operation!r}")
        if prior.created_id is not None:
            return Created(prior.created_id)
        flags, key = self._resources[operation.kind], operation.key
        if prior.is_rerun:
            listing = flags.list(key=key, project_id=operation.project_id, include_archived=True)
            live: list[FlagConfig] = [flag async for flag in listing if flag.key == key]
            if len(live) == 1 and (prior.already_done or could_be_created_with(live[0], operation.fields)):
                return Created(live[0].id)
            if live:
                ids = ", ".join(flag.id for flag in live)
                raise _exists_error(operation, f"{operation.kind.removesuffix('s')} (ID {ids})")
        self.is_settled = True
        return await flags.create(project_id=operation.project_id, key=key, **operation.fields)

    async def _edit(self, operation: Edit, id: str, prior: PriorRun) -> None:
        flags = self._resources[operation.kind]
        if prior.is_rerun:
            desired = dict(operation.changes)
            if "archive" in desired:
                desired["deleted"] = desired.pop("archive")
            if matches(await flags.get(id), desired):
                return
        self.is_settled = True
        await flags.edit(id, **operation.changes)

    async def _change_inclusions(self, operation: InclusionOperation, id: str) -> None:
        flags = self._resources[operation.kind]
        inclusions = flags.users if operation.member == "users" else flags.cohorts
        listed = await inclusions.list(id, operation.variant)
        self.is_settled = True
        path = build_path(operation.kind, id, "variants", operation.variant, operation.member)
        for request in operation.requests(self._recent.apply_to_list(path, listed)):
            if request.action == "add":
                await inclusions.add(id, operation.variant, request.ids)
                self.changed += request.ids
            elif await self._remove(inclusions, id, operation.variant, request.ids):
                self.changed += request.ids

    async def _remove(self, inclusions: InclusionResource, id: str, variant: str, ids: Sequence[str]) -> bool:
        """Remove IDs, and return False if someone else has removed them since they were read."""
        try:
            await inclusions.remove(id, variant, ids)
        except BadRequestError:
            if set(await inclusions.list(id, variant)).isdisjoint(ids):
                return False
            raise
        return True

    async def _remove_all_users(self, operation: RemoveAllUsers, id: str) -> None:
        users = self._resources[operation.kind].users
        path = build_path(operation.kind, id, "variants", operation.variant, "users")
        live = self._recent.apply_to_list(path, await users.list(id, operation.variant))
        self.is_settled = True
        if live:
            try:
                await users.remove_all(id, operation.variant)
            except BadRequestError:
                if await users.list(id, operation.variant):
                    raise
            else:
                self.changed += live

    async def _create_variant(self, operation: CreateVariant, id: str, prior: PriorRun) -> None:
        variants = self._resources[operation.kind].variants
        if prior.is_rerun:
            try:
                live = await variants.get(id, operation.variant)
            except NotFoundError:
                pass
            else:
                if prior.already_done or matches(live, operation.fields):
                    return
                raise _exists_error(operation, "variant")
        self.is_settled = True
        await variants.create(id, key=operation.variant, **operation.fields)

    async def _edit_variant(self, operation: EditVariant, id: str, prior: PriorRun) -> None:
        variants = self._resources[operation.kind].variants
        key = operation.changes.get("key", operation.variant)
        if prior.is_rerun:
            try:
                if matches(await variants.get(id, key), operation.changes):
                    return
            except NotFoundError:
                pass
            if prior.has_successor and key != operation.variant:
                raise OutcomeUnknownError(
                    f"{type(operation).__name__} {operation.target}: an earlier run may have applied it, and later "
                    f"operations may have renamed variant {key} since. Check the variants before you repeat the "
                    "operation."
                )
        self.is_settled = True
        await variants.edit(id, operation.variant, **operation.changes)

    async def _remove_variant(self, operation: RemoveVariant, id: str, prior: PriorRun) -> None:
        try:
            await self._resources[operation.kind].variants.remove(id, operation.variant)
        except NotFoundError:
            if not prior.is_rerun:
                raise

    async def _add_deployments(self, operation: AddDeployments, id: str) -> None:
        deployments = self._resources[operation.kind].deployments
        live = await self._assigned(operation, id)
        if missing := [deployment for deployment in operation.deployments if deployment not in live]:
            await deployments.add(id, missing)
            self.changed += missing

    async def _remove_deployment(self, operation: RemoveDeployment, id: str) -> None:
        deployments = self._resources[operation.kind].deployments
        if operation.deployment not in await self._assigned(operation, id):
            return
        try:
            await deployments.remove(id, operation.deployment)
        except NotFoundError:
            # Someone else may have removed it since it was read.
            if operation.deployment in await self._assigned(operation, id):
                raise
        else:
            self.changed.append(operation.deployment)

    async def _assigned(self, operation: AddDeployments | RemoveDeployment, id: str) -> set[str]:
        """Return the IDs of the assigned deployments."""
        listed = [deployment.id for deployment in await self._resources[operation.kind].deployments.list(id)]
        self.is_settled = True
        return set(self._recent.apply_to_list(build_path(operation.kind, id, "deployments"), listed))


def _exists_error(operation: Operation, noun: str) -> OutcomeUnknownError:
    return OutcomeUnknownError(
        f"{type(operation).__name__} {operation.target}: an earlier run may have applied it. The {noun} exists, "
        "but differs from what the operation creates. Check it before you repeat the creation."
    )
