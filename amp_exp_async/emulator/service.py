"""The path of one request: latency, log, limits, fault, authorization, operation, response."""

import asyncio
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from itertools import chain
from typing import Any, Final

from aiohttp import web
from attrs import define, field

from amp_exp_async.emulator import deployments, flags, groups, json_text
from amp_exp_async.emulator.documents import format_json
from amp_exp_async.emulator.faults import Fault, Faults
from amp_exp_async.emulator.hosts import HostFilter, parse_host
from amp_exp_async.emulator.limits import Limits, RateLimited
from amp_exp_async.emulator.refusals import LiveSettings
from amp_exp_async.emulator.routes import (
    OK,
    PREFIX,
    ApiKey,
    EmulatorResponse,
    PageSettings,
    RequestContext,
    find_route,
    json_response,
)
from amp_exp_async.emulator.store import EmulatorState
from amp_exp_async.emulator.validation import HTTPError

_MAX_BODY: Final = 16 * 1024**2
_MAX_LOG_BYTES: Final = 64 * 1024**2
"""Bytes of memory that the log takes."""

OPERATIONS: Final = (deployments, flags, groups)
"""The modules of the operations, whose import registers the routes."""


@define(eq=False)
class RecordedRequest:
    """One request that arrived. It is logged on arrival; the last four fields are set later."""

    method: str
    path: str
    """The percent-encoded path without the query."""
    query: dict[str, str]
    headers: dict[str, str]
    """The headers by lower-case name; the value of `authorization` is masked."""
    authorized: bool
    """Whether the API key is known."""
    received: datetime
    """The time of arrival by the emulator's clock."""
    monotonic: float
    """The time of arrival in seconds of `time.monotonic`."""
    content: bytes = field(default=b"", repr=False)
    """The bytes of the body; empty if it was too large."""
    status: int | None = field(default=None)
    """The status of the response; `None` before it, or if the connection was closed without a response."""
    fault: Fault | None = field(default=None)
    """The fault that was injected into this request."""
    applied: bool = field(default=False)
    """Whether the request changed the state."""
    memory: int = field(default=0, repr=False)
    """The bytes of memory that its texts and its body take."""

    @property
    def body(self) -> Any:
        """The parsed JSON, otherwise the text; `None` without a body. It is parsed on each access."""
        return _parse_body(self.content)

    @property
    def size(self) -> int:
        """The bytes of the body."""
        return len(self.content)


