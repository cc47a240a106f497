"""A served emulator, a blocking client of it, and the certainty that no test leaves a thread behind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from amp_exp_async import ExperimentClient
from amp_exp_async.emulator import Emulator
from tests.sync.timeouts import LEFT_BEHIND, client_of, loop_threads, until


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """An emulator on a thread of its own, without limits."""
    with Emulator(per_second=None, per_day=None) as emulator:
        yield emulator


@pytest.fixture
def client(emulator: Emulator) -> Iterator[ExperimentClient]:
    """A blocking client of it."""
    with client_of(emulator) as client:
        yield client


@pytest.fixture
def ids(emulator: Emulator) -> list[str]:
    """The ids of nine flags, the newest first, as they are listed."""
    return [emulator.state.add_flag(key=f"k{number}")["id"] for number in range(9)][::-1]


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    """Every client's thread ends with its test; one that does not is the matter of that test alone."""
    yield
    try:
        until(lambda: not loop_threads())
    finally:
        LEFT_BEHIND.update(loop_threads())
