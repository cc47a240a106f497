"""From keys to ids: flags and experiments that operations name by key, looked up with few list requests."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from contextlib import aclosing

from attrs import define, field

from amp_exp_async.errors import AmpExpError, InvalidInputError, NotFoundError
from amp_exp_async.matching import exactly_one
from amp_exp_async.models import UNSET, FlagConfig

from .operations import KindName, Lookup
from .protocols import Resources

_PAGE = 1000
_MOST_MISSING = 1_000  # keys that are remembered not to be there
_MOST_CREATED = 10_000  # ids of created flags that are kept, to save looking them up


class Names:
    """The ids of the keys met so far."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._listings: dict[tuple[KindName, str | None], _Listing] = {}
        self._created: dict[Lookup, str] = {}
        self._lock = asyncio.Lock()

    def is_known(self, lookup: Lookup) -> bool:
        """Whether the id of a key is there without a request."""
        return self._known(lookup) is not None

    def add(self, lookup: Lookup, id: str) -> None:
        """Note what has just been created."""
        self._created[lookup] = id
        for listing in self._listings.values():
            listing.missing.pop(lookup[2], None)
        if len(self._created) > _MOST_CREATED:
            del self._created[next(iter(self._created))]

    async def resolve(self, lookup: Lookup, upcoming: Collection[Lookup] = ()) -> str:
        """The id of a key.

        One key is looked for by itself. For several of a project its list is read, by pages of 1,000 and no further
        than needed, but not more pages than keys are wanted: then these are looked for one by one.

        Args:
            lookup: what is looked up.
            upcoming: what will be looked up next, as far as that is known.

        Raises:
            NotFoundError: there is none.
            InvalidInputError: there are several.
            AmpExpError: a request failed.
        """
        kind, project_id, key = lookup
        async with self._lock:
            listing = self._listings.setdefault((kind, project_id), _Listing())
            wanted = {other for other in {lookup, *upcoming} if other[:2] == lookup[:2] and not self.is_known(other)}
            # One page for one more key, where others may follow that are not known yet.
            pages = len(wanted) if len(wanted) > 1 else min(listing.asked, 1)
            while pages and not listing.complete and not all(map(self.is_known, wanted)):
                await self._read_page(kind, project_id, listing)
                pages -= 1
            known = self._known(lookup)
            if known is None:
                known = listing.certain[key] = await self._ask(lookup, listing)
            return known

    async def _ask(self, lookup: Lookup, listing: _Listing) -> str:
        """Look for one key by itself. One that has been archived will do where there is no other."""
        kind, project_id, key = lookup
        if key in listing.missing:
            # It would keep the trace of each time that it is raised.
            raise listing.missing[key].with_traceback(None)
        toggles = self._resources[kind]
        project = UNSET if project_id is None else project_id
        listing.asked += 1
        found: list[FlagConfig] = [
            toggle async for toggle in toggles.list(key=key, project_id=project, include_archived=True)
        ]
        active = [toggle for toggle in found if not toggle.deleted]
        try:
            return exactly_one(kind, active or found, key, project_id).id
        except (NotFoundError, InvalidInputError) as error:
            if len(listing.missing) < _MOST_MISSING:
                listing.missing[key] = error
            raise

    def _known(self, lookup: Lookup) -> str | None:
        kind, project_id, key = lookup
        if lookup in self._created:
            return self._created[lookup]
        listing = self._listings.get((kind, project_id))
        if listing is None:
            return None
        # As long as there are projects that have not been read, another one may have the key too.
        listed = listing.listed.get(key, []) if project_id is not None or listing.complete else []
        return listed[0] if len(listed) == 1 else listing.certain.get(key)

    async def _read_page(self, kind: KindName, project_id: str | None, listing: _Listing) -> None:
        project = UNSET if project_id is None else project_id
        toggles = self._resources[kind]
        async with aclosing(toggles.list(project_id=project, limit=_PAGE, cursor=listing.cursor).pages()) as pages:
            page = await anext(pages)
        for toggle in page.items:
            listing.listed.setdefault(toggle.key, []).append(toggle.id)
        listing.cursor, listing.complete = page.next_cursor, page.next_cursor is None


@define
class _Listing:
    """What has been read of all flags or experiments of a project, or of all projects."""

    cursor: str | None = None
    complete: bool = False
    listed: dict[str, list[str]] = field(factory=dict[str, list[str]])
    certain: dict[str, str] = field(factory=dict[str, str])
    missing: dict[str, AmpExpError] = field(factory=dict[str, AmpExpError])
    asked: int = 0
