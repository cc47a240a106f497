"""Flags and experiments: `client.flags` and `client.experiments`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Literal, Unpack

import attrs

from amp_exp_async import validation
from amp_exp_async.errors import AmpExpError, EditConflictError
from amp_exp_async.formatting import format_value
from amp_exp_async.http import READ_INTERVAL, AmbiguousWrite, Idempotency, Transport, build_path
from amp_exp_async.matching import exactly_one
from amp_exp_async.models import UNSET, Created, Experiment, Flag, FlagConfig, UnsetType
from amp_exp_async.pagination import AsyncPager
from amp_exp_async.params import (
    EXPERIMENT_CREATE_PARAMS,
    EXPERIMENT_EDIT_PARAMS,
    FLAG_CREATE_PARAMS,
    FLAG_EDIT_PARAMS,
    ExperimentCreateArguments,
    ExperimentEditArguments,
    FlagCreateArguments,
    FlagEditArguments,
    RequestOptions,
    reject_reversed_dates,
    validate_create,
    validate_edit,
)
from amp_exp_async.validation import Validator

from .base import EXPERIMENTS, FLAGS, Collection, CollectionResource, FlagConfigT_co, operation, parse_created
from .deployments import AsyncFlagDeployments
from .inclusions import AsyncCohorts, AsyncUsers
from .optimistic import OptimisticEdit, changed_fields
from .reconcile import could_be_ours, send_creation
from .rollout import weight_changes, with_rollback, with_rollout
from .segments import AsyncSegments, AsyncTags
from .variants import AsyncVariants
from .versions import AsyncVersions

_FILTERS: dict[str, Validator] = {
    "key": validation.existing_key,
    "project_id": validation.project_id,
    "limit": validation.limit,
    "include_archived": validation.boolean,
}
_EXPERIMENT_FILTERS: dict[str, Validator] = _FILTERS | {"delivery_method": validation.word("feature", "web")}


class AsyncFlagConfigs(CollectionResource[FlagConfigT_co]):
    """The operations that `client.flags` and `client.experiments` share.

    Attributes:
        variants: the variants.
        users: the users and devices that a variant includes by ID.
        cohorts: the cohorts that a variant includes by ID.
        deployments: the deployments that a flag or experiment is assigned to.
        versions: the versions.
        segments: single target segments.
        tags: single tags.
    """

    def __init__(self, transport: Transport, collection: Collection[FlagConfigT_co]) -> None:
        super().__init__(transport, collection)
        self.variants = AsyncVariants(transport, collection)
        self.users = AsyncUsers(transport, collection, flag_resources)
        self.cohorts = AsyncCohorts(transport, collection, flag_resources)
        self.deployments = AsyncFlagDeployments(transport, collection)
        self.versions = AsyncVersions(transport, collection)
        self.segments = AsyncSegments(transport, collection)
        self.tags = AsyncTags(transport, collection)

    @operation("GET", "/{kind}")
    def list(
        self,
        *,
        key: str | UnsetType = UNSET,
        project_id: str | UnsetType = UNSET,
        include_archived: bool | UnsetType = UNSET,
        limit: int | UnsetType = UNSET,
        cursor: str | int | None = None,
        **options: Unpack[RequestOptions],
    ) -> AsyncPager[FlagConfigT_co]:
        """List flags or experiments, newest first: `GET /{kind}`, page by page.

        API reference: https://amplitude.com/docs/apis/experiment/experiment-management-api-flags#list

        Args:
            key: only those with exactly this key.
            project_id: only those of this project.
            include_archived: true includes archived ones.
            limit: the page size, 1 to 1,000. By default the service decides.
            cursor: the `next_cursor` of a page, to continue from there.
            **options: see `RequestOptions`.

        Example:
            `async for flag in client.flags.list(project_id="123"): print(flag.key)`
        """
        resource = self._for_call(self.list, options)
        values = {"key": key, "project_id": project_id, "include_archived": include_archived, "limit": limit}
        query = validation.fields(_FILTERS, values)
        return resource._paginate(self.list, self._collection.model, self._kind, query, cursor)

    @operation("GET", "/{kind}/{id}")
    async def get(self, id: str, **options: Unpack[RequestOptions]) -> FlagConfigT_co:
        """Get a flag or experiment by ID: `GET /{kind}/{id}`.

        API reference: https://amplitude.com/docs/apis/experiment/experiment-management-api-flags#get-details

        Args:
            id: the ID, as in the URL of the app. To look up a key, use `find`.
            **options: see `RequestOptions`.

        Raises:
            NotFoundError: If no flag or experiment has this ID.
        """
        return await self._for_call(self.get, options)._get(self.get, self._collection.model, id=id)

    @operation("GET", "/{kind}")
    async def find(
        self, key: str, *, project_id: str | None = None, **options: Unpack[RequestOptions]
    ) -> FlagConfigT_co:
        """Get a flag or experiment by key: `GET /{kind}` with `key`. Archived ones are ignored.

        API reference: https://amplitude.com/docs/apis/experiment/experiment-management-api-flags#list

        Args:
            key: the key.
            project_id: the project's ID; required if the key exists in several projects.
            **options: see `RequestOptions`.

        Raises:
            NotFoundError: If no flag or experiment has this key.
            InvalidInputError: If several projects have one with this key.
        """
        resource = self._for_call(self.find, options)._as_one_call()
        recent = self._transport.session.recent_writes
        while True:
            pager = resource.list(key=key, project_id=UNSET if project_id is None else project_id)
            listed = [flag_config async for flag_config in pager]
            if listed or not recent.is_new(self._key_path(key)):
                return exactly_one(self._kind, listed, key, project_id)
            await resource.transport.sleep(READ_INTERVAL)  # this client has just created it

    def _key_path(self, key: str) -> str:
        """Return the path under which the creation of a key is recorded; no ID has such a path."""
        return build_path(self._kind, f"key={key}")

    @operation("PATCH", "/{kind}/{id}", Idempotency.ARCHIVE)
    async def archive(self, id: str, **options: Unpack[RequestOptions]) -> None:
        """Archive a flag or experiment: `PATCH /{kind}/{id}` with `archive`.

        API reference: https://amplitude.com/docs/apis/experiment/experiment-management-api-flags#edit

        Args:
            id: the flag's or experiment's ID.
            **options: see `RequestOptions`.
        """
        await self._for_call(self.archive, options)._send_edit(self.archive, {"archive": True}, id)

    @operation("PATCH", "/{kind}/{id}")
    async def restore(self, id: str, **options: Unpack[RequestOptions]) -> None:
        """Restore an archived flag or experiment: `PATCH /{kind}/{id}` with `archive`.

        API reference: https://amplitude.com/docs/apis/experiment/experiment-management-api-flags#edit

        Args:
            id: the flag's or experiment's ID.
            **options: see `RequestOptions`.
        """
        await self._for_call(self.restore, options)._send_edit(self.restore, {"archive": False}, id)

    async def guarded_edit(
        self,
        id: str,
        change: Callable[[FlagConfigT_co], FlagConfigT_co | Awaitable[FlagConfigT_co]],
        *,
        base: FlagConfig | None = None,
        dry_run: bool = False,
    ) -> FlagConfigT_co:
        """Change a flag that others change too, without overwriting their changes.

        The flag is read, `change` returns a changed copy, and the flag is read again. The changes of both sides are
        merged: tags as a set, target segments by name, every other field as one value. The fields that differ are
        written with `PATCH /{kind}/{id}`, and a last read verifies them. These are four requests, or one if nothing
        differs. A change of `deleted` together with other fields is written in two steps, because the service edits no
        archived flag: it is restored before the other fields are written, and archived after it. If the second step
        fails, a note of the error says which step was reached. The last read is repeated for up to two seconds before
        a conflict is reported, because reads can lag behind writes. Guarded edits that one client makes to one flag run
        one after another.

        The service has no conditional writes. If someone else writes a field of this edit between the second read and
        the write, their value is lost; the last read detects only later writes (see docs/reliability.md).

        Args:
            id: the flag's or experiment's ID.
            change: takes the flag or experiment and returns a changed copy (`attrs.evolve`). It may be async, except
                with the blocking client, which calls it in the caller's thread.
            base: an earlier reading of the flag or experiment, for example the one whose change the user confirmed.
                `change` is applied to it, and changes that others made since then are merged or raise
                `EditConflictError`. By default it is read now.
            dry_run: whether to validate the change without writing it. With `base`, no request is sent.

        Returns:
            The flag or experiment as read after the write, or as first read if there was nothing to write. In a dry
            run, the changed copy.

        Raises:
            InvalidInputError: If the copy breaks a rule or has a change that an edit cannot make (of the key, of
                variants, of segments with a cohort condition). Nothing was written.
            EditConflictError: If both sides changed the same value: nothing was written. Or if the value was written
                and then overwritten (`written` is true).
            NotFoundError: If no flag or experiment has this ID.
            MethodNotAllowedError: If it can only be edited in the Amplitude app.

        Example:
            `await client.flags.guarded_edit("123", lambda flag: attrs.evolve(flag, rollout_percentage=20))`
        """
        checked = validation.boolean("dry_run", dry_run)
        editor = OptimisticEdit(self._transport.as_one_call(), self._collection)
        return await editor.edit(id, change, base=base, dry_run=checked)

    async def _create(
        self,
        method: Callable[..., object],
        validators: Mapping[str, Validator],
        project_id: str,
        key: str,
        values: Mapping[str, Any],
    ) -> Created:
        project_id, key = validation.project_id("project_id", project_id), validation.key("key", key)
        fields = {"project_id": project_id, "key": key, **validate_create(validators, values)}
        request = self._request(method, fields)
        find = partial(self._find_created, fields)
        description = f"{self._kind[:-1]} with key {format_value(key)} in project {project_id}"
        created = await send_creation(self._transport, request, parse_created, find, description)
        self._record_creation(created.id)
        self._transport.session.recent_writes.add_creation(self._key_path(key))
        return created

    async def _find_created(self, fields: Mapping[str, Any], write: AmbiguousWrite) -> Created | None:
        """Return the flag that an ambiguous creation made, or None if no flag has its key."""
        key, project_id = fields["key"], fields["project_id"]
        query = {"key": key, "project_id": project_id, "include_archived": True}
        async with write.transport().call(self._request(self.list, None, query)) as response:
            page = await response.parse_page(self._collection.model, self._kind)
        flags = [flag for flag in page.items if flag.key == key and flag.project_id in (project_id, UNSET)]
        date = response.headers.get("Date", "")
        candidates = [flag for flag in flags if could_be_ours(flag, fields, date, write.elapsed)]
        if len(candidates) == 1:
            return Created(candidates[0].id)
        if flags:
            ids = ", ".join(flag.id for flag in flags)
            raise write.error(
                f"The key {format_value(key)} exists in project {project_id} with ID {ids}, and "
                f"{len(candidates) or 'none'} of them could be the one that this call created."
            )
        return None


class AsyncFlags(AsyncFlagConfigs[Flag]):
    """The flags of an account: `client.flags`."""

    def __init__(self, transport: Transport) -> None:
        super().__init__(transport, FLAGS)

    @operation("POST", "/{kind}", Idempotency.CREATE)
    async def create(self, *, project_id: str, key: str, **fields: Unpack[FlagCreateArguments]) -> Created:
        """Create a flag: `POST /flags`.

        It is never sent twice. If the response is lost, the flag is read back by key and project to determine the
        outcome.

        API reference: https://amplitude.com/docs/apis/experiment/experiment-management-api-flags#create

        Args:
            project_id: the project's ID.
            key: letters, digits, `_` and `-`.
            **fields: see `FlagCreateParams` and `RequestOptions`.

        Returns:
            The new flag's ID and its page in the app.

        Raises:
            BadRequestError: If the service rejected it, for example because the key exists.
            OutcomeUnknownError: If the response was lost and reading back did not determine the outcome.

        Example:
            `created = await client.flags.create(project_id="123", key="new-checkout", variants=[Variant(key="on")])`
        """
        resource = self._with_options(fields)
        return await resource._create(self.create, FLAG_CREATE_PARAMS, project_id, key, fields)

    @operation("PATCH", "/{kind}/{id}")
    async def edit(self, id: str, **changes: Unpack[FlagEditArguments]) -> None:
        """Edit a flag: `PATCH /flags/{id}`. An omitted field is unchanged; `None` is sent as null.

        API reference: https://amplitude.com/docs/apis/experiment/experiment-management-api-flags#edit

        Args:
            id: the flag's ID.
            **changes: see `FlagEditParams` and `RequestOptions`. `target_segments` and `tags` replace the whole list.
                `archive` must be the only change.

        Raises:
            InvalidInputError: If nothing would change, a change breaks a rule, or `archive` comes with other changes.
            NotFoundError: If no flag has this ID.
            MethodNotAllowedError: If it belongs to a guide or survey, which can only be edited in the Amplitude app.

        Example:
            `await client.flags.edit("123", enabled=True, rollout_percentage=50)`
        """
        await self._with_options(changes)._send_edit(self.edit, validate_edit(FLAG_EDIT_PARAMS, changes), id)


class AsyncExperiments(AsyncFlagConfigs[Experiment]):
    """The experiments of an account: `client.experiments`."""

    def __init__(self, transport: Transport) -> None:
        super().__init__(transport, EXPERIMENTS)

    @operation("GET", "/{kind}")
    def list(  # pyright: ignore[reportIncompatibleMethodOverride] - it takes `**options` for keywords of any name
        self,
        *,
        key: str | UnsetType = UNSET,
        project_id: str | UnsetType = UNSET,
        include_archived: bool | UnsetType = UNSET,
        delivery_method: Literal["feature", "web"] | str | UnsetType = UNSET,  # noqa: PYI051 - editors offer the words
        limit: int | UnsetType = UNSET,
        cursor: str | int | None = None,
        **options: Unpack[RequestOptions],
    ) -> AsyncPager[Experiment]:
        """List experiments, newest first: `GET /experiments`, page by page.

        API reference: https://amplitude.com/docs/apis/experiment/experiment-management-api-experiments#list

        Args:
            key: only those with exactly this key.
            project_id: only those of this project.
            include_archived: true includes archived ones.
            delivery_method: only those of this kind: `feature`, or `web` for web experiments, which the API cannot
                edit.
            limit: the page size, 1 to 1,000. By default the service decides.
            cursor: the `next_cursor` of a page, to continue from there.
            **options: see `RequestOptions`.

        Example:
            `async for experiment in client.experiments.list(delivery_method="web"): print(experiment.key)`
        """
        resource = self._for_call(self.list, options)
        values = {
            "key": key,
            "project_id": project_id,
            "include_archived": include_archived,
            "delivery_method": delivery_method,
            "limit": limit,
        }
        query = validation.fields(_EXPERIMENT_FILTERS, values)
        return resource._paginate(self.list, self._collection.model, self._kind, query, cursor)

    @operation("POST", "/{kind}", Idempotency.CREATE)
    async def create(self, *, project_id: str, key: str, **fields: Unpack[ExperimentCreateArguments]) -> Created:
        """Create an experiment: `POST /experiments`.

        It is never sent twice. If the response is lost, the experiment is read back by key and project to determine the
        outcome.

        API reference: https://amplitude.com/docs/apis/experiment/experiment-management-api-experiments#create

        Args:
            project_id: the project's ID.
            key: letters, digits, `_` and `-`.
            **fields: see `ExperimentCreateParams` and `RequestOptions`.

        Returns:
            The new experiment's ID and its page in the app.

        Raises:
            BadRequestError: If the service rejected it, for example because the key exists.
            OutcomeUnknownError: If the response was lost and reading back did not determine the outcome.
        """
        resource = self._with_options(fields)
        return await resource._create(self.create, EXPERIMENT_CREATE_PARAMS, project_id, key, fields)

    @operation("PATCH", "/{kind}/{id}")
    async def edit(self, id: str, **changes: Unpack[ExperimentEditArguments]) -> None:
        """Edit an experiment: `PATCH /experiments/{id}`. An omitted field is unchanged; `None` is sent as null.

        API reference: https://amplitude.com/docs/apis/experiment/experiment-management-api-experiments#edit

        Args:
            id: the experiment's ID.
            **changes: see `ExperimentEditParams` and `RequestOptions`. `target_segments` and `tags` replace the whole
                list. `archive` must be the only change.

        Raises:
            InvalidInputError: If nothing would change, a change breaks a rule, or `archive` comes with other changes.
            NotFoundError: If no experiment has this ID.
            MethodNotAllowedError: If it is a web experiment, which can only be edited in the Amplitude app.

        Example:
            `await client.experiments.edit("123", end_date=date(2026, 12, 31))`
        """
        resource, fields = self._with_options(changes), validate_edit(EXPERIMENT_EDIT_PARAMS, changes)
        reject_reversed_dates(fields.get("start_date"), fields.get("end_date"))
        await resource._send_edit(self.edit, fields, id)

    async def roll_out(
        self,
        id: str,
        variant: str,
        reason: str,
        *,
        everyone: bool = False,
        base: FlagConfig | None = None,
        dry_run: bool = False,
    ) -> Experiment:
        """End an experiment and serve one variant to all targeted users.

        It enables the experiment, sets `decision` to `rollout`, `decision_reason` and `rolled_out_variant`, and turns
        `sticky_bucketing` off. Each target segment gets a percentage of 100 and serves only this variant. With
        `everyone`, `rollout_percentage` becomes 100 too. All this is one guarded edit.

        If `rollout_percentage` is above 0, users whom no segment targets get variants by the variants' own weights. The
        weights of the other variants are then set to 0 first, with one `PATCH /experiments/{id}/variants/{variant}`
        each. If a later request fails, a note of the error says which weights were written. Included users keep their
        variant.

        Args:
            id: the experiment's ID.
            variant: the key of the winning variant.
            reason: the reason for the decision.
            everyone: whether users whom no segment targets get the variant too.
            base: an earlier reading of the experiment; see `guarded_edit`.
            dry_run: whether to return the changed copy without writing it; see `guarded_edit`.

        Returns:
            The experiment as read after the write. In a dry run, the changed copy.

        Raises:
            InvalidInputError: If the variant does not exist, no user would get it (no segments at 0 %; disabled without
                a deployment), or a segment has a cohort condition. Nothing was written.
            EditConflictError: If someone else changed the same values.

        Example:
            `await client.experiments.roll_out("123", "treatment", "12 % more orders")`
        """
        key, text = validation.path_key("variant", variant), validation.string("reason", reason)
        all_users, checked = validation.boolean("everyone", everyone), validation.boolean("dry_run", dry_run)
        experiments = AsyncExperiments(self._transport.as_one_call())
        editor = OptimisticEdit(experiments.transport, self._collection)
        before = await editor.read(id) if base is None else editor.checked_base(id, base)
        with validation.nothing_written():
            after = with_rollout(before, key, text, everyone=all_users)
            weights = weight_changes(before, after)
            edited = attrs.evolve(after, rollout_weights=before.rollout_weights)
            changed_fields(before, edited)
        if checked:
            return after
        await experiments._set_weights(before, weights)
        try:
            return await editor.write(id, before, edited)
        except AmpExpError as error:
            _add_note_on_weights(error, weights)
            raise

    async def _set_weights(self, before: Experiment, weights: Mapping[str, float]) -> None:
        """Write the weights of variants, unless others have changed weights since the experiment was read."""
        if not weights:
            return
        live = (await self.get(before.id)).rollout_weights
        if live != before.rollout_weights:
            raise EditConflictError(
                f"PATCH /{self._kind}/{before.id} was not sent: someone else changed the weights of the variants, from "
                f"{format_value(before.rollout_weights)} to {format_value(live)}. "
                "Read the experiment again and decide which weights are right.",
                field="rollout_weights",
                base=before.rollout_weights,
                ours=weights,
                theirs=live,
            )
        written = dict[str, float]()
        for variant, weight in weights.items():
            try:
                await self.variants.edit(before.id, variant, rollout_weight=weight)
            except AmpExpError as error:
                _add_note_on_weights(error, written)
                raise
            written[variant] = weight

    async def roll_back(
        self, id: str, reason: str, *, base: FlagConfig | None = None, dry_run: bool = False
    ) -> Experiment:
        """End an experiment and serve no variant to anyone, by one guarded edit.

        It sets `decision` to `rollback`, `decision_reason`, `rolled_out_variant` to null, `enabled` to false, and
        `rollout_percentage` and the percentage of each target segment to 0. Weights stay unchanged.

        Args:
            id: the experiment's ID.
            reason: the reason for the decision.
            base: an earlier reading of the experiment; see `guarded_edit`.
            dry_run: whether to return the changed copy without writing it; see `guarded_edit`.

        Returns:
            The experiment as read after the write. In a dry run, the changed copy.

        Raises:
            InvalidInputError: If a segment has a cohort condition. Nothing was written: `edit` with `enabled=False`
                turns the experiment off.
            EditConflictError: If someone else changed the same values.

        Example:
            `await client.experiments.roll_back("123", "slower checkout")`
        """
        text = validation.string("reason", reason)
        return await self.guarded_edit(
            id, lambda experiment: with_rollback(experiment, text), base=base, dry_run=dry_run
        )


def _add_note_on_weights(error: AmpExpError, written: Mapping[str, float]) -> None:
    if written:
        error.add_note(f"Weights of variants that were written: {format_value(written)}.")


def flag_resources(transport: Transport) -> dict[Literal["flags", "experiments"], AsyncFlags | AsyncExperiments]:
    """Return the resources that bulk operations use."""
    return {"flags": AsyncFlags(transport), "experiments": AsyncExperiments(transport)}
