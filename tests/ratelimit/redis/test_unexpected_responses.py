"""Redis responds with anything but a lease: calls go on at the fallback rate, with one warning."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amp_exp_async import RedisRateLimit
from amp_exp_async.emulator import Emulator
from amp_exp_async.ratelimit.redis import lease_client
from amp_exp_async.ratelimit.redis.lease_protocol import LeaseStoreError, parse_response
from tests.clients import client_of
from tests.crossing import long_form
from tests.polling import TIMEOUT, eventually
from tests.ratelimit.redis.fake_redis import fake_redis, integers
from tests.ratelimit.redis.test_several_processes import lease_request
from tests.ratelimit.redis.workers import arrivals
from tests.ratelimit.simulated_network import max_per_second

FALLBACK = 20
LEASE = (50, 100, 1_800_000_000_000, 20_000, 100, 100, 0, 0, 0)
"""A response that is right, to a request that reserves at least 100."""
DAY = 86_400_000


def lease_with(index: int, value: int) -> bytes:
    """Return a lease with another number at one place."""
    return integers(*LEASE[:index], value, *LEASE[index + 1 :])


RESPONSES = {
    "eight texts": b"*8\r\n" + b"$1\r\n5\r\n" * 8,
    "nine texts": b"*9\r\n" + b"$1\r\n5\r\n" * 9,
    "nine nulls": b"*9\r\n" + b"$-1\r\n" * 9,
    "nine arrays": b"*9\r\n" + b"*1\r\n:5\r\n" * 9,
    "eight integers": integers(*LEASE[:8]),
    "ten integers": integers(*LEASE, 0),
    "an empty array": b"*0\r\n",
    "no array": b"*-1\r\n",
    "null": b"$-1\r\n",
    "an integer": b":9\r\n",
    "a text": b"$9\r\n123456789\r\n",
    "a status": b"+OK\r\n",
    "an error": b"-ERR canary-of-the-server\r\n",
    "an error of authentication": b"-NOAUTH canary-of-the-server\r\n",
    "an error about memory": b"-OOM canary-of-the-server\r\n",
    "an unknown script, again and again": b"-NOSCRIPT canary-of-the-server\r\n",
    "HTTP": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "zeros": b"\0" * 100,
    "a part": b"*9\r\n:1\r\n",
    "a huge length": b"*999999999\r\n",
    "a huge integer": b"*9\r\n:" + b"9" * 400 + b"\r\n",
    "a negative capacity": lease_with(0, -1),
    "a capacity above the limit": lease_with(0, 101),
    "no interval": lease_with(1, 0),
    "a long interval": lease_with(1, 10**9),
    "no epoch": lease_with(2, 0),
    "a negative day": lease_with(3, -1),
    "more reserved than requested": lease_with(4, 10**6),
    "negative use": lease_with(5, -5),
    "exhausted for years": lease_with(6, 10**12),
    "a pause of years": lease_with(7, 10**12),
    "a pause beyond 64 bits": b"*9\r\n" + b":%d\r\n" * 9 % (*LEASE[:7], 10**30, 0),
    "a negative pause": lease_with(7, -1),
    "a pause for days": lease_with(8, DAY + 1),
}


@pytest.fixture(autouse=True)
def frequent_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients do not wait a second before they try Redis again."""
    monkeypatch.setattr(lease_client, "_RETRY_INTERVAL", 0.1)


SHORT = (
    "eight texts",
    "nine nulls",
    "ten integers",
    "null",
    "an error of authentication",
    "an unknown script, again and again",
    "HTTP",
    "a part",
    "a huge integer",
    "a negative capacity",
    "no interval",
)


@pytest.mark.parametrize("name", long_form(RESPONSES, short=SHORT))
async def test_calls_go_on(name: str, emulator: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    """No call fails, none is beyond the fallback rate, and the warning quotes nothing of the response."""
    caplog.set_level(logging.INFO, "amp_exp_async")
    async with fake_redis(RESPONSES[name]) as redis, asyncio.timeout(TIMEOUT):
        limit = RedisRateLimit(redis.url, fallback_per_second=FALLBACK)
        async with client_of(emulator, rate_limit=limit) as client:
            await asyncio.gather(*(client.flags.list() for _ in range(FALLBACK - 3)))
            scripts = redis.scripts
            await eventually(lambda: redis.scripts > scripts or "Timeout" in caplog.text)
            await asyncio.gather(*(client.flags.list() for _ in range(3)))
    assert max_per_second(arrivals(emulator)) <= FALLBACK
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert f"127.0.0.1:{redis.port} is unavailable" in caplog.text
    assert "canary" not in caplog.text


async def test_a_right_response_after_wrong_ones(emulator: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    """The client uses the lease again, and logs it once."""
    caplog.set_level(logging.INFO, "amp_exp_async")
    async with (
        fake_redis(integers()) as redis,
        client_of(emulator, rate_limit=RedisRateLimit(redis.url)) as client,
    ):
        await client.flags.list()
        redis.response = integers(*LEASE[:4], 0, *LEASE[5:])
        await eventually(lambda: len(caplog.records) == 2)
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.binary(max_size=4) | st.text(max_size=4),
    lambda items: st.lists(items, max_size=12),
    max_leaves=12,
)
NEARLY_RIGHT = st.lists(st.integers(-2, 200) | st.just(1_800_000_000_000) | st.booleans(), min_size=8, max_size=10)


@given(values=VALUES | NEARLY_RIGHT)
def test_a_response_is_a_lease_or_rejected(values: Any) -> None:
    """Every value ends in a lease whose numbers are in their ranges, or in one kind of error."""
    request = lease_request("a", 1, wants=1, has=0)
    try:
        response = parse_response(values, request)
    except LeaseStoreError:
        return
    assert 0 <= response.capacity <= request.per_second
    assert 1 <= response.interval <= 3000
    assert response.reserved == 0
    assert max(response.exhausted_for, response.pause, response.day_pause) <= DAY
    assert all(type(value) is int for value in values)
