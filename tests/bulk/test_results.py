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


def test_unknown_total() -> None:
    """Without a total there is no estimate; with all outcomes the remaining time is zero."""
    stats = RunStats(total=None)
    stats.start(0.0)
    stats.add(outcome(0), 1.0)
    assert stats.progress.seconds_left is None
    stats.total = 1
    assert stats.progress.seconds_left == 0.0
