"""Response bodies to models, and models and arguments to request bodies and queries."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Mapping
from datetime import date
from functools import cache, partial
from operator import attrgetter
from typing import Any, TypeVar, cast

import orjson
from anyio.lowlevel import checkpoint

from amp_exp_async.errors import InvalidInputError, UnexpectedResponseError
from amp_exp_async.formatting import format_value
from amp_exp_async.models import UNSET, Id, Model, Page
from amp_exp_async.models.nested import Unbuilt

from . import decoding, json_text, nesting, values
from .field_types import is_model
from .malformed import MalformedDocumentError
from .names import NEXT_CURSOR, camel_case, field_names

T = TypeVar("T")
M = TypeVar("M", bound=Model)

# Structuring 1,000 flags takes several milliseconds: let the event loop run after this many.
_CHUNK_SIZE = 200

_MAX_SEARCHED = 1 << 20  # bytes in which the reason is looked for why a text is not JSON
_MAX_TEXT = 1 << 16  # bytes of a response to a write, if it is not JSON
_MAX_CURSOR = 8192  # characters; it is a part of the next URL, for which servers have limits of this size
_TOO_DEEP = f"nested deeper than {nesting.MAX_DEPTH} levels"
_ERRORS = frozenset({"error", "errors"})
_SUCCESSES = frozenset({"success", "ok"})
_STATUSES = frozenset({"status", "statuscode", "status_code", "code"})
_FAILED_STATUS_RE = re.compile(r"[45]\d\d|error|fail(ed|ure)?", re.IGNORECASE)


def parse(model: type[M], document: Any) -> M:
    """Return the model of a decoded JSON object.

    Raises:
        InvalidInputError: If `model` is none of this package's models.
        UnexpectedResponseError: If a value in the document is missing or has the wrong type; `location` names it.
    """
    if not is_model(model):
        rule = "must be a model of this package, such as Flag or Version[Flag]"
        raise InvalidInputError(argument="model", rule=rule, got=format_value(model))
    try:
        return _structure(model, document)
    except MalformedDocumentError as malformed:
        location = f"{malformed.location}: " if malformed.location else ""
        raise UnexpectedResponseError(
            f"invalid {getattr(model, '__name__', model)}: {location}{malformed.reason}", location=malformed.location
        ) from None


def to_json(value: Any) -> Any:
    """Return a model, or a list or dict of models, as JSON (dicts, lists, strings, numbers, booleans, None).

    Fields that are `UNSET` are omitted, and those in `extra` are written back.
    """
    if isinstance(value, Model):
        value = _to_shallow_json(value)
    # Asking for the abstract class `Mapping` takes long, so it comes last.
    if value.__class__ is dict:
        return {key: item if item.__class__ in nesting.SCALARS else to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [item if item.__class__ in nesting.SCALARS else to_json(item) for item in cast("list[Any]", value)]
    if isinstance(value, Mapping):
        return to_json(dict(cast("Mapping[str, Any]", value)))
    return values.format_timestamp(value) if isinstance(value, date) else value


def _to_shallow_json(value: Any) -> Any:
    """Return a model, or another value of an argument, as JSON whose parts may be such values again."""
    reader = _field_reader(value.__class__)
    if reader is not None:
        names, read = reader
        document: dict[str, Any] = {}
        # An edit does this for each part of each segment, and a comprehension takes half as long again.
        for name, item in zip(names, read(value)):  # noqa: B905 - passing `strict` takes half as long as all the rest
            if item is not UNSET:
                document[name] = item  # noqa: PERF403 - see above
        return value.extra | document if value.extra else document
    if isinstance(value, Mapping):
        return dict(cast("Mapping[str, Any]", value))
    if isinstance(value, date):
        return values.format_timestamp(value)
    raise TypeError(f"not JSON: {format_value(value)}")


@cache
def _field_reader(cls: Any) -> tuple[list[str], Callable[[Model], tuple[Any, ...]]] | None:
    """Return the JSON field names of a model, and the function that reads these fields; `None` for other classes."""
    if not issubclass(cls, Model):
        return None
    names = field_names(cls)
    return list(names.values()), attrgetter(*names)


def decode(body: bytes, max_depth: int = nesting.MAX_DEPTH) -> Any:
    """Return the JSON value of a body.

    Args:
        body: the body.
        max_depth: how deeply it may be nested.

    Raises:
        MalformedDocumentError: If the body is not JSON, or is nested more deeply.
    """
    try:
        document = json_text.loads(body)
    except ValueError as error:
        reason = _TOO_DEEP if nesting.is_text_too_deep(body[:_MAX_SEARCHED]) else f"not JSON ({error})"
        raise MalformedDocumentError("", reason) from None
    if nesting.is_deeper_than(document, max_depth):
        del document  # its repr, which a traceback with local variables prints, would raise RecursionError
        raise MalformedDocumentError("", _TOO_DEEP)
    return document


def parse_object(model: type[M], body: bytes) -> M:
    """Return the model of a body."""
    try:
        return decoding.decode(model, body)
    except decoding.REJECTIONS:
        document = decode(body)
    decoding.learn(model, document)
    return _structure(model, document)


async def parse_list(model: type[M], body: bytes) -> list[M]:
    """Return the models of a body that is an array."""
    try:
        return await _map_in_chunks(_build, decoding.decode_array(model, body), "")
    except decoding.REJECTIONS:
        document = decode(body)
    decoding.learn(model, document)
    return await _map_in_chunks(partial(_structure, model), document, "")


async def parse_page(model: type[M], name: str, body: bytes) -> Page[M]:
    """Return the page of a body, whose field `name` is the array of its items."""
    try:
        items, cursor = decoding.decode_page(model, name, body)
        return Page(await _map_in_chunks(_build, items, name), _cursor(cursor))
    except decoding.REJECTIONS:
        document = _decode_page(name, body)
    if document.__class__ is not dict:
        raise MalformedDocumentError("", f"expected an object with {format_value(name)}")
    if name not in document:
        raise MalformedDocumentError(name, "missing")
    decoding.learn(model, document[name])
    models = await _map_in_chunks(partial(_structure, model), document[name], name)
    return Page(models, _cursor(document.get(NEXT_CURSOR)))


def _decode_page(name: str, body: bytes) -> Any:
    """Return the JSON value of a body, without the fields of a page that fast decoding skips too."""
    try:
        items, cursor = decoding.split_page(name, body)
        return {name: decode(items, nesting.MAX_DEPTH - 1), NEXT_CURSOR: cursor}
    except (*decoding.REJECTIONS, MalformedDocumentError):
        return decode(body)


def parse_ids(body: bytes) -> list[str]:
    """Return the IDs of a body that is an array of them."""
    document = decode(body)
    try:
        return values.identifiers(document)
    except TypeError:
        return cast("list[str]", _structure_exactly(list[Id], document))


def expect_ok(body: bytes) -> Any:
    """Return the JSON value of a response to a write, or the beginning of its text if it is not JSON.

    Any response is accepted except a web page, which is from a proxy or a login, and a reported failure.
    """
    text = body.removeprefix(codecs.BOM_UTF8).lstrip()
    if text[:1] == b"<":
        raise MalformedDocumentError("", "a web page")
    try:
        document = json_text.loads_loosely(text) if text[:1] in {b"{", b"["} else None
    except RecursionError:
        raise MalformedDocumentError("", _TOO_DEEP) from None
    except ValueError:
        document = None  # the content of a success is not defined
    _reject_failure(document)
    return text[:_MAX_TEXT].decode("utf-8", "replace") if document is None else document


def _reject_failure(document: Any) -> None:
    """Raise `MalformedDocumentError` if an object, or one of a list, says that the write failed."""
    items: list[Any] = document if document.__class__ is list else [document]
    for index, item in enumerate(items):
        fields: dict[str, Any] = item if item.__class__ is dict else {}
        for name, value in fields.items():
            if _says_failure(name.lower(), value):
                location = name if item is document else f"[{index}].{name}"
                raise MalformedDocumentError(location, f"a failure: {format_value(value)}")


def _says_failure(name: str, value: Any) -> bool:
    """Return whether a field of a response, whose name is in lower case, says that the request failed."""
    if name in _ERRORS:
        return bool(value)
    if name in _SUCCESSES:
        return value is False
    return name in _STATUSES and _FAILED_STATUS_RE.fullmatch(str(value)) is not None


def encode(fields: Mapping[str, Any]) -> bytes:
    """Return the request body of snake_case fields; those that are `UNSET` are omitted."""
    document = {camel_case(name): value for name, value in fields.items() if value is not UNSET}
    return json_text.dumps(document, orjson.OPT_PASSTHROUGH_DATETIME, _to_shallow_json)


def query(fields: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return the request query of snake_case fields; those that are `UNSET` are omitted."""
    return encode_query({camel_case(name): value for name, value in fields.items() if value is not UNSET})


