"""Mutex groups and holdout groups."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping
from functools import partial
from typing import Any, Generic, TypeAlias, TypeVar, Unpack

from amp_exp_async import validation
from amp_exp_async.errors import BadRequestError
from amp_exp_async.formatting import format_value
from amp_exp_async.http import AmbiguousWrite, Idempotency, Request, Transport
from amp_exp_async.matching import could_be_created_with, is_edited
from amp_exp_async.models import UNSET, Created, Group, HoldoutGroup, Maybe, MutexGroup, MutexSlot, UnsetType
from amp_exp_async.pagination import AsyncPager
from amp_exp_async.params import EVALUATION_MODE, NULLABLE_STRING, RequestOptions
from amp_exp_async.validation import Validator

from .base import Resource, operation, parse_created, read_edit
from .reconcile import list_matching, predates, send_creation

GroupT_co = TypeVar("GroupT_co", bound=Group, covariant=True)
SlotLike: TypeAlias = MutexSlot | Mapping[str, Any]

_CREATE: dict[str, Validator] = {
    "key": validation.key,
    "description": NULLABLE_STRING,
    "evaluation_mode": EVALUATION_MODE,
    "bucketing_key": NULLABLE_STRING,
}
_EDIT: dict[str, Validator] = {
    "name": validation.string,
    "description": NULLABLE_STRING,
    "archive": validation.boolean,
}
_MUTEX_CREATE: dict[str, Validator] = _CREATE | {"bucketing_salt": NULLABLE_STRING}
_SLOT_EDIT: dict[str, Validator] = {
    "experiments": validation.number_ids,
    "holdouts": validation.number_ids,
    "individuals": validation.id_set,
}
_HOLDOUT_MEMBERS: dict[str, Validator] = {
    "experiments": validation.number_ids,
    "individual_inclusion": validation.id_set,
    "individual_exclusion": validation.id_set,
}
_HOLDOUT_CREATE: dict[str, Validator] = _CREATE | _HOLDOUT_MEMBERS
_HOLDOUT_EDIT: dict[str, Validator] = _EDIT | _HOLDOUT_MEMBERS


class Groups(Resource, Generic[GroupT_co]):
    """The operations that mutex groups and holdout groups share."""

    def __init__(self, transport: Transport, kind: str, model: type[GroupT_co]) -> None:
        super().__init__(transport, kind)
        self._model = model

    @operation("GET", "/{kind}")
    def list(
        self, *, limit: int | UnsetType = UNSET, cursor: str | int | None = None, **options: Unpack[RequestOptions]
    ) -> AsyncPager[GroupT_co]:
        """List groups of all projects visible to the API key: `GET /{kind}`, page by page.

        API reference: https://amplitude.com/docs/apis/experiment/experiment-management-api-mutexs#list-mutex-groups and
        https://amplitude.com/docs/apis/experiment/experiment-management-api-holdouts#list

        Args:
            limit: the page size, 1 to 1,000.
            cursor: the `next_cursor` of a page, to continue from there.
            **options: see `RequestOptions`.
        """
        resource = self._for_call(self.list, options)
        query = validation.fields({"limit": validation.limit}, {"limit": limit})
        return resource._paginate(self.list, self._model, self._kind, query, cursor)

    @operation("GET", "/{kind}/{id}")
    async def get(self, id: str, **options: Unpack[RequestOptions]) -> GroupT_co:
        """Get a group: `GET /{kind}/{id}`.

        API reference:
        https://amplitude.com/docs/apis/experiment/experiment-management-api-mutexs#get-mutex-group-details and
        https://amplitude.com/docs/apis/experiment/experiment-management-api-holdouts#get-details

        Args:
            id: the group's ID.
            **options: see `RequestOptions`.

        Raises:
            NotFoundError: If the group does not exist.
        """
        return await self._for_call(self.get, options)._get(self.get, self._model, id=id)

    @operation("PATCH", "/{kind}/{id}")
    async def archive(self, id: str, **options: Unpack[RequestOptions]) -> None:
        """Archive a group: `PATCH /{kind}/{id}` with `archive`. Its experiments no longer depend on it.

        API reference:
        https://amplitude.com/docs/apis/experiment/experiment-management-api-mutexs#edit-a-mutex-group and
        https://amplitude.com/docs/apis/experiment/experiment-management-api-holdouts#edit

        Args:
            id: the group's ID.
            **options: see `RequestOptions`.
        """
        await self._for_call(self.archive, options)._send_edit(self.archive, {"archive": True}, id)

    @operation("PATCH", "/{kind}/{id}")
    async def restore(self, id: str, **options: Unpack[RequestOptions]) -> None:
        """Restore an archived group: `PATCH /{kind}/{id}` with `archive`.

        API reference:
        https://amplitude.com/docs/apis/experiment/experiment-management-api-mutexs#edit-a-mutex-group and
        https://amplitude.com/docs/apis/experiment/experiment-management-api-holdouts#edit

        Args:
            id: the group's ID.
            **options: see `RequestOptions`.
        """
        await self._for_call(self.restore, options)._send_edit(self.restore, {"archive": False}, id)

    def _send_edit(
        self, method: Callable[..., object], fields: Mapping[str, Any], id: str
    ) -> Coroutine[Any, Any, None]:
        """Send an edit of a group."""
        is_applied = partial(read_edit, self._request(self.get, id=id).path, self._model, fields)
        return self._send_confirmed(method, is_applied, fields, id=id)

    async def _create(self, request: Request, fields: Mapping[str, Any]) -> Created:
        """Create a group. If the response is lost, look for its key, or for its name if it has no key."""
        field = "key" if "key" in fields else "name"
        find = partial(self._find_created, request.path, fields, field)
        description = f"group with the {field} {format_value(fields[field])}"
        created = await send_creation(self._transport, request, parse_created, find, description)
        self._record_creation(created.id)
        return created

    async def _find_created(
        self, path: str, fields: Mapping[str, Any], field: str, write: AmbiguousWrite
    ) -> Created | None:
        """Return the group that an ambiguous creation made, or None if no group has its key or name."""

        def is_match(group: Group) -> bool:
            same_project = group.project_id in (str(fields["project_id"]), UNSET)
            return same_project and getattr(group, field) == fields[field] and not group.deleted

        groups, date = await list_matching(write, self._model, self._kind, path, is_match)
        candidates = [group for group in groups if _could_be_ours(group, fields, date, write.elapsed)]
        if len(candidates) == 1:
            return Created(candidates[0].id)
        if groups:
            ids = ", ".join(group.id for group in groups)
            raise write.error(f"A group with this {field} exists with ID {ids}, but may be another one.")
        return None


def _could_be_ours(group: Group, fields: Mapping[str, Any], server_date: str, elapsed: float) -> bool:
    """Return whether an ambiguous creation may have made a group: the group is neither different nor older."""
    created_at = group.created_at if isinstance(group, HoldoutGroup) else UNSET
    return could_be_created_with(group, fields) and not predates(created_at, server_date, elapsed)


class AsyncMutexes(Groups[MutexGroup]):
    """`client.mutexes`: groups of experiments that exclude each other."""

    def __init__(self, transport: Transport) -> None:
        super().__init__(transport, "mutexes", MutexGroup)

    @operation("POST", "/{kind}", Idempotency.CREATE)
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
        **options: Unpack[RequestOptions],
    ) -> Created:
        """Create a mutex group: `POST /mutexes`.

        It is never sent twice. If the response is lost, the groups are read back to determine the outcome. The service
        does not give the age of a mutex group: an older group that differs in nothing from the arguments would be taken
        for the new one.

        API reference: https://amplitude.com/docs/apis/experiment/experiment-management-api-mutexs#create-a-mutex-group

        Args:
            project_id: the project's ID.
            name: the name shown in the app.
            slots: 1 to 20 slots in order, each with a `percentage` (integers that add up to 100) and optionally
                `experiments`, `holdouts` and `individuals`.
            key: letters, digits, `_` and `-`.
            description: the group's purpose.
            evaluation_mode: `local` or `remote`.
            bucketing_key: the property that assigns users to slots.
            bucketing_salt: the salt of that assignment.
            **options: see `RequestOptions`.

        Returns:
            The new group's ID and its page in the app.

        Raises:
            BadRequestError: If the service rejected it, for example because the key exists.
            OutcomeUnknownError: If the response was lost and reading back did not determine the outcome.

        Example:
            `await client.mutexes.create(project_id="1", name="Prices", slots=[{"percentage": 50}, {"percentage": 50}])`
        """
        resource = self._for_call(self.create, options)
        values = {
            "key": key,
            "description": description,
            "evaluation_mode": evaluation_mode,
            "bucketing_key": bucketing_key,
            "bucketing_salt": bucketing_salt,
        }
        fields = {
            "project_id": validation.number_id("project_id", project_id),
            "name": validation.string("name", name),
            **validation.fields(_MUTEX_CREATE, values),
            "slots": validation.slots("slots", slots),
        }
        return await resource._create(self._request(self.create, fields), fields)

    @operation("PATCH", "/{kind}/{id}")
    async def edit(
        self,
        id: str,
        *,
        name: str | UnsetType = UNSET,
        description: Maybe[str] = UNSET,
        archive: bool | UnsetType = UNSET,
        **options: Unpack[RequestOptions],
    ) -> None:
        """Edit a mutex group: `PATCH /mutexes/{id}`. An omitted field is unchanged.

        API reference: https://amplitude.com/docs/apis/experiment/experiment-management-api-mutexs#edit-a-mutex-group

        Args:
            id: the group's ID.
            name: the name shown in the app.
            description: the group's purpose.
            archive: true archives the group, and the service would ignore other changes; false restores it.
            **options: see `RequestOptions`.

        Raises:
            InvalidInputError: If nothing would change, or if other changes come with `archive=True`.
            NotFoundError: If the group does not exist.
        """
        resource = self._for_call(self.edit, options)
        fields = validation.changes(_EDIT, {"name": name, "description": description, "archive": archive})
        if archive is True and len(fields) > 1:
            validation.reject("archive", "must not come with other changes, which the service would ignore")
        await resource._send_edit(self.edit, fields, id)

    @operation("PATCH", "/{kind}/{id}/slots/{index}")
    async def edit_slot(
        self,
        id: str,
        index: int,
        *,
        experiments: Iterable[str] | UnsetType = UNSET,
        holdouts: Iterable[str] | UnsetType = UNSET,
        individuals: Iterable[str] | UnsetType = UNSET,
        **options: Unpack[RequestOptions],
    ) -> None:
        """Edit a slot of a mutex group: `PATCH /mutexes/{id}/slots/{index}`. Each list replaces the old one.

        An empty list is sent as it is, but the service may refuse it.

        API reference: https://amplitude.com/docs/apis/experiment/experiment-management-api-mutexs#edit-mutex-group-slots

        Args:
            id: the group's ID.
            index: the slot's `index`, as shown by `get`; the first is 1.
            experiments: the IDs of its experiments.
            holdouts: the IDs of its holdout groups.
            individuals: user and device IDs that are always in the slot.
            **options: see `RequestOptions`.

        Raises:
            InvalidInputError: If nothing would change.
            NotFoundError: If the group or the slot does not exist.
            BadRequestError: If the service refuses the change. If a list is empty, a note says that this may be why.
        """
        resource = self._for_call(self.edit_slot, options)
        values = {"experiments": experiments, "holdouts": holdouts, "individuals": individuals}
        fields = validation.changes(_SLOT_EDIT, values)
        try:
            await resource._send_confirmed(
                self.edit_slot, partial(self._is_slot_edited, id, index, fields), fields, id=id, index=index
            )
        except BadRequestError as error:
            if empty := [name for name, value in fields.items() if not value]:
                error.add_note(f"The service may refuse empty lists: {', '.join(empty)}.")
            raise

    async def _is_slot_edited(
        self, id: str, index: int, fields: Mapping[str, Any], write: AmbiguousWrite
    ) -> bool | None:
        async with write.transport().call(self._request(self.get, id=id)) as response:
            group = response.parse_object(MutexGroup)
        slots = [slot for slot in group.slots or () if slot.index == index]
        return is_edited(slots[0], fields) if slots else None


class AsyncHoldouts(Groups[HoldoutGroup]):
    """`client.holdouts`: groups of users who take part in none of some experiments."""

    def __init__(self, transport: Transport) -> None:
        super().__init__(transport, "holdouts", HoldoutGroup)

    @operation("POST", "/{kind}", Idempotency.CREATE)
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
        **options: Unpack[RequestOptions],
    ) -> Created:
        """Create a holdout group: `POST /holdouts`.

        It is never sent twice. If the response is lost, the groups are read back to determine the outcome.

        API reference: https://amplitude.com/docs/apis/experiment/experiment-management-api-holdouts#create

        Args:
            project_id: the project's ID.
            name: the name shown in the app.
            holdout_percentage: the share of the users who are held out: an integer from 1 to 99.
            key: letters, digits, `_` and `-`.
            description: the group's purpose.
            evaluation_mode: `local` or `remote`.
            bucketing_key: the property that decides who is held out.
            experiments: the IDs of its experiments.
            individual_inclusion: user and device IDs that are always held out.
            individual_exclusion: user and device IDs that are never held out.
            **options: see `RequestOptions`.

        Returns:
            The new group's ID and its page in the app.

        Raises:
            BadRequestError: If the service rejected it, for example because the key exists.
            OutcomeUnknownError: If the response was lost and reading back did not determine the outcome.
        """
        resource = self._for_call(self.create, options)
        values = {
            "key": key,
            "description": description,
            "evaluation_mode": evaluation_mode,
            "bucketing_key": bucketing_key,
            "experiments": experiments,
            "individual_inclusion": individual_inclusion,
            "individual_exclusion": individual_exclusion,
        }
        fields = {
            "project_id": validation.number_id("project_id", project_id),
            "name": validation.string("name", name),
            "holdout_percentage": validation.holdout_percentage("holdout_percentage", holdout_percentage),
            **{name: value for name, value in validation.fields(_HOLDOUT_CREATE, values).items() if value != []},
        }
        return await resource._create(self._request(self.create, fields), fields)

    @operation("PATCH", "/{kind}/{id}")
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
        **options: Unpack[RequestOptions],
    ) -> None:
        """Edit a holdout group: `PATCH /holdouts/{id}`. An omitted field is unchanged; a list replaces the old one.

        API reference: https://amplitude.com/docs/apis/experiment/experiment-management-api-holdouts#edit

        Args:
            id: the group's ID.
            name: the name shown in the app.
            description: the group's purpose.
            experiments: the IDs of its experiments.
            individual_inclusion: user and device IDs that are always held out.
            individual_exclusion: user and device IDs that are never held out.
            archive: true archives the group, false restores it.
            **options: see `RequestOptions`.

        Raises:
            InvalidInputError: If nothing would change.
            NotFoundError: If the group does not exist.
        """
        resource = self._for_call(self.edit, options)
        values = {
            "name": name,
            "description": description,
            "experiments": experiments,
            "individual_inclusion": individual_inclusion,
            "individual_exclusion": individual_exclusion,
            "archive": archive,
        }
        await resource._send_edit(self.edit, validation.changes(_HOLDOUT_EDIT, values), id)
