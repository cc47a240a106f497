"""The users, devices and cohorts that a variant includes by ID: single requests, and runs of any number of IDs."""

from __future__ import annotations

import math
import os
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Coroutine, Iterable, Mapping, Sequence, Sized
from functools import partial
from typing import Any, TypeAlias, Unpack, cast

from amp_exp_async import lazy_bulk, serialization, validation, value_files
from amp_exp_async.http import AmbiguousWrite, Idempotency, Transport
from amp_exp_async.models import FlagConfig
from amp_exp_async.pagination import AsyncPager
from amp_exp_async.params import RequestOptions

from .base import Collection, CollectionResource, operation

Ids: TypeAlias = Iterable[str] | AsyncIterable[str] | value_files.TextFile
"""IDs; or a file (its path, or open) with one ID per line, which `read_ids` reads."""
JournalPath: TypeAlias = str | os.PathLike[str]

# As many as a variant can have: one operation reads the list once and sends at most 20 requests.
_MAX_REMOVED_PER_OPERATION = 2000


class _Inclusions(CollectionResource[FlagConfig], ABC):
    """The IDs that variants include.

    Args:
        transport: sends the requests.
        collection: flags or experiments.
        resources: makes the resources that bulk runs use.
    """

    def __init__(
        self, transport: Transport, collection: Collection[FlagConfig], resources: lazy_bulk.ResourceFactory
    ) -> None:
        super().__init__(transport, collection)
        self._resources = resources

    @abstractmethod
    def list(self, id: str, variant: str, **options: Unpack[RequestOptions]) -> AsyncPager[str]:
        """List the included IDs."""

    def _send_change(
        self, method: Callable[..., object], fields: Mapping[str, Sequence[str]], id: str, variant: str
    ) -> Coroutine[Any, Any, None]:
        """Send an addition or a removal of IDs."""
        ((name, ids),) = fields.items()
        is_added = name == "inclusions"
        is_applied = partial(self._is_changed, id, variant, ids, included=is_added)
        path = self._request(self.list, id=id, variant=variant).path
        change = {"added" if is_added else "removed": ids}
        write = self._send_confirmed(method, is_applied, fields, id=id, variant=variant)
        return self._recorded(write, path, lambda recent: recent.change_list(path, **change))

    async def _is_changed(
        self, id: str, variant: str, ids: Sequence[str], write: AmbiguousWrite, *, included: bool
    ) -> bool:
        live = await self._read(id, variant, write)
        return live.issuperset(ids) if included else live.isdisjoint(ids)

    async def _read(self, id: str, variant: str, write: AmbiguousWrite) -> set[str]:
        """Return the included IDs after an ambiguous write."""
        request = self._request(self.list, id=id, variant=variant)
        async with write.transport().call(request) as response:
            return set(response.parse(serialization.parse_ids))

    def _run(
        self,
        make: type[lazy_bulk.InclusionOperation],
        id: str,
        variant: str,
        ids: Ids,
        *,
        journal: JournalPath | None,
        on_error: lazy_bulk.OnError,
        **guards: Any,
    ) -> lazy_bulk.AsyncBulkRun:
        """Return the run of an operation on IDs of any number."""
        operations = _operations(make, (self._collection.name, id, variant), ids, guards)
        return lazy_bulk.AsyncBulkRun(
            self._transport, operations, resources=self._resources, journal=journal, on_error=on_error
        )


