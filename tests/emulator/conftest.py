"""Fixtures: a settable clock, a running emulator, and an HTTP client that is independent of the library."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import aiohttp
import pytest

from amp_exp_async.emulator import Emulator


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class ApiResponse(NamedTuple):
    """A response, with its JSON or text."""

    status: int
    body: Any
    headers: Any


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def emulator(clock: Clock) -> AsyncIterator[Emulator]:
    keys = {"narrow-key": ["1"]}
    async with Emulator(clock=clock, per_second=None, keys=keys, strictness="documented") as emulator:
        yield emulator


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def sender(emulator: Emulator, session: aiohttp.ClientSession, base: str) -> Callable[..., Awaitable[ApiResponse]]:
    async def send(
        method: str, path: str, json: Any = None, *, key: str = emulator.api_key, **options: Any
    ) -> ApiResponse:
        options.setdefault("headers", {"Authorization": f"Bearer {key}"})
        async with session.request(method, base + path, json=json, allow_redirects=False, **options) as response:
            is_json = response.content_type == "application/json"
            return ApiResponse(
                response.status, await (response.json() if is_json else response.text()), response.headers
            )

    return send


@pytest.fixture
def api(emulator: Emulator, session: aiohttp.ClientSession) -> Callable[..., Awaitable[ApiResponse]]:
    """Return a function that sends a request to a path below `/api/1`."""
    return sender(emulator, session, f"{emulator.base_url}/api/1")


@pytest.fixture
def beta(emulator: Emulator, session: aiohttp.ClientSession) -> Callable[..., Awaitable[ApiResponse]]:
    """Return a function that sends a request to a path of the Beta API."""
    return sender(emulator, session, emulator.beta_base_url)


@pytest.fixture
def arrival() -> Callable[[Emulator], Awaitable[None]]:
    """Return a function that waits for the emulator's first request."""

    async def wait(emulator: Emulator) -> None:
        async with asyncio.timeout(60):
            while not emulator.requests:  # noqa: ASYNC110 - the log has no event to wait for
                await asyncio.sleep(0.001)

    return wait


@pytest.fixture(params=["flags", "experiments"])
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def flag_path(emulator: Emulator, kind: Any) -> str:
    """Return the path of a flag or experiment with the variants `on` and `off`."""
    document = emulator.state.add(kind, {"key": "checkout", "variants": [{"key": "on"}, {"key": "off"}]})
    return f"/{kind}/{document['id']}"
