"""Who gets a variant by name: users and devices, and cohorts."""

from __future__ import annotations

from collections.abc import Iterable

from amp_exp_async import validation
from amp_exp_async.http import Idempotency
from amp_exp_async.models import FlagConfig
from amp_exp_async.pagination import AsyncPager

from ._base import KindResource


class _Inclusions(KindResource[FlagConfig]):
    def _inclusions_path(self, id: str, variant: str, *rest: str) -> str:
        return self._path(id, "variants", validation.key("variant", variant), *rest)

    async def _add(self, id: str, variant: str, what: str, ids: Iterable[str]) -> None:
        fields = {"inclusions": validation.ids(what, ids, validation.MAX_ADDED)}
        await self._send("POST", self._inclusions_path(id, variant, what), fields)

    async def _remove(self, id: str, variant: str, what: str, ids: Iterable[str]) -> None:
        # The field is named `users` for cohorts too.
        fields = {"users": validation.ids(what, ids, validation.MAX_REMOVED)}
        await self._send("DELETE", self._inclusions_path(id, variant, f"bulk-delete-{what}"), fields)


class AsyncUsers(_Inclusions):
    """`client.flags.users` and `client.experiments.users`: the users and devices included in a variant, by id."""

    def list(self, id: str, variant: str) -> AsyncPager[str]:
        """The ids included: `GET /{kind}/{id}/variants/{variant}/users`, one request.

        Args:
            id: the flag's or experiment's id.
            variant: the variant's key.
        """
        return self._identifiers(self._inclusions_path(id, variant, "users"))

    async def add(self, id: str, variant: str, users: Iterable[str]) -> None:
        """Include users or devices: `POST /{kind}/{id}/variants/{variant}/users`. Those already included stay.

        Args:
            id: the flag's or experiment's id.
            variant: the variant's key.
            users: user or device ids (not e-mail addresses, unless these are your user ids), 1 to 2,000 of them.

        Raises:
            BadRequestError: the variant would have more than 2,000 inclusions. None was added.
        """
        await self._add(id, variant, "users", users)

    async def remove(self, id: str, variant: str, users: Iterable[str]) -> None:
        """Remove users or devices by id: `DELETE /{kind}/{id}/variants/{variant}/bulk-delete-users`, one request.

        Args:
            id: the flag's or experiment's id.
            variant: the variant's key.
            users: user or device ids, 1 to 100 of them.
        """
        await self._remove(id, variant, "users", users)

    async def remove_at(self, id: str, variant: str, index: int) -> None:
        """Remove the user at a place of the list: `DELETE /{kind}/{id}/variants/{variant}/users/{index}`.

        Prefer `remove`: places shift when anybody else changes the list. It is never sent twice.

        Args:
            id: the flag's or experiment's id.
            variant: the variant's key.
            index: the place in `list`, from 0.

        Raises:
            OutcomeUnknownError: the reply was lost. Read the list before you try again.
        """
        path = self._inclusions_path(id, variant, "users", str(validation.index("index", index)))
        await self._send("DELETE", path, idempotency=Idempotency.NON_IDEMPOTENT)

    async def remove_all(self, id: str, variant: str) -> None:
        """Remove all users and devices of a variant: `DELETE /{kind}/{id}/variants/{variant}/users`.

        Args:
            id: the flag's or experiment's id.
            variant: the variant's key.
        """
        await self._send("DELETE", self._inclusions_path(id, variant, "users"))


class AsyncCohorts(_Inclusions):
    """`client.flags.cohorts` and `client.experiments.cohorts`: the cohorts included in a variant, by id."""

    def list(self, id: str, variant: str) -> AsyncPager[str]:
        """The cohort ids included: `GET /{kind}/{id}/variants/{variant}/cohorts`, one request.

        Args:
            id: the flag's or experiment's id.
            variant: the variant's key.
        """
        return self._identifiers(self._inclusions_path(id, variant, "cohorts"))

    async def add(self, id: str, variant: str, cohorts: Iterable[str]) -> None:
        """Include cohorts: `POST /{kind}/{id}/variants/{variant}/cohorts`. Those already included stay.

        Args:
            id: the flag's or experiment's id.
            variant: the variant's key.
            cohorts: cohort ids, 1 to 2,000 of them.
        """
        await self._add(id, variant, "cohorts", cohorts)

    async def remove(self, id: str, variant: str, cohorts: Iterable[str]) -> None:
        """Remove cohorts by id: `DELETE /{kind}/{id}/variants/{variant}/bulk-delete-cohorts`, one request.

        Args:
            id: the flag's or experiment's id.
            variant: the variant's key.
            cohorts: cohort ids, 1 to 100 of them.
        """
        await self._remove(id, variant, "cohorts", cohorts)
