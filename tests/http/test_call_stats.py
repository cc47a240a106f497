"""The counts of a transport: its requests, and whether a write is ambiguous."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from amp_exp_async import (
    AmpExpError,
    APITimeoutError,
    AsyncExperimentClient,
    BadRequestError,
    ClientClosedError,
    NotFoundError,
    OutcomeUnknownError,
    PermissionDeniedError,
    RetryPolicy,
    ServerError,
    UnexpectedResponseError,
)
from amp_exp_async.emulator import Emulator, Fault
from amp_exp_async.http import CallStats

pytestmark = pytest.mark.usefixtures("each_path")

Call = Callable[[AsyncExperimentClient], Awaitable[Any]]
Ending = tuple[Call, list[Fault], type[AmpExpError] | None, int, bool]

GET: Call = lambda c: c.flags.get("1")  # noqa: E731
EDIT: Call = lambda c: c.flags.edit("1", enabled=True)  # noqa: E731
REMOVE_AT: Call = lambda c: c.flags.users.remove_at("1", "on", 0)  # noqa: E731
CREATE: Call = lambda c: c.flags.create(project_id="1", key="new")  # noqa: E731


@pytest.fixture
def emulator(emulator: Emulator) -> Emulator:
    """Add a flag with a user in a variant."""
    deployment = emulator.state.add_deployment(projectId="1", label="web")["id"]
    variants = [{"key": "on", "inclusions": ["u"]}]
    emulator.state.add_flag(id="1", key="one", projectId="1", deployments=[deployment], variants=variants)
    return emulator


def stats_of(client: AsyncExperimentClient) -> CallStats:
    return client._transport.stats


AMBIGUOUS = Fault.close(applied=True)
HTML = Fault.status(200, body="<html>log in</html>", content_type="text/html")
ENDINGS: dict[str, Ending] = {
    "read": (GET, [], None, 1, False),
    "written": (EDIT, [], None, 1, False),
    "read retried": (GET, [AMBIGUOUS, AMBIGUOUS], None, 3, False),
    "write retried": (EDIT, [AMBIGUOUS, AMBIGUOUS], None, 3, False),
    "rejected": (EDIT, [Fault.status(400)], BadRequestError, 1, False),
    "forbidden after an ambiguous attempt": (EDIT, [AMBIGUOUS, Fault.status(403)], PermissionDeniedError, 2, True),
    "applied before it was rejected": (EDIT, [AMBIGUOUS, Fault.status(400)], None, 3, False),
    "not applied before it was rejected": (EDIT, [Fault.close(), Fault.status(400)], BadRequestError, 5, False),
    "gone before it was repeated": (EDIT, [AMBIGUOUS, Fault.status(404)], NotFoundError, 2, False),
    "read ambiguous": (GET, [Fault.status(503)] * 3, ServerError, 3, False),
    "write ambiguous": (EDIT, [Fault.status(503)] * 3, ServerError, 3, True),
    "write answered by a web page": (EDIT, [HTML], UnexpectedResponseError, 1, True),
    "never retried": (REMOVE_AT, [AMBIGUOUS], OutcomeUnknownError, 1, True),
    "reconciled": (CREATE, [AMBIGUOUS], None, 2, False),
    "reconciled as not applied": (CREATE, [Fault.status(500)], ServerError, 4, False),
    "reading back fails": (CREATE, [AMBIGUOUS, Fault.status(400)], OutcomeUnknownError, 2, True),
}


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS)
async def test_what_a_call_counts(emulator: Emulator, ending: Ending) -> None:
    """Retries and reading back count; a write is ambiguous if it may have been applied."""
    call, faults, error, requests, ambiguous = ending
    for nth, fault in enumerate(faults, 1):
        emulator.inject(fault, nth=nth)
    retry = RetryPolicy(max_attempts=3, backoff_base=0.001)
    async with AsyncExperimentClient(emulator.api_key, base_url=emulator.base_url, retry=retry) as client:
        result = (await asyncio.gather(call(client), return_exceptions=True))[0]
        assert isinstance(result, error) if error is not None else not isinstance(result, BaseException)
        assert stats_of(client) == CallStats(requests, ambiguous)
        assert len(emulator.requests) == requests


async def start_call(emulator: Emulator, call: Awaitable[Any]) -> asyncio.Future[Any]:
    """Start a call, and return its task when the request has arrived."""
    task = asyncio.ensure_future(call)
    while not emulator.requests:  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(0.001)
    return task


@pytest.mark.parametrize(("call", "ambiguous"), [(GET, False), (EDIT, True), (REMOVE_AT, True)])
@pytest.mark.parametrize("closed", [True, False], ids=["closed", "cancelled"])
async def test_a_call_that_is_cancelled(emulator: Emulator, call: Call, ambiguous: bool, closed: bool) -> None:
    """A request in flight counts if its call is cancelled or the client is closed, and a write is then ambiguous."""
    emulator.inject(Fault.delay(30.0))
    async with AsyncExperimentClient(emulator.api_key, base_url=emulator.base_url, shutdown_timeout=0.05) as client:
        task = await start_call(emulator, call(client))
        if closed:
            await client.aclose()
        else:
            task.cancel()
        with pytest.raises((asyncio.CancelledError, ClientClosedError, OutcomeUnknownError)):
            await task
        assert stats_of(client) == CallStats(1, ambiguous)


async def test_a_call_that_was_never_sent(emulator: Emulator) -> None:
    """A write that waits for a lock is not ambiguous, whether it times out or is cancelled."""
    emulator.inject(Fault.delay(30.0))
    async with AsyncExperimentClient(emulator.api_key, base_url=emulator.base_url) as client:
        first = await start_call(emulator, EDIT(client))
        copy = client.with_options(deadline=0.01)
        with pytest.raises(APITimeoutError, match="earlier writes"):
            await EDIT(copy)
        assert stats_of(copy) == CallStats(0, ambiguous=False)
        first.cancel()


async def test_each_copy_has_its_own_counts(client: AsyncExperimentClient) -> None:
    """Each copy of a client counts its own requests, and its counts can be reset."""
    copy = client.with_options(timeout=1.0)
    await GET(copy)
    await EDIT(copy)
    assert stats_of(client) == CallStats(0, ambiguous=False)
    assert stats_of(copy) == CallStats(2, ambiguous=False)
    stats_of(copy).reset()
    await GET(copy)
    assert stats_of(copy) == CallStats(1, ambiguous=False)
    assert client.usage.requests == 3
