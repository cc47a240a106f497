"""Bounded waits for tests of the blocking client, and a look at the threads and tasks that it leaves."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from amp_exp_async import ExperimentClient, RetryPolicy
from amp_exp_async.emulator import Emulator
from tests.polling import TIMEOUT

T = TypeVar("T")


def client_of(emulator: Emulator, **options: Any) -> ExperimentClient:
    """Return a blocking client of the emulator, without a rate limit or waits between retries."""
    settings = {"base_url": emulator.base_url, "rate_limit": None, "retry": RetryPolicy(backoff_base=0.0)}
    return ExperimentClient(emulator.api_key, **(settings | options))


def start(work: Callable[[], T]) -> Future[T]:
    """Run the work on a new thread."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised again by `result`
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def within(work: Callable[[], T]) -> T:
    """Return the result of the work, or fail if it hangs."""
    return start(work).result(TIMEOUT)


LEFT_BEHIND: set[threading.Thread] = set()
"""Threads left behind by tests before."""


def loop_threads() -> list[threading.Thread]:
    """Return the threads of the blocking clients of this test."""
    return [thread for thread in threading.enumerate() if thread.name == "amp_exp_async" and thread not in LEFT_BEHIND]


def tasks(client: ExperimentClient) -> list[str]:
    """Return the tasks of the client's event loop."""
    loop = client._portal._loop
    assert loop is not None
    return [repr(task) for task in asyncio.all_tasks(loop)]


def debug_python(script: str) -> list[str]:
    """Return the command that runs a script in debug mode, with warnings as errors.

    asyncio's warnings of slow callbacks are left out: a busy machine causes them.
    """
    quiet = "import logging; logging.getLogger('asyncio').setLevel(logging.ERROR)\n"
    return [sys.executable, "-X", "dev", "-W", "error", "-c", quiet + script]
