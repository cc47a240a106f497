"""Flags and experiments: one base, and what differs."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from functools import partial
from typing import Any, ClassVar, Literal, Unpack

from amp_exp_async import serialization, validation
from amp_exp_async.http import AmbiguousWrite, AmbiguousWriteError, Request, Transport, build_path
from amp_exp_async.matching import exactly_one
from amp_exp_async.models import UNSET, Created, Experiment, Flag, UnsetType
from amp_exp_async.pagination import AsyncPager
from amp_exp_async.params import (
    EXPERIMENT_EDIT_PARAMS,
    FLAG_EDIT_PARAMS,
    NEW_EXPERIMENT,
    NEW_FLAG,
    ExperimentCreateParams,
    ExperimentEditParams,
    FlagCreateParams,
    FlagEditParams,
)
from amp_exp_async.validation import Validator

from ._base import EXPERIMENTS, FLAGS, FlagConfigT_co, Kind, KindResource, created_by
from .assignments import AsyncFlagDeployments
from .inclusions import AsyncCohorts, AsyncUsers
from .reconcile import could_be_ours, poll
from .variants import AsyncVariants
from .versions import AsyncVersions

_LISTING: dict[str, Validator] = {
    "key": validation.key,
    "project_id": validation.identifier,
    "limit": validation.limit,
    "include_archived": validation.boolean,
}


class AsyncFlagConfigs(KindResource[FlagConfigT_co]):
    """What `client.flags` and `client.experiments` have in common.

    Attributes:
        variants: its variants.
        users: users and devices included in a variant by id.
        cohorts: cohorts included in a variant by id.
        deployments: the deployments that it is assigned to.
        versions: its versions.
    """

    users_class: ClassVar[type[AsyncUsers]] = AsyncUsers
    cohorts_class: ClassVar[type[AsyncCohorts]] = AsyncCohorts

    def __init__(self, transport: Transport, kind: Kind[FlagConfigT_co]) -> None:
        super().__init__(transport, kind)
        self.variants = AsyncVariants(transport, kind)
        self.users = self.users_class(transport, kind)
        self.cohorts = self.cohorts_class(transport, kind)
        self.deployments = AsyncFlagDeployments(transport, kind)
        self.versions = AsyncVersions(transport, kind)

    def list(
        self,
        *,
        key: str | UnsetType = UNSET,
        project_id: str | UnsetType = UNSET,
        include_archived: bool | UnsetType = UNSET,
        limit: int | UnsetType = UNSET,
        cursor: str | int | None = None,
    ) -> AsyncPager[FlagConfigT_co]:
        """All of them, newest first: `GET /{kind}`, page by page.

        Args:
            key: only those of exactly this key.
            project_id: only those of this project.
            include_archived: True for archived ones too.
            limit: the size of a page, 1 to 1,000; without it the service decides.
            cursor: a page's `next_cursor`, to go on from there.

        Example:
            `async for flag in client.flags.list(project_id="123"): print(flag.key)`
        """
        given = {"key": key, "project_id": project_id, "include_archived": include_archived, "limit": limit}
        query = validation.fields(_LISTING, given)
        return self._paged(self._kind.model, self._kind.name, build_path(self._kind.name), query, cursor)

    async def get(self, id: str) -> FlagConfigT_co:
        """One of them: `GET /{kind}/{id}`.

        Args:
            id: the id, as in the URL of the app (not the key: see `find`).

        Raises:
            NotFoundError: there is none of this id.
        """
        return await self._get(self._kind.model, self._path(id))

    async def find(self, key: str, *, project_id: str | None = None) -> FlagConfigT_co:
        """The one with this key: `GET /{kind}` with `key`. Archived ones do not count.

        Args:
            key: its key.
            project_id: its project's id; needed when the key exists in several projects.

        Raises:
            NotFoundError: there is none.
            InvalidInputError: there is one in several projects.
        """
        project = UNSET if project_id is None else project_id
        found = [toggle async for toggle in self.list(key=key, project_id=project)]
        return exactly_one(self._kind.name, found, key, project_id)

    async def archive(self, id: str) -> None:
        """Archive it: `PATCH /{kind}/{id}` with `archive`.

        Args:
            id: the id.
        """
        await self._send("PATCH", self._path(id), {"archive": True})

    async def restore(self, id: str) -> None:
        """Take it out of the archive: `PATCH /{kind}/{id}` with `archive`.

        Args:
            id: the id.
        """
        await self._send("PATCH", self._path(id), {"archive": False})

    def _edit(self, id: str, table: Mapping[str, Validator], given: Mapping[str, Any]) -> Coroutine[Any, Any, None]:
        return self._send("PATCH", self._path(id), validation.changes(table, given))

    async def _create(
        self, table: Mapping[str, Validator], project_id: str, key: str, given: Mapping[str, Any]
    ) -> Created:
        project = validation.identifier("project_id", project_id)
        key = validation.key("key", key)
        fields = {"project_id": project, "key": key, **validation.fields(table, given)}
        async with self._transport.serialized(self._creation(build_path(self._kind.name), fields)) as write:
            try:
                return await write.send(created_by)
            except AmbiguousWriteError as error:
                ambiguous = error.write
            find_created = partial(self._find_created, ambiguous, fields)
            return await poll(ambiguous, find_created, f"key {key!r} in project {project}")

    async def _find_created(self, write: AmbiguousWrite, fields: Mapping[str, Any]) -> Created | None:
        """Return the flag that an ambiguous creation has made, or None if no flag has its key."""
        key, project = fields["key"], fields["project_id"]
        query = serialization.query({"key": key, "project_id": project, "include_archived": True})
        response = await write.transport().send(Request("GET", build_path(self._kind.name), query=query))
        page = await response.parse_page(self._kind.model, self._kind.name)
        flags = [flag for flag in page.items if flag.key == key and flag.project_id in (project, UNSET)]
        date = response.headers.get("Date", "")
        candidates = [flag for flag in flags if could_be_ours(flag, fields, date, write.elapsed)]
        if len(candidates) == 1:
            return Created(candidates[0].id)
        if flags:
            ids = ", ".join(flag.id for flag in flags)
            raise write.error(
                f"The key {key!r} exists in project {project} with id {ids}, and "
                f"{len(candidates) or 'none'} of them may be what this call was to create."
            )
        return None


class AsyncFlags(AsyncFlagConfigs[Flag]):
    """`client.flags`."""

    def __init__(self, transport: Transport) -> None:
        super().__init__(transport, FLAGS)

    async def create(self, *, project_id: str, key: str, **fields: Unpack[FlagCreateParams]) -> Created:
        """Create a flag: `POST /flags`.

        It is never sent twice. When the reply is lost, the flag is read back by key and project to settle whether it
        was created.

        Args:
            project_id: the project's id.
            key: letters, digits, `_` and `-`.
            **fields: see `FlagCreateParams`.

        Returns:
            The new flag's id and its page in the app.

        Raises:
            BadRequestError: the service refused it, for example since the key exists.
            OutcomeUnknownError: the reply was lost and reading back could not settle it.

        Example:
            `created = await client.flags.create(project_id="123", key="new-checkout", variants=[Variant(key="on")])`
        """
        return await self._create(NEW_FLAG, project_id, key, fields)

    async def edit(self, id: str, **changes: Unpack[FlagEditParams]) -> None:
        """Change a flag: `PATCH /flags/{id}`. A field left out is unchanged; `None` is sent as null.

        Args:
            id: the flag's id.
            **changes: see `FlagEditParams`. `target_segments` and `tags` replace the whole list.

        Raises:
            InvalidInputError: nothing would change, or a change breaks a rule.
            NotFoundError: there is no such flag.
            MethodNotAllowedError: it belongs to a guide or survey, which only the app can edit.

        Example:
            `await client.flags.edit("123", enabled=True, rollout_percentage=50)`
        """
        await self._edit(id, FLAG_EDIT_PARAMS, changes)


class AsyncExperiments(AsyncFlagConfigs[Experiment]):
    """`client.experiments`."""

    def __init__(self, transport: Transport) -> None:
        super().__init__(transport, EXPERIMENTS)

    async def create(self, *, project_id: str, key: str, **fields: Unpack[ExperimentCreateParams]) -> Created:
        """Create an experiment: `POST /experiments`.

        It is never sent twice. When the reply is lost, the experiment is read back by key and project to settle whether
        it was created.

        Args:
            project_id: the project's id.
            key: letters, digits, `_` and `-`.
            **fields: see `ExperimentCreateParams`.

        Returns:
            The new experiment's id and its page in the app.

        Raises:
            BadRequestError: the service refused it, for example since the key exists.
            OutcomeUnknownError: the reply was lost and reading back could not settle it.
        """
        return await self._create(NEW_EXPERIMENT, project_id, key, fields)

    async def edit(self, id: str, **changes: Unpack[ExperimentEditParams]) -> None:
        """Change an experiment: `PATCH /experiments/{id}`. A field left out is unchanged; `None` is sent as null.

        Args:
            id: the experiment's id.
            **changes: see `ExperimentEditParams`. `target_segments` and `tags` replace the whole list.

        Raises:
            InvalidInputError: nothing would change, or a change breaks a rule.
            NotFoundError: there is no such experiment.
            MethodNotAllowedError: it is a web experiment, which only the app can edit.

        Example:
            `await client.experiments.edit("123", end_date=date(2026, 12, 31))`
        """
        await self._edit(id, EXPERIMENT_EDIT_PARAMS, changes)


def flag_resources(transport: Transport) -> dict[Literal["flags", "experiments"], AsyncFlags | AsyncExperiments]:
    """Return the flags and experiments that send their requests through a transport."""
    return {"flags": AsyncFlags(transport), "experiments": AsyncExperiments(transport)}
