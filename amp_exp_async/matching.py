"""Comparisons of live objects with a key or with requested values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from amp_exp_async import serialization
from amp_exp_async.errors import InvalidInputError, NotFoundError
from amp_exp_async.formatting import format_value
from amp_exp_async.http import build_path
from amp_exp_async.models import UNSET, FlagConfig, Model

FlagConfigT = TypeVar("FlagConfigT", bound=FlagConfig)

_COMPARED = ("name", "description", "evaluation_mode", "bucketing_key", "experiment_type")


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
    """Return whether a live object has the values. A field that the service does not show matches any value."""
    shown = {name: getattr(live, name) for name in values}
    return all(
        value is UNSET or serialization.to_json(value) == serialization.to_json(values[name])
        for name, value in shown.items()
    )


def could_be_created_with(live: FlagConfig, fields: Mapping[str, Any]) -> bool:
    """Return whether a live flag or experiment differs in nothing from the fields of a creation."""
    for name in _COMPARED:
        value = getattr(live, name, UNSET)
        if name in fields and value is not UNSET and value != fields[name]:
            return False
    keys = {variant.key for variant in fields.get("variants", ())}
    return not (keys and live.variants and keys != {variant.key for variant in live.variants})