class AsyncUsers(_Inclusions):
    """`client.flags.users` and `client.experiments.users`: the users and devices that a variant includes by ID."""

    @operation("GET", "/{kind}/{id}/variants/{variant}/users")
    def list(self, id: str, variant: str, **options: Unpack[RequestOptions]) -> AsyncPager[str]:
        """List the included IDs: `GET /{kind}/{id}/variants/{variant}/users`, one request.

        API reference: https://amplitude.com/docs/apis/experiment/experiment-management-api-flags#get-variant-inclusions

        Args:
            id: the flag's or experiment's ID.
            variant: the variant's key.
            **options: see `RequestOptions`.
        """
        return self._for_call(self.list, options)._list_ids(self.list, id=id, variant=variant)

    @operation("POST", "/{kind}/{id}/variants/{variant}/users")
    async def add(self, id: str, variant: str, users: Iterable[str], **options: Unpack[RequestOptions]) -> None:
        """Include users or devices: `POST /{kind}/{id}/variants/{variant}/users`. Included IDs stay included.

        API reference: https://amplitude.com/docs/apis/experiment/experiment-management-api-flags#add-users-to-variant

        Args:
            id: the flag's or experiment's ID.
            variant: the variant's key.
            users: 1 to 2,000 user or device IDs. E-mail addresses match only if they are your user IDs.
            **options: see `RequestOptions`.

        Raises:
            BadRequestError: If the variant would include more than 2,000 IDs. None was added.
        """
        resource = self._for_call(self.add, options)
        fields = {"inclusions": validation.ids("users", users, validation.MAX_ADDED)}
        await resource._send_change(self.add, fields, id, variant)

    @operation("DELETE", "/{kind}/{id}/variants/{variant}/bulk-delete-users", Idempotency.EXCLUDE)
    async def remove(self, id: str, variant: str, users: Iterable[str], **options: Unpack[RequestOptions]) -> None:
        """Remove users or devices by ID: `DELETE /{kind}/{id}/variants/{variant}/bulk-delete-users`, one request.

        API reference: https://amplitude.com/docs/apis/experiment/experiment-management-api-flags#bulk-remove-users-from-variant

        Args:
            id: the flag's or experiment's ID.
            variant: the variant's key.
            users: 1 to 100 user or device IDs.
            **options: see `RequestOptions`.
        """
        resource = self._for_call(self.remove, options)
        fields = {"users": validation.existing_ids("users", users, validation.MAX_REMOVED)}
        await resource._send_change(self.remove, fields, id, variant)

    @operation("DELETE", "/{kind}/{id}/variants/{variant}/users/{index}", Idempotency.NON_IDEMPOTENT)
    async def remove_at(self, id: str, variant: str, index: int, **options: Unpack[RequestOptions]) -> None:
        """Remove the user at an index of the list: `DELETE /{kind}/{id}/variants/{variant}/users/{index}`.

        It is never sent twice. Prefer `remove`: indices shift if anyone else changes the list.

        API reference: https://amplitude.com/docs/apis/experiment/experiment-management-api-flags#remove-users-from-variant

        Args:
            id: the flag's or experiment's ID.
            variant: the variant's key.
            index: the index in `list`, from 0.
            **options: see `RequestOptions`.

        Raises:
            OutcomeUnknownError: If the response was lost. Read the list before you try again.
        """
        resource = self._for_call(self.remove_at, options)
        path = self._request(self.list, id=id, variant=variant).path
        write = resource._send(self.remove_at, id=id, variant=variant, index=index)
        await self._recorded(write, path, lambda recent: recent.forget(path))

    @operation("DELETE", "/{kind}/{id}/variants/{variant}/users", Idempotency.EXCLUDE)
    async def remove_all(self, id: str, variant: str, **options: Unpack[RequestOptions]) -> None:
        """Remove all users and devices of a variant: `DELETE /{kind}/{id}/variants/{variant}/users`.

        API reference: https://amplitude.com/docs/apis/experiment/experiment-management-api-flags#remove-all-users-from-variant

        Args:
            id: the flag's or experiment's ID.
            variant: the variant's key.
            **options: see `RequestOptions`.
        """
        resource = self._for_call(self.remove_all, options)
        path = self._request(self.list, id=id, variant=variant).path
        write = resource._send_confirmed(self.remove_all, partial(self._is_empty, id, variant), id=id, variant=variant)
        await self._recorded(write, path, lambda recent: recent.empty_list(path))

    async def _is_empty(self, id: str, variant: str, write: AmbiguousWrite) -> bool:
        return not await self._read(id, variant, write)

    def add_many(
        self,
        id: str,
        variant: str,
        users: Ids,
        *,
        journal: JournalPath | None = None,
        on_error: lazy_bulk.OnError = "continue",
    ) -> lazy_bulk.AsyncBulkRun:
        """Include users or devices: read the list, and send the IDs that are not included yet in one request.

        If the variant would include more than 2,000 IDs, none is added.

        Args:
            id: the flag's or experiment's ID.
            variant: the variant's key.
            users: 1 to 2,000 distinct user or device IDs.
            journal: a file to resume from; see `client.bulk`.
            on_error: see `client.bulk`.

        Returns:
            A run of one `AddUsers` operation.

        Raises:
            InvalidInputError: If an argument breaks a rule. Nothing was sent.

        Example:
            `summary = await client.flags.users.add_many("123", "on", pathlib.Path("ids.txt"))`
        """
        return self._run(lazy_bulk.AddUsers, id, variant, users, journal=journal, on_error=on_error)

    def remove_many(
        self,
        id: str,
        variant: str,
        users: Ids,
        *,
        journal: JournalPath | None = None,
        on_error: lazy_bulk.OnError = "continue",
    ) -> lazy_bulk.AsyncBulkRun:
        """Remove users or devices by ID: read the list, and remove the included IDs, 100 per request.

        Args:
            id: the flag's or experiment's ID.
            variant: the variant's key.
            users: any number of user or device IDs.
            journal: a file to resume from; see `client.bulk`.
            on_error: see `client.bulk`.

        Returns:
            A run with a `RemoveUsers` operation for every 2,000 IDs.

        Raises:
            InvalidInputError: If an argument breaks a rule. Nothing was sent.
        """
        return self._run(lazy_bulk.RemoveUsers, id, variant, users, journal=journal, on_error=on_error)

    def replace(
        self,
        id: str,
        variant: str,
        users: Ids,
        *,
        max_removals: float | None = None,
        allow_empty: bool = False,
        journal: JournalPath | None = None,
        on_error: lazy_bulk.OnError = "continue",
    ) -> lazy_bulk.AsyncBulkRun:
        """Make a variant include exactly these users and devices: read the list, and send the difference.

        Args:
            id: the flag's or experiment's ID.
            variant: the variant's key.
            users: at most 2,000 distinct user or device IDs.
            max_removals: the most IDs that may be removed: a number such as 50, or a share of the included IDs such as
                0.2; None for no bound. It is checked after the list was read: beyond it, nothing is written, and the
                operation fails with `TooManyRemovalsError`.
            allow_empty: whether there may be no IDs, which removes all. A failed query leaves an empty file, too.
            journal: a file to resume from; see `client.bulk`.
            on_error: see `client.bulk`.

        Returns:
            A run of one `ReplaceUsers` operation.

        Raises:
            InvalidInputError: If an argument breaks a rule, or there are no IDs without `allow_empty`. Nothing was
                sent. New IDs are checked after the list was read, by the operation.
        """
        return self._run(
            lazy_bulk.ReplaceUsers,
            id,
            variant,
            users,
            journal=journal,
            on_error=on_error,
            max_removals=max_removals,
            allow_empty=allow_empty,
        )


