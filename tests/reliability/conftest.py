"""Fixtures of the reliability harness: an emulator in its own process, clients on both paths, and figures."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any, TypeAlias

import aiohttp
import pytest

from amp_exp_async import AsyncBetaClient, AsyncExperimentClient
from tests.conftest import NO_BACKOFF, use_path
from tests.reliability.emulator_process import EmulatorProcess
from tests.reliability.exposure import LogWatch
from tests.reliability.figures import Figures

KEY = "reliability-management-key"
SESSION_PATHS = OWN_SESSION, CALLERS_SESSION, UNSUPPORTED = "own session", "caller's session", "unsupported"

ClientFactory: TypeAlias = Callable[..., Any]


@pytest.fixture(scope="session")
def shared_emulator_process() -> Iterator[EmulatorProcess]:
    """Serve an emulator without limits in a process of its own, for all tests of this worker."""
    with EmulatorProcess() as process:
        yield process


@pytest.fixture
def emulator_process(shared_emulator_process: EmulatorProcess) -> EmulatorProcess:
    """Return the emulator in its own process, with an empty state and log and without faults."""
    shared_emulator_process.run(empty)
    return shared_emulator_process


def empty(emulator: Any) -> None:
    """Remove everything from an emulator."""
    emulator.reset()
    emulator._service.state = emulator._initial_state(None)


@pytest.fixture(params=SESSION_PATHS)
def session_path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return one of the paths that a request can take, or the one that a test chooses.

    A client with its own session sends requests through the library's exchange; a caller's session sends them itself,
    and so does the client's own if the release of aiohttp is not supported.
    """
    path: str = request.param
    use_path(path, monkeypatch)
    return path


@pytest.fixture
async def make_client(session_path: str) -> AsyncIterator[ClientFactory]:
    """Return a function that creates clients on a path.

    The clients retry without waiting, have no rate limit, and are closed at the end.
    """
    async with AsyncExitStack() as stack:

        async def make(base_url: str, *, beta: bool = False, api_key: str = KEY, **options: Any) -> Any:
            if session_path == CALLERS_SESSION:
                options["session"] = await stack.enter_async_context(aiohttp.ClientSession())
            options = {"rate_limit": None, "retry": NO_BACKOFF, **options}
            client_class = AsyncBetaClient if beta else AsyncExperimentClient
            return await stack.enter_async_context(client_class(api_key, base_url=base_url, **options))

        yield make


@pytest.fixture
def figures(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> Figures:
    """Return the figures of this test. Its module names the area in `AREA`."""
    return Figures(record_property, request.module.AREA)


@pytest.fixture
def log_watch() -> Iterator[LogWatch]:
    """Turn on all logs, and return what reads them. The test says which secrets it looks for."""
    watch, root = LogWatch([]), logging.getLogger()
    level = root.level
    root.addHandler(watch)
    root.setLevel(logging.DEBUG)
    yield watch
    root.setLevel(level)
    root.removeHandler(watch)
