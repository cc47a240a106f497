"""The moving window with a lease, in the test's own time."""

from __future__ import annotations

import math

import pytest

from amp_exp_async import RateLimit
from amp_exp_async.ratelimit.redis.leased_window import LeasedWindow


@pytest.fixture
def starved() -> list[None]:
    """One item for each time that the window needed another lease."""
    return []


@pytest.fixture
def window(starved: list[None]) -> LeasedWindow:
    """A window with a lease on two permits, for ten seconds and five requests."""
    window = LeasedWindow(lambda: 0.0)
    window.on_starved = lambda: starved.append(None)
    window.limit = RateLimit()
    window.renew(capacity=2, expires_at=10.0, reserved=5)
    return window


def test_it_reports_once_that_it_is_starved(window: LeasedWindow, starved: list[None]) -> None:
    """It needs another lease for more permits, after the old one has expired, and for more requests of the day."""
    assert [window.acquire_nowait(0.0) for _ in range(4)] == [True, True, False, False]
    assert (window.starved, len(starved), window.reserved) == (True, 1, 3)
    window.renew(capacity=3, expires_at=10.0, reserved=3)
    assert not window.acquire_nowait(10.0)
    assert window.next_permit_at(10.0) == math.inf
    window.renew(capacity=3, expires_at=20.0, reserved=0)
    assert not window.acquire_nowait(10.0)
    assert window.next_permit_at(10.0) == math.inf
    window.fall_back(3, debt=0)
    assert window.acquire_nowait(10.0)
    assert len(starved) == 3


def test_the_account_of_the_day(window: LeasedWindow) -> None:
    """Reservations that are not needed are released; requests without a reservation are reported, once."""
    assert window.take_reserved(3) == (0, 3, 2)
    window.fall_back(10, debt=0)
    assert all(window.acquire_nowait(0.0) for _ in range(7))
    assert window.take_reserved(3) == (4, 0, 0)
    assert window.take_reserved(3) == (0, 0, 0)
    window.fall_back(10, debt=4)
    assert window.take_reserved(3) == (4, 0, 0)


def test_an_undone_acquire_counts_for_nothing(window: LeasedWindow) -> None:
    """The permit and the reservation are available again."""
    assert window.acquire_nowait(0.0)
    window.undo_acquire()
    assert (window.in_use, window.reserved, window.acquired, window.requests_today) == (0, 5, 0, 0)
    assert window.committed(0.1) == 0


def test_the_rtt_credit_is_not_for_other_processes(window: LeasedWindow) -> None:
    """A permit is available again here before a second has passed, and elsewhere after the whole second."""
    window.reserved = 200
    now = 0.0
    for _ in range(100):
        assert window.acquire_nowait(now)
        window.release(now + 0.1, now, answered=True, throttled=False)
        now += 1.2
        window.expires_at = now + 10.0
    assert window.acquire_nowait(now)
    window.release(now + 0.1, now, answered=True, throttled=False)
    assert window.next_release_at(now + 0.1) == pytest.approx(now + 1.1)
    cooled_at = now + 0.1 + 1.0 - 0.095
    assert (window.in_use, window.committed(cooled_at - 0.01)) == (1, 1)
    assert window.committed(cooled_at + 0.001) == 1
    assert window.in_use == 0
    assert window.committed(now + 1.1 + 0.001) == 0


def test_a_429_does_not_release_cooled_permits(window: LeasedWindow) -> None:
    """Permits that have cooled down stay committed for the whole second when another request is throttled."""
    window.renew(capacity=2, expires_at=1000.0, reserved=1000)
    now = 0.0
    for _ in range(100):
        assert window.acquire_nowait(now)
        window.release(now + 0.1, now, answered=True, throttled=False)
        now += 1.2
    assert window.acquire_nowait(now)
    window.release(now + 0.1, now, answered=True, throttled=False)
    assert window.acquire_nowait(now + 0.9)
    cooled_at = now + 0.1 + 1.0 - 0.095
    window.release(cooled_at + 0.01, now + 0.9, answered=True, throttled=True)
    assert window.committed(cooled_at + 0.02) == 2
