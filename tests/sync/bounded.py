"""Waits that end, and looks at what a blocking client leaves behind."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from amp_exp_async import ExperimentClient, RetryPolicy
from amp_exp_async.emulator import Emulator

T = TypeVar("T")

WAIT = 10.0
"""Seconds after which a test gives up."""


def client_of(emulator: Emulator, **options: Any) -> ExperimentClient:
    """A blocking client of the emulator, which never waits by itself."""
    settings = {"base_url": emulator.base_url, "rate_limit": None, "retry": RetryPolicy(backoff_base=0.0)}
    return ExperimentClient(emulator.api_key, **(settings | options))


def start(work: Callable[[], T]) -> Future[T]:
    """Do the work on a thread of its own."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is asked for
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def within(work: Callable[[], T]) -> T:
    """The result of the work, which must not hang."""
    return start(work).result(WAIT)


def until(condition: Callable[[], object]) -> None:
    """Wait for a condition that becomes true soon."""
    end = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < end, "it did not become true"
        time.sleep(0.002)


LEFT_BEHIND: set[threading.Thread] = set()
"""Threads that tests which failed have left."""


def loop_threads() -> list[threading.Thread]:
    """The threads of the blocking clients of this test."""
    return [thread for thread in threading.enumerate() if thread.name == "amp_exp_async" and thread not in LEFT_BEHIND]


def tasks(client: ExperimentClient) -> list[str]:
    """What is under way in the client's event loop."""
    loop = client._portal._loop
    assert loop is not None
    return [repr(task) for task in asyncio.all_tasks(loop)]
