"""The progress of a plan."""

from __future__ import annotations

import pytest

from amp_exp_async import AmpExpError, FieldChange, Manifest, Outcome, Plan, ResourceChange
from amp_exp_async.cli.plan_progress import PlanProgress

FIELDS = {"name": FieldChange("name", "a", "b"), "variants.on.users": FieldChange("variants.on.users", [], ["ada"])}
PLAN = Plan(
    service="https://example.com",
    manifest=Manifest(),
    changes=tuple(
        ResourceChange(kind="flags", key=key, project_id="1", id=id, action="edit", fields=FIELDS)
        for key, id in (("first", "1001"), ("second", "1002"))
    ),
)
OPERATIONS = [operation for _, operation in PLAN.operations()]


def make_outcome(index: int, letter: str) -> Outcome:
    """Return an outcome: d is done, f failed, u unknown, s done before, and l not started."""
    statuses = {"d": "done", "f": "failed", "u": "unknown", "s": "skipped", "l": "skipped"}
    error = AmpExpError("the\nservice failed") if letter in "ful" else None
    return Outcome(OPERATIONS[index], index, statuses[letter], error)  # type: ignore[arg-type]  # one of the four


@pytest.mark.parametrize(
    ("letters", "text"),
    [
        ("dddd", "2 of 2 flags and experiments"),
        ("ssdd", "2 of 2 flags and experiments"),
        ("ddfl", "1 of 2 flags and experiments, 1 failed"),
        ("ddul", "1 of 2 flags and experiments, 1 unknown"),
        ("uldf", "0 of 2 flags and experiments, 1 failed, 1 unknown"),
        ("dld", "0 of 2 flags and experiments, 2 partly done"),
        ("dl", "0 of 2 flags and experiments, 1 partly done, 1 not started"),
        ("ll", "0 of 2 flags and experiments, 2 not started"),
        ("", "0 of 2 flags and experiments, 2 not started"),
    ],
)
def test_each_flag_counts_once(letters: str, text: str) -> None:
    """A flag counts as the worst of its steps; without an outcome it counts as not started."""
    progress = PlanProgress(PLAN)
    for index, letter in enumerate(letters):
        progress.record(make_outcome(index, letter))
    assert str(progress) == text
    assert sum(progress.counts.values()) == len(PLAN.changes)
    assert progress.is_started == bool(set(letters) - {"l"})


def test_listed_steps() -> None:
    """Failed steps and partly done flags have a line each."""
    progress = PlanProgress(PLAN)
    for index, letter in enumerate("dlfl"):
        progress.record(make_outcome(index, letter))
    assert [str(step) for step in progress.failed_steps] == [
        "flags/second in project 1: ReplaceUsers flags/1002/variants/on: failed: the service failed"
    ]
    assert list(progress.partly_done) == ["flags/first in project 1: partly done: 1 of 2 steps"]
