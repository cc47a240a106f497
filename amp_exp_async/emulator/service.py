"""The way of one request: log, limits, fault, authorisation, operation, answer; and how long it is under way."""

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import orjson
from aiohttp import web
from attrs import define, field

from amp_exp_async.emulator import routes
from amp_exp_async.emulator.call import OK, Call, Caller, Paging, Reply, error_reply
from amp_exp_async.emulator.faults import Faults
from amp_exp_async.emulator.limits import Excess, Limits
from amp_exp_async.emulator.log import RecordedRequest
from amp_exp_async.emulator.refusal import Refusal
from amp_exp_async.emulator.state import EmulatorState


@define(eq=False)
class Service:
    """Answers requests from the state."""

    state: EmulatorState
    clock: Callable[[], datetime]
    callers: Mapping[str, Caller]  # by key
    paging: Paging
    limits: Limits
    faults: Faults
    latency: Callable[[], float]  # seconds of the next round trip
    log: list[RecordedRequest] = field(factory=list[RecordedRequest])
    _stopping: asyncio.Future[None] = field(init=False)
    _in_progress: set[asyncio.Task[Any]] = field(factory=set[asyncio.Task[Any]])

    def begin(self) -> None:
        """Get ready to answer requests in the running loop."""
        self._stopping = asyncio.get_running_loop().create_future()

    def stop_waiting(self) -> None:
        """End every delay; the requests that were waiting are not answered any more."""
        self._stopping.set_result(None)

    async def finish(self) -> None:
        """Wait for the requests in progress, those included whose clients are gone."""
        await asyncio.gather(*self._in_progress, return_exceptions=True)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - for type checkers: a coroutine of the server runs in a task
        self._in_progress.add(task)
        try:
            return await self._handle(request)
        finally:
            self._in_progress.discard(task)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        content = None
        one_way = self.latency() / 2
        if one_way > 0:
            # Read at once: what has been sent arrives, even if the client does not wait for the answer.
            content = await _read(request)
            if await self._stopped_within(one_way):
                return _closed(request)
        record = self._arrive(request)
        excess = self.limits.arrive(record.received)
        if content is None:
            content = await _read(request)
        if content is None:
            return web.Response()
        record.body = _readable(content)
        reply = await self._outcome(request, record, content) if excess is None else _too_many(excess)
        if one_way > 0 and await self._stopped_within(one_way):
            reply = None
        if reply is None:
            return _closed(request)
        record.status = reply.status
        if record.fault is not None and record.fault.kind == "truncate":
            return await _truncated(request, reply)
        headers = {"Content-Type": reply.content_type, **reply.headers}
        return web.Response(body=reply.body, status=reply.status, headers=headers)

    def _arrive(self, request: web.BaseRequest) -> RecordedRequest:
        headers = {name.lower(): value for name, value in request.headers.items()}
        record = RecordedRequest(
            method=request.method,
            path=request.raw_path.partition("?")[0],
            query=dict(request.rel_url.query),
            headers=headers,
            authorized=_key(request) in self.callers,
            received=self.clock(),
            monotonic=time.monotonic(),
        )
        if "authorization" in headers:
            headers["authorization"] = "Bearer ***"
        self.log.append(record)
        return record

    def _perform(self, request: web.BaseRequest, record: RecordedRequest, content: bytes) -> Reply:
        """Carry the request out, and note whether it changed anything."""
        state = self.state
        with state.lock:
            before = state.revision
            try:
                reply = self._reply(state, request, record, content)
            except Refusal as refusal:
                reply = error_reply(refusal.status, refusal.message)
            record.applied = state.revision != before
        return reply

    def _reply(self, state: EmulatorState, request: web.BaseRequest, record: RecordedRequest, content: bytes) -> Reply:
        caller = self.callers.get(_key(request))
        if caller is None:
            raise Refusal(401, "The management API key is missing, invalid or revoked")
        route = routes.find(record.method, record.path)
        call = Call(state, caller, self.paging, route.path, record.query, request.content_type, content)
        return route.operation(call)

    async def _outcome(self, request: web.BaseRequest, record: RecordedRequest, content: bytes) -> Reply | None:
        """What becomes of a request that is within the limits; `None` if it is not answered."""
        fault = record.fault = self.faults.take(record.method, routes.below_prefix(record.path))
        reply = self._perform(request, record, content) if fault is None or fault.applied else None
        if fault is None:
            return reply
        if fault.kind == "delay":
            if await self._stopped_within(fault.seconds):
                return None
            return reply or self._perform(request, record, content)
        if fault.kind == "close":
            return None
        if fault.kind == "truncate":
            return reply or OK
        return Reply(fault.body, fault.content_type, fault.code, dict(fault.headers))

    async def _stopped_within(self, seconds: float) -> bool:
        """Let the time pass, and tell whether the emulator was stopped meanwhile."""
        done, _ = await asyncio.wait([self._stopping], timeout=seconds)
        return bool(done)


def _key(request: web.BaseRequest) -> str:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    return key if scheme == "Bearer" else ""


async def _read(request: web.BaseRequest) -> bytes | None:
    """The body; `None` if the client is gone before its request was complete."""
    try:
        return await request.content.read()
    except ConnectionError:
        return None


def _readable(content: bytes) -> Any:
    if not content:
        return None
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return content.decode(errors="replace")


def _too_many(excess: Excess) -> Reply:
    headers = {} if excess.retry_after is None else {"Retry-After": str(excess.retry_after)}
    return error_reply(429, excess.message, headers)


def _closed(request: web.BaseRequest) -> web.Response:
    """Close the connection; what is returned for form's sake is not sent any more."""
    request.protocol.force_close()
    return web.Response()


async def _truncated(request: web.BaseRequest, reply: Reply) -> web.StreamResponse:
    response = web.StreamResponse(status=reply.status, headers={"Content-Type": reply.content_type})
    response.content_length = len(reply.body)
    await response.prepare(request)
    await response.write(reply.body[: len(reply.body) // 2])
    request.protocol.force_close()  # what has been written is sent before
    return response
