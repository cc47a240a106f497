"""The errors of calls whose outcome is ambiguous."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from unittest.mock import Mock

import aiohttp
import pytest

from amp_exp_async import AsyncExperimentClient, RetryPolicy, errors
from amp_exp_async.emulator import Emulator, Fault
from amp_exp_async.http import AmbiguousWriteError
from tests.polling import TIMEOUT
from tests.virtual_time import Answer, ScriptedSession, outcome, run

pytestmark = pytest.mark.usefixtures("path_in_turn")

Call = Callable[[AsyncExperimentClient], Awaitable[Any]]
FLAG = "101"
THREE_ATTEMPTS = RetryPolicy(max_attempts=3, backoff_base=0.0)
NO_BACKOFF = Fault.status(429, retry_after=0)

CREATIONS: dict[str, Call] = {
    "flags.create": lambda c: c.flags.create(project_id="1", key="new"),
    "variants.create": lambda c: c.flags.variants.create(FLAG, key="new"),
    "deployments.create": lambda c: c.deployments.create(project_id="1", label="new", type="server"),
}
SAFE_WRITES: dict[str, Call] = {
    "edit": lambda c: c.flags.edit(FLAG, name="changed"),
    "rename": lambda c: c.flags.variants.edit(FLAG, "on", key="renamed"),
    "remove": lambda c: c.flags.variants.remove(FLAG, "on"),
}
REFUSED = aiohttp.ClientConnectorError(Mock(), ConnectionRefusedError())

each_creation = pytest.mark.parametrize("call", CREATIONS.values(), ids=CREATIONS)
each_safe_write = pytest.mark.parametrize("call", SAFE_WRITES.values(), ids=SAFE_WRITES)


@pytest.fixture
def emulator(emulator: Emulator) -> Emulator:
    """Add a flag with a variant."""
    emulator.state.add_flag(id=FLAG, variants=[{"key": "on"}])
    return emulator


@each_safe_write
@pytest.mark.parametrize("ambiguous", [Answer(error=ConnectionResetError()), Answer(503)], ids=["closed", "503"])
def test_an_ambiguous_write_and_then_no_connection(call: Call, ambiguous: Answer) -> None:
    """The error says that the first attempt may have been applied, although the last one was not sent."""
    session: Any = ScriptedSession([ambiguous, Answer(error=REFUSED)])
    client = AsyncExperimentClient("outcomes-key", session=session, retry=THREE_ATTEMPTS)
    error, _ = run(outcome(call(client)))
    assert isinstance(error, errors.APIConnectionError)
    assert (error.sent, error.attempts, len(session.sent)) == (True, 3, 3)
    assert " may have been applied. " in str(error)
    assert "Nothing was" not in str(error)


@each_safe_write
@pytest.mark.parametrize("ambiguous", [True, False])
async def test_a_403_after_an_ambiguous_attempt(
    client: AsyncExperimentClient, emulator: Emulator, call: Call, ambiguous: bool
) -> None:
    """The message says that an earlier attempt may have been applied."""
    emulator.inject(Fault.close(applied=True) if ambiguous else NO_BACKOFF)
    emulator.inject(Fault.status(403, body={"error": "no"}), nth=2)
    with pytest.raises(errors.PermissionDeniedError, match=r"failed with 403 after 2 attempts") as caught:
        await call(client)
    assert ("An earlier attempt may have been applied." in str(caught.value)) is ambiguous


@each_safe_write
@pytest.mark.parametrize("status", [400, 409])
@pytest.mark.parametrize("ambiguous", [True, False])
async def test_a_refusal_of_the_object_after_an_unapplied_attempt(
    *, client: AsyncExperimentClient, emulator: Emulator, call: Call, status: int, ambiguous: bool
) -> None:
    """Reading back shows that the first attempt was not applied, so the message does not say that it may have been."""
    emulator.inject(Fault.close(applied=False) if ambiguous else NO_BACKOFF)
    emulator.inject(Fault.status(status, body={"error": "no"}), nth=2)
    with pytest.raises(errors.APIStatusError, match=rf"failed with {status} after 2 attempts") as caught:
        await call(client)
    assert "may have been applied" not in str(caught.value)
    assert len(emulator.requests) == (5 if ambiguous else 2)


@each_safe_write
@pytest.mark.parametrize("status", [400, 409])
async def test_a_refusal_of_the_object_after_an_applied_attempt(
    client: AsyncExperimentClient, emulator: Emulator, call: Call, status: int
) -> None:
    """Reading back shows that the first attempt was applied, so the call succeeds."""
    emulator.inject(Fault.close(applied=True))
    emulator.inject(Fault.status(status, body={"error": "no"}), nth=2)
    await call(client)
    assert [request.method for request in emulator.requests].count("GET") == 1


@pytest.mark.parametrize("status", [400, 409])
async def test_a_refused_repeat_without_a_reading(
    client: AsyncExperimentClient, emulator: Emulator, status: int
) -> None:
    """The caller's own request is not read back: the message says that an earlier attempt may have been applied."""
    emulator.inject(Fault.close(applied=True))
    emulator.inject(Fault.status(status), nth=2)
    with pytest.raises(errors.APIStatusError, match=r"An earlier attempt may have been applied\."):
        await client.request("PATCH", f"/flags/{FLAG}", json={"name": "x"})


