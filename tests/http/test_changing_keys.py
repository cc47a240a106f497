"""A key that a function returns: when the function is called, what is sent with its result, and what never shows it."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import pickle
import threading
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from attrs import define, field

from amp_exp_async import (
    APIConnectionError,
    APITimeoutError,
    AsyncBetaClient,
    AsyncExperimentClient,
    Attempt,
    AuthenticationError,
    BadRequestError,
    CallEnd,
    ClientClosedError,
    ConfigurationError,
    Edit,
    RateLimit,
    RedisRateLimit,
    RetryPolicy,
)
from amp_exp_async.emulator import Emulator, Fault
from amp_exp_async.http.keys import KeyFailure
from tests.conftest import NO_BACKOFF
from tests.leaks import leaks
from tests.polling import TIMEOUT, eventually
from tests.reliability.raw_server import RawConnection, RawServer, response

pytestmark = pytest.mark.usefixtures("each_path")

OLD, NEW = "canary-of-the-old-key", "canary-of-the-new-key"
ONCE = RetryPolicy(max_attempts=1)


@define(eq=False)
class Keys:
    """A function that returns keys, one after another, and the last one again and again.

    Attributes:
        calls: how often it was called.
    """

    keys: list[str] = field(factory=lambda: [OLD, NEW])
    calls: int = 0

    def __call__(self) -> str:
        self.calls += 1
        return self.keys[min(self.calls, len(self.keys)) - 1]

    async def call(self) -> str:
        """Return the next key in the event loop."""
        await asyncio.sleep(0)
        return self()

    def __repr__(self) -> str:
        return "Keys()"


def _start(keys: Keys) -> Awaitable[str]:
    return keys.call()


FORMS: dict[str, Callable[[Keys], Callable[[], str | Awaitable[str]]]] = {
    "function": lambda keys: lambda: str(keys()),
    "object": lambda keys: keys,
    "coroutine function": lambda keys: keys.call,
    "function that returns a coroutine": lambda keys: functools.partial(_start, keys),
    "partial": lambda keys: functools.partial(Keys.call, keys),
}


@pytest.fixture
async def service() -> AsyncIterator[Emulator]:
    """Serve an emulator that accepts the old key."""
    async with Emulator(api_key=OLD, per_second=None, per_day=None) as emulator:
        yield emulator


@asynccontextmanager
async def client_of(
    service: Emulator, function: Callable[[], Any], **options: Any
) -> AsyncIterator[AsyncExperimentClient]:
    options = {"rate_limit": None, "retry": NO_BACKOFF, **options}
    async with AsyncExperimentClient(function, base_url=service.base_url, **options) as client:
        yield client


def statuses(service: Emulator) -> list[int | None]:
    """Return the status of each request."""
    return [request.status for request in service.requests]


@pytest.mark.parametrize("form", FORMS)
async def test_the_function_is_called_once(service: Emulator, form: str) -> None:
    """Not before the first request, and once for all calls, even if many start at the same time."""
    keys = Keys()
    async with client_of(service, FORMS[form](keys)) as client:
        await asyncio.sleep(0)
        assert keys.calls == 0
        await asyncio.gather(*(client.flags.list() for _ in range(32)))
        await client.with_options(timeout=5).flags.list()
    assert keys.calls == 1
    assert statuses(service) == [200] * 33


@pytest.mark.parametrize("form", FORMS)
async def test_after_a_401(service: Emulator, form: str) -> None:
    """The function is called again, and the request is sent again with the new key, which is kept."""
    keys, seen = Keys(), list[Attempt]()
    async with client_of(service, FORMS[form](keys), retry=ONCE, on_attempt=seen.append) as client:
        await client.flags.list()
        service.replace_key(NEW)
        with client.capture_responses() as responses:
            await client.flags.list()
        await client.flags.list()
        assert (client.usage.requests, client.usage.retries) == (4, 1)
    assert keys.calls == 2
    assert statuses(service) == [200, 401, 200, 200]
    assert [(attempt.number, attempt.status) for attempt in seen] == [(1, 200), (1, 401), (2, 200), (1, 200)]
    assert responses[0].attempts == 2


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE"])
async def test_every_method_is_sent_again(service: Emulator, method: str) -> None:
    """A 401 means that nothing was applied, so that even a request that must not be repeated is sent again."""
    service.replace_key(NEW)
    service.inject(Fault.status(200, body="{}"), path="/flags/1", nth=2)
    async with client_of(service, Keys(), retry=ONCE) as client:
        assert await client.request(method, "/flags/1") == {}
    assert [(request.method, request.status) for request in service.requests] == [(method, 401), (method, 200)]


async def test_many_401_at_the_same_time(service: Emulator) -> None:
    """They share one call of the function."""
    keys = Keys()
    async with client_of(service, keys.call) as client:
        await client.flags.list()
        service.replace_key(NEW)
        await asyncio.gather(*(client.flags.list() for _ in range(32)))
    assert keys.calls == 2
    assert statuses(service).count(200) == 33


async def test_a_call_that_starts_when_the_function_ends(service: Emulator) -> None:
    """It finds the key, or calls the function again, at whatever turn of the event loop it starts."""

    async def function() -> str:
        await asyncio.sleep(0)
        return OLD

    for turns in range(12):
        async with client_of(service, function) as client:
            first = asyncio.ensure_future(client.flags.list())
            for _ in range(turns):
                await asyncio.sleep(0)
            assert await asyncio.gather(first, client.flags.list()) == [[], []]


async def test_a_401_that_comes_late() -> None:
    """If another call has got a new key since the request was sent, the function is not called for it."""
    keys, is_renewed = Keys(), asyncio.Event()

    async def serve(connection: RawConnection) -> None:
        while (request := await connection.read_request()) is not None:
            is_new = request.headers["authorization"] == f"Bearer {NEW}"
            if is_new:
                is_renewed.set()
            elif request.target.endswith("/1"):
                await is_renewed.wait()
            await connection.send(
                response('{"id": "1", "key": "k"}', status="200 OK" if is_new else "401 Unauthorized")
            )

    with RawServer(serve) as server:
        async with AsyncExperimentClient(keys.call, base_url=server.url, retry=ONCE) as client:
            late = asyncio.ensure_future(client.flags.get("1"))
            await eventually(lambda: server.requests)
            await client.request("GET", "/flags/2")
            assert (await late).key == "k"
    assert keys.calls == 2
    assert sorted(server.lines) == ["GET /api/1/flags/1"] * 2 + ["GET /api/1/flags/2"] * 2


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_second_401(service: Emulator, method: str) -> None:
    """It ends the call: the function is called once for it."""
    keys = Keys(["canary-key-1", "canary-key-2", "canary-key-3"])
    async with client_of(service, keys) as client:
        with pytest.raises(AuthenticationError) as caught:
            await client.request(method, "/flags", json={} if method == "POST" else None)
        assert (caught.value.attempts, keys.calls, len(service.requests)) == (2, 2, 2)
        with pytest.raises(AuthenticationError):  # the next call tries it again
            await client.flags.list()
    assert keys.calls == 3
    error = caught.value.with_traceback(None)  # the frame of this test contains the keys
    assert leaks(error, "canary-key") == []


async def test_the_same_key_again(service: Emulator) -> None:
    """A request is not sent again with the key that was rejected."""
    keys = Keys([NEW])
    async with client_of(service, keys.call) as client:
        results = await asyncio.gather(*(client.flags.list() for _ in range(8)), return_exceptions=True)
    assert [type(result) for result in results] == [AuthenticationError] * 8
    assert len(service.requests) == 8
    assert keys.calls < 8


async def test_a_key_that_does_not_change(service: Emulator) -> None:
    """A 401 ends the call after one request, as before."""
    async with AsyncExperimentClient(NEW, base_url=service.base_url) as client:
        with pytest.raises(AuthenticationError):
            await client.flags.list()
    assert len(service.requests) == 1


class UnreadableError(Exception):
    """An error of the user's function."""


