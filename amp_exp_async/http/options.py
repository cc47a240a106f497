"""Options of a client and of its calls, and the counts that a client keeps."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from ssl import SSLContext
from typing import Any, Literal, TypeAlias

import attrs
from attrs import define, field, frozen

from amp_exp_async.config import Secret
from amp_exp_async.models import UNSET, UnsetType
from amp_exp_async.ratelimit import RateLimit
from amp_exp_async.validation.settings import (
    instance_of,
    optional_callable,
    optional_function,
    optional_list_of,
    optional_non_negative_seconds,
    optional_positive_seconds,
    positive_int,
    session_of_aiohttp,
)

from . import lazy_aiohttp as aiohttp
from .additions import Additions, header_fields, hide_headers, make_additions, product, query_parameters
from .deadlines import CancelScope
from .observers import Attempt, CallEnd, CallStart, Observer
from .proxies import require_http_proxy
from .request import HeaderFields, QueryParameters
from .retry import RetryPolicy
from .timeouts import Timeout, to_timeout

_MAX_EXPLANATORY_READS = 10  # as many errors as a `BulkError` keeps

Wait: TypeAlias = Literal["key", "turn", "rate limit", "response", "retry"]


def _proxy_url(_: object, field: attrs.Attribute[Any], value: Secret | None) -> None:
    """Reject anything but None or an HTTP URL, without showing it: it may contain a password."""
    if value is not None:
        require_http_proxy(field.name, value)


def _ssl_setting(instance: object, field: attrs.Attribute[Any], value: object) -> None:
    """Reject anything but what aiohttp takes as `ssl`."""
    expected = "a bool, an aiohttp.Fingerprint, or an SSLContext such as ssl.create_default_context(cafile=...)"
    instance_of((SSLContext, aiohttp.Fingerprint, bool), expected)(instance, field, value)


def _trace_configs(instance: object, field: attrs.Attribute[Any], value: object) -> None:
    """Reject anything but None or a list of trace configurations."""
    optional_list_of(aiohttp.TraceConfig, "a list of aiohttp.TraceConfig")(instance, field, value)


@frozen(kw_only=True)
class HttpOptions:
    """The options that a client and its copies share.

    Attributes:
        session: the caller's aiohttp session, which is never closed; None for an own session.
        proxy: the URL of an HTTP proxy, which may contain a password.
        trust_env: whether to take a proxy from the environment.
        ssl: as in aiohttp: True for the default checks, False for none, a context or a fingerprint.
        trace_configs: aiohttp's trace configurations for an own session.
        max_concurrency: how many requests may be in flight at the same time.
        max_response_bytes: the maximum size of a response body after decompression.
        rate_limit: the limits to keep.
        share_limit: whether the limits hold together with the other clients of this process that use the same key.
        shutdown_timeout: seconds that closing waits for writes in flight; None to wait until they end.
        wall_clock: returns the POSIX time.
    """

    session: aiohttp.ClientSession | None = field(default=None, validator=session_of_aiohttp)
    proxy: Secret | None = field(default=None, validator=_proxy_url)
    trust_env: bool = field(default=False, validator=instance_of(bool, "true or false"))
    ssl: SSLContext | aiohttp.Fingerprint | bool = field(
        default=True,
        validator=_ssl_setting,
    )
    trace_configs: Sequence[aiohttp.TraceConfig] | None = field(default=None, validator=_trace_configs)
    max_concurrency: int = field(default=64, validator=positive_int)
    max_response_bytes: int = field(default=64 * 1024 * 1024, validator=positive_int)
    rate_limit: RateLimit = field(factory=RateLimit, validator=instance_of(RateLimit, "a RateLimit"))
    share_limit: bool = False
    shutdown_timeout: float | None = field(default=5.0, validator=optional_non_negative_seconds)
    wall_clock: Callable[[], float] = time.time


def _or_empty(value: QueryParameters | None) -> QueryParameters:
    return {} if value is None else value


def resolve_shutdown_timeout(value: float | UnsetType | None, default: float | None) -> float | None:
    """Return the seconds that a call which closes waits for writes in flight; None to wait until they end.

    Args:
        value: the argument of the call; UNSET for the default.
        default: the option of the client.

    Raises:
        ConfigurationError: If the argument is neither None nor a number of at least 0.
    """
    return default if value is UNSET else HttpOptions(shutdown_timeout=value).shutdown_timeout


@define(eq=False)
class ExplanatoryReads:
    """The reads of a bulk run that explain errors: one for each path, and few in all."""

    _paths: set[str] = field(factory=set[str])

    def allow(self, path: str) -> bool:
        """Return whether a path may be read, and count it."""
        if path in self._paths or len(self._paths) >= _MAX_EXPLANATORY_READS:
            return False
        self._paths.add(path)
        return True


@frozen(kw_only=True)
class CallOptions:
    """The options of calls: what `with_options` can change, and `deadline_excludes_queueing`.

    Attributes:
        timeout: the limits of one attempt; given as a number of seconds or as a `Timeout`.
        deadline: seconds for one call, including waits and retries; None for no deadline.
        retry: how often a request is attempted, and the waits between attempts.
        on_attempt: called after each attempt.
        on_call_start: called before each call; it may be async.
        on_call_end: called after each call, whatever its outcome; it may be async.
        observer: observes all calls. This is not public.
        default_headers: headers of each request.
        extra_headers: further headers, which take the place of default headers of the same name.
        extra_query: query parameters of each request.
        app_info: `name/version` of the application, for the `User-Agent`.
        deadline_excludes_queueing: whether the deadline starts when the first request may be sent, so that waits for
            earlier writes, for other requests and for the rate limit do not count. Such a call fails if the daily
            limit is reached. This is not public: it is for bulk runs, whose calls wait most of the time.
        query_yields: whether a parameter of `extra_query` that a request sets itself is left out, instead of rejected.
            This is not public: it is for reads that the caller has not asked for.
        explanatory_reads: bounds the reads that explain errors; None for no bound. This is not public: it is for bulk
            runs, in which many calls may fail.
    """

    timeout: Timeout = field(
        default=to_timeout(30.0),
        converter=to_timeout,
        validator=instance_of(Timeout, "a number of seconds above 0, or a Timeout"),
    )
    deadline: float | None = field(default=120.0, validator=optional_positive_seconds)
    retry: RetryPolicy = field(factory=RetryPolicy, validator=instance_of(RetryPolicy, "a RetryPolicy"))
    on_attempt: Callable[[Attempt], object] | None = field(default=None, validator=optional_function)
    on_call_start: Callable[[CallStart], object] | None = field(default=None, validator=optional_callable)
    on_call_end: Callable[[CallEnd], object] | None = field(default=None, validator=optional_callable)
    observer: Observer | None = None
    default_headers: HeaderFields = field(default=HeaderFields({}), converter=hide_headers, validator=header_fields)
    extra_headers: HeaderFields = field(default=HeaderFields({}), converter=hide_headers, validator=header_fields)
    extra_query: QueryParameters = field(factory=dict[str, Any], converter=_or_empty, validator=query_parameters)
    app_info: str | None = field(default=None, validator=product)
    deadline_excludes_queueing: bool = False
    query_yields: bool = False
    explanatory_reads: ExplanatoryReads | None = None

    @property
    def is_observed(self) -> bool:
        """Whether a hook or an observer needs to know of the calls."""
        return any(observer is not None for observer in (self.on_call_start, self.on_call_end, self.observer))

    def evolve(self, **values: Any) -> CallOptions:
        """Return these options with other values, except those that are `UNSET`."""
        changes = {name: value for name, value in values.items() if value is not UNSET}
        return attrs.evolve(self, **changes) if changes else self

    def make_additions(self) -> Additions | None:
        """Return what the headers, the query and the application add to each request; None if that is nothing."""
        return make_additions(
            self.default_headers, self.extra_headers, self.extra_query, self.app_info, query_yields=self.query_yields
        )


@frozen(kw_only=True)
class PendingCall:
    """A call in flight: what a client waits for.

    Attributes:
        host: the host, with its port if it has one.
        method: the HTTP method.
        path: the path, without host and query.
        attempt: the number of the attempt that is in flight or comes next, from 1.
        max_attempts: how often the request is sent at most.
        last_failure: the status or the reason of the last attempt that failed; None before the first failure.
        waits_for: `key` for the function that returns the key, `turn` for earlier writes or other requests, `rate
            limit`, `response`, or `retry`.
        seconds: the seconds since the call started.
    """

    host: str
    method: str
    path: str
    attempt: int
    max_attempts: int
    last_failure: str | None
    waits_for: Wait
    seconds: float


@frozen(kw_only=True)
class Usage:
    """The requests that a client and its copies have sent so far.

    Attributes:
        requests: the requests sent, including retries; connections that were never made do not count.
        requests_today: the requests of the current UTC day of all clients in this process that share the key; with a
            `RedisRateLimit` those of all processes, as far as this client knows.
        retries: how many of the requests were retries.
        rate_limited: how often the service answered 429.
        seconds_waited: the seconds that calls have waited for the rate limiter, summed over all calls.
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
        ambiguous: whether a write ended with an unknown outcome.
    """

    requests: int = 0
    ambiguous: bool = False

    def reset(self) -> None:
        """Start counting from zero."""
        self.requests, self.ambiguous = 0, False


@define(eq=False)
class CancelSignal:
    """A request to the calls of one transport to stop, unless one of them has already written something.

    Attributes:
        requested: whether the calls were asked to stop.
        scope: the scope of the latest call.
    """

    requested: bool = False
    scope: CancelScope | None = None
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
            self.scope.cancel()

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
