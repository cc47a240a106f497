"""A Redis server for all tests of a worker, and one for each test that kills it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from amp_exp_async import RedisRateLimit
from amp_exp_async.ratelimit.redis import lease_client
from tests.ratelimit.redis.redis_server import MISSING, RedisServer, find_server

MakeLimit = Callable[..., RedisRateLimit]


@pytest.fixture(scope="session")
def server_path() -> str:
    """The path of a server. Skips the test if none is installed."""
    path = find_server()
    if path is None:
        pytest.skip(MISSING)
    return path


@pytest.fixture(scope="session")
def redis_url(server_path: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server that is running."""
    server = RedisServer(server_path, tmp_path_factory.mktemp("redis"))
    server.start()
    yield server.url
    server.kill()


@pytest.fixture
def own_redis(server_path: str, tmp_path: Path) -> Iterator[RedisServer]:
    """A server that the test starts and kills."""
    server = RedisServer(server_path, tmp_path)
    yield server
    server.kill()


@pytest.fixture(autouse=True)
def no_settling(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients of this process get permits at once from an empty Redis, except in tests of `settling`."""
    if "settling" not in request.fixturenames:
        monkeypatch.setattr(lease_client, "SETTLING_TIME", 0.0)


@pytest.fixture
def settling() -> float:
    """The seconds for which clients get no more permits than they have after Redis was emptied."""
    return lease_client.SETTLING_TIME


@pytest.fixture
def namespace() -> str:
    """A namespace that no other test uses."""
    return f"test-{secrets.token_hex(4)}"


@pytest.fixture
def make_limit(redis_url: str, namespace: str) -> MakeLimit:
    """Returns limits that share their permits."""
    return lambda **limits: RedisRateLimit(redis_url, namespace=namespace, **limits)
