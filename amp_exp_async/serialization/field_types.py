"""Facts about the models that both routes need: the types of their fields, and what tells a flag from an experiment."""

from __future__ import annotations

from functools import cache
from typing import Any, TypeVar, get_args, get_origin

import attrs

from amp_exp_async.errors import ConfigurationError
from amp_exp_async.models import UNSET, Experiment, Flag, FlagConfig, Model

from .names import field_names


def is_model(kind: Any) -> bool:
    """Return whether a type is a model, or a generic model with its parameter."""
    cls = get_origin(kind) or kind
    return isinstance(cls, type) and issubclass(cls, Model)


def unwrap_maybe(kind: Any) -> tuple[Any, bool]:
    """Return the type inside a `Maybe`, and whether the type was a `Maybe`."""
    members = get_args(kind)
    if type(None) not in members:
        return kind, False
    core, *others = (member for member in members if member is not type(None) and UNSET not in get_args(member))
    for member in others:
        core |= member
    return core, True


@cache
def field_types(model: Any) -> dict[str, tuple[Any, bool]]:
    """Return for each field of a model its type, and whether it can be null or missing."""
    cls = get_origin(model) or model
    parameter = next(iter(get_args(model)), None)
    if parameter is None and hasattr(cls, "__parameters__"):
        raise ConfigurationError(f"{cls.__name__} needs the model that it contains, such as {cls.__name__}[Flag]")
    fields = attrs.fields_dict(attrs.resolve_types(cls))
    types = {name: unwrap_maybe(fields[name].type) for name in field_names(cls)}
    return {
        name: (parameter if isinstance(kind, TypeVar) else kind, optional or kind is Any)
        for name, (kind, optional) in types.items()
    }


def full_model(model: Any) -> Any:
    """Return the model that has all fields of a flag or experiment, or the model itself if it is another."""
    return Experiment if model is FlagConfig else model


def flag_or_experiment(experiment: Experiment) -> FlagConfig:
    """Return an experiment as a flag if the document had no field that only experiments have."""
    common = field_names(Flag)
    if any(getattr(experiment, name) is not UNSET for name in field_names(Experiment) if name not in common):
        return experiment
    return Flag(extra=experiment.extra, **{name: getattr(experiment, name) for name in common})
