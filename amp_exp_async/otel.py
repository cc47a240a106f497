"""OpenTelemetry: a span for each call and each attempt, and metrics. It needs the extra `otel`."""

from __future__ import annotations

import time
import weakref
from collections.abc import Iterable
from typing import TypeAlias
from urllib.parse import urlsplit

from ._version import __version__
from .http import Attempt, CallEnd, CallObserver, CallStart, HttpSession, Observer, WaitReason

try:
    from opentelemetry.context import Context
    from opentelemetry.metrics import CallbackOptions, Histogram, MeterProvider, Observation, get_meter
    from opentelemetry.trace import Span, SpanKind, StatusCode, TracerProvider, get_tracer, set_span_in_context
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] == "opentelemetry":
        error.msg = "OpenTelemetry is not installed. Run pip install 'amp_exp_async[otel]'."
    raise

__all__ = ["OpenTelemetry"]

_Attributes: TypeAlias = dict[str, str | int]

_NAME = "amp_exp_async"
_INCLUSIONS = ("users", "users/{index}", "cohorts", "bulk-delete-users", "bulk-delete-cohorts")
_FLAG_CONFIG = (
    *("", "/list", "/{id}", "/{id}/versions", "/{id}/versions/{version}"),
    *("/{id}/deployments", "/{id}/deployments/{deployment}", "/{id}/variants", "/{id}/variants/{variant}"),
    *(f"/{{id}}/variants/{{variant}}/{rest}" for rest in _INCLUSIONS),
)
TEMPLATES = (
    *(f"/{kind}{rest}" for kind in ("flags", "experiments") for rest in _FLAG_CONFIG),
    *("/experiments/new", "/experiments/{id}/activate", "/experiments/{id}/deactivate"),
    "/experiments/{id}/rollout-weights",
    *("/deployments", "/deployments/list", "/deployments/{id}", "/versions"),
    *("/mutexes", "/mutexes/{id}", "/mutexes/{id}/slots/{index}", "/holdouts", "/holdouts/{id}"),
)
"""The paths of all operations. Only these may be part of a span's name: there are few."""

# By their number of parts; those with fewer variables first, because `/flags/list` is not the flag `list`.
_TEMPLATES_BY_LENGTH: dict[int, list[tuple[str, ...]]] = {}
for _template in sorted(TEMPLATES, key=lambda template: template.count("{")):
    _TEMPLATES_BY_LENGTH.setdefault(_template.count("/"), []).append(tuple(_template.split("/")))
# The conventions name these. Others are of low interest, and of any number.
_METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"})
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30, 60, 120)


class OpenTelemetry:
    """Reports the calls of clients to OpenTelemetry. Pass it as `telemetry=` to one client or to several.

    A call is a span `GET /flags/{id}` (internal), in the span that is current when it starts. Each of its attempts is a
    child span (client), with the attributes that the semantic conventions define for HTTP clients. Each wait is an
    event `wait` of the call, with its `reason` and `seconds`. The calls that read back what a write has done are
    children of the call of the write.

    The metrics are:

    - `http.client.request.duration` (seconds), a histogram of attempts;
    - `amp_exp_async.call.duration` (seconds), a histogram of calls, waits included;
    - `amp_exp_async.wait.duration` (seconds), a histogram of waits by `reason`: `rate limit`, `concurrency limit`,
      `retry`, `lock` or `key`;
    - `amp_exp_async.retries`, the number of attempts that repeated another one;
    - `amp_exp_async.rate_limit.permits_in_use` and `amp_exp_async.rate_limit.permits`, of those of one second;
    - `amp_exp_async.bulk.operations`, the number of operations of bulk runs by `operation` and `status`. Its rate is
      the rate of the run.

    No span, event or metric has a header, a query or a body, nor the API key, unless it was passed as an ID or a path.

    Args:
        tracer_provider: creates the tracer; None for the global provider.
        meter_provider: creates the meter; None for the global provider.

    Example::

        client = AsyncExperimentClient(telemetry=OpenTelemetry())
    """

    def __init__(
        self, *, tracer_provider: TracerProvider | None = None, meter_provider: MeterProvider | None = None
    ) -> None:
        self.tracer = get_tracer(_NAME, __version__, tracer_provider)
        meter = get_meter(_NAME, __version__, meter_provider)

        def histogram(name: str, description: str) -> Histogram:
            return meter.create_histogram(name, "s", description, explicit_bucket_boundaries_advisory=_SECONDS)

        self.attempt_duration = histogram("http.client.request.duration", "Duration of HTTP client requests.")
        self.call_duration = histogram("amp_exp_async.call.duration", "Duration of calls, with waits and retries.")
        self.wait_duration = histogram("amp_exp_async.wait.duration", "Duration of waits of calls, by reason.")
        self.retries = meter.create_counter("amp_exp_async.retries", "{retry}", "Attempts that repeated another one.")
        self.operations = meter.create_counter(
            "amp_exp_async.bulk.operations", "{operation}", "Operations of bulk runs, by status."
        )
        self._sessions: weakref.WeakSet[HttpSession] = weakref.WeakSet()
        meter.create_observable_gauge(
            "amp_exp_async.rate_limit.permits_in_use",
            [self._observe_permits_in_use],
            "{permit}",
            "Permits of the rate limit that are in use.",
        )
        meter.create_observable_gauge(
            "amp_exp_async.rate_limit.permits",
            [self._observe_permits],
            "{permit}",
            "Permits of the rate limit for one second.",
        )

    def observe(self, session: HttpSession) -> Observer:
        """Return the observer of a client."""
        self._sessions.add(session)
        return _ClientObserver(self, server_attributes(session), session.endpoint.base_url)

    def _observe_permits_in_use(self, _: CallbackOptions) -> Iterable[Observation]:
        for session in list(self._sessions):
            if not session.closed:
                yield Observation(session.limiter.permits_in_use, server_attributes(session))

    def _observe_permits(self, _: CallbackOptions) -> Iterable[Observation]:
        for session in list(self._sessions):
            if not session.closed and session.max_rate is not None:
                yield Observation(session.max_rate, server_attributes(session))


