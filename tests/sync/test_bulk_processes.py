"""Blocking streams, and blocking runs in scripts that are interrupted or fork."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from amp_exp_async.emulator import Emulator, Fault
from amp_exp_async.loop_thread import LoopCall
from amp_exp_async.sync import portal
from tests.polling import TIMEOUT, wait_until
from tests.sync.timeouts import client_of, debug_python, start


def test_streams(emulator: Emulator, tmp_path: Path) -> None:
    """IDs come from a generator (read in the caller's thread), a list, a path or an open file."""
    id, threads = emulator.state.add_flag()["id"], set[threading.Thread]()
    ids = [f"i{number}" for number in range(2500)]

    def generated() -> Iterator[str]:
        for id in ids[:2000]:
            threads.add(threading.current_thread())
            yield id

    path = tmp_path / "ids.txt"
    path.write_text("\n".join(ids))
    with client_of(emulator) as client:
        for included, listed in (
            (client.flags.users, emulator.state.users),
            (client.flags.cohorts, emulator.state.cohorts),
        ):
            assert included.add_many(id, "on", generated()).wait().changed == 2000
            assert listed("flags", id, "on") == ids[:2000]
            assert [outcome.ok for outcome in included.remove_many(id, "on", path)] == [True, True]
            assert listed("flags", id, "on") == []
            assert included.replace(id, "on", ids[:3]).wait().changed == 3
            with path.open() as file:
                assert included.remove_many(id, "on", file).wait().changed == 3
        assert threads == {threading.current_thread()}


SCRIPT = """
import sys
from amp_exp_async import Edit, ExperimentClient
with ExperimentClient(sys.argv[2], base_url=sys.argv[1], rate_limit=None, max_concurrency=4) as client:
    run = client.bulk(Edit("flags", id, {"name": "done"}) for id in sys.argv[4:])
    try:
        run.wait()
    finally:
        print(run.summary.done, run.summary.failed, run.summary.unknown, flush=True)
"""


def test_an_interrupted_script(emulator: Emulator) -> None:
    """Ctrl-C ends a script after the operations in flight, with one traceback and no warning."""
    ids = [emulator.state.add_flag()["id"] for _ in range(100)]
    emulator.inject(Fault.delay(0.05, applied=False), times=4)
    emulator.inject(Fault.delay(1.0, applied=False), times=None)
    command = [
        *debug_python(SCRIPT),
        emulator.base_url,
        emulator.api_key,
        "-",
        *ids,
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as script:
        wait_until(lambda: len(emulator.requests) == 8)
        script.send_signal(signal.SIGINT)
        output, errors = script.communicate(timeout=TIMEOUT)
    assert script.returncode == -signal.SIGINT
    done = sum(flag["name"] == "done" for flag in emulator.state.flags)
    assert output == f"{done} 0 0\n"
    assert done == len(emulator.requests) == 8
    assert errors.count("Traceback") == errors.count("KeyboardInterrupt") == 1
    assert "Warning" not in errors


def test_interrupt_at_the_end_of_a_call(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C at the end of a wait is raised once, and the call does not wait again."""

    class Call(LoopCall[Any]):
        waits = 0

        def wait(self) -> None:
            super().wait()
            self.waits += 1
            if self.waits == 1:
                raise KeyboardInterrupt

    with client_of(emulator) as client:
        monkeypatch.setattr(portal, "LoopCall", Call)
        with pytest.raises(KeyboardInterrupt):
            start(lambda: list(client.flags.list())).result(TIMEOUT)
        monkeypatch.undo()
        assert list(client.flags.list()) == []


FORKING = """
import gc, os, signal, sys
from amp_exp_async import ConfigurationError, Edit, ExperimentClient
signal.alarm(60)
client = ExperimentClient(sys.argv[2], base_url=sys.argv[1], rate_limit=None, max_concurrency=4)
ids = sys.argv[4:]
run = client.bulk(Edit("flags", id, {"name": "parent"}) for id in ids)
reading = iter(run)
indexes = [next(reading).index]
pid = os.fork()
if pid == 0:
    signal.alarm(60)
    try:
        while True:
            next(reading)
    except ConfigurationError as error:
        assert "fork" in str(error)
    del reading
    gc.collect()
    assert client.bulk([Edit("flags", ids[-1], {"tags": ["child"]})]).wait().done == 1
    client.close()
    print("child")
    sys.exit(0)
assert os.waitpid(pid, 0)[1] == 0
indexes += [outcome.index for outcome in reading]
assert sorted(indexes) == list(range(len(ids))), indexes
assert run.summary.ok
client.close()
print("parent")
"""


def test_a_fork_during_a_run(emulator: Emulator) -> None:
    """After a fork the parent continues its run; the child's copy is rejected, and a new run works."""
    ids = [emulator.state.add_flag()["id"] for _ in range(60)]
    emulator.inject(Fault.delay(0.02, applied=False), times=None)
    warn = ["-W", "error", "-W", "ignore:This process:DeprecationWarning"]
    command = [sys.executable, *warn, "-c", FORKING, emulator.base_url, emulator.api_key, "-", *ids]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT * 3, check=False)
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, ["child", "parent"], "")
    assert [flag["name"] for flag in emulator.state.flags] == ["parent"] * 60
    assert emulator.state.flag(ids[-1])["tags"] == ["child"]
    assert len(emulator.requests) == 61
