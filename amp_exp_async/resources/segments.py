"""Single target segments and single tags, changed by guarded edits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias, TypedDict, TypeVar, Unpack

import attrs

from amp_exp_async import validation
from amp_exp_async.formatting import format_value
from amp_exp_async.models import Condition, FlagConfig, Maybe, Segment, UnsetType
from amp_exp_async.params import SegmentLike
from amp_exp_async.validation import Validator

from .base import CollectionResource
from .optimistic import OptimisticEdit

FlagConfigT_co = TypeVar("FlagConfigT_co", bound=FlagConfig, covariant=True)

CasePolicy: TypeAlias = Literal["exact", "ignore", "lower"]
"""How `add_values` treats upper and lower case."""


class SegmentEditParams(TypedDict, total=False):
    """The fields that `segments.edit` can change. An omitted field is unchanged; `None` is sent as null.

    Attributes:
        name: a new name.
        conditions: replaces all conditions.
        percentage: 0 to 100, the share of the matching users who get a variant.
        rollout_weights: variant key to weight; replaces all weights.
        bucketing_key: the property that assigns users to buckets.
    """

    name: str | UnsetType
    conditions: Iterable[Condition | Mapping[str, Any]] | UnsetType
    percentage: float | UnsetType
    rollout_weights: Mapping[str, float] | UnsetType
    bucketing_key: Maybe[str]


_EDIT: dict[str, Validator] = {
    "name": validation.string,
    "conditions": validation.list_of(validation.condition),
    "percentage": validation.percentage,
    "rollout_weights": validation.weights,
    "bucketing_key": validation.nullable(validation.string),
}
_case_policy = validation.one_of("exact", "ignore", "lower")


class AsyncSegments(CollectionResource[FlagConfigT_co]):
    """`client.flags.segments` and `client.experiments.segments`: single target segments, changed by guarded edits.

    An edit replaces all target segments at once. These methods read the segments, change one, and write them back,
    unless someone else changed the same segment in between. `guarded_edit` describes the requests and the errors.
    """

    async def add(self, id: str, segment: SegmentLike) -> FlagConfigT_co:
        """Add a segment at the end, by a guarded edit. If an identical segment exists, nothing is written.

        Args:
            id: the flag's or experiment's ID.
            segment: the segment, with conditions, a percentage, rollout weights, and a name that no other segment has.

        Returns:
            The flag or experiment as read after the write.

        Raises:
            InvalidInputError: If another segment has this name, or a segment has a cohort condition.
            EditConflictError: If someone else added a different segment with this name.

        Example:
            `await client.flags.segments.add("123", Segment("Pilot", [], 100, rollout_weights={"on": 1}))`
        """
        new = validation.segment("segment", segment)
        return await self._edit(id, lambda segments: add_segment(segments, new))

    async def remove(self, id: str, segment: str) -> FlagConfigT_co:
        """Remove a segment, by a guarded edit.

        Args:
            id: the flag's or experiment's ID.
            segment: the segment's name.

        Returns:
            The flag or experiment as read after the write.

        Raises:
            InvalidInputError: If not exactly one segment has this name, or a segment has a cohort condition.
            EditConflictError: If someone else changed the segment.
        """
        name = validation.existing_string("segment", segment)
        return await self._edit(id, lambda segments: remove_segment(segments, name))

    async def edit(self, id: str, segment: str, **changes: Unpack[SegmentEditParams]) -> FlagConfigT_co:
        """Change a segment, by a guarded edit. Omitted fields, and fields unknown to the library, are unchanged.

        Args:
            id: the flag's or experiment's ID.
            segment: the segment's name.
            **changes: see `SegmentEditParams`. `conditions` and `rollout_weights` are replaced as a whole.

        Returns:
            The flag or experiment as read after the write.

        Raises:
            InvalidInputError: If not exactly one segment has this name, or a segment has a cohort condition.
            EditConflictError: If someone else changed the segment.

        Example:
            `await client.flags.segments.edit("123", "Pilot", percentage=50)`
        """
        name, values = validation.existing_string("segment", segment), validation.changes(_EDIT, changes)
        return await self._edit(id, lambda segments: update_segment(segments, name, values))

    async def add_values(
        self,
        id: str,
        segment: str,
        prop: str,
        values: Iterable[str],
        *,
        case: CasePolicy,
        op: str = "is",
        base: FlagConfig | None = None,
        dry_run: bool = False,
    ) -> FlagConfigT_co:
        """Add values, such as e-mail addresses, to one condition of one segment, by a guarded edit.

        New values are appended to the condition's values; everything else in the segments stays unchanged. If someone
        else changes the same segment in between, the values are added to their version of it.

        Args:
            id: the flag's or experiment's ID.
            segment: the segment's name.
            prop: the condition's property. Custom properties have the prefix `gp:`.
            values: the values to add, at least one. A value that no user can have is rejected: a blank or padded one,
                several addresses in one, text in quotes or with a line break, an address with a name, and what a
                spreadsheet made, such as `#N/A`. If `prop` is `user_id` or `device_id` and `op` is `is` or `is not`,
                the rules for new IDs hold.
            case: `exact` compares values as they are. `ignore` skips a value that exists in another case. `lower`
                converts new values to lower case, then compares as `exact`. Existing values are never changed.
            op: the condition's operator.
            base: an earlier reading of the flag or experiment; see `guarded_edit`.
            dry_run: whether to return the changed copy without writing it; see `guarded_edit`.

        Returns:
            The flag or experiment as read after the write. In a dry run, the changed copy.

        Raises:
            InvalidInputError: If not exactly one such segment with one such condition exists, or a segment has a
                cohort condition.
            EditConflictError: If the values were written, but someone else overwrote them at the same moment.

        Example:
            `await client.flags.segments.add_values("123", "Pilot", "gp:email", ["a@example.com"], case="ignore")`
        """
        name, prop, op = (
            validation.existing_string("segment", segment),
            validation.existing_string("prop", prop),
            validation.existing_string("op", op),
        )
        new = validation.condition_values(prop, op, "values", values)
        _case_policy("case", case)
        return await self._edit(
            id,
            lambda segments: add_condition_values(segments, name, (prop, op), new, case),
            reapply=True,
            base=base,
            dry_run=validation.boolean("dry_run", dry_run),
        )

    async def _edit(
        self,
        id: str,
        change: Callable[[list[Segment]], list[Segment]],
        *,
        reapply: bool = False,
        base: FlagConfig | None = None,
        dry_run: bool = False,
    ) -> FlagConfigT_co:
        def changed(flag_config: FlagConfigT_co) -> FlagConfigT_co:  # type: ignore[misc]  # called, never overridden
            return attrs.evolve(flag_config, target_segments=change(list(flag_config.target_segments or ())))

        editor = OptimisticEdit(self._transport.as_one_call(), self._collection)
        return await editor.edit(id, changed, base=base, dry_run=dry_run, reapply=reapply)


class AsyncTags(CollectionResource[FlagConfigT_co]):
    """`client.flags.tags` and `client.experiments.tags`: single tags, changed by guarded edits.

    An edit replaces all tags at once. These methods read the tags, and write them back merged with the changes that
    others made in between. `guarded_edit` describes the requests and the errors.
    """

    async def add(self, id: str, tags: Iterable[str]) -> FlagConfigT_co:
        """Add tags, by a guarded edit. Existing tags are skipped.

        Args:
            id: the flag's or experiment's ID.
            tags: the tags to add.

        Returns:
            The flag or experiment as read after the write.

        Raises:
            InvalidInputError: If the response did not include the live tags, which would be lost.
            EditConflictError: If the tags were written, but someone else overwrote them at the same moment.

        Example:
            `await client.flags.tags.add("123", ["reviewed"])`
        """
        added = _require_tag(validation.new_tags("tags", tags))
        return await self._edit(id, lambda live: list(dict.fromkeys([*live, *added])))

    async def remove(self, id: str, tags: Iterable[str]) -> FlagConfigT_co:
        """Remove tags, by a guarded edit. Missing tags are skipped.

        Args:
            id: the flag's or experiment's ID.
            tags: the tags to remove.

        Returns:
            The flag or experiment as read after the write.

        Raises:
            EditConflictError: If the tags were removed, but someone else wrote them back at the same moment.
        """
        removed = set(_require_tag(validation.existing_strings("tags", tags)))
        return await self._edit(id, lambda live: [tag for tag in live if tag not in removed])

    async def _edit(self, id: str, change: Callable[[list[str]], list[str]]) -> FlagConfigT_co:
        def changed(flag_config: FlagConfigT_co) -> FlagConfigT_co:  # type: ignore[misc]  # called, never overridden
            live = list(flag_config.tags or ())
            desired = change(live)
            return flag_config if desired == live else attrs.evolve(flag_config, tags=desired)

        return await OptimisticEdit(self._transport.as_one_call(), self._collection).edit(id, changed)


def _require_tag(tags: list[str]) -> list[str]:
    return tags or validation.reject("tags", "must contain at least one tag")


def add_segment(segments: Sequence[Segment], new: Segment) -> list[Segment]:
    """Return the segments with one more at the end, unless an identical one exists."""
    if new in segments:
        return list(segments)
    if not new.name:
        validation.reject("segment.name", "is required: it identifies the segment within the flag")
    _require_unused_name("segment.name", segments, new.name)
    return [*segments, new]


def remove_segment(segments: Sequence[Segment], name: str) -> list[Segment]:
    """Return the segments without one of them."""
    index = _index_of(segments, name)
    return [*segments[:index], *segments[index + 1 :]]


def update_segment(segments: Sequence[Segment], name: str, changes: Mapping[str, Any]) -> list[Segment]:
    """Return the segments with fields of one of them changed."""
    index = _index_of(segments, name)
    new_name = changes.get("name", name)
    if new_name != name:
        _require_unused_name("name", segments, new_name)
    return _with_replaced(segments, index, attrs.evolve(segments[index], **changes))


def add_condition_values(
    segments: Sequence[Segment], name: str, prop_and_op: tuple[str, str], values: Iterable[str], case: CasePolicy
) -> list[Segment]:
    """Return the segments with values added to the condition of one segment that has this property and operator."""
    index = _index_of(segments, name)
    segment = segments[index]
    conditions = list(segment.conditions or ())
    matches = [
        position for position, condition in enumerate(conditions) if (condition.prop, condition.op) == prop_and_op
    ]
    if len(matches) != 1:
        count = "no condition" if not matches else f"{len(matches)} conditions"
        existing = ", ".join(_describe(condition.prop, condition.op) for condition in conditions) or "none"
        validation.reject(
            "prop",
            f"the segment {format_value(name)} has {count} on {_describe(*prop_and_op)}; its conditions: {existing}",
        )
    condition = conditions[matches[0]]
    conditions[matches[0]] = attrs.evolve(condition, values=_union(condition.values or (), values, case))
    return _with_replaced(segments, index, attrs.evolve(segment, conditions=conditions))


def _describe(prop: Any, op: Any) -> str:
    return f"{format_value(prop)} {format_value(op)}"


def _union(existing: Iterable[str], added: Iterable[str], case: CasePolicy) -> list[str]:
    values = list(existing)
    seen = {_folded(value, case) for value in values}
    for value in added:
        new = value.lower() if case == "lower" else value
        if _folded(new, case) not in seen:
            seen.add(_folded(new, case))
            values.append(new)
    return values


def _folded(value: str, case: CasePolicy) -> str:
    return value.casefold() if case == "ignore" else value


def _require_unused_name(argument: str, segments: Sequence[Segment], name: Any) -> None:
    if any(segment.name == name for segment in segments):
        validation.reject(argument, "must be unused: another segment has this name", name)


def _index_of(segments: Sequence[Segment], name: str) -> int:
    indices = [index for index, segment in enumerate(segments) if segment.name == name]
    if len(indices) != 1:
        count = "no segment has" if not indices else f"{len(indices)} segments have"
        existing = ", ".join(format_value(segment.name) for segment in segments) or "none"
        validation.reject("segment", f"{count} the name {format_value(name)}; the segments: {existing}")
    return indices[0]


def _with_replaced(segments: Sequence[Segment], index: int, segment: Segment) -> list[Segment]:
    return [*segments[:index], segment, *segments[index + 1 :]]
