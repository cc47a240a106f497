"""The moving window and its estimate of the round-trip time, at times that the tests name."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from amp_exp_async import RateLimit
from amp_exp_async.ratelimit import seconds_to_midnight
from amp_exp_async.ratelimit.window import PermitWindow, RttEstimator

MIDNIGHT = 1_800_057_600.0
assert MIDNIGHT % 86_400 == 0


def create_window(per_second: int | None = 100, per_day: int | None = None) -> PermitWindow:
    window = PermitWindow(lambda: 1.8e9)
    window.limit = RateLimit(per_second=per_second, per_day=per_day)
    return window


def estimate(*round_trips: float) -> RttEstimator:
    rtt = RttEstimator()
    for seconds in round_trips:
        rtt.record(seconds)
    return rtt


def test_the_rtt_credit_is_the_shortest_round_trip_less_its_distance_to_the_16th() -> None:
    """There is no credit for under 100 responses or for very different round trips, and 95 % for equal ones."""
    assert estimate(*[0.05] * 99).credit == 0.0
    assert estimate(*[0.05] * 100).credit == pytest.approx(0.95 * 0.05)
    assert estimate(*(0.05 + 0.001 * index for index in range(100))).credit == pytest.approx(0.05 - 0.015)
    assert estimate(*(0.05 + 0.001 * index for index in reversed(range(100)))).credit == pytest.approx(0.05 - 0.015)
    assert estimate(*(0.005 + 0.001 * index for index in range(100))).credit == 0.0


@settings(deadline=None, derandomize=True)
@given(st.lists(st.floats(0.0, 10.0), min_size=100, max_size=150))
def test_the_rtt_credit_is_at_most_the_shortest_round_trip(round_trips: list[float]) -> None:
    """This holds for any round trips, and a shorter one does not increase it."""
    rtt = estimate(*round_trips)
    assert 0.0 <= rtt.credit <= min(round_trips)
    rtt.record(0.0)
    assert rtt.credit == 0.0


def test_when_to_try_again() -> None:
    """When the next permit has cooled down, when a pause is over, or never if it depends on responses."""
    window = create_window(2)
    assert [window.acquire_nowait(0.0) for _ in range(3)] == [True, True, False]
    assert window.next_permit_at(0.0) == math.inf
    window.release(0.5, 0.0, answered=True, throttled=False)
    assert window.next_permit_at(0.5) == 1.5
    window.pause(0.5, 3.0, daily=False)
    assert window.next_permit_at(0.5) == 3.5
    assert window.resume_at(0.5) == (3.5, False)
    window.pause(0.5, 60.0, daily=True)
    assert window.resume_at(0.5) == (60.5, True)
    assert not window.acquire_nowait(60.4)
    assert window.acquire_nowait(60.5)


@pytest.mark.parametrize("daily", [False, True])
@pytest.mark.parametrize("seconds", [3600.5, 31e6, 1e300, math.inf])
def test_a_pause_ends_with_the_day(seconds: float, daily: bool) -> None:
    """Whatever the service or other processes ask for, permits are given out again when the UTC day ends."""
    window = PermitWindow(lambda: MIDNIGHT - 3600.0)
    window.pause(1.0, seconds, daily=daily)
    assert window.resume_at(1.0) == (3601.0, daily)
    assert not window.acquire_nowait(3600.9)
    assert window.acquire_nowait(3601.0)


def test_the_adaptive_limit_grows_before_a_permit_has_cooled_down() -> None:
    """Then that is when to try again, and when a permit is available."""
    window = create_window(100)
    assert all(window.acquire_nowait(0.0) for _ in range(60))
    window.release(0.1, 0.0, answered=True, throttled=True)
    window.pause(0.1, 0.0, daily=False)
    window.forfeit(0.2, 59)
    assert not window.acquire_nowait(1.2)
    next_permit_at = window.next_permit_at(1.2)
    assert 1.2 < next_permit_at < 3.2
    assert not window.acquire_nowait(next_permit_at - 0.01)
    assert window.acquire_nowait(next_permit_at)


def test_a_daily_429_does_not_change_the_limit_per_second() -> None:
    """All permits are available after the pause."""
    window = create_window(100)
    assert window.acquire_nowait(0.0)
    window.release(0.1, 0.0, answered=True, throttled=False)
    window.pause(0.1, 30.0, daily=True)
    assert sum(window.acquire_nowait(31.0) for _ in range(150)) == 100


def test_without_a_limit_no_permit_cools_down() -> None:
    """Pauses apply nevertheless."""
    window = create_window(None)
    assert all(window.acquire_nowait(0.0) for _ in range(1000))
    for _ in range(999):
        window.release(0.1, 0.0, answered=True, throttled=True)
    window.forfeit(0.1, 1)
    assert window.in_use == 0
    window.pause(0.1, 1.0, daily=False)
    assert not window.acquire_nowait(1.0)
    assert window.next_permit_at(1.0) == 1.1


def test_the_wall_clock_may_be_set() -> None:
    """The day is determined again at least once a minute."""
    wall = [MIDNIGHT - 3600.0]
    window = PermitWindow(lambda: wall[0])
    window.limit = RateLimit(per_second=None, per_day=1)
    assert window.acquire_nowait(0.0)
    assert not window.acquire_nowait(1.0)
    wall[0] += 7200.0
    assert window.requests_today == 0
    assert window.acquire_nowait(61.0)
    assert window.requests_today == 1


@pytest.mark.parametrize("seconds", [3600.0, 1.0, 0.001, 1e-6, 3e-7])
def test_seconds_to_midnight(seconds: float) -> None:
    """The result is exact up to the last moment of the UTC day."""
    assert seconds_to_midnight(MIDNIGHT - seconds) == pytest.approx(seconds, abs=1e-6)
    assert seconds_to_midnight(MIDNIGHT) == 86_400


@given(st.floats(0, 4e9))
@example(0.0)
@example(86_399.999_999)
@example(86_400.0)
def test_seconds_to_midnight_end_with_a_day(now: float) -> None:
    """They are more than 0 and at most a day, for any time."""
    seconds = seconds_to_midnight(now)
    assert 0 < seconds <= 86_400
    days = (now + seconds) / 86_400
    assert math.isclose(days, round(days), abs_tol=1e-6)
