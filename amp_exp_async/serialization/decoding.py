"""Fast decoding: msgspec decodes an object into a struct that is derived from a model, and the model takes its values.

A struct rejects the fields that it does not know. `learn` adds them, so that they are decoded fast from the next time
on. Whatever is rejected for another reason, `structuring` decides on.
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
Text = msgspec.Raw

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


class _Document(msgspec.Struct, Unbuilt, gc=False, forbid_unknown_fields=True):
    """A decoded object, with the known fields of a model and some extra ones."""


class _Structs:
    """The structs of a model and of the models nested in it.

    msgspec completes a struct when a decoder is made of it. A second thread that uses the struct meanwhile crashes, so
    every decoder has its own structs.

    Args:
        extra_names: the names of the extra fields of each model.
    """

    def __init__(self, extra_names: Mapping[Any, list[str]]) -> None:
        self._extra_names = extra_names
        self._structs: dict[Any, type[_Document]] = {}

    def struct(self, model: Any) -> type[_Document]:
        """Return the struct of a model."""
        struct = self._structs.get(model)
        if struct is None:
            struct = self._structs[model] = self._define_struct(model)
        return struct

    def _define_struct(self, model: Any) -> type[_Document]:
        if model is FlagConfig:
            return self._define_flag_config()
        types, json_names = field_types(model), field_names(model)
        extra_names = self._extra_names.get(_class_of(model), [])
        fields: list[Any] = [
            (name, self._struct_type(kind) | None, msgspec.field(default=UNSET, name=json_names[name]))
            if optional
            else (name, self._struct_type(kind), msgspec.field(name=json_names[name]))
            for name, (kind, optional) in types.items()
        ]
        fields += [
            (f"extra_{number}", Any, msgspec.field(default=UNSET, name=name)) for number, name in enumerate(extra_names)
        ]
        build = _make_build(_class_of(model), extra_names, self._conversions(model))
        return _make_struct(_class_of(model).__name__, fields, _Document, build)

    def _define_flag_config(self) -> type[_Document]:
        """Return the struct of a flag or experiment: with a field that only experiments have, it is an experiment."""
        experiment = self.struct(Experiment)
        count = len(field_names(Flag))
        only_experiments = list(field_names(Experiment))[count:]
        build_experiment: Callable[[Any], Any] = experiment.build
        # A flag has no fields that only experiments have, so their names are not used.
        build_flag = _make_build(
            Flag, [*only_experiments, *self._extra_names.get(Experiment, [])], self._conversions(Flag)
        )

        def build(document: Any) -> FlagConfig:
            is_flag = all(getattr(document, name) is UNSET for name in only_experiments)
            config: FlagConfig = build_flag(document) if is_flag else build_experiment(document)
            return config

        return _make_struct("FlagConfig", [], experiment, build)

    def _struct_type(self, kind: Any) -> Any:
        if is_model(kind):
            return self.struct(kind)
        origin: Any = get_origin(kind)
        if origin in {list, dict}:
            return origin[tuple(self._struct_type(argument) for argument in get_args(kind))]
        return _STRUCT_TYPES.get(kind, kind)

    def _conversions(self, model: Any) -> list[_Conversion]:
        """Return the conversions of those fields that a struct holds in another form than the model."""
        conversions: list[_Conversion] = []
        for index, (name, (kind, _)) in enumerate(field_types(model).items()):
            if is_model(kind) and not isinstance(getattr(_class_of(model), name), NestedField):
                conversions.append((index, self.struct(kind), methodcaller("build")))
            elif kind in _CONVERSIONS:
                conversions.append((index, *_CONVERSIONS[kind]))
        return conversions


def _make_struct(name: str, fields: list[Any], base: type[_Document], build: Callable[[Any], Any]) -> type[_Document]:
    struct: Any = msgspec.defstruct(name, fields, bases=(base,), namespace={"build": build}, kw_only=True)
    return cast("type[_Document]", struct)


def _make_build(cls: Any, extra_names: list[str], conversions: list[_Conversion]) -> Callable[[Any], Any]:
    """Return the function that builds a model from its struct."""
    draft = _draft(cls)
    create, initialize = draft.__new__, draft.__init__
    count = len(field_names(cls))

    def build(document: Any) -> Any:
        fields = list(astuple(document))
        for index, expected, convert in conversions:
            if fields[index].__class__ is expected:
                fields[index] = convert(fields[index])
        extra: dict[str, Any] = {}
        if extra_names:
            present = zip(extra_names, fields[count:], strict=True)
            extra = {name: value for name, value in present if value is not UNSET}
            del fields[count:]
        model = create(draft)
        initialize(model, *fields, extra)
        model.__class__ = cls
        return model

    return build


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
        self._decoders: dict[Any, msgspec.json.Decoder[Any]] = {}

    def get(self, model: Any) -> msgspec.json.Decoder[Any]:
        """Return the decoder of a model."""
        decoder = self._decoders.get(model)
        if decoder is None:
            decoder = self._decoders[model] = msgspec.json.Decoder(_Structs(self.extra_names).struct(model))
        return decoder


_decoders = _Decoders({})


def decode(model: type[M], text: bytes) -> M:
    """Return the model of a JSON text.

    Raises:
        TypeError, ValueError, RecursionError: If the text is not JSON, is not of the model, or has an extra field that
            was not learned.
    """
    return cast("M", _decoders.get(model).decode(text).build())


def convert(model: type[M], document: Any) -> M:
    """Return the model of a decoded object; it raises as `decode` does."""
    return cast("M", msgspec.convert(document, _decoders.get(model).type).build())


@cache
def _page_decoder(name: str) -> msgspec.json.Decoder[Any]:
    fields: list[Any] = [(name, list[Text]), (NEXT_CURSOR, Any, None)]
    return msgspec.json.Decoder(msgspec.defstruct("Page", fields))


@cache
def _array_decoder() -> msgspec.json.Decoder[list[Text]]:
    return msgspec.json.Decoder(list[Text])


def split_page(name: str, body: bytes) -> tuple[list[Text], Any]:
    """Return the texts of the items of a page, and the cursor.

    Raises:
        ValueError, RecursionError: If the body is not a page. The items need not be JSON.
    """
    texts, cursor = astuple(_page_decoder(name).decode(body))
    return texts, cursor


def split_array(body: bytes) -> list[Text]:
    """Return the texts of the items of an array; it raises as `split_page` does."""
    return _array_decoder().decode(body)


def learn(model: Any, document: Any) -> None:
    """Decode the extra fields of a document from now on."""
    global _decoders  # noqa: PLW0603 - replaced as a whole, so that no thread sees parts of the old and the new
    names = {cls: dict.fromkeys(known) for cls, known in _decoders.extra_names.items()}
    _add_extra_names(model, document, names)
    extra_names = {cls: list(known)[:_MAX_EXTRA_FIELDS] for cls, known in names.items()}
    if extra_names != _decoders.extra_names:
        _decoders = _Decoders(extra_names)


def _add_extra_names(model: Any, document: Any, names: dict[Any, dict[str, None]]) -> None:
    """Add the names of the extra fields of a document, and of the documents nested in it."""
    if isinstance(document, list):
        for item in document:
            _add_extra_names(model, item, names)
    elif isinstance(document, dict):
        model = Experiment if model is FlagConfig else model
        kinds = {field_names(model)[name]: kind for name, (kind, _) in field_types(model).items()}
        for name, value in document.items():
            if name not in kinds:
                if _can_be_learned(name):
                    names.setdefault(_class_of(model), {})[name] = None
            elif is_model(nested := next(iter(get_args(kinds[name])), kinds[name])):
                _add_extra_names(nested, value, names)


def _can_be_learned(name: str) -> bool:
    return name.isprintable() and '"' not in name and "\\" not in name


def _class_of(model: Any) -> Any:
    return get_origin(model) or model
