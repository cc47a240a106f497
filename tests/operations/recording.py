"""A server that writes down what arrives and answers what it was told, and a way to call either client."""

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

WAIT = 5.0
"""Seconds after which a test gives up."""


async def run(answer: Any) -> Any:
    """The result of a call, whichever client was called: pagers are read to their end."""
    if isinstance(answer, Pager):
        return [item for item in answer]  # noqa: C416 - a loop is what users write
    return await answer if isinstance(answer, Awaitable) else answer


@frozen
class Canned:
    """A reply: `None` for no body, a text as it is, anything else as JSON."""

    body: Any = "OK"
    content_type: str = ""

    def response(self) -> web.Response:
        """The reply, ready to be sent."""
        if isinstance(self.body, str):
            return web.Response(text=self.body, content_type=self.content_type or "text/plain")
        return web.Response(body=orjson.dumps(self.body), content_type=self.content_type or "application/json")


@frozen
class Received:
    """One request as it came over the wire; the path is still encoded, the body still bytes."""

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    body: bytes


class RecordingServer:
    """Serves on a thread of its own, so that blocking and awaiting clients can be served alike."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.replies: list[Canned] = []
        """What is answered to the next requests, in order."""
        self.url = ""
        self._started: Future[str] = Future()
        self._loop = asyncio.new_event_loop()
        self._done = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="recording-server", daemon=True)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        runner = web.ServerRunner(web.Server(self._answer, access_log=None), shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self._started.set_result(f"http://127.0.0.1:{runner.addresses[0][1]}")
        await self._done.wait()
        await runner.cleanup()

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        path, _, query = request.raw_path.partition("?")
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
        self.received.append(Received(request.method, path, pairs, dict(request.headers), await request.read()))
        return self.replies.pop(0).response() if self.replies else web.Response(status=400, text="nothing to answer")

    def __enter__(self) -> Self:
        self._thread.start()
        self.url = self._started.result(WAIT)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._done.set)
        self._thread.join(WAIT)
        assert not self._thread.is_alive()