def raise_error(text: str) -> str:
    try:
        return {"other": text}[text]
    except KeyError:
        raise UnreadableError("no vault") from ValueError(text)


def exit_thread() -> str:
    raise SystemExit(3)


def stop() -> str:
    raise StopIteration


async def raise_in_loop() -> str:
    return raise_error(NEW)


async def exit_loop() -> str:
    raise SystemExit(3)


async def cancel_itself() -> str:
    raise asyncio.CancelledError


FAILURES: dict[str, tuple[Callable[[], Any], str, type[BaseException] | None]] = {
    "raises": (lambda: raise_error(NEW), "is a function that raised UnreadableError", UnreadableError),
    "raises in the loop": (raise_in_loop, "is a function that raised UnreadableError", UnreadableError),
    "exits": (exit_thread, "is a function that raised RuntimeError", RuntimeError),
    "exits in the loop": (exit_loop, "is a function that raised SystemExit", SystemExit),
    "stops": (stop, "is a function that raised", None),
    "is cancelled": (cancel_itself, "is a function that raised CancelledError", asyncio.CancelledError),
    "nothing": (lambda: None, "it must be a string", None),
    "an empty text": (lambda: "", "it is empty", None),
    "a line break": (lambda: f"{NEW}\n", "it contains white space", None),
    "quotation marks": (lambda: f'"{NEW}"', "it begins or ends with a quotation mark", None),
    "takes an argument": (lambda _: NEW, "is a function that raised TypeError", TypeError),  # type: ignore[misc]  # what is tested
}


