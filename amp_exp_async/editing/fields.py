"""What of a flag or experiment an edit can set, and which of it a changed copy has changed."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

import attrs

from amp_exp_async import serialization, validation
from amp_exp_async.models import UNSET, Condition, Experiment, FlagConfig, Segment
from amp_exp_async.resources import EXPERIMENT_EDIT_PARAMS, FLAG_EDIT_PARAMS
from amp_exp_async.validation import Validator

# What the service shows under another name than an edit takes it.
_SHOWN_AS = {"archive": "deleted"}
# An edit replaces these as a whole, so that they must be seen first.
_WHOLE = ("target_segments", "tags")
_COHORT = "cohort"
_COHORT_PROPERTY = "userdata_cohort"
_INSTEAD = {
    "variants": "use variants.create, variants.edit and variants.remove",
    "rollout_weights": "use variants.edit(id, variant, rollout_weight=...)",
    "deployments": "use deployments.add and deployments.remove",
    "parent_dependencies": "they follow from mutex and holdout groups: use client.mutexes and client.holdouts",
    "state": "it follows from the dates and the decision",
    "extra": "these are fields that this version of the library does not know",
}


def table_of(toggle: FlagConfig) -> dict[str, Validator]:
    """The fields that an edit can set, with the check of each."""
    return EXPERIMENT_EDIT_PARAMS if isinstance(toggle, Experiment) else FLAG_EDIT_PARAMS


def value_of(toggle: FlagConfig, field: str) -> Any:
    """What a field of an edit is in a flag or experiment."""
    return getattr(toggle, _SHOWN_AS.get(field, field))


def equal(one: Any, other: Any) -> bool:
    """Whether two values are the same on the wire."""
    return bool(serialization.to_json(one) == serialization.to_json(other))


def difference(base: FlagConfig, edited: Any) -> dict[str, Any]:
    """The fields that a changed copy has changed, checked, by the names that an edit takes.

    Args:
        base: as it was read.
        edited: the changed copy.

    Raises:
        InvalidInputError: it is no copy, has a value that breaks a rule, or a change that an edit cannot make.
    """
    if not isinstance(edited, type(base)):
        validation.reject("change", f"must return a changed copy of the {type(base).__name__} (attrs.evolve)", edited)
    table = table_of(base)
    shown = {_SHOWN_AS.get(name, name): name for name in table}
    names = [field.name for field in attrs.fields(type(base))]
    changed = [name for name in names if not equal(getattr(base, name), getattr(edited, name))]
    for name in changed:
        if name not in shown:
            validation.reject(name, f"cannot be changed by an edit ({_INSTEAD.get(name, 'the service sets it')})")
        if getattr(edited, name) is UNSET:
            validation.reject(name, "must have a value: UNSET is not sent, and would leave it as it is")
    refuse_unseen(base, changed)
    given = {shown[name]: getattr(edited, name) for name in changed}
    if "target_segments" in given:
        given["target_segments"] = validation.sequence("target_segments", given["target_segments"])
        refuse_cohorts(*(base.target_segments or ()), *given["target_segments"])
    return validation.fields(table, given)


def refuse_unseen(toggle: FlagConfig, fields: Container[str]) -> None:
    """Refuse to write a list that the service has not shown.

    Args:
        toggle: as it was read.
        fields: those that are to be written.
    """
    for name in _WHOLE:
        if name in fields and getattr(toggle, name) is UNSET:
            validation.reject(
                name, "was not shown by the service, and what is there would be lost: use edit to replace it"
            )


def refuse_cohorts(*segments: Any) -> None:
    """Refuse to write target segments where one has a condition on a cohort, which the service would drop.

    Args:
        segments: those that are there, and those that shall be.
    """
    for segment in segments:
        if isinstance(segment, Segment) and any(map(_on_cohort, segment.conditions or ())):
            validation.reject(
                "target_segments",
                f"the segment {segment.name!r} has a condition on a cohort, which the API cannot write and would drop, "
                "so that no segment can be changed here: change them in the app",
            )


def _on_cohort(condition: Any) -> bool:
    return isinstance(condition, Condition) and (
        _COHORT in str(condition.type).lower() or condition.prop == _COHORT_PROPERTY
    )
