"""The emulator in a process of its own, so that its work is on nobody's account, and what it has to tell at the end."""

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
    """What the service and the network are like.

    Attributes:
        flags: how many flags there are, each with a variant `on`.
        users: ids that each variant includes at the beginning.
        failing: the share of requests that are answered 503 without being applied.
        losing: the share of requests that are applied, and whose reply is lost.
        per_second: the limit, in any window of one second; None for none.
        latency: seconds of a round trip, at least and at most.
    """

    flags: int = 2_000
    users: tuple[str, ...] = ()
    failing: float = 0.0
    losing: float = 0.0
    per_second: int | None = 100
    latency: tuple[float, float] | None = (0.02, 0.08)


@dataclass(frozen=True)
class Report:
    """What the emulator has seen.

    Attributes:
        arrivals: seconds, of every request that was not refused, from the first.
        statuses: how often each status was answered; None for a lost reply.
        methods: how many requests of each method there were.
        state: flag id to its `rolloutPercentage`.
        users: flag id to the users of its variant.
    """

    arrivals: list[float]
    statuses: Counter[int | None]
    methods: Counter[str]
    state: dict[str, Any]
    users: dict[str, list[str]] = field(repr=False, default_factory=dict[str, list[str]])

    def share_of(self, limit: int) -> float:
        """The share of the limit that was used after the first second."""
        later = [at for at in self.arrivals if at >= 1.0]
        return len(later) / (self.arrivals[-1] - 1.0) / limit if later else 0.0

    @property
    def most_in_a_second(self) -> int:
        """The most requests in any window of one second."""
        most = first = 0
        for last, at in enumerate(self.arrivals):
            while self.arrivals[first] <= at - 1.0:
                first += 1
            most = max(most, last - first + 1)
        return most


class Served:
    """An emulator in another process.

    Attributes:
        base_url: where it serves.
        api_key: the key that it knows.
        ids: the ids of its flags.
    """

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self.base_url: str
        self.api_key: str
        self.ids: list[str]
        self.base_url, self.api_key, self.ids = pipe.recv()

    def report(self) -> Report:
        """What it has seen so far."""
        self._pipe.send("report")
        report: Report = self._pipe.recv()
        return report


@contextmanager
def emulating(conditions: Conditions) -> Iterator[Served]:
    """Serve until the block ends."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(conditions, theirs), daemon=True)
    process.start()
    try:
        if not ours.poll(60):
            raise RuntimeError("the emulator did not start")
        yield Served(ours)
    finally:
        process.terminate()
        process.join()


def _serve(conditions: Conditions, pipe: Connection) -> None:
    asyncio.run(_run(conditions, pipe))


async def _run(conditions: Conditions, pipe: Connection) -> None:
    async with Emulator(per_second=conditions.per_second, per_day=None, latency=conditions.latency, seed=7) as emulator:
        ids: list[str] = []
        for number in range(conditions.flags):
            flag = emulator.state.add_flag(key=f"flag-{number}", projectId="1", variants=[{"key": "on"}])
            ids.append(flag["id"])
            if conditions.users:
                emulator.state.add_users("flags", flag["id"], "on", list(conditions.users))
        if conditions.failing:
            emulator.inject(Fault.status(503), probability=conditions.failing, times=None)
        if conditions.losing:
            emulator.inject(Fault.close(applied=True), probability=conditions.losing, times=None)
        pipe.send((emulator.base_url, emulator.api_key, ids))
        while await asyncio.to_thread(pipe.recv) == "report":
            pipe.send(_report(emulator))


def _report(emulator: Emulator) -> Report:
    requests = list(emulator.requests)
    counted = [request.monotonic for request in requests if request.status != 429]
    users = {flag["id"]: emulator.state.users("flags", flag["id"], "on") for flag in emulator.state.flags}
    return Report(
        arrivals=[at - counted[0] for at in counted],
        statuses=Counter(request.status for request in requests),
        methods=Counter(request.method for request in requests),
        state={flag["id"]: flag.get("rolloutPercentage") for flag in emulator.state.flags},
        users=users,
    )
