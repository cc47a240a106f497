"""The password in the URL of Redis is in no message, traceback, context, repr, pickle and log line.

A traceback is walked as tools do that show local variables: each frame, each context and cause, and containers to any
depth.
"""

from __future__ import annotations

import asyncio
import copy
import logging
import pickle
import ssl
import sys
import traceback
from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import pytest
from redis.asyncio import ConnectionPool

from amp_exp_async import AsyncExperimentClient, ConfigurationError, RedisRateLimit
from amp_exp_async.emulator import Emulator
from amp_exp_async.ratelimit.redis import lease_client
from amp_exp_async.ratelimit.redis.lease_protocol import LeaseStoreError
from amp_exp_async.ratelimit.redis.store import RedisLeaseStore
from tests.clients import client_of
from tests.polling import TIMEOUT, eventually
from tests.ratelimit.redis.redis_server import RedisServer
from tests.ratelimit.redis.test_several_processes import lease_request

PASSWORD = "canary-Redis-password"
URL = f"redis://user:{PASSWORD}@127.0.0.1:1/0"
THIS_FILE = __file__


def texts_of(value: object, depth: int = 0) -> Iterator[str]:
    """Yield the texts that a tool shows for a value."""
    if isinstance(value, str | bytes):
        yield str(value)
    elif isinstance(value, Mapping) and depth < 10:
        for item in value.items():
            yield from texts_of(item, depth + 1)
    elif isinstance(value, list | tuple | set | frozenset) and depth < 10:
        for item in value:
            yield from texts_of(item, depth + 1)
    else:
        yield repr(value)


def chain_of(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and all that its contexts and causes lead to, suppressed ones too."""
    seen = set[int]()
    pending: list[BaseException | None] = [error]
    while pending:
        one = pending.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            yield one
            pending += [one.__context__, one.__cause__, *getattr(one, "exceptions", ())]


def shown(error: BaseException) -> str:
    """Return everything that a tool shows for an error, without the frames of this test."""
    texts = list[str]()
    for one in chain_of(error):
        texts += [str(one), repr(one), *texts_of(one.args), *texts_of(vars(one))]
        for frame, _ in traceback.walk_tb(one.__traceback__):
            if frame.f_code.co_filename != THIS_FILE:
                texts += [text for name, value in frame.f_locals.items() for text in (name, *texts_of(value))]
    return "\n".join(texts)


def test_the_walk_finds_a_password() -> None:
    """The frames of redis-py show the URL, also through a context that is suppressed."""
    error = None
    try:
        ConnectionPool.from_url(f"{URL}?db=first")
    except ValueError as cause:
        error = RuntimeError("short")
        error.__context__, error.__suppress_context__ = cause, True
    assert error is not None
    assert PASSWORD in shown(error)


@pytest.mark.parametrize(
    "url",
    [
        URL.replace("redis", "http", 1),
        URL.replace(":1/", ":no-port/"),
        f"{URL}?db=first",
        f"{URL}?no_such_option={PASSWORD}",
        PASSWORD,
        f"unix://user:{PASSWORD}@/socket?health_check_interval={PASSWORD}",
    ],
)
def test_a_url_that_redis_does_not_know(url: str) -> None:
    """The error of the client shows neither the URL nor what is wrong in it."""
    with pytest.raises(ConfigurationError, match="rate_limit has a URL that is not a Redis URL") as caught:
        AsyncExperimentClient("key-without-account", rate_limit=RedisRateLimit(url))
    assert PASSWORD not in shown(caught.value)
    assert (caught.value.argument, caught.value.got) == ("rate_limit", "")


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
    assert PASSWORD not in shown(caught.value)


def test_a_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error that redis-py is not installed does not show the URL."""
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    monkeypatch.delitem(sys.modules, "amp_exp_async.ratelimit.redis.store")
    with pytest.raises(ConfigurationError, match="which needs the package redis") as caught:
        AsyncExperimentClient("key-without-account", rate_limit=RedisRateLimit(URL))
    assert PASSWORD not in shown(caught.value)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_the_limit_cannot_be_pickled(protocol: int) -> None:
    """The message says what to do instead."""
    with pytest.raises(TypeError, match=r"RedisRateLimit cannot be pickled, .* Create one in each process") as caught:
        pickle.dumps(RedisRateLimit(URL), protocol)
    assert PASSWORD not in shown(caught.value)


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
    assert list(chain_of(caught.value)) == [caught.value]
    assert PASSWORD not in shown(caught.value) + caplog.text


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
    assert PASSWORD not in shown(caught.value)


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