@define(eq=False)
class Service:
    """A server of requests from the state."""

    state: EmulatorState
    clock: Callable[[], datetime]
    api_keys: Mapping[str, ApiKey]
    page_settings: PageSettings
    limits: Limits
    faults: Faults
    latency: Callable[[], float]  # seconds of the next round trip
    live: LiveSettings | None
    is_allowed_host: HostFilter
    log_limit: int | None
    request_count: int = 0
    log: list[RecordedRequest] = field(factory=list[RecordedRequest])
    _log_bytes: int = 0
    _stopping: asyncio.Future[None] = field(init=False)
    _in_flight: set[asyncio.Task[Any]] = field(factory=set[asyncio.Task[Any]])

    def start(self) -> None:
        """Prepare to serve requests in the running loop."""
        self._stopping = asyncio.get_running_loop().create_future()

    def end_delays(self) -> None:
        """End all delays; the delayed requests get no response."""
        self._stopping.set_result(None)

    async def wait_closed(self) -> None:
        """Wait for the requests in flight, including those whose clients have disconnected."""
        await asyncio.gather(*self._in_flight, return_exceptions=True)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Serve one request."""
        hosts = request.headers.getall("Host", [None])
        if len(hosts) != 1 or not self.is_allowed_host(hosts[0]):
            return _misdirected(hosts[0])
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - for type checkers: aiohttp's server runs this in a task
        self._in_flight.add(task)
        try:
            return await self._handle(request)
        finally:
            self._in_flight.discard(task)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        content = None
        one_way = self.latency() / 2
        if one_way > 0:
            # Read before the delay, so that the request arrives even if the client does not wait for the response.
            content = await _read(request)
            if await self._is_stopped_within(one_way):
                return _close(request)
        record = self._log_request(request)
        rejection = self.limits.hit(record.received)
        if content is None:
            content = await _read(request)
        if content is None:
            return web.Response()
        response: EmulatorResponse | None
        if isinstance(content, EmulatorResponse):
            response = content
        else:
            record.content = content
            self._count_memory(record, len(content))
            response = _too_many_requests(rejection) if rejection else await self._respond(request, record, content)
        stopped = one_way > 0 and await self._is_stopped_within(one_way)
        if stopped or response is None:
            return _close(request)
        record.status = response.status
        if record.fault is not None and record.fault.kind == "truncate":
            return await _send_half(request, response)
        headers = {"Content-Type": response.content_type, **response.headers}
        return web.Response(body=response.body, status=response.status, headers=headers)

    def _log_request(self, request: web.BaseRequest) -> RecordedRequest:
        headers = {name.lower(): value for name, value in request.headers.items()}
        record = RecordedRequest(
            method=request.method,
            path=request.raw_path.partition("?")[0],
            query=dict(request.rel_url.query),
            headers=headers,
            authorized=_bearer_token(request) in self.api_keys,
            received=self.clock(),
            monotonic=time.monotonic(),
        )
        if "authorization" in headers:
            headers["authorization"] = "Bearer ***"
        self.request_count += 1
        self.log.append(record)
        if self.log_limit is not None:
            del self.log[: -self.log_limit]
        self._count_memory(record, _memory_of(record))
        return record

    def _count_memory(self, newest: RecordedRequest, added: int) -> None:
        """Count memory that the newest request takes, and drop the oldest ones if all together take too much."""
        newest.memory += added
        if self.log_limit is None:
            return
        self._log_bytes += added
        if self._log_bytes > _MAX_LOG_BYTES:
            kept = 0
            for count, record in enumerate(reversed(self.log)):
                if kept + record.memory > _MAX_LOG_BYTES:
                    del self.log[: len(self.log) - count]
                    break
                kept += record.memory
            self._log_bytes = kept

    async def _respond(
        self, request: web.BaseRequest, record: RecordedRequest, content: bytes
    ) -> EmulatorResponse | None:
        """Return the response to a request within the limits, or `None` to close the connection without one."""
        path = record.path.removeprefix(PREFIX) if record.path.startswith(f"{PREFIX}/") else record.path
        fault = record.fault = self.faults.take(record.method, path)
        response = self._apply(request, record, content) if fault is None or fault.applied else None
        if fault is None:
            return response
        if fault.kind == "delay":
            if await self._is_stopped_within(fault.seconds):
                return None
            return response or self._apply(request, record, content)
        if fault.kind == "close":
            return None
        if fault.kind == "truncate":
            return response or OK
        return EmulatorResponse(fault.body, fault.content_type, fault.code, dict(fault.headers))

    def _apply(self, request: web.BaseRequest, record: RecordedRequest, content: bytes) -> EmulatorResponse:
        """Call the operation, and record whether it changed the state."""
        state = self.state
        with state.lock:
            revision = state.revision
            try:
                response = self._call(state, request, record, content)
            except HTTPError as error:
                response = json_response({"error": error.message}, error.status)
            record.applied = state.revision != revision
        return response

    def _call(
        self, state: EmulatorState, request: web.BaseRequest, record: RecordedRequest, content: bytes
    ) -> EmulatorResponse:
        api_key = self.api_keys.get(_bearer_token(request))
        if api_key is None:
            raise HTTPError(401, "The management API key is missing, invalid or revoked")
        handler, path = find_route(record.method, record.path)
        settings, content_type = self.page_settings, request.content_type
        return handler(RequestContext(state, api_key, settings, path, record.query, content_type, content, self.live))

    async def _is_stopped_within(self, seconds: float) -> bool:
        """Wait, and return whether the emulator was stopped before the end."""
        done, _ = await asyncio.wait([self._stopping], timeout=seconds)
        return bool(done)


def _bearer_token(request: web.BaseRequest) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token if scheme == "Bearer" else ""


async def _read(request: web.BaseRequest) -> bytes | EmulatorResponse | None:
    """Return the body, the response to one that is rejected, or `None` if the client disconnected before its end."""
    content = bytearray()
    try:
        while len(content) <= _MAX_BODY and (chunk := await request.content.readany()):
            content += chunk
    except ConnectionError:
        return None
    except web.RequestPayloadError:
        message = "The body does not have the encoding that its headers name"
        return json_response({"error": message}, 400, {"Connection": "close"})  # the rest cannot be read
    if len(content) > _MAX_BODY:
        return json_response({"error": f"The body is larger than {_MAX_BODY} bytes"}, 413)
    return bytes(content)


def _memory_of(record: RecordedRequest) -> int:
    """Return the bytes that the texts of a request take in memory, which is more than they took on the wire."""
    texts = chain((record.method, record.path), *record.query.items(), *record.headers.items())
    return sum(map(sys.getsizeof, chain((record.query, record.headers), texts)))


def _parse_body(content: bytes) -> Any:
    if not content:
        return None
    try:
        return json_text.loads(content)
    except ValueError:
        return content.decode(errors="replace")


def _misdirected(host: str | None) -> web.Response:
    message = f"Host {format_json(host)} is not allowed. Use the emulator's base_url"
    name = parse_host(host or "")
    if name is not None:
        message += (
            f", or allow this name: `amp-exp emulator --allowed-host {name}`, or "
            f"`Emulator(allowed_hosts=[{format_json(name)}])`"
        )
    return web.json_response({"error": message}, status=421)


def _too_many_requests(rejection: RateLimited) -> EmulatorResponse:
    headers = {} if rejection.retry_after is None else {"Retry-After": str(rejection.retry_after)}
    return json_response({"error": rejection.message}, 429, headers)


def _close(request: web.BaseRequest) -> web.Response:
    """Close the connection; aiohttp requires a response, which is not sent."""
    request.protocol.force_close()
    return web.Response()


async def _send_half(request: web.BaseRequest, response: EmulatorResponse) -> web.StreamResponse:
    stream = web.StreamResponse(status=response.status, headers={"Content-Type": response.content_type})
    stream.content_length = len(response.body)
    with suppress(ConnectionError):  # the client has disconnected
        await stream.prepare(request)
        await stream.write(response.body[: len(response.body) // 2])
    request.protocol.force_close()  # after what was written is sent
    return stream
