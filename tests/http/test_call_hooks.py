"""The hooks at the start and the end of each call, and the observer of calls, attempts and waits."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import attrs
import pytest

from amp_exp_async import (
    APITimeoutError,
    AsyncExperimentClient,
    Attempt,
    CallEnd,
    CallStart,
    ClientClosedError,
    ConfigurationError,
    Edit,
    ExperimentClient,
    NotFoundError,
    OutcomeUnknownError,
    RateLimit,
    RetryPolicy,
    ServerError,
)
from amp_exp_async.emulator import Emulator, Fault
from amp_exp_async.http import WaitReason
from tests.virtual_time import Answer, ScriptedSession, outcome, run

pytestmark = pytest.mark.usefixtures("path_in_turn")

KEY = "hooks-management-key"
FLAG = b'{"id": "1", "key": "a"}'

Event = CallStart | Attempt | CallEnd


@pytest.fixture
def emulator(emulator: Emulator) -> Emulator:
    """Add two flags."""
    emulator.state.add_flag(id="1")
    emulator.state.add_flag(id="2")
    return emulator


def scripted(*answers: Answer, **options: Any) -> AsyncExperimentClient:
    return AsyncExperimentClient(
        KEY, base_url="https://service.example", session=ScriptedSession([*answers]), **{"rate_limit": None} | options
    )


def recorder(events: list[Event]) -> dict[str, Callable[[Any], object]]:
    """Return the hooks that record all events, of which one is async."""

    async def on_call_end(end: CallEnd) -> None:
        await asyncio.sleep(0)
        events.append(end)

    return {"on_call_start": events.append, "on_attempt": events.append, "on_call_end": on_call_end}


async def test_order_and_fields(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """The start comes before the first attempt, the end after the last one, with what the call was."""
    events: list[Event] = []
    emulator.inject(Fault.status(503))
    observed = client.with_options(**recorder(events))
    await observed.flags.edit("1", name="new")
    start, failed, succeeded, end = events
    assert start == CallStart(method="PATCH", path="/flags/1")
    assert isinstance(failed, Attempt)
    assert isinstance(succeeded, Attempt)
    assert (failed.status, succeeded.status) == (503, 200)
    assert isinstance(end, CallEnd)
    assert (end.method, end.path, end.status, end.attempts, end.error) == ("PATCH", "/flags/1", 200, 2, None)
    assert end.seconds >= failed.seconds + succeeded.seconds + end.seconds_waited
    assert [*end.waits] == ["retry"]
    events.clear()
    assert len(await observed.flags.list(limit=1)) == 2
    assert [type(event) for event in events] == [CallStart, Attempt, CallEnd] * 2
    events.clear()
    await observed.with_options(on_call_start=None, on_attempt=None, on_call_end=None).flags.get("1")
    await client.flags.get("1")
    assert events == []


async def test_every_outcome(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """The end is reported if a call fails, ends as unknown, times out, is cancelled, abandoned or closed."""
    events: list[Event] = []
    observed = client.with_options(**recorder(events), retry=RetryPolicy(max_attempts=1, backoff_base=0))

    async def check(call: Awaitable[object], error: type[BaseException], attempts: int, status: int | None) -> None:
        events.clear()
        with pytest.raises(error) as caught:
            await call
        assert isinstance(events[0], CallStart)
        ends = [event for event in events if isinstance(event, CallEnd)]
        assert len(ends) == sum(isinstance(event, CallStart) for event in events)
        assert isinstance(events[-1], CallEnd)
        assert (events[-1].attempts, events[-1].status) == (attempts, status)
        assert isinstance(events[-1].error, error)
        if not issubclass(error, asyncio.CancelledError):
            assert events[-1].error is caught.value

    await check(observed.flags.get("9"), NotFoundError, 1, 400)
    emulator.inject(Fault.status(503))
    await check(observed.flags.edit("1", name="new"), ServerError, 1, 503)
    emulator.inject(Fault.close(), method="POST")
    await check(observed.flags.variants.create("1", key="a"), OutcomeUnknownError, 1, None)
    emulator.inject(Fault.delay(30.0), times=3)
    await check(observed.with_options(timeout=0.05).flags.get("1"), APITimeoutError, 1, None)
    call = asyncio.ensure_future(observed.flags.edit("1", name="newer"))
    asyncio.get_running_loop().call_later(0.05, call.cancel)
    await check(call, asyncio.CancelledError, 1, None)

    async def read_and_close() -> None:
        read = asyncio.ensure_future(observed.flags.get("1"))
        await asyncio.sleep(0.05)
        await client.aclose()
        await read

    await check(read_and_close(), ClientClosedError, 1, None)


async def test_an_abandoned_call(emulator: Emulator) -> None:
    """A call of a bulk run that is left while the call waits to be sent has a start and an end too."""
    events: list[Event] = []
    operations = [Edit("flags", id, {"name": "new"}) for id in ("1", "2")]
    limit = RateLimit(per_second=1)
    async with (
        AsyncExperimentClient(
            emulator.api_key, base_url=emulator.base_url, rate_limit=limit, **recorder(events)
        ) as client,
        client.bulk(operations) as bulk_run,
    ):
        async for _ in bulk_run:
            break
    ends = {event.path: event for event in events if isinstance(event, CallEnd)}
    assert {event.path for event in events if isinstance(event, CallStart)} == {"/flags/1", "/flags/2"} == {*ends}
    (abandoned,) = [end for end in ends.values() if end.error is not None]
    assert (abandoned.attempts, [*abandoned.waits]) == (0, ["rate limit"])


def raise_error(_: object) -> None:
    raise ZeroDivisionError


class StrangeError(BaseException):
    """An error that is not an `Exception`, as those of pytest."""


def raise_strange_error(_: object) -> None:
    raise StrangeError


def raise_generator_exit(_: object) -> None:
    raise GeneratorExit


async def raise_strange_error_later(_: object) -> None:
    await asyncio.sleep(0)
    raise StrangeError


def raise_cancelled(_: object) -> None:
    raise asyncio.CancelledError


async def raise_later(_: object) -> None:
    await asyncio.sleep(0)
    raise ZeroDivisionError


async def await_cancelled(_: object) -> None:
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    await future


@pytest.mark.parametrize("name", ["on_call_start", "on_call_end"])
@pytest.mark.parametrize(
    "hook",
    [
        *(raise_error, raise_strange_error, raise_generator_exit, raise_cancelled),
        *(raise_later, raise_strange_error_later, await_cancelled, functools.partial(raise_later)),
    ],
)
def test_an_exception_of_a_hook(name: str, hook: Callable[[Any], object], caplog: pytest.LogCaptureFixture) -> None:
    """It is logged with its traceback, without the key, and changes neither a result nor an error."""

    async def scenario() -> None:
        async with scripted(Answer(body=FLAG), Answer(404), **{name: hook}) as client:
            assert (await client.flags.get("1")).key == "a"
            with pytest.raises(NotFoundError):
                await client.flags.get("1")

    run(scenario())
    assert [record.exc_info is not None for record in caplog.records] == [True, True]
    assert name in caplog.text
    assert KEY not in caplog.text


@pytest.mark.parametrize("hook", [raise_strange_error, raise_generator_exit, raise_cancelled])
async def test_an_exception_of_the_hook_of_attempts(
    client: AsyncExperimentClient, hook: Callable[[Any], object], caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged too, and a write that was done returns its result."""
    created = await client.with_options(on_attempt=hook).flags.create(project_id="1", key="new")
    assert (await client.flags.get(created.id)).key == "new"
    assert "on_attempt raised" in caplog.text


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("name", ["on_call_start", "on_call_end"])
def test_the_end_of_the_program_in_a_hook(name: str, is_async: bool, error: type[BaseException]) -> None:
    """It is raised."""

    def end_program(_: object) -> None:
        raise error

    async def end_program_later(_: object) -> None:
        raise error

    hook = end_program_later if is_async else end_program
    client = scripted(Answer(body=FLAG), **{name: hook})
    with pytest.raises(error):
        asyncio.run(outcome(client.flags.get("1")))