@pytest.mark.parametrize(("function", "rule", "cause"), FAILURES.values(), ids=FAILURES)
@pytest.mark.parametrize("write", [True, False], ids=["write", "read"])
async def test_a_function_that_returns_no_key(
    service: Emulator, function: Callable[[], Any], rule: str, cause: type[BaseException] | None, write: bool
) -> None:
    """Each call fails with an error of its own, and nothing was sent. The next call calls the function again."""
    async with client_of(service, function) as client:
        calls = [client.flags.edit("1", name="x") if write else client.flags.list() for _ in range(3)]
        errors = await asyncio.gather(*calls, return_exceptions=True)
    assert service.requests == []
    assert len({id(error) for error in errors}) == 3
    for error in errors:
        assert isinstance(error, ConfigurationError)
        assert error.argument == "api_key"
        assert rule in str(error)
        assert "Nothing was sent." in str(error)
        assert cause is None or type(error.__cause__) is cause
        assert leaks(error, NEW) == []


async def test_a_function_that_fails_once(service: Emulator) -> None:
    """The next call gets the key."""
    results: list[Any] = [UnreadableError(), OLD]

    def function() -> str:
        result = results.pop(0)
        if isinstance(result, Exception):
            raise result
        return str(result)

    async with client_of(service, function) as client:
        with pytest.raises(ConfigurationError):
            await client.flags.list()
        assert await client.flags.list() == []


async def test_a_function_that_fails_after_a_401(service: Emulator) -> None:
    """The error says that nothing was written, shows no key, and a cause that quotes the old key is left out."""
    answers = iter([OLD])

    def function() -> str:
        for key in answers:
            return key
        raise UnreadableError(f"{OLD} has expired")

    async with client_of(service, function) as client:
        await client.flags.list()
        service.replace_key(NEW)
        with pytest.raises(ConfigurationError, match=r"Nothing was written\.") as caught:
            await client.flags.users.remove_at("1", "on", 0)
    assert caught.value.__cause__ is None
    error = caught.value.with_traceback(None)  # the frame of this test contains the key
    assert leaks(error, OLD) == []


async def test_a_function_whose_error_quotes_a_new_key(service: Emulator) -> None:
    """The exception is kept as the cause; no local variable of the library shows its text."""

    def function() -> str:
        raise ValueError(f"{NEW} cannot be decoded")

    async with client_of(service, function) as client:
        with pytest.raises(ConfigurationError) as caught:
            await client.flags.list()
    frames = [frame for frame, _ in traceback.walk_tb(caught.value.__traceback__)]
    assert [frame.f_code.co_name for frame in frames if NEW in repr(frame.f_locals)] == []
    assert type(caught.value.__cause__) is ValueError


async def test_a_lost_write_and_then_no_key(service: Emulator) -> None:
    """The error says that the write may have been applied."""
    keys = iter([OLD])
    async with client_of(service, lambda: next(keys)) as client:
        await client.flags.list()
        service.inject(Fault.close(), method="PATCH")
        service.inject(Fault.status(401), method="PATCH", nth=2)
        with pytest.raises(ConfigurationError, match="The change may have been applied"):
            await client.flags.edit("1", name="x")


@pytest.mark.parametrize("is_rejected", [False, True])
async def test_a_function_that_calls_its_own_client(service: Emulator, is_rejected: bool) -> None:
    """The inner call raises an error at once instead of waiting for itself, also after a 401; the outer one too."""
    inner: list[BaseException] = []
    clients: list[AsyncExperimentClient] = []

    async def key() -> str:
        if is_rejected and not clients[0].usage.requests:
            return OLD
        try:
            await asyncio.create_task(clients[0].flags.edit("1", name="new"))
        except ConfigurationError as error:
            inner.append(error)
            raise
        return OLD

    async with AsyncExperimentClient(key, base_url=service.base_url, deadline=None, rate_limit=None) as client:
        clients.append(client)
        if is_rejected:
            service.replace_key(NEW)
        with pytest.raises(ConfigurationError, match="is a function that raised ConfigurationError") as caught:
            async with asyncio.timeout(TIMEOUT):
                await client.flags.list()
    assert caught.value.__cause__ is inner[0]
    assert str(inner[0]).startswith("api_key is a function that makes a call with its own client, and")


