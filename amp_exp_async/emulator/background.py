"""A thread with an event loop of its own, on which the emulator is served to blocking code."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future


class Background:
    """Runs `start` on a new thread's loop, and `stop` there when closed; the thread ends with it."""

    def __init__(self, start: Callable[[], Awaitable[None]], stop: Callable[[], Awaitable[None]]) -> None:
        self._started: Future[asyncio.AbstractEventLoop] = Future()
        self._closing = asyncio.Event()
        self._thread = threading.Thread(
            target=asyncio.run, args=(self._main(start, stop),), name="experiment-emulator", daemon=True
        )
        self._thread.start()
        try:
            self.loop = self._started.result()
        except Exception:
            self._thread.join()
            raise

    def close(self) -> None:
        """Stop, and wait for the thread to end."""
        self.loop.call_soon_threadsafe(self._closing.set)
        self._thread.join()

    async def _main(self, start: Callable[[], Awaitable[None]], stop: Callable[[], Awaitable[None]]) -> None:
        try:
            await start()
        except Exception as error:  # noqa: BLE001 - it is raised where the emulator was entered
            self._started.set_exception(error)
            return
        self._started.set_result(asyncio.get_running_loop())
        await self._closing.wait()
        await stop()
