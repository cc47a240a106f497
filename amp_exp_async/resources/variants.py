"""The variants of a flag or experiment."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Literal

from amp_exp_async import serialization, validation
from amp_exp_async.errors import AmpExpError, ClientClosedError, NotFoundError
from amp_exp_async.http import AmbiguousWrite, AmbiguousWriteError, Idempotency, Request
from amp_exp_async.matching import matches
from amp_exp_async.models import UNSET, FlagConfig, Maybe, UnsetType, Variant
from amp_exp_async.pagination import AsyncPager
from amp_exp_async.params import VARIANT

from ._base import KindResource, acknowledged
from .reconcile import poll


class AsyncVariants(KindResource[FlagConfig]):
    """`client.flags.variants` and `client.experiments.variants`."""

    def list(self, id: str) -> AsyncPager[Variant]:
        """All variants, with payloads and weights: `GET /{kind}/{id}/variants`, one request.

        Args:
            id: the flag's or experiment's id.
        """
        return self._array(Variant, self._path(id, "variants"))

    async def get(self, id: str, variant: str) -> Variant:
        """One variant: `GET /{kind}/{id}/variants/{variant}`.

        Args:
            id: the flag's or experiment's id.
            variant: the variant's key.

        Raises:
            NotFoundError: there is no such flag or variant.
        """
        return await self._get(Variant, self._variant_path(id, variant))

    async def create(
        self,
        id: str,
        *,
        key: str,
        name: Maybe[str] = UNSET,
        description: Maybe[str] = UNSET,
        payload: Any = UNSET,
        rollout_weight: float | UnsetType = UNSET,
    ) -> None:
        """Create a variant: `POST /{kind}/{id}/variants`.

        It is never sent twice. When the reply is lost, the variant is read back to settle whether it was created.

        Args:
            id: the flag's or experiment's id.
            key: the new variant's key: letters, digits, `_` and `-`.
            name: the name shown in the app.
            description: what it is for.
            payload: any JSON value; `None` is a payload of null.
            rollout_weight: its share of the users whom no segment targets.

        Raises:
            BadRequestError: the service refused it, for example since the key exists.
            OutcomeUnknownError: the reply was lost and reading back could not settle it.

        Example:
            `await client.flags.variants.create("123", key="on", payload={"colour": "green"})`
        """
        key = validation.key("key", key)
        given = {"name": name, "description": description, "payload": payload, "rollout_weight": rollout_weight}
        fields: dict[str, Any] = {"key": key, **validation.fields(VARIANT, given)}
        path = self._variant_path(id, key)
        async with self._transport.serialized(self._creation(self._path(id, "variants"), fields)) as write:
            try:
                await write.send(acknowledged)
            except AmbiguousWriteError as error:
                ambiguous = error.write
            else:
                return
            await poll(ambiguous, partial(_find_created, ambiguous, path, fields), f"variant {key!r}")

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
    ) -> None:
        """Change a variant: `PATCH /{kind}/{id}/variants/{variant}`. A field left out is unchanged.

        Args:
            id: the flag's or experiment's id.
            variant: the variant's key.
            key: a new key.
            name: the name shown in the app.
            description: what it is for.
            payload: any JSON value, which replaces the old payload; `None` is a payload of null.
            rollout_weight: its share of the users whom no segment targets.

        Raises:
            InvalidInputError: nothing would change.
            NotFoundError: there is no such flag or variant.
        """
        given = {"name": name, "description": description, "payload": payload, "rollout_weight": rollout_weight}
        fields = validation.changes(VARIANT, {"key": key, **given})
        new_path = self._variant_path(id, variant if key is UNSET else key)
        path = self._variant_path(id, variant)
        idempotency = Idempotency.IDEMPOTENT if new_path == path else Idempotency.RENAME
        request = Request("PATCH", path, body=serialization.encode(fields), idempotency=idempotency)
        async with self._transport.serialized(request) as write:
            try:
                await write.send(acknowledged)
            except AmbiguousWriteError as error:
                ambiguous = error.write
            else:
                return
            await _confirm_rename(ambiguous, new_path)

    async def remove(self, id: str, variant: str) -> None:
        """Remove a variant, its inclusions with it: `DELETE /{kind}/{id}/variants/{variant}`.

        Args:
            id: the flag's or experiment's id.
            variant: the variant's key.

        Raises:
            NotFoundError: there is no such flag or variant.
        """
        await self._send("DELETE", self._variant_path(id, variant), idempotency=Idempotency.DELETE)

    def _variant_path(self, id: str, variant: str) -> str:
        return self._path(id, "variants", validation.key("variant", variant))


async def _find_created(write: AmbiguousWrite, path: str, fields: Mapping[str, Any]) -> Literal[True] | None:
    """Return True if an ambiguous creation has made the variant, or None if it does not exist."""
    try:
        variant = (await write.transport().send(Request("GET", path))).parse_object(Variant)
    except NotFoundError:
        return None
    if not matches(variant, fields):
        raise write.error(f"A variant {fields['key']!r} exists, and is not as it was to be created.")
    return True


async def _confirm_rename(write: AmbiguousWrite, path: str) -> None:
    """Raise the 404 of a repeated rename, unless the variant has its new key: an earlier attempt has renamed it."""
    try:
        await write.transport().send(Request("GET", path))
    except NotFoundError:
        raise write.cause from None
    except ClientClosedError:
        raise
    except AmpExpError as error:
        raise write.error(f"Looking for the new key failed ({type(error).__name__}).") from write.cause


def _variant(body: bytes) -> Variant:
    return serialization.parse_object(Variant, body)
