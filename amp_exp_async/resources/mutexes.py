"""Mutex groups: experiments that exclude each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from amp_exp_async import validation
from amp_exp_async.http import Transport
from amp_exp_async.models import UNSET, Created, Maybe, MutexGroup, MutexSlot, UnsetType
from amp_exp_async.params import NULLABLE_TEXT
from amp_exp_async.validation import Validator

from .groups import Groups

SlotLike: TypeAlias = MutexSlot | Mapping[str, Any]

_NEW: dict[str, Validator] = {
    "key": validation.key,
    "description": NULLABLE_TEXT,
    "evaluation_mode": NULLABLE_TEXT,
    "bucketing_key": NULLABLE_TEXT,
    "bucketing_salt": NULLABLE_TEXT,
}
_CHANGES: dict[str, Validator] = {
    "name": validation.string,
    "description": NULLABLE_TEXT,
    "archive": validation.boolean,
}
_SLOT: dict[str, Validator] = {
    "experiments": validation.number_ids,
    "holdouts": validation.number_ids,
    "individuals": validation.id_set,
}


class AsyncMutexes(Groups[MutexGroup]):
    """`client.mutexes`: groups of experiments that exclude each other."""

    def __init__(self, transport: Transport) -> None:
        super().__init__(transport, "mutexes", MutexGroup)

    async def create(
        self,
        *,
        project_id: str,
        name: str,
        slots: Iterable[SlotLike],
        key: str | UnsetType = UNSET,
        description: Maybe[str] = UNSET,
        evaluation_mode: Maybe[str] = UNSET,
        bucketing_key: Maybe[str] = UNSET,
        bucketing_salt: Maybe[str] = UNSET,
    ) -> Created:
        """Create a mutex group: `POST /mutexes`.

        It is never sent twice. When the reply is lost, the groups are read back to settle whether it was created. The
        service does not tell a mutex group's age: one of the same key, or name, and shares from before the call cannot
        be told apart.

        Args:
            project_id: the project's id.
            name: the name shown in the app.
            slots: 1 to 20 slots in order, each with a `percentage` (whole numbers, 100 in all) and, if wished,
                `experiments`, `holdouts` and `individuals`.
            key: letters, digits, `_` and `-`.
            description: what it is for.
            evaluation_mode: `local` or `remote`.
            bucketing_key: the property that decides who falls into which slot.
            bucketing_salt: the salt of that decision.

        Returns:
            The new group's id and its page in the app.

        Raises:
            BadRequestError: the service refused it, for example since the key exists.
            OutcomeUnknownError: the reply was lost and reading back could not settle it.

        Example:
            `await client.mutexes.create(project_id="1", name="Prices", slots=[{"percentage": 50}, {"percentage": 50}])`
        """
        given = {
            "key": key,
            "description": description,
            "evaluation_mode": evaluation_mode,
            "bucketing_key": bucketing_key,
            "bucketing_salt": bucketing_salt,
        }
        return await self._create(
            {
                "project_id": validation.number_id("project_id", project_id),
                "name": validation.string("name", name),
                **validation.fields(_NEW, given),
                "slots": validation.slots("slots", slots),
            }
        )

    async def edit(
        self,
        id: str,
        *,
        name: str | UnsetType = UNSET,
        description: Maybe[str] = UNSET,
        archive: bool | UnsetType = UNSET,
    ) -> None:
        """Change a mutex group: `PATCH /mutexes/{id}`. A field left out is unchanged.

        Args:
            id: the group's id.
            name: the name shown in the app.
            description: what it is for.
            archive: True archives it, and the service ignores the other changes then; False restores it.

        Raises:
            InvalidInputError: nothing would change, or other changes come with `archive=True`.
            NotFoundError: there is no such group.
        """
        fields = validation.changes(_CHANGES, {"name": name, "description": description, "archive": archive})
        if archive is True and len(fields) > 1:
            validation.reject("archive", "must not come with other changes, which the service would ignore")
        await self._send("PATCH", self._path(id), fields)

    async def edit_slot(
        self,
        id: str,
        index: int,
        *,
        experiments: Iterable[str] | UnsetType = UNSET,
        holdouts: Iterable[str] | UnsetType = UNSET,
        individuals: Iterable[str] | UnsetType = UNSET,
    ) -> None:
        """Change what is in a slot: `PATCH /mutexes/{id}/slots/{index}`. Each list replaces the old one.

        Args:
            id: the group's id.
            index: the slot's `index`, as `get` shows it; the first is 1.
            experiments: ids of the experiments in it.
            holdouts: ids of the holdout groups in it.
            individuals: user and device ids that are always in it.

        Raises:
            InvalidInputError: nothing would change.
            NotFoundError: there is no such group or slot.
        """
        given = {"experiments": experiments, "holdouts": holdouts, "individuals": individuals}
        path = self._path(id, "slots", str(validation.index("index", index)))
        await self._send("PATCH", path, validation.changes(_SLOT, given))
