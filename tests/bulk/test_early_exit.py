"""Every way to leave a run early: no further operation starts, those in flight are recorded, and no task remains."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from amp_exp_async import AsyncBulkRun, AsyncExperimentClient, BulkError, ClientClosedError, Edit, RetryPolicy
from amp_exp_async.emulator import Emulator, Fault
from tests.bulk.emulator_snapshot import collect, finished_edits
from tests.polling import TIMEOUT

MAX_CONCURRENCY = 8


@pytest.fixture
async def client(emulator: Emulator) -> AsyncIterator[AsyncExperimentClient]:
    """A client with a concurrency of eight."""
    options: dict[str, Any] = {
        "rate_limit": None,
        "retry": RetryPolicy(backoff_base=0.0),
        "max_concurrency": MAX_CONCURRENCY,
    }
    async with AsyncExperimentClient(emulator.api_key, base_url=emulator.base_url, **options) as client:
        yield client


@pytest.fixture
def operations(emulator: Emulator) -> list[Edit]:
    """Slow edits of 200 flags."""
    emulator.inject(Fault.delay(0.02, applied=False), method="PATCH", times=None)
    ids = [emulator.state.add_flag()["id"] for _ in range(200)]
    return [Edit("flags", id, {"name": "done"}) for id in ids]


async def breaking(run: AsyncBulkRun) -> None:
    async for _ in run:
        break


async def raising(run: AsyncBulkRun) -> None:
    with pytest.raises(ZeroDivisionError):  # noqa: PT012 - raised in the loop
        async for _ in run:
            raise ZeroDivisionError


async def closing(run: AsyncBulkRun) -> None:
    reading: Any = aiter(run)
    await anext(reading)
    await reading.aclose()


async def first_outcome(run: AsyncBulkRun) -> None:
    """Wait until an operation is done, whether or not its outcome was read."""
    async with asyncio.timeout(TIMEOUT):
        while not run.summary.done:  # noqa: ASYNC110 - a run has no event for it
            await asyncio.sleep(0.001)


async def expire(run: AsyncBulkRun, scope: asyncio.Timeout) -> None:
    """Let a timeout expire once an operation is done."""
    await first_outcome(run)
    scope.reschedule(asyncio.get_running_loop().time())


async def cancelling(run: AsyncBulkRun) -> None:
    async def read() -> None:
        async for outcome in run:
            del outcome

    task = asyncio.create_task(read())
    await first_outcome(run)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def timing_out(run: AsyncBulkRun) -> None:
    with pytest.raises(TimeoutError):  # noqa: PT012 - the timeout expires in the block
        async with asyncio.timeout(None) as scope, asyncio.TaskGroup() as group:
            group.create_task(expire(run, scope))
            await run


HELD: list[Any] = []


async def timing_out_with_a_held_iterator(run: AsyncBulkRun) -> None:
    HELD[:] = [aiter(run)]
    with pytest.raises(TimeoutError):  # noqa: PT012 - the timeout expires in the loop
        async with asyncio.timeout(None) as scope, asyncio.TaskGroup() as group:
            group.create_task(expire(run, scope))
            while True:
                await anext(HELD[0])


async def leaving_the_block(run: AsyncBulkRun) -> None:
    async with run:
        await anext(aiter(run))


async def stopping(run: AsyncBulkRun) -> None:
    async for _ in run:
        run.stop()


async def dropping(run: AsyncBulkRun) -> None:
    reading = aiter(run)
    await anext(reading)
    del reading
    gc.collect()


Leaver = Callable[[AsyncBulkRun], Awaitable[None]]
LEAVERS: list[Leaver] = [
    breaking,
    raising,
    closing,
    cancelling,
    timing_out,
    timing_out_with_a_held_iterator,
    leaving_the_block,
    stopping,
    dropping,
]


def tasks() -> set[str]:
    """Return the names of all tasks but the emulator's, which may share the loop."""
    return {task.get_name() for task in asyncio.all_tasks() if "aiohttp/web" not in repr(task)}


def assert_idle(client: AsyncExperimentClient) -> None:
    session = client._transport.session
    assert session.concurrency.value == MAX_CONCURRENCY
    assert (len(session.locks), session.in_flight, session._tasks, session.on_close) == (
        0,
        set(),
        set(),
        set(),
    )


def written(path: Path) -> dict[str, list[str]]:
    """Return the states of each flag in the journal, in order."""
    states: dict[str, list[str]] = {}
    for line in path.read_text().splitlines()[1:]:
        entry = json.loads(line)
        states.setdefault(entry["target"].removeprefix("flags/"), []).append(entry["state"])
    return states


