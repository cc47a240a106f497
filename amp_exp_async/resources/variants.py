"""The variants of flags and experiments."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Literal, Unpack

import attrs

from amp_exp_async import validation
from amp_exp_async.errors import NotFoundError
from amp_exp_async.formatting import format_value
from amp_exp_async.http import AmbiguousWrite, Idempotency, RecentWrites, Request, Response
from amp_exp_async.matching import matches
from amp_exp_async.models import UNSET, FlagConfig, Maybe, UnsetType, Variant
from amp_exp_async.pagination import AsyncPager
from amp_exp_async.params import VARIANT_PARAMS, RequestOptions

from .base import CollectionResource, expect_ok, operation, read_edit
from .reconcile import IsApplied, send_confirmed, send_creation


class AsyncVariants(CollectionResource[FlagConfig]):
    """`client.flags.variants` and `client.experiments.variants`."""

    @operation("GET", "/{kind}/{id}/variants")
    def list(self, id: str, **options: Unpack[RequestOptions]) -> AsyncPager[Variant]:
        """List variants, with payloads and weights: `GET /{kind}/{id}/variants`, one request.

        API reference: https://amplitude.com/docs/apis/experiment/experiment-management-api-flags#list-variants

        Args:
            id: the flag's or experiment's ID.
            **options: see `RequestOptions`.
        """
        return self._for_call(self.list, options)._list(self.list, Variant, id=id)

    @operation("GET", "/{kind}/{id}/variants/{variant}")
    async def get(self, id: str, variant: str, **options: Unpack[RequestOptions]) -> Variant:
        """Get a variant: `GET /{kind}/{id}/variants/{variant}`.

        API reference: https://amplitude.com/docs/apis/experiment/experiment-management-api-flags#get-variant-details

        Args:
            id: the flag's or experiment's ID.
            variant: the variant's key.
            **options: see `RequestOptions`.

        Raises:
            NotFoundError: If the flag or the variant does not exist.
        """
        return await self._for_call(self.get, options)._get(self.get, Variant, id=id, variant=variant)

    @operation("POST", "/{kind}/{id}/variants", Idempotency.CREATE)
    async def create(
        self,
        id: str,
        *,
        key: str,
        name: Maybe[str] = UNSET,
        description: Maybe[str] = UNSET,
        payload: Any = UNSET,
        rollout_weight: float | UnsetType = UNSET,
        **options: Unpack[RequestOptions],
    ) -> None:
        """Create a variant: `POST /{kind}/{id}/variants`.

        It is never sent twice. If the response is lost, the variant is read back to determine the outcome.

        API reference: https://amplitude.com/docs/apis/experiment/experiment-management-api-flags#create-variant

        Args:
            id: the flag's or experiment's ID.
            key: the new variant's key: letters, digits, `_` and `-`, but not `off`, which is reserved.
            name: the name shown in the app.
            description: the variant's purpose.
            payload: any JSON value; `None` is a payload of null.
            rollout_weight: the variant's share of the users whom no segment targets.
            **options: see `RequestOptions`.

        Raises:
            BadRequestError: If the service rejected it, for example because the key exists.
            OutcomeUnknownError: If the response was lost and reading back did not determine the outcome.

        Example:
            `await client.flags.variants.create("123", key="on", payload={"colour": "green"})`
        """
        resource = self._for_call(self.create, options)
        key = validation.new_variant_key("key", key)
        values = {"name": name, "description": description, "payload": payload, "rollout_weight": rollout_weight}
        fields: dict[str, Any] = {"key": key, **validation.fields(VARIANT_PARAMS, values)}
        request = self._request(self.create, fields, id=id)
        find = partial(_find_variant, self._request(self.get, id=id, variant=key), fields)
        path = self._request(self.get, id=id, variant=key).path
        write = send_creation(resource.transport, request, _parse_created, find, f"variant {format_value(key)}")
        await self._recorded(write, path, lambda recent: _record_creation(recent, path))

    @operation("PATCH", "/{kind}/{id}/variants/{variant}", Idempotency.RENAME)
    async def edit(
        self,
        id: str,
        variant: str,
        *,
        key: str | UnsetType = UNSET,
        name: Maybe[str] = UNSET,
        description: Maybe[str] = UNSET,
        payload: Any = UNSET,
        rollout_weight: float | UnsetType = UNSET,
        **options: Unpack[RequestOptions],
    ) -> None:
        """Edit a variant: `PATCH /{kind}/{id}/variants/{variant}`. An omitted field is unchanged.

        API reference: https://amplitude.com/docs/apis/experiment/experiment-management-api-flags#edit-variant

        Args:
            id: the flag's or experiment's ID.
            variant: the variant's key.
            key: a new key: letters, digits, `_` and `-`, but not `off`, which is reserved. The name does not change.
            name: the name shown in the app.
            description: the variant's purpose.
            payload: any JSON value, which replaces the old payload; `None` is a payload of null.
            rollout_weight: the variant's share of the users whom no segment targets.
            **options: see `RequestOptions`.

        Raises:
            InvalidInputError: If nothing would change.
            NotFoundError: If the flag or the variant does not exist.
            OutcomeUnknownError: If a response to a rename was lost and reading back did not determine the outcome.
        """
        resource = self._for_call(self.edit, options)
        values = {"name": name, "description": description, "payload": payload, "rollout_weight": rollout_weight}
        fields = validation.changes(VARIANT_PARAMS, {"key": key, **values})
        request = self._request(self.edit, fields, id=id, variant=variant)
        renamed = self._request(self.get, id=id, variant=variant if key is UNSET else key)
        if renamed.path == request.path:
            request = attrs.evolve(request, idempotency=Idempotency.IDEMPOTENT)
        is_applied: IsApplied = partial(read_edit, request.path, Variant, fields)
        if renamed.path != request.path:
            is_applied = partial(_has_variant, renamed, fields)
        write = send_confirmed(resource.transport, request, expect_ok, is_applied)
        write = resource._explained(write, {"id": id, "variant": variant})
        if renamed.path == request.path:
            return await write
        record = partial(_record_rename, old=request.path, new=renamed.path)
        return await self._recorded(write, request.path, record)

    @operation("DELETE", "/{kind}/{id}/variants/{variant}", Idempotency.DELETE)
    async def remove(self, id: str, variant: str, **options: Unpack[RequestOptions]) -> None:
        """Remove a variant and its inclusions: `DELETE /{kind}/{id}/variants/{variant}`.

        API reference: https://amplitude.com/docs/apis/experiment/experiment-management-api-flags#remove-variant

        Args:
            id: the flag's or experiment's ID.
            variant: the variant's key.
            **options: see `RequestOptions`.

        Raises:
            NotFoundError: If the flag or the variant does not exist.
        """
        resource = self._for_call(self.remove, options)
        is_applied = partial(_is_removed, self._request(self.get, id=id, variant=variant))
        path = self._request(self.get, id=id, variant=variant).path
        write = resource._send_confirmed(self.remove, is_applied, id=id, variant=variant)
        await self._recorded(write, path, lambda recent: recent.forget_object(path))


def _record_creation(recent: RecentWrites, path: str) -> None:
    """Record a new variant, which includes nothing, even if reads still show an older one with its key."""
    recent.forget_object(path)
    recent.add_creation(path)
    for member in ("users", "cohorts"):
        recent.empty_list(f"{path}/{member}")


def _record_rename(recent: RecentWrites, *, old: str, new: str) -> None:
    """Record that a variant has moved from one path to another."""
    recent.forget_object(old)
    recent.forget_object(new)
    recent.add_creation(new)


def _parse_created(response: Response) -> Literal[True]:
    expect_ok(response)
    return True


async def _find_variant(read: Request, fields: Mapping[str, Any], write: AmbiguousWrite) -> Literal[True] | None:
    """Return True if an ambiguous creation made the variant, or None if the variant does not exist."""
    return True if await _has_variant(read, fields, write) else None


async def _has_variant(read: Request, fields: Mapping[str, Any], write: AmbiguousWrite) -> bool:
    """Return whether an ambiguous write has left a variant with these fields; False if it does not exist.

    Raises:
        OutcomeUnknownError: If it exists with other fields: it may be another one, or have been changed since.
    """
    try:
        async with write.transport().call(read) as response:
            variant = response.parse_object(Variant)
    except NotFoundError:
        return False
    if not matches(variant, fields):
        raise write.error(f"A variant {format_value(fields['key'])} exists, but differs from the request.")
    return True


async def _is_removed(read: Request, write: AmbiguousWrite) -> bool:
    try:
        await write.transport().send(read)
    except NotFoundError:
        return True
    return False
