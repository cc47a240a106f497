"""An emulator that refuses what the live service refuses."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from amp_exp_async.emulator import Emulator


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    """Serve an emulator without limits that is as strict as the live service."""
    async with Emulator(per_second=None, per_day=None, strictness="live") as emulator:
        yield emulator
