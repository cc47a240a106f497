"""Several processes with one key and one Redis: together they keep to the limit, and use all of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
from redis import Redis

from amp_exp_async import RateLimitError, RedisRateLimit
from amp_exp_async.emulator import Emulator
from amp_exp_async.ratelimit.redis.lease_protocol import LeaseRequest, LeaseStoreError
from amp_exp_async.ratelimit.redis.store import RedisLeaseStore
from tests.clients import client_of
from tests.polling import TIMEOUT, wait_until
from tests.ratelimit.redis.conftest import MakeLimit
from tests.ratelimit.redis.redis_server import count_round_trips
from tests.ratelimit.redis.workers import arrivals, arrivals_since, send_repeatedly, start_workers
from tests.ratelimit.simulated_network import max_per_second

LATENCY = (0.02, 0.08)  # seconds of a round trip


def test_the_lease_of_a_killed_process_is_reused(make_limit: MakeLimit, redis_url: str) -> None:
    """Three processes keep to the limit, evenly, with few round trips, and use all of it after a fourth was killed."""
    with Emulator(latency=LATENCY, seed=1) as service, start_workers(4) as workers, Redis.from_url(redis_url) as redis:
        service.state.add_flag(id="1", key="x")
        for worker in workers:
            worker.start(service.base_url, service.api_key, make_limit(), concurrency=64)
        assert [worker.read_line() for worker in workers] == ["started"] * 4
        workers[0].kill()
        killed_at = time.monotonic()

        def full_use_with_few_round_trips() -> bool:
            round_trips, sent, started = count_round_trips(redis), len(service.requests), time.monotonic()
            time.sleep(1.0)
            round_trips, sent = count_round_trips(redis) - round_trips, len(service.requests) - sent
            full_use = max_per_second(arrivals_since(service, max(started, killed_at)) or [0.0]) >= 90
            return full_use and round_trips <= 0.5 * sent

        wait_until(full_use_with_few_round_trips)
        reports = [worker.stop() for worker in workers[1:]]
    times = arrivals(service)
    assert service.refused == 0
    assert max_per_second(times) <= 100
    assert [report["failed"] for report in reports] == [0] * 3
    assert min(report["done"] for report in reports) >= 0.15 * len(times)
    assert max(report["requests_today"] for report in reports) >= 0.9 * len(times)


@pytest.fixture
async def service() -> AsyncIterator[Emulator]:
    """A service with the limits of the real one."""
    async with Emulator(latency=LATENCY, seed=1) as emulator:
        emulator.state.add_flag(id="1", key="x")
        yield emulator


async def test_a_client_with_small_demand_is_not_starved(service: Emulator, make_limit: MakeLimit) -> None:
    """A client with one call at a time gets more than a 65th of the requests beside one with 64."""
    async with (
        client_of(service, rate_limit=make_limit()) as busy,
        client_of(service, rate_limit=make_limit()) as modest,
    ):
        load = [asyncio.create_task(send_repeatedly(busy)) for _ in range(64)]
        await modest.flags.get("1")
        counts = [len(service.requests)]
        async with asyncio.timeout(TIMEOUT):
            for _ in range(10):
                await modest.flags.get("1")
                counts.append(len(service.requests))
        for task in load:
            task.cancel()
        await asyncio.gather(*load, return_exceptions=True)
    assert counts[-1] - counts[0] <= 10 * 45
    # The permits of the other client are in use for about a second.
    assert max(after - before for before, after in pairwise(counts)) <= 200
    assert service.refused == 0


async def test_the_limit_of_the_day_is_shared(service: Emulator, make_limit: MakeLimit) -> None:
    """Together the clients send exactly as many requests as the day allows."""
    async with (
        client_of(service, rate_limit=make_limit(per_day=70)) as first,
        client_of(service, rate_limit=make_limit(per_day=70)) as second,
        client_of(service, rate_limit=make_limit(per_day=70)) as third,
    ):
        clients = (first, second, third)
        errors = await asyncio.gather(
            *(send_repeatedly(client) for client in clients for _ in range(8)), return_exceptions=True
        )
        assert all(isinstance(error, RateLimitError) and error.daily for error in errors)
        assert [client.usage.requests_today for client in clients] == [70] * 3
    assert len(service.requests) == 70


async def test_fewer_permits_than_clients_take_turns(redis_url: str, namespace: str) -> None:
    """Two clients never have the only permit at the same time, and each gets it in turn."""
    store = RedisLeaseStore(RedisRateLimit(redis_url), namespace)
    has = dict.fromkeys("ab", 0)
    served: set[str] = set()
    sequence = 0
    async with asyncio.timeout(TIMEOUT):
        while len(served) < 2:
            sequence += 1
            for client in has:
                response = await store.refresh(lease_request(client, sequence, wants=3, has=has[client]))
                has[client] = response.capacity
                served |= {client} if has[client] else set()
                assert sum(has.values()) <= 1
            has = dict.fromkeys(has, 0) if sequence % 2 else has
            await asyncio.sleep(0.02)
    await store.close()


async def test_a_late_request_changes_nothing(redis_url: str, namespace: str) -> None:
    """A request that arrives after a newer one of the same client gets no response."""
    store = RedisLeaseStore(RedisRateLimit(redis_url), namespace)
    assert (await store.refresh(lease_request("a", 2, wants=1, has=0))).capacity == 1
    with pytest.raises(LeaseStoreError):
        await store.refresh(lease_request("a", 1, wants=0, has=0))
    assert (await store.refresh(lease_request("b", 1, wants=1, has=0))).capacity == 0
    await store.close()


def lease_request(client: str, sequence: int, *, wants: int, has: int) -> LeaseRequest:
    """Return a request with a limit of one permit."""
    return LeaseRequest(
        client=client,
        sequence=sequence,
        acknowledged=0,
        elapsed=0,
        epoch=0,
        lease_expiry=4000,
        settling_time=0,
        per_second=1,
        per_day=0,
        wants=wants,
        has=has,
        day=0,
        released=0,
        debt=0,
        unused=0,
        reserve=0,
        min_used=0,
        pause=0,
        day_pause=0,
    )
