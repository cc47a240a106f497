"""A request and its response."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NoReturn, TypeAlias, TypeVar
from urllib.parse import quote, unquote, urlencode

from attrs import define, field
from multidict import CIMultiDict

from amp_exp_async import serialization
from amp_exp_async.config import Secret
from amp_exp_async.errors import UnexpectedResponseError
from amp_exp_async.formatting import format_value, truncate
from amp_exp_async.models import UNSET, Model, Page
from amp_exp_async.serialization import MalformedDocumentError

from .attempt_connections import AttemptConnections
from .refusals import RefusalKind, refusal_kind
from .request_id import read_request_id
from .retry import AttemptResult, Idempotency

QueryParameters: TypeAlias = Mapping[str, str | int | float | bool | Sequence[str | int | float | bool]]
"""The query of a request: names and values. A sequence of values repeats the parameter."""

T = TypeVar("T")
M = TypeVar("M", bound=Model)

_BETA_CREATION = "/experiments/new"  # looks like the path of an object
_MAX_EXCERPT = 300  # characters
_MAX_ERROR_TEXT = 1 << 16  # characters of a response that say why the request was rejected
MAX_ERROR_BYTES = _MAX_ERROR_TEXT + (1 << 12)  # with a margin, so that a key is not cut before it is removed


def build_path(*segments: str) -> str:
    """Return a path of percent-encoded segments."""
    return "/" + "/".join([quote_segment(segment) for segment in segments])


def quote_segment(segment: str) -> str:
    """Return a segment of a path, percent-encoded."""
    # Most segments need no encoding, which `quote` finds out slowly. An ID of a response may have lone surrogates.
    plain = segment.isascii() and segment.isalnum()
    return segment if plain else quote(segment, safe="", errors="surrogatepass")


class HeaderFields:
    """Headers that a caller adds to requests. Their repr hides their values, which may be secret."""

    __slots__ = ("_fields",)

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._fields = tuple(headers.items())  # a mapping of aiohttp may have a name twice

    def reveal(self) -> tuple[tuple[str, str], ...]:
        """Return the names and values."""
        return self._fields

    def encode(self) -> bytes:
        """Return the headers as they are sent. Do not keep them in a variable."""
        return "".join([f"{name}: {value}\r\n" for name, value in self._fields]).encode()

    def __eq__(self, other: object) -> bool:
        return self._fields == other._fields if isinstance(other, HeaderFields) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._fields)

    def __repr__(self) -> str:
        return f"<headers: {', '.join(str(name) for name, _ in self._fields)}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("headers cannot be pickled, because their values may be secret.")


@define
class Request:
    """A request of the API, sent one or more times.

    Attributes:
        method: the HTTP method.
        path: percent-encoded, below the API's prefix.
        query: names and values, not yet encoded.
        body: the JSON text, or None for no body.
        idempotency: the effect of a second application.
        headers: what the caller adds, with the `User-Agent`; None for nothing.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: bytes | None = field(default=None, repr=False)
    idempotency: Idempotency = Idempotency.IDEMPOTENT
    headers: HeaderFields | None = None

    @property
    def target(self) -> str:
        """The path and the encoded query."""
        return f"{self.path}?{urlencode(self.query, quote_via=quote)}" if self.query else self.path

    @property
    def lock_key(self) -> str | None:
        """The object that the path begins with, on which writes must not overlap; None for a read."""
        if self.method == "GET" or self.path == _BETA_CREATION:
            return None
        owner = self.path.split("/", 3)[1:3]
        return None if len(owner) < 2 else "/".join(owner)


