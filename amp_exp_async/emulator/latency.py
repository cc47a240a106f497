"""How long requests and their replies are under way."""

import math
from collections.abc import Callable
from random import Random

from amp_exp_async.emulator.settings import require_from_zero

Latency = float | tuple[float, float] | Callable[[], float]
"""Seconds of a round trip: always the same, evenly drawn between the least and the most, or as a function says."""


def drawn(latency: Latency | None, random: Random) -> Callable[[], float]:
    """What gives the seconds of each round trip; `None` stands for 0."""
    if latency is None:
        return lambda: 0.0
    if callable(latency):
        return latency
    if isinstance(latency, int | float):
        require_from_zero("latency", latency)
        return lambda: latency
    least, most = latency
    if not 0 <= least <= most < math.inf:
        raise ValueError(f"latency must be a pair (least, most) of numbers from 0, not {latency!r}")
    return lambda: random.uniform(least, most)
