"""A server that records requests and sends canned responses, and a way to call either client."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl

import orjson
from aiohttp import web
from attrs import frozen

from amp_exp_async import Pager

KEY = "recorded-management-key"
WAIT = 60.0
"""Seconds after which a test fails instead of hanging."""


async def run(result: Any) -> Any:
    """Return the result of a call of either client, with pagers read to their end."""
    if isinstance(result, Pager):
        return [item for item in result]  # noqa: C416 - a loop is what users write
    return await result if isinstance(result, Awaitable) else result


@frozen
class CannedResponse:
    """A response: `None` for no body, a string as text, anything else as JSON."""

    body: Any = "OK"
    content_type: str = ""
    status: int = 200

    def build(self) -> web.Response:
        """Return the response for the server."""
        if isinstance(self.body, str):
            content_type = self.content_type or "text/plain"
            return web.Response(text=self.body, content_type=content_type, status=self.status)
        content_type = self.content_type or "application/json"
        return web.Response(body=orjson.dumps(self.body), content_type=content_type, status=self.status)


@frozen
class RecordedRequest:
    """A request as received: the path is still encoded, and the body is bytes."""

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    body: bytes


class RecordingServer:
    """A server on its own thread, so that it can serve async and blocking clients."""

    def __init__(self) -> None:
        self.requests: list[RecordedRequest] = []
        self.responses: list[CannedResponse] = []
        """The responses to the next requests, in order."""
        self.url = ""
        self._started: Future[str] = Future()
        self._loop = asyncio.new_event_loop()
        self._stopped = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="recording-server", daemon=True)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        runner = web.ServerRunner(web.Server(self._respond, access_log=None), shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self._started.set_result(f"http://127.0.0.1:{runner.addresses[0][1]}")
        await self._stopped.wait()
        await runner.cleanup()

    async def _respond(self, request: web.BaseRequest) -> web.Response:
        path, _, query = request.raw_path.partition("?")
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
        self.requests.append(RecordedRequest(request.method, path, pairs, dict(request.headers), await request.read()))
        return self.responses.pop(0).build() if self.responses else web.Response(status=400, text="no response left")

    def __enter__(self) -> Self:
        self._thread.start()
        self.url = self._started.result(WAIT)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(WAIT)
        assert not self._thread.is_alive()
