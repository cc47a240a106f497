"""The completed operations that a rerun must apply again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from amp_exp_async.bulk.journal import ReplayTracker


def test_operations_in_order_are_not_stale() -> None:
    """Operations that ran in order are not stale."""
    tracker = ReplayTracker()
    for index in (0, 2, 5):
        tracker.start("flags/1", index)
        tracker.finish("flags/1", index, applied=True)
    assert not any(tracker.is_stale("flags/1", index) for index in range(6))


def test_later_operations_of_the_flag_are_stale() -> None:
    """A late operation makes later ones on its flag stale, not earlier ones, and none on other flags."""
    tracker = ReplayTracker()
    for index in range(4):
        tracker.start("flags/1", index)
        tracker.start("flags/2", index)
    tracker.start("flags/1", 1)
    assert [tracker.is_stale("flags/1", index) for index in range(4)] == [False, False, True, True]
    assert not any(tracker.is_stale("flags/2", index) for index in range(4))


def test_a_repeated_failure_makes_nothing_stale() -> None:
    """A repeated operation that fails without a change makes nothing stale."""
    tracker = ReplayTracker()
    for index in (0, 1):
        tracker.start("flags/1", index)
    tracker.start("flags/1", 0)
    tracker.finish("flags/1", 0, applied=False)
    assert not tracker.is_stale("flags/1", 1)


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=30))
def test_against_a_model(history: list[tuple[int, bool]]) -> None:
    """For any history, an operation that is not stale was applied after all earlier ones."""
    tracker, applied_at = ReplayTracker(), dict[int, int]()
    for moment, (index, applied) in enumerate(history):
        tracker.start("flags/1", index)
        tracker.finish("flags/1", index, applied=applied)
        if applied:
            applied_at[index] = moment
        for later, moment_applied in applied_at.items():
            too_early = any(earlier < later and applied_at[earlier] > moment_applied for earlier in applied_at)
            assert tracker.is_stale("flags/1", later) or not too_early