async def test_two_clients_that_need_each_others_key(service: Emulator) -> None:
    """A function that uses another client, whose function uses the first one, gets an error instead of waiting."""
    clients: list[AsyncExperimentClient] = []

    def make(other: int) -> AsyncExperimentClient:
        async def key() -> str:
            await clients[other].flags.list()
            return OLD

        return AsyncExperimentClient(key, base_url=service.base_url, deadline=None)

    clients += [make(1), make(0)]
    with pytest.raises(ConfigurationError):
        async with asyncio.timeout(TIMEOUT):
            await clients[0].flags.list()
    for client in clients:
        await client.aclose()


async def test_a_task_of_the_function_that_uses_the_client_later(service: Emulator) -> None:
    """Its call may wait for a later call of the function, because the one that started the task has ended."""
    tasks: list[asyncio.Task[object]] = []
    is_replaced = asyncio.Event()

    async def use_later() -> None:
        await is_replaced.wait()
        await client.flags.list()

    async def key() -> str:
        if not tasks:
            tasks.append(asyncio.create_task(use_later()))
            return OLD
        await asyncio.sleep(0)
        return NEW

    async with AsyncExperimentClient(key, base_url=service.base_url, rate_limit=None) as client:
        await client.flags.list()
        service.replace_key(NEW)
        is_replaced.set()
        await tasks[0]


async def test_a_function_that_cancels_its_task(service: Emulator) -> None:
    """The error says so, and not that the client was closed; the next call tries again."""
    calls: list[int] = []

    async def key() -> str:
        calls.append(1)
        task = asyncio.current_task()
        if len(calls) == 1 and task is not None:
            task.cancel()
        await asyncio.sleep(0)
        return OLD

    async with AsyncExperimentClient(key, base_url=service.base_url, rate_limit=None) as client:
        with pytest.raises(ConfigurationError, match="api_key is a function whose task was cancelled") as caught:
            await client.flags.list()
        assert "Nothing was sent." in str(caught.value)
        assert await client.flags.list() == []


async def test_a_function_that_blocks(service: Emulator) -> None:
    """It runs in a thread: the event loop goes on, and other clients too."""
    release, threads = threading.Event(), list[str]()

    def function() -> str:
        threads.append(threading.current_thread().name)
        assert release.wait(TIMEOUT)
        return OLD

    async with client_of(service, function) as client, client_of(service, lambda: OLD) as other:
        call = asyncio.ensure_future(client.flags.list())
        assert await other.flags.list() == []
        await eventually(lambda: threads)
        (pending,) = client.pending_calls
        assert (pending.waits_for, pending.attempt) == ("key", 1)
        release.set()
        assert await call == []
    assert threads == ["amp_exp_async api_key"]


@pytest.fixture
def hanging() -> Iterator[Callable[[], str]]:
    """Return a function that hangs until the end of the test."""
    release = threading.Event()

    def function() -> str:
        assert release.wait(TIMEOUT)
        return OLD

    yield function
    release.set()


async def test_the_deadline_bounds_the_wait(service: Emulator, hanging: Callable[[], str]) -> None:
    """A call that waits for its key until the deadline fails, and says so."""
    async with client_of(service, hanging, deadline=0.05) as client:
        for _ in range(2):
            with pytest.raises(
                APITimeoutError, match="while it waited for the function that returns the key"
            ) as caught:
                await client.flags.list()
            assert (caught.value.sent, caught.value.attempts) == (False, 0)
        with pytest.raises(APITimeoutError, match=r"deadline of 0\.05 s of the block"):
            async with client.deadline(0.05):
                await client.with_options(deadline=None).flags.list()
    assert service.requests == []


async def test_the_wait_is_reported(service: Emulator) -> None:
    """Hooks see the seconds that a call waited for its key."""
    ends = list[CallEnd]()
    async with client_of(service, Keys(), on_call_end=ends.append) as client:
        await client.flags.list()
        await client.flags.list()
    assert [list(end.waits) for end in ends] == [["key"], []]


