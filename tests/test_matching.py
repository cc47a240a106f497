"""The comparison of live objects with requested values."""

from __future__ import annotations

from typing import Any

import pytest

from amp_exp_async import UNSET, HoldoutGroup, MutexGroup, MutexSlot, Variant
from amp_exp_async.matching import could_be_created_with, matches

PAYLOAD = {"a": [1, None, "x"]}


@pytest.mark.parametrize(
    ("live", "values", "expected"),
    [
        (Variant("on", payload=PAYLOAD), {"payload": PAYLOAD}, True),
        (Variant("on", payload=PAYLOAD), {"key": "on", "payload": PAYLOAD}, True),
        (Variant("on", payload=PAYLOAD), {"payload": {"a": [1, None]}}, False),
        (Variant("on", payload={**PAYLOAD, "b": 1}), {"payload": PAYLOAD}, False),
        (Variant("on", payload=None), {"payload": None}, True),
        (Variant("on"), {"payload": None}, True),
        (Variant("on"), {"payload": PAYLOAD}, False),
        (Variant("on"), {"name": "n"}, False),
        (Variant("on", rollout_weight=1.0), {"rollout_weight": 1}, True),
        (Variant("on", rollout_weight=UNSET), {"rollout_weight": 0}, False),
        (Variant("on"), {}, True),
    ],
)
def test_whether_an_object_has_values(live: Variant, values: dict[str, Any], *, expected: bool) -> None:
    """All of them must be shown, and be equal. A field that is not shown has no value but null."""
    assert matches(live, values) is expected


SLOTS = [MutexSlot(percentage=50, experiments=["1", "2"], individuals=["u"]), MutexSlot(percentage=50)]


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("name", "g", True),
        ("name", "h", False),
        ("description", "not shown", True),
        ("slots", [{"percentage": 50, "experiments": [2, 1], "individuals": ["u"]}, {"percentage": 50}], True),
        ("slots", [{"percentage": 50, "experiments": [1], "individuals": ["u"]}, {"percentage": 50}], False),
        ("slots", [{"percentage": 50, "experiments": [1, 2], "individuals": ["v"]}, {"percentage": 50}], False),
        ("slots", [{"percentage": 40, "experiments": [1, 2], "individuals": ["u"]}, {"percentage": 60}], False),
        ("slots", [{"percentage": 50, "holdouts": [9]}, {"percentage": 50}], True),
        ("slots", [{"percentage": 100}], False),
    ],
)
def test_whether_a_mutex_group_could_be_new(field: str, value: Any, *, expected: bool) -> None:
    """Every field that it shows must be as requested. The order of IDs, and their type, do not matter."""
    live = MutexGroup(id="1", project_id="1", name="g", slots=SLOTS)
    assert could_be_created_with(live, {"project_id": 1, field: value}) is expected


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("experiments", [3, 4], True),
        ("experiments", [3], False),
        ("individual_inclusion", ["b", "a"], True),
        ("individual_inclusion", ["a"], False),
        ("individual_exclusion", ["x"], False),
        ("holdout_percentage", 5, True),
        ("holdout_percentage", 6, False),
    ],
)
def test_whether_a_holdout_group_could_be_new(field: str, value: Any, *, expected: bool) -> None:
    """Every field that it shows must be as requested. The order of IDs, and their type, do not matter."""
    live = HoldoutGroup(
        id="1",
        holdout_percentage=5.0,
        experiments=["4", "3"],
        individual_inclusion=["a", "b"],
        individual_exclusion=[],
    )
    assert could_be_created_with(live, {field: value}) is expected
