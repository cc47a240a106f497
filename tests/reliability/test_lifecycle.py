"""How programs and clients end: nothing hangs, outcomes are recorded, and nothing is left."""

from __future__ import annotations

import asyncio
import gc
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from amp_exp_async import (
    AsyncExperimentClient,
    ClientClosedError,
    ConfigurationError,
    Edit,
    ExperimentClient,
    OutcomeUnknownError,
)
from amp_exp_async.emulator import Emulator, Fault
from tests.polling import TIMEOUT, wait_until
from tests.reliability.emulator_process import EmulatorProcess
from tests.reliability.figures import Figures
from tests.reliability.lifecycle_programs import CLOSING, Program, loop_threads

AREA = "Lifecycle"
_ROOT = Path(__file__).parents[2]
_GEVENT = "from gevent import monkey; monkey.patch_all(); "
_HANG_SECONDS = 600.0


def add_flags(emulator: Emulator, count: int) -> list[str]:
    """Add flags, and return their IDs."""
    return [emulator.state.add_flag(variants=[{"key": "on"}])["id"] for _ in range(count)]


def hang(emulator: Emulator, method: str = "PATCH") -> None:
    """Answer no request of a method any longer."""
    emulator.inject(Fault.delay(_HANG_SECONDS), method=method, times=None)


def clear_faults(emulator: Emulator) -> None:
    """Answer as usual again."""
    emulator.clear_faults()


def count_requests(emulator: Emulator, method: str) -> int:
    """Return the number of requests of a method."""
    return sum(request.method == method for request in emulator.requests)


def names(emulator: Emulator, field: str = "name") -> list[Any]:
    """Return a field of all flags, in the order of creation."""
    return [flag.get(field) for flag in sorted(emulator.state.flags, key=lambda flag: int(flag["id"]))]


@pytest.fixture
def ids(emulator_process: EmulatorProcess) -> list[str]:
    """The IDs of eight flags."""
    ids: list[str] = emulator_process.run(add_flags, 8)
    return ids


@contextmanager
def nothing_left() -> Iterator[None]:
    """Assert that a block leaves no thread and no descriptor, so no socket."""
    gc.collect()
    before = _resources()
    yield
    gc.collect()
    wait_until(lambda: _resources() == before)


def _resources() -> tuple[list[str], int]:
    """Return the threads but those that asyncio keeps for functions that block, and the number of descriptors."""
    threads = [thread.name for thread in threading.enumerate() if not thread.name.startswith("asyncio_")]
    return threads, len(list(Path("/dev/fd").iterdir()))


@frozen
class Ended:
    """How a program has ended.

    Attributes:
        code: its exit code; negative for a signal.
        output: what it has printed.
        errors: what it has printed as errors.
        statuses: the last status of each operation in its journal.
    """

    code: int
    output: str
    errors: str
    statuses: list[str]


class Runner:
    """Runs programs against an emulator."""

    def __init__(self, emulator: EmulatorProcess, ids: list[str], folder: Path) -> None:
        self.emulator = emulator
        self.program = Program(emulator.base_url, emulator.api_key, ids, str(folder))

    def start(self, name: str, first: str = "") -> subprocess.Popen[str]:
        """Start a program. Every warning is an error, except that of a fork of a process with threads."""
        values = {field: getattr(self.program, field) for field in ("base_url", "api_key", "ids", "folder")}
        code = f"{first}from tests.reliability.lifecycle_programs import main; main()"
        warn = ["-W", "error", "-W", "ignore:This process:DeprecationWarning"]
        command = [sys.executable, *warn, "-c", code, name, json.dumps(values)]
        return subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def end(self, process: subprocess.Popen[str]) -> Ended:
        """Wait for the end of a program."""
        output, errors = process.communicate(timeout=TIMEOUT)
        return Ended(process.returncode, output, errors, self.statuses())

    def run(self, name: str, first: str = "") -> Ended:
        """Run a program to its end."""
        return self.end(self.start(name, first))

    def statuses(self) -> list[str]:
        """Return the last status of each operation in the journal, in order."""
        journal = self.program.journal()
        if not journal.exists():
            return []
        entries = [json.loads(line) for line in journal.read_text().splitlines()[1:]]
        return [status for _, status in sorted({entry["index"]: entry["state"] for entry in entries}.items())]


