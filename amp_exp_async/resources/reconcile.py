"""The reconciliation, by reading back, of a write whose outcome is ambiguous."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from operator import attrgetter
from typing import Any, TypeAlias, TypeVar

from amp_exp_async import serialization, validation
from amp_exp_async.errors import AmpExpError, ClientClosedError, NotFoundError, OutcomeUnknownError, ServerError
from amp_exp_async.http import AmbiguousWrite, AmbiguousWriteError, Request, Response, Transport, parse_http_date
from amp_exp_async.matching import could_be_created_with
from amp_exp_async.models import UNSET, FlagConfig, Model, Page, UnsetType
from amp_exp_async.pagination import AsyncPager

ResultT = TypeVar("ResultT")
ModelT = TypeVar("ModelT", bound=Model)

IsApplied: TypeAlias = Callable[[AmbiguousWrite], Awaitable[bool | None]]
"""Reads whether an object is as a write makes it; None if the service does not show that."""

_MAX_READS = 3
_CLOCK_SLACK = 2.0  # seconds: a `Date` header has whole seconds, and the service has several clocks
# A gateway answers with these, and the service behind it may still be working.
_GATEWAY_STATUSES = frozenset({502, 503, 504})


async def send_creation(
    transport: Transport,
    request: Request,
    parse: Callable[[Response], ResultT],
    find: Callable[[AmbiguousWrite], Awaitable[ResultT | None]],
    description: str,
) -> ResultT:
    """Send a creation. If its outcome is ambiguous, read back under the same lock to determine it.

    Args:
        transport: sends the requests.
        request: the creation.
        parse: parses the response.
        find: reads, and returns what the write created, or None if it does not exist. It raises `write.error()` if
            something exists and it is unclear whether the write created it.
        description: the created object, in words.

    Raises:
        ServerError: If the service itself reported a failure and the object does not exist: it was not created.
        OutcomeUnknownError: If the outcome cannot be determined.
    """
    async with transport.serialized(request) as write:
        try:
            return await write.send(parse)
        except AmbiguousWriteError as error:
            ambiguous = error.write
        return await _poll(ambiguous, find, description)


async def _poll(
    write: AmbiguousWrite, find: Callable[[AmbiguousWrite], Awaitable[ResultT | None]], description: str
) -> ResultT:
    """Read a few times: the service may still be working on the write."""
    for reading in range(1, _MAX_READS + 1):
        try:
            result = await find(write)
        except OutcomeUnknownError:
            raise
        except ClientClosedError:
            raise write.error("Nothing was read back: the client was closed while the call was in flight.") from None
        except AmpExpError as error:
            raise write.error(f"Reading back failed too ({type(error).__name__}).") from write.cause
        if result is not None:
            return result
        if reading < _MAX_READS:
            await write.wait(reading)
    if isinstance(write.cause, ServerError) and write.cause.status not in _GATEWAY_STATUSES:
        raise write.not_applied()
    raise write.error(f"No {description} exists yet, but the request may still be in flight.")


async def send_confirmed(
    transport: Transport,
    request: Request,
    parse: Callable[[Response], None],
    is_applied: IsApplied,
) -> None:
    """Send a write that may be repeated. If a repeat is refused, read back whether an earlier attempt was applied.

    Args:
        transport: sends the requests.
        request: the write.
        parse: checks the response.
        is_applied: reads, and returns whether the object is as the write makes it; None if that is not shown. It
            raises `write.error()` if the object is neither that nor as it was before.

    Raises:
        APIStatusError: If the write was not applied, or reading does not show it: the refusal.
        OutcomeUnknownError: If reading back failed, or did not determine the outcome.
    """
    async with transport.serialized(request) as write:
        try:
            return await write.send(parse)
        except AmbiguousWriteError as error:
            ambiguous = error.write
        return await _confirm(ambiguous, is_applied)


async def _confirm(write: AmbiguousWrite, is_applied: IsApplied) -> None:
    """Read a few times, because reads lag behind writes."""
    for reading in range(1, _MAX_READS + 1):
        try:
            applied = await is_applied(write)
        except NotFoundError:
            applied = False
        except (ClientClosedError, OutcomeUnknownError):
            raise
        except AmpExpError as error:
            raise write.error(f"Reading back failed too ({type(error).__name__}).") from write.cause
        if applied:
            return
        if applied is None:
            raise write.cause from None
        if reading < _MAX_READS:
            await write.wait(reading)
    raise write.not_applied() from None


async def list_matching(
    write: AmbiguousWrite, model: type[ModelT], name: str, path: str, predicate: Callable[[ModelT], bool]
) -> tuple[list[ModelT], str]:
    """Read a whole list. Return the items that match, and the `Date` of its last response."""
    transport, date = write.transport(), ""

    async def fetch(cursor: str | None) -> Page[ModelT]:
        nonlocal date
        query = serialization.query({"limit": validation.MAX_PAGE, "cursor": UNSET if cursor is None else cursor})
        async with transport.call(Request("GET", path, query=query)) as response:
            date = response.headers.get("Date", "")
            return await response.parse_page(model, name)

    pager = AsyncPager(fetch, transport.session.spawn, identify=attrgetter("id"))
    items = [item async for item in pager if predicate(item)]
    return items, date


def could_be_ours(flag_config: FlagConfig, values: Mapping[str, Any], server_date: str, elapsed: float) -> bool:
    """Return whether an ambiguous write may have created a flag or experiment.

    It did not if the flag differs from the request or is older than the call. Both times are of the service's clock:
    the creation time of the flag, and the `Date` of the response. If the service gives no time, the flag may be ours.

    Args:
        flag_config: the flag or experiment that was read back.
        values: the fields of the request.
        server_date: the `Date` of the response that was read back.
        elapsed: the seconds since the call started.
    """
    return could_be_created_with(flag_config, values) and not predates(flag_config.created_at, server_date, elapsed)


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
    return now - created_at.timestamp() > elapsed + _CLOCK_SLACK
