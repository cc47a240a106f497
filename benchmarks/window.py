"""A server with a strict moving window, behind several kinds of networks."""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import orjson

from .serving import Service

NETWORKS: dict[str, Callable[[random.Random], tuple[float, float]]] = {
    "10 to 40 ms each way": lambda rng: (rng.uniform(0.010, 0.040), rng.uniform(0.010, 0.040)),
    "20 to 80 ms split at random": lambda rng: _split(rng.uniform(0.020, 0.080), rng.random()),
    "loopback latency only": lambda _: (0.0, 0.0),
}


def _split(seconds: float, share: float) -> tuple[float, float]:
    return seconds * share, seconds * (1 - share)


@dataclass(frozen=True)
class Others:
    """Other processes that use the key.

    Attributes:
        rate: their requests a second.
        seconds: how long they send.
        evenly: whether their requests are evenly spaced, or independent of each other.
    """

    rate: float
    seconds: float
    evenly: bool

    def interval(self, rng: random.Random) -> float:
        """Return the seconds from one of their requests to the next."""
        return 1 / self.rate if self.evenly else rng.expovariate(self.rate)


class StrictWindow(Service):
    """A service that accepts a number of requests in any one second; `/report` returns when they arrived."""

    def __init__(self, limit: int, network: str, seed: int) -> None:
        self._limit = limit
        self._network = network
        self._rng = random.Random(seed)
        self._window: deque[float] = deque()
        self._arrivals: list[float] = []
        self._rejected: list[float] = []

    def delays(self) -> tuple[float, float]:
        return NETWORKS[self._network](self._rng)

    def answer(self, method: str, target: str) -> tuple[int, bytes]:  # noqa: ARG002 - only GET is sent
        if target.endswith("/report"):
            return 200, orjson.dumps(self.report())
        now = time.monotonic()
        if not self.accept(now):
            self._rejected.append(now)
            return 429, b'{"message": "too many requests"}'
        self._arrivals.append(now)
        return 200, b"{}"

    def report(self) -> dict[str, list[float]]:
        """Return when the accepted and the rejected requests arrived."""
        return {"arrivals": self._arrivals, "rejected": self._rejected}

    def accept(self, now: float) -> bool:
        """Return whether the window has room for a request."""
        while self._window and self._window[0] <= now - 1.0:
            self._window.popleft()
        if len(self._window) >= self._limit:
            return False
        self._window.append(now)
        return True


class SharedWindow(StrictWindow):
    """The same service while other processes use the key, from the first request on and without retries."""

    def __init__(self, limit: int, network: str, seed: int, others: Others, retry_after: int | None) -> None:
        super().__init__(limit, network, seed)
        self._pattern = others
        self._others_rng = random.Random(seed + 1000)
        self._retry_after = retry_after
        self._next_at = 0.0
        self._stopped_at = 0.0
        self._others: list[float] = []

    def accept(self, now: float) -> bool:
        if not self._stopped_at:
            self._next_at, self._stopped_at = now, now + self._pattern.seconds
        while self._next_at <= min(now, self._stopped_at):
            if super().accept(self._next_at):
                self._others.append(self._next_at)
            self._next_at += self._pattern.interval(self._others_rng)
        return super().accept(now)

    def headers(self, status: int) -> str:
        return f"Retry-After: {self._retry_after}\r\n" if status == 429 and self._retry_after is not None else ""

    def report(self) -> dict[str, list[float]]:
        return super().report() | {"others": self._others, "stopped_at": [self._stopped_at]}
