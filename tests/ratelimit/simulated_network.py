"""A network with delays and a service with a strict moving window, both in virtual time."""

from __future__ import annotations

import asyncio
import math
import random
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Iterator

from attrs import define, field

from amp_exp_async.ratelimit import RateLimiter
from tests.virtual_time import now


def max_per_second(arrivals: Iterable[float]) -> int:
    """Return the maximum number of arrivals in any window of one second, its end excluded."""
    arrivals = sorted(arrivals)
    # Sums of floating-point numbers: a difference of a billionth of a second is none.
    return max(bisect_left(arrivals, start + 1.0 - 1e-9) - index for index, start in enumerate(arrivals))


def count_within(times: Iterable[float], start: float, end: float) -> int:
    """Return how many of the times lie in an interval."""
    return sum(start <= time < end for time in times)


def uniform(rng: random.Random, low: float, high: float) -> Callable[[], float]:
    """Return a function that draws from a uniform distribution."""
    return lambda: rng.uniform(low, high)


@define
class Network:
    """A network that delays each request and each response.

    Attributes:
        to_service: returns the delay of the next request.
        to_client: returns the delay of the next response.
        arrivals: when requests arrived at the service.
    """

    to_service: Callable[[], float]
    to_client: Callable[[], float]
    arrivals: list[float] = field(factory=list[float])

    async def send(self, limiter: RateLimiter) -> None:
        """Send one request when the limiter permits it, and wait for the response."""
        await limiter.acquire(None)
        sent_at = now()
        await asyncio.sleep(self.to_service())
        self.arrivals.append(now())
        await asyncio.sleep(self.to_client())
        limiter.release(sent_at, reached=True, answered=True)

    def max_per_second(self) -> int:
        """Return the maximum number of arrivals in any window of one second, its end excluded."""
        return max_per_second(self.arrivals)

    def steady_share(self, limit: int) -> float:
        """Return the used share of a limit after the first ten seconds, measured over multiples of the limit."""
        arrivals = sorted(self.arrivals)
        first = 10 * limit - 1
        last = first + (len(arrivals) - 1 - first) // limit * limit
        return (last - first) / (arrivals[last] - arrivals[first]) / limit


async def send_all(network: Network, limiter: RateLimiter, requests: int, concurrency: int = 64) -> None:
    """Send a number of requests as fast as the limiter permits."""
    remaining = iter(range(requests))

    async def worker() -> None:
        for _ in remaining:
            await network.send(limiter)

    await asyncio.gather(*(worker() for _ in range(concurrency)))


@define
class StrictWindow:
    """A service that accepts a number of requests in any one second, and does not count those that it rejects.

    Attributes:
        limit: the number of requests.
        stray_at: when to reject one request even if the window has room.
    """

    limit: int = 100
    stray_at: float = math.inf
    _window: deque[float] = field(factory=deque[float])

    def accept(self) -> bool:
        """Return whether a request that arrives now is accepted."""
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
    """Yield the intervals of requests that are evenly spaced, in seconds."""
    while True:
        yield 1 / rate


def at_random(rate: int, seed: int) -> Iterator[float]:
    """Yield the intervals of independent requests (a Poisson process)."""
    rng = random.Random(seed)
    while True:
        yield rng.expovariate(rate)


def in_bursts(rate: int, size: int) -> Iterator[float]:
    """Yield the intervals of requests in bursts."""
    while True:
        yield from [size / rate, *[0.0] * (size - 1)]


@define
class SharedKey:
    """One key that our client uses at full load, with retries, while other processes use it too.

    Attributes:
        retry_after: the seconds in the `Retry-After` of a 429; None for no such header.
        seed: the seed of delays and jitter.
        window: the service.
        accepted: when our requests arrived that were accepted.
        rejected: when our requests arrived that were rejected.
        others: when requests of other processes arrived that were accepted.
    """

    retry_after: float | None
    seed: int
    window: StrictWindow = field(factory=StrictWindow)
    accepted: list[float] = field(factory=list[float])
    rejected: list[float] = field(factory=list[float])
    others: list[float] = field(factory=list[float])

    async def run_others(self, intervals: Iterator[float], end: float) -> None:
        """Send the requests of other processes, without retries."""
        for interval in intervals:
            await asyncio.sleep(interval)
            if now() >= end:
                return
            if self.window.accept():
                self.others.append(now())

    async def run_ours(self, limiter: RateLimiter, end: float, concurrency: int = 64) -> None:
        """Send our requests, with round trips of 20 to 80 ms."""
        rng = random.Random(self.seed)
        await asyncio.gather(*(self._work(limiter, end, rng) for _ in range(concurrency)))

    async def _work(self, limiter: RateLimiter, end: float, rng: random.Random) -> None:
        attempt = 1
        while now() < end:
            await limiter.acquire(None)
            sent_at = now()
            await asyncio.sleep(rng.uniform(0.01, 0.04))
            accepted = self.window.accept()
            (self.accepted if accepted else self.rejected).append(now())
            await asyncio.sleep(rng.uniform(0.01, 0.04))
            limiter.release(sent_at, reached=True, answered=True, throttled=not accepted)
            if accepted:
                attempt = 1
            else:
                wait = rng.uniform(0.0, 0.25 * 2 ** (attempt - 1))
                attempt = attempt % 5 + 1
                limiter.pause(self.retry_after or wait)
                await asyncio.sleep((self.retry_after or 0.0) + wait)
