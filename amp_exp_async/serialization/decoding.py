"""Fast decoding: msgspec decodes objects into structs that are derived from the models, and the models take the values.

A decoder rejects more than a model does: extra fields that it does not know, and extra values and payloads of more
levels than it has seen. The caller then parses the text, and calls `learn`, so that the next decoder accepts them, and
`convert`, which accepts any.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import make_dataclass
from datetime import date, datetime
from functools import cache
from itertools import islice
from operator import methodcaller
from types import GenericAlias
from typing import Any, TypeAlias, TypeVar, cast, get_args, get_origin

import msgspec
from attrs import field, frozen
from msgspec.structs import astuple

from amp_exp_async.models import UNSET, FlagConfig, Id, Model
from amp_exp_async.models.nested import NestedField, Unbuilt

from . import nesting, values
from .field_types import field_types, flag_or_experiment, full_model, is_model
from .names import NEXT_CURSOR, field_names

M = TypeVar("M", bound=Model)

# The index of a field, the class of the values that must be converted, and the conversion.
_Conversion: TypeAlias = tuple[int, type, Callable[[Any], Any]]

# How a text or a value is rejected. Before msgspec 0.21, its errors are not a `ValueError`.
REJECTIONS = (TypeError, ValueError, RecursionError, msgspec.MsgspecError)

# Structs are kept for the life of the process: a service that invents names must not fill its memory.
_MAX_EXTRA_FIELDS = 64  # of one model
_MAX_EXAMINED = 1000  # items of an array in which extra fields are looked for

_STRUCT_TYPES: dict[Any, Any] = {Id: str | int, float: int | float, datetime: str, datetime | date: str}
_CONVERSIONS: dict[Any, tuple[type, Callable[[Any], Any]]] = {
    Id: (int, str),
    list[Id]: (list, values.identifiers),
    datetime: (str, values.timestamp),
    datetime | date: (str, values.timestamp_or_date),
}


def _json_of(levels: int) -> Any:
    """Return the type of JSON values with at most `levels` levels of arrays and objects."""
    kind: Any = str | int | float | bool | None
    for _ in range(levels):
        kind = str | int | float | bool | None | list[kind] | dict[str, kind]
    return kind


# Each level makes the type twice as large. A response that a decoder accepts is not nested too deeply.
_SHALLOW_LEVELS = 4
_SHALLOW_JSON = _json_of(_SHALLOW_LEVELS)
_DEEP_LEVELS = nesting.MAX_DEPTH // 2  # the rest is more than the models around a value have


class _AnyInstance(type):
    """The class of a class that every value is an instance of: msgspec asks this of what `_check_levels` returns."""

    def __instancecheck__(cls, instance: object) -> bool:
        return True


class _DeepJson(metaclass=_AnyInstance):
    """A JSON value of many levels, whose number is checked in Python."""


def _check_levels(_: type, value: Any) -> Any:
    if nesting.is_deeper_than(value, _DEEP_LEVELS):
        raise ValueError("many levels")
    return value


@frozen
class _Known:
    """What the decoders accept beside the fields of the models.

    Attributes:
        extra_names: the names of the extra fields of each model.
        deep: the models with extra values or payloads of many levels. Checking their number takes time.
    """

    extra_names: Mapping[Any, list[str]] = field(factory=dict[Any, list[str]])
    deep: frozenset[Any] = frozenset()


class _Document(msgspec.Struct, Unbuilt, gc=False, forbid_unknown_fields=True):
    """A decoded object, with the known fields of a model and some extra ones."""


class _Structs:
    """The structs of a model and of the models nested in it.

    msgspec completes a struct when a decoder is made of it. A second thread that uses the struct meanwhile crashes, so
    every decoder has its own structs.

    Args:
        known: what they accept.
        any_levels: whether they accept extra values and payloads of any levels, unchecked.
    """

    def __init__(self, known: _Known, *, any_levels: bool) -> None:
        self._known = known
        self._any_levels = any_levels
        self._structs: dict[Any, type[_Document]] = {}

    def struct(self, model: Any) -> type[_Document]:
        """Return the struct of a model."""
        struct = self._structs.get(model)
        if struct is None:
            struct = self._structs[model] = self._define_struct(model)
        return struct

    def _define_struct(self, model: Any) -> type[_Document]:
        fields_model = full_model(model)
        cls = get_origin(fields_model) or fields_model
        json_names, extra_names = field_names(cls), self._known.extra_names.get(cls, [])
        any_json: Any = Any if self._any_levels else _DeepJson if cls in self._known.deep else _SHALLOW_JSON
        fields: list[Any] = []
        for name, (kind, optional) in field_types(fields_model).items():
            struct_type = any_json if kind is Any else self._struct_type(kind)
            options = {"default": UNSET} if optional else {}
            field = msgspec.field(name=json_names[name], **options)
            fields.append((name, struct_type | None if optional else struct_type, field))
        for number, name in enumerate(extra_names):
            fields.append((f"extra_{number}", any_json | None, msgspec.field(name=name, default=UNSET)))
        build = _make_build(cls, extra_names, self._conversions(fields_model))

        def build_either(document: Any) -> FlagConfig:
            return flag_or_experiment(build(document))

        methods = {"build": build_either if model is FlagConfig else build}
        struct: Any = msgspec.defstruct(cls.__name__, fields, bases=(_Document,), namespace=methods, kw_only=True)
        return cast("type[_Document]", struct)

    def _struct_type(self, kind: Any) -> Any:
        if is_model(kind):
            return self.struct(kind)
        if (origin := get_origin(kind)) in {list, dict}:
            return GenericAlias(origin, tuple(self._struct_type(argument) for argument in get_args(kind)))
        return _STRUCT_TYPES.get(kind, kind)

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

    Setting the slots of a frozen class one by one takes three times as long. A class with the same slots is the only
    one that Python lets an instance change to.
    """
    attributes = {name: getattr(cls, name) for name in field_names(cls)}
    slots = {name: value.slot for name, value in attributes.items() if isinstance(value, NestedField)}
    mutable = {"__setattr__": object.__setattr__, "__delattr__": object.__delattr__, "__slots__": ()}
    return make_dataclass(
        f"{cls.__name__}Draft",
        [*field_names(cls), "extra"],
        bases=(cls,),
        namespace=slots | mutable,
        eq=False,
        repr=False,
    )


