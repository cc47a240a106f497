"""Reading, changing, and writing only where nobody else has changed the same meanwhile."""

from __future__ import annotations

import copy
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeAlias, TypeVar, cast

from amp_exp_async import validation
from amp_exp_async.errors import AmpExpError, EditConflictError, InvalidInputError
from amp_exp_async.models import FlagConfig
from amp_exp_async.resources import KindResource

from .fields import difference, equal, refuse_cohorts, refuse_unseen, table_of, value_of
from .merging import Overlap, merge, missing
from .showing import shown

FlagConfigT_co = TypeVar("FlagConfigT_co", bound=FlagConfig, covariant=True)
FlagConfigT = TypeVar("FlagConfigT", bound=FlagConfig)

Change: TypeAlias = Callable[[FlagConfigT], FlagConfigT | Awaitable[FlagConfigT]]
"""Takes a flag or experiment, and gives a changed copy of it."""


class Guarded(KindResource[FlagConfigT_co]):
    """Guarded edits of flags or experiments."""

    async def read(self, id: str) -> FlagConfigT_co:
        """It as it is now."""
        return await self._get(self.kind.model, self._path(id))

    async def edit(
        self,
        id: str,
        change: Callable[[FlagConfigT_co], FlagConfigT_co | Awaitable[FlagConfigT_co]],
        *,
        base: FlagConfig | None = None,
        dry_run: bool = False,
        again: bool = False,
    ) -> FlagConfigT_co:
        """Read it, change it, and write what has changed.

        Args:
            id: the id.
            change: gives a changed copy.
            base: the flag or experiment as it was read earlier; without it, it is read now.
            dry_run: whether to return the changed copy and write nothing.
            again: whether the change may be made again, of what is there just before the write, in place of merging.
                It must be one that changes nothing the second time.

        Raises:
            InvalidInputError: the change is none that an edit can make.
            EditConflictError: somebody else has changed the same.
        """
        before = await self.read(id) if base is None else self.checked_base(id, base)
        edited = change(copied(before))
        if inspect.isawaitable(edited):
            edited = await edited
        if dry_run:
            difference(before, edited)
            return edited
        repeat = cast("Callable[[FlagConfigT_co], FlagConfigT_co]", change) if again else None
        return await self.write(id, before, edited, repeat)

    def checked_base(self, id: str, base: FlagConfig) -> FlagConfigT_co:
        """Return the earlier reading that an edit starts from.

        Raises:
            InvalidInputError: If it is not a reading of this flag or experiment.
        """
        if not isinstance(base, self.kind.model) or base.id != validation.identifier("id", id):
            validation.reject("base", f"must be the {self.kind.model.__name__} with the ID {id}, as it was read")
        return base

    async def write(
        self, id: str, base: FlagConfig, edited: Any, again: Callable[[Any], FlagConfig] | None = None
    ) -> FlagConfigT_co:
        """Write what a changed copy has changed, and read it back.

        Args:
            id: the id.
            base: as it was read.
            edited: the changed copy.
            again: makes the same change of another reading.

        Raises:
            InvalidInputError: the change is none that an edit can make.
            EditConflictError: somebody else has changed the same.
        """
        ours = difference(base, edited)
        if not ours:
            return cast("FlagConfigT_co", base)
        path = self._path(id)
        async with self._alone(path):
            latest = await self.read(id)
            wanted = difference(latest, again(latest)) if again else _merged(path, base, ours, latest)
            if not wanted:
                return latest
            await self._send("PATCH", path, validation.changes(table_of(base), wanted))
            try:
                now = await self.read(id)
            except AmpExpError as error:
                error.add_note(f"PATCH {path} was carried out; only reading it back has failed.")
                raise
        _verify(path, latest, wanted, now, again)
        return now

    @asynccontextmanager
    async def _alone(self, path: str) -> AsyncGenerator[None, None]:
        """Keep other guarded edits of this client from the same flag."""
        guards = self._transport.connection.guards
        await guards.acquire(path, None)
        try:
            yield
        finally:
            guards.release(path)


def copied(toggle: FlagConfigT) -> FlagConfigT:
    """A copy to change: a list inside it may be changed in place, and must still be seen to differ."""
    return copy.deepcopy(toggle)


def _merged(path: str, base: FlagConfig, ours: Mapping[str, Any], latest: FlagConfig) -> dict[str, Any]:
    """What is still to be written."""
    refuse_unseen(latest, ours)
    before, theirs = ({field: value_of(toggle, field) for field in ours} for toggle in (base, latest))
    merged, overlaps = merge(before, ours, theirs)
    if overlaps:
        raise _conflict(
            f"PATCH {path} was not sent, since somebody else has changed the same since it was read", overlaps
        )
    wanted = {field: value for field, value in merged.items() if not equal(value, theirs[field])}
    if "target_segments" in wanted:
        refuse_cohorts(*(latest.target_segments or ()))
    return wanted


def _verify(
    path: str,
    before: FlagConfig,
    written: Mapping[str, Any],
    now: FlagConfig,
    again: Callable[[Any], FlagConfig] | None,
) -> None:
    """Make sure that what was written is there."""
    sides = ({field: value_of(toggle, field) for field in written} for toggle in (before, now))
    base, theirs = sides
    overlaps = missing(base, written, theirs)
    if overlaps and again is not None and _is_settled(again, now):
        return
    if overlaps:
        raise _conflict(
            f"PATCH {path} was carried out, and is not there now: somebody else has written at the same moment",
            overlaps,
            written=True,
        )


def _is_settled(again: Callable[[Any], FlagConfig], now: FlagConfig) -> bool:
    try:
        return not difference(now, again(now))
    except InvalidInputError:
        return False


def _conflict(what: str, overlaps: Sequence[Overlap], *, written: bool = False) -> EditConflictError:
    first = overlaps[0]
    ours, theirs = (
        "; ".join(shown(first.field, first.base, side)) or f"{first.field}: as it was"
        for side in (first.ours, first.theirs)
    )
    others = [overlap.field for overlap in overlaps[1:]]
    also = f" Likewise {', '.join(others)}." if others else ""
    return EditConflictError(
        f"{what}. You: {ours}. They: {theirs}.{also} Read it again, and decide which is right.",
        field=first.field,
        base=first.base,
        ours=first.ours,
        theirs=first.theirs,
        written=written,
    )