class AsyncCohorts(_Inclusions):
    """`client.flags.cohorts` and `client.experiments.cohorts`: the cohorts that a variant includes by ID."""

    @operation("GET", "/{kind}/{id}/variants/{variant}/cohorts")
    def list(self, id: str, variant: str, **options: Unpack[RequestOptions]) -> AsyncPager[str]:
        """List the included cohort IDs: `GET /{kind}/{id}/variants/{variant}/cohorts`, one request.

        API reference: https://amplitude.com/docs/apis/experiment/experiment-management-api-flags#get-variant-cohort-inclusions

        Args:
            id: the flag's or experiment's ID.
            variant: the variant's key.
            **options: see `RequestOptions`.
        """
        return self._for_call(self.list, options)._list_ids(self.list, id=id, variant=variant)

    @operation("POST", "/{kind}/{id}/variants/{variant}/cohorts")
    async def add(self, id: str, variant: str, cohorts: Iterable[str], **options: Unpack[RequestOptions]) -> None:
        """Include cohorts: `POST /{kind}/{id}/variants/{variant}/cohorts`. Included cohorts stay included.

        API reference: https://amplitude.com/docs/apis/experiment/experiment-management-api-flags#add-cohorts-to-variant

        Args:
            id: the flag's or experiment's ID.
            variant: the variant's key.
            cohorts: 1 to 2,000 cohort IDs.
            **options: see `RequestOptions`.
        """
        resource = self._for_call(self.add, options)
        fields = {"inclusions": validation.ids("cohorts", cohorts, validation.MAX_ADDED)}
        await resource._send_change(self.add, fields, id, variant)

    @operation("DELETE", "/{kind}/{id}/variants/{variant}/bulk-delete-cohorts", Idempotency.EXCLUDE)
    async def remove(self, id: str, variant: str, cohorts: Iterable[str], **options: Unpack[RequestOptions]) -> None:
        """Remove cohorts by ID: `DELETE /{kind}/{id}/variants/{variant}/bulk-delete-cohorts`, one request.

        API reference: https://amplitude.com/docs/apis/experiment/experiment-management-api-flags#bulk-remove-cohorts-from-variant

        Args:
            id: the flag's or experiment's ID.
            variant: the variant's key.
            cohorts: 1 to 100 cohort IDs.
            **options: see `RequestOptions`.
        """
        resource = self._for_call(self.remove, options)
        # The JSON field is `users` for cohorts too.
        fields = {"users": validation.existing_ids("cohorts", cohorts, validation.MAX_REMOVED)}
        await resource._send_change(self.remove, fields, id, variant)

    def add_many(
        self,
        id: str,
        variant: str,
        cohorts: Ids,
        *,
        journal: JournalPath | None = None,
        on_error: lazy_bulk.OnError = "continue",
    ) -> lazy_bulk.AsyncBulkRun:
        """Include cohorts: read the list, and send the cohorts that are not included yet.

        Args:
            id: the flag's or experiment's ID.
            variant: the variant's key.
            cohorts: cohort IDs, at least one.
            journal: a file to resume from; see `client.bulk`.
            on_error: see `client.bulk`.

        Returns:
            A run of one `AddCohorts` operation.

        Raises:
            InvalidInputError: If an argument breaks a rule. Nothing was sent.
        """
        return self._run(lazy_bulk.AddCohorts, id, variant, cohorts, journal=journal, on_error=on_error)

    def remove_many(
        self,
        id: str,
        variant: str,
        cohorts: Ids,
        *,
        journal: JournalPath | None = None,
        on_error: lazy_bulk.OnError = "continue",
    ) -> lazy_bulk.AsyncBulkRun:
        """Remove cohorts by ID: read the list, and remove the included cohorts, 100 per request.

        Args:
            id: the flag's or experiment's ID.
            variant: the variant's key.
            cohorts: any number of cohort IDs.
            journal: a file to resume from; see `client.bulk`.
            on_error: see `client.bulk`.

        Returns:
            A run with a `RemoveCohorts` operation for every 2,000 IDs.

        Raises:
            InvalidInputError: If an argument breaks a rule. Nothing was sent.
        """
        return self._run(lazy_bulk.RemoveCohorts, id, variant, cohorts, journal=journal, on_error=on_error)

    def replace(
        self,
        id: str,
        variant: str,
        cohorts: Ids,
        *,
        max_removals: float | None = None,
        allow_empty: bool = False,
        journal: JournalPath | None = None,
        on_error: lazy_bulk.OnError = "continue",
    ) -> lazy_bulk.AsyncBulkRun:
        """Make a variant include exactly these cohorts: read the list, and send the difference.

        Args:
            id: the flag's or experiment's ID.
            variant: the variant's key.
            cohorts: cohort IDs.
            max_removals: the most IDs that may be removed: a number such as 50, or a share of the included IDs such as
                0.2; None for no bound. It is checked after the list was read: beyond it, nothing is written, and the
                operation fails with `TooManyRemovalsError`.
            allow_empty: whether there may be no IDs, which removes all. A failed query leaves an empty file, too.
            journal: a file to resume from; see `client.bulk`.
            on_error: see `client.bulk`.

        Returns:
            A run of one `ReplaceCohorts` operation.

        Raises:
            InvalidInputError: If an argument breaks a rule, or there are no IDs without `allow_empty`. Nothing was
                sent. New IDs are checked after the list was read, by the operation.
        """
        return self._run(
            lazy_bulk.ReplaceCohorts,
            id,
            variant,
            cohorts,
            journal=journal,
            on_error=on_error,
            max_removals=max_removals,
            allow_empty=allow_empty,
        )


