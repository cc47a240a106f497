"""Fast decoding: msgspec decodes objects into structs that are derived from the models, and the models take the values.

A decoder rejects more than a model does: extra fields that it does not know, which `learn` adds to it, and extra values
and payloads of many levels. The caller then parses the text and calls `convert`, which accepts any levels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import make_dataclass
from datetime import date, datetime
from functools import cache
from operator import methodcaller
from typing import Any, TypeAlias, TypeVar, cast, get_args, get_origin

import msgspec
from msgspec.structs import astuple

from amp_exp_async.models import UNSET, Experiment, Flag, FlagConfig, Id, Model
from amp_exp_async.models.nested import NestedField, Unbuilt

from . import values
from .field_types import field_types, is_model
from .names import NEXT_CURSOR, field_names

M = TypeVar("M", bound=Model)
Build = Callable[[Any], M]

# The index of a field, the class of the values that must be converted, and the conversion.
_Conversion: TypeAlias = tuple[int, type, Callable[[Any], Any]]

# Structs are kept for the life of the process: a service that invents names must not fill its memory.
_MAX_EXTRA_FIELDS = 64  # of one model

_STRUCT_TYPES: dict[Any, Any] = {Id: str | int, float: int | float, datetime: str, datetime | date: str}
_CONVERSIONS: dict[Any, tuple[type, Callable[[Any], Any]]] = {
    Id: (int, str),
    list[Id]: (list, values.identifiers),
    datetime: (str, values.timestamp),
    datetime | date: (str, values.timestamp_or_date),
}


def _json_of(levels: int) -> Any:
    """Return the type of JSON values with at most so many levels of arrays and objects."""
    kind: Any = str | int | float | bool | None
    for _ in range(levels):
        kind = str | int | float | bool | None | list[kind] | dict[str, kind]
    return kind


# Its size doubles with each level. A response that a decoder accepts is not nested too deeply.
_SHALLOW_JSON = _json_of(4)


class _Document(msgspec.Struct, Unbuilt[Any], gc=False, forbid_unknown_fields=True):
    """A decoded object, with the known fields of a model and some extra ones."""


class _Structs:
    """The structs of a model and of the models nested in it.

    msgspec completes a struct when a decoder is made of it. A second thread that uses the struct meanwhile crashes, so
    every decoder has its own structs.

    Args:
        extra_names: the names of the extra fields of each model.
        any_json: the type of extra values and payloads.
    """

    def __init__(self, extra_names: Mapping[Any, list[str]], any_json: Any) -> None:
        self._extra_names = extra_names
        self._types = {**_STRUCT_TYPES, Any: any_json}
        self._structs: dict[Any, type[_Document]] = {}

    def struct(self, model: Any) -> type[_Document]:
        """Return the struct of a model."""
        struct = self._structs.get(model)
        if struct is None:
            struct = self._structs[model] = self._define_struct(model)
        return struct

    def _define_struct(self, model: Any) -> type[_Document]:
        full_model = _full(model)
        cls = get_origin(full_model) or full_model
        json_names, extra_names = field_names(cls), self._extra_names.get(cls, [])
        fields: list[Any] = []
        for name, (kind, optional) in field_types(full_model).items():
            required = msgspec.field(name=json_names[name])
            missing = msgspec.field(name=json_names[name], default=UNSET)
            struct_type = self._struct_type(kind)
            fields.append((name, struct_type | None, missing) if optional else (name, struct_type, required))
        for number, name in enumerate(extra_names):
            fields.append((f"extra_{number}", self._types[Any], msgspec.field(name=name, default=UNSET)))
        build = _make_build(cls, extra_names, self._conversions(full_model))
        if model is FlagConfig:
            build = self._build_either(build)
        struct: Any = msgspec.defstruct(
            cls.__name__, fields, bases=(_Document,), namespace={"build": build}, kw_only=True
        )
        return cast("type[_Document]", struct)

    def _build_either(self, build_experiment: Build[Experiment]) -> Build[FlagConfig]:
        """Return the function that builds an experiment if a field is set that only experiments have, else a flag."""
        only_experiments = list(field_names(Experiment))[len(field_names(Flag)) :]
        # A flag has none of these fields, so it does not matter that their names are not JSON field names.
        extra_names = [*only_experiments, *self._extra_names.get(Experiment, [])]
        build_flag: Build[Flag] = _make_build(Flag, extra_names, self._conversions(Flag))

        def build(document: Any) -> FlagConfig:
            is_flag = all(getattr(document, name) is UNSET for name in only_experiments)
            return build_flag(document) if is_flag else build_experiment(document)

        return build

    def _struct_type(self, kind: Any) -> Any:
        if is_model(kind):
            return self.struct(kind)
        origin: Any = get_origin(kind)
        if origin in {list, dict}:
            return origin[tuple(self._struct_type(argument) for argument in get_args(kind))]
        return self._types.get(kind, kind)

    def _conversions(self, model: Any) -> list[_Conversion]:
        """Return the conversions of those fields that a struct holds in another form than the model."""
        conversions: list[_Conversion] = []
        for index, (name, (kind, _)) in enumerate(field_types(model).items()):
            if is_model(kind) and not isinstance(getattr(get_origin(model) or model, name), NestedField):
                conversions.append((index, self.struct(kind), methodcaller("build")))
            elif kind in _CONVERSIONS:
                conversions.append((index, *_CONVERSIONS[kind]))
        return conversions


def _make_build(cls: Any, extra_names: list[str], conversions: list[_Conversion]) -> Callable[[Any], Any]:
    """Return the function that builds a model from its struct."""
    draft = _draft(cls)
    create, initialize = draft.__new__, draft.__init__
    count = len(field_names(cls))
    extra_fields = list(enumerate(extra_names, count))

    def build_simple(document: Any) -> Any:
        model = create(draft)
        initialize(model, *astuple(document), {})
        model.__class__ = cls
        return model

    def build(document: Any) -> Any:
        fields = list(astuple(document))
        for index, expected, convert in conversions:
            if fields[index].__class__ is expected:
                fields[index] = convert(fields[index])
        extra: dict[str, Any] = {}
        for index, name in extra_fields:
            if fields[index] is not UNSET:
                extra[name] = fields[index]
        model = create(draft)
        initialize(model, *fields[:count], extra)
        model.__class__ = cls
        return model

    return build if conversions or extra_names else build_simple


@cache
def _draft(cls: Any) -> Any:
    """Return a class with the slots of a model, whose instances are mutable until they become the model.

    Setting the slots of a frozen class one by one takes three times as long.
    """
    slots = {name: value.slot for name, value in _nested_fields(cls).items()}
    mutable = {"__setattr__": object.__setattr__, "__delattr__": object.__delattr__, "__slots__": ()}
    return make_dataclass(
        f"{cls.__name__}Draft",
        [*field_names(cls), "extra"],
        bases=(cls,),
        namespace=slots | mutable,
        eq=False,
        repr=False,
    )


def _nested_fields(cls: Any) -> dict[str, NestedField]:
    attributes = {name: getattr(cls, name) for name in field_names(cls)}
    return {name: value for name, value in attributes.items() if isinstance(value, NestedField)}


class _Decoders:
    """The decoders of all models that know these extra fields."""

    def __init__(self, extra_names: Mapping[Any, list[str]]) -> None:
        self.extra_names = extra_names
        self._by_text: dict[Any, msgspec.json.Decoder[Any]] = {}
        self._by_value: dict[Any, msgspec.json.Decoder[Any]] = {}

    def of_text(self, model: Any, container: str | None) -> msgspec.json.Decoder[Any]:
        """Return the decoder of an object, of an array (``), or of the page that has an array in a field."""
        decoder = self._by_text.get((model, container))
        if decoder is None:
            struct: Any = _Structs(self.extra_names, _SHALLOW_JSON).struct(model)
            kind = struct if container is None else list[struct] if not container else _page_struct(container, struct)
            decoder = self._by_text[model, container] = msgspec.json.Decoder(kind)
        return decoder

    def of_value(self, model: Any) -> msgspec.json.Decoder[Any]:
        """Return the decoder whose type decoded objects are converted to."""
        decoder = self._by_value.get(model)
        if decoder is None:
            decoder = self._by_value[model] = msgspec.json.Decoder(_Structs(self.extra_names, Any).struct(model))
        return decoder


def _page_struct(name: str, struct: Any) -> Any:
    cursor = msgspec.field(name=NEXT_CURSOR, default=None)
    items = msgspec.field(name=name)
    return msgspec.defstruct("Page", [("items", list[struct], items), ("cursor", str | int | float | None, cursor)])


_decoders = _Decoders({})


def decode(model: type[M], text: bytes) -> M:
    """Return the model of a JSON text.

    Raises:
        TypeError, ValueError, RecursionError: If the text is rejected.
    """
    document: Unbuilt[M] = _decoders.of_text(model, None).decode(text)
    return document.build()


def decode_array(model: type[M], text: bytes) -> list[Unbuilt[M]]:
    """Return the items of an array. It raises as `decode` does, and building an item does too."""
    items: list[Unbuilt[M]] = _decoders.of_text(model, "").decode(text)
    return items


def decode_page(model: type[M], name: str, text: bytes) -> tuple[list[Unbuilt[M]], str | float | None]:
    """Return the items of a page, whose array has this name, and the cursor. It raises as `decode_array` does."""
    items, cursor = astuple(_decoders.of_text(model, name).decode(text))
    return items, cursor


def convert(model: type[M], value: Any) -> M:
    """Return the model of a decoded object. It raises as `decode` does."""
    document: Unbuilt[M] = msgspec.convert(value, _decoders.of_value(model).type)
    return document.build()


def learn(model: Any, value: Any) -> None:
    """Accept the extra fields of a decoded value from now on."""
    global _decoders  # noqa: PLW0603 - replaced as a whole, so that no thread sees parts of the old and the new
    names = {cls: dict.fromkeys(known) for cls, known in _decoders.extra_names.items()}
    _add_extra_names(model, value, names)
    extra_names = {cls: list(known)[:_MAX_EXTRA_FIELDS] for cls, known in names.items()}
    if extra_names != _decoders.extra_names:
        _decoders = _Decoders(extra_names)


def _add_extra_names(model: Any, value: Any, names: dict[Any, dict[str, None]]) -> None:
    """Add the names of the extra fields of a model, or of each model in an array, and of the models nested in it."""
    if isinstance(value, list):
        for item in value:
            _add_extra_names(model, item, names)
    elif isinstance(value, dict):
        model = _full(model)
        kinds = {field_names(model)[name]: kind for name, (kind, _) in field_types(model).items()}
        for name, item in cast("dict[str, Any]", value).items():
            if name not in kinds:
                if _can_be_learned(name):
                    names.setdefault(get_origin(model) or model, {})[name] = None
            elif is_model(nested := next(iter(get_args(kinds[name])), kinds[name])):
                _add_extra_names(nested, item, names)


def _can_be_learned(name: str) -> bool:
    return name.isprintable() and '"' not in name and "\\" not in name


def _full(model: Any) -> Any:
    """Return the model that has all fields of a flag or experiment."""
    return Experiment if model is FlagConfig else model
