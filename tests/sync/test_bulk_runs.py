"""Bulk runs of the blocking client: where the input is read, and every way to leave early."""

from __future__ import annotations

import gc
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from amp_exp_async import AddUsers, BulkError, BulkRun, ClientClosedError, Edit, ExperimentClient, InvalidInputError
from amp_exp_async.emulator import Emulator, Fault
from tests.bulk.emulator_snapshot import finished_edits
from tests.polling import TIMEOUT, wait_until
from tests.sync.timeouts import client_of, loop_threads, start, tasks, within

MAX_CONCURRENCY = 8


@pytest.fixture
def emulator(emulator: Emulator) -> Emulator:
    """An emulator whose edits are slow."""
    emulator.inject(Fault.delay(0.02, applied=False), method="PATCH", times=None)
    return emulator


@pytest.fixture
def client(emulator: Emulator) -> Iterator[ExperimentClient]:
    """A blocking client whose thread ends with the test."""
    with client_of(emulator, max_concurrency=MAX_CONCURRENCY) as client:
        yield client
    wait_until(lambda: not loop_threads())


@pytest.fixture
def operations(emulator: Emulator) -> list[Edit]:
    return [Edit("flags", emulator.state.add_flag()["id"], {"name": "done"}) for _ in range(100)]


INPUTS: dict[str, Callable[[list[Edit], Path], Any]] = {
    "list": lambda operations, _: operations,
    "generator": lambda operations, _: (operation for operation in operations),
    "iterator": lambda operations, _: iter(operations),
    "mappings": lambda operations, _: map(Edit.as_json, operations),
}


@pytest.mark.parametrize("way", INPUTS)
def test_a_run(client: ExperimentClient, emulator: Emulator, operations: list[Edit], way: str, tmp_path: Path) -> None:
    """A run yields each outcome once, then has a summary."""
    run = client.bulk(INPUTS[way](operations[:30], tmp_path), journal=tmp_path / "journal")
    assert "BulkRun" in repr(run)
    outcomes = within(lambda: list(run))
    assert sorted(outcome.index for outcome in outcomes) == list(range(30))
    assert all(outcome.ok for outcome in outcomes)
    assert len(finished_edits(emulator)) == run.summary.done == run.progress.done == 30
    run.raise_for_failures()
    assert list(run) == []
    assert client.bulk(INPUTS[way](operations[:30], tmp_path), journal=tmp_path / "journal").wait().skipped == 30


def test_a_generator_is_read_in_the_callers_thread(client: ExperimentClient, operations: list[Edit]) -> None:
    """A generator is read on demand, in the caller's thread, and may call the client itself."""
    threads, ahead, seen = set[threading.Thread](), list[int](), list[int]()

    def generated() -> Iterator[Edit]:
        for number, operation in enumerate(operations * 40):
            threads.add(threading.current_thread())
            ahead.append(number - len(seen))
            yield Edit("flags", client.flags.get(operation.id).id, {"enabled": True}) if number < 5 else operation

    for outcome in client.bulk(generated()):
        seen.append(outcome.index)
        if len(seen) == 50:
            break
    assert threads == {threading.current_thread()}
    assert max(ahead) < 1200


def test_a_slow_generator(client: ExperimentClient, emulator: Emulator, operations: list[Edit]) -> None:
    """Operations run while a slow generator prepares the next one."""

    def generated() -> Iterator[Edit]:
        for number, operation in enumerate(operations[:6]):
            yield operation
            time.sleep(0.1)  # longer than one read of the generator, so that the operation is started
            wait_until(lambda: len(finished_edits(emulator)) >= number)  # noqa: B023 - called in this iteration

    assert client.bulk(generated()).wait().done == 6


def test_a_generator_that_fails(client: ExperimentClient, emulator: Emulator, operations: list[Edit]) -> None:
    """The operations before the error run; then the error is raised unchanged."""

    def generated() -> Iterator[Edit]:
        yield from operations[:5]
        raise ZeroDivisionError("of the caller")

    run, indexes = iter(client.bulk(generated())), list[int]()
    with pytest.raises(ZeroDivisionError, match="of the caller"):  # noqa: PT012 - collects the outcomes before it
        while True:
            indexes.append(next(run).index)
    assert sorted(indexes) == [0, 1, 2, 3, 4]
    assert len(finished_edits(emulator)) == 5


def test_a_bad_item(client: ExperimentClient, emulator: Emulator) -> None:
    """A list with an invalid item is rejected before anything is sent."""
    with pytest.raises(InvalidInputError, match=r"operations\[1\]"):
        client.bulk([Edit("flags", "1", {"name": "x"}), "nonsense"]).wait()
    assert emulator.requests == []


def breaking(run: BulkRun) -> None:
    for _ in run:
        break


def raising(run: BulkRun) -> None:
    with pytest.raises(ZeroDivisionError):  # noqa: PT012 - raised in the loop
        for _ in run:
            raise ZeroDivisionError


def closing(run: BulkRun) -> None:
    reading = iter(run)
    next(reading)
    reading.close()


def closing_the_run(run: BulkRun) -> None:
    next(iter(run))
    run.close()
    run.close()


def leaving_the_block(run: BulkRun) -> None:
    with run:
        held = iter(run)
        next(held)


