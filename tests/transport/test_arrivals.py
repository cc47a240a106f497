"""Rule 3: how many requests reach the service in any one second, whatever the network does, in virtual time."""

from __future__ import annotations

import asyncio
import random
from bisect import bisect_left
from collections.abc import Callable

import pytest
from attrs import define, field
from hypothesis import given, settings
from hypothesis import strategies as st

from amp_exp_async import RateLimit
from amp_exp_async.transport.pacing import Pacer
from tests.virtual_time import now, run


@define
class Network:
    """What lies between client and service: how long each way takes, drawn anew for every request."""

    there: Callable[[], float]
    back: Callable[[], float]
    arrivals: list[float] = field(factory=list[float])

    async def send(self, pacer: Pacer) -> None:
        """One paced request and its reply."""
        await pacer.acquire(None)
        sent_at = now()
        await asyncio.sleep(self.there())
        self.arrivals.append(now())
        await asyncio.sleep(self.back())
        pacer.release(sent_at, reached=True, answered=True)

    def most_in_a_second(self) -> int:
        """The most arrivals in any window of one second, its end not included."""
        arrivals = sorted(self.arrivals)
        # Sums of floating-point numbers: a billionth of a second is no difference.
        return max(bisect_left(arrivals, at + 1.0 - 1e-9) - index for index, at in enumerate(arrivals))


async def full_load(network: Network, pacer: Pacer, requests: int, at_once: int = 64) -> None:
    """Send so many requests as fast as the pacer lets, as many at once as the client does."""
    left = iter(range(requests))

    async def worker() -> None:
        for _ in left:
            await network.send(pacer)

    await asyncio.gather(*(worker() for _ in range(at_once)))


def uniform(seed: random.Random, least: float, most: float) -> Callable[[], float]:
    return lambda: seed.uniform(least, most)


# Randomness is drawn from a seed, so that what fails once fails always.
SEARCH = settings(deadline=None, max_examples=60, derandomize=True)


@SEARCH
@given(
    limit=st.integers(2, 20),
    at_once=st.sampled_from([1, 8, 64]),
    least=st.floats(0.0, 0.1),
    spread_there=st.floats(0.0, 0.5),
    spread_back=st.floats(0.0, 0.5),
    seed=st.integers(0, 10_000),
)
def test_never_more_arrivals_than_the_limit(
    *, limit: int, at_once: int, least: float, spread_there: float, spread_back: float, seed: int
) -> None:
    """No window of one second holds more arrivals than the limit, when both ways vary independently of each other."""
    drawn = random.Random(seed)
    network = Network(uniform(drawn, least, least + spread_there), uniform(drawn, least, least + spread_back))
    run(full_load(network, Pacer(RateLimit(per_second=limit)), 12 * limit, at_once))
    assert len(network.arrivals) == 12 * limit
    assert network.most_in_a_second() <= limit


@pytest.mark.parametrize("limit", [3, 5, 10, 25])
def test_a_low_limit_and_an_ordinary_network(limit: int) -> None:
    """The same for the limits that users of a shared key set, with round trips of 10 to 110 ms, run after run."""
    most = []
    for seed in range(20):
        way = uniform(random.Random(seed), 0.005, 0.055)
        network = Network(way, way)
        run(full_load(network, Pacer(RateLimit(per_second=limit)), 12 * limit))
        most.append(network.most_in_a_second())
    assert max(most) <= limit, f"{sum(count > limit for count in most)} of 20 runs"


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("stalls", [0.0, 0.02], ids=["even", "with stalls"])
def test_the_services_limit_and_its_network(seed: int, stalls: float) -> None:
    """The same at the service's own limit with round trips of 20 to 80 ms, also when the path stalls now and then."""
    drawn = random.Random(seed)

    def way() -> float:
        return drawn.uniform(0.01, 0.04) + (0.3 if drawn.random() < stalls else 0.0)

    network = Network(way, way)
    run(full_load(network, Pacer(RateLimit()), 4000))
    assert network.most_in_a_second() <= 100


@pytest.mark.parametrize(
    ("before", "after", "adapting"),
    [((0.03, 0.03), (0.01, 0.01), 100), ((0.04, 0.01), (0.01, 0.01), 100), ((0.01, 0.01), (0.15, 0.15), 0)],
    ids=["faster", "faster there", "slower"],
)
def test_a_network_that_changes_for_good(
    before: tuple[float, float], after: tuple[float, float], adapting: int
) -> None:
    """The same when the way becomes longer from one request to the next, and soon after it has become shorter."""
    network = Network(
        lambda: (before if len(network.arrivals) < 400 else after)[0],
        lambda: (before if len(network.arrivals) < 400 else after)[1],
    )
    run(full_load(network, Pacer(RateLimit()), 1000))
    del network.arrivals[400 : 400 + adapting]
    assert network.most_in_a_second() <= 100


@pytest.mark.parametrize("seed", range(3))
def test_the_limit_is_used(seed: int) -> None:
    """At full load, over 10,000 requests with round trips of 20 to 80 ms, at least 97 % of the limit is used."""
    way = uniform(random.Random(seed), 0.01, 0.04)
    network = Network(way, way)
    run(full_load(network, Pacer(RateLimit()), 10_000))
    assert len(network.arrivals) / max(network.arrivals) >= 0.97 * 100
