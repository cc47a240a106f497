"""The settings of Hypothesis for these tests, and an emulator that refuses what the live service refuses."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from hypothesis import HealthCheck, settings

from amp_exp_async.emulator import Emulator

settings.register_profile(
    "manifests", deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow], database=None
)
settings.load_profile("manifests")


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    """Serve an emulator without limits that is as strict as the live service."""
    async with Emulator(per_second=None, per_day=None, strictness="live") as emulator:
        yield emulator
