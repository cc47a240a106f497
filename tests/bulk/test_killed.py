"""A process that is killed at random moments: reruns with its journal reach the desired state."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from amp_exp_async.emulator import Emulator, Fault
from tests.crossing import long_form
from tests.polling import TIMEOUT

# Prints a line when it is ready. The alarm ends a job that hangs.
SCRIPT = """
import asyncio, pathlib, signal, sys
from amp_exp_async import AsyncExperimentClient, RetryPolicy

signal.alarm(60)
url, key, job, journal = sys.argv[1:]

async def main():
    async with AsyncExperimentClient(key, base_url=url, rate_limit=None, retry=RetryPolicy(backoff_base=0.0)) as client:
        print("ready", flush=True)
        run = client.bulk(pathlib.Path(job), journal=journal)
        await run
        run.raise_for_failures()

asyncio.run(main())
"""


def create_job(emulator: Emulator) -> list[dict[str, Any]]:
    """Return operations of most kinds on each of eight flags, and on six flags that the job creates."""
    operations: list[dict[str, Any]] = []
    deployment = emulator.state.add_deployment(projectId="1", label="web")["id"]
    for number in range(8):
        variants = [{"key": "on"}, {"key": "off"}]
        id = emulator.state.add_flag(key=f"old{number}", deployments=[deployment], variants=variants)["id"]
        emulator.state.add_users("flags", id, "on", [f"u{n}" for n in range(250)])
        target = {"kind": "flags", "id": id} if number % 2 else {"kind": "flags", "key": f"old{number}"}
        on = {**target, "variant": "on"}
        operations += [
            {"operation": "RemoveUsers", **on, "users": [f"u{n}" for n in range(220)]},
            {"operation": "Edit", **target, "changes": {"name": f"named {number}", "enabled": True}},
            {"operation": "CreateVariant", **target, "variant": "new", "payload": {"n": number}},
            {"operation": "ReplaceUsers", **target, "variant": "new", "users": ["first"]},
            {"operation": "ReplaceUsers", **target, "variant": "new", "users": ["last", f"of{number}"]},
            {"operation": "RemoveVariant", **target, "variant": "off"},
            {"operation": "AddCohorts", **on, "cohorts": ["c1", "c2"]},
        ]
    for number in range(6):
        target = {"kind": "flags", "project_id": "1", "key": f"made{number}"}
        fields = {"name": f"M{number}", "variants": [{"key": "on"}]}
        operations += [
            {"operation": "CreateFlag", "project_id": "1", "key": f"made{number}", **fields},
            {"operation": "AddUsers", **target, "variant": "on", "users": ["a", "b"]},
        ]
    return operations


def check(emulator: Emulator) -> None:
    """Assert the desired state of the job."""
    state = emulator.state
    flags = {flag["key"]: flag for flag in state.flags}
    assert len(state.flags) == len(flags) == 14, "nothing was created twice"
    for number in range(8):
        flag = flags[f"old{number}"]
        assert (flag["name"], flag["enabled"]) == (f"named {number}", True)
        assert flag["variants"] == [{"key": "on"}, {"key": "new", "payload": {"n": number}}]
        assert state.users("flags", flag["id"], "on") == [f"u{n}" for n in range(220, 250)]
        assert state.users("flags", flag["id"], "new") == ["last", f"of{number}"]
        assert state.cohorts("flags", flag["id"], "on") == ["c1", "c2"]
    for number in range(6):
        flag = flags[f"made{number}"]
        assert (flag["name"], state.users("flags", flag["id"], "on")) == (f"M{number}", ["a", "b"])


def start(emulator: Emulator, folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", "-c", SCRIPT, emulator.base_url, emulator.api_key]
    command += [str(folder / "job.jsonl"), str(folder / "journal.jsonl")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def kill_when_arrived(emulator: Emulator, process: subprocess.Popen[str], requests: int, seconds: float) -> bool:
    """Kill the process some time after a number of requests; return False if it ended before."""
    end, before = time.monotonic() + TIMEOUT, len(emulator.requests)
    while process.poll() is None and len(emulator.requests) < before + requests:
        assert time.monotonic() < end
        time.sleep(0.0005)
    time.sleep(seconds)
    ended = process.poll() is not None
    if not ended:
        os.kill(process.pid, signal.SIGKILL)
    _, errors = process.communicate(timeout=TIMEOUT)
    assert process.returncode in {0, -signal.SIGKILL}, errors
    return not ended


FAULTS: dict[str, list[tuple[Fault, dict[str, Any]]]] = {
    "no faults": [],
    "slow responses": [(Fault.delay(0.3), {"method": method, "nth": 2, "times": 6}) for method in ("POST", "DELETE")],
    "responses are lost": [
        (Fault.close(applied=True), {"method": method, "nth": nth, "times": 2})
        for method in ("POST", "DELETE", "PATCH")
        for nth in (2, 7)
    ],
}


@pytest.mark.parametrize("faults", long_form(FAULTS, short=["responses are lost"]))
def test_repeated_kills(faults: str, tmp_path: Path) -> None:
    """Each rerun continues where the killed one stopped; the last completes the job as if it ran once."""
    rng = random.Random(f"killed: {faults}")
    with Emulator(per_second=None, per_day=None) as emulator:
        (tmp_path / "job.jsonl").write_text("\n".join(map(json.dumps, create_job(emulator))))
        for fault, where in FAULTS[faults]:
            emulator.inject(fault, **where)
        kills = 0
        for _ in range(3):
            process = start(emulator, tmp_path)
            kills += kill_when_arrived(emulator, process, rng.randint(1, 25), rng.choice([0.0, 0.002, 0.01]))
        assert kills > 0
        emulator.clear_faults()
        last = start(emulator, tmp_path)
        _, errors = last.communicate(timeout=TIMEOUT)
        assert (last.returncode, errors) == (0, "")
        check(emulator)
        entries = [json.loads(line) for line in (tmp_path / "journal.jsonl").read_text().splitlines()[1:]]
        assert {entry["index"] for entry in entries if entry["state"] == "done"} == set(range(68))
        made = [r for r in emulator.requests if r.applied and (r.method, r.path) == ("POST", "/api/1/flags")]
        assert len(made) == 6
