"""Documents to models and back: one object, an array, a page, a request's body and query."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, TypeVar, cast

import orjson
from anyio.lowlevel import checkpoint
from attrs import frozen

from amp_exp_async.errors import UnexpectedResponseError
from amp_exp_async.models import UNSET, Id, Model, Page

from . import values
from .hooks import Hooks
from .names import NEXT_CURSOR, camel_case, field_names

M = TypeVar("M", bound=Model)

# Structuring 1,000 flags holds the event loop for several milliseconds: give way in between.
_AT_A_TIME = 200

_SCALARS = frozenset({str, bool, int, float, type(None)})

_HOOKS = Hooks()


@frozen
class MalformedDocumentError(Exception):
    """A document is not what the contract says: the place in it, and the reason."""

    location: str
    reason: str


def parse(model: type[M], document: Any) -> M:
    """A model from a decoded JSON object.

    Raises:
        UnexpectedResponseError: something in the document is of a wrong type, or missing; `place` says where.
    """
    try:
        return _structure(model, document, "")
    except MalformedDocumentError as malformed:
        raise UnexpectedResponseError(
            f"no {getattr(model, '__name__', model)}: at {malformed.location or 'the top'}: {malformed.reason}",
            location=malformed.location,
        ) from None


def to_json(value: Any) -> Any:
    """The wire's JSON (dicts, lists, strings, numbers, booleans, None) of a model, or of a list or dict of them.

    Fields that are `UNSET` are left out; `extra` is written back.
    """
    if value.__class__ in _SCALARS:
        return value
    if isinstance(value, Model):
        cls: Any = type(value)
        known = ((wire, getattr(value, name)) for name, wire in field_names(cls).items())
        return value.extra | {wire: to_json(item) for wire, item in known if item is not UNSET}
    if isinstance(value, Mapping):
        return {key: to_json(item) for key, item in cast("Mapping[str, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [to_json(item) for item in cast("list[Any]", value)]
    return values.moment_to_json(value) if isinstance(value, date) else value


def decode(body: bytes) -> Any:
    """Any JSON text."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise MalformedDocumentError("", f"not JSON ({error})") from None


def parse_object(model: type[M], body: bytes) -> M:
    """The model that a body holds."""
    return _structure(model, decode(body), "")


async def parse_list(model: type[M], body: bytes) -> list[M]:
    """The models of a body that is an array."""
    return await _structure_all(model, decode(body), "")


async def parse_page(model: type[M], name: str, body: bytes) -> Page[M]:
    """The page that a body holds: an object whose field `name` is the array."""
    document = decode(body)
    if document.__class__ is not dict:
        raise MalformedDocumentError("", f"expected an object with {name!r}")
    if name not in document:
        raise MalformedDocumentError(name, "missing")
    items: list[M] = await _structure_all(model, document[name], name)
    return Page(items, _cursor(document.get(NEXT_CURSOR)))


def expect_ok(body: bytes) -> None:
    """The reply to a write: `OK`, or anything else but a web page, which comes from a proxy or a login."""
    if body.lstrip()[:1] == b"<":
        raise MalformedDocumentError("", "a web page")


def parse_ids(body: bytes) -> list[str]:
    """The ids of a body that is an array of them."""
    document = decode(body)
    try:
        return values.identifiers(document)
    except TypeError:
        raise MalformedDocumentError(*_first_fault(document, list[Id])) from None


def encode(fields: Mapping[str, Any]) -> bytes:
    """A request's body from snake_case fields; those that are `UNSET` are left out."""
    return orjson.dumps({camel_case(name): to_json(value) for name, value in fields.items() if value is not UNSET})


def query(fields: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """A request's query from snake_case fields; those that are `UNSET` are left out."""
    return encode_query({camel_case(name): value for name, value in fields.items() if value is not UNSET})


def encode_query(parameters: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """A request's query from the wire's own names."""
    return tuple((name, _query_text(value)) for name, value in parameters.items())


def _query_text(value: Any) -> str:
    if isinstance(value, date):
        return values.moment_to_json(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _cursor(value: Any) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise MalformedDocumentError(NEXT_CURSOR, f"expected a string or a number, got {value!r:.60}")
    return str(value)


async def _structure_all(model: type[M], documents: Any, name: str) -> list[M]:
    if documents.__class__ is not list:
        raise MalformedDocumentError(name, "expected an array")
    models: list[M] = []
    # Each document is let go of as soon as it is read: the next models take its memory while it is warm.
    documents.reverse()
    while documents:
        models.append(_structure(model, documents.pop(), f"{name}[{len(models)}]"))
        if len(models) % _AT_A_TIME == 0:
            await checkpoint()
    return models


def _structure(model: type[M], document: Any, where: str) -> M:
    try:
        return _HOOKS.of(model)(document)
    except (TypeError, ValueError):
        place, reason = _first_fault(document, model)
        separator = "." if where and place and not place.startswith("[") else ""
        raise MalformedDocumentError(where + separator + place, reason) from None


def _first_fault(document: Any, kind: Any) -> tuple[str, str]:
    # cattrs takes long to import, and few programs ever meet a fault.
    from .detailed import first_fault  # noqa: PLC0415

    return first_fault(document, kind)
