"""Closing a client while writes are in flight: they may finish for some seconds, and are then cancelled."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import pytest

from amp_exp_async import (
    AsyncBulkRun,
    AsyncExperimentClient,
    ClientClosedError,
    ConfigurationError,
    CreateVariant,
    Edit,
    Operation,
    OutcomeUnknownError,
    RemoveUsers,
)
from amp_exp_async.emulator import Emulator, Fault
from tests.clients import client_of
from tests.polling import TIMEOUT, eventually

HANG = Fault.delay(600.0)
Close = Callable[[AsyncExperimentClient], Awaitable[object]]
Write = Callable[[AsyncExperimentClient], Awaitable[Any]]

WRITES: dict[str, tuple[Write, type[Exception], str]] = {
    "edit": (lambda c: c.flags.edit("1", name="x"), ClientClosedError, "The change may have been applied"),
    "users.add": (lambda c: c.flags.users.add("1", "on", ["u"]), ClientClosedError, "may have been applied"),
    "remove": (lambda c: c.flags.variants.remove("1", "on"), ClientClosedError, "The removal may have been applied"),
    "create": (lambda c: c.flags.create(project_id="1", key="new"), OutcomeUnknownError, "may have been applied"),
    "remove_at": (lambda c: c.flags.users.remove_at("1", "on", 0), OutcomeUnknownError, "may have been applied"),
}


@pytest.fixture
def emulator(emulator: Emulator) -> Emulator:
    """An emulator with three flags."""
    for id in ("1", "2", "3"):
        emulator.state.add_flag(id=id, key=f"flag-{id}", variants=[{"key": "on"}])
        emulator.state.add_users("flags", id, "on", [f"u{number}" for number in range(150)])
    return emulator


async def in_flight(emulator: Emulator, work: Awaitable[Any], requests: int = 1) -> asyncio.Future[Any]:
    """Start the work, and wait until the emulator has received its requests."""
    task = asyncio.ensure_future(work)
    await eventually(lambda: len(emulator.requests) >= requests)
    return task


async def closing(client: AsyncExperimentClient, **options: Any) -> asyncio.Task[None]:
    """Start to close a client."""
    task = asyncio.ensure_future(client.aclose(**options))
    await asyncio.sleep(0.01)
    return task


def assert_closed(client: AsyncExperimentClient) -> None:
    """Assert that nothing is left in flight."""
    session = client._transport.session
    assert session.closed
    assert (session.in_flight, session._tasks, session.on_close, session._session) == (set(), set(), set(), None)
    assert (len(session.writes), len(session.locks), len(session.edit_locks)) == (0, 0, 0)


def statuses(journal: Path) -> dict[int, str]:
    """Return the last status of each operation in a journal."""
    return {entry["index"]: entry["state"] for entry in map(json.loads, journal.read_text().splitlines()[1:])}


@pytest.mark.parametrize("name", WRITES)
async def test_a_write_in_flight_may_finish(emulator: Emulator, name: str) -> None:
    """Closing waits for a write that was sent, which then returns as usual."""
    client = client_of(emulator)
    emulator.inject(Fault.delay(0.2))
    call = await in_flight(emulator, WRITES[name][0](client))
    await client.aclose()
    assert call.done()
    assert call.exception() is None
    assert_closed(client)


@pytest.mark.parametrize("way", ["option", "argument", "argument wins"])
@pytest.mark.parametrize("name", WRITES)
async def test_a_write_that_hangs_is_cancelled(emulator: Emulator, name: str, way: str) -> None:
    """After the shutdown timeout the call raises. The error says that the write may have been applied."""
    options: dict[str, Any] = {"option": {"shutdown_timeout": 0.05}, "argument wins": {"shutdown_timeout": None}}
    client = client_of(emulator, **options.get(way, {}))
    emulator.inject(HANG)
    write, error, words = WRITES[name]
    call = await in_flight(emulator, write(client))
    async with asyncio.timeout(TIMEOUT):
        await client.aclose(**({} if way == "option" else {"shutdown_timeout": 0.05}))
        with pytest.raises(error, match=words):
            await call
    assert_closed(client)


async def test_reads_and_unsent_writes_end_at_once(emulator: Emulator) -> None:
    """Only writes that were sent are waited for, also if the wait has no bound."""
    emulator.inject(HANG, times=None)
    client = client_of(emulator, shutdown_timeout=None, max_concurrency=1)
    reading = await in_flight(emulator, client.flags.get("1"))
    unsent = asyncio.ensure_future(client.flags.edit("1", name="x"))
    await asyncio.sleep(0.01)
    async with asyncio.timeout(TIMEOUT):
        await client.aclose()
    for call in (reading, unsent):
        with pytest.raises(ClientClosedError) as caught:
            await call
        assert "may have been applied" not in str(caught.value)
    assert len(emulator.requests) == 1
    assert_closed(client)


async def test_a_lost_creation_is_reconciled_while_the_client_is_closed(emulator: Emulator) -> None:
    """A creation whose response was lost is still read back, and returns the new flag."""
    client = client_of(emulator)
    emulator.inject(Fault.close(applied=True), method="POST")
    emulator.inject(Fault.delay(0.2), method="GET")
    call = await in_flight(emulator, client.flags.create(project_id="1", key="new"), 2)
    await client.aclose()
    created = await call
    assert emulator.state.flag(created.id)["key"] == "new"
    assert_closed(client)


async def test_a_lost_edit_is_repeated_while_the_client_is_closed(emulator: Emulator) -> None:
    """An edit whose response was lost is sent again, because the first attempt may have been applied."""
    client = client_of(emulator)
    emulator.inject(Fault.close(applied=False))
    emulator.inject(Fault.delay(0.2))
    call = await in_flight(emulator, client.flags.edit("1", name="x"))
    await client.aclose()
    await call
    assert emulator.state.flag("1")["name"] == "x"


async def test_a_refused_write_ends_at_once(emulator: Emulator) -> None:
    """A write that was answered 429 was not applied, so it is not sent again while the client is closed."""
    client = client_of(emulator, shutdown_timeout=None)
    emulator.inject(Fault.status(429, retry_after=30))
    call = await in_flight(emulator, client.flags.edit("1", name="x"))
    await eventually(lambda: client.usage.rate_limited)
    async with asyncio.timeout(TIMEOUT):
        await client.aclose()
    with pytest.raises(ClientClosedError) as caught:
        await call
    assert "may have been applied" not in str(caught.value)


async def test_no_new_calls_while_the_client_is_closed(emulator: Emulator) -> None:
    """Calls and runs that start while a write may finish raise `ClientClosedError`."""
    client = client_of(emulator)
    emulator.inject(HANG)
    call = await in_flight(emulator, client.flags.edit("1", name="x"))
    close = await closing(client, shutdown_timeout=None)
    calls: list[Write] = [
        lambda c: c.flags.get("2"),
        lambda c: c.flags.edit("2", name="x"),
        lambda c: c.bulk([Edit("flags", "2", {"name": "x"})]).wait(),
    ]
    for new in calls:
        with pytest.raises(ClientClosedError, match="Create a new one"):
            await new(client)
    assert not close.done()
    await client.aclose(shutdown_timeout=0)
    await close
    assert len(emulator.requests) == 1
    with pytest.raises(ClientClosedError):
        await call


OPERATIONS: dict[str, Operation] = {
    "edit": Edit("flags", "1", {"name": "x"}),
    "creation": CreateVariant("flags", "1", "new"),
    "removal": RemoveUsers("flags", "1", "on", [f"u{number}" for number in range(150)]),
}


@pytest.mark.parametrize("way", ["aclose", "async with", "run.aclose", "cancelled", "anyio"])
@pytest.mark.parametrize("name", OPERATIONS)
async def test_operations_that_hang_are_unknown(emulator: Emulator, tmp_path: Path, name: str, way: str) -> None:
    """Operations of a run that are cancelled are `unknown`, in the journal, the summary and the outcomes."""
    client = client_of(emulator, **({"shutdown_timeout": 0.05} if way == "async with" else {}))
    emulator.inject(HANG, method=("DELETE" if name == "removal" else "PATCH" if name == "edit" else "POST"))
    run = client.bulk([OPERATIONS[name], Edit("flags", "1", {"name": "later"})], journal=tmp_path / "journal")
    reading = await in_flight(emulator, run.wait(), 2 if name == "removal" else 1)
    reading.cancel()
    ways: dict[str, Callable[[], Awaitable[object]]] = {
        "aclose": lambda: client.aclose(shutdown_timeout=0.05),
        "async with": lambda: client.__aexit__(None, None, None),
        "run.aclose": lambda: run.aclose(shutdown_timeout=0.05),
        "cancelled": lambda: cancelled(client),
        "anyio": lambda: in_anyio_scope(client),
    }
    async with asyncio.timeout(TIMEOUT):
        await ways[way]()
    assert (run.summary.unknown, run.summary.failed, run.summary.not_started) == (1, 0, 1)
    assert statuses(tmp_path / "journal") == {0: "unknown"}
    assert {outcome.index: outcome.status for outcome in await unread(run)} == {0: "unknown", 1: "skipped"}
    await client.aclose()
    assert_closed(client)


async def cancelled(client: AsyncExperimentClient) -> None:
    """Cancel a close that would wait without end."""
    close = await closing(client, shutdown_timeout=None)
    close.cancel()
    with pytest.raises(asyncio.CancelledError):
        await close


async def in_anyio_scope(client: AsyncExperimentClient) -> None:
    """Close in a scope of anyio, which cancels every further wait too."""
    with anyio.move_on_after(0.05):
        await client.aclose(shutdown_timeout=None)


async def unread(run: AsyncBulkRun) -> list[Any]:
    """Return the outcomes of a run that were not read yet."""
    outcomes: list[Any] = []
    with suppress(ClientClosedError):
        async for outcome in run:
            outcomes.append(outcome)  # noqa: PERF401 - kept if an error follows
    return outcomes


async def test_an_operation_that_is_cancelled_between_two_writes(emulator: Emulator, tmp_path: Path) -> None:
    """An operation that was applied in part is `failed`, and lists what it changed."""
    client = client_of(emulator)
    emulator.inject(Fault.status(429, retry_after=30), method="DELETE", nth=2)
    run = client.bulk([OPERATIONS["removal"]], journal=tmp_path / "journal")
    reading = await in_flight(emulator, run.wait(), 3)
    await eventually(lambda: client.usage.rate_limited)
    await client.aclose(shutdown_timeout=0.05)
    with pytest.raises(ClientClosedError):
        await reading
    assert (run.summary.failed, run.summary.changed) == (1, 100)
    assert statuses(tmp_path / "journal") == {0: "failed"}


async def test_an_operation_that_hangs_while_it_reads(emulator: Emulator, tmp_path: Path) -> None:
    """An operation that has written nothing is not started, for the journal and the summary."""
    client = client_of(emulator)
    emulator.inject(HANG, method="GET")
    run = client.bulk([OPERATIONS["removal"]], journal=tmp_path / "journal")
    await in_flight(emulator, run.wait())
    await client.aclose(shutdown_timeout=0.05)
    assert (run.summary.unknown, run.summary.failed, run.summary.not_started) == (0, 0, 1)
    emulator.clear_faults()
    async with client_of(emulator) as client:
        assert (await client.bulk([OPERATIONS["removal"]], journal=tmp_path / "journal")).changed == 150


async def test_operations_in_flight_may_finish(emulator: Emulator, tmp_path: Path) -> None:
    """Operations of a run that finish in time are done, also those of several requests."""
    client = client_of(emulator)
    emulator.inject(Fault.delay(0.05), times=None)
    run = client.bulk([OPERATIONS["removal"], Edit("flags", "1", {"name": "x"})], journal=tmp_path / "journal")
    await in_flight(emulator, run.wait(), 2)
    await client.aclose()
    assert (run.summary.done, run.summary.changed, run.summary.not_started) == (1, 150, 1)
    assert statuses(tmp_path / "journal") == {0: "done"}
    assert_closed(client)


async def test_several_runs_share_the_timeout(emulator: Emulator, tmp_path: Path) -> None:
    """All runs of a client are stopped first, so the second starts nothing while the first may finish."""
    client = client_of(emulator, max_concurrency=2)
    emulator.inject(HANG, times=None)
    runs = [
        client.bulk([Edit("flags", id, {"name": name}) for name in "xyz"], journal=tmp_path / id) for id in ("1", "2")
    ]
    for number, run in enumerate(runs, 1):
        await in_flight(emulator, run.wait(), number)
    await client.aclose(shutdown_timeout=0.05)
    assert [(run.summary.unknown, run.summary.not_started) for run in runs] == [(1, 2)] * 2
    assert len(emulator.requests) == 2
    assert_closed(client)


@pytest.mark.parametrize("resists", [False, True])
async def test_closing_from_the_source_of_a_run(emulator: Emulator, resists: bool) -> None:
    """A source can close the client that runs it, and one that ignores a cancellation is cancelled again."""
    client = client_of(emulator, shutdown_timeout=0.05)

    async def source() -> AsyncGenerator[Edit, None]:
        yield Edit("flags", "1", {"name": "x"})
        await eventually(lambda: emulator.requests)
        if not resists:
            await client.aclose()
            return
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(3600)

    run = client.bulk(source())
    reading = await in_flight(emulator, run.wait())
    async with asyncio.timeout(TIMEOUT):
        await client.aclose()
        with pytest.raises(ClientClosedError):
            await reading
    assert run.summary.done == 1
    assert_closed(client)


@pytest.mark.parametrize("closes", ["client", "run"])
async def test_a_source_that_ignores_every_cancellation(
    emulator: Emulator, closes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run ends without it."""
    for module in ("http.session", "bulk.worker_pool"):
        monkeypatch.setattr(f"amp_exp_async.{module}._CANCEL_SECONDS", 0.05)
    ends, ended = asyncio.Event(), asyncio.Event()

    async def source() -> AsyncGenerator[Edit, None]:
        yield Edit("flags", "1", {"name": "x"})
        while not ends.is_set():
            with suppress(asyncio.CancelledError):
                await ends.wait()
        ended.set()

    client = client_of(emulator, shutdown_timeout=0.05)
    run = client.bulk(source())
    reading = await in_flight(emulator, run.wait())
    async with asyncio.timeout(TIMEOUT):
        if closes == "run":
            await run.aclose()
            assert (await reading).done == 1
        await client.aclose()
        if closes == "client":
            with pytest.raises(ClientClosedError):
                await reading
        ends.set()
        await ended.wait()
    assert (run.summary.done, run.summary.not_started) == (1, 0)


@pytest.mark.parametrize("value", [-1, "5", True, float("inf"), float("nan")])
async def test_invalid_values(emulator: Emulator, value: Any) -> None:
    """Anything but None or a finite number of at least 0 is rejected by name, and closes nothing."""
    with pytest.raises(ConfigurationError, match="shutdown_timeout must be a number of seconds of at least 0"):
        client_of(emulator, shutdown_timeout=value)
    async with client_of(emulator) as client:
        run = client.bulk([])
        await run
        for close in (client.aclose, client.with_options(timeout=1).aclose, run.aclose):
            with pytest.raises(ConfigurationError, match="shutdown_timeout must be"):
                await close(shutdown_timeout=value)
        assert (await client.flags.get("1")).id == "1"


def test_the_option_can_be_read(emulator: Emulator) -> None:
    """The client and its copies show it."""
    assert client_of(emulator).shutdown_timeout == 5.0
    client = client_of(emulator, shutdown_timeout=None)
    assert client.shutdown_timeout is client.with_options(timeout=1).shutdown_timeout is None
