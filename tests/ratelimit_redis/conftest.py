"""A Redis for all of these tests, and one for each that kills it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from amp_exp_async import RedisRateLimit
from tests.ratelimit_redis.redis_server import RedisServer

Limit = Callable[..., RedisRateLimit]


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real Redis: the environment's, or one of our own."""
    url = os.environ.get("AMP_EXP_ASYNC_REDIS_URL")
    if url:
        assert urlsplit(url).scheme
        yield url
        return
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server.url
    server.kill()


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis that the test may kill. It is not running yet."""
    server = RedisServer(tmp_path)
    yield server
    server.kill()


@pytest.fixture
def namespace() -> str:
    """Names in Redis that no other test uses."""
    return f"test-{secrets.token_hex(4)}"


@pytest.fixture
def limit(redis_url: str, namespace: str) -> Limit:
    """Makes limits that share one set of accounts."""
    return lambda **limits: RedisRateLimit(redis_url, namespace=namespace, **limits)