def server_attributes(session: HttpSession) -> _Attributes:
    """Return the attributes of the server that a client calls."""
    url = urlsplit(session.endpoint.base_url)
    return {"server.address": url.hostname or "", "server.port": url.port or (80 if url.scheme == "http" else 443)}


def path_template(path: str) -> str | None:
    """Return the path of the operation that a path belongs to, with names in place of its variables; None if none."""
    parts = path.split("/")
    for template in _TEMPLATES_BY_LENGTH.get(len(parts) - 1, ()):
        if all(part == expected or expected.startswith("{") for part, expected in zip(parts, template, strict=True)):
            return "/".join(template)
    return None


class _ClientObserver:
    """The observer of all calls of a client, or of those that belong to another call."""

    def __init__(
        self, telemetry: OpenTelemetry, server: _Attributes, base_url: str, parent: Context | None = None
    ) -> None:
        self._telemetry = telemetry
        self._server = server
        self._base_url = base_url
        self._parent = parent  # None for the current span

    def start_call(self, start: CallStart) -> CallObserver:
        return _CallObserver(self._telemetry, start, self._server, self._base_url, self._parent)

    def on_operation(self, operation: str, status: str) -> None:
        self._telemetry.operations.add(1, {"operation": operation, "status": status, **self._server})


class _CallObserver:
    """The spans and metrics of one call."""

    def __init__(
        self, telemetry: OpenTelemetry, start: CallStart, server: _Attributes, base_url: str, parent: Context | None
    ) -> None:
        self._telemetry, self._server, self._base_url = telemetry, server, base_url
        is_known, template = start.method in _METHODS, path_template(start.path)
        self._name = start.method if is_known else "HTTP"
        # Those of spans and metrics, of which there are few.
        self._common: _Attributes = {"http.request.method": start.method if is_known else "_OTHER", **server}
        if template is not None:
            self._name = f"{self._name} {template}"
            self._common["url.template"] = template
        url = base_url + start.path  # without the query
        self._attributes: _Attributes = {**self._common, "url.full": url, "url.path": urlsplit(url).path}
        if not is_known:
            self._attributes["http.request.method_original"] = start.method
        self._span = telemetry.tracer.start_span(self._name, parent, attributes=self._attributes)
        self._attempt: Span | None = None
        self._attempt_started = 0.0  # by `time.monotonic`

    def on_wait(self, reason: WaitReason, seconds: float) -> None:
        self._span.add_event("wait", {"reason": reason, "seconds": seconds})
        self._telemetry.wait_duration.record(seconds, {"reason": reason, **self._common})

    def on_attempt_start(self, number: int) -> None:
        attributes = dict(self._attributes)
        if number > 1:
            attributes["http.request.resend_count"] = number - 1
            self._telemetry.retries.add(1, self._common)
        self._attempt_started = time.monotonic()
        self._attempt = self._telemetry.tracer.start_span(
            self._name, set_span_in_context(self._span), SpanKind.CLIENT, attributes
        )

    def on_attempt_end(self, attempt: Attempt) -> None:
        attributes: _Attributes = {}
        if attempt.status is not None:
            attributes["http.response.status_code"] = attempt.status
        if attempt.status is None or attempt.status >= 400:
            attributes["error.type"] = str(attempt.status or attempt.error_type)
        self._telemetry.attempt_duration.record(attempt.seconds, {**self._common, **attributes})
        if attempt.request_id is not None:
            attributes["amp_exp_async.request_id"] = attempt.request_id
        self._end_attempt(attributes)

    def observe_reads(self) -> Observer:
        return _ClientObserver(self._telemetry, self._server, self._base_url, set_span_in_context(self._span))

    def on_end(self, end: CallEnd) -> None:
        error_type: _Attributes = {} if end.error is None else {"error.type": type(end.error).__qualname__}
        if self._attempt is not None:  # it was interrupted
            seconds = time.monotonic() - self._attempt_started
            self._telemetry.attempt_duration.record(seconds, {**self._common, **error_type})
            self._end_attempt(error_type)
        self._telemetry.call_duration.record(end.seconds, {**self._common, **error_type})
        attributes: _Attributes = {"amp_exp_async.attempts": end.attempts, **error_type}
        if end.status is not None:
            attributes["http.response.status_code"] = end.status
        _end_span(self._span, attributes)

    def _end_attempt(self, attributes: _Attributes) -> None:
        if self._attempt is not None:
            _end_span(self._attempt, attributes)
            self._attempt = None


def _end_span(span: Span, attributes: _Attributes) -> None:
    span.set_attributes(attributes)
    if "error.type" in attributes:
        span.set_status(StatusCode.ERROR)  # without the message of the error, which quotes the response
    span.end()
