"""The lifetime of a client: opening, closing, its session, and the resources of a call."""

from __future__ import annotations

import asyncio
import gc
import pickle
from collections.abc import Awaitable, Callable
from typing import Any, cast

import aiohttp
import pytest

from amp_exp_async import (
    AsyncExperimentClient,
    ClientClosedError,
    ConfigurationError,
    InvalidInputError,
    RateLimit,
    RetryPolicy,
)
from amp_exp_async.emulator import Emulator, Fault
from tests.clients import client_of
from tests.polling import TIMEOUT
from tests.virtual_time import Answer, ScriptedSession, now, run

Call = Callable[[AsyncExperimentClient], Awaitable[Any]]
KEY = "emulator-management-key"
CALLS: dict[str, Call] = {
    "get": lambda c: c.flags.get("1"),
    "list": lambda c: c.flags.list(),
    "pages": lambda c: anext(c.flags.list().pages()),
    "edit": lambda c: c.flags.edit("1", enabled=True),
    "create": lambda c: c.flags.create(project_id="1", key="x"),
    "request": lambda c: c.request("GET", "/flags"),
    "copy": lambda c: c.with_options(timeout=1.0).flags.get("1"),
    "async with": lambda c: c.__aenter__(),
}


def test_opening() -> None:
    """A client opens on first use and belongs to that event loop; another loop is rejected."""
    with Emulator() as emulator, asyncio.Runner() as home, asyncio.Runner() as elsewhere:
        client = client_of(emulator)
        assert client.usage.requests == 0
        assert home.run(client.flags.list()._collect()) == []
        with pytest.raises(ConfigurationError, match=r"another event loop\. Use one client for each loop"):
            elsewhere.run(client.flags.list()._collect())
        assert home.run(client.flags.list()._collect()) == []
        home.run(client.aclose())
        assert len(emulator.requests) == 2


async def test_closing_again_and_without_use(emulator: Emulator) -> None:
    """Closing is idempotent, also concurrently, and works without any use."""
    for used in (True, False):
        client = client_of(emulator)
        if used:
            await client.flags.list()
        await asyncio.gather(client.aclose(), client.aclose())
        await client.aclose()
        await wait_for_disconnects()
        assert connections(emulator) == 0


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("used", [True, False])
async def test_use_after_closing(emulator: Emulator, call: Call, used: bool) -> None:
    """Every use of a closed client raises `ClientClosedError` and sends nothing."""
    async with client_of(emulator) as client:
        if used:
            await client.flags.list()
    with pytest.raises(ClientClosedError, match="Create a new one") as caught:
        await call(client)
    assert isinstance(caught.value, RuntimeError)
    assert len(emulator.requests) == used


async def wait_for_disconnects() -> None:
    """Let the server notice closed connections."""
    for _ in range(5):
        await asyncio.sleep(0.002)


def connections(emulator: Emulator) -> int:
    """Return the number of open connections of the emulator."""
    assert emulator._runner is not None
    assert emulator._runner.server is not None
    return len(emulator._runner.server.connections)


SITUATIONS: dict[str, tuple[Fault, dict[str, Any]]] = {
    "waiting for the reply": (Fault.delay(30.0), {}),
    "at its last attempt": (Fault.delay(30.0), {"retry": RetryPolicy(max_attempts=1)}),
    "waiting for a slot": (Fault.delay(30.0), {"max_concurrency": 1}),
    "waiting between attempts": (Fault.status(503, retry_after=30), {}),
    "waiting out a pause": (Fault.status(429, retry_after=30), {}),
    "waiting for the rate limit": (Fault.delay(30.0), {"rate_limit": RateLimit(per_second=1)}),
}


@pytest.mark.parametrize(("fault", "options"), SITUATIONS.values(), ids=SITUATIONS)
@pytest.mark.parametrize("own_session", [True, False], ids=["own session", "caller's session"])
async def test_closing_during_a_call(
    emulator: Emulator, fault: Fault, options: dict[str, Any], own_session: bool
) -> None:
    """A call in any stage raises `ClientClosedError` at once and leaves nothing behind."""
    emulator.inject(fault, times=None)
    tasks = asyncio.all_tasks()
    async with aiohttp.ClientSession() as theirs:
        client = client_of(emulator, session=None if own_session else theirs, **options)
        calls = [asyncio.ensure_future(client.flags.get("1")) for _ in range(2)]
        while not emulator.requests:  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.01)
        await client.aclose()
        done, late = await asyncio.wait(calls, timeout=TIMEOUT)
        for call in late:
            call.cancel()
        await asyncio.wait(calls)
        assert late == set()
        assert [type(call.exception()) for call in done] == [ClientClosedError] * 2
        assert theirs.closed is False
    await emulator.stop()
    assert asyncio.all_tasks() == tasks


