"""Measurement: the time of work, and two candidates in alternating rounds."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from enum import Enum
from typing import NamedTuple, TypeVar

T = TypeVar("T")


class Size(Enum):
    """How much a benchmark measures."""

    TINY = "tiny"
    MEDIUM = "medium"
    FULL = "full"

    def pick(self, tiny: T, medium: T, full: T) -> T:
        """Return the value for this size."""
        return {Size.TINY: tiny, Size.MEDIUM: medium, Size.FULL: full}[self]


class Timing(NamedTuple):
    """Seconds of processor time, of all threads of this process, and of wall-clock time."""

    cpu: float
    wall: float


def timed(work: Callable[[], object], times: int = 1) -> Timing:
    """Return the time of the work, divided by a number of repetitions. Earlier garbage is collected before."""
    gc.collect()
    cpu, wall = time.process_time(), time.perf_counter()
    result = work()
    timing = Timing((time.process_time() - cpu) / times, (time.perf_counter() - wall) / times)
    del result  # freeing it does not count
    return timing


def alternate(ours: Callable[[], T], baseline: Callable[[], T], rounds: int) -> list[tuple[T, T]]:
    """Run both candidates in each round, in alternating order, after a round that does not count.

    Returns:
        Our result and the baseline's, for each round.
    """
    pairs: list[tuple[T, T]] = []
    for number in range(rounds + 1):
        if number % 2:
            first = ours()
            pairs.append((first, baseline()))
        else:
            second = baseline()
            pairs.append((ours(), second))
    return pairs[1:]
