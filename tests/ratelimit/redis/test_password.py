"""The password in the URL of Redis is in no message, traceback, context, repr, pickle and log line."""

from __future__ import annotations

import asyncio
import copy
import logging
import pickle
import ssl
import sys
from typing import Any

import attrs
import pytest

from amp_exp_async import AsyncExperimentClient, ConfigurationError, RedisRateLimit
from amp_exp_async.emulator import Emulator
from amp_exp_async.ratelimit.redis import lease_client
from amp_exp_async.ratelimit.redis.lease_protocol import LeaseStoreError
from amp_exp_async.ratelimit.redis.store import RedisLeaseStore
from tests.clients import client_of
from tests.polling import TIMEOUT, eventually
from tests.ratelimit.redis.redis_server import RedisServer
from tests.ratelimit.redis.test_several_processes import lease_request
from tests.reliability.exposure import find_secrets

PASSWORD = "canary-Redis-password"
URL = f"redis://user:{PASSWORD}@127.0.0.1:1/0"


@pytest.mark.parametrize(
    "url",
    [
        f"{URL}?db=first",
        f"{URL}?no_such_option={PASSWORD}",
        f"unix://user:{PASSWORD}@/socket?health_check_interval={PASSWORD}",
    ],
)
def test_an_option_that_redis_does_not_know(url: str) -> None:
    """The error of the client shows neither the URL nor what is wrong in it."""
    with pytest.raises(ConfigurationError, match="rate_limit has a URL that is not a Redis URL") as caught:
        AsyncExperimentClient("key-without-account", rate_limit=RedisRateLimit(url))
    assert find_secrets(caught.value, [PASSWORD]) == []
    assert (caught.value.argument, caught.value.got) == ("rate_limit", "")


@pytest.mark.parametrize(
    "url",
    [
        PASSWORD,
        f"redis:{PASSWORD}",
        f"redis:/{PASSWORD}",
        f"rediss:user:{PASSWORD}@127.0.0.1",
        f"unix:{PASSWORD}",
        f"unix://{PASSWORD}",
        URL.replace("redis", "http", 1),
        URL.replace(":1/", ":no-port/"),
        f"redis://user:{PASSWORD}/1@127.0.0.1",
        f"redis://user:1/{PASSWORD}@127.0.0.1",
        f"redis://user:1#{PASSWORD}@127.0.0.1",
        f"redis://user:{PASSWORD}@[::1",
    ],
)
def test_what_is_not_a_url_of_redis(url: str) -> None:
    """It is rejected at once, and nothing shows it: redis-py would connect to another host, or without a password."""
    with pytest.raises(ConfigurationError, match=r"^url is not a Redis URL\. Use a URL like") as caught:
        RedisRateLimit(url)
    assert find_secrets(caught.value, [PASSWORD]) == []
    assert ("Percent-encode" in str(caught.value)) == ("@" in url)


@pytest.mark.parametrize(
    "url",
    [
        "redis://",
        "redis://host",
        "rediss://host:1/2",
        "redis://:p%2Fw@[::1]:1/0?password=a@b",
        "unix:///a@b",
        "unix://u:p@/a",
    ],
)
def test_urls_of_redis(url: str) -> None:
    """All forms of redis-py are accepted."""
    assert RedisRateLimit(url).url == url


@pytest.mark.parametrize(
    ("invalid", "argument"),
    [
        ({"url": URL.encode()}, "url"),
        ({"url": [URL]}, "url"),
        ({"url": URL, "per_second": 0}, "per_second"),
        ({"url": URL, "per_day": "many"}, "per_day"),
        ({"url": URL, "fallback_per_second": 1.5}, "fallback_per_second"),
        ({"url": URL, "namespace": ""}, "namespace"),
    ],
)
def test_a_setting_that_is_invalid(invalid: dict[str, Any], argument: str) -> None:
    """The error of the settings shows the setting, and not the URL."""
    with pytest.raises(ConfigurationError, match=f"^{argument} must be ") as caught:
        RedisRateLimit(**invalid)
    assert caught.value.argument == argument
    assert find_secrets(caught.value, [PASSWORD]) == []