async def test_a_call_that_is_cancelled_while_it_waits(service: Emulator) -> None:
    """Other calls still get the key, of one call of the function."""
    release, calls = asyncio.Event(), list[int]()

    async def function() -> str:
        calls.append(1)
        await release.wait()
        return OLD

    async with client_of(service, function) as client:
        first, second = (asyncio.ensure_future(client.flags.list()) for _ in range(2))
        await eventually(lambda: calls)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        release.set()
        assert await second == []
    assert calls == [1]


@pytest.mark.parametrize("kind", ["thread", "coroutine"])
async def test_closing_while_the_function_runs(service: Emulator, hanging: Callable[[], str], kind: str) -> None:
    """Closing waits for neither the function nor the calls that need it, and leaves no task."""

    async def hang() -> str:
        await asyncio.sleep(TIMEOUT)
        return OLD

    before = asyncio.all_tasks()
    client = AsyncExperimentClient(hanging if kind == "thread" else hang, base_url=service.base_url)
    calls = [asyncio.ensure_future(call) for call in (client.flags.list(), client.flags.edit("1", name="x"))]
    await eventually(lambda: client._transport.session._key_task)
    async with asyncio.timeout(2.0):
        await client.aclose(shutdown_timeout=None)
    for result in await asyncio.gather(*calls, return_exceptions=True):
        assert isinstance(result, ClientClosedError)
    assert asyncio.all_tasks() <= before
    with pytest.raises(ClientClosedError):
        await client.flags.list()