@define
class Response:
    """A complete response.

    Attributes:
        request: the request.
        status: the HTTP status.
        headers: the headers.
        body: the body.
        key: the management API key, which is removed from everything that is shown.
        attempts: the number of attempts of the call.
        connections: those over which it may have come; None without any.
    """

    request: Request
    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    key: Secret
    attempts: int = 1
    connections: AttemptConnections | None = field(default=None, repr=False, eq=False)
    _text: str | None = field(default=None, init=False, repr=False, eq=False)

    @property
    def attempt_result(self) -> AttemptResult:
        """The result for `decide`."""
        return AttemptResult(self.status, refusal=self.refusal_kind)

    @property
    def refusal_kind(self) -> RefusalKind | None:
        """What a refusal says about the object, if that is known."""
        return refusal_kind(self.status, self.text)

    @property
    def request_id(self) -> str | None:
        """The ID that the service, or a gateway before it, gave the request; None without one."""
        return read_request_id(self.headers, self.key)

    @property
    def redacted_headers(self) -> Mapping[str, str]:
        """The headers, without the key."""
        return CIMultiDict((self.key.redact(name), self.key.redact(value)) for name, value in self.headers.items())

    @property
    def text(self) -> str:
        """The body as text, without the key, and without the rest if it is long: for errors."""
        if self._text is None:
            # The ellipsis says that a secret at the end may be cut off.
            end = "…" if len(self.body) > MAX_ERROR_BYTES else ""
            start = self.body[:MAX_ERROR_BYTES].decode("utf-8", "replace") + end
            self._text = self.key.redact(start)[:_MAX_ERROR_TEXT]
        return self._text

    def parse(self, parser: Callable[[bytes], T]) -> T:
        """Return the parsed body.

        Raises:
            UnexpectedResponseError: If the body differs from the API reference.
        """
        try:
            return parser(self.body)
        except MalformedDocumentError as error:
            unexpected = self._unexpected(error)
        raise unexpected

    def parse_object(self, model: type[M]) -> M:
        """Return the body as a model.

        Raises:
            UnexpectedResponseError: If the body differs from the API reference.
        """
        try:
            return serialization.parse_object(model, self.body)
        except MalformedDocumentError as error:
            unexpected = self._unexpected(error)
        raise unexpected

    def other_object_error(self, location: str, found: object) -> UnexpectedResponseError | None:
        """Return the error of a response about another object, which may be the response to another request, or None.

        Args:
            location: the place of the identifier in the document.
            found: the identifier in the response. The path of the request ends with the requested one.
        """
        requested = unquote(self.request.path.rpartition("/")[2])
        if requested.lstrip("0") == str(found).lstrip("0"):  # a number may have leading zeros in the request
            return None
        return self._other_value_error(location, requested, str(found))

    def written_object_error(self, found: object) -> UnexpectedResponseError | None:
        """Return the error of a response to a write of one object that has the ID of another one, or None.

        Args:
            found: the ID in the response; UNSET without one.
        """
        is_of_one_object = self.request.path.count("/") == 2 and self.request.method != "POST"
        return self.other_object_error("id", found) if is_of_one_object and found is not UNSET else None

    def created_object_error(self, found: object) -> UnexpectedResponseError | None:
        """Return the error of a response to a creation that has another key than the request, or None.

        Args:
            found: the key in the response. Only a string is one.
        """
        request = self.request
        if request.idempotency is not Idempotency.CREATE or request.body is None or not isinstance(found, str):
            return None
        requested = serialization.decode(request.body).get("key", found)
        return None if requested == found else self._other_value_error("key", requested, found)

    def _other_value_error(self, location: str, expected: str, got: str) -> UnexpectedResponseError:
        reason = f"expected {format_value(expected)}, got {format_value(got)}"
        return self._unexpected(MalformedDocumentError(location, reason))

    async def parse_list(self, model: type[M]) -> list[M]:
        """Return the body as a list of models.

        Raises:
            UnexpectedResponseError: If the body differs from the API reference.
        """
        return await self._parse_in_steps(serialization.parse_list(model, self.body))

    async def parse_page(self, model: type[M], name: str) -> Page[M]:
        """Return the body as a page with the models in the field `name`.

        Raises:
            UnexpectedResponseError: If the body differs from the API reference.
        """
        return await self._parse_in_steps(serialization.parse_page(model, name, self.body))

    async def _parse_in_steps(self, parsing: Awaitable[T]) -> T:
        """Await the parsed body. Until then, no other request uses the connection, in case it is to be closed."""
        connections = self.connections or AttemptConnections()
        connections.is_in_progress = True
        try:
            return await parsing
        except MalformedDocumentError as error:
            unexpected = self._unexpected(error)
        finally:
            connections.is_in_progress = False
        raise unexpected

    def close_connection(self) -> None:
        """Close the connection: this may be the response to another request, and the right one be on its way."""
        if self.connections is not None:
            self.connections.close()

    def _unexpected(self, malformed: MalformedDocumentError) -> UnexpectedResponseError:
        """Return the error, and close the connection."""
        self.close_connection()
        location = self.key.redact(malformed.location)
        where = f" at {location}" if location else ""
        consequence = "None of it was used." if self.request.method == "GET" else "The request may have been applied."
        error = UnexpectedResponseError(
            f"{self.request.method} {self.request.path} returned an unexpected response{where}: "
            f"{self.key.redact(malformed.reason)}. It begins: {truncate_body(self.text)}. {consequence} "
            "If the API has changed, upgrade amp_exp_async.",
            location=location,
            body=self.text[:_MAX_EXCERPT],
            status=self.status,
            method=self.request.method,
            path=self.request.path,
            attempts=self.attempts,
        )
        error.request_id = self.request_id
        return error


def truncate_body(body: str) -> str:
    """Return the beginning of a body on one line, for a message."""
    return truncate(" ".join(body.split()), _MAX_EXCERPT) or "(empty)"
