"""The location of the first error in a document that a structure hook rejected."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Any, get_args, get_origin

from cattrs import (
    AttributeValidationNote,
    BaseValidationError,
    ClassValidationError,
    Converter,
    IterableValidationError,
    IterableValidationNote,
)
from cattrs.cols import list_structure_factory
from cattrs.gen import make_dict_structure_fn, override

from amp_exp_async.models import Experiment, FlagConfig, Id

from . import values
from .names import field_names
from .structure import is_model, unwrap_maybe

_Hook = Callable[[Any, Any], Any]


def locate_error(document: Any, kind: Any) -> tuple[str, str]:
    """Return the location of the first error, such as `targetSegments[0].percentage`, and the error."""
    try:
        _CONVERTER.structure(document, kind)
    except (BaseValidationError, TypeError, ValueError, KeyError) as error:
        location, reason = _locate(error)
        return location.removeprefix("."), reason
    return "", "not of the expected form"


def _locate(error: BaseException) -> tuple[str, str]:
    if isinstance(error, ClassValidationError | IterableValidationError):
        inner = error.exceptions[0]
        location, reason = _locate(inner)
        return _step(error, inner) + location, reason
    if isinstance(error, KeyError):
        return "", "missing"
    return "", str(error)


def _step(group: BaseValidationError, inner: BaseException) -> str:
    for note in getattr(inner, "__notes__", ()):
        if isinstance(note, AttributeValidationNote):
            return "." + field_names(group.cl)[note.name]
        if isinstance(note, IterableValidationNote):
            return f"[{note.index}]" if isinstance(note.index, int) else f".{note.index}"
    return ""


def _require_class(expected: type, description: str, hook: _Hook) -> _Hook:
    """Return a hook that accepts one class only; cattrs would accept a string as a list of characters."""

    def structure(value: Any, kind: Any) -> Any:
        return hook(value, kind) if value.__class__ is expected else values.reject(value, description)

    return structure


def _model_hook(kind: Any, converter: Converter) -> _Hook:
    if kind is FlagConfig:
        kind = Experiment  # which has all fields of a flag
    overrides: Any = {name: override(rename=json_name) for name, json_name in field_names(kind).items()}
    hook = make_dict_structure_fn(kind, converter, extra=override(omit=True), **overrides)
    return _require_class(dict, "an object", hook)


def _list_hook(kind: Any, converter: Converter) -> _Hook:
    return _require_class(list, "an array", list_structure_factory(kind, converter))


def _dict_hook(kind: Any, converter: Converter) -> _Hook:
    return _require_class(dict, "an object", converter.gen_structure_mapping(kind))


def _optional_hook(kind: Any, converter: Converter) -> _Hook:
    core = unwrap_maybe(kind)[0]
    inner = converter.get_structure_hook(core)
    return lambda value, _: None if value is None else inner(value, core)


def _make_converter() -> Converter:
    converter = Converter(detailed_validation=True)
    converter.register_structure_hook(str, values.string)
    converter.register_structure_hook(bool, values.boolean)
    converter.register_structure_hook(int, values.integer)
    converter.register_structure_hook(float, values.number)
    converter.register_structure_hook(datetime, values.timestamp)
    converter.register_structure_hook_func(lambda kind: kind == datetime | date, values.timestamp_or_date)
    converter.register_structure_hook_func(lambda kind: kind == Id, values.identifier)
    factories: tuple[tuple[Callable[[Any], bool], Callable[[Any, Converter], _Hook]], ...] = (
        (lambda kind: get_origin(kind) is list, _list_hook),
        (lambda kind: get_origin(kind) is dict, _dict_hook),
        (lambda kind: type(None) in get_args(kind), _optional_hook),
        (is_model, _model_hook),
    )
    for applies, factory in factories:
        converter.register_structure_hook_factory(applies)(factory)
    return converter


_CONVERTER = _make_converter()