def test_a_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error that redis-py is not installed does not show the URL."""
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    monkeypatch.delitem(sys.modules, "amp_exp_async.ratelimit.redis.store")
    with pytest.raises(ConfigurationError, match="which needs the package redis") as caught:
        AsyncExperimentClient("key-without-account", rate_limit=RedisRateLimit(URL))
    assert find_secrets(caught.value, [PASSWORD]) == []


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_the_limit_cannot_be_pickled(protocol: int) -> None:
    """The message says what to do instead."""
    with pytest.raises(TypeError, match=r"RedisRateLimit cannot be pickled, .* Create one in each process") as caught:
        pickle.dumps(RedisRateLimit(URL), protocol)
    assert find_secrets(caught.value, [PASSWORD]) == []


def test_the_limit_is_a_value() -> None:
    """Limits with the same URL are equal, and can be copied and changed."""
    limit = RedisRateLimit(URL, per_second=5)
    assert limit == RedisRateLimit(URL, per_second=5) != RedisRateLimit(f"{URL}1", per_second=5)
    assert hash(limit) == hash(RedisRateLimit(URL, per_second=5))
    assert copy.copy(limit) == copy.deepcopy(limit) == limit
    assert attrs.evolve(limit, per_second=6) == RedisRateLimit(URL, per_second=6)
    assert limit.url == URL
    assert PASSWORD not in f"{limit} {attrs.asdict(limit)}"


@pytest.mark.parametrize("failure", ["no server", "wrong password", "no TLS", "no response"])
async def test_a_failure_of_redis(failure: str, own_redis: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    """The error of the store has no context, and shows the kind of the failure only."""
    caplog.set_level(logging.DEBUG)
    url = f"redis://:{PASSWORD}@127.0.0.1:{own_redis.port}/0"
    if failure != "no server":
        own_redis.password = "another-password"
        own_redis.start()
    if failure == "no TLS":
        url = url.replace("redis:", "rediss:")
    if failure == "no response":
        own_redis.password = PASSWORD
        own_redis.freeze()
    store = RedisLeaseStore(RedisRateLimit(url), "name")
    with pytest.raises(LeaseStoreError, match=r"^\w+Error$") as caught:
        await store.refresh(lease_request("a", 1, wants=1, has=0))
    await store.close()
    assert (caught.value.__context__, caught.value.__cause__) == (None, None)
    assert find_secrets(caught.value, [PASSWORD]) == []
    assert PASSWORD not in caplog.text


async def test_a_cancelled_refresh(own_redis: RedisServer) -> None:
    """A task that is cancelled while it waits for Redis ends without the frames of redis-py."""
    own_redis.password = PASSWORD
    own_redis.start()
    own_redis.freeze()
    store = RedisLeaseStore(RedisRateLimit(own_redis.url), "name")
    task = asyncio.create_task(store.refresh(lease_request("a", 1, wants=1, has=0)))
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    await store.close()
    assert find_secrets(caught.value, [PASSWORD]) == []


async def test_a_task_that_fails(
    emulator: Emulator, own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever fails beside Redis, calls go on at the fallback rate, and one warning names the type of the error."""
    own_redis.password = PASSWORD
    own_redis.start()

    def fail(*_: object) -> None:
        raise ssl.SSLError(f"{own_redis.url} failed")

    async with client_of(emulator, rate_limit=RedisRateLimit(own_redis.url)) as client, asyncio.timeout(TIMEOUT):
        await client.flags.list()
        monkeypatch.setattr(lease_client.LeaseClient, "_acknowledge", fail)
        await asyncio.gather(*(client.flags.list() for _ in range(15)))
        monkeypatch.setattr(lease_client.LeaseClient, "_build_request", fail)
        await asyncio.gather(*(client.flags.list() for _ in range(15)))
        monkeypatch.undo()
        await eventually(lambda: not client._transport.session.limiter._lease_client.degraded)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "SSLError" in caplog.text
    assert PASSWORD not in caplog.text


def test_no_repr_shows_the_password() -> None:
    """Neither the limit, nor the client, nor anything that the client holds shows the URL."""
    limit = RedisRateLimit(URL)
    client = AsyncExperimentClient("key-without-account", rate_limit=limit)
    session: Any = client._transport.session
    lease = session.limiter._lease_client
    held = [limit, client, session, *vars(session).values(), *vars(session.limiter).values()]
    held += [*vars(lease).values(), *vars(lease._store).values()]
    assert PASSWORD not in "".join(map(repr, held))
