"""Carrying out one operation: looking first where it helps, then sending what makes a difference."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import Any

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
    Inclusion,
    OnToggle,
    OnVariant,
    Operation,
    RemoveAllUsers,
    RemoveDeployment,
    RemoveVariant,
)
from .protocols import FlagResource, InclusionResource, Resources


class Performer:
    """Carries out operations, one at a time.

    Attributes:
        changed: the ids that the present operation has added or removed so far.
    """

    def __init__(self, resources: Resources) -> None:
        self.changed: list[str] = []
        self._resources = resources

    def perform(
        self, operation: Operation, id: str | None, *, again: bool, was_done: bool = False, followed: bool = False
    ) -> Coroutine[Any, Any, Created | None]:
        """Carry an operation out.

        Args:
            operation: the operation.
            id: the id of its flag or experiment; None for a creation.
            again: whether it was begun before, and nobody knows what became of it.
            was_done: whether it was done before: what it created may have been changed since.
            followed: whether later operations on the same flag were begun before: they may have used its new names.

        Raises:
            AmpExpError: it failed, or nobody knows; `changed` has what was done of it.
        """
        match operation:
            case Edit() if id is not None:
                return self._edit(operation, id, again=again)
            case OnVariant() if id is not None:
                return self._on_variant(operation, id, again=again, was_done=was_done, followed=followed)
            case AddDeployments() | RemoveDeployment() if id is not None:
                return self._assign(operation, id)
            case CreateFlag() | CreateExperiment():
                return self._create(operation, again=again, was_done=was_done)
            case _:
                raise TypeError(f"{operation!r} is no operation")

    def _toggles(self, operation: OnToggle) -> FlagResource:
        return self._resources[operation.kind]

    async def _create(self, operation: CreateFlag | CreateExperiment, *, again: bool, was_done: bool) -> Created:
        toggles = self._resources[operation.kind]
        key, project_id = operation.key, operation.project_id
        if again:
            listed = toggles.list(key=key, project_id=project_id, include_archived=True)
            found = [toggle async for toggle in listed if toggle.key == key]
            if len(found) == 1 and (was_done or could_be_created_with(found[0], operation.fields)):
                return Created(found[0].id)
            if found:
                raise _exists(operation, f"id {', '.join(toggle.id for toggle in found)}")
        return await toggles.create(project_id=project_id, key=key, **operation.fields)

    async def _edit(self, operation: Edit, id: str, *, again: bool) -> None:
        toggles = self._toggles(operation)
        if not again or not _is_edited(await toggles.get(id), operation.changes):
            await toggles.edit(id, **operation.changes)

    async def _assign(self, operation: AddDeployments | RemoveDeployment, id: str) -> None:
        deployments = self._toggles(operation).deployments
        present = {deployment.id for deployment in await deployments.list(id)}
        match operation:
            case AddDeployments():
                if missing := [deployment for deployment in operation.deployments if deployment not in present]:
                    await deployments.add(id, missing)
                    self.changed += missing
            case RemoveDeployment():
                if operation.deployment in present:
                    await deployments.remove(id, operation.deployment)
                    self.changed.append(operation.deployment)

    async def _on_variant(self, operation: OnVariant, id: str, *, again: bool, was_done: bool, followed: bool) -> None:
        toggles, variant = self._toggles(operation), operation.variant
        match operation:
            case Inclusion():
                await self._include(toggles.users if operation.what == "users" else toggles.cohorts, operation, id)
            case RemoveAllUsers():
                if present := await toggles.users.list(id, variant):
                    await toggles.users.remove_all(id, variant)
                    self.changed += present
            case CreateVariant():
                await self._create_variant(toggles, operation, id, again=again, was_done=was_done)
            case EditVariant(changes=changes):
                if not again or not await _is_variant_edited(toggles, id, variant, changes):
                    if followed and changes.get("key", variant) != variant:
                        raise _renamed(operation, str(changes["key"]))
                    await toggles.variants.edit(id, variant, **changes)
            case RemoveVariant():
                await _remove_variant(toggles, id, variant, again=again)
            case _:
                raise TypeError(f"{operation!r} is no operation")

    async def _include(self, included: InclusionResource, operation: Inclusion, id: str) -> None:
        for request in operation.requests(await included.list(id, operation.variant)):
            send = included.add if request.action == "add" else included.remove
            await send(id, operation.variant, request.ids)
            self.changed += request.ids

    async def _create_variant(
        self, toggles: FlagResource, operation: CreateVariant, id: str, *, again: bool, was_done: bool
    ) -> None:
        if again:
            try:
                found = await toggles.variants.get(id, operation.variant)
            except NotFoundError:
                pass
            else:
                if was_done or matches(found, operation.fields):
                    return
                raise _exists(operation, f"key {operation.variant}")
        await toggles.variants.create(id, key=operation.variant, **operation.fields)


def _is_edited(found: FlagConfig, changes: Mapping[str, Any]) -> bool:
    asked = dict(changes)
    if "archive" in asked:
        asked["deleted"] = asked.pop("archive")
    return matches(found, asked)


async def _is_variant_edited(toggles: FlagResource, id: str, variant: str, changes: Mapping[str, Any]) -> bool:
    try:
        return matches(await toggles.variants.get(id, changes.get("key", variant)), changes)
    except NotFoundError:
        return False


async def _remove_variant(toggles: FlagResource, id: str, variant: str, *, again: bool) -> None:
    try:
        await toggles.variants.remove(id, variant)
    except NotFoundError:
        if not again:
            raise


def _renamed(operation: Operation, key: str) -> OutcomeUnknownError:
    return OutcomeUnknownError(
        f"{type(operation).__name__} {operation.target}: it was begun before and nobody knows what became of it. No "
        f"variant {key!r} is there now, but later operations may have renamed it in turn. Look at the variants before "
        "you repeat it."
    )


def _exists(operation: Operation, which: str) -> OutcomeUnknownError:
    return OutcomeUnknownError(
        f"{type(operation).__name__} {operation.target}: it was begun before and nobody knows what became of it. There "
        f"is one with {which}, and it is not as it was to be created. Look at it before you repeat the creation."
    )
