"""Redis goes away: requests go on at the stated rate, one warning says so, and all is well when it is back."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator

import pytest

from amp_exp_async import APITimeoutError, AsyncExperimentClient, RedisRateLimit
from amp_exp_async.emulator import Emulator
from tests.ratelimit.redis.redis_server import RedisServer
from tests.ratelimit.redis.workers import arrivals, most_in_a_second

FALLBACK = 10


@pytest.fixture
async def service() -> AsyncIterator[Emulator]:
    """A service that answers at once, and refuses what is over the real limit."""
    async with Emulator() as emulator:
        emulator.state.add_flag(id="1", key="x")
        yield emulator


async def busy(client: AsyncExperimentClient, at_once: int = 20) -> None:
    """Make calls until cancelled."""

    async def one_by_one() -> None:
        while True:
            await client.flags.get("1")

    await asyncio.gather(*(one_by_one() for _ in range(at_once)))


def since(emulator: Emulator, start: float) -> int:
    return sum(at >= start for at in arrivals(emulator))


async def test_killed_and_back(service: Emulator, own_redis: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    """Killed in the middle and started again, empty: slower meanwhile, never over the limit, and one line for each."""
    caplog.set_level(logging.INFO, "amp_exp_async")
    own_redis.start()
    limit = RedisRateLimit(own_redis.url, fallback_per_second=FALLBACK)
    options = {"base_url": service.base_url, "rate_limit": limit}
    async with (
        AsyncExperimentClient(service.api_key, **options) as one,
        AsyncExperimentClient(service.api_key, **options) as two,
    ):
        load = [asyncio.create_task(busy(client)) for client in (one, two)]
        await asyncio.sleep(0.7)
        assert since(service, 0.0) >= 100
        own_redis.kill()
        await asyncio.sleep(1.2)  # until what was sent before is over
        away = time.monotonic()
        await asyncio.sleep(1.1)
        assert FALLBACK <= since(service, away) <= 2 * FALLBACK
        own_redis.start()
        await asyncio.sleep(2.7)
        back = time.monotonic()
        await asyncio.sleep(1.1)
        assert since(service, back) >= 90
        for task in load:
            task.cancel()
        await asyncio.gather(*load, return_exceptions=True)
    assert service.refused == 0
    assert most_in_a_second(arrivals(service)) <= 100
    levels = [record.levelname for record in caplog.records]
    assert levels == ["WARNING", "INFO"]
    assert f"127.0.0.1:{own_redis.port} is unavailable (ConnectionError)" in caplog.text
    assert f"{FALLBACK} requests a second" in caplog.text


@pytest.mark.parametrize("how", ["refused", "silent"])
async def test_never_there(
    service: Emulator, how: str, own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Where nobody listens, or somebody who never answers, the first call takes half a second longer at the most."""
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        port = own_redis.port if how == "refused" else deaf.getsockname()[1]
        limit = RedisRateLimit(f"redis://:hidden-word@127.0.0.1:{port}", fallback_per_second=FALLBACK)
        async with AsyncExperimentClient(service.api_key, base_url=service.base_url, rate_limit=limit) as client:
            started = time.monotonic()
            await client.flags.get("1")
            assert time.monotonic() - started < 0.9
            await asyncio.gather(*(client.flags.get("1") for _ in range(FALLBACK - 1)))
            assert time.monotonic() - started < 1.0
            with pytest.raises(APITimeoutError):
                await client.with_options(deadline=0.2).flags.get("1")
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "hidden-word" not in caplog.text


async def test_a_wrong_password(service: Emulator, own_redis: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    """It is an outage like others, and the password is not in the log."""
    own_redis.password = "the-right-word"
    own_redis.start()
    url = own_redis.url.replace("right", "wrong")
    async with AsyncExperimentClient(
        service.api_key, base_url=service.base_url, rate_limit=RedisRateLimit(url)
    ) as client:
        await client.flags.get("1")
    assert "AuthenticationError" in caplog.text
    assert "word" not in caplog.text


async def test_with_a_password(service: Emulator, own_redis: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    """The right one opens it."""
    own_redis.password = "the-right-word"
    own_redis.start()
    async with AsyncExperimentClient(
        service.api_key, base_url=service.base_url, rate_limit=RedisRateLimit(own_redis.url)
    ) as client:
        await client.flags.get("1")
        with own_redis.client() as redis:
            names = redis.keys()
    assert caplog.records == []
    assert len(names) == 2
    assert not any(service.api_key.encode() in name for name in names)
