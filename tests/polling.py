"""Bounded waits for events in other tasks, threads and processes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

TIMEOUT = 60.0
"""Seconds after which a test that hangs fails."""


def wait_until(condition: Callable[[], object]) -> None:
    """Wait until a condition is true."""
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline, "the condition did not become true"
        time.sleep(0.002)


async def eventually(condition: Callable[[], object]) -> None:
    """Wait until a condition is true, while the event loop runs."""
    async with asyncio.timeout(TIMEOUT):
        while not condition():  # noqa: ASYNC110 - no event marks the change
            await asyncio.sleep(0.002)
