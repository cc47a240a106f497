"""Target segments with one of them changed, and all else as it was."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias, TypedDict

import attrs

from amp_exp_async import validation
from amp_exp_async.models import Condition, FlagConfig, Maybe, Segment, UnsetType
from amp_exp_async.validation import Validator

Case: TypeAlias = Literal["exact", "ignore", "lower"]
"""How `add_values` treats upper and lower case."""


class SegmentEditParams(TypedDict, total=False):
    """What `segments.edit` can change. A field left out is unchanged; `None` is sent as null.

    Attributes:
        name: a new name.
        conditions: replaces all conditions.
        percentage: 0 to 100, the share of the matching users who get a variant.
        rollout_weights: variant key to weight; replaces all weights.
        bucketing_key: the property that decides who falls into which bucket.
    """

    name: str | UnsetType
    conditions: Iterable[Condition | Mapping[str, Any]] | UnsetType
    percentage: float | UnsetType
    rollout_weights: Mapping[str, float] | UnsetType
    bucketing_key: Maybe[str]


_CHANGES: dict[str, Validator] = {
    "name": validation.string,
    "conditions": validation.list_of(validation.condition),
    "percentage": validation.percentage,
    "rollout_weights": validation.weights,
    "bucketing_key": validation.nullable(validation.string),
}


def of(toggle: FlagConfig) -> list[Segment]:
    """The segments of a flag or experiment."""
    return list(toggle.target_segments or ())


def changes(given: Mapping[str, Any]) -> dict[str, Any]:
    """What of a segment is to be changed, checked; a list of the caller's is read."""
    return validation.changes(_CHANGES, given)


def with_added(segments: Sequence[Segment], new: Segment) -> list[Segment]:
    """The segments, and one more at the end. One that is there already, exactly so, is no mistake."""
    if new in segments:
        return list(segments)
    if not new.name:
        validation.reject("segment.name", "must be given: it tells the segments of a flag apart")
    if any(segment.name == new.name for segment in segments):
        validation.reject("segment.name", "must be new: there is another segment of this name; edit that one", new.name)
    return [*segments, new]


def without(segments: Sequence[Segment], name: str) -> list[Segment]:
    """The segments but one."""
    at = _place(segments, name)
    return [*segments[:at], *segments[at + 1 :]]


def with_changed(segments: Sequence[Segment], name: str, changed: Mapping[str, Any]) -> list[Segment]:
    """The segments, with fields of one changed."""
    at = _place(segments, name)
    new_name = changed.get("name", name)
    if new_name != name and any(segment.name == new_name for segment in segments):
        validation.reject("name", "must be new: there is another segment of this name", new_name)
    return _replaced(segments, at, attrs.evolve(segments[at], **changed))


def with_values(
    segments: Sequence[Segment], name: str, which: tuple[str, str], values: Iterable[str], case: Case
) -> list[Segment]:
    """The segments, with values added to the condition of one segment that has this property and comparison."""
    at = _place(segments, name)
    segment = segments[at]
    conditions = list(segment.conditions or ())
    places = [at for at, condition in enumerate(conditions) if (condition.prop, condition.op) == which]
    if len(places) != 1:
        there = ", ".join(f"{condition.prop!r} {condition.op!r}" for condition in conditions) or "none"
        count = "no condition" if not places else f"{len(places)} conditions"
        validation.reject(
            "prop", f"the segment {name!r} has {count} {which[0]!r} {which[1]!r}; its conditions: {there}"
        )
    condition = conditions[places[0]]
    union = _union(condition.values or (), values, case)
    conditions[places[0]] = attrs.evolve(condition, values=union)
    return _replaced(segments, at, attrs.evolve(segment, conditions=conditions))


def _union(present: Iterable[str], added: Iterable[str], case: Case) -> list[str]:
    values = list(present)
    seen = {_compared(value, case) for value in values}
    for value in added:
        new = value.lower() if case == "lower" else value
        if _compared(new, case) not in seen:
            seen.add(_compared(new, case))
            values.append(new)
    return values


def _compared(value: str, case: Case) -> str:
    return value.casefold() if case == "ignore" else value


def _place(segments: Sequence[Segment], name: str) -> int:
    places = [at for at, segment in enumerate(segments) if segment.name == name]
    if len(places) != 1:
        there = ", ".join(repr(segment.name) for segment in segments) or "none"
        count = "there is no segment" if not places else f"there are {len(places)} segments"
        validation.reject("segment", f"{count} of the name {name!r}; the segments: {there}")
    return places[0]


def _replaced(segments: Sequence[Segment], at: int, segment: Segment) -> list[Segment]:
    return [*segments[:at], segment, *segments[at + 1 :]]
