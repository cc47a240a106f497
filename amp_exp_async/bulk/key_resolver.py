"""The resolver of keys of flags and experiments to IDs, with few list requests."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import aclosing

import anyio
from attrs import define, field

from amp_exp_async import validation
from amp_exp_async.errors import AmpExpError, InvalidInputError, NotFoundError
from amp_exp_async.http import READ_INTERVAL, RecentWrites, build_path
from amp_exp_async.matching import exactly_one
from amp_exp_async.models import UNSET, FlagConfig, UnsetType

from .operations import FlagRef
from .protocols import FlagResource, Resources

_MAX_MISSING = 1_000  # keys that are remembered as missing
_MAX_CREATED = 10_000  # IDs of created flags that are kept


@define
class _ProjectIndex:
    """The known flags or experiments of a project, or of all projects.

    Attributes:
        cursor: where the list continues.
        complete: whether the list was read to its end.
        listed: the IDs that the list has for each key.
        resolved: the IDs of keys that were looked up one by one.
        missing: the errors of keys that could not be resolved.
        lookups: the number of keys that were looked up one by one.
    """

    cursor: str | None = None
    complete: bool = False
    listed: dict[str, list[str]] = field(factory=dict[str, list[str]])
    resolved: dict[str, str] = field(factory=dict[str, str])
    missing: dict[str, AmpExpError] = field(factory=dict[str, AmpExpError])
    lookups: int = 0


class KeyResolver:
    """The IDs of the flags and experiments that the operations of a run name by key."""

    def __init__(self, resources: Resources, recent: RecentWrites) -> None:
        """Prepare a resolver.

        Args:
            resources: send the requests.
            recent: the writes of the last seconds, which a list that is read may not show yet.
        """
        self._resources = resources
        self._recent = recent
        self._indexes: dict[tuple[str, str | None], _ProjectIndex] = {}
        self._created: dict[FlagRef, str] = {}
        self._created_by_key: dict[tuple[str, str], set[str]] = {}
        self._lock = anyio.Lock()

    def is_known(self, ref: FlagRef) -> bool:
        """Return whether a key can be resolved without a request."""
        return self._known_id(ref) is not None

    def add(self, ref: FlagRef, id: str) -> None:
        """Record the ID of a flag or experiment that was just created."""
        self._created[ref] = id
        self._created_by_key.setdefault((ref.kind, ref.key), set()).add(id)
        for index in self._indexes.values():
            index.missing.pop(ref.key, None)
        if len(self._created) > _MAX_CREATED:
            oldest = next(iter(self._created))
            del self._created[oldest]
            self._created_by_key.pop((oldest.kind, oldest.key), None)

    async def resolve(self, ref: FlagRef, lookahead: Collection[FlagRef] = ()) -> str:
        """Return the ID of a key.

        A single key is looked up directly. For several keys of a project its list is read, in pages of 1,000 and no
        further than needed, but not more pages than there are keys: the rest is looked up one by one.

        Args:
            ref: the flag or experiment to resolve.
            lookahead: those that will be resolved next, as far as they are known.

        Raises:
            NotFoundError: If no flag or experiment has the key.
            InvalidInputError: If several have the key.
            AmpExpError: If a request failed.
        """
        async with self._lock:
            index = self._indexes.setdefault(ref[:2], _ProjectIndex())
            unknown = {other for other in {ref, *lookahead} if other[:2] == ref[:2] and not self.is_known(other)}
            # After an earlier lookup, read one page for a single key too: more keys may follow.
            pages = len(unknown) if len(unknown) > 1 else min(index.lookups, 1)
            while pages and not index.complete and not all(map(self.is_known, unknown)):
                await _read_page(self._resources[ref.kind], ref.project_id, index)
                pages -= 1
            id = self._known_id(ref)
            if id is None:
                id = index.resolved[ref.key] = await self._look_up(ref, index)
            return id

    async def _look_up(self, ref: FlagRef, index: _ProjectIndex) -> str:
        """Look up one key. An archived flag counts only if no other has the key."""
        if ref.key in index.missing:
            # Without this, the error would keep the traceback of each time that it is raised.
            raise index.missing[ref.key].with_traceback(None)
        index.lookups += 1
        live = await self._list(ref)
        while self._lags(ref, {flag.id for flag in live}):
            await anyio.sleep(READ_INTERVAL)
            live = await self._list(ref)
        active = [flag for flag in live if not flag.deleted]
        try:
            return exactly_one(ref.kind, active or live, ref.key, ref.project_id).id
        except (NotFoundError, InvalidInputError) as error:
            if len(index.missing) < _MAX_MISSING:
                index.missing[ref.key] = error
            raise

    async def _list(self, ref: FlagRef) -> list[FlagConfig]:
        listing = self._resources[ref.kind].list(
            key=ref.key, project_id=_optional(ref.project_id), include_archived=True
        )
        return [flag async for flag in listing]

    def _lags(self, ref: FlagRef, listed: Collection[str]) -> bool:
        """Return whether a list lacks a flag with the key that the run has created just now, in any project."""
        created = self._created_by_key.get((ref.kind, ref.key), ())
        return any(id not in listed and self._recent.is_new(build_path(ref.kind, id)) for id in created)

    def _known_id(self, ref: FlagRef) -> str | None:
        if ref in self._created:
            return self._created[ref]
        index = self._indexes.get(ref[:2])
        if index is None:
            return None
        listed = index.listed.get(ref.key, [])
        # Until all projects are listed, a project that is not listed yet may have the key too.
        if ref.project_id is None and (not index.complete or self._lags(ref, listed)):
            listed = []
        return listed[0] if len(listed) == 1 else index.resolved.get(ref.key)


async def _read_page(flags: FlagResource, project_id: str | None, index: _ProjectIndex) -> None:
    listing = flags.list(project_id=_optional(project_id), limit=validation.MAX_PAGE, cursor=index.cursor)
    async with aclosing(listing.pages()) as pages:
        page = await anext(pages)
    for flag in page.items:
        ids = index.listed.setdefault(flag.key, [])
        if flag.id not in ids:  # a flag that moves while the list is read is on two pages
            ids.append(flag.id)
    index.cursor, index.complete = page.next_cursor, page.next_cursor is None


def _optional(project_id: str | None) -> str | UnsetType:
    return UNSET if project_id is None else project_id
