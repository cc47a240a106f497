"""Segments that give nobody a variant. Pure."""

from __future__ import annotations

from collections.abc import Hashable

from amp_exp_async.manifests.parse import problem_at
from amp_exp_async.manifests.spec import FlagConfigSpec
from amp_exp_async.models import UNSET, Condition, Segment

from .conditions import contradiction
from .finding import Found, Whole

_ALL = 100


def segment_never_matches(whole: Whole) -> Found:
    """Segments that no user can be in, or that give those who are no variant."""
    for toggle in whole.live:
        for at, segment in enumerate(toggle.target_segments or ()):
            if why := _own_reason(segment) or _reason_before(toggle, at):
                name, message = why
                yield toggle, problem_at(toggle, f"target_segments[{at}].{name}", message)


def _own_reason(segment: Segment) -> tuple[str, str] | None:
    """The field that is to blame, and why."""
    if segment.percentage == 0:
        why = "at 0 percent nobody gets a variant: raise it, or remove it, unless it is to keep these users out"
        return "percentage", why
    if segment.rollout_weights and not any(segment.rollout_weights.values()):
        return "rollout_weights", "all weights are 0, so nobody gets a variant: give one of them a weight"
    contradicts = contradiction(segment.conditions or ())
    return ("conditions", f"{contradicts}: correct them, or remove the segment") if contradicts else None


def _reason_before(toggle: FlagConfigSpec, at: int) -> tuple[str, str] | None:
    segments = toggle.target_segments or ()
    for before, other in enumerate(segments[:at]):
        if _takes_all(toggle, other) and _covers(other, segments[at]):
            taken = f"target_segments[{before}] takes all these users first, at 100 percent"
            return "conditions", f"{taken}: move this one up, or remove it"
    return None


def _takes_all(toggle: FlagConfigSpec, segment: Segment) -> bool:
    """Whether a segment gives a variant to everybody who meets its conditions."""
    weighted = {key for key, weight in (segment.rollout_weights or {}).items() if weight}
    keys = weighted if toggle.variants is UNSET else {variant.key for variant in toggle.variants}
    return segment.percentage == _ALL and bool(weighted) and weighted <= keys


def _covers(one: Segment, other: Segment) -> bool:
    """Whether everybody who meets the other's conditions meets those of the one, and falls into a bucket as well."""
    if one.bucketing_key != other.bucketing_key or not isinstance(one.conditions, list):
        return False
    wanted = {_mark(condition) for condition in one.conditions}
    return None not in wanted and wanted <= {_mark(condition) for condition in other.conditions or ()}


def _mark(condition: Condition) -> Hashable | None:
    """What tells a condition apart; None for one that is not declared in full."""
    if condition.prop and condition.op and isinstance(condition.values, list):
        return condition.type, condition.prop, condition.op, frozenset(condition.values)
    return None