async def hang(_: object) -> None:
    await asyncio.get_running_loop().create_future()


@pytest.mark.parametrize(
    ("name", "deadline", "seconds", "is_sent"),
    [
        ("on_call_start", None, 5.0, True),
        ("on_call_start", 2.0, 2.0, False),
        ("on_call_end", 2.0, 5.0, True),
    ],
)
def test_a_hook_that_hangs(
    name: str, deadline: float | None, seconds: float, is_sent: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """It is cancelled after five seconds, and one at the start when the deadline passes; that is logged."""
    client = scripted(Answer(body=FLAG), deadline=deadline, **{name: hang})
    result, elapsed = run(outcome(client.flags.get("1")))
    assert elapsed == seconds
    assert isinstance(result, APITimeoutError) is not is_sent
    if not is_sent:
        assert str(result) == (
            "GET /flags/1 was not sent: the deadline of 2.0 s passed while it waited for on_call_start. "
            "Raise deadline, or let on_call_start return sooner."
        )
    assert f"{name} was cancelled, because it took longer than {seconds:.3g} s" in caplog.text


@pytest.mark.parametrize("name", ["on_call_start", "on_call_end"])
@pytest.mark.parametrize("write", [False, True])
def test_a_cancellation_during_a_hook(name: str, write: bool) -> None:
    """The cancellation of a call cancels its hook, holds no lock, and the call has an end."""
    ends: list[CallEnd] = []

    async def scenario() -> None:
        async with scripted(Answer(body=b"OK" if write else FLAG)) as client:
            observed = client.with_options(**{"on_call_end": ends.append, name: hang})
            call = observed.flags.edit("1", name="new") if write else observed.flags.get("1")
            task = asyncio.ensure_future(call)
            await asyncio.sleep(1.0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await client.flags.edit("1", name="other")

    run(scenario())
    if name == "on_call_start":
        assert [type(end.error) for end in ends] == [asyncio.CancelledError]


def test_a_cancelled_scope_of_anyio() -> None:
    """A hook at the end of a call that such a scope cancels may wait."""
    ends: list[object] = []

    async def on_call_end(end: CallEnd) -> None:
        await asyncio.sleep(2.0)
        ends.append(type(end.error))

    async def scenario() -> float:
        async with scripted(Answer(seconds=9.0), on_call_end=on_call_end) as client:
            with anyio.move_on_after(1.0) as scope:
                await client.flags.edit("1", name="new")
            assert scope.cancelled_caught
            return asyncio.get_running_loop().time()

    assert run(scenario()) == 3.0
    assert ends == [asyncio.CancelledError]


def test_waits() -> None:
    """The end has the seconds of each wait: for the lock, for other requests, for the rate limit, and to retry."""
    ends: list[CallEnd] = []

    async def waits(*calls: Callable[[AsyncExperimentClient], Awaitable[object]], **options: Any) -> list[Any]:
        ends.clear()
        session = options.pop("answers", [Answer(body=b"OK", seconds=2.0)])
        async with scripted(*session, on_call_end=ends.append, **options) as client:
            await asyncio.gather(*(call(client) for call in calls))
        return [{**end.waits} for end in ends]

    def edit(client: AsyncExperimentClient) -> Awaitable[object]:
        return client.flags.edit("1", name="new")

    def other_edit(client: AsyncExperimentClient) -> Awaitable[object]:
        return client.flags.edit("2", name="new")

    async def scenario() -> None:
        assert await waits(edit, edit) == [{}, {"lock": 2.0}]
        assert (ends[1].seconds, ends[1].seconds_waited) == (4.0, 2.0)
        assert await waits(edit, other_edit, max_concurrency=1) == [{}, {"concurrency limit": 2.0}]
        answers = [Answer(503, headers={"Retry-After": "3"}), Answer(body=b"OK")]
        assert await waits(edit, answers=answers, retry=RetryPolicy(backoff_base=0)) == [{"retry": 3.0}]
        first, second = await waits(edit, other_edit, rate_limit=RateLimit(per_second=1))
        assert first == {}
        assert [*second] == ["rate limit"]
        assert 1.0 <= second["rate limit"] <= 4.0

    run(scenario())


def test_the_observer() -> None:
    """An observer of calls sees the same: the start, attempts, waits and the end. If it raises, nothing changes."""
    seen: list[Any] = []

    class Recorder:
        def start_call(self, start: CallStart) -> Recorder:
            seen.append(start)
            return self

        def on_wait(self, reason: WaitReason, seconds: float) -> None:
            seen.append((reason, seconds))

        def on_attempt_start(self, number: int) -> None:
            seen.append(number)

        def on_attempt_end(self, attempt: Attempt) -> None:
            seen.append(attempt.status)

        def observe_reads(self) -> Recorder:
            return self

        def on_end(self, end: CallEnd) -> None:
            seen.append(end)
            raise ZeroDivisionError

    client = scripted(Answer(503, headers={"Retry-After": "3"}), Answer(body=FLAG), retry=RetryPolicy(backoff_base=0))
    observed = client._copy(attrs.evolve(client._transport.options, observer=Recorder()))
    result, _ = run(outcome(observed.flags.get("1")))
    assert not isinstance(result, Exception)
    assert seen[:-1] == [CallStart(method="GET", path="/flags/1"), 1, 503, ("retry", 3.0), 2, 200]
    assert isinstance(seen[-1], CallEnd)


def test_the_blocking_client() -> None:
    """Hooks, also async ones, run in the thread of the client, with the context of the caller."""
    events: list[Event] = []
    threads: set[threading.Thread] = set()

    def on_call_start(start: CallStart) -> None:
        threads.add(threading.current_thread())
        events.append(start)

    async def on_call_end(end: CallEnd) -> None:
        threads.add(threading.current_thread())
        events.append(end)

    with Emulator() as emulator, ExperimentClient(emulator.api_key, base_url=emulator.base_url) as client:
        emulator.state.add_flag(id="1")
        observed = client.with_options(on_call_start=on_call_start, on_call_end=on_call_end)
        assert observed.flags.get("1").id == "1"
    assert [type(event) for event in events] == [CallStart, CallEnd]
    assert len(threads) == 1
    assert threading.current_thread() not in threads


@pytest.mark.parametrize("name", ["on_call_start", "on_call_end"])
def test_what_is_not_a_function(name: str) -> None:
    """A hook that cannot be called is rejected by name."""
    with pytest.raises(ConfigurationError, match=f"{name} must be a function"):
        scripted(**{name: "print"})
