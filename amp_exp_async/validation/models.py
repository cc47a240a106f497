"""The checks of models, and of mappings that stand for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import attrs

from amp_exp_async.models import UNSET, Condition, ExposureEvent, ExposureFilter, Model, Segment, Variant

from .values import (
    Validator,
    is_mapping,
    json_value,
    key,
    known_names,
    nullable,
    number,
    percentage,
    reject,
    sequence,
    string,
    strings,
    weights,
)

M = TypeVar("M", bound=Model)


def model(cls: type[M], argument: str, value: Any) -> M:
    """A model, or a mapping with the same names."""
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


def _with(value: M, argument: str, checked: Mapping[str, Validator]) -> M:
    """A copy of a model with each field checked."""
    given = {name: getattr(value, name) for name in checked}
    sent = {
        name: nullable(checked[name])(f"{argument}.{name}", item) for name, item in given.items() if item is not UNSET
    }
    if not is_mapping(value.extra):
        reject(f"{argument}.extra", "must be a mapping of JSON field names", value.extra)
    return attrs.evolve(value, **sent, extra=json_value(f"{argument}.extra", value.extra))


def list_of(validator: Validator) -> Validator:
    return lambda argument, value: [
        validator(f"{argument}[{index}]", item) for index, item in enumerate(sequence(argument, value))
    ]


def condition(argument: str, value: Any) -> Condition:
    checked = model(Condition, argument, value)
    if checked.type == "cohort":
        reject(f"{argument}.type", "conditions on cohorts cannot be written: the API would drop them")
    return _with(checked, argument, {"prop": string, "op": string, "values": strings, "type": string})


def segment(argument: str, value: Any) -> Segment:
    checks: dict[str, Validator] = {
        "name": string,
        "conditions": list_of(condition),
        "percentage": percentage,
        "rollout_weights": weights,
        "bucketing_key": string,
    }
    return _with(model(Segment, argument, value), argument, checks)


def variant(argument: str, value: Any) -> Variant:
    given = model(Variant, argument, value)
    key(f"{argument}.key", given.key)
    checks: dict[str, Validator] = {
        "name": string,
        "payload": json_value,
        "description": string,
        "rollout_weight": number,
    }
    return _with(given, argument, checks)


def variants(argument: str, value: Any) -> list[Variant]:
    """Variants, each key once."""
    checked = [variant(f"{argument}[{index}]", item) for index, item in enumerate(sequence(argument, value))]
    keys = [given.key for given in checked]
    for index, name in enumerate(keys):
        if name in keys[:index]:
            reject(f"{argument}[{index}].key", "must be unique", name)
    return checked


def exposure_filter(argument: str, value: Any) -> ExposureFilter:
    words = dict.fromkeys(("subprop_key", "subprop_op", "subprop_type", "group_type"), string)
    return _with(model(ExposureFilter, argument, value), argument, words | {"subprop_value": strings})


def exposure_event(argument: str, value: Any) -> ExposureEvent:
    checks: dict[str, Validator] = {"event_type": string, "filters": list_of(exposure_filter)}
    return _with(model(ExposureEvent, argument, value), argument, checks)