async def test_closing_during_a_wait_for_a_lock(emulator: Emulator) -> None:
    """A write that waits for another write raises too, and was not sent."""
    emulator.inject(Fault.delay(30.0), times=None)
    client = client_of(emulator, shutdown_timeout=0.05)
    writes = [asyncio.ensure_future(client.flags.edit("1", enabled=True)) for _ in range(3)]
    while not emulator.requests:  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(0.001)
    await client.aclose()
    async with asyncio.timeout(TIMEOUT):
        results = await asyncio.gather(*writes, return_exceptions=True)
    assert [type(result) for result in results] == [ClientClosedError] * 3
    assert len(emulator.requests) == 1


@pytest.mark.parametrize("in_a_cycle", [False, True])
@pytest.mark.parametrize("theirs", [True, False], ids=["caller's session", "own session"])
async def test_a_client_that_is_collected(
    emulator: Emulator, recwarn: pytest.WarningsRecorder, *, theirs: bool, in_a_cycle: bool
) -> None:
    """Without `aclose`, only a session of its own is reported as unclosed. The caller's session stays open."""
    messages: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: messages.append(context["message"]))
    async with aiohttp.ClientSession() as session:
        client = client_of(emulator, session=session if theirs else None)
        await client.flags.list()
        if in_a_cycle:
            vars(client)["itself"] = client
        connector = cast("Any", client._transport.session._session).connector
        del client
        gc.collect()
        await asyncio.sleep(0)
        assert messages == ([] if theirs else ["Unclosed client session"])
        assert not session.closed
        async with session.get(f"{emulator.base_url}/api/1/flags") as response:
            assert response.status == 401
        if not theirs:
            await connector.close()
    warned = [str(warning.message) for warning in recwarn if "session" in str(warning.message)]
    assert len(warned) == (not theirs)


async def test_the_callers_session_is_closed(emulator: Emulator) -> None:
    """A call over a session that its owner has closed says so."""
    async with aiohttp.ClientSession() as session:
        client = client_of(emulator, session=session)
        await client.flags.list()
    with pytest.raises(ClientClosedError, match="session of the client is closed"):
        await client.flags.list()
    await client.aclose()


@pytest.mark.parametrize("options", [{"trust_env": True}, {"trace_configs": [aiohttp.TraceConfig()]}])
async def test_options_of_the_session(options: dict[str, Any]) -> None:
    """Options that belong to a session are rejected together with one."""
    async with aiohttp.ClientSession() as session:
        with pytest.raises(ConfigurationError, match="Set them where you create it"):
            AsyncExperimentClient(KEY, session=session, **options)


@pytest.mark.parametrize(
    "options",
    [
        {"timeout": 0},
        {"timeout": True},
        {"deadline": -1},
        {"retry": 3},
        {"max_concurrency": 0},
        {"max_concurrency": -1},
        {"max_concurrency": 1.5},
    ],
)
def test_invalid_options(options: dict[str, Any]) -> None:
    """They are rejected by name when the client is created."""
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        AsyncExperimentClient(KEY, **options)


