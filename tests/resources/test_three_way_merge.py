"""Three-way merges, compared with a model of the expected result."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amp_exp_async import UNSET, Condition, Segment
from amp_exp_async.matching import is_subset
from amp_exp_async.resources.three_way_merge import find_lost, merge

NAMES = st.lists(st.sampled_from("abcdef"), unique=True)


def segment(name: str, percentage: float = 0) -> Segment:
    return Segment(name=name, conditions=[Condition(prop="p", op="is", values=["v"])], percentage=percentage)


@st.composite
def segment_lists(draw: st.DrawFn) -> list[Segment]:
    """Draw segments with unique names and one of three percentages."""
    return [segment(name, draw(st.sampled_from([0, 1, 2]))) for name in draw(NAMES)]


def merged(field: str, base: Any, ours: Any, theirs: Any) -> Any:
    """Return the merged value of a field; fail on a conflict."""
    values, conflicts = merge({field: base}, {field: ours}, {field: theirs})
    assert conflicts == []
    return values[field]


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "result"),
    [("a", "b", "a", "b"), ("a", "b", "b", "b"), (None, 5, UNSET, None), (UNSET, 5, UNSET, 5), (1, 1.0, 1, 1)],
)
def test_a_single_value(base: Any, ours: Any, theirs: Any, result: Any) -> None:
    """Only different changes of both sides are a conflict."""
    values, conflicts = merge({"name": base}, {"name": ours}, {"name": theirs})
    if result is None:
        assert (values, [(conflict.base, conflict.ours, conflict.theirs) for conflict in conflicts]) == (
            {},
            [(base, ours, theirs)],
        )
    else:
        assert (values, conflicts) == ({"name": result}, [])


@given(NAMES, NAMES, NAMES)
def test_tags_merge_as_a_set(base: list[str], ours: list[str], theirs: list[str]) -> None:
    """Additions and removals of both sides apply, without conflicts."""
    result = merged("tags", base, ours, theirs)
    base_tags, our_tags, their_tags = set(base), set(ours), set(theirs)
    assert set(result) == (base_tags | (our_tags - base_tags) | (their_tags - base_tags)) - (base_tags - our_tags) - (
        base_tags - their_tags
    )
    assert len(result) == len(set(result))
    if theirs == base:
        assert result == ours


@given(segment_lists(), segment_lists(), segment_lists())
def test_segments_merge_by_name(base: list[Segment], ours: list[Segment], theirs: list[Segment]) -> None:
    """Each segment is merged by itself: different changes of both sides are a conflict."""
    values, conflicts = merge({"target_segments": base}, {"target_segments": ours}, {"target_segments": theirs})
    base_items, our_items, their_items = (
        {item.name: item.percentage for item in side} for side in (base, ours, theirs)
    )
    expected: dict[str, float] = {}
    clashes: set[str] = set()
    for name in base_items | our_items | their_items:
        old, mine, other = base_items.get(name), our_items.get(name), their_items.get(name)
        if old not in (mine, other) and mine != other:
            clashes.add(f'target_segments["{name}"]')
        elif (result := mine if old == other else other) is not None:
            expected[name] = result
    locations = {conflict.location for conflict in conflicts}
    assert locations - {"the order of target_segments"} == clashes
    if not conflicts:
        assert {item.name: item.percentage for item in values["target_segments"]} == expected
        assert len(values["target_segments"]) == len(expected)


@given(segment_lists(), segment_lists())
def test_a_change_of_one_side(base: list[Segment], changed: list[Segment]) -> None:
    """It is taken as it is, including the order."""
    assert merged("target_segments", base, changed, base) == changed
    assert merged("target_segments", base, base, changed) == changed
    assert merged("target_segments", base, changed, changed) == changed


@given(segment_lists(), segment_lists(), segment_lists())
def test_merging_is_symmetric(base: list[Segment], ours: list[Segment], theirs: list[Segment]) -> None:
    """With the sides swapped, the segments or the conflicts are the same."""
    field = "target_segments"
    result, conflicts = merge({field: base}, {field: ours}, {field: theirs})
    other, swapped = merge({field: base}, {field: theirs}, {field: ours})
    assert {conflict.location for conflict in conflicts} == {conflict.location for conflict in swapped}
    if not conflicts:
        assert sorted(result[field], key=str) == sorted(other[field], key=str)


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
    """Their order wins unless only we reordered; different reorderings are a conflict."""
    values, conflicts = merge(*({"target_segments": [segment(name) for name in side]} for side in (base, ours, theirs)))
    if result is None:
        assert [conflict.location for conflict in conflicts] == ["the order of target_segments"]
    else:
        assert ("".join(str(item.name) for item in values["target_segments"]), conflicts) == (result, [])


@pytest.mark.parametrize("twin", [segment("a"), Segment(percentage=1), Segment(name=None)])
def test_segments_without_unique_names(twin: Segment) -> None:
    """They merge as one value."""
    base = [segment("a"), twin]
    assert merged("target_segments", base, [*base, segment("b")], base) == [*base, segment("b")]
    _, conflicts = merge(
        {"target_segments": base}, {"target_segments": [*base, segment("b")]}, {"target_segments": base[:1]}
    )
    assert [conflict.location for conflict in conflicts] == ["target_segments"]


@pytest.mark.parametrize(
    ("written", "read", "expected"),
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
def test_is_subset(written: Any, read: Any, expected: bool) -> None:
    """Fields that the service adds, nulls that it drops, and dates as timestamps match."""
    assert is_subset(written, read) is expected


@given(segment_lists(), segment_lists(), segment_lists())
def test_later_additions_are_not_a_loss(base: list[Segment], ours: list[Segment], later: list[Segment]) -> None:
    """A later change that keeps ours is fine; a return to the base is a loss."""
    field = "target_segments"
    ours_names = {item.name for item in base} | {item.name for item in ours}
    added = [item for item in later if item.name not in ours_names]
    assert find_lost({field: base}, {field: ours}, {field: [*ours, *added]}) == []
    if base != ours:
        assert find_lost({field: base}, {field: ours}, {field: base}) != []


@pytest.mark.parametrize(
    ("now", "lost"), [(["a", "x"], False), (["y", "x", "a"], False), (["b", "x"], True), (["a"], True), ([], True)]
)
def test_lost_tags(now: list[str], lost: bool) -> None:
    """`b` was removed and `x` added; `a` stays."""
    assert bool(find_lost({"tags": ["a", "b"]}, {"tags": ["a", "x"]}, {"tags": now})) is lost


def test_an_omitted_field_is_not_a_loss() -> None:
    """A field that the response omits counts as written."""
    assert find_lost({"decision": UNSET}, {"decision": "rollout"}, {"decision": UNSET}) == []
