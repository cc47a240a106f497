"""Whatever a server sends, a call ends in time, with the right value or one of the documented errors."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from amp_exp_async import (
    AmpExpError,
    APIConnectionError,
    APIStatusError,
    AsyncExperimentClient,
    Flag,
    NotFoundError,
    OutcomeUnknownError,
    RetryPolicy,
)
from tests.crossing import cross
from tests.polling import TIMEOUT
from tests.reliability.conftest import SESSION_PATHS, ClientFactory
from tests.reliability.exposure import find_secrets
from tests.reliability.figures import Figures
from tests.reliability.hostile_responses import BODY, SCENARIOS, Scenario
from tests.reliability.raw_server import RawConnection, RawServer, answer_all, response

AREA = "Hostile server"
CANARY = "canary-of-the-hostile-server"
ATTEMPTS = 2

each_scenario = pytest.mark.parametrize(
    ("scenario", "session_path"), cross(SCENARIOS, SESSION_PATHS), indirect=["session_path"]
)


async def end_of(call: Any) -> Any:
    """Return the result of a call, or its error. A call that hangs fails the test."""
    async with asyncio.timeout(TIMEOUT):
        try:
            return await call
        except AmpExpError as error:
            return error


def options_for(scenario: Scenario) -> dict[str, Any]:
    """Return the options of a client that does not wait long for a server that hangs."""
    retry = RetryPolicy(max_attempts=ATTEMPTS, backoff_base=0.0)
    return {"api_key": CANARY, "retry": retry, "timeout": 0.1 if scenario.hangs else 20.0}


@each_scenario
async def test_a_read(make_client: ClientFactory, figures: Figures, scenario: Scenario) -> None:
    """It ends with the flag that was asked for, or with the error that the scenario names."""
    with RawServer(scenario.script) as server:
        client = await make_client(server.url, **options_for(scenario))
        result = await end_of(client.flags.get("1"))
        await client.aclose()
    if isinstance(result, Flag):
        assert scenario.outcome in ("right", "either")
        assert (result.id, result.key) == ("1", "k")
    else:
        expected = scenario.outcome if isinstance(scenario.outcome, type) else AmpExpError
        assert isinstance(result, expected), repr(result)
        assert scenario.outcome != "right", repr(result)
        assert find_secrets(result, [CANARY]) == []
    assert server.connections <= ATTEMPTS
    figures.count("responses to a read")


@each_scenario
async def test_a_removal_by_index(make_client: ClientFactory, figures: Figures, scenario: Scenario) -> None:
    """It arrives once, unless the service has refused it, and never seems to have failed when it may be done."""
    with RawServer(scenario.script) as server:
        client = await make_client(server.url, **options_for(scenario))
        error = await end_of(client.flags.users.remove_at("1", "on", 0))
        await client.aclose()
    removals = [request for request in server.requests if request.method == "DELETE"]
    if isinstance(error, APIStatusError) and error.status == 429:
        assert len(removals) == ATTEMPTS
    else:
        assert len(removals) <= 1
        never_sent = isinstance(error, APIConnectionError) and not error.sent and server.requests == []
        # Neither a lost response nor one that cannot be read says that the removal was not carried out.
        assert error is None or never_sent or isinstance(error, OutcomeUnknownError | APIStatusError), repr(error)
    if error is not None:
        assert find_secrets(error, [CANARY]) == []
    assert all(request.line == "DELETE /api/1/flags/1/variants/on/users/0" for request in removals)
    # After a 404, one request reads which variants exist.
    assert len(server.requests) - len(removals) == isinstance(error, NotFoundError)
    figures.count("responses to a removal by index")


@pytest.mark.filterwarnings("ignore:Sending a large body directly:ResourceWarning")  # by aiohttp's session
@pytest.mark.parametrize("session_path", SESSION_PATHS, indirect=True)
async def test_a_response_before_the_request_was_sent(make_client: ClientFactory) -> None:
    """The next request does not wait behind the rest of the request: it takes another connection."""

    async def answer_early(connection: RawConnection) -> None:
        is_read = (await connection.read_head()).startswith(b"GET")
        await connection.send(response(BODY if is_read else b"OK"))
        await asyncio.Event().wait()  # until the server ends

    with RawServer(answer_early) as server:
        client = await make_client(server.url, timeout=TIMEOUT / 2, retry=RetryPolicy(max_attempts=1))
        assert await end_of(client.flags.edit("1", description="x" * 20_000_000)) is None
        assert (await end_of(client.flags.get("1"))).id == "1"
        assert server.connections == 2
        await client.aclose()


async def test_no_cookie_is_returned() -> None:
    """A client keeps no cookies. With a caller's session, its cookie jar decides."""
    answer = response(BODY, headers=[("Set-Cookie", "tracked=1; Path=/")])
    with RawServer(answer_all(answer)) as server:
        url = server.url.replace("127.0.0.1", "localhost")  # a cookie jar may ignore addresses
        async with AsyncExperimentClient(CANARY, base_url=url, rate_limit=None) as client:
            for _ in range(2):
                await client.flags.get("1")
        async with aiohttp.ClientSession() as session, session.get(url), session.get(url):
            pass
    assert [request.headers.get("cookie") for request in server.requests] == [None, None, None, "tracked=1"]
