"""Versions: of one flag or experiment, and of all projects."""

from __future__ import annotations

from collections.abc import Hashable
from datetime import datetime
from typing import Unpack

from amp_exp_async import validation
from amp_exp_async.models import UNSET, FlagConfig, UnsetType, Version
from amp_exp_async.pagination import AsyncPager
from amp_exp_async.params import RequestOptions
from amp_exp_async.validation import Validator

from .base import CollectionResource, FlagConfigT_co, Resource, operation

_FILTERS: dict[str, Validator] = {
    "start": validation.aware_datetime,
    "end": validation.aware_datetime,
    "limit": validation.limit,
}


class AsyncVersions(CollectionResource[FlagConfigT_co]):
    """`client.flags.versions` and `client.experiments.versions`."""

    @operation("GET", "/{kind}/{id}/versions")
    def list(self, id: str, **options: Unpack[RequestOptions]) -> AsyncPager[Version[FlagConfigT_co]]:
        """List versions, newest first: `GET /{kind}/{id}/versions`, one request.

        API reference: https://amplitude.com/docs/apis/experiment/experiment-management-api-flags#list-versions

        Args:
            id: the flag's or experiment's ID.
            **options: see `RequestOptions`.
        """
        return self._for_call(self.list, options)._list(self.list, self._collection.version, id=id)

    @operation("GET", "/{kind}/{id}/versions/{version}")
    async def get(self, id: str, version: int | str, **options: Unpack[RequestOptions]) -> Version[FlagConfigT_co]:
        """Get a version: `GET /{kind}/{id}/versions/{version}`.

        API reference: https://amplitude.com/docs/apis/experiment/experiment-management-api-flags#get-version-details

        Args:
            id: the flag's or experiment's ID.
            version: the version's number.
            **options: see `RequestOptions`.

        Raises:
            NotFoundError: If the flag or the version does not exist.
        """
        return await self._for_call(self.get, options)._get(self.get, self._collection.version, id=id, version=version)


class AsyncProjectVersions(Resource):
    """`client.versions`: the changes in all projects visible to the API key."""

    @operation("GET", "/versions")
    def list(
        self,
        *,
        start: datetime | UnsetType = UNSET,
        end: datetime | UnsetType = UNSET,
        limit: int | UnsetType = UNSET,
        cursor: str | int | None = None,
        **options: Unpack[RequestOptions],
    ) -> AsyncPager[Version[FlagConfig]]:
        """List versions of all flags and experiments, newest first: `GET /versions`, page by page.

        The `config` of a version is an `Experiment` if it has fields that only experiments have, otherwise a `Flag`.

        API reference: https://amplitude.com/docs/apis/experiment/experiment-management-api-version-endpoints#list-versions

        Args:
            start: only versions created at this time or later; an aware datetime.
            end: only versions created before this time; an aware datetime.
            limit: the page size, 1 to 1,000. By default the service decides.
            cursor: the `next_cursor` of a page, to continue from there.
            **options: see `RequestOptions`.

        Example:
            `async for version in client.versions.list(start=datetime(2026, 11, 1, tzinfo=UTC)): print(version)`
        """
        resource = self._for_call(self.list, options)
        query = validation.fields(_FILTERS, {"start": start, "end": end, "limit": limit})
        if "start" in query and "end" in query and query["start"] >= query["end"]:
            validation.reject("end", "must be after start", query["end"])
        return resource._paginate(self.list, Version[FlagConfig], "versions", query, cursor, identify=_identify)


def _identify(version: Version[FlagConfig]) -> Hashable:
    # Flags and experiments are numbered independently.
    return type(version.config), version.config.id, version.version