class _Decoders:
    """The decoders of all models that accept the same."""

    def __init__(self, known: _Known) -> None:
        self.known = known
        self._decoders: dict[Any, msgspec.json.Decoder[Any]] = {}

    def get(self, model: Any, container: str | None = None, *, any_levels: bool = False) -> msgspec.json.Decoder[Any]:
        """Return a decoder.

        Args:
            model: the model.
            container: None for one object, an empty name for an array, else the name of the array in a page.
            any_levels: whether it accepts extra values and payloads of any levels, unchecked.
        """
        key = (model, container, any_levels)
        decoder = self._decoders.get(key)
        if decoder is None:
            struct: Any = _Structs(self.known, any_levels=any_levels).struct(model)
            items: Any = struct if container is None else list[struct]
            kind = _page_struct(container, items) if container else items
            decoder = self._decoders[key] = msgspec.json.Decoder(kind, dec_hook=_check_levels)
        return decoder


def _page_struct(name: str, items: Any) -> Any:
    """Return the struct of a page, which skips the fields of the page that it does not know, unchecked."""
    cursor = msgspec.field(name=NEXT_CURSOR, default=None)
    return msgspec.defstruct(
        "Page", [("items", items, msgspec.field(name=name)), ("cursor", str | int | float | None, cursor)]
    )


_decoders = _Decoders(_Known())


def decode(model: type[M], text: bytes) -> M:
    """Return the model of a JSON text.

    Raises:
        REJECTIONS: If the text is rejected.
    """
    built: M = _decoders.get(model).decode(text).build()
    return built


def decode_array(model: type[M], text: bytes) -> list[Unbuilt]:
    """Return the items of an array. It raises as `decode` does, and building an item does too."""
    items: list[Unbuilt] = _decoders.get(model, "").decode(text)
    return items


def decode_page(model: type[M], name: str, text: bytes) -> tuple[list[Unbuilt], str | float | None]:
    """Return the items of a page, whose array has this name, and the cursor. It raises as `decode_array` does."""
    items, cursor = astuple(_decoders.get(model, name).decode(text))
    return items, cursor


def split_page(name: str, text: bytes) -> tuple[bytes, str | float | None]:
    """Return the text of the items of a page, and the cursor. It raises as `decode` does."""
    items, cursor = astuple(_splitter(name).decode(text))
    return bytes(items), cursor


@cache
def _splitter(name: str) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(_page_struct(name, msgspec.Raw))


def convert(model: type[M], value: Any) -> M:
    """Return the model of a decoded object. It raises as `decode` does."""
    built: M = msgspec.convert(value, _decoders.get(model, any_levels=True).type).build()
    return built


def learn(model: Any, value: Any) -> bool:
    """Accept the extra fields and the levels of a decoded value from now on. Return whether any are new."""
    global _decoders  # noqa: PLW0603 - replaced as a whole, so that no thread sees parts of the old and the new
    known = _decoders.known
    names = {cls: dict.fromkeys(names) for cls, names in known.extra_names.items()}
    deep = set(known.deep)
    _add_known(model, value, names, deep)
    extra_names = {cls: list(all_names)[:_MAX_EXTRA_FIELDS] for cls, all_names in names.items()}
    now_known = _Known(extra_names, frozenset(deep))
    if now_known == known:
        return False
    _decoders = _Decoders(now_known)
    return True


def _add_known(model: Any, value: Any, names: dict[Any, dict[str, None]], deep: set[Any]) -> None:
    """Add what is extra or deep in an object, or in each one of an array, and in the objects inside."""
    if value.__class__ is list:
        # What comes later is added when its item is rejected.
        for item in islice(value, _MAX_EXAMINED):
            _add_known(model, item, names, deep)
    elif value.__class__ is dict:
        model = full_model(model)
        cls = get_origin(model) or model
        kinds = {field_names(model)[name]: kind for name, (kind, _) in field_types(model).items()}
        for name, item in value.items():
            kind = kinds.get(name, Any)
            if name not in kinds and _can_be_learned(name):
                names.setdefault(cls, {})[name] = None
            if kind is Any and nesting.is_deeper_than(item, _SHALLOW_LEVELS):
                deep.add(cls)
            elif is_model(nested := next(iter(get_args(kind)), kind)):
                _add_known(nested, item, names, deep)


def _can_be_learned(name: str) -> bool:
    return name.isprintable() and '"' not in name and "\\" not in name
