"""The management API key that a function returns: one call of the function at a time, which all requests share."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable
from typing import TypeAlias, cast

from attrs import field, frozen

from amp_exp_async.config import Endpoint, KeyFunction, Secret, validate_key
from amp_exp_async.errors import ConfigurationError

from .daemon_threads import run_in_daemon_thread

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
    cause: BaseException | None = field(default=None, repr=False)  # its text may contain a key that is not known yet

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

    def call() -> Secret | Awaitable[str]:
        return _hide(function())

    try:
        result = call() if function.is_async else await run_in_daemon_thread(call, _THREAD_NAME)
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
