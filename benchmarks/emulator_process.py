"""An emulator in its own process, so that its CPU time does not count, with a report of what it received."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from amp_exp_async.emulator import Emulator, Fault


@dataclass(frozen=True)
class Conditions:
    """The state of the service and the quality of the network.

    Attributes:
        flags: the number of flags, each with a variant `on`.
        users: the user IDs that each variant includes at the start.
        error_share: the share of requests that are answered 503 without being applied.
        lost_share: the share of requests that are applied and whose response is lost.
        per_second: the limit in any window of one second; None for no limit.
        latency: the minimum and maximum round trip in seconds.
    """

    flags: int = 2_000
    users: tuple[str, ...] = ()
    error_share: float = 0.0
    lost_share: float = 0.0
    per_second: int | None = 100
    latency: tuple[float, float] | None = (0.02, 0.08)


@dataclass(frozen=True)
class Report:
    """The requests that the emulator received, and its final state.

    Attributes:
        arrivals: the time of each request that was not rate-limited, in seconds since the first.
        statuses: the number of responses by status; None counts lost responses.
        methods: the number of requests by method.
        rollout: the `rolloutPercentage` by flag ID.
        users: the users of the variant by flag ID.
    """

    arrivals: list[float]
    statuses: Counter[int | None]
    methods: Counter[str]
    rollout: dict[str, Any]
    users: dict[str, list[str]] = field(repr=False, default_factory=dict[str, list[str]])

    def share_of(self, limit: int) -> float:
        """Return the share of the limit that was used after the first second."""
        count = sum(arrival >= 1.0 for arrival in self.arrivals)
        return count / (self.arrivals[-1] - 1.0) / limit if count else 0.0

    @property
    def max_per_second(self) -> int:
        """The maximum number of requests in any window of one second."""
        maximum = first = 0
        for last, arrival in enumerate(self.arrivals):
            while self.arrivals[first] <= arrival - 1.0:
                first += 1
            maximum = max(maximum, last - first + 1)
        return maximum


class EmulatorProcess:
    """An emulator in another process.

    Attributes:
        base_url: its base URL.
        api_key: the API key that it accepts.
        ids: the IDs of its flags.
    """

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self.base_url: str
        self.api_key: str
        self.ids: list[str]
        self.base_url, self.api_key, self.ids = pipe.recv()

    def report(self) -> Report:
        """Return the report of all requests so far."""
        self._pipe.send("report")
        report: Report = self._pipe.recv()
        return report


@contextmanager
def emulator_process(conditions: Conditions) -> Iterator[EmulatorProcess]:
    """Run an emulator until the block ends."""
    context = multiprocessing.get_context("spawn")
    parent_end, child_end = context.Pipe()
    process = context.Process(target=_run, args=(conditions, child_end), daemon=True)
    process.start()
    try:
        if not parent_end.poll(60):
            raise RuntimeError("the emulator did not start")
        yield EmulatorProcess(parent_end)
    finally:
        process.terminate()
        process.join()


def _run(conditions: Conditions, pipe: Connection) -> None:
    asyncio.run(_serve(conditions, pipe))


async def _serve(conditions: Conditions, pipe: Connection) -> None:
    async with Emulator(
        per_second=conditions.per_second, per_day=None, latency=conditions.latency, seed=7, log_limit=None
    ) as emulator:
        ids: list[str] = []
        for number in range(conditions.flags):
            flag = emulator.state.add_flag(key=f"flag-{number}", projectId="1", variants=[{"key": "on"}])
            ids.append(flag["id"])
            if conditions.users:
                emulator.state.add_users("flags", flag["id"], "on", list(conditions.users))
        if conditions.error_share:
            emulator.inject(Fault.status(503), probability=conditions.error_share, times=None)
        if conditions.lost_share:
            emulator.inject(Fault.close(applied=True), probability=conditions.lost_share, times=None)
        pipe.send((emulator.base_url, emulator.api_key, ids))
        while await asyncio.to_thread(pipe.recv) == "report":
            pipe.send(_report(emulator))


def _report(emulator: Emulator) -> Report:
    requests = list(emulator.requests)
    times = [request.monotonic for request in requests if request.status != 429]
    return Report(
        arrivals=[time - times[0] for time in times],
        statuses=Counter(request.status for request in requests),
        methods=Counter(request.method for request in requests),
        rollout={flag["id"]: flag.get("rolloutPercentage") for flag in emulator.state.flags},
        users={flag["id"]: emulator.state.users("flags", flag["id"], "on") for flag in emulator.state.flags},
    )
