"""Blocks of code that collect the successful responses of the calls in them."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from .call_blocks import CallBlock


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


class ResponseCapture(CallBlock):
    """A context manager that gives a list of the responses of its calls.

    Args:
        open_blocks: contains this one while its block runs.
    """

    def __init__(self, open_blocks: set[CallBlock]) -> None:
        super().__init__(open_blocks)
        self._responses: list[APIResponse] = []

    def __enter__(self) -> list[APIResponse]:
        self.open()
        return self._responses

    def add(self, response: APIResponse) -> None:
        """Add a response, unless the block has ended."""
        if self.is_open:
            self._responses.append(response)
