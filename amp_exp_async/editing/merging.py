"""Merging two changes of the same flag or experiment, field by field: ours and theirs, on a common base."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from attrs import frozen

from amp_exp_async import serialization
from amp_exp_async.models import UNSET, Segment

from .fields import equal

Same: TypeAlias = Callable[[Any, Any], bool]

_MIDNIGHT = "T00:00:00.000Z"


@frozen
class Overlap:
    """A place that both have changed, and not to the same value.

    Attributes:
        field: the field, and the segment in it: `target_segments['Beta testers']`.
        base: what it was.
        ours: what we make of it; `UNSET` where we take it away.
        theirs: what they have made of it; likewise.
    """

    field: str
    base: Any
    ours: Any
    theirs: Any


def merge(
    base: Mapping[str, Any], ours: Mapping[str, Any], theirs: Mapping[str, Any], same: Same = equal
) -> tuple[dict[str, Any], list[Overlap]]:
    """Merge what we have changed into what is there now.

    Tags are merged as a set, target segments by their names; all other fields are one piece.

    Args:
        base: the fields that we have changed, as they were.
        ours: the same fields as we have changed them.
        theirs: the same fields as they are now.
        same: whether a value of ours is there in one of theirs.

    Returns:
        The fields as they should be; and the places where both have changed something, which are not among them.
    """
    merged: dict[str, Any] = {}
    overlaps: list[Overlap] = []
    for field, wanted in ours.items():
        value, found = _merge_field(field, base[field], wanted, theirs[field], same)
        overlaps += found
        if not found:
            merged[field] = value
    return merged, overlaps


def missing(base: Mapping[str, Any], written: Mapping[str, Any], now: Mapping[str, Any]) -> list[Overlap]:
    """What of a change that was written is not there now. What others have added to it since does not matter.

    Args:
        base: the fields before the write.
        written: the fields that were written.
        now: the fields as they were read after it.
    """
    shown = {field: value for field, value in written.items() if now[field] is not UNSET}
    merged, overlaps = merge(base, shown, now, contained)
    lost = [field for field, value in merged.items() if not _kept(field, value, now[field])]
    return overlaps + [Overlap(field, base[field], written[field], now[field]) for field in lost]


def contained(ours: Any, theirs: Any) -> bool:
    """Whether a value that was written is there in one that was read.

    The service may have added fields, left out nulls, and made a moment of a date.
    """
    return _contained(serialization.to_json(ours), serialization.to_json(theirs))


def _kept(field: str, value: Any, now: Any) -> bool:
    return set(value) == set(now or ()) if field == "tags" else contained(value, now)


def _contained(ours: Any, theirs: Any) -> bool:
    kind: type[Any] = ours.__class__
    if theirs.__class__ is not kind or kind not in (dict, list, str):
        return bool(ours == theirs)
    if kind is dict:
        return all(_contained(value, theirs.get(name)) for name, value in ours.items())
    if kind is list:
        return len(ours) == len(theirs) and all(map(_contained, ours, theirs))
    return theirs in (ours, ours + _MIDNIGHT)


def _merge_field(field: str, base: Any, ours: Any, theirs: Any, same: Same) -> tuple[Any, list[Overlap]]:
    if field == "tags" and not same(base, theirs):
        return _merge_tags(base or (), ours, theirs or ()), []
    if field == "target_segments":
        sides = by_name(base), by_name(ours), by_name(theirs)
        if all(side is not None for side in sides):
            was, wanted, there = (side or {} for side in sides)
            return _merge_segments(was, wanted, there, same)
    return _merge_value(field, base, ours, theirs, same)


def _merge_value(field: str, base: Any, ours: Any, theirs: Any, same: Same) -> tuple[Any, list[Overlap]]:
    if same(ours, theirs) or equal(base, ours):
        return theirs, []
    if same(base, theirs):
        return ours, []
    return None, [Overlap(field, base, ours, theirs)]


def _merge_tags(base: Iterable[str], ours: Iterable[str], theirs: Iterable[str]) -> list[str]:
    removed = set(base) - set(ours)
    added = [tag for tag in ours if tag not in set(base)]
    return list(dict.fromkeys([*(tag for tag in theirs if tag not in removed), *added]))


def by_name(segments: Any) -> dict[str, Any] | None:
    """Segments by their names; None where these do not tell them apart."""
    named = {segment.name: segment for segment in segments or () if isinstance(segment.name, str)}
    return named if len(named) == len(segments or ()) else None


def _merge_segments(
    base: Mapping[str, Segment], ours: Mapping[str, Segment], theirs: Mapping[str, Segment], same: Same
) -> tuple[list[Segment], list[Overlap]]:
    merged: dict[str, Segment] = {}
    overlaps: list[Overlap] = []
    for name in {**base, **ours, **theirs}:
        was, wanted, there = (side.get(name, UNSET) for side in (base, ours, theirs))
        value, found = _merge_value(f"target_segments[{name!r}]", was, wanted, there, same)
        overlaps += found
        if not found and value is not UNSET:
            merged[name] = value
    order = _merge_order(list(base), list(ours), list(theirs))
    if order is None:
        overlaps.append(Overlap("the order of target_segments", list(base), list(ours), list(theirs)))
    return [merged[name] for name in order or () if name in merged], overlaps


def _merge_order(base: Sequence[str], ours: Sequence[str], theirs: Sequence[str]) -> list[str] | None:
    """Their order, unless only we have changed it; None where both have, and not to the same.

    What only the other side has stands before what follows it there, else at the end.
    """
    if not _moved(base, ours) or not _moved(ours, theirs):
        lead, other = theirs, ours
    elif not _moved(base, theirs):
        lead, other = ours, theirs
    else:
        return None
    order = list(lead)
    for at in reversed(range(len(other))):
        if other[at] not in order:
            following = next((name for name in other[at + 1 :] if name in order), None)
            order.insert(len(order) if following is None else order.index(following), other[at])
    return order


def _moved(before: Sequence[str], after: Sequence[str]) -> bool:
    """Whether what is in both comes in another order."""
    return [name for name in before if name in after] != [name for name in after if name in before]
