"""Regression tests of bulk runs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any

import pytest

from amp_exp_async import (
    AmpExpError,
    AsyncExperimentClient,
    Edit,
    EditVariant,
    ExperimentClient,
    InvalidInputError,
    OutcomeUnknownError,
    RateLimit,
)
from amp_exp_async.bulk.journal import Journal
from amp_exp_async.emulator import Emulator, Fault
from tests.bulk.test_rerun import write_journal
from tests.polling import TIMEOUT


def flags(emulator: Emulator, count: int) -> list[str]:
    """Add flags with the keys f0, f1, … and a deployment, and return their IDs."""
    deployments = [emulator.state.add_deployment()["id"]]
    return [emulator.state.add_flag(key=f"f{n}", projectId="1", deployments=deployments)["id"] for n in range(count)]


async def test_leaving_skips_operations_that_wait_for_the_limit(emulator: Emulator) -> None:
    """Leaving skips operations that have sent nothing, and does not wait for their permits."""
    ids = flags(emulator, 100)
    limit = RateLimit(per_second=5)
    async with AsyncExperimentClient(emulator.api_key, base_url=emulator.base_url, rate_limit=limit) as client:
        run = client.bulk([Edit("flags", id, {"enabled": True}) for id in ids])
        async with asyncio.timeout(TIMEOUT):
            async for _ in run:
                break
            await run.aclose()
        assert run.summary.done == len(emulator.requests) <= 10
        assert run.summary.not_started == run.summary.skipped > 0


async def test_an_archived_flag_is_found_by_its_key(
    client: AsyncExperimentClient, emulator: Emulator, tmp_path: Path
) -> None:
    """A rerun finds the flags that the first run archived."""
    [id] = flags(emulator, 1)
    operations = [Edit("flags", key="f0", project_id="1", changes={"archive": archive}) for archive in (True, False)]
    write_journal(tmp_path / "journal", emulator, operations, "done", "begun")
    await client.flags.archive(id)
    outcomes = [outcome.status async for outcome in client.bulk(operations, journal=tmp_path / "journal")]
    assert outcomes == ["skipped", "done"]
    assert not emulator.state.flag(id)["deleted"]


async def test_a_done_operation_whose_flag_cannot_be_found(
    client: AsyncExperimentClient, emulator: Emulator, tmp_path: Path
) -> None:
    """It is not a success if an earlier operation, perhaps on this flag, is applied again."""
    [id] = flags(emulator, 1)
    operations = [
        Edit("flags", id, {"name": "first"}),
        Edit("flags", key="f0", project_id="1", changes={"name": "second"}),
        Edit("flags", key="other", project_id="1", changes={"name": "third"}),
    ]
    write_journal(tmp_path / "journal", emulator, operations, "failed", "done", "failed")
    emulator.inject(Fault.status(403), method="GET", path="/flags", times=None)
    outcomes = [outcome async for outcome in client.bulk(operations, journal=tmp_path / "journal")]
    assert {outcome.index: outcome.status for outcome in outcomes} == {0: "done", 1: "skipped", 2: "failed"}
    assert [outcome.ok for outcome in sorted(outcomes, key=lambda outcome: outcome.index)] == [True, False, False]


async def test_renames_in_a_circle(client: AsyncExperimentClient, emulator: Emulator, tmp_path: Path) -> None:
    """Variants renamed in a circle are not renamed again if the first rename is unknown: it would swap them back."""
    id = emulator.state.add_flag(key="f", variants=[{"key": "b", "name": "was a"}, {"key": "a", "name": "was b"}])["id"]
    renames = [EditVariant("flags", id, old, {"key": new}) for old, new in (("a", "tmp"), ("b", "a"), ("tmp", "b"))]
    write_journal(tmp_path / "journal", emulator, renames, "unknown", "done", "done")
    outcomes = [outcome async for outcome in client.bulk(renames, journal=tmp_path / "journal")]
    assert (outcomes[0].status, type(outcomes[0].error)) == ("unknown", OutcomeUnknownError)
    assert {variant["key"] for variant in emulator.state.flag(id)["variants"]} == {"a", "b"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
async def test_a_pipe_is_read_once(client: AsyncExperimentClient, emulator: Emulator, tmp_path: Path) -> None:
    """Operations from a pipe run without validation of the whole input."""
    [id] = flags(emulator, 1)
    line = f'{{"operation": "Edit", "kind": "flags", "id": "{id}", "changes": {{"name": "piped"}}}}\n'
    os.mkfifo(tmp_path / "pipe")
    writing = asyncio.create_task(asyncio.to_thread((tmp_path / "pipe").write_text, line))
    await asyncio.sleep(0.01)
    summary = await client.bulk(tmp_path / "pipe")
    await writing
    assert (summary.done, emulator.state.flag(id)["name"]) == (1, "piped")


async def test_keys_from_an_async_generator_share_a_list(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """Without look-ahead, the second key reads the list, which has the others."""
    flags(emulator, 50)

    async def generated() -> AsyncGenerator[Edit, None]:
        for number in range(50):
            yield Edit("flags", key=f"f{number}", project_id="1", changes={"enabled": True})

    assert (await client.bulk(generated())).done == 50
    assert sum(request.method == "GET" for request in emulator.requests) == 2


async def test_cancelled_tasks_end_the_run_with_an_error(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """If all tasks are cancelled, the run raises after it has yielded all counted outcomes."""
    ids = flags(emulator, 300)
    emulator.inject(Fault.delay(0.01), times=None)
    run, outcomes = client.bulk([Edit("flags", id, {"enabled": True}) for id in ids]), list[Any]()

    async def cancel() -> None:
        await asyncio.sleep(0.05)
        for task in list(run._pool._tasks):
            task.cancel()

    cancelling = asyncio.create_task(cancel())
    with pytest.raises(AmpExpError, match="was cancelled"):  # noqa: PT012 - collects the outcomes before it
        async for outcome in run:
            outcomes.append(outcome)
    await cancelling
    summary = run.summary
    assert len(outcomes) == summary.done + summary.failed + summary.unknown + summary.skipped


async def test_a_run_that_is_closed_by_its_own_source(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """A source that closes its own run does not wait for itself."""
    ids = flags(emulator, 10)

    async def generated() -> AsyncGenerator[Edit, None]:
        for id in ids:
            yield Edit("flags", id, {"enabled": True})
        await run.aclose()

    run = client.bulk(generated())
    async with asyncio.timeout(TIMEOUT):
        await run.wait()
    assert not run.summary.failed


async def test_an_iterator_dropped_in_another_thread(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """An iterator collected in another thread stops the run, which can be closed."""
    ids = flags(emulator, 1)

    async def generated() -> AsyncGenerator[Edit, None]:
        yield Edit("flags", ids[0], {"enabled": True})
        await asyncio.sleep(3600)

    run = client.bulk(generated())
    held = [aiter(run)]
    await anext(held[0])
    await asyncio.to_thread(held.clear)
    async with asyncio.timeout(TIMEOUT):
        await run.aclose()
    assert run.summary.done == 1


def test_a_generator_error_is_not_a_success(emulator_thread: Emulator) -> None:
    """After the error of a generator, the summary is incomplete and not a success."""
    ids = flags(emulator_thread, 5)

    def generated() -> Iterator[Edit]:
        yield from (Edit("flags", id, {"enabled": True}) for id in ids)
        raise LookupError("of the caller")

    with ExperimentClient(emulator_thread.api_key, base_url=emulator_thread.base_url) as client:
        run = client.bulk(generated())
        with pytest.raises(LookupError, match="of the caller"):
            run.wait()
        assert (run.summary.done, run.summary.complete, run.summary.ok) == (5, False, False)


async def test_operations_as_mappings_with_a_journal(
    client: AsyncExperimentClient, emulator: Emulator, tmp_path: Path
) -> None:
    """A list of mappings is compared with its journal like a list of operations."""
    [id] = flags(emulator, 1)
    mappings: list[Any] = [{"operation": "Edit", "kind": "flags", "id": id, "changes": {"name": "x"}}]
    for expected in ("done", "skipped"):
        [outcome] = [outcome async for outcome in client.bulk(mappings, journal=tmp_path / "journal")]
        assert outcome.status == expected


async def test_a_generator_shorter_than_its_journal(
    client: AsyncExperimentClient, emulator: Emulator, tmp_path: Path
) -> None:
    """A generator with fewer operations than its journal is rejected at its end."""
    operations = [Edit("flags", id, {"enabled": True}) for id in flags(emulator, 4)]
    assert (await client.bulk(operations, journal=tmp_path / "journal")).ok
    run = client.bulk(iter(operations[:2]), journal=tmp_path / "journal")
    with pytest.raises(InvalidInputError, match="another job"):
        await run
    assert not run.summary.ok


async def test_a_journal_that_cannot_be_written(
    client: AsyncExperimentClient, emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line that was written in part is removed and nothing follows it, so a rerun can continue."""
    operations = [Edit("flags", id, {"enabled": True}) for id in flags(emulator, 40)]
    writes, real = 0, os.write

    def full(file: int, data: bytes) -> int:
        nonlocal writes
        if b'"digest"' not in data:
            return real(file, data)
        writes += 1
        return real(file, data) if writes < 30 else real(file, data[: len(data) // 2])

    monkeypatch.setattr(os, "write", full)
    run = client.bulk(operations, journal=tmp_path / "journal")
    with pytest.raises(AmpExpError, match="the disk may be full"):
        await run
    assert not run.summary.ok
    monkeypatch.undo()
    assert (await client.bulk(operations, journal=tmp_path / "journal")).ok
    assert all(flag["enabled"] for flag in emulator.state.flags)


def test_no_write_after_a_failed_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failed write, the journal is not written again."""
    journal = Journal(tmp_path / "journal", "service")
    before = (tmp_path / "journal").read_bytes()

    def fail(*_: object) -> int:
        raise OSError("no space left")

    monkeypatch.setattr(os, "write", fail)
    for _ in range(2):
        with pytest.raises(AmpExpError, match="no space left"):
            journal.write_start(0, 1, Edit("flags", "1", {"enabled": True}), "flags/1")
        monkeypatch.undo()
    journal.close()
    assert (tmp_path / "journal").read_bytes() == before


@pytest.fixture
def emulator_thread() -> Iterator[Emulator]:
    """An emulator on its own thread, for the blocking client."""
    with Emulator(per_second=None, per_day=None) as emulator:
        yield emulator
