"""Rule 3, when others use the same key: what is left to us is used, little is refused, and the rest comes back soon."""

from __future__ import annotations

import asyncio
import functools
import math
from collections.abc import Callable, Iterator
from statistics import mean

import pytest

from amp_exp_async import RateLimit
from amp_exp_async.ratelimit.limiter import LocalRateLimiter
from tests.ratelimit.simulated_network import Contest, StrictWindow, at_random, evenly, in_bursts, within
from tests.virtual_time import run

OTHERS = 40  # requests a second, of 100
BEGUN, GONE = 5.0, 26.0

PATTERNS: dict[str, Callable[[int], Iterator[float]]] = {
    "evenly": lambda _: evenly(OTHERS),
    "at random": lambda seed: at_random(OTHERS, seed),
    "four at a time": lambda _: in_bursts(OTHERS, 4),
    "ten at a time": lambda _: in_bursts(OTHERS, 10),
}


@functools.cache
def contest(retry_after: float | None, seed: int, pattern: str) -> Contest:
    """Others use the key until they are gone; ours goes on for some seconds."""

    async def scenario() -> Contest:
        key, others, gone = Contest(retry_after, seed), PATTERNS[pattern](seed), GONE + 0.3 * seed
        await asyncio.gather(key.run_others(others, gone), key.run_ours(LocalRateLimiter(RateLimit()), gone + 7.0))
        return key

    return run(scenario())


@pytest.mark.parametrize("retry_after", [1.0, 0.3, None], ids=["a second", "a fraction", "no word"])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_what_others_leave_is_used(pattern: str, retry_after: float | None) -> None:
    """Of the 60 a second that others leave at least 85 % are ours, and under 2 % of ours are refused.

    Where others come at random and each refusal pauses for a second, it is 83 to 85 %, from one seed to another.
    """
    shares, refused = [], []
    for seed in range(3):
        key = contest(retry_after, seed, pattern)
        accepted, over = (within(times, BEGUN, GONE) for times in (key.ours, key.refused))
        shares.append(accepted / (GONE - BEGUN) / (100 - OTHERS))
        refused.append(over / (accepted + over))
    assert mean(shares) >= (0.82 if (pattern, retry_after) == ("at random", 1.0) else 0.85), shares
    assert mean(refused) < 0.02, refused


@pytest.mark.parametrize("retry_after", [1.0, None], ids=["a second", "no word"])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_when_the_others_are_gone(pattern: str, retry_after: float | None) -> None:
    """In a second that begins within five of it, at least 95 requests are ours, whenever it was that they left."""
    for seed in range(3):
        key, gone = contest(retry_after, seed, pattern), GONE + 0.3 * seed
        assert max(within(key.ours, at, at + 1.0) for at in key.ours if gone <= at <= gone + 5.0) >= 95, seed


@pytest.mark.parametrize("retry_after", [1.0, None], ids=["a second", "no word"])
def test_others_are_not_driven_out(retry_after: float | None) -> None:
    """Who sends evenly, and retries nothing, keeps at least 95 % of what it sends."""
    key = contest(retry_after, 0, "evenly")
    assert within(key.others, BEGUN, GONE) / (GONE - BEGUN) >= 0.95 * OTHERS


@pytest.mark.parametrize("processes", [2, 3])
def test_processes_that_know_nothing_of_each_other(processes: int) -> None:
    """Each comes to a part of the key: nobody is starved by who was there first, and little is refused."""

    async def scenario() -> list[Contest]:
        keys = [Contest(1.0, seed) for seed in range(processes)]

        async def begin(key: Contest, after: float) -> None:
            key.window = keys[0].window
            await asyncio.sleep(after)
            await key.run_ours(LocalRateLimiter(RateLimit()), 60.0)

        await asyncio.gather(*(begin(key, 2.0 * index) for index, key in enumerate(keys)))
        return keys

    keys = run(scenario())
    rates = [within(key.ours, 30.0, 60.0) / 30.0 for key in keys]
    assert sum(rates) >= 65, rates
    assert min(rates) >= 0.4 * sum(rates) / processes, rates
    over = sum(within(key.refused, 10.0, 60.0) for key in keys)
    assert over < 0.03 * sum(within(key.ours, 10.0, 60.0) for key in keys)


@pytest.mark.parametrize(("retry_after", "cost"), [(1.0, 110), (None, 20)], ids=["a second", "no word"])
def test_a_single_refusal_costs_little(retry_after: float | None, cost: int) -> None:
    """With nobody else on the key it costs no more than the pause, if any, and a fifth of a second."""

    async def scenario(stray_at: float) -> Contest:
        key = Contest(retry_after, 0, StrictWindow(stray_at=stray_at))
        await key.run_ours(LocalRateLimiter(RateLimit()), 31.0)
        return key

    without, one = run(scenario(math.inf)), run(scenario(10.5))
    assert (len(without.refused), len(one.refused)) == (0, 1)
    # The rhythm of the opening burst makes whole hundreds come and go at the end of the run.
    assert within(without.ours, 0.0, 30.5) - within(one.ours, 0.0, 30.5) <= cost
