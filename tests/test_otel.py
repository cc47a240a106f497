"""OpenTelemetry: spans of calls and attempts, and metrics, for requests on the wire."""

from __future__ import annotations

import asyncio
import importlib
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from amp_exp_async import (
    AddUsers,
    APIConnectionError,
    APIStatusError,
    AsyncBetaClient,
    AsyncExperimentClient,
    Attempt,
    BadRequestError,
    CallEnd,
    ConfigurationError,
    ExperimentClient,
    RetryPolicy,
    ServerError,
    UnexpectedResponseError,
)
from amp_exp_async.emulator import Emulator, Fault
from amp_exp_async.otel import TEMPLATES, OpenTelemetry
from amp_exp_async.resources import list_operations
from tests.clients import client_of
from tests.conftest import NO_BACKOFF

CALL_DURATION = "amp_exp_async.call.duration"


class Recorder:
    """A telemetry whose spans and metrics stay in memory."""

    def __init__(self) -> None:
        self.exporter, self.reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.tracers, self.meters = (
            TracerProvider(shutdown_on_exit=False),
            MeterProvider([self.reader], shutdown_on_exit=False),
        )
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.telemetry = OpenTelemetry(tracer_provider=self.tracers, meter_provider=self.meters)

    @property
    def spans(self) -> tuple[Any, ...]:
        """The spans that have ended, in the order of their ends."""
        return self.exporter.get_finished_spans()

    def points(self, name: str) -> list[Any]:
        """Return the data points of a metric."""
        data: Any = self.reader.get_metrics_data()
        metrics = [
            metric for resource in data.resource_metrics for scope in resource.scope_metrics for metric in scope.metrics
        ]
        return [point for metric in metrics if metric.name == name for point in metric.data.data_points]


@pytest.fixture
def recorder() -> Recorder:
    """Return a telemetry in memory."""
    return Recorder()


async def test_a_call_with_a_retry(emulator: Emulator, recorder: Recorder) -> None:
    """A call is a span with an event for each wait, and each attempt is a child with the attributes of HTTP clients."""
    id = emulator.state.add_flag()["id"]
    emulator.inject(Fault.status(503))
    async with client_of(emulator, telemetry=recorder.telemetry, retry=NO_BACKOFF) as client:
        with recorder.tracers.get_tracer("test").start_as_current_span("job"):
            await client.flags.get(id)
        in_use = recorder.points("amp_exp_async.rate_limit.permits_in_use")
    first, second, call, job = recorder.spans
    assert (call.name, call.kind, call.parent.span_id) == ("GET /flags/{id}", SpanKind.INTERNAL, job.context.span_id)
    assert [(event.name, event.attributes["reason"]) for event in call.events] == [("wait", "retry")]
    assert call.attributes["amp_exp_async.attempts"] == 2
    for attempt in (first, second):
        assert (attempt.name, attempt.kind) == ("GET /flags/{id}", SpanKind.CLIENT)
        assert attempt.parent.span_id == call.context.span_id
        assert attempt.attributes["server.address"] == "127.0.0.1"
        assert attempt.attributes["server.port"] == int(emulator.base_url.rpartition(":")[2])
        assert attempt.attributes["url.template"] == "/flags/{id}"
        assert attempt.attributes["url.path"] == call.attributes["url.path"] == f"/api/1/flags/{id}"
        assert attempt.attributes["url.full"] == f"{emulator.base_url}/api/1/flags/{id}"
    assert (first.attributes["http.response.status_code"], first.attributes["error.type"]) == (503, "503")
    assert (first.status.status_code, second.status.status_code) == (StatusCode.ERROR, StatusCode.UNSET)
    assert second.attributes["http.request.resend_count"] == 1

    assert sorted(point.count for point in recorder.points("http.client.request.duration")) == [1, 1]
    assert [point.value for point in recorder.points("amp_exp_async.retries")] == [1]
    assert [point.attributes["reason"] for point in recorder.points("amp_exp_async.wait.duration")] == ["retry"]
    assert [point.value for point in in_use] == [2]
    assert recorder.points("amp_exp_async.rate_limit.permits") == []  # the client is closed