async def test_nothing_shows_the_key(service: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    """Neither a log line nor a repr, also in asyncio's debug mode; the client cannot be pickled."""
    asyncio.get_running_loop().set_debug(enabled=True)
    caplog.set_level(logging.DEBUG)
    async with client_of(service, functools.partial(lambda key: key, OLD)) as client:
        await client.flags.list()
        service.replace_key(NEW)
        with pytest.raises(AuthenticationError) as caught:
            await client.flags.list()
        session = client._transport.session
        held = [client, session, session.endpoint, session.endpoint.key_function, *vars(session).values()]
        assert OLD not in repr(held)
        for value in (client, session.endpoint.key_function):
            with pytest.raises(TypeError, match="cannot be pickled"):
                pickle.dumps(value)
    assert OLD not in caplog.text
    assert leaks(caught.value, OLD) == []


async def test_a_response_that_quotes_the_old_key(caplog: pytest.LogCaptureFixture) -> None:
    """It is removed as the new one is, because it may still be valid."""
    caplog.set_level(logging.DEBUG)
    quote = [("X-Request-Id", f"{OLD} {NEW}")]
    answers = [
        response(status="401 No"),
        response(f'{{"error": "{OLD} {NEW}"}}'.encode(), status="400 No", headers=quote),
    ]

    async def serve(connection: RawConnection) -> None:
        while await connection.read_request() is not None:
            await connection.send(answers.pop(0))

    with RawServer(serve) as server:
        async with AsyncExperimentClient(Keys(), base_url=server.url) as client:
            with pytest.raises(BadRequestError) as caught:
                await client.flags.get("1")
    shown = f"{caught.value!r} {caught.value.body} {caught.value.headers} {caught.value.request_id} {caplog.text}"
    assert "*** ***" in shown
    assert OLD not in shown
    assert NEW not in shown


async def test_the_log_of_a_new_key(service: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    """It says that the request is sent again with another key."""
    caplog.set_level(logging.INFO, logger="amp_exp_async")
    async with client_of(service, Keys()) as client:
        service.replace_key(NEW)
        await client.flags.list()
    (message,) = caplog.messages
    assert message == "GET /flags: attempt 1 failed with 401; sent again with another key"


async def test_a_shared_limit_of_processes() -> None:
    """It needs one key, so that a function is rejected when the client is created."""
    with pytest.raises(
        ConfigurationError, match=r"^rate_limit is a RedisRateLimit, .* but api_key is a function"
    ) as caught:
        AsyncExperimentClient(lambda: OLD, rate_limit=RedisRateLimit("redis://localhost"))
    assert caught.value.advice == "Pass a key, or a RateLimit."


async def test_clients_with_the_same_key_share_a_limit(service: Emulator) -> None:
    """Whatever functions return it, and also with a client that was given the key itself."""
    limit = RateLimit(per_second=50)
    async with (
        client_of(service, lambda: OLD, rate_limit=limit) as first,
        client_of(service, lambda: OLD, rate_limit=limit) as second,
        AsyncExperimentClient(OLD, base_url=service.base_url, rate_limit=limit) as third,
    ):
        for client in (first, second, third):
            await client.flags.list()
        assert [client.usage.requests_today for client in (first, second, third)] == [3, 3, 3]


async def test_later_clients_of_a_new_key_share_the_limit(service: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    """The limiter of a client counts the requests of all its keys, and those of later clients of any of them."""
    async with client_of(service, Keys(), rate_limit=RateLimit()) as client:
        await client.flags.list()
        service.replace_key(NEW)
        await client.flags.list()
        async with AsyncExperimentClient(NEW, base_url=service.base_url) as later:
            await later.flags.list()
            assert later.usage.requests_today == client.usage.requests_today == 4
    assert caplog.text == ""


async def test_a_new_key_that_others_use(service: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    """If other clients have a limiter for the key already, a warning says that the two do not share their limit."""
    async with (
        client_of(service, Keys(), rate_limit=RateLimit()) as client,
        AsyncExperimentClient(NEW, base_url=service.base_url) as other,
    ):
        await client.flags.list()
        service.replace_key(NEW)
        await client.flags.list()
        await other.flags.list()
        assert (client.usage.requests_today, other.usage.requests_today) == (3, 1)
    (message,) = caplog.messages
    assert message.startswith("other clients use the new key with a rate limit of their own")


async def test_the_beta_client(service: Emulator) -> None:
    """It takes a function too."""
    async with AsyncBetaClient(Keys().call, base_url=service.beta_base_url) as client:
        await client.deployments.list()
        service.replace_key(NEW)
        await client.deployments.list()
    assert statuses(service) == [200, 401, 200]


async def test_a_bulk_run(service: Emulator) -> None:
    """Its operations share one call of the function, and one after a change."""
    keys, ids = Keys(), [service.state.add_flag()["id"] for _ in range(8)]
    service.replace_key(NEW)
    async with client_of(service, keys, deadline=5.0) as client:
        outcomes = [outcome async for outcome in client.bulk(Edit("flags", id, {"name": "x"}) for id in ids)]
    assert [outcome.status for outcome in outcomes] == ["done"] * 8
    assert keys.calls == 2


async def test_a_function_that_returns_a_coroutine_too_late(service: Emulator) -> None:
    """It is closed, so that Python does not warn that nothing awaits it."""
    started, release, coroutines = threading.Event(), threading.Event(), list[Any]()

    def function() -> Awaitable[str]:
        started.set()
        assert release.wait(TIMEOUT)
        coroutines.append(Keys().call())
        return coroutines[0]

    client = AsyncExperimentClient(function, base_url=service.base_url)
    call = asyncio.ensure_future(client.flags.list())
    await eventually(started.is_set)
    await client.aclose()
    release.set()
    await eventually(lambda: coroutines and inspect.getcoroutinestate(coroutines[0]) == inspect.CORO_CLOSED)
    with pytest.raises(ClientClosedError):
        await call


def test_an_error_of_the_constructor() -> None:
    """It does not show the arguments of a `functools.partial`."""
    with pytest.raises(ConfigurationError) as caught:
        AsyncExperimentClient(functools.partial(str, OLD), region="mars")
    assert leaks(caught.value, OLD) == []


@pytest.mark.parametrize("key", ["server-abc", "client-abc"])
async def test_a_deployment_key_for_the_vendors_host(key: str) -> None:
    """It is rejected before anything is sent, as one that is passed as an argument is."""
    async with AsyncExperimentClient(lambda: key) as client:
        with pytest.raises(ConfigurationError, match="it is a deployment key"):
            await client.flags.list()


def test_the_message_of_a_failure() -> None:
    """It has the fact, the consequence and the advice, and each call gets an error of its own."""
    failure = KeyFailure("is wrong", "Correct it.", UnreadableError())
    first, second = failure.error("Nothing was sent."), failure.error("Nothing was written.")
    assert str(first) == "api_key is wrong. Nothing was sent. Correct it."
    assert str(second) == "api_key is wrong. Nothing was written. Correct it."
    assert first.__cause__ is second.__cause__ is failure.cause


async def test_a_connection_that_is_lost_is_no_reason_for_a_new_key(service: Emulator) -> None:
    """Only a 401 is."""
    keys = Keys()
    service.inject(Fault.close(), times=None)
    async with client_of(service, keys) as client:
        with pytest.raises(APIConnectionError):
            await client.flags.list()
    assert keys.calls == 1
