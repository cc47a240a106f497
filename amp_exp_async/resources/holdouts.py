"""Holdout groups: users who are in none of some experiments."""

from __future__ import annotations

from collections.abc import Iterable

from amp_exp_async import validation
from amp_exp_async.http import Transport
from amp_exp_async.models import UNSET, Created, HoldoutGroup, Maybe, UnsetType
from amp_exp_async.params import NULLABLE_TEXT
from amp_exp_async.validation import Validator

from .groups import Groups

_MEMBERS: dict[str, Validator] = {
    "experiments": validation.number_ids,
    "individual_inclusion": validation.id_set,
    "individual_exclusion": validation.id_set,
}
_NEW: dict[str, Validator] = _MEMBERS | {
    "key": validation.key,
    "description": NULLABLE_TEXT,
    "evaluation_mode": NULLABLE_TEXT,
    "bucketing_key": NULLABLE_TEXT,
}
_CHANGES: dict[str, Validator] = _MEMBERS | {
    "name": validation.string,
    "description": NULLABLE_TEXT,
    "archive": validation.boolean,
}


class AsyncHoldouts(Groups[HoldoutGroup]):
    """`client.holdouts`: groups of users who are in none of some experiments."""

    def __init__(self, transport: Transport) -> None:
        super().__init__(transport, "holdouts", HoldoutGroup)

    async def create(
        self,
        *,
        project_id: str,
        name: str,
        holdout_percentage: int,
        key: str | UnsetType = UNSET,
        description: Maybe[str] = UNSET,
        evaluation_mode: Maybe[str] = UNSET,
        bucketing_key: Maybe[str] = UNSET,
        experiments: Iterable[str] | UnsetType = UNSET,
        individual_inclusion: Iterable[str] | UnsetType = UNSET,
        individual_exclusion: Iterable[str] | UnsetType = UNSET,
    ) -> Created:
        """Create a holdout group: `POST /holdouts`.

        It is never sent twice. When the reply is lost, the groups are read back to settle whether it was created.

        Args:
            project_id: the project's id.
            name: the name shown in the app.
            holdout_percentage: the share of the users who are held out: a whole number, 1 to 99.
            key: letters, digits, `_` and `-`.
            description: what it is for.
            evaluation_mode: `local` or `remote`.
            bucketing_key: the property that decides who is held out.
            experiments: ids of its experiments.
            individual_inclusion: user and device ids that are always held out.
            individual_exclusion: user and device ids that never are.

        Returns:
            The new group's id and its page in the app.

        Raises:
            BadRequestError: the service refused it, for example since the key exists.
            OutcomeUnknownError: the reply was lost and reading back could not settle it.
        """
        given = {
            "key": key,
            "description": description,
            "evaluation_mode": evaluation_mode,
            "bucketing_key": bucketing_key,
            "experiments": experiments,
            "individual_inclusion": individual_inclusion,
            "individual_exclusion": individual_exclusion,
        }
        return await self._create(
            {
                "project_id": validation.number_id("project_id", project_id),
                "name": validation.string("name", name),
                "holdout_percentage": validation.holdout_percentage("holdout_percentage", holdout_percentage),
                **validation.fields(_NEW, given),
            }
        )

    async def edit(
        self,
        id: str,
        *,
        name: str | UnsetType = UNSET,
        description: Maybe[str] = UNSET,
        experiments: Iterable[str] | UnsetType = UNSET,
        individual_inclusion: Iterable[str] | UnsetType = UNSET,
        individual_exclusion: Iterable[str] | UnsetType = UNSET,
        archive: bool | UnsetType = UNSET,
    ) -> None:
        """Change a holdout group: `PATCH /holdouts/{id}`. A field left out is unchanged; a list replaces the old one.

        Args:
            id: the group's id.
            name: the name shown in the app.
            description: what it is for.
            experiments: ids of its experiments.
            individual_inclusion: user and device ids that are always held out.
            individual_exclusion: user and device ids that never are.
            archive: True archives it, False restores it.

        Raises:
            InvalidInputError: nothing would change.
            NotFoundError: there is no such group.
        """
        given = {
            "name": name,
            "description": description,
            "experiments": experiments,
            "individual_inclusion": individual_inclusion,
            "individual_exclusion": individual_exclusion,
            "archive": archive,
        }
        await self._send("PATCH", self._path(id), validation.changes(_CHANGES, given))