async def test_an_endpoint_without_a_method(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """`request` sends query and body unchanged, and returns parsed JSON, or text."""
    flag = emulator.state.add_flag(key="x")
    listed = await client.request("get", "/flags", params={"limit": 1, "includeArchived": True, "key": "x"})
    assert listed == {"flags": [flag]}
    assert emulator.requests[0].query == {"limit": "1", "includeArchived": "true", "key": "x"}
    assert emulator.requests[0].body is None
    assert await client.request("PATCH", f"/flags/{flag['id']}", json={"description": None}) == "OK"
    assert emulator.requests[1].body == {"description": None}
    assert emulator.requests[1].headers["content-type"] == "application/json"
    for json in (None, 0, "", []):
        emulator.inject(Fault.status(200, body=""))
        assert await client.request("POST", "/any%2Fthing", json=json) == ""
        assert emulator.requests[-1].body == json
    assert emulator.requests[-1].path == "/api/1/any%2Fthing"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("GET", path) for path in ("", "/", "flags", "/flags/", "//x", "/flags?x=1", "/flags#x", "/a b", "/a\n")),
        *(("GET", path) for path in ("/.", "/..", "/flags/../x", "/flags/./x", "/flags/%2e%2E/x", "http://x/flags")),
        *((method, "/flags") for method in ("", "GET POST", "GET\r\nX: y", "G3T", "CONNECT", "Connect")),
        (None, "/flags"),
        ("GET", None),
    ],
)
async def test_invalid_arguments_of_request(
    client: AsyncExperimentClient, emulator: Emulator, method: Any, path: Any
) -> None:
    """An invalid method, or a path that leads elsewhere, is rejected before anything is sent."""
    with pytest.raises(InvalidInputError, match="Nothing was sent"):
        await client.request(method, path)
    assert emulator.requests == []


async def test_closing_a_copy(client: AsyncExperimentClient) -> None:
    """It closes nothing; only closing the client itself does."""
    async with client.with_options(timeout=1.0) as copy:
        await copy.flags.list()
    assert await copy.flags.list() == await client.flags.list() == []
    with pytest.raises(ConfigurationError, match="timeout"):
        client.with_options(timeout=0)


async def test_a_cancelled_call_and_the_concurrency_limit(emulator: Emulator) -> None:
    """With `max_concurrency=1` the next call starts at once, and no task or connection is left."""
    emulator.inject(Fault.delay(600.0))
    tasks = asyncio.all_tasks()
    async with client_of(emulator, max_concurrency=1, rate_limit=None) as client:
        call = asyncio.ensure_future(client.flags.get("1"))
        waiting = asyncio.ensure_future(client.flags.get("2"))
        while not emulator.requests:  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.001)
        waiting.cancel()
        call.cancel()
        await asyncio.wait([call, waiting])
        assert call.cancelled()
        async with asyncio.timeout(TIMEOUT):
            assert await client.flags.list() == []
    await emulator.stop()
    assert asyncio.all_tasks() == tasks
    assert len(emulator.requests) == 2


def scripted(session: ScriptedSession, limit: RateLimit) -> AsyncExperimentClient:
    """Return a client over a scripted session."""
    stand_in = cast("aiohttp.ClientSession", session)
    return AsyncExperimentClient(KEY, base_url="https://service.example", session=stand_in, rate_limit=limit)


def test_a_cancelled_call_and_its_permit() -> None:
    """Its permit is released as late as that of a lost request."""
    session = ScriptedSession([Answer(seconds=50.0), Answer(body=b'{"flags": []}')])

    async def scenario() -> None:
        limit = RateLimit(per_second=1)
        async with scripted(session, limit) as client:
            call = asyncio.ensure_future(client.flags.get("1"))
            await asyncio.sleep(0.5)
            call.cancel()
            await client.flags.list()
            assert now() == pytest.approx(0.5 + 1.0 + 0.5)

    run(scenario())


def test_closing_leaves_no_timer() -> None:
    """Requests that end while the client is closed start no timer of the rate limiter."""
    session = ScriptedSession([Answer(seconds=50.0)])

    async def scenario() -> None:
        limit = RateLimit(per_second=2)
        client = scripted(session, limit)
        calls = [asyncio.ensure_future(client.flags.get("1")) for _ in range(5)]
        await asyncio.sleep(5.0)
        await client.aclose()
        await asyncio.wait(calls)
        assert [type(call.exception()) for call in calls] == [ClientClosedError] * 5
        assert client._transport.session.limiter._client._timer is None

    run(scenario())


def test_repr_and_pickling() -> None:
    """The repr shows the URL without the key, and the client cannot be pickled."""
    client = AsyncExperimentClient("lifetime-management-key", region="eu")
    assert repr(client) == "<AsyncExperimentClient https://experiment.eu.amplitude.com/api/1>"
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(client)
    parts = [client, client.flags, client._transport, client._transport.session, *vars(client).values()]
    parts += vars(client._transport.session).values()
    assert "lifetime-management-key" not in repr(parts)
