"""The account of a plan that is carried out."""

from __future__ import annotations

import pytest

from amp_exp_async import AmpExpError, FieldChange, ResourceChange
from amp_exp_async.bulk import Outcome
from amp_exp_async.cli.account import Account
from amp_exp_async.manifests.operations import operations_for

CHANGES = [
    ResourceChange(
        kind="flags",
        key=key,
        project_id="1",
        id=id,
        action="edit",
        fields={
            "name": FieldChange("name", "a", "b"),
            "variants.on.users": FieldChange("variants.on.users", [], ["ada"]),
        },
    )
    for key, id in (("first", "1001"), ("second", "1002"))
]
STEPS = [step for change in CHANGES for step in operations_for(change)]


def outcome(index: int, state: str) -> Outcome:
    """D is done, f failed, u unknown, s was done before; l was left out."""
    names = {"d": "done", "f": "failed", "u": "unknown", "s": "skipped", "l": "skipped"}
    error = AmpExpError("the\nservice failed") if state in "ful" else None
    return Outcome(STEPS[index], index, names[state], error)  # type: ignore[arg-type]  # one of the four


@pytest.mark.parametrize(
    ("states", "told"),
    [
        ("dddd", "2 of 2 flags and experiments"),
        ("ssdd", "2 of 2 flags and experiments"),
        ("ddfl", "1 of 2 flags and experiments, 1 failed"),
        ("ddul", "1 of 2 flags and experiments, 1 not known"),
        ("uldf", "0 of 2 flags and experiments, 1 failed, 1 not known"),
        ("dld", "0 of 2 flags and experiments, 2 only begun"),
        ("dl", "0 of 2 flags and experiments, 1 only begun, 1 not begun"),
        ("ll", "0 of 2 flags and experiments, 2 not begun"),
        ("", "0 of 2 flags and experiments, 2 not begun"),
    ],
)
def test_each_flag_counts_once(states: str, told: str) -> None:
    """As the worst that became of its steps; what was not reached counts as not begun."""
    account = Account(CHANGES)
    for index, state in enumerate(states):
        account.note(outcome(index, state))
    assert str(account) == told
    assert sum(account.counts.values()) == len(CHANGES)
    assert account.is_begun == bool(set(states) - {"l"})


def test_what_is_named() -> None:
    """Steps that went wrong, and flags that are only begun, a line each."""
    account = Account(CHANGES)
    for index, state in enumerate("dlfl"):
        account.note(outcome(index, state))
    assert [str(step) for step in account.wrong] == [
        "flags/second in project 1: ReplaceUsers flags/1002/variants/on: failed: the service failed"
    ]
    assert list(account.begun) == ["flags/first in project 1: only begun: 1 of 2 steps are done"]
