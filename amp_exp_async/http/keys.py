"""The management API key that a function returns: one call of the function at a time, which all requests share."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from collections.abc import Awaitable
from contextlib import suppress
from typing import TypeAlias, cast

from attrs import frozen

from amp_exp_async.config import Endpoint, KeyFunction, Secret, validate_key
from amp_exp_async.errors import ConfigurationError

_THREAD_NAME = "amp_exp_async api_key"


@frozen
class KeyFailure:
    """A call of the function that led to no key.

    Attributes:
        rule: what happened, to follow the subject of a sentence.
        advice: what to do, as a sentence.
        cause: the exception that the function raised, without what it leads to; None if it shows the key.
    """

    rule: str
    advice: str
    cause: BaseException | None = None

    def error(self, consequence: str) -> ConfigurationError:
        """Return an error of its own for each call that needs the key.

        Args:
            consequence: what was not done.
        """
        error = ConfigurationError(argument="api_key", rule=self.rule, consequence=consequence, advice=self.advice)
        error.__cause__ = self.cause
        return error


CALLS_ITSELF = KeyFailure(
    "is a function that makes a call with its own client, and that call waits for the key",
    "Let the function use another client.",
)
CANCELLED = KeyFailure("is a function whose task was cancelled", "Correct the function, or pass a key.")

KeyResult: TypeAlias = Secret | KeyFailure


async def call_key_function(function: KeyFunction, endpoint: Endpoint) -> KeyResult:
    """Return a valid key, or the reason why the function has returned none.

    A function that is not async runs in a thread of its own, which nothing waits for when a program ends.

    Args:
        function: the function of the user.
        endpoint: where the key is for, and the last key.
    """
    try:
        result = _hide(function()) if function.is_async else await _run_in_thread(function)
        # No local variable contains the key.
        key = result if isinstance(result, Secret) else Secret(await result)
    except asyncio.CancelledError as error:
        if (task := asyncio.current_task()) is not None and task.cancelling():
            raise
        return _failure(error, endpoint.key)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it is, there is no key
        return _failure(error, endpoint.key)
    try:
        validate_key(key, "api_key", endpoint.origin, endpoint.api)
    except ConfigurationError as error:
        return KeyFailure(f"is a function whose result is not accepted: it {error.rule}", error.advice)
    return key


def _hide(value: object) -> Secret | Awaitable[str]:
    return cast("Awaitable[str]", value) if inspect.isawaitable(value) else Secret(cast("str", value))


async def _run_in_thread(function: KeyFunction) -> Secret | Awaitable[str]:
    """Return the result of a function that may block.

    Not `asyncio.to_thread`: its threads keep a program from ending while the function hangs.

    Raises:
        Exception: If the function raises it, or if Python starts no thread any longer.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Secret | Awaitable[str] | Exception] = loop.create_future()

    def set_outcome(outcome: Secret | Awaitable[str] | Exception) -> None:
        if not future.done():
            future.set_result(outcome)
        elif inspect.iscoroutine(outcome):
            outcome.close()  # nothing awaits it any longer

    def work() -> None:
        outcome: Secret | Awaitable[str] | Exception
        try:
            outcome = _hide(function())
        except Exception as error:  # noqa: BLE001 - raised in the task that waits
            outcome = error
        except BaseException as error:  # noqa: BLE001 - it would end the event loop
            outcome = RuntimeError(type(error).__name__)
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(set_outcome, outcome)

    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(work,), name=_THREAD_NAME, daemon=True).start()
    outcome = await future
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def _failure(error: BaseException, last_key: Secret) -> KeyFailure:
    hide_chain(error)
    text = repr((error, error.args, vars(error), getattr(error, "__notes__", ())))
    return KeyFailure(
        f"is a function that raised {type(error).__name__}",
        "Correct the function, or pass a key.",
        error if last_key.redact(text) == text else None,
    )


def hide_chain(error: BaseException) -> None:
    """Remove what leads from an exception of the function to its frames and other exceptions, which may show a key."""
    error.__traceback__ = error.__cause__ = error.__context__ = None
    if isinstance(error, BaseExceptionGroup):
        for inner in cast("BaseExceptionGroup[BaseException]", error).exceptions:
            hide_chain(inner)
