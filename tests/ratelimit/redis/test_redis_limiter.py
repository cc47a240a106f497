"""A client whose limit is shared through Redis: its configuration, its round trips, and what it leaves behind."""

from __future__ import annotations

import asyncio
import builtins
import os
import sys
import time
from typing import Any

import pytest
from redis import Redis

from amp_exp_async import (
    APITimeoutError,
    AsyncExperimentClient,
    ConfigurationError,
    ExperimentClient,
    RateLimitError,
    RedisRateLimit,
    RetryPolicy,
)
from amp_exp_async.emulator import Emulator, Fault
from amp_exp_async.ratelimit import SECONDS_PER_DAY
from tests.clients import client_of
from tests.polling import TIMEOUT, eventually
from tests.ratelimit.redis.conftest import MakeLimit
from tests.ratelimit.redis.redis_server import count_round_trips


def connections(redis_url: str) -> int:
    """Return the number of connections that have run a script."""
    with Redis.from_url(redis_url) as redis:
        clients: Any = redis.client_list()
        return sum(client["cmd"] in {"eval", "evalsha"} for client in clients)


async def test_rare_requests_need_one_round_trip_each(
    emulator: Emulator, make_limit: MakeLimit, redis_url: str
) -> None:
    """There are never more round trips to Redis than requests."""
    with Redis.from_url(redis_url) as redis:
        async with client_of(emulator, rate_limit=make_limit()) as client:
            await client.flags.list()
            before = count_round_trips(redis)
            for _ in range(3):
                await asyncio.sleep(0.25)
                await client.flags.list()
            assert count_round_trips(redis) - before <= 3


@pytest.mark.parametrize("busy", [False, True])
async def test_closing_leaves_nothing_behind(
    busy: bool, emulator: Emulator, make_limit: MakeLimit, redis_url: str, namespace: str
) -> None:
    """After closing there is no task and no connection; in Redis there are the permits in use and the day's count."""
    tasks = asyncio.all_tasks()
    client = client_of(emulator, rate_limit=make_limit(per_second=5), max_concurrency=8)
    calls = [asyncio.create_task(client.flags.get("1")) for _ in range(8 if busy else 0)]
    if busy:
        await eventually(lambda: len(emulator.requests) == 5)
    else:
        await client.flags.list()
    for task in calls:
        task.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    await client.aclose()
    with Redis.from_url(redis_url) as redis:
        account, leases = sorted(redis.keys(f"{{{namespace}:*"))
        assert 0 < redis.pttl(leases) <= 4000
        assert 0 < redis.ttl(account) <= 2 * 86_400
    await client.aclose()
    await eventually(lambda: asyncio.all_tasks() == tasks)  # a server of aiohttp 3.11 ends its own a moment later
    await eventually(lambda: connections(redis_url) == 0)


async def test_a_call_that_stops_waiting_takes_no_permit(emulator: Emulator, make_limit: MakeLimit) -> None:
    """This holds for calls that are cancelled and for calls whose deadline passes."""
    async with client_of(emulator, rate_limit=make_limit(per_second=2)) as client, asyncio.timeout(TIMEOUT):
        await asyncio.gather(client.flags.list(), client.flags.list())
        waiting = [asyncio.create_task(client.flags.list()._collect()) for _ in range(3)]
        await asyncio.sleep(0)
        for task in waiting:
            task.cancel()
        with pytest.raises(APITimeoutError):
            await client.with_options(deadline=0.001).flags.list()
        await asyncio.gather(client.flags.list(), client.flags.list())
    assert len(emulator.requests) == 4


@pytest.mark.parametrize(("retry_after", "daily"), [(50.0, False), (86400.0, True)], ids=["short", "daily"])
async def test_a_429_pauses_the_clients_of_all_processes(
    *, retry_after: float, daily: bool, emulator: Emulator, make_limit: MakeLimit, redis_url: str, namespace: str
) -> None:
    """A client that has sent nothing fails without a request if its deadline is before the end of the pause."""
    deadline = 20.0
    emulator.inject(Fault.status(429, retry_after=retry_after))
    async with (
        client_of(emulator, rate_limit=make_limit(), deadline=deadline) as first,
        client_of(emulator, rate_limit=make_limit(), deadline=deadline) as second,
    ):
        with pytest.raises(RateLimitError):
            await first.flags.list()
        with Redis.from_url(redis_url) as redis:
            (account,) = redis.keys(f"{{{namespace}:*account")
            await eventually(lambda: redis.hexists(account, "daily_pause" if daily else "second_pause"))
        with pytest.raises(RateLimitError) as caught:
            await second.flags.list()
    assert (caught.value.daily, caught.value.attempts) == (daily, 0)
    assert caught.value.retry_after is not None
    assert 0 < caught.value.retry_after <= retry_after
    assert len(emulator.requests) == 1


