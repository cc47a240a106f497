"""What a client reports to Redis, in virtual time and without a server."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine
from itertools import pairwise
from typing import Any

import pytest
from attrs import define, field

from amp_exp_async import RedisRateLimit
from amp_exp_async.ratelimit.redis.lease_protocol import LeaseRequest, LeaseResponse, LeaseStoreError
from amp_exp_async.ratelimit.redis.limiter import RedisRateLimiter
from tests.virtual_time import now, run


@define
class RecordingStore:
    """A store that grants a number of permits.

    Attributes:
        capacity: the permits; None if the store is unavailable.
        requests: the requests so far, and when they came.
    """

    capacity: int | None = 30
    requests: list[tuple[float, LeaseRequest]] = field(factory=list[tuple[float, LeaseRequest]])
    location: str = "store:1"

    @property
    def last(self) -> LeaseRequest:
        """The last request."""
        return self.requests[-1][1]

    async def refresh(self, request: LeaseRequest) -> LeaseResponse:
        """Record the request."""
        self.requests.append((now(), request))
        await asyncio.sleep(0.001)
        if self.capacity is None:
            raise LeaseStoreError("no response")
        return LeaseResponse(
            capacity=self.capacity,
            interval=3000,
            epoch=7,
            day=20_000,
            reserved=request.reserve,
            used=123,
            exhausted_for=0,
            pause=0,
            day_pause=0,
        )

    async def close(self) -> None:
        """Do nothing."""


Scenario = Callable[[RedisRateLimiter, RecordingStore], Coroutine[Any, Any, None]]


def play(scenario: Scenario) -> None:
    """Run a scenario with a client of a store."""

    async def wrapped() -> None:
        store = RecordingStore()
        limiter = RedisRateLimiter(RedisRateLimit("redis://unused"), store, "recorded", lambda: 20_000 * 86_400 + now())
        try:
            await scenario(limiter, store)
        finally:
            limiter.close()
            await limiter.wait_closed()

    run(wrapped())


async def send(limiter: RedisRateLimiter, seconds: float = 0.05) -> None:
    """Send one request that takes some seconds."""
    await limiter.acquire(None)
    sent_at = now()
    await asyncio.sleep(seconds)
    limiter.release(sent_at, reached=True, answered=True)


@pytest.mark.parametrize(("idle", "acknowledged"), [(0.5, True), (2.5, True), (3.5, False), (3600.0, False)])
def test_a_client_reports_its_last_refresh(idle: float, *, acknowledged: bool) -> None:
    """Redis must still know it for three seconds; the requests of the day are reported in any case."""

    async def scenario(limiter: RedisRateLimiter, store: RecordingStore) -> None:
        await send(limiter)
        assert (store.last.sequence, store.last.acknowledged, store.last.epoch, store.last.min_used) == (1, 0, 0, 0)
        await asyncio.sleep(idle - 0.05)
        index = len(store.requests)
        await send(limiter)
        (refreshed_at, before), (asked_at, request) = store.requests[index - 1 : index + 1]
        assert (request.epoch, request.min_used) == (7, 123)
        assert request.acknowledged == (before.sequence if acknowledged else 0)
        if acknowledged:
            assert request.elapsed == pytest.approx((asked_at - refreshed_at) * 1000, abs=1.0)

    play(scenario)


def test_a_lease_that_has_expired_is_not_reported() -> None:
    """After a pause, a client has the permits in use only, although Redis has not told it that the others are lost."""

    async def scenario(limiter: RedisRateLimiter, store: RecordingStore) -> None:
        for _ in range(10):  # more refreshes than requests, so that none is made without need
            await send(limiter)
            await asyncio.sleep(1.5)
        assert [request.has for _, request in store.requests if request.wants > 1][1:] == [0] * 9

    play(scenario)


def test_permits_in_use_are_reported_in_time() -> None:
    """A client that waits for more permits also reports every second and a half what is in flight."""

    async def scenario(limiter: RedisRateLimiter, store: RecordingStore) -> None:
        slow = asyncio.create_task(send(limiter, seconds=10.0))
        await asyncio.sleep(0.1)
        store.capacity = 1
        await asyncio.sleep(1.5)
        waiting = asyncio.create_task(send(limiter))
        await asyncio.sleep(8.0)
        times = [time for time, request in store.requests if request.has]
        assert max(after - before for before, after in pairwise(times)) <= 1.51
        assert len(times) >= 6
        waiting.cancel()
        await slow

    play(scenario)


@pytest.mark.parametrize("seconds", [0.3, 1e9, math.inf])
@pytest.mark.parametrize("daily", [False, True])
def test_a_pause_is_reported_once(seconds: float, *, daily: bool) -> None:
    """A pause of any length is reported as a day at most, in one request."""

    async def scenario(limiter: RedisRateLimiter, store: RecordingStore) -> None:
        await send(limiter)
        limiter.pause(seconds, daily=daily)
        await asyncio.sleep(0.2)
        reports = [request.day_pause if daily else request.pause for _, request in store.requests]
        assert [report for report in reports if report] == [pytest.approx(min(seconds, 86_400) * 1000, abs=1.0)]

    play(scenario)


def test_a_client_that_was_alone_reports_what_it_may_use() -> None:
    """When the store is back, it learns of the permits of the fallback rate."""

    async def scenario(limiter: RedisRateLimiter, store: RecordingStore) -> None:
        store.capacity = None
        sending = asyncio.create_task(send(limiter, seconds=5.0))
        await asyncio.sleep(1.5)
        store.capacity = 50
        await asyncio.sleep(1.0)
        assert [(request.has, request.debt) for _, request in store.requests] == [(0, 0), (10, 1), (10, 1)]
        await sending

    play(scenario)
