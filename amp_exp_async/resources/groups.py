"""What mutex groups and holdout groups have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from amp_exp_async import serialization, validation
from amp_exp_async.http import AmbiguousWrite, Idempotency, Request, Transport, build_path
from amp_exp_async.matching import matches
from amp_exp_async.models import UNSET, Created, Group, HoldoutGroup, MutexGroup, UnsetType
from amp_exp_async.pagination import AsyncPager

from ._base import Resource, created_by
from .settling import is_older, listed, read_back

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
        by = "key" if "key" in fields else "name"

        async def settle(loss: AmbiguousWrite) -> Created:
            async def look() -> Created | None:
                found, date = await listed(loss, self._model, self._name, build_path(self._name), is_it)
                made = [group for group in found if _may_be_ours(group, fields, date, loss.elapsed)]
                if len(made) == 1:
                    return Created(made[0].id)
                if found:
                    ids = ", ".join(group.id for group in found)
                    raise loss.unknown(f"There is one of that {by} with id {ids}; it cannot be told if it is this one.")
                return None

            return await read_back(loss, look, f"group of the {by} {fields[by]!r}")

        def is_it(group: Group) -> bool:
            ours = group.project_id in (str(fields["project_id"]), UNSET)
            return ours and getattr(group, by) == fields[by] and not group.deleted

        request = Request(
            "POST", build_path(self._name), body=serialization.encode(fields), repeat=Idempotency.NON_IDEMPOTENT
        )
        return await self._transport.send_settled(request, created_by, settle)


def _may_be_ours(group: Group, asked: Mapping[str, Any], server_date: str, elapsed: float) -> bool:
    """Whether a group that was found may be the one that a lost request was to create: neither different nor older."""
    if not matches(group, {name: value for name, value in asked.items() if name in _COMPARED}):
        return False
    if isinstance(group, HoldoutGroup):
        return not is_older(group.created_at, server_date, elapsed)
    shares = [slot.percentage for slot in group.slots or ()] if isinstance(group, MutexGroup) else []
    return not shares or shares == [slot["percentage"] for slot in asked["slots"]]
