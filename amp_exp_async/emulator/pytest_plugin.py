"""The pytest plugin: the fixture `experiment_emulator`."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from amp_exp_async.emulator import Emulator


@pytest.fixture
def experiment_emulator() -> "Iterator[Emulator]":
    """Serve an empty emulator of Amplitude's Experiment Management API on its own thread for one test.

    It works for blocking and async tests. Pass `experiment_emulator.base_url` and `experiment_emulator.api_key` to the
    client, and prepare the state with methods such as `experiment_emulator.state.add_flag(key="my-flag")`.
    """
    from amp_exp_async.emulator import Emulator  # noqa: PLC0415 - not imported if no test uses the fixture

    with Emulator() as emulator:
        yield emulator
