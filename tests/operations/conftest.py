"""An emulator and a recording server, and both clients of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from amp_exp_async import AsyncBetaClient, AsyncExperimentClient, BetaClient, ExperimentClient, RetryPolicy
from amp_exp_async.emulator import Emulator
from amp_exp_async.http import recent_writes
from tests.operations.catalog import Example
from tests.operations.recording_server import KEY, RecordingServer, run

PROJECT = "7"
CLIENTS = ["async", "blocking"]


@pytest.fixture(autouse=True)
def _short_lag(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a client wait briefly for what it cannot read right after it has created it."""
    monkeypatch.setattr(recent_writes, "LAG", 0.2)


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """An emulator on its own thread, with one deployment."""
    with Emulator(per_second=None, per_day=None) as emulator:
        emulator.state.add_deployment(id="50", projectId=PROJECT, label="web")
        yield emulator


@pytest.fixture(params=CLIENTS)
async def client(request: pytest.FixtureRequest, emulator: Emulator) -> AsyncIterator[Any]:
    """An async or a blocking client."""
    if request.param == "async":
        async with AsyncExperimentClient(emulator.api_key, base_url=emulator.base_url, rate_limit=None) as client:
            yield client
    else:
        with ExperimentClient(emulator.api_key, base_url=emulator.base_url, rate_limit=None) as client:
            yield client


@pytest.fixture(params=CLIENTS)
async def beta(request: pytest.FixtureRequest, emulator: Emulator) -> AsyncIterator[Any]:
    """An async or a blocking client of the Beta API."""
    if request.param == "async":
        async with AsyncBetaClient(emulator.api_key, base_url=emulator.beta_base_url, rate_limit=None) as client:
            yield client
    else:
        with BetaClient(emulator.api_key, base_url=emulator.beta_base_url, rate_limit=None) as client:
            yield client


@pytest.fixture
def server() -> Iterator[RecordingServer]:
    """A recording server."""
    with RecordingServer() as server:
        yield server


@pytest.fixture(params=CLIENTS)
def send(request: pytest.FixtureRequest, server: RecordingServer) -> Any:
    """Make the call of an example with a new client, from inside a running loop."""
    return sender(request.param, server)


@pytest.fixture(params=CLIENTS)
def send_in_turn(request: pytest.FixtureRequest, server: RecordingServer) -> Any:
    """Do the same in the suite with the other client than the next test, and with both in the long form."""
    return sender(request.param, server)


def sender(kind: str, server: RecordingServer) -> Any:
    """Return a function that makes the call of an example with a new client of this kind."""
    is_async = kind == "async"
    options: dict[str, Any] = {
        "base_url": server.url,
        "rate_limit": None,
        "retry": RetryPolicy(max_attempts=2, backoff_base=0.0),
    }

    async def make(example: Example) -> Any:
        if is_async:
            async with (AsyncBetaClient if example.is_beta else AsyncExperimentClient)(KEY, **options) as client:
                return await run(example(client))
        with (BetaClient if example.is_beta else ExperimentClient)(KEY, **options) as client:
            return await run(example(client))

    return make
