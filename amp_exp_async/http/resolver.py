"""A resolver of host names whose lookups nothing waits for when a program ends."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar, cast

import aiohttp
from aiohttp.abc import AbstractResolver

from .daemon_threads import run_in_daemon_thread

T = TypeVar("T")


class _Lookups:
    """What aiohttp's resolver uses of an event loop."""

    async def getaddrinfo(self, *args: Any, **options: Any) -> Any:
        return await _look_up(partial(socket.getaddrinfo, *args, **options))

    async def getnameinfo(self, *args: Any) -> Any:
        return await _look_up(partial(socket.getnameinfo, *args))


async def _look_up(function: Callable[[], T]) -> T:
    return await run_in_daemon_thread(function, "amp_exp_async DNS")


def create_resolver() -> AbstractResolver | None:
    """Return a resolver of host names; None for aiohttp's own, if it uses no threads because aiodns is installed."""
    if aiohttp.DefaultResolver is not aiohttp.ThreadedResolver:
        return None
    return aiohttp.ThreadedResolver(loop=cast("asyncio.AbstractEventLoop", _Lookups()))
