"""The sections that are made of guarded edits alone: single segments, and single tags."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar, Unpack

import attrs

from amp_exp_async import validation
from amp_exp_async.models import FlagConfig, Segment
from amp_exp_async.resources import KindResource, SegmentLike

from . import segments
from .guarded import Guarded
from .segments import Case, SegmentEditParams

FlagConfigT_co = TypeVar("FlagConfigT_co", bound=FlagConfig, covariant=True)

_case = validation.one_of("exact", "ignore", "lower")


class AsyncSegments(KindResource[FlagConfigT_co]):
    """`client.flags.segments` and `client.experiments.segments`: one target segment at a time, by guarded edits.

    An edit replaces all target segments at once. These read them, change one, and write them back only if nobody else
    has changed the same one meanwhile; see `guarded_edit` for the requests and the errors.
    """

    async def add(self, id: str, segment: SegmentLike) -> FlagConfigT_co:
        """Add a segment at the end: a guarded edit. If exactly this segment is there already, nothing is written.

        Args:
            id: the flag's or experiment's id.
            segment: the segment, with a name that no other has.

        Returns:
            The flag or experiment as it was read after the write.

        Raises:
            InvalidInputError: there is another segment of this name, or a segment with a condition on a cohort.
            EditConflictError: somebody else has added another one of this name meanwhile.

        Example:
            `await client.flags.segments.add("123", Segment(name="Pilot", conditions=[], percentage=100))`
        """
        new = validation.segment("segment", segment)
        return await self._change(id, lambda present: segments.with_added(present, new))

    async def remove(self, id: str, segment: str) -> FlagConfigT_co:
        """Remove a segment: a guarded edit.

        Args:
            id: the flag's or experiment's id.
            segment: the segment's name.

        Returns:
            The flag or experiment as it was read after the write.

        Raises:
            InvalidInputError: there is none of this name, or several; or there is one with a condition on a cohort.
            EditConflictError: somebody else has changed it meanwhile.
        """
        name = validation.string("segment", segment)
        return await self._change(id, lambda present: segments.without(present, name))

    async def edit(self, id: str, segment: str, **changes: Unpack[SegmentEditParams]) -> FlagConfigT_co:
        """Change a segment: a guarded edit. A field left out is unchanged, and so is what the library does not know.

        Args:
            id: the flag's or experiment's id.
            segment: the segment's name.
            **changes: see `SegmentEditParams`. `conditions` and `rollout_weights` are replaced as a whole.

        Returns:
            The flag or experiment as it was read after the write.

        Raises:
            InvalidInputError: there is none of this name, or several; or there is one with a condition on a cohort.
            EditConflictError: somebody else has changed it meanwhile.

        Example:
            `await client.flags.segments.edit("123", "Pilot", percentage=50)`
        """
        name, changed = validation.string("segment", segment), segments.changes(changes)
        return await self._change(id, lambda present: segments.with_changed(present, name, changed))

    async def add_values(
        self, id: str, segment: str, prop: str, values: Iterable[str], *, case: Case, op: str = "is"
    ) -> FlagConfigT_co:
        """Add values, such as e-mail addresses, to one condition of one segment: a guarded edit.

        The condition has the present values and, after them, those that are not among them. All else in the segments
        stays as it is. If somebody else changes the same segment meanwhile, the values are added to what they made of
        it.

        Args:
            id: the flag's or experiment's id.
            segment: the segment's name.
            prop: the condition's property; custom ones carry the prefix `gp:`.
            values: the values to add, at least one.
            case: `exact`: values that differ in case only are different. `ignore`: one that is there in another case is
                not added, and new ones are added as they are given. `lower`: they are made lower case first, and then
                as `exact`. Values that are there are never changed.
            op: the condition's comparison.

        Returns:
            The flag or experiment as it was read after the write.

        Raises:
            InvalidInputError: there is not one such segment with one such condition; or there is a segment with a
                condition on a cohort.
            EditConflictError: the values were written, and somebody else has overwritten them at the same moment.

        Example:
            `await client.flags.segments.add_values("123", "Pilot", "gp:email", ["a@example.com"], case="ignore")`
        """
        name, prop, op = (
            validation.string("segment", segment),
            validation.string("prop", prop),
            validation.string("op", op),
        )
        added = validation.strings("values", values)
        if not added:
            validation.reject("values", "must hold at least one value")
        _case("case", case)
        return await self._change(
            id, lambda present: segments.with_values(present, name, (prop, op), added, case), again=True
        )

    async def _change(
        self, id: str, change: Callable[[list[Segment]], list[Segment]], *, again: bool = False
    ) -> FlagConfigT_co:
        def changed(toggle: FlagConfigT_co) -> FlagConfigT_co:  # type: ignore[misc]  # it is given, not asked for
            return attrs.evolve(toggle, target_segments=change(segments.of(toggle)))

        return await Guarded(self.transport, self.kind).edit(id, changed, again=again)


class AsyncTags(KindResource[FlagConfigT_co]):
    """`client.flags.tags` and `client.experiments.tags`: single tags, by guarded edits.

    An edit replaces all tags at once. These read them, and write them back with what others have added and removed
    meanwhile; see `guarded_edit` for the requests and the errors.
    """

    async def add(self, id: str, tags: Iterable[str]) -> FlagConfigT_co:
        """Add tags: a guarded edit. Those that are there already are no mistake.

        Args:
            id: the flag's or experiment's id.
            tags: the tags to add.

        Returns:
            The flag or experiment as it was read after the write.

        Raises:
            InvalidInputError: the service does not show the present tags, which would be lost.
            EditConflictError: the tags were written, and somebody else has overwritten them at the same moment.

        Example:
            `await client.flags.tags.add("123", ["reviewed"])`
        """
        added = _tags(tags)
        return await self._change(id, lambda present: list(dict.fromkeys([*present, *added])))

    async def remove(self, id: str, tags: Iterable[str]) -> FlagConfigT_co:
        """Remove tags: a guarded edit. Those that are not there are no mistake.

        Args:
            id: the flag's or experiment's id.
            tags: the tags to remove.

        Returns:
            The flag or experiment as it was read after the write.

        Raises:
            EditConflictError: they were removed, and somebody else has written them back at the same moment.
        """
        removed = set(_tags(tags))
        return await self._change(id, lambda present: [tag for tag in present if tag not in removed])

    async def _change(self, id: str, change: Callable[[list[str]], list[str]]) -> FlagConfigT_co:
        def changed(toggle: FlagConfigT_co) -> FlagConfigT_co:  # type: ignore[misc]  # it is given, not asked for
            present = list(toggle.tags or ())
            wanted = change(present)
            return toggle if wanted == present else attrs.evolve(toggle, tags=wanted)

        return await Guarded(self.transport, self.kind).edit(id, changed)


def _tags(tags: Iterable[str]) -> list[str]:
    given = validation.strings("tags", tags)
    return given or validation.reject("tags", "must hold at least one tag")