async def test_failures(emulator: Emulator, recorder: Recorder) -> None:
    """A call that fails or is cancelled ends its spans, with the type of the error, and nothing shows the key."""
    emulator.inject(Fault.status(500), times=5)
    emulator.inject(Fault.delay(60), nth=6)
    async with client_of(emulator, telemetry=recorder.telemetry, retry=NO_BACKOFF) as client:
        with pytest.raises(ServerError):
            await client.flags.get("1")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.flags.get("1"), 0.3)
    *attempts, failed, interrupted, cancelled = recorder.spans
    assert [span.attributes["error.type"] for span in attempts] == ["500"] * 5
    assert (failed.attributes["error.type"], failed.status.status_code) == ("ServerError", StatusCode.ERROR)
    assert [span.attributes["error.type"] for span in (interrupted, cancelled)] == ["CancelledError"] * 2
    points = recorder.points("http.client.request.duration")
    assert {point.attributes["error.type"]: point.count for point in points} == {"500": 5, "CancelledError": 1}
    assert emulator.api_key not in "".join(span.to_json() for span in recorder.spans)


@pytest.mark.parametrize(
    ("fault", "error_type"),
    [
        (Fault.delay(60), "timeout"),
        (Fault.close(), "connection"),
        (Fault.truncate(), "connection"),
        *(
            (Fault("status", code=200, headers=(("Content-Encoding", encoding),), body=b"text"), "response")
            for encoding in ("unknown", "gzip")
        ),
    ],
)
async def test_attempts_without_a_response(
    emulator: Emulator, recorder: Recorder, fault: Fault, error_type: str
) -> None:
    """Spans, metrics and `on_attempt` tell a timeout, a lost connection and an unreadable response apart."""
    emulator.inject(fault)
    attempts: list[Attempt] = []
    retry = RetryPolicy(max_attempts=1)
    async with client_of(
        emulator, telemetry=recorder.telemetry, retry=retry, timeout=0.3, on_attempt=attempts.append
    ) as client:
        with pytest.raises((APIConnectionError, UnexpectedResponseError)):
            await client.flags.get("1")
    attempt, _ = recorder.spans
    (point,) = recorder.points("http.client.request.duration")
    assert attempt.attributes["error.type"] == point.attributes["error.type"] == error_type
    assert [attempt.error_type for attempt in attempts] == [error_type]


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.flags.get("1"),
        lambda client: client.flags.list(),
        lambda client: client.flags.variants.list("1"),
        lambda client: client.flags.users.list("1", "on"),
    ],
    ids=["get", "pages", "array", "ids"],
)
async def test_a_response_that_cannot_be_parsed(emulator: Emulator, recorder: Recorder, call: Any) -> None:
    """The call fails with the error that it raises, in its span and in `on_call_end`; its attempt has succeeded."""
    emulator.state.add_flag(id="1", variants=[{"key": "on"}])
    emulator.inject(Fault.invalid_json())
    ends: list[CallEnd] = []
    async with client_of(emulator, telemetry=recorder.telemetry, on_call_end=ends.append) as client:
        with pytest.raises(UnexpectedResponseError) as caught:
            await call(client)
    attempt, span = recorder.spans
    assert (attempt.status.status_code, span.status.status_code) == (StatusCode.UNSET, StatusCode.ERROR)
    assert span.attributes["error.type"] == "UnexpectedResponseError"
    assert [end.error for end in ends] == [caught.value]


@pytest.mark.parametrize(
    ("method", "write"),
    [
        ("POST", lambda client: client.flags.create(project_id="1", key="new")),
        ("POST", lambda client: client.flags.variants.create("1", key="new")),
        ("POST", lambda client: client.deployments.create(project_id="1", label="web", type="server")),
    ],
    ids=["flag", "variant", "deployment"],
)
async def test_a_write_that_is_read_back(emulator: Emulator, recorder: Recorder, method: str, write: Any) -> None:
    """The calls that read back are children of the call of the write, which ends after them."""
    emulator.state.add_flag(id="1")
    emulator.inject(Fault.close(applied=True), method=method)
    async with client_of(emulator, telemetry=recorder.telemetry, retry=NO_BACKOFF) as client:
        await write(client)
    attempt, read_attempt, read, call = recorder.spans
    assert (call.parent, call.name[:4], read.name[:3]) == (None, "POST", "GET")
    assert attempt.parent.span_id == read.parent.span_id == call.context.span_id
    assert read_attempt.parent.span_id == read.context.span_id


