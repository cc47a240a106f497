"""A server that keeps a strict sliding window, behind networks of several kinds."""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable

import orjson
from serving import Service

NETWORKS: dict[str, Callable[[random.Random], tuple[float, float]]] = {
    "10 to 40 ms each way": lambda chance: (chance.uniform(0.010, 0.040), chance.uniform(0.010, 0.040)),
    "20 to 80 ms split at random": lambda chance: _split(chance.uniform(0.020, 0.080), chance.random()),
    "loopback latency only": lambda _: (0.0, 0.0),
}


def _split(seconds: float, there: float) -> tuple[float, float]:
    return seconds * there, seconds * (1 - there)


class StrictWindow(Service):
    """So many requests in any one second, by the time of arrival; `/report` tells what arrived."""

    def __init__(self, limit: int, network: str, seed: int) -> None:
        self._limit = limit
        self._network = network
        self._chance = random.Random(seed)
        self._window: deque[float] = deque()
        self._arrivals: list[float] = []
        self._refused = 0

    def delays(self) -> tuple[float, float]:
        return NETWORKS[self._network](self._chance)

    def answer(self, target: str) -> tuple[int, bytes]:
        if target.endswith("/report"):
            return 200, orjson.dumps({"arrivals": self._arrivals, "refused": self._refused})
        now = time.monotonic()
        while self._window and self._window[0] <= now - 1.0:
            self._window.popleft()
        if len(self._window) >= self._limit:
            self._refused += 1
            return 429, b'{"message": "too many requests"}'
        self._window.append(now)
        self._arrivals.append(now)
        return 200, b"{}"
