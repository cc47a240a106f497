"""Functions that may block, in threads that nothing waits for when a program ends.

`asyncio.to_thread` and the event loop's own lookups use threads that Python waits for: a hanging function keeps the
program from ending.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


async def run_in_daemon_thread(function: Callable[[], T], name: str) -> T:
    """Return the result of a function that may block.

    Args:
        function: the function. If nothing waits for its result any longer, a coroutine that it returns is closed.
        name: the name of the thread.

    Raises:
        Exception: If the function raises it, or if Python starts no thread any longer.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[tuple[T] | Exception] = loop.create_future()

    def set_outcome(outcome: tuple[T] | Exception) -> None:
        if not future.done():
            future.set_result(outcome)
        elif isinstance(outcome, tuple) and inspect.iscoroutine(outcome[0]):
            outcome[0].close()

    def work() -> None:
        outcome: tuple[T] | Exception
        try:
            outcome = (function(),)
        except Exception as error:  # noqa: BLE001 - raised in the task that waits
            outcome = error
        except BaseException as error:  # noqa: BLE001 - it would end the event loop
            outcome = RuntimeError(type(error).__name__)
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(set_outcome, outcome)

    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(work,), name=name, daemon=True).start()
    outcome = await future
    if isinstance(outcome, Exception):
        raise outcome
    return outcome[0]
