"""The accounts of a part, in times of the test's own."""

from __future__ import annotations

import math

import pytest

from amp_exp_async import RateLimit
from amp_exp_async.ratelimit.redis.leased_window import LeasedWindow


@pytest.fixture
def asked() -> list[None]:
    """One for each time that the ledger asked for more."""
    return []


@pytest.fixture
def ledger(asked: list[None]) -> LeasedWindow:
    """With a part of two permits, for ten seconds and five requests."""
    ledger = LeasedWindow(lambda: 0.0)
    ledger.on_starved = lambda: asked.append(None)
    ledger.limit = RateLimit()
    ledger.capacity, ledger.expires_at, ledger.reserved = 2, 10.0, 5
    return ledger


def test_it_asks_once_for_what_it_lacks(ledger: LeasedWindow, asked: list[None]) -> None:
    """A permit more, a fresher part or a count of the day: each is asked for, once until there is an answer."""
    assert [ledger.acquire_nowait(0.0) for _ in range(4)] == [True, True, False, False]
    assert (ledger.starved, len(asked), ledger.reserved) == (True, 1, 3)
    ledger.starved, ledger.capacity = False, 3
    assert not ledger.acquire_nowait(10.0)
    assert ledger.next_permit_at(10.0) == math.inf
    ledger.starved, ledger.expires_at, ledger.reserved = False, 20.0, 0
    assert not ledger.acquire_nowait(10.0)
    assert ledger.next_permit_at(10.0) == math.inf
    ledger.unmetered = True
    assert ledger.acquire_nowait(10.0)
    assert len(asked) == 3


def test_what_was_not_sent_counts_for_nothing(ledger: LeasedWindow) -> None:
    """A permit that is put back can be taken again, and neither the day's count nor the permits are fewer."""
    assert ledger.acquire_nowait(0.0)
    ledger.undo_acquire()
    assert (ledger.in_use, ledger.reserved, ledger.acquired, ledger.requests_today) == (0, 5, 0, 0)
    assert ledger.committed(0.1) == 0


def test_a_head_start_is_not_for_others(ledger: LeasedWindow) -> None:
    """A permit is usable again here as soon as this network allows, and elsewhere after the whole second."""
    ledger.reserved = 200
    now = 0.0
    for _ in range(100):
        assert ledger.acquire_nowait(now)
        ledger.release(now + 0.1, now, answered=True, throttled=False)
        now += 1.2
        ledger.expires_at = now + 10.0
    assert ledger.acquire_nowait(now)
    ledger.release(now + 0.1, now, answered=True, throttled=False)
    head_start = ledger._max_rtt_credit
    assert 0.05 < head_start < 0.1
    usable = now + 0.1 + 1.0 - head_start
    assert (ledger.in_use, ledger.committed(usable - 0.01)) == (1, 1)
    assert ledger.next_release_at(now + 0.1) == pytest.approx(usable + head_start)
    assert ledger.committed(usable + 0.001) == 1
    assert ledger.in_use == 0
    assert ledger.committed(now + 1.1 + 0.001) == 0
