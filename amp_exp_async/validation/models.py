"""Validators of models, which also accept mappings of their fields."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import attrs

from amp_exp_async.models import UNSET, Condition, ExposureEvent, ExposureFilter, Model, MutexSlot, Segment, Variant

from .rejection import reject
from .values import (
    Validator,
    id_set,
    integer,
    is_mapping,
    json_value,
    known_names,
    list_of,
    new_variant_key,
    nullable,
    number,
    number_ids,
    percentage,
    string,
    strings,
    weights,
    word,
)

M = TypeVar("M", bound=Model)

_MAX_SLOTS = 20
_SEGMENT_FIELDS = ("name", "conditions", "percentage", "rollout_weights")
_CONDITION_FIELDS = ("prop", "op", "type")
OPERATORS = (
    *("is", "is not", "contains", "does not contain"),
    *("less", "less or equal", "greater", "greater or equal"),
    *("set is", "set is not", "set contains", "set does not contain", "glob match", "glob does not match"),
    *("version less than", "version less than or equal to", "version greater than"),
    "version greater than or equal to",
)
_op = word(*OPERATORS)


def condition(argument: str, value: Any) -> Condition:
    """Require a condition on a property, with at least one value."""
    model = _to_model(Condition, argument, value)
    if model.type == "cohort":
        reject(f"{argument}.type", "conditions on cohorts cannot be written: the API would drop them")
    valid = _validate(model, argument, {"prop": string, "op": _op, "values": strings, "type": word("property")})
    _require(valid, argument, _CONDITION_FIELDS, "a condition")
    if not valid.values:
        reject(f"{argument}.values", 'must contain at least one value, such as "(none)" for a property that is not set')
    return valid


def segment(argument: str, value: Any) -> Segment:
    """Require a segment with the fields that the service requires."""
    validators: dict[str, Validator] = {
        "name": string,
        "conditions": list_of(condition),
        "percentage": percentage,
        "rollout_weights": weights,
        "bucketing_key": string,
    }
    valid = _validate(_to_model(Segment, argument, value), argument, validators)
    _require(valid, argument, _SEGMENT_FIELDS, "a segment")
    return valid


def variant(argument: str, value: Any) -> Variant:
    """Require a new variant."""
    model = _to_model(Variant, argument, value)
    new_variant_key(f"{argument}.key", model.key)
    validators: dict[str, Validator] = {
        "name": string,
        "payload": json_value,
        "description": string,
        "rollout_weight": number,
    }
    return _validate(model, argument, validators)


def variants(argument: str, value: Any) -> list[Variant]:
    """Require a list of variants with unique keys."""
    models: list[Variant] = list_of(variant)(argument, value)
    keys = [model.key for model in models]
    for index, name in enumerate(keys):
        if name in keys[:index]:
            reject(f"{argument}[{index}].key", "must be unique", name)
    return models


def exposure_filter(argument: str, value: Any) -> ExposureFilter:
    """Require a filter of an exposure event."""
    validators: dict[str, Validator] = {
        "subprop_key": string,
        "subprop_op": _op,
        "subprop_type": word("event", "user", "group"),
        "group_type": string,
        "subprop_value": strings,
    }
    return _validate(_to_model(ExposureFilter, argument, value), argument, validators)


def exposure_event(argument: str, value: Any) -> ExposureEvent:
    """Require an exposure event; return it with filters, which the service requires."""
    validators: dict[str, Validator] = {"event_type": string, "filters": list_of(exposure_filter)}
    valid = _validate(_to_model(ExposureEvent, argument, value), argument, validators)
    if not valid.event_type:
        reject(f"{argument}.event_type", "is required: the service refuses an exposure event without it")
    return valid if valid.filters else attrs.evolve(valid, filters=[])


def slots(argument: str, value: Any) -> list[dict[str, Any]]:
    """Require the slots of a new mutex group: 1 to 20, whose percentages add up to 100."""
    valid: list[dict[str, Any]] = list_of(_slot)(argument, value)
    if not 1 <= len(valid) <= _MAX_SLOTS:
        reject(argument, f"must contain 1 to {_MAX_SLOTS} slots, got {len(valid)}")
    total = sum(slot["percentage"] for slot in valid)
    if total != 100:
        reject(argument, f"must have percentages that add up to 100, got {total}")
    return valid


_SLOT: dict[str, Validator] = {
    "percentage": lambda argument, value: integer(argument, value, 1, 100),
    "experiments": number_ids,
    "holdouts": number_ids,
    "individuals": id_set,
}


def _slot(argument: str, value: Any) -> dict[str, Any]:
    model = _to_model(MutexSlot, argument, value)
    names = [name for name in attrs.fields_dict(MutexSlot) if name != "extra"]
    fields = {name: item for name in names if (item := getattr(model, name)) is not UNSET}
    known_names(argument, _SLOT, fields)
    if "percentage" not in fields:
        reject(argument, "must have a percentage")
    valid = {name: _SLOT[name](f"{argument}.{name}", item) for name, item in fields.items()}
    return {name: item for name, item in valid.items() if item != []}  # the service refuses empty arrays


def _to_model(cls: type[M], argument: str, value: Any) -> M:
    """Return a model, or the model of a mapping of its fields."""
    if isinstance(value, cls):
        return value
    if not is_mapping(value):
        reject(argument, f"must be a {cls.__name__} or a mapping of its fields", value)
    known_names(argument, attrs.fields_dict(cls), value)
    try:
        return cls(**value)
    except TypeError:
        missing = [a.name for a in attrs.fields(cls) if a.default is attrs.NOTHING and a.name not in value]
        reject(argument, f"must have {', '.join(missing)}")


def _require(model: Model, argument: str, names: Iterable[str], noun: str) -> None:
    """Require values, which null is not, for some fields of a model."""
    for name in names:
        if (value := getattr(model, name)) is UNSET or value is None:
            reject(f"{argument}.{name}", f"is required: the service refuses {noun} without it")


def _validate(model: M, argument: str, validators: Mapping[str, Validator]) -> M:
    """Return a copy of a model with valid fields."""
    values = {name: getattr(model, name) for name in validators}
    valid = {
        name: nullable(validators[name])(f"{argument}.{name}", value)
        for name, value in values.items()
        if value is not UNSET
    }
    if not is_mapping(model.extra):
        reject(f"{argument}.extra", "must be a mapping of JSON field names", model.extra)
    return attrs.evolve(model, **valid, extra=json_value(f"{argument}.extra", model.extra))
