"""Structure hooks: functions that make a model from a decoded JSON object.

They are generated per class, because generated code reads a document without a call per field. A hook stops at the
first error without its location; `error_location` then reads the document again to find it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from functools import cache
from typing import Any, TypeVar, cast, get_args, get_origin

import attrs

from amp_exp_async.errors import ConfigurationError
from amp_exp_async.models import UNSET, Experiment, Flag, FlagConfig, Id, Model

from . import values
from .names import field_names

M = TypeVar("M", bound=Model)
StructureHook = Callable[[Any], M]

# For each type: the condition on which a value `v` needs a conversion or must be rejected, and the statement for that.
_CONVERSIONS: dict[Any, tuple[str, str]] = {
    Id: ("v.__class__ is not str", "v = identifier(v)"),
    str: ("v.__class__ is not str", "string(v)"),
    bool: ("v.__class__ is not bool", "boolean(v)"),
    int: ("v.__class__ is not int", "integer(v)"),
    float: ("v.__class__ is not int and v.__class__ is not float", "number(v)"),
    datetime: ("True", "v = timestamp(v)"),
    datetime | date: ("True", "v = timestamp_or_date(v)"),
    list[str]: ("True", "strings(v)"),
    list[Id]: ("True", "v = identifiers(v)"),
    dict[str, float]: ("True", "numbers_by_key(v)"),
    dict[str, list[str]]: ("True", "v = strings_by_key(v)"),
}


def get_structure_hook(model: type[M]) -> StructureHook[M]:
    """Return the function that makes a model from a decoded JSON object."""
    cls: Any = model
    return cast("StructureHook[M]", _get_hook(cls))


def unwrap_maybe(kind: Any) -> tuple[Any, bool]:
    """Return the type inside a `Maybe`, and whether the type was a `Maybe`."""
    members = get_args(kind)
    if type(None) not in members:
        return kind, False
    core, *others = (member for member in members if member is not type(None) and UNSET not in get_args(member))
    for member in others:
        core |= member
    return core, True


def is_model(kind: Any) -> bool:
    """Return whether a type is a model, or a generic model with its parameter."""
    cls = get_origin(kind) or kind
    return isinstance(cls, type) and issubclass(cls, Model)


@cache
def _get_hook(model: Any) -> StructureHook[Any]:
    return _flag_config_hook() if model is FlagConfig else _generate_hook(model)


def _flag_config_hook() -> StructureHook[FlagConfig]:
    """Return the hook for a flag or experiment: a document with a field that only experiments have is an experiment."""
    flag, experiment = get_structure_hook(Flag), get_structure_hook(Experiment)
    only_experiments = set(field_names(Experiment).values()) - set(field_names(Flag).values())

    def hook(document: Any) -> FlagConfig:
        is_experiment = document.__class__ is dict and not only_experiments.isdisjoint(document)
        return experiment(document) if is_experiment else flag(document)

    return hook


def _generate_hook(model: Any) -> StructureHook[Any]:
    cls = get_origin(model) or model
    names = field_names(cls)
    scope: dict[str, Any] = {
        **vars(values),
        "UNSET": UNSET,
        "cls": cls,
        "new": object.__new__,
        # Merged with a document, it puts the known fields first, in order, and UNSET if one is missing.
        "fields": dict.fromkeys(names.values(), UNSET),
        "set_extra": cls.extra.__set__,
    }
    lines = [
        "def hook(d):",
        "    if d.__class__ is not dict: reject(d, 'an object')",
        "    d = fields | d",
        f"    {', '.join(f'v_{name}' for name in names)}, *rest = d.values()",
        "    o = new(cls)",
    ]
    for name, (kind, optional) in _field_types(model).items():
        scope[f"set_{name}"] = getattr(cls, name).__set__
        if kind is not Any:
            condition, statement = _conversion(name, kind, scope)
            present = " and v is not UNSET and v is not None" if optional else ""
            line = f"    if {condition}{present}: {statement}"
            lines.append(line.replace(" v", f" v_{name}").replace("(v", f"(v_{name}"))
        lines.append(f"    set_{name}(o, v_{name})")
    lines += [
        "    set_extra(o, dict([*d.items()][-len(rest):]) if rest else {})",
        "    return o",
    ]
    exec("\n".join(lines), scope)  # noqa: S102 - the source consists of the models' own field names
    return cast("StructureHook[Any]", scope["hook"])


def _field_types(model: Any) -> dict[str, tuple[Any, bool]]:
    """Return for each field of a model its type, and whether it can be null or missing."""
    cls = get_origin(model) or model
    parameter = next(iter(get_args(model)), None)
    if parameter is None and hasattr(cls, "__parameters__"):
        raise ConfigurationError(f"{cls.__name__} needs the model that it contains, such as {cls.__name__}[Flag]")
    fields = attrs.fields_dict(attrs.resolve_types(cls))
    types = {name: unwrap_maybe(fields[name].type) for name in field_names(cls)}
    return {
        name: (parameter if isinstance(kind, TypeVar) else kind, optional) for name, (kind, optional) in types.items()
    }


def _conversion(name: str, kind: Any, scope: dict[str, Any]) -> tuple[str, str]:
    """Return the condition and the statement for a field, and add the hooks that the statement calls to the scope."""
    hook = f"hook_{name}"
    if is_model(kind):
        scope[hook] = _get_hook(kind)
        return "True", f"v = {hook}(v)"
    if get_origin(kind) is list and is_model(item := get_args(kind)[0]):
        scope[hook] = _get_hook(item)
        return "True", f"v = [{hook}(item) for item in v] if v.__class__ is list else reject(v, 'an array')"
    return _CONVERSIONS[kind]
