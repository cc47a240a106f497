"""What a caller adds to requests: headers, query parameters, and the name of an application."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, NoReturn, cast

import attrs
from attrs import field, frozen

from amp_exp_async import serialization, validation
from amp_exp_async._version import __version__
from amp_exp_async.errors import NOTHING_SENT, ConfigurationError, InvalidInputError
from amp_exp_async.formatting import format_value
from amp_exp_async.models import UNSET

from .request import HeaderFields, QueryParameters, Request

USER_AGENT = f"amp_exp_async/{__version__}"
"""The `User-Agent` of requests without an `app_info`."""

MESSAGE_HEADERS = frozenset(
    {"accept", "accept-encoding", "authorization", "connection", "content-encoding", "content-length", "content-type"}
    | {"cookie", "expect", "host", "keep-alive", "proxy-authorization", "proxy-connection", "range", "te", "trailer"}
    | {"transfer-encoding", "upgrade"}
)
"""The headers that say who sends a request, what it contains, and how it travels, in lower case. The client sets
them, or they are not sent."""

_OVERRIDES = frozenset({"x-http-method", "x-http-method-override", "x-method-override"})  # would change what is locked
_TCHARS = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_NAME_RE = re.compile(_TCHARS)
_VALUE_RE = re.compile(r"(?! )[ -~]*(?<! )")
_PRODUCT_RE = re.compile(rf"{_TCHARS}/{_TCHARS}")


@frozen
class _NoHeaders:
    """What a caller passed for headers, although it is of another type: it may hold their values too.

    Attributes:
        type_name: the name of the type.
    """

    type_name: str


def hide_headers(value: Any) -> Any:
    """Return headers that a caller passed as an object whose repr hides their values; no headers for None."""
    if value is None:
        return HeaderFields({})
    if value is UNSET or isinstance(value, HeaderFields | _NoHeaders):
        return value
    is_mapping = isinstance(value, Mapping)
    return HeaderFields(cast("Mapping[str, str]", value)) if is_mapping else _NoHeaders(type(value).__name__)


def header_fields(_: object, field: attrs.Attribute[Any], value: object) -> None:
    """Reject anything but headers that a caller may set, without showing their values."""
    fault = _find_fault(field.name, value)
    if fault is not None:
        raise fault


def product(_: object, field: attrs.Attribute[Any], value: object) -> None:
    """Reject anything but None or `name/version`."""
    if value is not None and not (isinstance(value, str) and _PRODUCT_RE.fullmatch(value)):
        got = format_value(value)
        raise ConfigurationError(argument=field.name, rule='must be like "name/version", or None', got=got)


def query_parameters(_: object, field: attrs.Attribute[Any], value: Any) -> None:
    """Reject anything but a mapping of names to strings, numbers, booleans, or lists of them."""
    try:
        names: Collection[str] = validation.parameters(field.name, value)
    except InvalidInputError as error:
        invalid = error
    else:
        if "cursor" in names:
            raise ConfigurationError(
                argument=f"{field.name}.cursor", rule="is set by lists", advice="Pass cursor to the list."
            )
        return
    raise ConfigurationError(argument=invalid.argument, rule=invalid.rule, got=invalid.got) from None


def _find_fault(argument: str, value: object) -> ConfigurationError | None:
    """Return the error for invalid headers. It is raised elsewhere, because this frame has their values."""
    if not isinstance(value, HeaderFields):
        name = value.type_name if isinstance(value, _NoHeaders) else type(value).__name__
        got = f"{format_value(name)} (a type)"
        return ConfigurationError(argument=argument, rule="must be a mapping of header names to strings", got=got)
    seen: set[str] = set()
    headers: tuple[tuple[Any, Any], ...] = value.reveal()
    for name, text in headers:
        rule, advice = _broken_rule(name, text), ""
        if not rule and name.lower() in seen:
            rule = "is there twice"
        if rule:
            if isinstance(name, str) and _normalize(name) == "user-agent":
                advice = "Pass app_info to add to it."
            return ConfigurationError(argument=f"{argument}[{format_value(name)}]", rule=rule, advice=advice)
        seen.add(name.lower())
    return None


def _broken_rule(name: Any, value: Any) -> str:
    """Return the rule that a header breaks, or an empty text."""
    if not isinstance(name, str) or not _NAME_RE.fullmatch(name):
        return "is not the name of a header"
    if _normalize(name) in MESSAGE_HEADERS or _normalize(name) == "user-agent":
        return "is set by the client and cannot be replaced"
    if _normalize(name) in _OVERRIDES:
        return "would change the method of the request"
    if not isinstance(value, str):
        return "must be a string"
    if not _VALUE_RE.fullmatch(value):
        return "must have printable ASCII characters only, and no space at either end"
    return ""


def _normalize(name: str) -> str:
    """Return the name of a header as servers compare it: some, such as those of WSGI, take `_` for `-`."""
    return name.lower().replace("_", "-")


@frozen
class Additions:
    """What is added to each request.

    Attributes:
        headers: headers, with the `User-Agent`.
        query: names and values, not yet encoded.
        query_yields: whether a parameter that a request sets itself is left out; otherwise, it is an error.
    """

    headers: HeaderFields
    query: tuple[tuple[str, str], ...] = field(repr=False)
    query_yields: bool

    def apply(self, request: Request) -> Request:
        """Return a request with the additions.

        Raises:
            InvalidInputError: If the request sets one of the query parameters itself.
        """
        own = dict(request.query)
        query = tuple(item for item in self.query if item[0] not in own)
        if len(query) < len(self.query) and not self.query_yields:
            _reject_query(next(name for name, _ in self.query if name in own), request)
        return attrs.evolve(request, headers=self.headers, query=request.query + query)


def _reject_query(name: str, request: Request) -> NoReturn:
    raise InvalidInputError(
        argument=f"extra_query.{name}",
        rule=f"is set by {request.method} {request.path} itself",
        consequence=NOTHING_SENT,
        advice="Pass it as the argument of the operation.",
    )


def make_additions(
    default_headers: HeaderFields,
    extra_headers: HeaderFields,
    extra_query: QueryParameters,
    app_info: str | None,
    *,
    query_yields: bool,
) -> Additions | None:
    """Return what is added to each request; None if that is nothing. Extra headers take the place of default ones."""
    names = {name.lower() for name, _ in extra_headers.reveal()}
    headers = {name: value for name, value in default_headers.reveal() if name.lower() not in names}
    headers.update(extra_headers.reveal())
    if not (headers or extra_query or app_info):
        return None
    headers["User-Agent"] = f"{USER_AGENT} {app_info}" if app_info else USER_AGENT
    query = serialization.encode_query(validation.parameters("extra_query", extra_query))
    return Additions(HeaderFields(headers), query, query_yields)
