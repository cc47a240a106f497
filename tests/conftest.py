"""Fixtures that all tests share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from amp_exp_async import AsyncExperimentClient, RetryPolicy
from amp_exp_async.emulator import Emulator

pytest_plugins = ["amp_exp_async.emulator.pytest_plugin", "pytester"]

AT_ONCE = RetryPolicy(backoff_base=0.0)
"""Retries without waits: what a test is about is seldom the time."""


@pytest.fixture
def at_once() -> RetryPolicy:
    """A policy that retries without waiting."""
    return AT_ONCE


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    """An emulator in the test's own event loop, without limits."""
    async with Emulator(per_second=None, per_day=None) as emulator:
        yield emulator


@pytest.fixture
async def client(emulator: Emulator) -> AsyncIterator[AsyncExperimentClient]:
    """A client of that emulator, which retries without waiting."""
    async with AsyncExperimentClient(
        emulator.api_key, base_url=emulator.base_url, rate_limit=None, retry=AT_ONCE
    ) as client:
        yield client