@pytest.fixture
def runner(emulator_process: EmulatorProcess, ids: list[str], tmp_path: Path) -> Runner:
    """Return a runner of programs that edit eight flags."""
    return Runner(emulator_process, ids, tmp_path)


@pytest.mark.parametrize("name", ["exit_without_close", "exit_without_aclose"])
def test_exit_without_closing(runner: Runner, name: str) -> None:
    """A program whose service hangs ends; what was in flight is `unknown`."""
    runner.emulator.run(hang)
    ended = runner.run(name)
    assert (ended.code, ended.statuses) == (0, ["unknown"] * 4)
    if name == "exit_without_close":
        assert (ended.output, ended.errors) == ("", "")


SIGNALS: dict[str, tuple[str, int, int]] = {
    "Ctrl-C in a run": ("run_in_loop", signal.SIGINT, -signal.SIGINT),
    "Ctrl-C in an async run": ("async_run_in_loop", signal.SIGINT, -signal.SIGINT),
    "Ctrl-C while a client is closed": ("close_without_end", signal.SIGINT, -signal.SIGINT),
    "Ctrl-C while an async client is closed": ("aclose_without_end", signal.SIGINT, -signal.SIGINT),
    "SIGTERM with a handler": ("run_in_loop_with_handler", signal.SIGTERM, 5),
    "SIGTERM without a handler": ("run_in_loop", signal.SIGTERM, -signal.SIGTERM),
}


@pytest.mark.parametrize("case", SIGNALS)
def test_signals(runner: Runner, figures: Figures, case: str) -> None:
    """A signal ends a program whose service hangs, and a rerun with its journal completes the job."""
    name, number, code = SIGNALS[case]
    runner.emulator.run(hang)
    process = runner.start(name)
    wait_until(lambda: runner.emulator.run(count_requests, "PATCH") == 4)
    if "closed" in case:
        assert process.stdout is not None
        assert process.stdout.readline() == f"{CLOSING}\n"
    process.send_signal(number)
    ended = runner.end(process)
    assert ended.code == code, ended.errors
    assert ended.statuses == (["begun"] * 4 if case.endswith("without a handler") else ["unknown"] * 4)
    assert "Warning" not in ended.errors
    runner.emulator.run(clear_faults)
    with ExperimentClient(**runner.program.options) as client:
        assert client.bulk(runner.program.edits, journal=runner.program.journal()).wait().ok
    assert runner.statuses() == ["done"] * 8
    assert runner.emulator.run(names) == ["edited"] * 8
    figures.count("programs that a signal ended")


def test_workers_that_are_forked_after_a_use(runner: Runner) -> None:
    """Workers and their parent all use the client and end, although a write of the parent hangs."""
    runner.emulator.run(inject_hang_of, runner.program.ids[0])
    ended = runner.run("prefork")
    assert (ended.code, ended.output, ended.errors) == (0, "[[0, 0, 0], 0]\n", "")
    assert ended.statuses == ["unknown"]
    assert runner.emulator.run(names, "tags") == [[], *[["worker"]] * 7]


def inject_hang_of(emulator: Emulator, id: str) -> None:
    """Never answer an edit of one flag."""
    emulator.inject(Fault.delay(_HANG_SECONDS, applied=False), method="PATCH", path=f"/flags/{id}", times=None)


def test_spawned_processes(runner: Runner) -> None:
    """Each spawned process has a client of its own, and nothing is left."""
    ended = runner.run("spawn")
    assert (ended.code, ended.output, ended.errors) == (0, "0\n", "")


@pytest.mark.parametrize("name", ["first_use_at_exit", "first_async_use_at_exit"])
def test_the_first_use_when_the_program_ends(runner: Runner, name: str) -> None:
    """If Python starts no thread any longer, which depends on its version, the call raises our error."""
    ended = runner.run(name)
    assert (ended.code, ended.errors) == (0, "")
    message = "the program is ending, and Python starts no thread any longer"
    assert ended.output == f"{runner.program.ids[0]}\n" or message in ended.output


def test_gevent(runner: Runner) -> None:
    """A patched program uses one client in many greenlets, is refused a second one, and prints nothing at its end."""
    ended = runner.run("with_gevent", _GEVENT)
    assert (ended.code, ended.errors) == (0, "")
    assert ended.output.startswith("gevent runs all threads in one")
    command = [sys.executable, "-W", "error", "-c", f"{_GEVENT}import amp_exp_async; amp_exp_async.ExperimentClient"]
    imported = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    assert (imported.returncode, imported.stdout, imported.stderr) == (0, "", "")


