"""One client that shares its limit: what it leaves, what it says, and what others hear of it."""

from __future__ import annotations

import asyncio
import builtins
import gc
import os
import sys
import time
import traceback
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
from tests.ratelimit.redis.conftest import MakeLimit
from tests.ratelimit.redis.redis_server import count_round_trips

SECRET = "a-word-for-nobody"


def client_of(emulator: Emulator, limit: RedisRateLimit, **options: Any) -> AsyncExperimentClient:
    return AsyncExperimentClient(emulator.api_key, base_url=emulator.base_url, rate_limit=limit, **options)


def connections(redis_url: str) -> int:
    """How many connections run scripts in a Redis."""
    with Redis.from_url(redis_url) as redis:
        clients: Any = redis.client_list()
        return sum(client["cmd"] in {"eval", "evalsha"} for client in clients)


async def test_one_round_trip_for_a_request_now_and_then(
    emulator: Emulator, make_limit: MakeLimit, redis_url: str
) -> None:
    """Even where requests are few, there are no more round trips than requests."""
    with Redis.from_url(redis_url) as redis:
        async with client_of(emulator, make_limit()) as client:
            await client.flags.list()
            before = count_round_trips(redis)
            for _ in range(3):
                await asyncio.sleep(0.25)
                await client.flags.list()
            assert count_round_trips(redis) - before <= 3


async def test_nothing_is_left_behind(
    emulator: Emulator, make_limit: MakeLimit, redis_url: str, namespace: str
) -> None:
    """After closing, idle or in the middle of work, there is no task, no connection and no part in Redis."""
    for cancelled in (False, True):
        tasks = asyncio.all_tasks()
        client = client_of(emulator, make_limit(per_second=5), max_concurrency=8)
        load = [asyncio.create_task(client.flags.get("1")) for _ in range(8 if cancelled else 0)]
        if not cancelled:
            await client.flags.list()
        await asyncio.sleep(0.1)
        for task in load:
            task.cancel()
        await asyncio.gather(*load, return_exceptions=True)
        await client.aclose()
        await client.aclose()
        assert asyncio.all_tasks() == tasks
        await asyncio.sleep(0.05)
        assert connections(redis_url) == 0
        with Redis.from_url(redis_url) as redis:
            # What was sent keeps its permits, and the day its count.
            (parts, account) = sorted(redis.keys(f"{{{namespace}:*"), key=lambda name: name.endswith(b"account"))
            assert 0 < redis.pttl(parts) <= 4000
            assert 0 < redis.ttl(account) <= 2 * 86_400
    del client
    gc.collect()


async def test_a_cancelled_call_leaves_its_permit_to_the_next(emulator: Emulator, make_limit: MakeLimit) -> None:
    """Who is cancelled, or runs out of time, while waiting takes nothing with them."""
    async with client_of(emulator, make_limit(per_second=2), deadline=5.0) as client:
        await asyncio.gather(client.flags.list(), client.flags.list())
        waiting = [asyncio.create_task(client.flags.list()._collect()) for _ in range(3)]
        await asyncio.sleep(0.05)
        for task in waiting:
            task.cancel()
        with pytest.raises(APITimeoutError):
            await client.with_options(deadline=0.1).flags.list()
        started = time.monotonic()
        await asyncio.gather(client.flags.list(), client.flags.list())
        assert time.monotonic() - started < 1.2
    assert len(emulator.requests) == 4


async def test_a_pause_is_for_all(emulator: Emulator, make_limit: MakeLimit) -> None:
    """What the service answers one client pauses the others, of the second and of the day."""
    async with client_of(emulator, make_limit()) as one, client_of(emulator, make_limit(), deadline=0.2) as other:
        emulator.inject(Fault.status(429, retry_after=0.6))
        call = asyncio.create_task(one.with_options(retry=RetryPolicy(backoff_base=0.0)).flags.list()._collect())
        await asyncio.sleep(0.1)
        with pytest.raises(RateLimitError, match="the service has asked to pause"):
            await other.flags.list()
        await call
        emulator.inject(Fault.status(429, retry_after=7200))
        with pytest.raises(RateLimitError):
            await one.flags.list()
        await asyncio.sleep(0.7)
        with pytest.raises(RateLimitError) as caught:
            await other.flags.list()
        assert caught.value.daily
        assert caught.value.attempts == 0
        assert caught.value.retry_after == pytest.approx(7200, abs=5)
        assert len(emulator.requests) == 3


def test_the_blocking_client_also_after_a_fork(make_limit: MakeLimit) -> None:
    """Parent and child each have a part of their own, and keep to the limit together."""
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


def test_without_redis_py(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its absence is told, with what to install, and only those who ask for it need it."""
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.partition(".")[0] == "redis":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.delitem(sys.modules, "amp_exp_async.ratelimit.redis.store", raising=False)
    AsyncExperimentClient("a-key-of-no-account")
    with pytest.raises(ConfigurationError, match=r"install 'amp_exp_async\[redis\]'"):
        AsyncExperimentClient("a-key-of-no-account", rate_limit=RedisRateLimit("redis://localhost"))


@pytest.mark.parametrize(
    "url",
    [
        f"http://user:{SECRET}@localhost",
        f"redis://:{SECRET}@localhost:no-port",
        f"redis://:{SECRET}@localhost?db=first",
        f"redis://:{SECRET}@localhost?no_such_option={SECRET}",
        SECRET,
    ],
)
def test_a_url_that_is_none(url: str) -> None:
    """It is refused when the client is made, by a message that does not repeat it."""
    with pytest.raises(ConfigurationError, match="is not a Redis URL") as caught:
        AsyncExperimentClient("a-key-of-no-account", rate_limit=RedisRateLimit(url))
    assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("wrong", [{"url": ""}, {"url": 5}, {"per_second": None}, {"fallback_per_second": 0}])
def test_a_limit_that_is_none(wrong: dict[str, Any]) -> None:
    """It is refused by name."""
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        RedisRateLimit(**{"url": "redis://localhost", **wrong})


def test_the_password_is_shown_to_nobody() -> None:
    """Neither the limit nor the client nor anything that it holds shows the URL."""
    limit = RedisRateLimit(f"redis://:{SECRET}@localhost")
    client = AsyncExperimentClient("a-key-of-no-account", rate_limit=limit)
    connection = client._transport.session
    held = [limit, client, connection, *vars(connection).values(), *vars(connection.limiter).values()]
    lease_client: Any = connection.limiter._lease_client
    held += [*vars(lease_client).values(), *vars(lease_client._store).values()]
    assert SECRET not in "".join(map(repr, held))
