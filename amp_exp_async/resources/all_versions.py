"""The versions of all flags and experiments."""

from __future__ import annotations

from datetime import datetime

from amp_exp_async import validation
from amp_exp_async.http import build_path
from amp_exp_async.models import UNSET, FlagConfig, UnsetType, Version
from amp_exp_async.pagination import AsyncPager
from amp_exp_async.validation import Validator

from ._base import Resource

_LISTING: dict[str, Validator] = {
    "start": validation.aware_datetime,
    "end": validation.aware_datetime,
    "limit": validation.limit,
}


class AsyncProjectVersions(Resource):
    """`client.versions`: what has changed in all projects that the key sees."""

    def list(
        self,
        *,
        start: datetime | UnsetType = UNSET,
        end: datetime | UnsetType = UNSET,
        limit: int | UnsetType = UNSET,
        cursor: str | int | None = None,
    ) -> AsyncPager[Version[FlagConfig]]:
        """The versions of all flags and experiments, newest first: `GET /versions`, page by page.

        The `config` of each is a `Flag`, or an `Experiment` where the service shows what only experiments have.

        Args:
            start: only those made then or later: an aware datetime.
            end: only those made before: an aware datetime.
            limit: the size of a page, 1 to 1,000; without it the service decides.
            cursor: a page's `next_cursor`, to go on from there.

        Example:
            `async for version in client.versions.list(start=datetime(2026, 11, 1, tzinfo=UTC)): print(version)`
        """
        query = validation.fields(_LISTING, {"start": start, "end": end, "limit": limit})
        if "start" in query and "end" in query and query["start"] >= query["end"]:
            validation.reject("end", "must come after start", end)
        return self._paged(Version[FlagConfig], "versions", build_path("versions"), query, cursor)