@pytest.mark.parametrize("source", ["list", "async generator"])
@pytest.mark.parametrize("leave", LEAVERS)
async def test_leaving_early(  # noqa: PLR0917 - fixtures
    client: AsyncExperimentClient,
    emulator: Emulator,
    operations: list[Edit],
    leave: Leaver,
    source: str,
    tmp_path: Path,
) -> None:
    """Started operations finish and are recorded; after `aclose` no task, permit or lock is left."""
    before, closed = tasks(), []

    async def generated() -> AsyncGenerator[Edit, None]:
        try:
            for operation in operations:
                yield operation
        finally:
            closed.append(True)

    source_operations = operations if source == "list" else generated()
    run = client.bulk(source_operations, journal=tmp_path / "journal")
    await leave(run)
    started = written(tmp_path / "journal").keys()
    await asyncio.sleep(0.05)
    assert written(tmp_path / "journal").keys() == started
    await run.aclose()
    await run.aclose()
    assert tasks() == before
    assert_idle(client)
    assert len(emulator.requests) == len(started) <= 3 * MAX_CONCURRENCY
    assert all(request.status == 200 for request in emulator.requests)
    assert started == finished_edits(emulator)
    assert run.summary.done == len(started)
    assert written(tmp_path / "journal") == {id: ["begun", "done"] for id in started}
    assert closed == ([] if source == "list" else [True])
    assert run.summary.not_started > 0
    with pytest.raises(BulkError):
        run.raise_for_failures()
    emulator.clear_faults()
    assert (await client.bulk(source_operations if source == "list" else operations, journal=tmp_path / "journal")).ok
    assert len(finished_edits(emulator)) == len(emulator.requests) == 200, "none is done twice"


async def test_unread_outcomes_can_be_read(
    client: AsyncExperimentClient, emulator: Emulator, operations: list[Edit]
) -> None:
    """After leaving, the unread outcomes can be read, each once."""
    run = client.bulk(operations)
    outcomes = [await anext(aiter(run))]
    outcomes += [outcome async for outcome in run]
    assert sorted(outcome.index for outcome in outcomes) == list(range(len(outcomes)))
    assert {o.operation.id for o in outcomes if o.status == "done"} == finished_edits(emulator)
    assert len(outcomes) < 200


async def test_closing_before_the_start(
    client: AsyncExperimentClient, emulator: Emulator, operations: list[Edit]
) -> None:
    """A run that was closed before it started sends nothing, even if it is read later."""
    run = client.bulk(operations)
    await run.aclose()
    assert await collect(run) == []
    assert emulator.requests == []


@pytest.mark.parametrize("reader", ["reads on", "has left"])
async def test_closing_the_client(
    client: AsyncExperimentClient, emulator: Emulator, operations: list[Edit], reader: str
) -> None:
    """Operations in flight finish first; a reader gets all outcomes, then the error."""
    run, outcomes = client.bulk(operations), list[Any]()

    async def read() -> None:
        async for outcome in run:
            outcomes.append(outcome)

    reading = asyncio.create_task(read())
    await first_outcome(run)
    if reader == "has left":
        reading.cancel()
    started = run.summary.done + MAX_CONCURRENCY - client._transport.session.concurrency.value
    await client.aclose()
    assert len(emulator.requests) == started == len(finished_edits(emulator)) == run.summary.done
    assert all(request.status == 200 for request in emulator.requests)
    if reader == "reads on":
        with pytest.raises(ClientClosedError):
            await reading
        assert {outcome.status for outcome in outcomes} == {"done", "skipped"}
        assert len(outcomes) == run.summary.done + run.summary.not_started
    assert client._transport.session._tasks == set()


async def test_a_closed_client(client: AsyncExperimentClient, emulator: Emulator, operations: list[Edit]) -> None:
    """A run of a closed client raises when it is read."""
    run = client.bulk(operations)
    await client.aclose()
    with pytest.raises(ClientClosedError):
        await run
    assert emulator.requests == []


def test_collection_after_its_loop(recwarn: pytest.WarningsRecorder) -> None:
    """An iterator that outlives its event loop is collected without a warning."""
    held: list[Any] = []
    with Emulator(per_second=None, per_day=None) as emulator:
        ids = [emulator.state.add_flag()["id"] for _ in range(300)]

        async def main() -> None:
            # An idle connection would outlive the loop too, and warn.
            session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True))
            client = AsyncExperimentClient(
                emulator.api_key, base_url=emulator.base_url, max_concurrency=4, session=session
            )
            reading = aiter(client.bulk([Edit("flags", id, {"name": "x"}) for id in ids]))
            await anext(reading)
            held.extend([reading, client, session])

        asyncio.run(main())
        held.pop().detach()
        held.clear()
        gc.collect()
    assert [str(warning.message) for warning in recwarn] == []


async def test_a_source_that_blocks(client: AsyncExperimentClient, operations: list[Edit]) -> None:
    """A source that blocks is cancelled and closed with the run."""
    closed = []

    async def generated() -> AsyncGenerator[Edit, None]:
        try:
            yield operations[0]
            await asyncio.sleep(3600)
        finally:
            closed.append(True)

    async with client.bulk(generated()) as run:
        assert (await anext(aiter(run))).ok
    assert closed == [True]
    assert_idle(client)
