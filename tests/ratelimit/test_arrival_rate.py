"""How many requests reach the service in any one second, and how much of the limit is used, in virtual time."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amp_exp_async import RateLimit
from amp_exp_async.ratelimit.limiter import LocalRateLimiter
from tests.ratelimit.simulated_network import Network, send_all, uniform
from tests.virtual_time import run

# Deterministic examples: a failure can be repeated.
SEARCH = settings(deadline=None, max_examples=60, derandomize=True)


@SEARCH
@given(
    limit=st.integers(2, 20),
    concurrency=st.sampled_from([1, 8, 64]),
    min_delay=st.floats(0.0, 0.1),
    jitter_to_service=st.floats(0.0, 0.5),
    jitter_to_client=st.floats(0.0, 0.5),
    seed=st.integers(0, 10_000),
)
def test_never_more_arrivals_than_the_limit(
    *, limit: int, concurrency: int, min_delay: float, jitter_to_service: float, jitter_to_client: float, seed: int
) -> None:
    """No window of one second holds more arrivals than the limit if both ways vary independently."""
    rng = random.Random(seed)
    network = Network(
        uniform(rng, min_delay, min_delay + jitter_to_service), uniform(rng, min_delay, min_delay + jitter_to_client)
    )
    run(send_all(network, LocalRateLimiter(RateLimit(per_second=limit)), 12 * limit, concurrency))
    assert len(network.arrivals) == 12 * limit
    assert network.max_per_second() <= limit


@pytest.mark.parametrize("limit", [3, 5, 10, 25])
def test_a_low_limit_on_an_ordinary_network(limit: int) -> None:
    """The same for limits that users of a shared key set, with round trips of 10 to 110 ms, in each of 20 runs."""
    maxima = []
    for seed in range(20):
        delay = uniform(random.Random(seed), 0.005, 0.055)
        network = Network(delay, delay)
        run(send_all(network, LocalRateLimiter(RateLimit(per_second=limit)), 12 * limit))
        maxima.append(network.max_per_second())
    assert max(maxima) <= limit, f"{sum(count > limit for count in maxima)} of 20 runs"


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("stalls", [0.0, 0.02], ids=["even", "with stalls"])
def test_the_limit_of_the_service_on_its_network(seed: int, stalls: float) -> None:
    """The same at the limit of the service with round trips of 20 to 80 ms, also if the network sometimes stalls."""
    rng = random.Random(seed)

    def delay() -> float:
        return rng.uniform(0.01, 0.04) + (0.3 if rng.random() < stalls else 0.0)

    network = Network(delay, delay)
    run(send_all(network, LocalRateLimiter(RateLimit()), 4000))
    assert network.max_per_second() <= 100


@pytest.mark.parametrize(
    ("before", "after", "adapting"),
    [((0.03, 0.03), (0.01, 0.01), 100), ((0.04, 0.01), (0.01, 0.01), 100), ((0.01, 0.01), (0.15, 0.15), 0)],
    ids=["faster", "faster to the service", "slower"],
)
def test_a_network_that_changes_permanently(
    before: tuple[float, float], after: tuple[float, float], adapting: int
) -> None:
    """The same if the network becomes slower from one request to the next, and soon after it has become faster."""
    network = Network(
        lambda: (before if len(network.arrivals) < 400 else after)[0],
        lambda: (before if len(network.arrivals) < 400 else after)[1],
    )
    run(send_all(network, LocalRateLimiter(RateLimit()), 1000))
    del network.arrivals[400 : 400 + adapting]
    assert network.max_per_second() <= 100


def delays(kind: str, rng: random.Random) -> tuple[Callable[[], float], Callable[[], float]]:
    """Return the delays of requests and of responses on a kind of network."""
    return {
        "both ways": (uniform(rng, 0.01, 0.04), uniform(rng, 0.01, 0.04)),
        "to the service": (uniform(rng, 0.02, 0.08), lambda: 0.0),
        "to the client": (lambda: 0.0, uniform(rng, 0.02, 0.08)),
        "long tail": (lambda: 0.01 + rng.expovariate(100.0), lambda: 0.01 + rng.expovariate(100.0)),
        "gamma": (lambda: 0.01 + rng.gammavariate(2.0, 0.005), lambda: 0.01 + rng.gammavariate(2.0, 0.005)),
    }[kind]


@pytest.mark.parametrize("limit", [10, 100])
@pytest.mark.parametrize("kind", ["both ways", "to the service", "to the client", "long tail", "gamma"])
def test_networks_of_other_kinds(kind: str, limit: int) -> None:
    """The same for any distribution of the delays, long after the limiter has learned the network."""
    for seed in range(2):
        network = Network(*delays(kind, random.Random(seed)))
        run(send_all(network, LocalRateLimiter(RateLimit(per_second=limit)), 2_000))
        assert network.max_per_second() <= limit


@pytest.mark.parametrize(("kind", "share"), [("both ways", 0.967), ("to the service", 0.966), ("to the client", 0.966)])
def test_the_limit_is_used(kind: str, share: float) -> None:
    """At full load with round trips of 20 to 80 ms, 97 % is used from the start, and hardly less in the long run.

    A limiter that knew the minimum delays of both ways would use 96.8 % and 96.7 % in the long run.
    """
    network = Network(*delays(kind, random.Random(0)))
    run(send_all(network, LocalRateLimiter(RateLimit()), 10_000))
    assert len(network.arrivals) / max(network.arrivals) >= 0.97 * 100
    assert network.steady_share(100) >= share
    assert network.max_per_second() <= 100
