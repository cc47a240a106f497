"""The versions of a flag or experiment."""

from __future__ import annotations

from amp_exp_async import validation
from amp_exp_async.models import Version
from amp_exp_async.pagination import AsyncPager

from ._base import FlagConfigT_co, KindResource


class AsyncVersions(KindResource[FlagConfigT_co]):
    """`client.flags.versions` and `client.experiments.versions`."""

    def list(self, id: str) -> AsyncPager[Version[FlagConfigT_co]]:
        """All versions, newest first: `GET /{kind}/{id}/versions`, one request.

        Args:
            id: the flag's or experiment's id.
        """
        return self._array(self._kind.version, self._path(id, "versions"))

    async def get(self, id: str, version: int | str) -> Version[FlagConfigT_co]:
        """One version: `GET /{kind}/{id}/versions/{version}`.

        Args:
            id: the flag's or experiment's id.
            version: the version's number.

        Raises:
            NotFoundError: there is no such flag or version.
        """
        return await self._get(
            self._kind.version, self._path(id, "versions", validation.identifier("version", version))
        )