async def keep_listing(client: AsyncExperimentClient) -> None:
    """List flags until it fails."""
    while True:
        await client.flags.list()


@pytest.mark.parametrize("pause", ["second_pause", "daily_pause"])
@pytest.mark.parametrize("length", ["4102444800000", "9" * 15])
async def test_a_stored_pause_beyond_the_day(
    *, pause: str, length: str, emulator: Emulator, make_limit: MakeLimit, redis_url: str, namespace: str
) -> None:
    """It ends with the UTC day in which it began, and expires in Redis soon after."""
    async with client_of(emulator, rate_limit=make_limit(), deadline=5.0) as client:
        await client.flags.list()
        with Redis.from_url(redis_url) as redis:
            (account,) = redis.keys(f"{{{namespace}:*account")
            redis.hset(account, pause, f"{int(time.time() * 1000)} {length}")
            async with asyncio.timeout(TIMEOUT):
                with pytest.raises(RateLimitError) as caught:
                    await keep_listing(client)
            assert 0 < redis.ttl(account) <= 2 * SECONDS_PER_DAY
    assert caught.value.daily is (pause == "daily_pause")
    assert caught.value.retry_after is not None
    midnight = (time.time() // SECONDS_PER_DAY + 1) * SECONDS_PER_DAY
    assert caught.value.retry_after <= midnight - time.time() + TIMEOUT


async def test_requests_go_on_after_a_pause(emulator: Emulator, make_limit: MakeLimit) -> None:
    """The client that got the 429 retries, and the other one sends its request."""
    emulator.inject(Fault.status(429, retry_after=0.3))
    retry = RetryPolicy(backoff_base=0.0)
    async with (
        client_of(emulator, rate_limit=make_limit(), retry=retry) as first,
        client_of(emulator, rate_limit=make_limit()) as second,
    ):
        await first.flags.list()
        await second.flags.list()
    assert len(emulator.requests) == 3


def test_a_blocking_client_and_its_fork(make_limit: MakeLimit) -> None:
    """Parent and child have separate leases, and keep to the limit together."""
    with Emulator(per_second=5) as emulator:
        client = ExperimentClient(emulator.api_key, base_url=emulator.base_url, rate_limit=make_limit(per_second=5))
        list(client.flags.list())
        child = os.fork()
        if child == 0:
            status = 1
            try:
                for _ in range(3):
                    list(client.flags.list())
                client.close()
                status = 0
            finally:
                os._exit(status)
        for _ in range(3):
            list(client.flags.list())
        assert os.waitpid(child, 0)[1] == 0
        client.close()
        assert len(emulator.requests) == 7
        assert emulator.refused == 0


def test_redis_py_is_needed_only_for_a_redis_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without redis-py, other clients work, and the error says what to install."""
    real_import = builtins.__import__

    def import_without_redis(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.partition(".")[0] == "redis":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", import_without_redis)
    monkeypatch.delitem(sys.modules, "amp_exp_async.ratelimit.redis.store", raising=False)
    AsyncExperimentClient("key-without-account")
    with pytest.raises(ConfigurationError, match=r"install 'amp_exp_async\[redis\]'"):
        AsyncExperimentClient("key-without-account", rate_limit=RedisRateLimit("redis://localhost"))


@pytest.mark.parametrize("invalid", [{"url": ""}, {"url": 5}, {"per_second": None}, {"fallback_per_second": 0}])
def test_an_invalid_limit(invalid: dict[str, Any]) -> None:
    """The error names the argument."""
    with pytest.raises(ConfigurationError, match=next(iter(invalid))):
        RedisRateLimit(**{"url": "redis://localhost", **invalid})
