"""Merging two changes: no network, and a model that says what must come out."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amp_exp_async import UNSET, Condition, Segment
from amp_exp_async.resources.three_way_merge import find_lost, is_subset, merge

NAMES = st.lists(st.sampled_from("abcdef"), unique=True)


def segment(name: str, percentage: float = 0) -> Segment:
    return Segment(name=name, conditions=[Condition(prop="p", op="is", values=["v"])], percentage=percentage)


@st.composite
def segment_lists(draw: st.DrawFn) -> list[Segment]:
    """Segments of different names, each in one of three states."""
    return [segment(name, draw(st.sampled_from([0, 1, 2]))) for name in draw(NAMES)]


def merged(field: str, base: Any, ours: Any, theirs: Any) -> Any:
    """The value of one field; fails where it overlaps."""
    values, overlaps = merge({field: base}, {field: ours}, {field: theirs})
    assert overlaps == []
    return values[field]


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "result"),
    [("a", "b", "a", "b"), ("a", "b", "b", "b"), (None, 5, UNSET, None), (UNSET, 5, UNSET, 5), (1, 1.0, 1, 1)],
)
def test_a_field_of_one_piece(base: Any, ours: Any, theirs: Any, result: Any) -> None:
    """A change of one side, or the same on both, is no conflict; the rest is."""
    values, overlaps = merge({"name": base}, {"name": ours}, {"name": theirs})
    if result is None:
        assert (values, [(overlap.base, overlap.ours, overlap.theirs) for overlap in overlaps]) == (
            {},
            [(base, ours, theirs)],
        )
    else:
        assert (values, overlaps) == ({"name": result}, [])


@given(NAMES, NAMES, NAMES)
def test_tags_are_a_set(base: list[str], ours: list[str], theirs: list[str]) -> None:
    """What either side has added is there, what either has removed is not, and nothing overlaps."""
    result = merged("tags", base, ours, theirs)
    was, us, they = set(base), set(ours), set(theirs)
    assert set(result) == (was | (us - was) | (they - was)) - (was - us) - (was - they)
    assert len(result) == len(set(result))
    if theirs == base:
        assert result == ours


@given(segment_lists(), segment_lists(), segment_lists())
def test_segments_by_name(base: list[Segment], ours: list[Segment], theirs: list[Segment]) -> None:
    """Each name by itself: the side that has changed it, if only one has, or both in the same way; else an overlap."""
    values, overlaps = merge({"target_segments": base}, {"target_segments": ours}, {"target_segments": theirs})
    was, us, they = ({one.name: one.percentage for one in side} for side in (base, ours, theirs))
    expected: dict[str, float] = {}
    clashes: set[str] = set()
    for name in was | us | they:
        old, mine, other = was.get(name), us.get(name), they.get(name)
        if old not in (mine, other) and mine != other:
            clashes.add(f'target_segments["{name}"]')
        elif (result := mine if old == other else other) is not None:
            expected[name] = result
    found = {overlap.location for overlap in overlaps}
    assert found - {"the order of target_segments"} == clashes
    if not overlaps:
        assert {one.name: one.percentage for one in values["target_segments"]} == expected
        assert len(values["target_segments"]) == len(expected)


@given(segment_lists(), segment_lists())
def test_a_change_of_one_side_is_taken_as_it_is(base: list[Segment], changed: list[Segment]) -> None:
    """Order included, whichever side it is."""
    assert merged("target_segments", base, changed, base) == changed
    assert merged("target_segments", base, base, changed) == changed
    assert merged("target_segments", base, changed, changed) == changed


@given(segment_lists(), segment_lists(), segment_lists())
def test_it_does_not_matter_who_is_first(base: list[Segment], ours: list[Segment], theirs: list[Segment]) -> None:
    """Both ways round, the same segments come out, or the same places overlap."""
    field = "target_segments"
    one, overlaps = merge({field: base}, {field: ours}, {field: theirs})
    other, swapped = merge({field: base}, {field: theirs}, {field: ours})
    assert {overlap.location for overlap in overlaps} == {overlap.location for overlap in swapped}
    if not overlaps:
        assert sorted(one[field], key=str) == sorted(other[field], key=str)


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "result"),
    [
        ("ab", "abx", "ab", "abx"),
        ("ab", "abx", "abc", "abcx"),
        ("ab", "xab", "abc", "xabc"),
        ("ab", "axb", "cab", "caxb"),
        ("ab", "abxy", "ba", "baxy"),
        ("abc", "cba", "abcd", "cbad"),
        ("abc", "cba", "ab", "ba"),
        ("abc", "cba", "cbad", "cbad"),
        ("abc", "cba", "bac", None),
    ],
)
def test_the_order_of_segments(base: str, ours: str, theirs: str, result: str | None) -> None:
    """Theirs, with what we added where it stands; ours, if only we have moved something; no guess if both have."""
    values, overlaps = merge(*({"target_segments": [segment(name) for name in side]} for side in (base, ours, theirs)))
    if result is None:
        assert [overlap.location for overlap in overlaps] == ["the order of target_segments"]
    else:
        assert ("".join(str(one.name) for one in values["target_segments"]), overlaps) == (result, [])


@pytest.mark.parametrize("twin", [segment("a"), Segment(percentage=1), Segment(name=None)])
def test_segments_that_names_do_not_tell_apart(twin: Segment) -> None:
    """They are one piece."""
    base = [segment("a"), twin]
    assert merged("target_segments", base, [*base, segment("b")], base) == [*base, segment("b")]
    _, overlaps = merge(
        {"target_segments": base}, {"target_segments": [*base, segment("b")]}, {"target_segments": base[:1]}
    )
    assert [overlap.location for overlap in overlaps] == ["target_segments"]


@pytest.mark.parametrize(
    ("written", "read", "there"),
    [
        (50, 50.0, True),
        (50, 51, False),
        (date(2026, 1, 2), datetime(2026, 1, 2, tzinfo=UTC), True),
        (date(2026, 1, 2), datetime(2026, 1, 2, 1, tzinfo=UTC), False),
        (segment("a"), Segment(name="a", conditions=segment("a").conditions, percentage=0, bucketing_key="k"), True),
        (Segment(name="a", bucketing_key=None), Segment(name="a"), True),
        (Segment(name="a", extra={"x": [1]}), Segment(name="a"), False),
        ([segment("a")], [segment("a"), segment("b")], False),
        (None, None, True),
        (None, "", False),
    ],
)
def test_what_counts_as_written(written: Any, read: Any, there: bool) -> None:
    """What the service adds, leaves out as null, or makes of a date is no mismatch."""
    assert is_subset(written, read) is there


@given(segment_lists(), segment_lists(), segment_lists())
def test_what_others_add_to_a_written_change_is_no_loss(
    base: list[Segment], ours: list[Segment], later: list[Segment]
) -> None:
    """A later guarded change of somebody else that leaves ours alone is fine; going back to the base is a loss."""
    field = "target_segments"
    ours_names = {one.name for one in base} | {one.name for one in ours}
    added = [one for one in later if one.name not in ours_names]
    assert find_lost({field: base}, {field: ours}, {field: [*ours, *added]}) == []
    if base != ours:
        assert find_lost({field: base}, {field: ours}, {field: base}) != []


@pytest.mark.parametrize(
    ("now", "lost"), [(["a", "x"], False), (["y", "x", "a"], False), (["b", "x"], True), (["a"], True), ([], True)]
)
def test_written_tags(now: list[str], lost: bool) -> None:
    """`b` was removed and `x` added: that is all that is looked for, besides what was to stay."""
    assert bool(find_lost({"tags": ["a", "b"]}, {"tags": ["a", "x"]}, {"tags": now})) is lost


def test_what_the_service_does_not_show_cannot_be_missing() -> None:
    """A field that it leaves out of its replies is taken as written."""
    assert find_lost({"decision": UNSET}, {"decision": "rollout"}, {"decision": UNSET}) == []
