"""The key and all passwords go through everything that fails, and appear in no error, traceback or log."""

from __future__ import annotations

import asyncio
import base64
import random
from collections.abc import Callable
from typing import Any

import pytest

from amp_exp_async import (
    AmpExpError,
    AsyncExperimentClient,
    ConfigurationError,
    Edit,
    ExperimentClient,
    InvalidInputError,
    RedisRateLimit,
    RetryPolicy,
)
from tests.crossing import cross, slow
from tests.polling import TIMEOUT
from tests.reliability.conftest import SESSION_PATHS
from tests.reliability.exposure import LogWatch, find_secrets
from tests.reliability.figures import Figures
from tests.reliability.hostile_responses import GOOD, SCENARIOS, Scenario, keeps, sends
from tests.reliability.raw_server import RawConnection, RawServer, Script

AREA = "Secrets"
KEY = "canary-key-of-the-secrets"
PROXY_PASSWORD = "canary-password-of-the-proxy"
REDIS_PASSWORD = "canary-password-of-redis"
SECRETS = [KEY, PROXY_PASSWORD, REDIS_PASSWORD, base64.b64encode(f"user:{PROXY_PASSWORD}".encode()).decode()[:40]]
ATTEMPTS = 2

SCHEMES = ("http", "https")
_SHORT = random.Random(12).sample(SCENARIOS, 40)
_LONG = [scenario for scenario in SCENARIOS if scenario not in _SHORT]
each_scenario = pytest.mark.parametrize(("scenario", "scheme"), [*cross(_SHORT, SCHEMES), *slow(cross(_LONG, SCHEMES))])


def proxied_client(server: RawServer, scheme: str, scenario: Scenario) -> AsyncExperimentClient:
    """Return a client that reaches a service through a proxy: over HTTP, or by CONNECT."""
    return AsyncExperimentClient(
        KEY,
        base_url=f"{scheme}://127.0.0.1:9",
        proxy=f"http://user:{PROXY_PASSWORD}@127.0.0.1:{server.port}",
        rate_limit=None,
        retry=RetryPolicy(max_attempts=ATTEMPTS, backoff_base=0.0),
        timeout=0.1 if scenario.hangs else 20.0,
    )


async def error_of(call: Any) -> BaseException | None:
    """Return the documented error of a call, or None."""
    async with asyncio.timeout(TIMEOUT):
        try:
            await call
        except AmpExpError as error:
            return error
    return None


def check(error: BaseException | None, log_watch: LogWatch, figures: Figures) -> None:
    """Assert that a secret shows neither in an error nor in the logs."""
    if error is not None:
        assert find_secrets(error, SECRETS) == []
        figures.count("errors looked through")
    assert log_watch.found == []
    figures.count("log records looked through", log_watch.records)


@each_scenario
async def test_a_hostile_proxy(log_watch: LogWatch, figures: Figures, scenario: Scenario, scheme: str) -> None:
    """Whatever a proxy answers, also to CONNECT, no error and no log shows the key or its password."""
    log_watch.secrets += SECRETS
    with RawServer(scenario.script) as server:
        async with proxied_client(server, scheme, scenario) as client:
            read = await error_of(client.flags.get("1"))
            write = await error_of(client.flags.users.remove_at("1", "on", 0))
    if scheme == "https":
        assert read is not None
        assert write is not None
        assert all(request.method == "CONNECT" for request in server.requests)
        assert scenario.hangs or "may have been" not in str(write), "nothing was sent to the service"
    check(read, log_watch, figures)
    check(write, log_watch, figures)


STAGES: dict[str, Script] = {
    "before the response": keeps(b""),
    "in the headers": keeps(GOOD[:30]),
    "in the body": keeps(GOOD[:-1]),
}


async def _wait_for(call: Any) -> None:
    await asyncio.wait_for(call, 0.05)


async def _timeout(call: Any) -> None:
    async with asyncio.timeout(0.05):
        await call


async def _cancel(call: Any) -> None:
    task = asyncio.ensure_future(call)
    await asyncio.sleep(0.05)
    task.cancel("enough")
    await task


