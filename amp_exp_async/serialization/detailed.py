"""The second look at a document that a generated hook refused: what is wrong with it, and where."""

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
from .hooks import is_model, without_unset
from .names import field_names


def _checked(expected: type, words: str, hook: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """A hook that takes one class only; cattrs would take a string for a list of its letters."""

    def structure(value: Any, kind: Any) -> Any:
        return hook(value, kind) if value.__class__ is expected else values.refuse(value, words)

    return structure


def _model_hook(kind: Any, converter: Converter) -> Callable[[Any, Any], Any]:
    if kind is FlagConfig:
        kind = Experiment  # which has all that a flag has
    overrides: Any = {name: override(rename=wire) for name, wire in field_names(kind).items()}
    return _checked(dict, "an object", make_dict_structure_fn(kind, converter, extra=override(omit=True), **overrides))


def _list_hook(kind: Any, converter: Converter) -> Callable[[Any, Any], Any]:
    return _checked(list, "an array", list_structure_factory(kind, converter))


def _dict_hook(kind: Any, converter: Converter) -> Callable[[Any, Any], Any]:
    return _checked(dict, "an object", converter.gen_structure_mapping(kind))


def _optional_hook(kind: Any, converter: Converter) -> Callable[[Any, Any], Any]:
    core = without_unset(kind)[0]
    inner = converter.get_structure_hook(core)
    return lambda value, _: None if value is None else inner(value, core)


def _is_a(cls: type) -> Callable[[Any], bool]:
    return lambda kind: get_origin(kind) is cls


def _converter() -> Converter:
    converter = Converter(detailed_validation=True)
    converter.register_structure_hook(str, values.text)
    converter.register_structure_hook(bool, values.boolean)
    converter.register_structure_hook(int, values.integer)
    converter.register_structure_hook(float, values.number)
    converter.register_structure_hook(datetime, values.moment)
    converter.register_structure_hook_func(lambda kind: kind == datetime | date, values.moment_or_date)
    converter.register_structure_hook_func(lambda kind: kind == Id, values.identifier)
    factories: tuple[tuple[Callable[[Any], bool], Callable[[Any, Converter], Callable[[Any, Any], Any]]], ...] = (
        (_is_a(list), _list_hook),
        (_is_a(dict), _dict_hook),
        (lambda kind: type(None) in get_args(kind), _optional_hook),
        (is_model, _model_hook),
    )
    for applies, factory in factories:
        converter.register_structure_hook_factory(applies)(factory)
    return converter


_DETAILED = _converter()


def first_fault(document: Any, kind: Any) -> tuple[str, str]:
    """The place of the first thing wrong in a document, such as `targetSegments[0].percentage`, and what it is."""
    try:
        _DETAILED.structure(document, kind)
    except (BaseValidationError, TypeError, ValueError, KeyError) as error:
        place, reason = _locate(error)
        return place.removeprefix("."), reason
    return "", "not of the expected form"


def _locate(error: BaseException) -> tuple[str, str]:
    if isinstance(error, ClassValidationError | IterableValidationError):
        inner = error.exceptions[0]
        place, reason = _locate(inner)
        return _step(error, inner) + place, reason
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