def encode_query(parameters: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return the request query of parameters whose names are unchanged. A list of values repeats its parameter."""
    return tuple((name, _query_value(item)) for name, value in parameters.items() for item in _as_list(value))


def _as_list(value: Any) -> list[Any]:
    values: list[Any] = value if value.__class__ is list else [value]
    return values


def _query_value(value: Any) -> str:
    if isinstance(value, date):
        return values.format_timestamp(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _cursor(value: Any) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise MalformedDocumentError(NEXT_CURSOR, f"expected a string or a number, got {format_value(value)}")
    text = str(value)
    if len(text) > _MAX_CURSOR or not _is_encodable(text):
        reason = f"expected at most {_MAX_CURSOR} characters that a URL can hold, got {format_value(text)}"
        raise MalformedDocumentError(NEXT_CURSOR, reason)
    return text


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return False
    return True


async def _map_in_chunks(parse: Callable[[T], M], items: list[T], name: str) -> list[M]:
    """Return the models of all items of an array, and let the event loop run now and then."""
    if items.__class__ is not list:
        raise MalformedDocumentError(name, "expected an array")
    models: list[M] = []
    # Each item is dropped after it is read, so that the next models reuse its memory while it is in the cache.
    items.reverse()
    while items:
        try:
            models.append(parse(items.pop()))
        except MalformedDocumentError as error:
            raise error.inside(f"{name}[{len(models)}]") from None
        if len(models) % _CHUNK_SIZE == 0:
            await checkpoint()
    return models


def _build(item: Unbuilt) -> Any:
    return item.build()


def _structure(model: type[M], document: Any) -> M:
    """Return the model of a decoded object."""
    try:
        return decoding.convert(model, document)
    except decoding.REJECTIONS:
        if decoding.learn(model, document):
            return _structure(model, document)
        return cast("M", _structure_exactly(model, document))


def _structure_exactly(kind: Any, document: Any) -> Any:
    # Importing cattrs takes long, and most programs never need it.
    from .structuring import structure  # noqa: PLC0415

    return structure(kind, document)
