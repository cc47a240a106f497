"""What mutex groups and holdout groups have in common."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Generic, TypeVar

from amp_exp_async import validation
from amp_exp_async.http import AmbiguousWrite, AmbiguousWriteError, Transport, build_path
from amp_exp_async.matching import matches
from amp_exp_async.models import UNSET, Created, Group, HoldoutGroup, MutexGroup, UnsetType
from amp_exp_async.pagination import AsyncPager

from ._base import Resource, created_by
from .reconcile import list_matching, poll, predates

_COMPARED = ("name", "key", "description", "evaluation_mode", "bucketing_key", "holdout_percentage")

GroupT_co = TypeVar("GroupT_co", bound=Group, covariant=True)


class Groups(Resource, Generic[GroupT_co]):
    """A list of groups under one word of the path."""

    def __init__(self, transport: Transport, name: str, model: type[GroupT_co]) -> None:
        super().__init__(transport)
        self._name = name
        self._model = model

    def list(self, *, limit: int | UnsetType = UNSET, cursor: str | int | None = None) -> AsyncPager[GroupT_co]:
        """All groups of the projects that the key sees: `GET /{groups}`, page by page.

        Args:
            limit: the size of a page, 1 to 1,000.
            cursor: a page's `next_cursor`, to go on from there.
        """
        query = validation.fields({"limit": validation.limit}, {"limit": limit})
        return self._paged(self._model, self._name, build_path(self._name), query, cursor)

    async def get(self, id: str) -> GroupT_co:
        """One group: `GET /{groups}/{id}`.

        Args:
            id: the group's id.

        Raises:
            NotFoundError: there is no such group.
        """
        return await self._get(self._model, self._path(id))

    async def archive(self, id: str) -> None:
        """Archive a group: `PATCH /{groups}/{id}` with `archive`. Its experiments are free of it then.

        Args:
            id: the group's id.
        """
        await self._send("PATCH", self._path(id), {"archive": True})

    async def restore(self, id: str) -> None:
        """Take a group out of the archive: `PATCH /{groups}/{id}` with `archive`.

        Args:
            id: the group's id.
        """
        await self._send("PATCH", self._path(id), {"archive": False})

    def _path(self, id: str, *rest: str) -> str:
        return build_path(self._name, validation.identifier("id", id), *rest)

    async def _create(self, fields: Mapping[str, Any]) -> Created:
        """Create a group; where the reply is lost, look for it by its key, else by its name."""
        field = "key" if "key" in fields else "name"
        async with self._transport.serialized(self._creation(build_path(self._name), fields)) as write:
            try:
                return await write.send(created_by)
            except AmbiguousWriteError as error:
                ambiguous = error.write
            find_created = partial(self._find_created, ambiguous, fields, field)
            return await poll(ambiguous, find_created, f"group of the {field} {fields[field]!r}")

    async def _find_created(self, write: AmbiguousWrite, fields: Mapping[str, Any], field: str) -> Created | None:
        """Return the group that an ambiguous creation has made, or None if no group has its key or name."""

        def is_match(group: Group) -> bool:
            same_project = group.project_id in (str(fields["project_id"]), UNSET)
            return same_project and getattr(group, field) == fields[field] and not group.deleted

        groups, date = await list_matching(write, self._model, self._name, build_path(self._name), is_match)
        candidates = [group for group in groups if _could_be_ours(group, fields, date, write.elapsed)]
        if len(candidates) == 1:
            return Created(candidates[0].id)
        if groups:
            ids = ", ".join(group.id for group in groups)
            raise write.error(f"There is one of that {field} with id {ids}; it cannot be told if it is this one.")
        return None


def _could_be_ours(group: Group, values: Mapping[str, Any], server_date: str, elapsed: float) -> bool:
    """Return whether an ambiguous write may have created a group: it is neither different nor older."""
    if not matches(group, {name: value for name, value in values.items() if name in _COMPARED}):
        return False
    if isinstance(group, HoldoutGroup):
        return not predates(group.created_at, server_date, elapsed)
    shares = [slot.percentage for slot in group.slots or ()] if isinstance(group, MutexGroup) else []
    return not shares or shares == [slot["percentage"] for slot in values["slots"]]
