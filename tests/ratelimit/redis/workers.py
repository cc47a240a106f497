"""Several worker processes, and the requests that reached the service."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import frozen

from amp_exp_async import AsyncExperimentClient, RedisRateLimit
from amp_exp_async.emulator import Emulator
from tests.polling import TIMEOUT

ROOT = Path(__file__).parent.parent.parent.parent


async def send_repeatedly(client: AsyncExperimentClient) -> None:
    """Call until cancelled, or until a call fails."""
    while True:
        await client.flags.get("1")


@frozen
class Worker:
    """A process that runs `worker_process`."""

    process: subprocess.Popen[str]

    def start(
        self, base_url: str, key: str, limit: RedisRateLimit, *, concurrency: int, moved_clock: bool = False
    ) -> None:
        """Let the worker send requests; `moved_clock` if the test sets the clock of Redis."""
        names = ("namespace", "per_second", "per_day", "fallback_per_second")
        settings = {
            "base_url": base_url,
            "key": key,
            "redis": limit.url,
            "limit": {name: getattr(limit, name) for name in names},
            "concurrency": concurrency,
            "moved_clock": moved_clock,
        }
        self._write(json.dumps(settings))

    def read_line(self) -> str:
        """Return the next line that the worker prints."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def stop(self) -> dict[str, Any]:
        """Stop the client of the worker, and return its report. The worker can be started again."""
        watchdog = threading.Timer(TIMEOUT, self.process.kill)
        watchdog.start()
        try:
            self._write("")
            while (line := self.read_line()) == "started":
                pass
        finally:
            watchdog.cancel()
        report: dict[str, Any] = json.loads(line)
        return report

    def kill(self) -> None:
        """Kill the process."""
        self.process.kill()
        self.process.communicate()

    def _write(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()


@contextmanager
def start_workers(count: int) -> Iterator[list[Worker]]:
    """Start workers that wait for their settings; kill them at the end."""
    workers = [
        Worker(
            subprocess.Popen(
                [sys.executable, "-m", "tests.ratelimit.redis.worker_process"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=ROOT,
            )
        )
        for _ in range(count)
    ]
    try:
        assert [worker.read_line() for worker in workers] == ["ready"] * count
        yield workers
    finally:
        for worker in workers:
            if worker.process.poll() is None:
                worker.kill()


def arrivals(emulator: Emulator) -> list[float]:
    """Return when requests arrived, in order."""
    return sorted(request.monotonic for request in emulator.requests)


def arrivals_since(emulator: Emulator, start: float) -> list[float]:
    """Return when requests arrived from a time on, in order."""
    return [time for time in arrivals(emulator) if time >= start]
