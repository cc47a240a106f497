"""An outage of Redis: requests go on at the fallback rate, with one warning, until Redis is back."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator
from itertools import chain

import pytest

from amp_exp_async import RedisRateLimit
from amp_exp_async.emulator import Emulator
from amp_exp_async.ratelimit.redis import clients
from tests.clients import client_of
from tests.polling import eventually
from tests.ratelimit.redis.redis_server import RedisServer
from tests.ratelimit.redis.workers import arrivals, arrivals_since, send_repeatedly
from tests.ratelimit.simulated_network import max_per_second

FALLBACK = 10


@pytest.fixture
async def service() -> AsyncIterator[Emulator]:
    """A service that responds at once, with the limits of the real one."""
    async with Emulator() as emulator:
        emulator.state.add_flag(id="1", key="x")
        yield emulator


def limit_of(url: str) -> RedisRateLimit:
    return RedisRateLimit(url, fallback_per_second=FALLBACK)


def degraded() -> set[bool]:
    """Return whether Redis is unavailable for the clients of this process."""
    return {client.degraded for client in chain.from_iterable(clients._clients.values())}


async def test_redis_is_killed_and_restarted(
    service: Emulator, own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Without Redis the process keeps to the fallback rate; with an empty one it uses the whole limit again."""
    caplog.set_level(logging.INFO, "amp_exp_async")
    own_redis.start()
    async with (
        client_of(service, rate_limit=limit_of(own_redis.url)) as first,
        client_of(service, rate_limit=limit_of(own_redis.url)) as second,
    ):
        load = [asyncio.create_task(send_repeatedly(client)) for client in (first, second) for _ in range(20)]
        await eventually(lambda: len(service.requests) >= 100)
        own_redis.kill()
        await eventually(lambda: degraded() == {True})
        await asyncio.sleep(1.1)  # until all permits have cooled down
        fallen_back_at = time.monotonic()
        await eventually(lambda: len(arrivals_since(service, fallen_back_at)) >= 2 * FALLBACK)
        assert max_per_second(arrivals_since(service, fallen_back_at)) <= FALLBACK
        own_redis.start()
        await eventually(lambda: degraded() == {False})
        restarted_at = time.monotonic()
        await eventually(lambda: max_per_second(arrivals_since(service, restarted_at) or [0.0]) >= 90)
        for task in load:
            task.cancel()
        await asyncio.gather(*load, return_exceptions=True)
    assert service.refused == 0
    assert max_per_second(arrivals(service)) <= 100
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert f"127.0.0.1:{own_redis.port} is unavailable (ConnectionError)" in caplog.text
    assert f"at most {FALLBACK} requests a second" in caplog.text


@pytest.mark.parametrize("failure", ["connection refused", "no response"])
async def test_redis_was_never_available(
    service: Emulator, failure: str, own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Requests go out at the fallback rate, whether the connection is refused or Redis does not respond."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = own_redis.port if failure == "connection refused" else silent.getsockname()[1]
        async with client_of(service, rate_limit=limit_of(f"redis://:hidden-word@127.0.0.1:{port}")) as client:
            await asyncio.gather(*(client.flags.get("1") for _ in range(3 * FALLBACK)))
    assert max_per_second(arrivals(service)) == FALLBACK
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert ("TimeoutError" if failure == "no response" else "ConnectionError") in caplog.text
    assert "hidden-word" not in caplog.text


async def test_a_wrong_password(service: Emulator, own_redis: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    """A wrong password is an outage like any other, and the log does not show it."""
    own_redis.password = "the-right-word"
    own_redis.start()
    async with client_of(service, rate_limit=limit_of(own_redis.url.replace("right", "wrong"))) as client:
        await client.flags.get("1")
    assert "AuthenticationError" in caplog.text
    assert "word" not in caplog.text


async def test_the_right_password(service: Emulator, own_redis: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    """With the right password the lease is in Redis, without the API key."""
    own_redis.password = "the-right-word"
    own_redis.start()
    async with client_of(service, rate_limit=limit_of(own_redis.url)) as client:
        await client.flags.get("1")
        with own_redis.client() as redis:
            names = redis.keys()
    assert caplog.records == []
    assert len(names) == 2
    assert not any(service.api_key.encode() in name for name in names)