def client_options(emulator: EmulatorProcess) -> dict[str, Any]:
    """Return the arguments of a client."""
    return {"api_key": emulator.api_key, "base_url": emulator.base_url, "rate_limit": None}


@pytest.mark.parametrize("rounds", [1, pytest.param(20, marks=pytest.mark.slow)])
def test_two_loops(emulator_process: EmulatorProcess, ids: list[str], rounds: int) -> None:
    """Two event loops in two threads use a client each at the same time. Neither takes the other's client."""
    clients: list[AsyncExperimentClient] = []

    async def work(number: int) -> list[str]:
        async with AsyncExperimentClient(**client_options(emulator_process)) as client:
            clients.append(client)
            while len(clients) < 2:  # noqa: ASYNC110 - the other one is in another thread
                await asyncio.sleep(0.001)
            with pytest.raises(ConfigurationError, match="belongs to another event loop"):
                await clients[not clients.index(client)].flags.get(ids[0])
            flags = await asyncio.gather(*[client.flags.get(id) for id in ids * 5])
            await client.flags.edit(ids[number], name=f"by loop {number}")
        return [flag.id for flag in flags]

    for _ in range(rounds):
        clients.clear()
        with nothing_left(), ThreadPoolExecutor(2) as pool:
            results = list(pool.map(lambda number: asyncio.run(work(number)), range(2)))
        assert results == [ids * 5] * 2
        assert emulator_process.run(names)[:2] == ["by loop 0", "by loop 1"]


@pytest.mark.parametrize("rounds", [1, pytest.param(20, marks=pytest.mark.slow)])
async def test_closing_with_requests_in_flight(
    emulator_process: EmulatorProcess, ids: list[str], tmp_path: Path, rounds: int
) -> None:
    """Every call in flight ends in its one right error, and nothing is left."""
    for method in ("GET", "PATCH", "POST"):
        emulator_process.run(hang, method)
    for number in range(rounds):
        tasks = asyncio.all_tasks()
        with nothing_left():
            client = AsyncExperimentClient(**client_options(emulator_process))
            run = client.bulk([Edit("flags", ids[7], {"name": "x"})] * 2, journal=tmp_path / str(number))
            calls = [
                *(asyncio.ensure_future(client.flags.get(id)) for id in ids),
                *(asyncio.ensure_future(client.flags.edit(id, name="x")) for id in ids[:4]),
                *(asyncio.ensure_future(client.flags.variants.create(id, key="new")) for id in ids[4:7]),
                asyncio.ensure_future(run.wait()),
            ]
            while client.usage.requests_today < 16:  # noqa: ASYNC110 - no event marks it
                await asyncio.sleep(0.002)
            await asyncio.sleep(0.05)
            await client.aclose(shutdown_timeout=0.05)
            async with asyncio.timeout(TIMEOUT):
                errors = await asyncio.gather(*calls, return_exceptions=True)
        expected = [ClientClosedError] * 12 + [OutcomeUnknownError] * 3 + [ClientClosedError]
        assert [type(error) for error in errors] == expected
        assert (run.summary.unknown, run.summary.not_started) == (1, 1)
        assert asyncio.all_tasks() == tasks


@pytest.mark.parametrize("calls", [10, pytest.param(500, marks=pytest.mark.slow)])
def test_threads_on_one_blocking_client(
    emulator_process: EmulatorProcess, ids: list[str], figures: Figures, calls: int
) -> None:
    """32 threads get their own answers, and their edits all arrive."""

    def work(number: int) -> list[str]:
        id = ids[number % len(ids)]
        client.flags.tags.add(id, [f"t{number}"])
        return [client.flags.get(ids[(number + call) % len(ids)]).id for call in range(calls)]

    with nothing_left(), ExperimentClient(**client_options(emulator_process)) as client:
        with ThreadPoolExecutor(32) as pool:
            results = list(pool.map(work, range(32)))
        assert loop_threads() == 1
    assert results == [[ids[(number + call) % 8] for call in range(calls)] for number in range(32)]
    tags = [sorted(tags) for tags in emulator_process.run(names, "tags")]
    assert tags == [sorted(f"t{number}" for number in range(flag, 32, 8)) for flag in range(8)]
    figures.count("calls by 32 threads", 32 * calls)
