"""Fixtures: an emulator, its blocking client, and a check that no test leaves a thread."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from amp_exp_async import ExperimentClient
from amp_exp_async.emulator import Emulator
from tests.polling import wait_until
from tests.sync.timeouts import LEFT_BEHIND, client_of, loop_threads


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """An emulator on its own thread, without limits."""
    with Emulator(per_second=None, per_day=None) as emulator:
        yield emulator


@pytest.fixture
def client(emulator: Emulator) -> Iterator[ExperimentClient]:
    """A blocking client of the emulator."""
    with client_of(emulator) as client:
        yield client


@pytest.fixture
def ids(emulator: Emulator) -> list[str]:
    """The IDs of nine flags in the order of the list, newest first."""
    return [emulator.state.add_flag(key=f"k{number}")["id"] for number in range(9)][::-1]


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    """A client's thread that outlives its test fails that test alone, and those of other tests none."""
    LEFT_BEHIND.update(loop_threads())
    yield
    try:
        wait_until(lambda: not loop_threads())
    finally:
        LEFT_BEHIND.update(loop_threads())
