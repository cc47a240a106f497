"""Rule 3: how many requests reach the service in any one second, whatever the network does, in virtual time."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amp_exp_async import RateLimit
from amp_exp_async.ratelimit.limiter import LocalRateLimiter
from tests.ratelimit.simulated_network import Network, full_load, uniform
from tests.virtual_time import run

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
    run(full_load(network, LocalRateLimiter(RateLimit(per_second=limit)), 12 * limit, at_once))
    assert len(network.arrivals) == 12 * limit
    assert network.most_in_a_second() <= limit


@pytest.mark.parametrize("limit", [3, 5, 10, 25])
def test_a_low_limit_and_an_ordinary_network(limit: int) -> None:
    """The same for the limits that users of a shared key set, with round trips of 10 to 110 ms, run after run."""
    most = []
    for seed in range(20):
        way = uniform(random.Random(seed), 0.005, 0.055)
        network = Network(way, way)
        run(full_load(network, LocalRateLimiter(RateLimit(per_second=limit)), 12 * limit))
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
    run(full_load(network, LocalRateLimiter(RateLimit()), 4000))
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
    run(full_load(network, LocalRateLimiter(RateLimit()), 1000))
    del network.arrivals[400 : 400 + adapting]
    assert network.most_in_a_second() <= 100


def ways(kind: str, drawn: random.Random) -> tuple[Callable[[], float], Callable[[], float]]:
    """How long a request takes there and back, on networks of several kinds."""
    return {
        "each way": (uniform(drawn, 0.01, 0.04), uniform(drawn, 0.01, 0.04)),
        "there only": (uniform(drawn, 0.02, 0.08), lambda: 0.0),
        "back only": (lambda: 0.0, uniform(drawn, 0.02, 0.08)),
        "with a tail": (lambda: 0.01 + drawn.expovariate(100.0), lambda: 0.01 + drawn.expovariate(100.0)),
        "humped": (lambda: 0.01 + drawn.gammavariate(2.0, 0.005), lambda: 0.01 + drawn.gammavariate(2.0, 0.005)),
    }[kind]


@pytest.mark.parametrize("limit", [10, 100])
@pytest.mark.parametrize("kind", ["each way", "there only", "back only", "with a tail", "humped"])
def test_networks_of_other_kinds(kind: str, limit: int) -> None:
    """The same wherever the time goes, and however it varies, long after the pacer has learnt the network."""
    for seed in range(2):
        network = Network(*ways(kind, random.Random(seed)))
        run(full_load(network, LocalRateLimiter(RateLimit(per_second=limit)), 2_000))
        assert network.most_in_a_second() <= limit


@pytest.mark.parametrize(("kind", "share"), [("each way", 0.967), ("there only", 0.966), ("back only", 0.966)])
def test_the_limit_is_used(kind: str, share: float) -> None:
    """At full load with round trips of 20 to 80 ms it is 97 % from the start, and in the long run hardly less.

    One who knew the least times of both ways would come to 0.968 and 0.967 in the long run.
    """
    network = Network(*ways(kind, random.Random(0)))
    run(full_load(network, LocalRateLimiter(RateLimit()), 10_000))
    assert len(network.arrivals) / max(network.arrivals) >= 0.97 * 100
    assert network.steady_share(100) >= share
    assert network.most_in_a_second() <= 100