@pytest.mark.parametrize(
    ("method", "path", "template"),
    [
        ("GET", "/flags/list", "/flags/list"),
        ("PUT", "/flags/1/variants/users", "/flags/{id}/variants/{variant}"),
        ("GET", "/teams/new-checkout/members/x", None),
        ("LOOK", "/teams", None),
    ],
)
async def test_a_raw_request(
    emulator: Emulator, recorder: Recorder, method: str, path: str, template: str | None
) -> None:
    """Only a method of HTTP, and the path of an operation, are in the names of its spans and in its metrics."""
    async with client_of(emulator, telemetry=recorder.telemetry, retry=NO_BACKOFF) as client:
        with pytest.raises(APIStatusError):
            await client.request(method, path)
    name, known = ("HTTP", "_OTHER") if method == "LOOK" else (method, method)
    for span in recorder.spans:
        assert span.name == (name if template is None else f"{name} {template}")
        assert span.attributes.get("http.request.method_original") == (method if known != method else None)
    for attributes in (*(span.attributes for span in recorder.spans), recorder.points(CALL_DURATION)[0].attributes):
        assert (attributes["http.request.method"], attributes.get("url.template")) == (known, template)


async def test_what_the_service_quotes(emulator: Emulator, recorder: Recorder) -> None:
    """No span or metric has a header, a query or a body, also if the response to a request repeats them."""
    quoted = b'{"error": "rejected q=private-query X-Note: private-header {private-body}"}'
    emulator.inject(Fault.status(400, body=quoted), times=2)
    async with client_of(emulator, telemetry=recorder.telemetry) as client:
        with pytest.raises(BadRequestError, match="private-body"):
            await client.request("POST", "/flags", json={"name": "private-body"})
        with pytest.raises(BadRequestError, match="private-query"):
            await client.flags.get("1", extra_headers={"X-Note": "private-header"}, extra_query={"q": "private-query"})
        metrics: Any = recorder.reader.get_metrics_data()
    assert len(recorder.spans) == 4
    assert "private" not in "".join(span.to_json() for span in recorder.spans) + metrics.to_json()


async def test_bulk_runs(emulator: Emulator, recorder: Recorder) -> None:
    """The operations of bulk runs are counted by class and status."""
    id = emulator.state.add_flag(variants=[{"key": "on"}])["id"]
    async with client_of(emulator, telemetry=recorder.telemetry) as client:
        await client.bulk([AddUsers("flags", id, "on", ["a"]), AddUsers("flags", id, "x", ["a"])])
    counts = {
        (point.attributes["operation"], point.attributes["status"]): point.value
        for point in recorder.points("amp_exp_async.bulk.operations")
    }
    assert counts == {("AddUsers", "done"): 1, ("AddUsers", "failed"): 1}


def test_the_blocking_client(experiment_emulator: Emulator, recorder: Recorder) -> None:
    """Calls of the blocking client belong to the span that is current in the caller's thread."""
    id = experiment_emulator.state.add_flag()["id"]
    with (
        ExperimentClient(
            experiment_emulator.api_key, base_url=experiment_emulator.base_url, telemetry=recorder.telemetry
        ) as client,
        recorder.tracers.get_tracer("test").start_as_current_span("job"),
    ):
        client.flags.get(id)
    _, call, job = recorder.spans
    assert call.parent.span_id == job.context.span_id


def test_templates_of_paths() -> None:
    """The templates are the paths of all operations of both APIs."""
    paths = {
        operation.path.replace("{kind}", name.partition(".")[0])
        for client in (AsyncExperimentClient("key"), AsyncBetaClient("key"))
        for name, operation in list_operations(client).items()
    }
    assert paths == set(TEMPLATES)


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra, the import says what to install; a client accepts nothing else as telemetry."""
    monkeypatch.setitem(sys.modules, "opentelemetry.metrics", None)
    monkeypatch.delitem(sys.modules, "amp_exp_async.otel")
    with pytest.raises(ModuleNotFoundError, match=r"Run pip install 'amp_exp_async\[otel\]'"):
        importlib.import_module("amp_exp_async.otel")
    with pytest.raises(ConfigurationError, match="telemetry must be an OpenTelemetry"):
        AsyncExperimentClient("k", telemetry=object())  # type: ignore[arg-type]


def test_the_documented_example(
    experiment_emulator: Emulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The example of the documentation reads a flag, with the providers of the application."""
    experiment_emulator.state.add_flag(key="new-checkout", projectId="123")
    monkeypatch.setenv("AMPLITUDE_MANAGEMENT_API_KEY", experiment_emulator.api_key)
    monkeypatch.setenv("AMPLITUDE_EXPERIMENT_BASE_URL", experiment_emulator.base_url)
    page = (Path(__file__).parent.parent / "docs/opentelemetry.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    exec(re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0], names)
    asyncio.run(names["main"]())
    assert "new-checkout" in capsys.readouterr().out
