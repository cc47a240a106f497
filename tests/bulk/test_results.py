"""The counters of a run: the rate and the remaining time, with injected times."""

from __future__ import annotations

import pytest

from amp_exp_async import Edit, Outcome
from amp_exp_async.bulk.results import RunStats


def outcome(index: int) -> Outcome:
    return Outcome(Edit("flags", "1", {"enabled": True}), index, "done")


def test_rate_and_remaining_time() -> None:
    """The rate is that of the last ten seconds, and the estimate follows from it."""
    stats = RunStats(total=400)
    stats.start(100.0)
    assert (stats.progress.rate, stats.progress.seconds_left) == (0.0, None)
    for number in range(1, 201):  # ten per second for 20 s
        stats.add(outcome(number), 100.0 + number / 10)
    assert stats.progress.rate == pytest.approx(10.0)
    assert stats.progress.seconds_left == pytest.approx(20.0)
    assert stats.summary.seconds == pytest.approx(20.0)
    for number in range(1, 101):  # one per second for 100 s
        stats.add(outcome(number), 120.0 + number)
    assert stats.progress.rate == pytest.approx(1.0)
    assert stats.progress.seconds_left == pytest.approx(100.0)


def test_no_rate_before_it_means_something() -> None:
    """The burst of the first second gives no rate, and no rate is above the limit."""
    stats = RunStats(total=1000, max_rate=100)
    stats.start(0.0)
    for number in range(100):
        stats.add(outcome(number), 0.1)
    assert (stats.progress.rate, stats.progress.seconds_left) == (0.0, None)
    for number in range(100, 300):  # two bursts
        stats.add(outcome(number), 1.01 if number < 200 else 2.02)
    assert (stats.progress.rate, stats.progress.seconds_left) == (100.0, 7.0)


def test_skipped_operations_have_no_rate() -> None:
    """What the journal has as done is not carried out, so it does not make the rest look fast."""
    stats = RunStats(total=3000)
    stats.start(0.0)
    for number in range(2000):
        stats.add(Outcome(outcome(number).operation, number, "skipped"), 1.5)
    for number in range(2000, 2010):
        stats.add(outcome(number), 1.5 + (number - 1999) / 10)
    assert stats.progress.seconds_left == pytest.approx(99.0, abs=11.0)


def test_unknown_total() -> None:
    """Without a total there is no estimate; with all outcomes the remaining time is zero."""
    stats = RunStats(total=None)
    stats.start(0.0)
    stats.add(outcome(0), 1.0)
    assert stats.progress.seconds_left is None
    stats.total = 1
    assert stats.progress.seconds_left == 0.0
