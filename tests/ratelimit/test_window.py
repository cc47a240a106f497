"""The accounts under the pacer: pure decisions, at times that the tests name."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amp_exp_async import RateLimit
from amp_exp_async.ratelimit.adaptive import AdaptiveLimit
from amp_exp_async.ratelimit.window import PermitWindow, RttEstimator

SEARCH = settings(deadline=None, derandomize=True)


def ledger(per_second: int | None = 100, per_day: int | None = None) -> PermitWindow:
    ledger = PermitWindow(lambda: 1.8e9)
    ledger.limit = RateLimit(per_second=per_second, per_day=per_day)
    return ledger


def seen(*round_trips: float) -> RttEstimator:
    trips = RttEstimator()
    for seconds in round_trips:
        trips.record(seconds)
    return trips


def test_the_head_start_is_the_least_less_its_distance_to_the_sixteenth() -> None:
    """Nothing before the hundredth reply; nothing where the round trips lie far apart; 95 % where all are the same."""
    assert seen(*[0.05] * 99).credit == 0.0
    assert seen(*[0.05] * 100).credit == pytest.approx(0.95 * 0.05)
    assert seen(*(0.05 + 0.001 * index for index in range(100))).credit == pytest.approx(0.05 - 0.015)
    assert seen(*(0.05 + 0.001 * index for index in reversed(range(100)))).credit == pytest.approx(0.05 - 0.015)
    assert seen(*(0.005 + 0.001 * index for index in range(100))).credit == 0.0


@SEARCH
@given(st.lists(st.floats(0.0, 10.0), min_size=100, max_size=150))
def test_the_head_start_is_never_more_than_the_least(round_trips: list[float]) -> None:
    """Whatever the round trips are, and one that is shorter makes it no longer."""
    trips = seen(*round_trips)
    assert 0.0 <= trips.credit <= min(round_trips)
    trips.record(0.0)
    assert trips.credit == 0.0


def test_the_capacity_backs_off_once_for_requests_sent_before() -> None:
    """Those refused with the first one only say that fewer of ours went well; one sent later backs off anew."""
    capacity = AdaptiveLimit(100)
    assert (capacity.is_full, capacity.current(10.0)) == (True, 100)
    assert capacity.on_throttled(10.0, 9.9, 60)
    alone = capacity.current(10.0)
    assert alone < 60
    for _ in range(5):
        assert not capacity.on_throttled(10.0, 9.95, 99)
    assert alone - 6 <= capacity.current(10.0) < alone
    assert capacity.on_throttled(20.0, 10.2, 30)
    assert capacity.current(20.0) < 30


def test_the_capacity_grows_once_the_pause_is_over() -> None:
    """It starts below what went well, is near it for a while, and is whole again within five seconds."""
    capacity = AdaptiveLimit(100)
    capacity.on_throttled(10.0, 9.9, 60)
    capacity.hold_until(11.0)
    start = capacity.current(10.0)
    assert capacity.current(11.0) == start
    assert 50 < start < capacity.current(12.0) <= capacity.current(13.0) <= 60
    assert (capacity.current(16.0), capacity.is_full) == (100, True)


def test_the_capacity_is_never_nothing() -> None:
    """Also where none of ours went well, and where the limit is one: a twentieth of it, and one at the least."""
    for limit, least in ((1, 1), (3, 1), (100, 5)):
        capacity = AdaptiveLimit(limit)
        for time in range(5):
            capacity.on_throttled(float(time), float(time), 0)
            assert capacity.current(float(time)) == least


def test_who_has_more_yields_more() -> None:
    """So that several who see the same refusals come near to equal parts; but the first in a while may be a stray."""
    yielded = []
    for held in (100, 300, 600, 1000):
        capacity = AdaptiveLimit(1000)
        capacity.on_throttled(0.0, 0.0, held)
        assert capacity.current(1.5) >= 0.97 * held
        capacity.on_throttled(5.0, 5.0, held)
        yielded.append((held - capacity.current(6.5)) / held)
        capacity.on_throttled(15.0, 15.0, held)
        assert capacity.current(16.5) >= 0.97 * held
    assert yielded == sorted(yielded)
    assert yielded[0] <= 0.1 < yielded[-1]


@SEARCH
@given(limit=st.integers(1, 1000), held=st.integers(0, 1000), since=st.floats(0.0, 1e6), permits=st.integers(1, 1000))
def test_when_the_capacity_reaches_so_much(*, limit: int, held: int, since: float, permits: int) -> None:
    """At the time it names the capacity is there, and not much before."""
    capacity = AdaptiveLimit(limit)
    capacity.on_throttled(since, since, held)
    at = capacity.time_at(permits)
    if permits > limit:
        assert at == math.inf
    elif at > since:
        assert capacity.current(at) >= permits
    else:
        assert capacity.current(since) >= permits


def test_when_to_ask_again() -> None:
    """When the next permit comes, or the capacity grows; when a pause is over; never, if all depends on replies."""
    accounts = ledger(2)
    assert [accounts.acquire_nowait(0.0) for _ in range(3)] == [True, True, False]
    assert accounts.next_permit_at(0.0) == math.inf
    accounts.release(0.5, 0.0, answered=True, throttled=False)
    assert accounts.next_permit_at(0.5) == 1.5
    accounts.pause(0.5, 3.0, daily=False)
    assert accounts.next_permit_at(0.5) == 3.5
    assert accounts.resume_at(0.5) == (3.5, False)
    accounts.pause(0.5, 60.0, daily=True)
    assert accounts.resume_at(0.5) == (60.5, True)
    assert not accounts.acquire_nowait(60.4)
    assert accounts.acquire_nowait(60.5)


def test_when_the_capacity_grows_before_a_permit_comes() -> None:
    """Then that is when to ask again, and when there is one."""
    accounts = ledger(100)
    assert all(accounts.acquire_nowait(0.0) for _ in range(60))
    accounts.release(0.1, 0.0, answered=True, throttled=True)
    accounts.pause(0.1, 0.0, daily=False)
    accounts.forfeit(0.2, 59)
    assert not accounts.acquire_nowait(1.2)
    again = accounts.next_permit_at(1.2)
    assert 1.2 < again < 3.2
    assert not accounts.acquire_nowait(again - 0.01)
    assert accounts.acquire_nowait(again)


def test_a_daily_refusal_leaves_the_capacity_alone() -> None:
    """It says nothing about the second."""
    accounts = ledger(100)
    assert accounts.acquire_nowait(0.0)
    accounts.release(0.1, 0.0, answered=True, throttled=False)
    accounts.pause(0.1, 30.0, daily=True)
    assert sum(accounts.acquire_nowait(31.0) for _ in range(150)) == 100


def test_without_a_limit_nothing_is_held() -> None:
    """Pauses hold all the same."""
    accounts = ledger(None)
    assert all(accounts.acquire_nowait(0.0) for _ in range(1000))
    for _ in range(999):
        accounts.release(0.1, 0.0, answered=True, throttled=True)
    accounts.forfeit(0.1, 1)
    assert accounts.in_use == 0
    accounts.pause(0.1, 1.0, daily=False)
    assert not accounts.acquire_nowait(1.0)
    assert accounts.next_permit_at(1.0) == 1.1


def test_the_clock_on_the_wall_may_be_set() -> None:
    """The day is looked up at least once a minute."""
    wall = [1_800_057_600.0 - 3600.0]
    accounts = PermitWindow(lambda: wall[0])
    accounts.limit = RateLimit(per_second=None, per_day=1)
    assert accounts.acquire_nowait(0.0)
    assert not accounts.acquire_nowait(1.0)
    wall[0] += 7200.0
    assert accounts.requests_today == 0
    assert accounts.acquire_nowait(61.0)
    assert accounts.requests_today == 1
