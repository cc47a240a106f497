"""What a caller may set about how requests are made."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import attrs
from attrs import define, field, frozen

from amp_exp_async.errors import ConfigurationError

from .retry import RetryPolicy
from .scope import Scope


def _seconds(_: object, field: attrs.Attribute[Any], value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ConfigurationError(f"{field.name} must be a number of seconds over 0, got {value!r}")


def _seconds_or_none(instance: object, field: attrs.Attribute[Any], value: object) -> None:
    if value is not None:
        _seconds(instance, field, value)


def _policy(_: object, field: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, RetryPolicy):
        raise ConfigurationError(f"{field.name} must be a RetryPolicy, got {value!r}")


def _observer(_: object, field: attrs.Attribute[Any], value: object) -> None:
    if value is not None and (not callable(value) or inspect.iscoroutinefunction(value)):
        raise ConfigurationError(f"{field.name} must be a plain function of one argument, got {value!r}")


@frozen(kw_only=True)
class Attempt:
    """One request that was sent, as `on_attempt` gets to see it.

    Attributes:
        method: the HTTP method.
        path: the path, without the host and without the query.
        number: which attempt of its call it was, from 1.
        status: the reply's status, or None when there was no complete reply.
        error: what went wrong when there was no complete reply.
        seconds: how long it took, without the waits before it.
    """

    method: str
    path: str
    number: int
    status: int | None
    error: str | None
    seconds: float


@frozen(kw_only=True)
class Usage:
    """What a client has sent so far, views included.

    Attributes:
        requests: requests sent, retries included; connections that were never made do not count.
        requests_today: those of the present UTC day, of all clients in this process that share the key; with a
            `RedisRateLimit` of all processes, as far as this client has heard.
        retries: how many of them were retries.
        rate_limited: how often the service answered 429.
        seconds_waited: seconds that calls spent waiting for the pacer, summed over all calls.
    """

    requests: int
    requests_today: int
    retries: int
    rate_limited: int
    seconds_waited: float


@define
class CallStats:
    """Counts of what was sent through one transport.

    Attributes:
        requests: the requests sent, including retries and what was read back to reconcile a write.
        ambiguous: whether a write ended without anybody knowing whether it was applied.
    """

    requests: int = 0
    ambiguous: bool = False

    def reset(self) -> None:
        """Start counting from zero."""
        self.requests, self.ambiguous = 0, False


@define(eq=False)
class CancelSignal:
    """Asks the calls of one transport to stop, unless one of them has already written something.

    Attributes:
        requested: whether the calls were asked to stop.
        scope: the scope of the latest call.
    """

    requested: bool = False
    scope: Scope | None = None
    _written: bool = False
    _in_flight: int = 0

    @property
    def stops_calls(self) -> bool:
        """Whether nothing more may be sent."""
        return self.requested and not self._written

    def cancel_unsent(self) -> None:
        """Stop the calls, unless something was written. A request in flight may end, and is the last one."""
        self.requested = True
        if self.scope is not None and not self._written and not self._in_flight:
            self.scope.end()

    def on_send(self, *, writes: bool) -> None:
        """Record that a request is sent."""
        self._in_flight += 1
        self._written = self._written or writes

    def on_response(self) -> None:
        """Record that a request has ended."""
        self._in_flight -= 1

    def reset(self) -> None:
        """Forget what was written, for the next operation."""
        self._written = False


@frozen(kw_only=True)
class CallOptions:
    """How calls are made: what `with_options` can change, and `patient`.

    Attributes:
        timeout: seconds for one attempt.
        deadline: seconds for one call, waits and retries included; None for no end.
        retry: how often and after which waits an attempt is repeated.
        on_attempt: called after each attempt.
        patient: whether the deadline begins only when the first request may be sent: waiting for earlier writes, other
            requests and the rate limit does not count. Such a call never waits for another day. It is not for callers
            to set: it is meant for long runs of many calls, most of which wait most of the time.
    """

    timeout: float = field(default=30.0, validator=_seconds)
    deadline: float | None = field(default=120.0, validator=_seconds_or_none)
    retry: RetryPolicy = field(factory=RetryPolicy, validator=_policy)
    on_attempt: Callable[[Attempt], object] | None = field(default=None, validator=_observer)
    patient: bool = False
