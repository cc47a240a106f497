"""The calls, attempts and waits of a client, as its hooks and observers see them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from attrs import frozen

if TYPE_CHECKING:
    from .session import HttpSession

WaitReason: TypeAlias = Literal["key", "lock", "concurrency limit", "rate limit", "retry"]
"""What a call waits for: earlier writes to the same object, other requests, the rate limit, or the next attempt."""


AttemptErrorType: TypeAlias = Literal["timeout", "connection", "response"]


@frozen(kw_only=True)
class Attempt:
    """A request that was sent, as `on_attempt` receives it.

    Attributes:
        method: the HTTP method.
        path: the path, without host and query.
        number: the number of the attempt in its call, from 1.
        status: the HTTP status, or None if no complete response arrived.
        error: what went wrong if no complete response arrived, else None.
        error_type: what kind of error that was: `timeout`; `connection`, if there was none or if it was lost; or
            `response`, if a response arrived that cannot be read.
        seconds: how long the attempt took, without the waits before it.
        request_id: the ID that the service or its gateway gave the request, from a header of the response; None
            without one.
    """

    method: str
    path: str
    number: int
    status: int | None
    error: str | None
    seconds: float
    request_id: str | None = None
    error_type: AttemptErrorType | None = None


@frozen(kw_only=True)
class CallStart:
    """A call that starts, as `on_call_start` receives it.

    Attributes:
        method: the HTTP method.
        path: the path, without host and query.
    """

    method: str
    path: str


@frozen(kw_only=True)
class CallEnd:
    """A call that has ended, as `on_call_end` receives it.

    Attributes:
        method: the HTTP method.
        path: the path, without host and query.
        status: the HTTP status of the last attempt; None if no complete response arrived, or nothing was sent.
        attempts: how many requests the call has sent, including retries.
        seconds: how long the call took, including waits and retries.
        waits: the seconds that it waited, by the reason: `key` for the function that returns the key, `lock` for
            earlier writes to the same object, `concurrency limit` for other requests, `rate limit`, or `retry`.
            Without the reasons for which it did not wait.
        error: the exception that the call raises; None if it succeeded. `OutcomeUnknownError` if a write may or may
            not have been applied, `asyncio.CancelledError` if the call was cancelled.
        request_id: the ID that the service or its gateway gave the last attempt; None without one.
    """

    method: str
    path: str
    status: int | None
    attempts: int
    seconds: float
    waits: Mapping[WaitReason, float]
    error: BaseException | None
    request_id: str | None

    @property
    def seconds_waited(self) -> float:
        """The seconds that the call waited, for whatever reason."""
        return sum(self.waits.values())


class CallObserver(Protocol):
    """An observer of one call. Its methods must not block. They are called in the task of the call."""

    def on_wait(self, reason: WaitReason, seconds: float) -> None:
        """Record a wait that has ended, also if it was interrupted."""
        ...

    def on_attempt_start(self, number: int) -> None:
        """Record that a request is sent. `on_attempt_end` follows, unless the attempt is interrupted."""
        ...

    def on_attempt_end(self, attempt: Attempt) -> None:
        """Record the end of a request."""
        ...

    def observe_reads(self) -> Observer:
        """Return the observer of the calls that read back what a write has done, while this call waits for them."""
        ...

    def on_end(self, end: CallEnd) -> None:
        """Record the end of the call, whatever its outcome. Nothing follows."""
        ...


class Telemetry(Protocol):
    """What `telemetry` of a client takes, such as `amp_exp_async.otel.OpenTelemetry`."""

    def observe(self, session: HttpSession) -> Observer:
        """Return the observer of a client with this session."""
        ...


class Observer(Protocol):
    """An observer of all calls of a client."""

    def start_call(self, start: CallStart) -> CallObserver:
        """Return the observer of a call that starts now, in the task of the call. It must not block."""
        ...

    def on_operation(self, operation: str, status: str) -> None:
        """Record the outcome of an operation of a bulk run: its class, and its status."""
        ...
