"""Settling a creation whose reply was lost, by reading back what is there now."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from amp_exp_async.errors import AmpExpError, OutcomeUnknownError, ServerError
from amp_exp_async.models import Maybe
from amp_exp_async.transport import Loss

T = TypeVar("T")

_READS = 3
_SLACK = 5.0  # seconds between the clocks of the service's machines


async def read_back(loss: Loss, look: Callable[[], Awaitable[T | None]], what: str) -> T:
    """Look for what a lost request was to create, a few times: the service may still be at it.

    Args:
        loss: the lost request.
        look: reads, and gives what the request made, or None when it is not there. It raises `loss.unknown()` when
            something is there and it cannot be told whether the request made it.
        what: what is looked for, in words.

    Raises:
        ServerError: the service reported a failure, and it is not there: it was not created.
        OutcomeUnknownError: it is not there, but may still come, or could not be looked for.
    """
    for read in range(1, _READS + 1):
        try:
            found = await look()
        except OutcomeUnknownError:
            raise
        except AmpExpError as error:
            raise loss.unknown(f"Reading back failed as well ({type(error).__name__}).") from loss.cause
        if found is not None:
            return found
        if read < _READS:
            await loss.wait(read)
    if isinstance(loss.cause, ServerError):
        raise loss.cause
    raise loss.unknown(f"There is no {what} yet, though the request may still be under way.")


def newer_than_call(made: Maybe[datetime], server_date: str, elapsed: float) -> bool:
    """Whether an object may have been made by a call that began so many seconds ago.

    Both times are of the service's own clock: the moment it gives for the object, and the date of its reply. Without
    one of them there is nothing against it.
    """
    if not made or not server_date:
        return True
    try:
        now = parsedate_to_datetime(server_date)
    except ValueError:
        return True
    return (now - made).total_seconds() <= elapsed + _SLACK
