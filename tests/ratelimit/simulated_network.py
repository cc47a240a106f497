"""What lies between client and service, in virtual time: ways that take their time, and a strict window at the end."""

from __future__ import annotations

import asyncio
import math
import random
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Iterator

from attrs import define, field

from amp_exp_async.ratelimit.limiter import LocalRateLimiter
from tests.virtual_time import now


def most_in_a_second(arrivals: Iterable[float]) -> int:
    """The most arrivals in any window of one second, its end not included."""
    arrivals = sorted(arrivals)
    # Sums of floating-point numbers: a billionth of a second is no difference.
    return max(bisect_left(arrivals, at + 1.0 - 1e-9) - index for index, at in enumerate(arrivals))


def uniform(seed: random.Random, least: float, most: float) -> Callable[[], float]:
    """Seconds, drawn evenly."""
    return lambda: seed.uniform(least, most)


@define
class Network:
    """How long each way takes, drawn anew for every request."""

    there: Callable[[], float]
    back: Callable[[], float]
    arrivals: list[float] = field(factory=list[float])

    async def send(self, pacer: LocalRateLimiter) -> None:
        """One paced request and its reply."""
        await pacer.acquire(None)
        sent_at = now()
        await asyncio.sleep(self.there())
        self.arrivals.append(now())
        await asyncio.sleep(self.back())
        pacer.release(sent_at, reached=True, answered=True)

    def most_in_a_second(self) -> int:
        """The most arrivals in any window of one second, its end not included."""
        return most_in_a_second(self.arrivals)

    def steady_share(self, limit: int) -> float:
        """The share of the limit that is used once the network is known, in whole limits' worth of requests."""
        arrivals = sorted(self.arrivals)
        first = 10 * limit - 1
        last = first + (len(arrivals) - 1 - first) // limit * limit
        return (last - first) / (arrivals[last] - arrivals[first]) / limit


async def full_load(network: Network, pacer: LocalRateLimiter, requests: int, at_once: int = 64) -> None:
    """Send so many requests as fast as the pacer lets, as many at once as the client does."""
    left = iter(range(requests))

    async def worker() -> None:
        for _ in left:
            await network.send(pacer)

    await asyncio.gather(*(worker() for _ in range(at_once)))


@define
class StrictWindow:
    """So many requests in any one second, whoever sends them. What it refuses does not count."""

    limit: int = 100
    stray_at: float = math.inf
    """The first request from then on is refused whatever the window holds."""
    _window: deque[float] = field(factory=deque[float])

    def arrive(self) -> bool:
        """Whether there is room for one more, now."""
        while self._window and self._window[0] <= now() - 1.0:
            self._window.popleft()
        if now() >= self.stray_at:
            self.stray_at = math.inf
            return False
        if len(self._window) >= self.limit:
            return False
        self._window.append(now())
        return True


def evenly(rate: int) -> Iterator[float]:
    """Seconds between the requests of somebody who sends so many a second, evenly."""
    while True:
        yield 1 / rate


def at_random(rate: int, seed: int) -> Iterator[float]:
    """The same, each independent of the others (a Poisson process)."""
    drawn = random.Random(seed)
    while True:
        yield drawn.expovariate(rate)


def in_bursts(rate: int, size: int) -> Iterator[float]:
    """The same, so many at a time."""
    while True:
        yield from [size / rate, *[0.0] * (size - 1)]


@define
class Contest:
    """One key, used by others until they stop, and at full load by ours, which retries as the client does."""

    retry_after: float | None
    seed: int
    window: StrictWindow = field(factory=StrictWindow)
    ours: list[float] = field(factory=list[float])
    refused: list[float] = field(factory=list[float])
    others: list[float] = field(factory=list[float])

    async def run_others(self, waits: Iterator[float], until: float) -> None:
        """Send at the times that the waits make, and retry nothing."""
        for wait in waits:
            await asyncio.sleep(wait)
            if now() >= until:
                return
            if self.window.arrive():
                self.others.append(now())

    async def run_ours(self, pacer: LocalRateLimiter, until: float, at_once: int = 64) -> None:
        """Keep the pacer busy, with round trips of 20 to 80 ms."""
        drawn = random.Random(self.seed)
        await asyncio.gather(*(self._work(pacer, until, drawn) for _ in range(at_once)))

    async def _work(self, pacer: LocalRateLimiter, until: float, drawn: random.Random) -> None:
        attempt = 1
        while now() < until:
            await pacer.acquire(None)
            sent_at = now()
            await asyncio.sleep(drawn.uniform(0.01, 0.04))
            accepted = self.window.arrive()
            (self.ours if accepted else self.refused).append(now())
            await asyncio.sleep(drawn.uniform(0.01, 0.04))
            pacer.release(sent_at, reached=True, answered=True, throttled=not accepted)
            if accepted:
                attempt = 1
            else:
                wait = drawn.uniform(0.0, 0.25 * 2 ** (attempt - 1))
                attempt = attempt % 5 + 1
                pacer.pause(self.retry_after or wait)
                await asyncio.sleep((self.retry_after or 0.0) + wait)


def within(times: Iterable[float], first: float, last: float) -> int:
    """How many of the times lie between two."""
    return sum(first <= at < last for at in times)
