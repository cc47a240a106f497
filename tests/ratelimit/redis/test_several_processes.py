"""Several processes, one key, one real Redis: together they keep to the limit, and they use it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from redis import Redis

from amp_exp_async import AsyncExperimentClient, RateLimitError, RedisRateLimit
from amp_exp_async.emulator import Emulator
from amp_exp_async.ratelimit.redis.lease_client import LeaseRequest
from amp_exp_async.ratelimit.redis.store import RedisLeaseStore
from tests.ratelimit.redis.conftest import MakeLimit
from tests.ratelimit.redis.redis_server import count_round_trips
from tests.ratelimit.redis.workers import arrivals, most_in_a_second, order, report, workers

FAR = (0.02, 0.08)  # seconds of a round trip


def test_three_processes_after_a_fourth_was_killed(make_limit: MakeLimit, redis_url: str) -> None:
    """The limit is kept and used, evenly, in fewer round trips than requests, soon after one of them was killed.

    It gives nothing back, and does not have to.
    """
    with Emulator(latency=FAR, seed=1) as service, workers(4) as processes, Redis.from_url(redis_url) as client:
        service.state.add_flag(id="1", key="x")
        for process in processes:
            order(process, service, make_limit(), at_once=64, seconds=7.2)
        time.sleep(0.6)
        processes[0].kill()
        killed_at = time.monotonic()
        time.sleep(4.3)
        before, sent = count_round_trips(client), len(service.requests)
        time.sleep(2.0)
        asked, sent = count_round_trips(client) - before, len(service.requests) - sent
        reports = [report(process) for process in processes[1:]]
    times = arrivals(service)
    assert service.refused == 0
    assert most_in_a_second(times) <= 100
    assert len(reports) * 20 <= sum(at < killed_at for at in times) <= 100
    steady = [at for at in times if killed_at + 4.3 <= at < killed_at + 6.3]
    assert len(steady) / 2.0 >= 0.9 * 100
    assert asked <= 0.5 * sent
    assert min(each["done"] for each in reports) >= 0.15 * len(times)
    assert max(each["requests_today"] for each in reports) >= 0.9 * len(times)


@pytest.fixture
async def service() -> AsyncIterator[Emulator]:
    """A service with the real limit."""
    async with Emulator(latency=FAR, seed=1) as emulator:
        emulator.state.add_flag(id="1", key="x")
        yield emulator


# To Redis two clients are as two processes.


def client_of(service: Emulator, limit: RedisRateLimit) -> AsyncExperimentClient:
    return AsyncExperimentClient(service.api_key, base_url=service.base_url, rate_limit=limit)


async def test_one_who_waits_alone_beside_many(service: Emulator, make_limit: MakeLimit) -> None:
    """Who makes one call after the other is not starved by who makes 64 at once."""
    async with client_of(service, make_limit()) as many, client_of(service, make_limit()) as one:

        async def again_and_again() -> None:
            while True:
                await many.flags.get("1")

        load = [asyncio.create_task(again_and_again()) for _ in range(64)]
        await asyncio.sleep(0.3)
        waits: list[float] = []
        end = time.monotonic() + 2.2
        while (started := time.monotonic()) < end:
            await one.flags.get("1")
            waits.append(time.monotonic() - started)
        for task in load:
            task.cancel()
        await asyncio.gather(*load, return_exceptions=True)
    assert len(waits) >= 5  # with a share of one in 65 it would have fewer
    assert max(waits) <= 2.0  # the other's permits are in use for a second
    assert service.refused == 0


async def test_one_budget_for_the_day(service: Emulator, make_limit: MakeLimit) -> None:
    """Together they send as many requests as the day allows, not one more and not one less."""

    async def use_up(client: AsyncExperimentClient) -> None:
        while True:
            await client.flags.get("1")

    async with (
        client_of(service, make_limit(per_day=70)) as one,
        client_of(service, make_limit(per_day=70)) as two,
        client_of(service, make_limit(per_day=70)) as three,
    ):
        calls = [use_up(client) for client in (one, two, three) for _ in range(8)]
        errors = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(error, RateLimitError) and error.daily for error in errors)
        assert [client.usage.requests_today for client in (one, two, three)] == [70] * 3
    assert len(service.requests) == 70


async def test_fewer_permits_than_clients_take_turns(redis_url: str, namespace: str) -> None:
    """The only permit is never with two, and it is with each of them once in a while."""
    store = RedisLeaseStore(redis_url, namespace)
    held = dict.fromkeys("ab", 0)
    had: set[str] = set()
    end = time.monotonic() + 8.0
    number = 0
    while len(had) < 2:
        assert time.monotonic() < end
        number += 1
        for client in held:
            held[client] = (await store.refresh(ask(client, number, wants=3, has=held[client]))).capacity
            had |= {client} if held[client] else set()
            assert sum(held.values()) <= 1
        held = dict.fromkeys(held, 0) if number % 2 else held
        await asyncio.sleep(0.02)
    await store.close()


async def test_a_question_that_comes_late(redis_url: str, namespace: str) -> None:
    """One that was held up undoes nothing: it is not answered."""
    store = RedisLeaseStore(redis_url, namespace)
    assert (await store.refresh(ask("a", 2, wants=1, has=0))).capacity == 1
    with pytest.raises(TypeError):
        await store.refresh(ask("a", 1, wants=0, has=0))
    assert (await store.refresh(ask("b", 1, wants=1, has=0))).capacity == 0
    await store.close()


def ask(client: str, sequence: int, *, wants: int, has: int) -> LeaseRequest:
    """A question about the permits of a second, of which there is one."""
    return LeaseRequest(
        client=client,
        sequence=sequence,
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
