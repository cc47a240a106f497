"""Reconcile a creation whose outcome is ambiguous, by reading back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from amp_exp_async import serialization, validation
from amp_exp_async.errors import AmpExpError, ClientClosedError, OutcomeUnknownError, ServerError
from amp_exp_async.http import AmbiguousWrite, Request, parse_http_date
from amp_exp_async.matching import could_be_created_with
from amp_exp_async.models import UNSET, FlagConfig, Model, Page, UnsetType
from amp_exp_async.pagination import AsyncPager

T = TypeVar("T")
M = TypeVar("M", bound=Model)

_MAX_READS = 3
_SLACK = 2.0  # seconds: a `Date` header has whole seconds, and the service has several clocks
# A gateway answers with these, and the service behind it may still be working.
_GATEWAY_STATUSES = frozenset({502, 503, 504})


async def poll(write: AmbiguousWrite, find: Callable[[], Awaitable[T | None]], description: str) -> T:
    """Look a few times for what an ambiguous write was to create: the service may still be working on it.

    Args:
        write: the write.
        find: reads, and returns what the write created, or None if it does not exist. It raises `write.error()` if
            something exists and it is unclear whether the write created it.
        description: what is looked for, in words.

    Raises:
        ServerError: If the service itself reported a failure and the object does not exist: it was not created.
        OutcomeUnknownError: If the object does not exist but may still appear, or if reading failed.
    """
    for reading in range(1, _MAX_READS + 1):
        try:
            result = await find()
        except OutcomeUnknownError:
            raise
        except ClientClosedError:
            raise write.error("Nothing was read back: the client was closed while the call was under way.") from None
        except AmpExpError as error:
            raise write.error(f"Reading back failed as well ({type(error).__name__}).") from write.cause
        if result is not None:
            return result
        if reading < _MAX_READS:
            await write.wait(reading)
    if isinstance(write.cause, ServerError) and write.cause.status not in _GATEWAY_STATUSES:
        write.mark_not_applied()
        raise write.cause
    raise write.error(f"There is no {description} yet, though the request may still be under way.")


async def list_matching(
    write: AmbiguousWrite, model: type[M], name: str, path: str, predicate: Callable[[M], bool]
) -> tuple[list[M], str]:
    """Read a whole list; return the items that match, and the `Date` of its last response."""
    transport, date = write.transport(), ""

    async def fetch(cursor: str | None) -> Page[M]:
        nonlocal date
        query = serialization.query({"limit": validation.MAX_PAGE, "cursor": UNSET if cursor is None else cursor})
        response = await transport.send(Request("GET", path, query=query))
        date = response.headers.get("Date", "")
        return await response.parse_page(model, name)

    items = [item async for item in AsyncPager(fetch, transport.session.spawn) if predicate(item)]
    return items, date


def could_be_ours(flag: FlagConfig, values: Mapping[str, Any], server_date: str, elapsed: float) -> bool:
    """Return whether an ambiguous write may have created a flag or experiment.

    It did not if the flag differs from the request or is older than the call. Both times are of the service's clock:
    the creation time of the flag, and the `Date` of the response. If the service gives no time, the flag may be ours.

    Args:
        flag: the flag or experiment that was read back.
        values: the fields of the request.
        server_date: the `Date` of the response that was read back.
        elapsed: the seconds since the call started.
    """
    return could_be_created_with(flag, values) and not predates(flag.created_at, server_date, elapsed)


def predates(created_at: datetime | UnsetType | None, server_date: str, elapsed: float) -> bool:
    """Return whether an object is older than the call. If the service gives no time, it is not.

    Args:
        created_at: the creation time that the service gives.
        server_date: the `Date` of the response that was read back.
        elapsed: the seconds since the call started.
    """
    now = parse_http_date(server_date)
    if now is None or not created_at:
        return False
    return now - created_at.timestamp() > elapsed + _SLACK
