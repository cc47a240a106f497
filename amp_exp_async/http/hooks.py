"""Calls of the user's hooks, whose mistakes must not change the outcome of a call."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import TypeVar

from .log import LOGGER

T = TypeVar("T")

MAX_HOOK_SECONDS = 5.0


async def run_hook(name: str, hook: Callable[[T], object], event: T, seconds: float = MAX_HOOK_SECONDS) -> None:
    """Call a hook, and await what it returns. Its exceptions are logged.

    A cancellation of the task, KeyboardInterrupt and SystemExit are raised: they end the task or the program.

    Args:
        name: the name of the hook, for the log.
        hook: the function of the user, async or not.
        event: its argument.
        seconds: the seconds after which it is cancelled, if it is async.
    """
    task = asyncio.current_task()
    cancelling = 0 if task is None else task.cancelling()
    timeout = asyncio.timeout(seconds)
    result = run_observer(name, hook, event)
    if not inspect.isawaitable(result):
        return
    try:
        async with timeout:
            await result
    except (KeyboardInterrupt, SystemExit, GeneratorExit):  # the last one closes the coroutine of the call
        raise
    except asyncio.CancelledError:
        if task is None or task.cancelling() > cancelling:
            raise
        LOGGER.exception("%s awaited something that was cancelled", name)
    except BaseException:  # noqa: BLE001 - a hook's mistake must not hide the outcome of the call
        if timeout.expired():
            LOGGER.error("%s was cancelled, because it took longer than %.3g s", name, seconds)
        else:
            LOGGER.exception("%s raised", name)


def run_observer(name: str, function: Callable[..., T], *arguments: object) -> T | None:
    """Call a function that observes, and return its result; None if it raises, which is logged.

    KeyboardInterrupt and SystemExit are raised: they end the program.
    """
    try:
        return function(*arguments)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # noqa: BLE001 - the same; nothing else comes from outside of a function
        LOGGER.exception("%s raised", name)
        return None
