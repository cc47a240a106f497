"""Several processes at once, and what reached the service."""

from __future__ import annotations

import json
import subprocess
import sys
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from amp_exp_async import RedisRateLimit
from amp_exp_async.emulator import Emulator

ROOT = Path(__file__).parent.parent.parent
Worker = subprocess.Popen[str]


@contextmanager
def workers(count: int) -> Iterator[list[Worker]]:
    """So many processes that wait for orders; they are killed at the end."""
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.ratelimit.redis.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for _ in range(count)
    ]
    try:
        for worker in started:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n"
        yield started
    finally:
        for worker in started:
            worker.kill()
            worker.communicate()


def order(worker: Worker, emulator: Emulator, limit: RedisRateLimit, **orders: Any) -> None:
    """Let a worker begin."""
    assert worker.stdin is not None
    everything = {
        "base_url": emulator.base_url,
        "key": emulator.api_key,
        "redis": limit.url,
        "limit": {
            "namespace": limit.namespace,
            "per_second": limit.per_second,
            "per_day": limit.per_day,
            "fallback_per_second": limit.fallback_per_second,
        },
        **orders,
    }
    worker.stdin.write(f"{json.dumps(everything)}\n")
    worker.stdin.flush()


def report(worker: Worker) -> dict[str, Any]:
    """What a worker has to say at its end."""
    assert worker.stdout is not None
    return json.loads(worker.stdout.readline())


def arrivals(emulator: Emulator) -> list[float]:
    """When requests arrived, in order."""
    return sorted(request.monotonic for request in emulator.requests)


def most_in_a_second(times: list[float]) -> int:
    """The most in any window of one second."""
    return max(bisect_left(times, at + 1.0) - index for index, at in enumerate(times))