@each_creation
@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_a_failed_creation_that_does_not_exist(
    client: AsyncExperimentClient, emulator: Emulator, call: Call, status: int
) -> None:
    """A failure of the service is final; after a failure of a gateway the outcome is unknown."""
    emulator.inject(Fault.status(status), method="POST")
    with pytest.raises(errors.ServerError if status == 500 else errors.OutcomeUnknownError) as caught:
        await call(client)
    failed = caught.value if status == 500 else caught.value.__cause__
    assert getattr(failed, "status", None) == status
    assert ("Nothing was written." in str(failed)) is (status == 500)
    assert sum(request.method == "POST" for request in emulator.requests) == 1


@pytest.mark.parametrize(
    "theirs",
    [{}, {"name": "theirs"}, {"description": "theirs"}, {"variants": [{"key": "on"}, {"key": "theirs"}]}],
    ids=["the same", "name", "description", "variants"],
)
async def test_an_object_that_somebody_else_created(
    client: AsyncExperimentClient, emulator: Emulator, theirs: dict[str, Any]
) -> None:
    """A new object with the key is taken for the created one only if it matches the request."""
    asked: dict[str, Any] = {"name": "mine", "description": "mine", "variants": [{"key": "on"}]}
    emulator.state.add_flag(id="900", key="new", **(asked | theirs))
    emulator.inject(Fault.close(), method="POST")
    result, _ = await outcome(client.flags.create(project_id="1", key="new", **asked))
    if theirs:
        assert isinstance(result, errors.OutcomeUnknownError)
        assert "ID 900, and none of them could be" in str(result)
    else:
        assert getattr(result, "id", None) == "900"


@pytest.mark.parametrize(
    "call", [lambda c: c.flags.get(FLAG), lambda c: c.flags.users.remove_at(FLAG, "on", 0), *CREATIONS.values()]
)
async def test_a_deadline_that_has_passed(client: AsyncExperimentClient, emulator: Emulator, call: Call) -> None:
    """Nothing is sent, and nothing is ambiguous."""
    with pytest.raises(errors.APITimeoutError, match=r"was not sent: the deadline of 1e-09 s passed\.") as caught:
        await call(client.with_options(deadline=1e-9))
    assert (caught.value.sent, caught.value.attempts, emulator.requests) == (False, 0, [])
    assert (client.usage.requests, client.usage.requests_today) == (0, 0)


