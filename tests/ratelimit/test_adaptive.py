"""The adaptive limit, at times that the tests name."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from amp_exp_async.ratelimit.adaptive import AdaptiveLimit


def test_it_backs_off_once_for_requests_sent_before() -> None:
    """A 429 of a request that was sent before the last back-off only lowers the number of accepted requests."""
    adaptive = AdaptiveLimit(100)
    assert (adaptive.is_full, adaptive.current(10.0)) == (True, 100)
    assert adaptive.on_throttled(10.0, 9.9, 60)
    first = adaptive.current(10.0)
    assert first < 60
    for _ in range(5):
        assert not adaptive.on_throttled(10.0, 9.95, 99)
    assert first - 6 <= adaptive.current(10.0) < first
    assert adaptive.on_throttled(20.0, 10.2, 30)
    assert adaptive.current(20.0) < 30


def test_it_grows_after_the_pause() -> None:
    """It starts below what was accepted, stays near it for a while, and is full again within five seconds."""
    adaptive = AdaptiveLimit(100)
    adaptive.on_throttled(10.0, 9.9, 60)
    adaptive.hold_until(11.0)
    start = adaptive.current(10.0)
    assert adaptive.current(11.0) == start
    assert 50 < start < adaptive.current(12.0) <= adaptive.current(13.0) <= 60
    assert (adaptive.current(16.0), adaptive.is_full) == (100, True)


def test_it_is_never_zero() -> None:
    """Its minimum is a twentieth of the limit, and at least one."""
    for limit, minimum in ((1, 1), (3, 1), (100, 5)):
        adaptive = AdaptiveLimit(limit)
        for time in range(5):
            adaptive.on_throttled(float(time), float(time), 0)
            assert adaptive.current(float(time)) == minimum


def test_a_larger_share_backs_off_by_more() -> None:
    """So processes that see the same 429s converge to equal shares. The first 429 in a while may be a stray one."""
    yielded = []
    for in_window in (100, 300, 600, 1000):
        adaptive = AdaptiveLimit(1000)
        adaptive.on_throttled(0.0, 0.0, in_window)
        assert adaptive.current(1.5) >= 0.97 * in_window
        adaptive.on_throttled(5.0, 5.0, in_window)
        yielded.append((in_window - adaptive.current(6.5)) / in_window)
        adaptive.on_throttled(15.0, 15.0, in_window)
        assert adaptive.current(16.5) >= 0.97 * in_window
    assert yielded == sorted(yielded)
    assert yielded[0] <= 0.1 < yielded[-1]


@settings(deadline=None, derandomize=True)
@given(
    limit=st.integers(1, 1000), in_window=st.integers(0, 1000), since=st.floats(0.0, 1e6), permits=st.integers(1, 1000)
)
def test_when_it_reaches_a_number_of_permits(*, limit: int, in_window: int, since: float, permits: int) -> None:
    """At the returned time the limit is reached; above the full limit it never is."""
    adaptive = AdaptiveLimit(limit)
    adaptive.on_throttled(since, since, in_window)
    reached_at = adaptive.time_at(permits)
    if permits > limit:
        assert reached_at == math.inf
    else:
        assert adaptive.current(max(reached_at, since)) >= permits
