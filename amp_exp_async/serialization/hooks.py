"""Structure hooks generated per class: they read the document directly and touch no primitive twice.

A hook is plain generated source, one stanza a field. It stops at the first thing that is wrong without saying where;
`detailed.py` goes over the document again to name the place.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Any, TypeVar, cast, get_args, get_origin

import attrs

from amp_exp_async.errors import ConfigurationError
from amp_exp_async.models import UNSET, Experiment, Flag, FlagConfig, Id, Model

from . import values
from .names import field_names

M = TypeVar("M", bound=Model)
Hook = Callable[[Any], M]

# For each type, when a value `v` needs a second look, and the look: it converts `v`, or refuses it.
_STANZAS: dict[Any, tuple[str, str]] = {
    Id: ("v.__class__ is not str", "v = identifier(v)"),
    str: ("v.__class__ is not str", "text(v)"),
    bool: ("v.__class__ is not bool", "boolean(v)"),
    int: ("v.__class__ is not int", "integer(v)"),
    float: ("v.__class__ is not int and v.__class__ is not float", "number(v)"),
    datetime: ("True", "v = moment(v)"),
    datetime | date: ("True", "v = moment_or_date(v)"),
    list[str]: ("True", "strings(v)"),
    list[Id]: ("True", "v = identifiers(v)"),
    dict[str, float]: ("True", "numbers_by_key(v)"),
    dict[str, list[str]]: ("True", "v = strings_by_key(v)"),
}


def without_unset(kind: Any) -> tuple[Any, bool]:
    """The type inside a `Maybe`, and whether it was one."""
    members = get_args(kind)
    if type(None) not in members:
        return kind, False
    core, *others = (member for member in members if member is not type(None) and UNSET not in get_args(member))
    for member in others:
        core |= member
    return core, True


def is_model(kind: Any) -> bool:
    """Whether a type is a model, or a generic one with its parameter."""
    cls = get_origin(kind) or kind
    return isinstance(cls, type) and issubclass(cls, Model)


def _field_types(model: Any) -> dict[str, tuple[Any, bool]]:
    """A model's fields: the type of each when it has a value, and whether it may be null or missing."""
    cls = get_origin(model) or model
    parameter = next(iter(get_args(model)), None)
    if parameter is None and hasattr(cls, "__parameters__"):
        raise ConfigurationError(f"{cls.__name__} holds a model, so name it: {cls.__name__}[Flag]")
    types = {name: without_unset(attrs.fields_dict(attrs.resolve_types(cls))[name].type) for name in field_names(cls)}
    return {
        name: (parameter if isinstance(kind, TypeVar) else kind, optional) for name, (kind, optional) in types.items()
    }


class Hooks:
    """The hooks of all models, each generated when it is first needed."""

    def __init__(self) -> None:
        self._made: dict[Any, Hook[Any]] = {}

    def of(self, model: type[M]) -> Hook[M]:
        """The hook that makes a model from a decoded JSON object."""
        if model not in self._made:
            self._made[model] = self._either() if model is FlagConfig else self._generate(model)
        return self._made[model]

    def _either(self) -> Hook[FlagConfig]:
        """The hook for a document that may be a flag or an experiment: it is one if it has what only these have."""
        flag, experiment = self.of(Flag), self.of(Experiment)
        only_experiments = set(field_names(Experiment).values()) - set(field_names(Flag).values())

        def hook(document: Any) -> FlagConfig:
            is_experiment = document.__class__ is dict and not only_experiments.isdisjoint(document)
            return experiment(document) if is_experiment else flag(document)

        return hook

    def _generate(self, model: Any) -> Hook[Any]:
        cls = get_origin(model) or model
        names = field_names(cls)
        scope: dict[str, Any] = {
            **vars(values),
            "UNSET": UNSET,
            "cls": cls,
            "new": object.__new__,
            # Merged with a document, it puts the known fields first, in order, and UNSET where one is missing.
            "fields": dict.fromkeys(names.values(), UNSET),
            "set_extra": cls.extra.__set__,
        }
        lines = [
            "def hook(d):",
            "    if d.__class__ is not dict: refuse(d, 'an object')",
            "    d = fields | d",
            f"    {', '.join(f'v_{name}' for name in names)}, *rest = d.values()",
            "    o = new(cls)",
        ]
        for name, (kind, optional) in _field_types(model).items():
            scope[f"set_{name}"] = getattr(cls, name).__set__
            if kind is not Any:
                suspect, look = self._stanza(name, kind, scope)
                given = " and v is not UNSET and v is not None" if optional else ""
                lines.append(f"    if {suspect}{given}: {look}".replace(" v", f" v_{name}").replace("(v", f"(v_{name}"))
            lines.append(f"    set_{name}(o, v_{name})")
        lines += [
            "    set_extra(o, dict([*d.items()][-len(rest):]) if rest else {})",
            "    return o",
        ]
        exec("\n".join(lines), scope)  # noqa: S102 - the source is made of the models' own field names
        return cast("Hook[Any]", scope["hook"])

    def _stanza(self, name: str, kind: Any, scope: dict[str, Any]) -> tuple[str, str]:
        hook = f"hook_{name}"
        if is_model(kind):
            scope[hook] = self.of(kind)
            return "True", f"v = {hook}(v)"
        if get_origin(kind) is list and is_model(item := get_args(kind)[0]):
            scope[hook] = self.of(item)
            return "True", f"v = [{hook}(item) for item in v] if v.__class__ is list else refuse(v, 'an array')"
        return _STANZAS[kind]
