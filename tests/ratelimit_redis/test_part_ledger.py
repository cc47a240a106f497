"""The accounts of a part, in times of the test's own."""

from __future__ import annotations

import math

import pytest

from amp_exp_async import RateLimit
from amp_exp_async.ratelimit.redis.ledger import PartLedger


@pytest.fixture
def asked() -> list[None]:
    """One for each time that the ledger asked for more."""
    return []


@pytest.fixture
def ledger(asked: list[None]) -> PartLedger:
    """With a part of two permits, for ten seconds and five requests."""
    ledger = PartLedger(lambda: 0.0, lambda: asked.append(None))
    ledger.limit = RateLimit()
    ledger.part, ledger.fresh_until, ledger.counted = 2, 10.0, 5
    return ledger


def test_it_asks_once_for_what_it_lacks(ledger: PartLedger, asked: list[None]) -> None:
    """A permit more, a fresher part or a count of the day: each is asked for, once until there is an answer."""
    assert [ledger.take(0.0) for _ in range(4)] == [True, True, False, False]
    assert (ledger.wanting, len(asked), ledger.counted) == (True, 1, 3)
    ledger.wanting, ledger.part = False, 3
    assert not ledger.take(10.0)
    assert ledger.next_at(10.0) == math.inf
    ledger.wanting, ledger.fresh_until, ledger.counted = False, 20.0, 0
    assert not ledger.take(10.0)
    assert ledger.next_at(10.0) == math.inf
    ledger.free = True
    assert ledger.take(10.0)
    assert len(asked) == 3


def test_what_was_not_sent_counts_for_nothing(ledger: PartLedger) -> None:
    """A permit that is put back can be taken again, and neither the day's count nor the permits are fewer."""
    assert ledger.take(0.0)
    ledger.put_back()
    assert (ledger.held, ledger.counted, ledger.granted, ledger.requests_today) == (0, 5, 0, 0)
    assert ledger.busy(0.1) == 0


def test_a_head_start_is_not_for_others(ledger: PartLedger) -> None:
    """A permit is usable again here as soon as this network allows, and elsewhere after the whole second."""
    ledger.counted = 200
    now = 0.0
    for _ in range(100):
        assert ledger.take(now)
        ledger.give_back(now + 0.1, now, answered=True, throttled=False)
        now += 1.2
        ledger.fresh_until = now + 10.0
    assert ledger.take(now)
    ledger.give_back(now + 0.1, now, answered=True, throttled=False)
    head_start = ledger._head_start
    assert 0.05 < head_start < 0.1
    usable = now + 0.1 + 1.0 - head_start
    assert (ledger.held, ledger.busy(usable - 0.01)) == (1, 1)
    assert ledger.less_busy_at(now + 0.1) == pytest.approx(usable + head_start)
    assert ledger.busy(usable + 0.001) == 1
    assert ledger.held == 0
    assert ledger.busy(now + 1.1 + 0.001) == 0
