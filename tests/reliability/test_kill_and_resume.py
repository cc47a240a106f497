"""Jobs that are killed at random moments and run again with their journal: they end as if they had run once."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from amp_exp_async import ExperimentClient, load
from amp_exp_async.emulator import Emulator, Fault
from tests.bulk.test_killed import check, create_job
from tests.polling import TIMEOUT
from tests.reliability.emulator_process import EmulatorProcess
from tests.reliability.figures import Figures

AREA = "Kill and resume"
_ROOT = Path(__file__).parents[2]
_LOST_SHARE = 0.03
_MAX_RUNS = 12
"""Runs of one job, the last of which is not killed."""

# The alarm ends a job that hangs.
PROGRAM = """
import pathlib, signal, sys
from amp_exp_async import ExperimentClient, Plan, RetryPolicy
signal.alarm(60)
url, key, job, journal = sys.argv[1:]
with ExperimentClient(key, base_url=url, rate_limit=None, retry=RetryPolicy(backoff_base=0.0)) as client:
    is_plan = job.endswith(".plan")
    run = client.apply(Plan.load(job), journal=journal) if is_plan else client.bulk(pathlib.Path(job), journal=journal)
    run.wait()
    run.raise_for_failures()
"""

MANIFEST: dict[str, Any] = {
    "flags": [
        {
            "key": f"{'old' if number < 5 else 'made'}{number}",
            "name": f"named {number}",
            "tags": ["planned"],
            "deployments": ["web"],
            "enabled": True,
            "variants": [
                {"key": "on", "payload": {"n": number}, "users": [f"u{number}", "u"], "cohorts": ["c1"]},
                {"key": "control", "users": []},
            ],
            "target_segments": [
                {
                    "name": "all",
                    "percentage": 50,
                    "rollout_weights": {"on": 1},
                    "conditions": [{"type": "property", "prop": "country", "op": "is", "values": ["DE"]}],
                }
            ],
        }
        for number in range(10)
    ]
    + [{"key": "retired", "archived": True}],
}


def prepare_bulk(emulator: Emulator) -> list[dict[str, Any]]:
    """Add the flags of the job, and return its operations."""
    return create_job(emulator)


def prepare_plan(emulator: Emulator) -> None:
    """Add the flags that the plan edits, with users that it removes."""
    emulator.state.add_deployment(projectId="1", label="web")
    for key in (*(f"old{number}" for number in range(5)), "retired"):
        variants = [{"key": "on"}, {"key": "control"}]
        id = emulator.state.add_flag(key=key, projectId="1", name="before", variants=variants)["id"]
        emulator.state.add_users("flags", id, "on", ["removed"])
        emulator.state.add_users("flags", id, "control", ["removed"])


def lose_responses(emulator: Emulator, seed: int) -> None:
    """Lose a few responses of writes that were applied."""
    for method in ("POST", "PATCH", "DELETE"):
        emulator.inject(Fault.close(applied=True), method=method, probability=_LOST_SHARE, times=None)
    emulator.inject(Fault.delay(0.002 * (seed % 3)), method="GET", probability=0.5, times=None)


def count_arrived(emulator: Emulator) -> int:
    """Return the number of requests."""
    return len(emulator.requests)


def check_bulk(emulator: Emulator) -> None:
    """Check the final state of the job of operations."""
    check(emulator)


def creations(emulator: Emulator) -> dict[str, int]:
    """Return how often each flag and each variant was created."""
    made = [request for request in emulator.requests if request.method == "POST" and request.applied]
    owned = [request for request in made if request.path.endswith(("/flags", "/variants"))]
    return dict(Counter(f"{request.path} {request.body['key']}" for request in owned))


def make_bulk_job(emulator: EmulatorProcess, folder: Path) -> Path:
    """Write the file of a job of operations."""
    job = folder / "job.jsonl"
    job.write_text("\n".join(map(json.dumps, emulator.run(prepare_bulk))))
    return job


def make_plan(emulator: EmulatorProcess, folder: Path) -> Path:
    """Save a plan."""
    emulator.run(prepare_plan)
    (folder / "flags.json").write_text(json.dumps(MANIFEST))
    with client_of(emulator) as client:
        client.plan(load(folder / "flags.json"), project_id="1").save(folder / "job.plan")
    return folder / "job.plan"


def assert_bulk_is_done(emulator: EmulatorProcess, _: Path) -> None:
    """Check the state, and that nothing was created twice."""
    emulator.run(check_bulk)
    made = emulator.run(creations)
    assert set(made.values()) == {1}
    assert len(made) == 14


def assert_plan_is_done(emulator: EmulatorProcess, job: Path) -> None:
    """Check that nothing remains to be changed, and that nothing was created twice."""
    with client_of(emulator) as client:
        remaining = client.plan(load(job.parent / "flags.json"), project_id="1")
        assert not remaining, str(remaining)
    made = emulator.run(creations)
    assert set(made.values()) == {1}
    assert sum(path.startswith("/api/1/flags made") for path in made) == 5


Make = Callable[[EmulatorProcess, Path], Path]
Check = Callable[[EmulatorProcess, Path], None]
JOBS: dict[str, tuple[Make, Check]] = {
    "bulk": (make_bulk_job, assert_bulk_is_done),
    "apply": (make_plan, assert_plan_is_done),
}


def client_of(emulator: EmulatorProcess) -> ExperimentClient:
    """Return a client of the emulator."""
    return ExperimentClient(emulator.api_key, base_url=emulator.base_url, rate_limit=None)


def start(emulator: EmulatorProcess, job: Path) -> subprocess.Popen[str]:
    """Run a job with its journal."""
    arguments = [emulator.base_url, emulator.api_key, str(job), str(job.with_suffix(".journal"))]
    command = [sys.executable, "-W", "error", "-c", PROGRAM, *arguments]
    return subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def kill_at_random(emulator: EmulatorProcess, process: subprocess.Popen[str], rng: random.Random, usual: int) -> bool:
    """Kill a job some time after some requests; return False if it ended before."""
    end = time.monotonic() + TIMEOUT
    target = emulator.run(count_arrived) + rng.randint(0, usual)
    while process.poll() is None and emulator.run(count_arrived) < target:
        assert time.monotonic() < end
        time.sleep(0.002)
    time.sleep(rng.choice([0.0, 0.001, 0.003, 0.01]))
    process.kill()
    _, errors = process.communicate(timeout=TIMEOUT)
    assert process.returncode in {0, -9}, errors
    return process.returncode == -9


@pytest.mark.parametrize("kind", JOBS)
@pytest.mark.parametrize("kills", [3, pytest.param(50, marks=pytest.mark.slow)])
def test_kill_and_resume(
    emulator_process: EmulatorProcess, tmp_path: Path, figures: Figures, kind: str, kills: int
) -> None:
    """After every kill a rerun continues; the last one leaves exactly the intended state."""
    make, assert_is_done = JOBS[kind]
    rng = random.Random(f"{kind} {kills}")
    killed = jobs = 0
    while killed < kills:
        reset(emulator_process)
        folder = tmp_path / str(jobs)
        folder.mkdir()
        job = make(emulator_process, folder)
        emulator_process.run(lose_responses, jobs)
        for _ in range(_MAX_RUNS - 1):
            was_killed = kill_at_random(emulator_process, start(emulator_process, job), rng, usual=30)
            killed += was_killed
            if not was_killed or killed >= kills:
                break
        _, errors = (last := start(emulator_process, job)).communicate(timeout=TIMEOUT)
        assert (last.returncode, errors) == (0, "")
        assert_is_done(emulator_process, job)
        jobs += 1
    figures.count(f"kills of {kind}", killed)
    figures.count("jobs that were killed and ended in exactly the intended state", jobs)


def reset(emulator: EmulatorProcess) -> None:
    """Empty the emulator."""
    from tests.reliability.conftest import empty

    emulator.run(empty)
