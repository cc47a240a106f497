"""Fixtures: an emulator with ten flags and ten deployments."""

from __future__ import annotations

import pytest

from amp_exp_async.emulator import Emulator

COUNT = 10


@pytest.fixture
def emulator(emulator: Emulator) -> Emulator:
    """Add the flags `f0` to `f9`, which are listed newest first, and deployments."""
    for index in range(COUNT):
        emulator.state.add_flag(key=f"f{index}")
        emulator.state.add_deployment(label=f"d{index}")
    return emulator