@pytest.mark.parametrize(
    ("interrupt", "stage", "session_path"),
    cross([_wait_for, _timeout, _cancel], list(STAGES), SESSION_PATHS),
    indirect=["session_path"],
)
async def test_interrupted_calls(
    make_client: Any, log_watch: LogWatch, figures: Figures, interrupt: Callable[[Any], Any], stage: str
) -> None:
    """A call that is cancelled at any stage leads to no secret."""
    log_watch.secrets += SECRETS
    calls: list[Callable[[Any], Any]] = [
        lambda client: client.flags.get("1"),
        lambda client: client.flags.list(),
        lambda client: client.flags.create(project_id="1", key="k"),
        lambda client: client.flags.guarded_edit("1", lambda flag: flag),
        lambda client: client.bulk([Edit("flags", "1", {"name": "n"})]),
    ]
    with RawServer(STAGES[stage]) as server:
        for call in calls:
            client = await make_client(server.url, api_key=KEY)
            with pytest.raises((TimeoutError, asyncio.CancelledError)) as caught:
                await interrupt(_awaited(call(client)))
            check(caught.value, log_watch, figures)


async def _awaited(call: Any) -> Any:
    return await call


@pytest.mark.parametrize(
    "options",
    [
        {"proxy": f"ftp://user:{PROXY_PASSWORD}@host"},
        {"proxy": f"http://user:{PROXY_PASSWORD}@host:port"},
        {"proxy": f"http://user:{PROXY_PASSWORD}@host", "timeout": -1},
        {"proxy": f"http://user:{PROXY_PASSWORD}@host", "ssl": "yes"},
        {"base_url": f"https://user:{KEY}@host:port"},
        {"base_url": f"https://host/{KEY}?x"},
        {"base_url": f"http://example.com/{KEY}"},
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("client_class", [AsyncExperimentClient, ExperimentClient])
def test_rejected_settings(client_class: Any, figures: Figures, options: dict[str, Any], log_watch: LogWatch) -> None:
    """A client that cannot be created says why without a secret."""
    with pytest.raises((ConfigurationError, InvalidInputError)) as caught:
        client_class(KEY, **options)
    check(caught.value, log_watch, figures)


@pytest.mark.parametrize(
    "options",
    [
        {"url": f"http://:{REDIS_PASSWORD}@host"},
        {"url": f"redis://:{REDIS_PASSWORD}@host:port"},
        {"url": f"redis://:{REDIS_PASSWORD}@host", "per_second": 0},
    ],
    ids=["scheme", "port", "limit"],
)
def test_rejected_redis_settings(figures: Figures, options: dict[str, Any], log_watch: LogWatch) -> None:
    """A limit that cannot be created, or that a client cannot use, says why without the password."""
    with pytest.raises((ConfigurationError, InvalidInputError)) as caught:
        AsyncExperimentClient(KEY, rate_limit=RedisRateLimit(**options))
    check(caught.value, log_watch, figures)


async def _close(connection: RawConnection) -> None:
    connection.close()


def _redis_says(data: bytes) -> Script:
    async def script(connection: RawConnection) -> None:
        await connection.send(data)
        await connection.wait_closed()

    return script


REDIS: dict[str, Script] = {
    "closes": _close,
    "is silent": _redis_says(b""),
    "rejects the password": _redis_says(b"-WRONGPASS invalid username-password pair\r\n" * 9),
    "is not Redis": _redis_says(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    "sends other types": _redis_says(b"+OK\r\n" * 3 + b"*8\r\n" + b"$1\r\nx\r\n" * 8),
}


@pytest.mark.parametrize("redis", REDIS)
async def test_a_hostile_redis(log_watch: LogWatch, figures: Figures, redis: str) -> None:
    """Whatever Redis answers, calls go on without it, and nothing shows its password."""
    log_watch.secrets += SECRETS
    with RawServer(REDIS[redis]) as shared, RawServer(sends(GOOD)) as server:
        limit = RedisRateLimit(f"redis://:{REDIS_PASSWORD}@127.0.0.1:{shared.port}/0")
        async with AsyncExperimentClient(KEY, base_url=server.url, rate_limit=limit) as client:
            error = await error_of(client.flags.get("1"))
            assert REDIS_PASSWORD not in repr(limit)
            assert REDIS_PASSWORD not in repr(client)
    assert error is None
    check(error, log_watch, figures)