async def test_a_rename_that_cannot_be_verified(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """If the old key is gone and the new one cannot be read, the outcome is unknown."""
    emulator.inject(Fault.close(applied=True), method="PATCH")
    emulator.inject(Fault.status(503), method="GET", times=None)
    with pytest.raises(errors.OutcomeUnknownError, match=r"Reading back failed too \(ServerError\)") as caught:
        await SAFE_WRITES["rename"](client.with_options(retry=THREE_ATTEMPTS))
    assert isinstance(caught.value.__cause__, errors.NotFoundError)
    assert (caught.value.method, caught.value.attempts) == ("PATCH", 2)


CLOSINGS: dict[str, tuple[list[Fault], type[Exception]]] = {
    "at the first attempt": ([Fault.delay(30.0)], errors.OutcomeUnknownError),
    "at the third attempt": ([NO_BACKOFF, NO_BACKOFF, Fault.delay(30.0)], errors.OutcomeUnknownError),
    "while it is read back": ([Fault.close(applied=True), Fault.delay(30.0)], errors.OutcomeUnknownError),
    "between two attempts": ([NO_BACKOFF, Fault.status(429, retry_after=30)], errors.ClientClosedError),
}


@each_creation
@pytest.mark.parametrize(("faults", "error"), CLOSINGS.values(), ids=CLOSINGS)
async def test_closing_during_a_write(
    *, client: AsyncExperimentClient, emulator: Emulator, call: Call, faults: list[Fault], error: type[Exception]
) -> None:
    """If the write was sent and not rejected, its outcome is unknown, and `attempts` counts the sent ones."""
    for nth, fault in enumerate(faults, 1):
        emulator.inject(fault, nth=nth)
    writing = asyncio.ensure_future(call(client))
    async with asyncio.timeout(TIMEOUT):
        while len(emulator.requests) < len(faults):  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.001)
    await asyncio.sleep(0.02)
    await client.aclose(shutdown_timeout=0.1)
    with pytest.raises(error, match="the client was closed while the") as caught:
        await asyncio.wait_for(writing, TIMEOUT)
    if isinstance(caught.value, errors.OutcomeUnknownError):
        assert caught.value.attempts == sum(request.method == "POST" for request in emulator.requests)
    assert len(emulator.requests) == len(faults)


@pytest.mark.parametrize("name", ["Retry-After", "retry-after", "RETRY-AFTER"])
@pytest.mark.parametrize("status", [400, 404, 503])
async def test_headers_in_any_case(client: AsyncExperimentClient, emulator: Emulator, status: int, name: str) -> None:
    """The names of response headers are case-insensitive."""
    emulator.inject(Fault.status(status, retry_after=7))
    with pytest.raises(errors.APIStatusError) as caught:
        await client.with_options(retry=RetryPolicy(max_attempts=1)).flags.get(FLAG)
    assert caught.value.headers[name] == "7"


UNKNOWN: dict[str, Call] = CREATIONS | {
    "experiments.create": lambda c: c.experiments.create(project_id="1", key="new"),
    "mutexes.create": lambda c: c.mutexes.create(project_id="1", name="new", slots=[{"percentage": 100}]),
    "holdouts.create": lambda c: c.holdouts.create(project_id="1", name="new", holdout_percentage=5),
    "users.remove_at": lambda c: c.flags.users.remove_at(FLAG, "on", 0),
    "request": lambda c: c.request("POST", "/flags", json={}),
}


@pytest.mark.parametrize("call", UNKNOWN.values(), ids=UNKNOWN)
async def test_the_internal_error_stays_internal(client: AsyncExperimentClient, emulator: Emulator, call: Call) -> None:
    """An ambiguous write raises `OutcomeUnknownError`, whose chain has no `AmbiguousWriteError`."""
    emulator.inject(Fault.close())
    with pytest.raises(errors.OutcomeUnknownError) as caught:
        await call(client)
    error: BaseException | None = caught.value
    while error is not None:
        assert not isinstance(error, AmbiguousWriteError)
        error = error.__cause__ or error.__context__
    assert caught.value.__context__ is None
