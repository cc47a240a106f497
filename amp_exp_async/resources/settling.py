"""Settling a creation whose reply was lost, by reading back what is there now."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from amp_exp_async import serialization, validation
from amp_exp_async.errors import AmpExpError, OutcomeUnknownError, ServerError
from amp_exp_async.http import AmbiguousWrite, Request, http_date
from amp_exp_async.matching import could_be_created_with
from amp_exp_async.models import UNSET, FlagConfig, Model, Page, UnsetType
from amp_exp_async.pagination import AsyncPager

T = TypeVar("T")
M = TypeVar("M", bound=Model)

_READS = 3
_SLACK = 2.0  # seconds: the date of a reply is in whole ones, and the service has more than one clock
# These come from what stands before the service, which may still be at it.
_NOT_ITS_OWN = frozenset({502, 503, 504})


async def read_back(loss: AmbiguousWrite, look: Callable[[], Awaitable[T | None]], what: str) -> T:
    """Look for what a lost request was to create, a few times: the service may still be at it.

    Args:
        loss: the lost request.
        look: reads, and gives what the request made, or None when it is not there. It raises `loss.unknown()` when
            something is there and it cannot be told whether the request made it.
        what: what is looked for, in words.

    Raises:
        ServerError: the service itself reported a failure, and it is not there: it was not created.
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
    if isinstance(loss.cause, ServerError) and loss.cause.status not in _NOT_ITS_OWN:
        raise loss.cause
    raise loss.unknown(f"There is no {what} yet, though the request may still be under way.")


async def listed(
    loss: AmbiguousWrite, model: type[M], name: str, path: str, wanted: Callable[[M], bool]
) -> tuple[list[M], str]:
    """Those of a whole list that are wanted, and the `Date` of the reply that ended it."""
    reader, date = loss.reader(), ""

    async def fetch(cursor: str | None) -> Page[M]:
        nonlocal date
        query = serialization.query({"limit": validation.MAX_PAGE, "cursor": UNSET if cursor is None else cursor})
        reply = await reader.send(Request("GET", path, query=query))
        date = reply.headers.get("Date", "")
        return await reply.read_page(model, name)

    found = [item async for item in AsyncPager(fetch, reader.connection.spawn) if wanted(item)]
    return found, date


def may_be_ours(found: FlagConfig, asked: Mapping[str, Any], server_date: str, elapsed: float) -> bool:
    """Whether a flag or experiment that was found may be the one that a lost request was to create.

    Not if it differs from what was asked for, and not if it is older than the call. Both times are of the service's own
    clock: the moment it gives for the object, and the date of its reply. Where it tells nothing, nothing is against it.

    Args:
        found: what was read back.
        asked: the fields of the request.
        server_date: the `Date` of the reply that was read back.
        elapsed: seconds since the call began.
    """
    return could_be_created_with(found, asked) and not is_older(found.created_at, server_date, elapsed)


def is_older(created_at: datetime | UnsetType | None, server_date: str, elapsed: float) -> bool:
    """Whether something is older than the call that was to create it. Where the service tells nothing, it is not.

    Args:
        created_at: when it was created, as the service says.
        server_date: the `Date` of the reply that was read back.
        elapsed: seconds since the call began.
    """
    now = http_date(server_date)
    if now is None or not created_at:
        return False
    return now - created_at.timestamp() > elapsed + _SLACK
