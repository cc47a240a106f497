"""A service whose reads lag behind its writes: writes go to one emulator at once, and to the one that is read later."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

from amp_exp_async.emulator import Emulator, EmulatorState

_HEADERS = ("Authorization", "Content-Type")


class LaggingService:
    """Two emulators behind one address.

    Attributes:
        primary: receives the writes at once: it has the truth.
        base_url: the address of the service.
    """

    def __init__(self, primary: Emulator, replica: Emulator, lag: float) -> None:
        self.primary = primary
        self.base_url = ""
        self._replica = replica
        self._lag = lag
        self._copies: asyncio.Queue[tuple[float, web.BaseRequest, bytes]] = asyncio.Queue()

    async def handle(self, session: aiohttp.ClientSession, request: web.BaseRequest) -> web.Response:
        """Answer a request."""
        body = await request.read()
        if request.method == "GET":
            return await self._forward(session, self._replica, request, body)
        response = await self._forward(session, self.primary, request, body)
        self._copies.put_nowait((asyncio.get_running_loop().time() + self._lag, request, body))
        return response

    async def copy_writes(self, session: aiohttp.ClientSession) -> None:
        """Send each write to the replica after the lag."""
        while True:
            time, request, body = await self._copies.get()
            await asyncio.sleep(time - asyncio.get_running_loop().time())
            await self._forward(session, self._replica, request, body)

    async def _forward(
        self, session: aiohttp.ClientSession, emulator: Emulator, request: web.BaseRequest, body: bytes
    ) -> web.Response:
        headers = {name: request.headers[name] for name in _HEADERS if name in request.headers}
        url = f"{emulator.base_url}{request.raw_path}"
        async with session.request(request.method, url, data=body or None, headers=headers) as response:
            content = await response.read()
            return web.Response(body=content, status=response.status, content_type=response.content_type)


@asynccontextmanager
async def lagging_service(prepare: Callable[[EmulatorState], object], lag: float) -> AsyncIterator[LaggingService]:
    """Serve a state that `prepare` makes."""
    async with (
        Emulator(per_second=None, per_day=None) as primary,
        Emulator(per_second=None, per_day=None) as replica,
        aiohttp.ClientSession() as session,
    ):
        for emulator in (primary, replica):
            prepare(emulator.state)
        service = LaggingService(primary, replica, lag)
        runner = web.ServerRunner(web.Server(lambda request: service.handle(session, request)))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        service.base_url = "http://{}:{}".format(*runner.addresses[0][:2])
        copies = asyncio.ensure_future(service.copy_writes(session))
        try:
            yield service
        finally:
            copies.cancel()
            await asyncio.gather(copies, return_exceptions=True)
            await runner.cleanup()
