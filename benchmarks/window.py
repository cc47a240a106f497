"""A server that keeps a strict sliding window, behind networks of several kinds."""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import orjson
from serving import Service

NETWORKS: dict[str, Callable[[random.Random], tuple[float, float]]] = {
    "10 to 40 ms each way": lambda chance: (chance.uniform(0.010, 0.040), chance.uniform(0.010, 0.040)),
    "20 to 80 ms split at random": lambda chance: _split(chance.uniform(0.020, 0.080), chance.random()),
    "loopback latency only": lambda _: (0.0, 0.0),
}


def _split(seconds: float, there: float) -> tuple[float, float]:
    return seconds * there, seconds * (1 - there)


@dataclass(frozen=True)
class Others:
    """Other users of the key.

    Attributes:
        rate: their requests a second.
        seconds: how long they stay.
        evenly: whether each comes as long after the last one, or at random.
    """

    rate: float
    seconds: float
    evenly: bool

    def wait(self, chance: random.Random) -> float:
        """Seconds from one of their requests to the next."""
        return 1 / self.rate if self.evenly else chance.expovariate(self.rate)


class StrictWindow(Service):
    """So many requests in any one second, by the time of arrival; `/report` tells what arrived."""

    def __init__(self, limit: int, network: str, seed: int) -> None:
        self._limit = limit
        self._network = network
        self._chance = random.Random(seed)
        self._window: deque[float] = deque()
        self._arrivals: list[float] = []
        self._refused: list[float] = []

    def delays(self) -> tuple[float, float]:
        return NETWORKS[self._network](self._chance)

    def answer(self, target: str) -> tuple[int, bytes]:
        if target.endswith("/report"):
            return 200, orjson.dumps(self.report())
        now = time.monotonic()
        if not self.arrive(now):
            self._refused.append(now)
            return 429, b'{"message": "too many requests"}'
        self._arrivals.append(now)
        return 200, b"{}"

    def report(self) -> dict[str, list[float]]:
        """When requests arrived that were accepted, and that were refused."""
        return {"arrivals": self._arrivals, "refused": self._refused}

    def arrive(self, at: float) -> bool:
        """Whether the window had room for a request at that time."""
        while self._window and self._window[0] <= at - 1.0:
            self._window.popleft()
        if len(self._window) >= self._limit:
            return False
        self._window.append(at)
        return True


class ContestedWindow(StrictWindow):
    """The same, used by others too, who retry nothing, from the first request on and until they are gone."""

    def __init__(self, limit: int, network: str, seed: int, others: Others, retry_after: int | None) -> None:
        super().__init__(limit, network, seed)
        self._pattern = others
        self._others_chance = random.Random(seed + 1000)
        self._retry_after = retry_after
        self._next = 0.0
        self._gone_at = 0.0
        self._others: list[float] = []

    def arrive(self, at: float) -> bool:
        if not self._gone_at:
            self._next, self._gone_at = at, at + self._pattern.seconds
        while self._next <= min(at, self._gone_at):
            if super().arrive(self._next):
                self._others.append(self._next)
            self._next += self._pattern.wait(self._others_chance)
        return super().arrive(at)

    def headers(self, status: int) -> str:
        return f"Retry-After: {self._retry_after}\r\n" if status == 429 and self._retry_after is not None else ""

    def report(self) -> dict[str, list[float]]:
        return super().report() | {"others": self._others, "gone": [self._gone_at]}
