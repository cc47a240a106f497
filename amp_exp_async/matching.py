"""Comparisons of live objects with a key or with requested values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import attrs

from amp_exp_async import serialization
from amp_exp_async.errors import InvalidInputError, NotFoundError
from amp_exp_async.formatting import format_value
from amp_exp_async.http import build_path
from amp_exp_async.models import UNSET, FlagConfig, Model

FlagConfigT = TypeVar("FlagConfigT", bound=FlagConfig)

_SETS = frozenset(
    {
        *("deployments", "experiments", "holdouts", "tags"),
        *("individuals", "individual_inclusion", "individual_exclusion"),
    }
)
_MIDNIGHT = "T00:00:00.000Z"


def exactly_one(kind: str, listed: Sequence[FlagConfigT], key: str, project_id: str | None) -> FlagConfigT:
    """Return the only flag or experiment of a list that has the key.

    Raises:
        NotFoundError: If none has the key.
        InvalidInputError: If several have the key.
    """
    matching = [flag for flag in listed if flag.key == key]
    if len(matching) == 1:
        return matching[0]
    noun, path = kind.removesuffix("s"), build_path(kind)
    if not matching:
        where = "any project visible to this API key" if project_id is None else f"project {project_id}"
        raise NotFoundError(
            f"GET {path}: no {noun} with key {format_value(key)} in {where}. "
            f"Check the key, and whether the {noun} is archived.",
            status=404,
            method="GET",
            path=path,
        )
    projects = ", ".join(f"{flag.project_id} (ID {flag.id})" for flag in matching)
    raise InvalidInputError(
        argument="project_id",
        rule=f"must be given, because key {format_value(key)} exists {len(matching)} times, in projects {projects}",
    )


def matches(live: Model, values: Mapping[str, Any]) -> bool:
    """Return whether a live object has exactly the values. A field that the service does not show has only null."""
    return all(_plain(getattr(live, name)) == _plain(value) for name, value in values.items())


def could_be_created_with(live: Model, fields: Mapping[str, Any]) -> bool:
    """Return whether a live object differs in nothing that it shows from the fields of its creation."""
    return all(
        shown is UNSET or _could_be(name, shown, fields[name])
        for name, shown in ((name, getattr(live, name, UNSET)) for name in fields if name != "project_id")
    )


def _could_be(name: str, shown: Any, value: Any) -> bool:
    """Return whether a field of a live object may have been created with a value."""
    match name:
        case "variants":
            live = {variant.key: variant for variant in shown or ()}
            return live.keys() == {variant.key for variant in value} and all(
                could_be_created_with(live[variant.key], _given_fields(variant)) for variant in value
            )
        case "slots":
            return len(shown or ()) == len(value) and all(map(could_be_created_with, shown or (), value))
        case "target_segments" | "rollout_weights":
            return is_subset(value, shown)
        case _ if name in _SETS:
            return set(shown or ()) == set(map(str, value))
        case _:
            return bool(_plain(shown) == _plain(value))


def is_subset(ours: Any, theirs: Any) -> bool:
    """Return whether a value that was written is contained in a value that was read.

    The service may have added fields, dropped nulls, and turned a date into a timestamp.
    """
    return _is_subset(serialization.to_json(ours), serialization.to_json(theirs))


def _is_subset(ours: Any, theirs: Any) -> bool:
    kind: type[Any] = ours.__class__
    if theirs.__class__ is not kind or kind not in (dict, list, str):
        return bool(ours == theirs)
    if kind is dict:
        return all(_is_subset(value, theirs.get(name)) for name, value in ours.items())
    if kind is list:
        return len(ours) == len(theirs) and all(map(_is_subset, ours, theirs))
    return theirs in (ours, ours + _MIDNIGHT)


def _plain(value: Any) -> Any:
    """Return a value as JSON, and null for a field without a value."""
    return None if value is UNSET else serialization.to_json(value)


def _given_fields(model: Model) -> dict[str, Any]:
    fields = {field.name: getattr(model, field.name) for field in attrs.fields(type(model)) if field.name != "extra"}
    return {name: value for name, value in fields.items() if value is not UNSET}


def is_edited(live: Model, changes: Mapping[str, Any]) -> bool | None:
    """Return whether a live object is as an edit makes it; None if the service shows none of the fields.

    Args:
        live: the object.
        changes: the fields of the edit.
    """
    desired = {("deleted" if name == "archive" else name): value for name, value in changes.items()}
    shown = {name: value for name, value in desired.items() if getattr(live, name) is not UNSET}
    if not shown:
        return None
    return all(_could_be(name, getattr(live, name), value) for name, value in shown.items())
