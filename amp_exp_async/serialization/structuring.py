"""Exact structuring: cattrs decides on every document that fast decoding rejects, and locates the first error in it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from itertools import islice
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

from amp_exp_async.escaping import escape
from amp_exp_async.formatting import truncate
from amp_exp_async.models import UNSET, Experiment, FlagConfig, Id

from . import values
from .field_types import flag_or_experiment, is_model, unwrap_maybe
from .malformed import MalformedDocumentError
from .names import field_names

_MAX_LOCATED = 10_000  # values of a document in which errors are located

_Hook = Callable[[Any, Any], Any]

_HOOKS: dict[Any, _Hook] = {
    str: values.string,
    bool: values.boolean,
    int: values.integer,
    float: values.number,
    datetime: values.timestamp,
}


def structure(kind: Any, document: Any) -> Any:
    """Return the model of a decoded object.

    Raises:
        MalformedDocumentError: If the document is not of this kind. The location is that of the first error, such as
            `targetSegments[0].percentage`. It is empty for a large document, whose errors take long to collect.
    """
    converter = _QUICK_CONVERTER if _has_more_values_than(_MAX_LOCATED, document) else _CONVERTER
    try:
        return converter.structure(document, kind)
    except (BaseValidationError, TypeError, ValueError, KeyError) as error:
        location, reason = _locate(error)
        raise MalformedDocumentError(location.removeprefix("."), reason) from None


def _has_more_values_than(limit: int, document: Any) -> bool:
    """Return whether a JSON value has more parts than a number, at any level."""
    pending = [document]
    while pending and limit >= 0:
        value = pending.pop()
        if value.__class__ is dict or value.__class__ is list:
            limit -= len(value)
            pending += islice(value.values() if value.__class__ is dict else value, max(0, limit) + 1)
    return limit < 0


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
            return f"[{note.index}]" if isinstance(note.index, int) else f".{escape(truncate(str(note.index)))}"
    return ""


def _require_class(expected: type, description: str, hook: _Hook) -> _Hook:
    """Return a hook that accepts one class only; cattrs would accept a string as a list of characters."""

    def structure(value: Any, kind: Any) -> Any:
        return hook(value, kind) if value.__class__ is expected else values.reject(value, description)

    return structure


def _model_hook(kind: Any, converter: Converter) -> _Hook:
    names = field_names(kind)
    known = set(names.values())
    overrides: Any = {name: override(rename=json_name) for name, json_name in names.items()}
    hook = make_dict_structure_fn(kind, converter, extra=override(omit=True), **overrides)

    def structure(document: Any, kind: Any) -> Any:
        model = hook(document, kind)
        extra = {name: value for name, value in document.items() if name not in known}
        # A missing field is UNSET, even if it has another default.
        missing = {name: UNSET for name, json_name in names.items() if json_name not in document}
        for name, value in (missing | {"extra": extra}).items():
            object.__setattr__(model, name, value)
        return model

    return _require_class(dict, "an object", structure)


def _flag_config_hook(_: Any, converter: Converter) -> _Hook:
    return lambda document, _: flag_or_experiment(converter.structure(document, Experiment))


def _list_hook(kind: Any, converter: Converter) -> _Hook:
    return _require_class(list, "an array", list_structure_factory(kind, converter))


def _dict_hook(kind: Any, converter: Converter) -> _Hook:
    return _require_class(dict, "an object", converter.gen_structure_mapping(kind))


def _optional_hook(kind: Any, converter: Converter) -> _Hook:
    core = unwrap_maybe(kind)[0]
    inner = converter.get_structure_hook(core)
    return lambda value, _: None if value is None else inner(value, core)


def _make_converter(*, detailed: bool) -> Converter:
    converter = Converter(detailed_validation=detailed)
    for kind, hook in _HOOKS.items():
        converter.register_structure_hook(kind, hook)
    converter.register_structure_hook_func(lambda kind: kind == datetime | date, values.timestamp_or_date)
    converter.register_structure_hook_func(lambda kind: kind == Id, values.identifier)
    factories: tuple[tuple[Callable[[Any], bool], Callable[[Any, Converter], _Hook]], ...] = (
        (lambda kind: get_origin(kind) is list, _list_hook),
        (lambda kind: get_origin(kind) is dict, _dict_hook),
        (lambda kind: type(None) in get_args(kind), _optional_hook),
        (is_model, _model_hook),
        (lambda kind: kind is FlagConfig, _flag_config_hook),
    )
    for applies, factory in factories:
        converter.register_structure_hook_factory(applies)(factory)
    return converter


_CONVERTER = _make_converter(detailed=True)
_QUICK_CONVERTER = _make_converter(detailed=False)
