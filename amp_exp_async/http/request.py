"""A request and its reply, before and after the network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from attrs import define, field

from amp_exp_async import serialization
from amp_exp_async.config import Secret
from amp_exp_async.errors import UnexpectedResponseError
from amp_exp_async.models import Model, Page
from amp_exp_async.serialization import MalformedDocumentError

from .retry import Idempotency, Outcome

T = TypeVar("T")
M = TypeVar("M", bound=Model)

_BETA_CREATION = "/experiments/new"  # no object, though it looks like one
_EXCERPT = 300  # characters of a body that a message quotes


def build_path(*segments: str) -> str:
    """A path of percent-encoded segments, each of which is checked by then."""
    return "/" + "/".join([_quoted(segment) for segment in segments])


def _quoted(segment: str) -> str:
    # Most have nothing to encode, and `quote` takes its time to find that out.
    return segment if segment.isascii() and segment.isalnum() else quote(segment, safe="")


@define
class Request:
    """One call of the API, sent once or, by the rules of `retry.py`, several times.

    Attributes:
        method: GET, POST, PATCH or DELETE.
        path: percent-encoded, under the API's prefix.
        query: names and values, not yet encoded.
        body: the JSON text, or None for no body.
        repeat: what a second application would do.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: bytes | None = field(default=None, repr=False)
    repeat: Idempotency = Idempotency.IDEMPOTENT

    @property
    def target(self) -> str:
        """The path and the encoded query."""
        return f"{self.path}?{urlencode(self.query, quote_via=quote)}" if self.query else self.path

    @property
    def order_key(self) -> str | None:
        """What writes must not overlap on: the object that the path begins with. None for a read."""
        if self.method == "GET" or self.path == _BETA_CREATION:
            return None
        owner = self.path.split("/", 3)[1:3]
        return None if len(owner) < 2 else "/".join(owner)


@define
class Response:
    """A complete reply.

    Attributes:
        request: what was asked.
        status: the HTTP status.
        headers: the reply's headers.
        body: the whole of it.
        key: the management API key, to be kept out of what is shown of a reply that echoes it.
        attempts: how many requests were sent for this call.
    """

    request: Request
    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    key: Secret
    attempts: int = 1

    @property
    def outcome(self) -> Outcome:
        """What the retry rules need to know of it."""
        return Outcome(self.status)

    @property
    def text(self) -> str:
        """The body as text, without the key."""
        return self.key.redact(self.body.decode("utf-8", "replace"))

    def unexpected(self, malformed: MalformedDocumentError) -> UnexpectedResponseError:
        """The error that says where the body is not what the contract says."""
        where = f" at {malformed.location}" if malformed.location else ""
        return UnexpectedResponseError(
            f"{self.request.method} {self.request.path}: the reply{where} is not what the API documents: "
            f"{self.key.redact(malformed.reason)}. Nothing of it was used; if the service changed, look for a newer "
            f"amp_exp_async. It begins: {excerpt(self.text)}",
            location=malformed.location,
            body=self.text[:_EXCERPT],
            method=self.request.method,
            path=self.request.path,
            attempts=self.attempts,
        )

    def read(self, parse: Callable[[bytes], T]) -> T:
        """The body, parsed.

        Raises:
            UnexpectedResponseError: it is not what the contract says.
        """
        try:
            return parse(self.body)
        except MalformedDocumentError as malformed:
            raise self.unexpected(malformed) from None

    async def read_array(self, model: type[M]) -> list[M]:
        """The body, as an array of models.

        Raises:
            UnexpectedResponseError: it is not one.
        """
        try:
            return await serialization.parse_list(model, self.body)
        except MalformedDocumentError as malformed:
            raise self.unexpected(malformed) from None

    async def read_page(self, model: type[M], name: str) -> Page[M]:
        """The body, as a page of models in the field `name`.

        Raises:
            UnexpectedResponseError: it is not one.
        """
        try:
            return await serialization.parse_page(model, name, self.body)
        except MalformedDocumentError as malformed:
            raise self.unexpected(malformed) from None


def excerpt(body: Any) -> str:
    """The beginning of a body, for a message."""
    text = body if isinstance(body, str) else repr(body)
    text = " ".join(text.split())
    return (text[:_EXCERPT] + "…") if len(text) > _EXCERPT else (text or "(empty)")
