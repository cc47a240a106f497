"""What a rerun has to do once more: what an earlier operation on the same flag came after."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from amp_exp_async.bulk.journal import ReplayTracker


def test_in_order_nothing_is_stale() -> None:
    """As long as the operations on a flag come in their order, what is done stays done."""
    tracker = ReplayTracker()
    for index in (0, 2, 5):
        tracker.start("flags/1", index)
        tracker.finish("flags/1", index, applied=True)
    assert not any(tracker.is_stale("flags/1", index) for index in range(6))


def test_only_the_same_flag_and_only_what_is_later() -> None:
    """An operation that comes late makes those after it due, not those before it, and not those of other flags."""
    tracker = ReplayTracker()
    for index in range(4):
        tracker.start("flags/1", index)
        tracker.start("flags/2", index)
    tracker.start("flags/1", 1)
    assert [tracker.is_stale("flags/1", index) for index in range(4)] == [False, False, True, True]
    assert not any(tracker.is_stale("flags/2", index) for index in range(4))


def test_one_that_fails_again_changes_nothing() -> None:
    """What came after an operation that fails a second time, and changed nothing, stays done."""
    tracker = ReplayTracker()
    for index in (0, 1):
        tracker.start("flags/1", index)
    tracker.start("flags/1", 0)
    tracker.finish("flags/1", 0, applied=False)
    assert not tracker.is_stale("flags/1", 1)


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=30))
def test_against_a_model(history: list[tuple[int, bool]]) -> None:
    """Whatever was begun and applied in whatever order: what is not due was applied after all that it must follow."""
    tracker, applied_at = ReplayTracker(), dict[int, int]()
    for moment, (index, applied) in enumerate(history):
        tracker.start("flags/1", index)
        tracker.finish("flags/1", index, applied=applied)
        if applied:
            applied_at[index] = moment
        for later, at in applied_at.items():
            too_early = any(earlier < later and applied_at[earlier] > at for earlier in applied_at)
            assert tracker.is_stale("flags/1", later) or not too_early