def _operations(
    cls: type[lazy_bulk.InclusionOperation], target: tuple[str, str, str], ids: Ids, guards: Mapping[str, Any]
) -> lazy_bulk.Operations:
    """Return the operations on IDs of any number: removals in parts, other operations as one."""
    make = cast("Callable[..., lazy_bulk.InclusionOperation]", partial(cls, **guards))
    size = _MAX_REMOVED_PER_OPERATION if cls.action == "remove" else math.inf
    validate = validation.listed_id if cls.action == "add" else validation.existing_id
    given: Any = value_files.read_ids(ids) if value_files.is_text_file(ids) else ids
    if cls.action == "add" and isinstance(given, value_files.FileValues):
        given.require_new_ids()
    values = validation.async_or_iterable(cls.member, given)
    if isinstance(values, AsyncIterable) or not isinstance(values, Sized):
        make(*target, ["id"])  # rejects the other arguments before the stream is read
        # Adding or replacing too many is rejected, so one more than allowed is enough to read.
        limit = validation.MAX_ADDED + 1 if cls.action != "remove" and cls.member == "users" else math.inf
        return (
            make(*target, chunk)
            async for chunk in _chunks(_validated(partial(validate, cls.member), values), size, limit)
        )
    listed = list(values)
    step = len(listed) or 1 if math.isinf(size) else int(size)
    return [make(*target, listed[start : start + step]) for start in range(0, len(listed) or 1, step)]


async def _chunks(ids: AsyncIterable[str], size: float, limit: float) -> AsyncGenerator[list[str], None]:
    """Yield chunks of distinct IDs, and stop after `limit` IDs."""
    chunk: dict[str, None] = {}
    count = 0
    async for id in ids:
        chunk[id] = None
        if len(chunk) >= min(size, limit):
            count += len(chunk)
            yield list(chunk)
            chunk = {}
            if count >= limit:
                return
    if chunk or not count:
        yield list(chunk)


async def _validated(
    validate: Callable[[object], str], ids: Iterable[str] | AsyncIterable[str]
) -> AsyncGenerator[str, None]:
    if isinstance(ids, AsyncIterable):
        async for id in ids:
            yield validate(id)
    else:
        for id in ids:
            yield validate(id)
