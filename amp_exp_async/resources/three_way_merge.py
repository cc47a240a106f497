"""Three-way merge of flags and experiments: our changes and theirs, made from the same base."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from attrs import frozen

from amp_exp_async.formatting import format_value
from amp_exp_async.matching import is_subset
from amp_exp_async.models import UNSET, Segment

from .diff import json_equal

Comparison: TypeAlias = Callable[[Any, Any], bool]


@frozen
class MergeConflict:
    """A place that both sides changed to different values.

    Attributes:
        location: the field, and the segment in it: `target_segments["Beta testers"]`.
        base: the value before both changes.
        ours: our value; `UNSET` if we removed it.
        theirs: their value; `UNSET` if they removed it.
    """

    location: str
    base: Any
    ours: Any
    theirs: Any


def merge(
    base: Mapping[str, Any], ours: Mapping[str, Any], theirs: Mapping[str, Any], matches: Comparison = json_equal
) -> tuple[dict[str, Any], list[MergeConflict]]:
    """Merge our changes into the live values.

    Tags are merged as a set and target segments by name. Every other field is one value.

    Args:
        base: the fields that we changed, before the change.
        ours: the same fields, after our change.
        theirs: the same fields, as they are live.
        matches: tells whether our value is present in theirs.

    Returns:
        The merged fields, and the conflicts. A field with a conflict is not among the merged fields.
    """
    merged: dict[str, Any] = {}
    conflicts: list[MergeConflict] = []
    for field, our_value in ours.items():
        value, field_conflicts = _merge_field(field, base[field], our_value, theirs[field], matches)
        conflicts += field_conflicts
        if not field_conflicts:
            merged[field] = value
    return merged, conflicts


def find_lost(base: Mapping[str, Any], written: Mapping[str, Any], live: Mapping[str, Any]) -> list[MergeConflict]:
    """Return the written changes that the live values no longer contain. Additions by others do not count.

    Args:
        base: the fields before the write.
        written: the fields that were written.
        live: the fields as read after the write.
    """
    visible = {field: value for field, value in written.items() if live[field] is not UNSET}
    merged, conflicts = merge(base, visible, live, is_subset)
    lost = [field for field, value in merged.items() if not _is_kept(field, value, live[field])]
    return conflicts + [MergeConflict(field, base[field], written[field], live[field]) for field in lost]


def _is_kept(field: str, value: Any, live: Any) -> bool:
    return set(value) == set(live or ()) if field == "tags" else is_subset(value, live)


def _merge_field(field: str, base: Any, ours: Any, theirs: Any, matches: Comparison) -> tuple[Any, list[MergeConflict]]:
    if field == "tags" and not matches(base, theirs):
        return _merge_tags(base or (), ours, theirs or ()), []
    if field == "target_segments":
        sides = [_by_name(side) for side in (base, ours, theirs)]
        base_segments, our_segments, their_segments = sides
        if base_segments is not None and our_segments is not None and their_segments is not None:
            return _merge_segments(base_segments, our_segments, their_segments, matches)
    return _merge_value(field, base, ours, theirs, matches)


def _merge_value(
    location: str, base: Any, ours: Any, theirs: Any, matches: Comparison
) -> tuple[Any, list[MergeConflict]]:
    if matches(ours, theirs) or json_equal(base, ours):
        return theirs, []
    if matches(base, theirs):
        return ours, []
    return None, [MergeConflict(location, base, ours, theirs)]


def _merge_tags(base: Iterable[str], ours: Iterable[str], theirs: Iterable[str]) -> list[str]:
    removed = set(base) - set(ours)
    added = [tag for tag in ours if tag not in set(base)]
    return list(dict.fromkeys([*(tag for tag in theirs if tag not in removed), *added]))


def _by_name(segments: Any) -> dict[str, Segment] | None:
    """Return the segments by name, or None if their names are not unique."""
    named = {segment.name: segment for segment in segments or () if isinstance(segment.name, str)}
    return named if len(named) == len(segments or ()) else None


def _merge_segments(
    base: Mapping[str, Segment], ours: Mapping[str, Segment], theirs: Mapping[str, Segment], matches: Comparison
) -> tuple[list[Segment], list[MergeConflict]]:
    merged: dict[str, Segment] = {}
    conflicts: list[MergeConflict] = []
    for name in {**base, **ours, **theirs}:
        base_segment, our_segment, their_segment = (side.get(name, UNSET) for side in (base, ours, theirs))
        location = f"target_segments[{format_value(name)}]"
        value, segment_conflicts = _merge_value(location, base_segment, our_segment, their_segment, matches)
        conflicts += segment_conflicts
        if not segment_conflicts and value is not UNSET:
            merged[name] = value
    order = _merge_order(list(base), list(ours), list(theirs))
    if order is None:
        conflicts.append(MergeConflict("the order of target_segments", list(base), list(ours), list(theirs)))
    return [merged[name] for name in order or () if name in merged], conflicts


def _merge_order(base: Sequence[str], ours: Sequence[str], theirs: Sequence[str]) -> list[str] | None:
    """Return the merged order of names, or None if both sides reordered them differently.

    Their order wins unless only we reordered. A name that only the other side has goes before its successor there.
    """
    if not _reordered(base, ours) or not _reordered(ours, theirs):
        lead, other = theirs, ours
    elif not _reordered(base, theirs):
        lead, other = ours, theirs
    else:
        return None
    order = list(lead)
    for index in reversed(range(len(other))):
        if other[index] not in order:
            successor = next((name for name in other[index + 1 :] if name in order), None)
            order.insert(len(order) if successor is None else order.index(successor), other[index])
    return order


def _reordered(before: Sequence[str], after: Sequence[str]) -> bool:
    """Return whether the names that are in both come in another order."""
    return [name for name in before if name in after] != [name for name in after if name in before]
