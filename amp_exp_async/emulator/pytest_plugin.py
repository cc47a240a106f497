"""The pytest plugin: the fixture `experiment_emulator`."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from amp_exp_async.emulator import Emulator


@pytest.fixture
def experiment_emulator() -> "Iterator[Emulator]":
    """An empty emulator of Amplitude's Experiment Management API, served on a thread of its own for one test.

    Works for blocking and async tests alike. Give `experiment_emulator.base_url` and `experiment_emulator.api_key` to
    the client, and build what the test needs with `experiment_emulator.state.add_flag(key="my-flag")`.
    """
    from amp_exp_async.emulator import Emulator  # noqa: PLC0415 - not loaded in projects whose tests do not ask for it

    with Emulator() as emulator:
        yield emulator