def dropping(run: BulkRun) -> None:
    next(iter(run))
    gc.collect()


def send_interrupt(run: BulkRun) -> None:
    wait_until(lambda: run.progress.done)
    os.kill(os.getpid(), signal.SIGINT)


def interrupted(run: BulkRun) -> None:
    """Send Ctrl-C while the run waits for an outcome."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        sender = start(lambda: send_interrupt(run))
        with pytest.raises(KeyboardInterrupt):
            run.wait()
        sender.result(TIMEOUT)
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("source", ["list", "generator"])
@pytest.mark.parametrize(
    "leave", [breaking, raising, closing, closing_the_run, leaving_the_block, dropping, interrupted]
)
def test_leaving_early(  # noqa: PLR0917 - fixtures
    client: ExperimentClient,
    emulator: Emulator,
    operations: list[Edit],
    leave: Callable[[BulkRun], None],
    source: str,
    tmp_path: Path,
) -> None:
    """When the caller continues, started operations have finished and are recorded, and none is in flight."""
    run = client.bulk(INPUTS[source](operations, tmp_path), journal=tmp_path / "journal")
    leave(run)
    assert tasks(client) == []
    sent = len(emulator.requests)
    assert 0 < sent == len(finished_edits(emulator)) == run.summary.done <= 3 * MAX_CONCURRENCY
    states = [json.loads(line)["state"] for line in (tmp_path / "journal").read_text().splitlines()[1:]]
    assert states.count("begun") == states.count("done") == sent
    with pytest.raises(BulkError):
        run.raise_for_failures()
    time.sleep(0.03)
    assert len(emulator.requests) == sent
    emulator.clear_faults()
    assert client.bulk(operations, journal=tmp_path / "journal").wait().ok
    assert len(emulator.requests) == 100


def test_unread_outcomes_can_be_read(client: ExperimentClient, operations: list[Edit]) -> None:
    """A second loop yields the outcomes that the first has not read, each once."""
    run, indexes = client.bulk(operations), list[int]()
    for outcome in run:
        indexes.append(outcome.index)
        break
    indexes += [outcome.index for outcome in run]
    assert sorted(indexes) == list(range(len(indexes)))
    assert 1 < len(indexes) < 100


def test_warning_if_never_read(client: ExperimentClient, operations: list[Edit]) -> None:
    """A run that was never iterated warns when it is collected; a closed one does not."""
    held = [client.bulk(operations)]
    with pytest.warns(RuntimeWarning, match="never iterated"):
        held.clear()
    client.bulk(operations).close()


def test_a_closed_client(emulator: Emulator, operations: list[Edit]) -> None:
    """A closed client starts no run; a run in another thread finishes its operations in flight."""
    with client_of(emulator, max_concurrency=MAX_CONCURRENCY) as client:
        run = client.bulk(operations)
        reading = start(lambda: list(run))
        wait_until(lambda: emulator.requests)
    try:
        outcomes = reading.result(TIMEOUT)
    except ClientClosedError:
        outcomes = []
    assert len(finished_edits(emulator)) == run.summary.done == len(emulator.requests)
    assert len(outcomes) <= run.summary.done + run.summary.not_started
    with pytest.raises(ClientClosedError):
        client.bulk(operations).wait()


def test_progress_from_another_thread(client: ExperimentClient, operations: list[Edit]) -> None:
    """Progress can be read from another thread at any time."""
    run = client.bulk(operations)
    reading, seen = start(run.wait), list[int]()
    while not reading.done():
        seen.append(run.progress.done)
        time.sleep(0.002)
    assert reading.result(TIMEOUT).done == run.progress.done == 100
    assert seen == sorted(seen)
    assert len(set(seen)) > 3


def test_several_runs_in_several_threads(client: ExperimentClient, emulator: Emulator) -> None:
    """Runs in several threads share the client and have separate summaries."""
    ids = [emulator.state.add_flag()["id"] for _ in range(10)]
    runs = [client.bulk(iter([AddUsers("flags", id, "on", [f"u{n}"]) for id in ids])) for n in range(4)]
    sums = [reading.result(TIMEOUT) for reading in [start(run.wait) for run in runs]]
    assert [(summary.done, summary.changed) for summary in sums] == [(10, 10)] * 4
    assert all(len(emulator.state.users("flags", id, "on")) == 4 for id in ids)


def test_cancel(client: ExperimentClient, emulator: Emulator, operations: list[Edit]) -> None:
    """`cancel` abandons requests in flight as unknown and skips the rest; all outcomes can be read."""
    emulator.clear_faults()
    emulator.inject(Fault.delay(TIMEOUT, applied=False), method="PATCH", times=None)
    run = client.bulk(operations)
    outcomes: list[str] = []
    reader = threading.Thread(target=lambda: outcomes.extend(outcome.status for outcome in run))
    reader.start()
    wait_until(lambda: len(emulator.requests) == MAX_CONCURRENCY)
    run.cancel()
    reader.join(TIMEOUT)
    assert not reader.is_alive()
    assert outcomes.count("unknown") == MAX_CONCURRENCY
    assert set(outcomes) == {"unknown", "skipped"}
    assert client.flags.get(operations[0].id or "").name != "done"
