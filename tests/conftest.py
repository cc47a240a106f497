"""Fixtures that all tests share."""

from __future__ import annotations

import compileall
import gc
import os
import signal
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from hypothesis import HealthCheck, settings

import amp_exp_async
from amp_exp_async import AsyncExperimentClient, InvalidInputError, RetryPolicy
from amp_exp_async.emulator import Emulator
from tests.client_config import (
    BASE_URL_VARIABLE,
    BETA_BASE_URL_VARIABLE,
    KEY_VARIABLE,
    REGION_VARIABLE,
    SECOND_KEY_VARIABLE,
)
from tests.validation.call_sites import Call, Rejected

settings.register_profile(
    "suite",
    max_examples=25,
    database=None,
    # A busy machine must not fail an example.
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    # A change must not fail its checks over an example that has nothing to do with it. Other runs look for new ones.
    derandomize="CI" in os.environ,
)
settings.load_profile("suite")

# A job in the background of a shell ignores Ctrl-C, and so would the programs that tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Commands of the tests, also those in other processes, must not find a configuration file of this machine.
os.environ["AMP_EXP_CONFIG_FILE"] = os.devnull

pytest_plugins = ["amp_exp_async.emulator.pytest_plugin", "pytester"]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Run the tests in two processes more than there are processors, because they wait for a part of their time."""
    return (os.cpu_count() or 1) + 2


def pytest_configure(config: pytest.Config) -> None:
    """Compile the package once, before its tests start a hundred processes that import it.

    Each of them would compile it where the environment forbids Python to write bytecode.
    """
    if not hasattr(config, "workerinput"):
        compileall.compile_dir(Path(amp_exp_async.__file__).parent, quiet=2)


def pytest_collection_finish() -> None:
    """Hide the modules and the collected tests from the garbage collector.

    They live until the end. A test that collects garbage would look at them all, which takes a third of a second.
    """
    gc.collect()
    gc.freeze()
    gc.collect()  # Python collects old objects more rarely, the more it has found in the collection before.


NO_BACKOFF = RetryPolicy(backoff_base=0.0)
"""Retries without waits, for tests that are not about time."""


@pytest.fixture
def no_backoff() -> RetryPolicy:
    """Return a policy that retries without waiting."""
    return NO_BACKOFF


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    """Serve an emulator in the test's event loop, without limits."""
    async with Emulator(per_second=None, per_day=None) as emulator:
        yield emulator


@pytest.fixture
async def client(emulator: Emulator) -> AsyncIterator[AsyncExperimentClient]:
    """Open a client of that emulator, which retries without waiting."""
    async with AsyncExperimentClient(
        emulator.api_key, base_url=emulator.base_url, rate_limit=None, retry=NO_BACKOFF
    ) as client:
        yield client


PATHS = ["connector", "session", "unsupported"]
"""The ways of requests through aiohttp: over its connector, through its session because other code has replaced methods
of sessions, and through its session because the release of aiohttp is not supported."""


def use_path(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let clients that are created from now on send their requests in this way."""
    if path == "session":
        monkeypatch.setattr("amp_exp_async.http.sender.is_replaced", lambda: True)
    elif path == "unsupported":
        monkeypatch.setattr("amp_exp_async.http.sender.is_supported", lambda: False)


@pytest.fixture(params=PATHS)
def each_path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a test once for each way that requests can take through aiohttp."""
    use_path(request.param, monkeypatch)
    return str(request.param)


@pytest.fixture(params=PATHS)
def path_in_turn(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a test in one of these ways in the suite, in another one than the next test, and in all in the long form."""
    use_path(request.param, monkeypatch)
    return str(request.param)


IN_TURN = {"path_in_turn": len(PATHS), "send_in_turn": 2}
"""The numbers of values of the fixtures of which the suite runs a test with one only."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the runs of a test `slow` whose path or client has its turn in another one.

    Leave out what the installed release of aiohttp does not have: `.ci/run` takes a skipped test for a mistake.
    """
    if not hasattr(aiohttp, "ClientHandlerType"):
        left_out = [item for item in items if item.get_closest_marker("middlewares")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    for item in items:
        indices = getattr(item, "callspec", None) and item.callspec.indices  # type: ignore[attr-defined]  # items of functions only
        for name in IN_TURN.keys() & (indices or {}):
            others = sum(indices.values()) - indices[name]
            turn = (zlib.crc32(item.function.__qualname__.encode()) + others) % IN_TURN[name]  # type: ignore[attr-defined]  # the same
            if indices[name] != turn:
                item.add_marker(pytest.mark.slow)


@pytest.fixture
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the environment variables of clients."""
    for variable in (KEY_VARIABLE, SECOND_KEY_VARIABLE, REGION_VARIABLE, BASE_URL_VARIABLE, BETA_BASE_URL_VARIABLE):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def rejected(client: AsyncExperimentClient, emulator: Emulator) -> Rejected:
    """Return a function that asserts that a call is rejected with this argument and rule, and nothing is sent."""

    async def check(call: Call, argument: str, rule: str) -> str:
        with pytest.raises(InvalidInputError) as caught:
            await call(client)
        assert emulator.requests == []
        assert caught.value.argument == argument
        assert rule in caught.value.rule
        assert str(caught.value).startswith(f"{argument}: {caught.value.rule}")
        return str(caught.value)

    return check
