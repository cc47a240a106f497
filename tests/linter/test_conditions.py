"""Contradictions between the conditions of a segment."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amp_exp_async import Condition
from amp_exp_async.linter.conditions import contradiction


def conditions(*tests: tuple[str, list[str]], prop: str = "gp:a") -> list[Condition]:
    """Return conditions on one property."""
    return [Condition(prop, op, values) for op, values in tests]


@pytest.mark.parametrize(
    "tests",
    [
        [("is", [])],
        [("contains", [])],
        [("glob match", [])],
        [("less", [])],
        [("version greater than", [])],
        [("is", ["a"]), ("is", ["b", "c"])],
        [("is", ["a"]), ("is not", ["a", "b"])],
        [("is not", ["a"]), ("is", ["a"])],
        [("is", ["a", "b"]), ("is not", ["a"]), ("is not", ["b"])],
        [("is", ["true"]), ("is", ["False"])],
        [("is", ["(none)"]), ("is", ["a"])],
        [("is", ["(none)"]), ("is not", ["(none)"])],
        [("is", ["(none)"]), ("contains", ["none"])],
        [("is", ["abc"]), ("contains", ["d", "e"])],
        [("is", ["abc"]), ("does not contain", ["b"])],
        [("is", ["3", "4"]), ("greater", ["4"])],
        [("contains", ["abc"]), ("does not contain", ["b"])],
        [("less", ["5"]), ("greater", ["5"])],
        [("less or equal", ["5"]), ("greater", ["5.0"])],
        [("less", ["2", "3"]), ("greater or equal", ["4", "5"])],
        [("greater", ["10"]), ("less", ["9"])],
        [("set contains", ["a", "b"]), ("set does not contain", ["b", "a"])],
        [("set is", ["a"]), ("set is not", ["a"])],
        [("set is", ["a"]), ("set is", ["a", "b"])],
        [("glob match", ["a*"]), ("glob does not match", ["a*", "b*"])],
    ],
)
def test_contradictions(tests: list[tuple[str, list[str]]]) -> None:
    """They are found in either order, and next to other conditions."""
    other = conditions(("is", ["x"]), prop="gp:b")
    assert contradiction([*other, *conditions(*tests)])
    assert contradiction([*conditions(*reversed(tests)), *other])


@pytest.mark.parametrize(
    "tests",
    [
        [],
        [("is not", [])],
        [("set contains", [])],
        [("set is", [])],
        [("another", [])],
        [("is", ["a", "b"]), ("is", ["b", "c"])],
        [("is", ["a", "b"]), ("is not", ["a"])],
        [("is", ["true"]), ("is", ["True"])],
        [("is", ["a"]), ("is not", ["A"])],
        [("is", ["(none)", "a"]), ("is not", ["a"])],
        [("is", ["(none)"]), ("does not contain", ["none"])],
        [("is", ["abc"]), ("contains", ["B"])],
        [("is", ["ABC"]), ("does not contain", ["b"])],
        [("is", ["3", "5"]), ("greater", ["4"])],
        [("is", ["x"]), ("greater", ["4"])],
        [("is", ["a"]), ("glob match", ["b*"])],
        [("is", ["a"]), ("another", ["b"])],
        [("contains", ["a", "b"]), ("does not contain", ["b"])],
        [("contains", ["b"]), ("does not contain", ["abc"])],
        [("contains", ["a"]), ("contains", ["b"])],
        [("less or equal", ["5"]), ("greater or equal", ["5"])],
        [("less", ["2", "6"]), ("greater", ["5"])],
        [("less", ["2"]), ("greater", ["5", "1"])],
        [("less", ["a"]), ("greater", ["b"])],
        [("less", ["5"]), ("less", ["1"])],
        [("set contains", ["a"]), ("set does not contain", ["a", "b"])],
        [("set contains", ["a"]), ("set does not contain", ["b"])],
        [("set contains", ["(none)"]), ("set does not contain", ["(none)"])],
        [("set is", ["a", "b"]), ("set is", ["b", "a"])],
        [("glob match", ["a*"]), ("glob does not match", ["ab*"])],
        [("version less than", ["1.0"]), ("version greater than", ["1.0"])],
    ],
)
def test_conditions_that_a_user_may_match(tests: list[tuple[str, list[str]]]) -> None:
    """Uncertain contradictions are not reported."""
    assert contradiction(conditions(*tests)) is None


def test_conditions_on_different_properties_or_cohorts() -> None:
    """They do not exclude each other."""
    first, second = conditions(("is", ["a"])), conditions(("is", ["b"]), prop="gp:b")
    assert contradiction([*first, *second]) is None
    cohorts = [Condition("userdata_cohort", "is", [id], type="cohort") for id in ("1", "2")]
    assert contradiction([*cohorts, Condition("gp:a", "is"), Condition(op="is", values=[])]) is None


VALUES = ["a", "b", "ab", "true", "True", "1", "2", "3", "(none)"]
OPS = ["is", "is not", "contains", "does not contain", "less", "less or equal", "greater", "greater or equal"]


def matches(value: str | None, op: str, values: list[str]) -> bool:
    """Return whether a property matches a condition, by the rules of the service."""
    if value is None:
        return ("(none)" in values) is not (" not " in f" {op} ")
    folded = [item.lower() if value.lower() == "true" else item for item in values]
    folded_value = value.lower() if value.lower() == "true" else value
    if op in {"is", "is not"}:
        return (folded_value in folded) is (op == "is")
    if op in {"contains", "does not contain"}:
        return any(item.lower() in value.lower() for item in values) is (op == "contains")
    if not value.isdigit():
        return False
    order = {"less": (-1,), "less or equal": (-1, 0), "greater": (1,), "greater or equal": (1, 0)}[op]
    return any((int(value) > int(item)) - (int(value) < int(item)) in order for item in values if item.isdigit())


@settings(max_examples=300, deadline=None, database=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(OPS), st.lists(st.sampled_from(VALUES), max_size=3, unique=True)),
        min_size=1,
        max_size=4,
    )
)
def test_reported_contradictions_are_certain(tests: list[tuple[str, list[str]]]) -> None:
    """No value of the property matches all conditions."""
    if contradiction(conditions(*tests)):
        candidates = [None, *VALUES[:-1], "0", "4", "aab", "x"]
        assert [value for value in candidates if all(matches(value, *test) for test in tests)] == []
