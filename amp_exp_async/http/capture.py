"""Blocks of code that collect the successful responses of the calls in them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from contextvars import ContextVar, Token
from types import TracebackType

from attrs import field, frozen


@frozen(kw_only=True)
class APIResponse:
    """The successful response of a call, without its body, which the call returns parsed.

    Attributes:
        method: the HTTP method of the request.
        path: its path, without host and query.
        status: the HTTP status. It is one of success, except if a repeated removal found nothing left to remove.
        headers: the headers of the response. Their names are looked up in any case. The key is not in them.
        request_id: the ID that the service, or a gateway before it, gave the request; None without one.
        attempts: how many requests the call has sent, including retries.
        seconds: the seconds from the start of the call to its response, including waits and retries.
    """

    method: str
    path: str
    status: int
    headers: Mapping[str, str] = field(repr=False)
    request_id: str | None
    attempts: int
    seconds: float


class ResponseCapture:
    """A context manager: a list of the responses of the calls in its block, also of tasks that are started in it.

    Args:
        open_captures: contains this one while its block runs, so that calls outside of any block pay nothing. Blocks
            in several threads share it.
    """

    def __init__(self, open_captures: set[ResponseCapture]) -> None:
        self._open_captures = open_captures
        self._responses: list[APIResponse] = []
        self._token: Token[tuple[ResponseCapture, ...]] | None = None

    def __enter__(self) -> list[APIResponse]:
        if self._token is not None:
            raise RuntimeError("a capture of responses can be entered only once")
        self._token = _CAPTURES.set((*_CAPTURES.get(), self))
        self._open_captures.add(self)
        return self._responses

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._open_captures.discard(self)
        if self._token is not None:
            # An async generator may leave its block in another context, in which there is nothing to reset.
            with suppress(ValueError):
                _CAPTURES.reset(self._token)

    def add(self, response: APIResponse) -> None:
        """Add a response, unless the block has ended: a task may outlive it."""
        if self in self._open_captures:
            self._responses.append(response)


_CAPTURES: ContextVar[tuple[ResponseCapture, ...]] = ContextVar("amp_exp_async_captures", default=())


def current_captures(open_captures: set[ResponseCapture]) -> tuple[ResponseCapture, ...]:
    """Return the captures, among those of a client, whose blocks the running code belongs to."""
    return tuple([capture for capture in _CAPTURES.get() if capture in open_captures])
