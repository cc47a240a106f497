"""`client.deadline(seconds)`: the calls of a block end by the same time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from amp_exp_async import (
    AddUsers,
    APITimeoutError,
    AsyncBulkRun,
    AsyncExperimentClient,
    Edit,
    ExperimentClient,
    InvalidInputError,
    Outcome,
)
from amp_exp_async.emulator import Emulator, Fault
from tests.clients import client_of

pytestmark = pytest.mark.usefixtures("path_in_turn")

PASSED = r"(?i)the deadline of 0\.3 s of the block (passed|left no time)"


async def collect(run: AsyncBulkRun, outcomes: list[Outcome]) -> None:
    """Add the outcomes of a run to a list, also those before an error."""
    async for outcome in run:
        outcomes.append(outcome)  # noqa: PERF401 - a comprehension would lose them


async def test_calls_in_a_block(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """Calls, guarded edits and calls of tasks and copies end by the end of the block; later calls do not."""
    id = emulator.state.add_flag()["id"]
    emulator.inject(Fault.delay(60), method="GET", times=None)
    loop = asyncio.get_running_loop()
    started = loop.time()
    async with client.deadline(0.3):
        results = await asyncio.gather(
            client.flags.get(id),
            client.with_options(timeout=50, deadline=None).flags.get(id),
            asyncio.ensure_future(client.flags.tags.add(id, ["checkout"])),
            client.flags.tags.add(id, ["checkout"]),
            return_exceptions=True,
        )
        assert [type(error) for error in results] == [APITimeoutError] * 4
        with pytest.raises(APITimeoutError, match=PASSED):
            await client.flags.get(id)
    assert loop.time() - started < 30
    emulator.clear_faults()
    assert (await client.flags.get(id)).id == str(id)


async def test_blocks_that_end_in_another_order(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """A block of a generator that ends first takes no other block with it."""
    id = emulator.state.add_flag()["id"]

    async def generate() -> AsyncGenerator[None, None]:
        async with client.deadline(60):
            yield

    generator = generate()
    await anext(generator)
    with client.capture_responses() as responses:
        async with client.deadline(0.3):
            await client.flags.get(id)
            await generator.aclose()
            await client.flags.get(id)
            await asyncio.sleep(0.3)
            with pytest.raises(APITimeoutError, match=PASSED):
                await client.flags.get(id)
        await client.flags.get(id)
    assert len(responses) == 3


@pytest.mark.parametrize("hook", [None, "on_call_start", "on_call_end"])
async def test_a_call_after_the_end_of_the_time(
    client: AsyncExperimentClient, emulator: Emulator, hook: str | None
) -> None:
    """The error does not blame a hook that had no part in it."""
    hooks: dict[str, Any] = {} if hook is None else {hook: lambda _: None}
    copy = client.with_options(**hooks)
    async with client.deadline(0.01):
        await asyncio.sleep(0.02)
        with pytest.raises(APITimeoutError) as caught:
            await copy.flags.get(emulator.state.add_flag()["id"])
    assert "on_call_start" not in str(caught.value)


async def test_a_retry(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """A wait that the service asks for is not started if the block ends before it."""
    id = emulator.state.add_flag()["id"]
    emulator.inject(Fault.status(503, retry_after=20))
    async with client.deadline(0.3):
        with pytest.raises(Exception, match=PASSED):
            await client.flags.get(id)


async def test_nested_blocks_and_other_clients(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """The block that ends first counts, and only for calls of its own client."""
    id = emulator.state.add_flag()["id"]
    other = AsyncExperimentClient(emulator.api_key, base_url=emulator.base_url)
    async with other, client.deadline(0.3), client.deadline(60):
        await asyncio.sleep(0.35)
        with pytest.raises(APITimeoutError, match=PASSED):
            await client.flags.get(id)
        assert (await other.flags.get(id)).id == str(id)


async def test_bulk_runs(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """A bulk run in the block ends with it: it starts no further operation, also of a source without end."""
    id = emulator.state.add_flag(variants=[{"key": "on"}])["id"]
    run = client.bulk(AddUsers("flags", id, "on", [f"user-{number}"]) for number in count())
    outcomes: list[Outcome] = []
    async with client.deadline(0.3):
        with pytest.raises(APITimeoutError, match=PASSED):
            await collect(run, outcomes)
    statuses = Counter(outcome.status for outcome in outcomes)
    assert statuses["done"] == run.summary.done > 0
    assert statuses["failed"] + statuses["unknown"] <= client._transport.session.max_concurrency
    assert not run.summary.complete


@pytest.mark.parametrize("cls", [AsyncExperimentClient, ExperimentClient])
async def test_the_outcomes_of_a_bulk_run(emulator: Emulator, tmp_path: Path, cls: Any) -> None:
    """Each operation that was read has one outcome, also those that were not started; a rerun does the rest."""
    ids = [emulator.state.add_flag()["id"] for _ in range(40)]
    operations = [Edit("flags", id, {"tags": ["b"]}) for id in ids]
    emulator.inject(Fault.delay(60), method="PATCH", nth=5)

    def interrupt(client: ExperimentClient) -> list[Outcome]:
        outcomes: list[Outcome] = []
        with client, client.deadline(0.3), pytest.raises(APITimeoutError, match=PASSED):
            outcomes.extend(client.bulk(operations, journal=tmp_path / "journal"))
        return outcomes

    client = cls(emulator.api_key, base_url=emulator.base_url, max_concurrency=1, rate_limit=None)
    if isinstance(client, ExperimentClient):
        outcomes = await asyncio.to_thread(interrupt, client)
    else:
        outcomes = []
        async with client, client.deadline(0.3):
            with pytest.raises(APITimeoutError, match=PASSED):
                await collect(client.bulk(operations, journal=tmp_path / "journal"), outcomes)
    assert sorted(outcome.index for outcome in outcomes) == [*range(len(outcomes))]
    statuses = [outcome.status for outcome in sorted(outcomes, key=lambda outcome: outcome.index)]
    assert statuses == ["done"] * 4 + ["unknown"] + ["skipped"] * (len(outcomes) - 5)
    assert 5 < len(outcomes) < len(ids)
    async with client_of(emulator) as other:
        summary = await other.bulk(operations, journal=tmp_path / "journal")
    assert summary.ok
    assert all(emulator.state.flag(id)["tags"] == ["b"] for id in ids)


def test_the_blocking_client(experiment_emulator: Emulator) -> None:
    """A block of the blocking client holds for the calls of its thread."""
    id = experiment_emulator.state.add_flag()["id"]
    experiment_emulator.inject(Fault.delay(60))
    with ExperimentClient(experiment_emulator.api_key, base_url=experiment_emulator.base_url) as client:
        with client.deadline(0.3), pytest.raises(APITimeoutError):
            client.flags.get(id)
        assert client.flags.get(id).id == str(id)


@pytest.mark.parametrize("seconds", [0, -1, "30", None, float("nan")])
async def test_wrong_seconds(client: AsyncExperimentClient, seconds: Any) -> None:
    """Anything but a positive number is rejected."""
    with pytest.raises(InvalidInputError, match="seconds: must be a number"):
        client.deadline(seconds)
