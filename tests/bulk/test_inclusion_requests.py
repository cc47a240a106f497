"""Which requests lead from the ids that a variant includes to those that it is to include. Pure."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from amp_exp_async import (
    AddCohorts,
    AddUsers,
    InvalidInputError,
    RemoveCohorts,
    RemoveUsers,
    ReplaceCohorts,
    ReplaceUsers,
)
from amp_exp_async.bulk.operations import InclusionRequest

CLASSES: dict[str, tuple[type[Any], type[Any], type[Any]]] = {
    "users": (AddUsers, RemoveUsers, ReplaceUsers),
    "cohorts": (AddCohorts, RemoveCohorts, ReplaceCohorts),
}
ACTIONS = ("add", "remove", "replace")


def operation_of(what: str, action: str, ids: list[str]) -> Any:
    return CLASSES[what][ACTIONS.index(action)]("flags", "1", "on", ids)


def span(first: int, end: int) -> list[str]:
    return [f"u{number}" for number in range(first, end)]


def wanted(action: str, present: list[str], ids: list[str]) -> set[str]:
    """The model: plain sets."""
    return {"add": set(present) | set(ids), "remove": set(present) - set(ids), "replace": set(ids)}[action]


def check(what: str, action: str, present: list[str], ids: list[str]) -> None:
    """The requests, applied one by one as the service does, lead where they should, and none is in vain."""
    goal = wanted(action, present, ids)
    operation = operation_of(what, action, ids)
    if what == "users" and len(goal) > 2000:
        with pytest.raises(InvalidInputError, match="users: must leave at most 2000"):
            operation.requests(present)
        return
    now, sent = set(present), list[str]()
    found = operation.requests(present)
    for step in found:
        assert len(step.ids) == len(set(step.ids)) > 0
        if step.action == "add":
            assert len(step.ids) <= 2000
            assert not now & set(step.ids), "it is there already"
            now |= set(step.ids)
        else:
            assert len(step.ids) <= 100
            assert now >= set(step.ids), "it is not there"
            now -= set(step.ids)
        assert what == "cohorts" or len(now) <= 2000
        sent += step.ids
    assert now == goal
    assert sorted(sent) == sorted(set(present) ^ goal), "each id is sent once at most"
    removals = [step for step in found if step.action == "remove"]
    additions = [step for step in found if step.action == "add"]
    assert len(removals) == -(-len(set(present) - goal) // 100), "as few requests as can be"
    assert len(additions) == -(-len(goal - set(present)) // 2000)
    room = what == "cohorts" or len(set(present) | goal) <= 2000
    assert found == (additions + removals if room else removals + additions)


@given(
    what=st.sampled_from(["users", "cohorts"]),
    action=st.sampled_from(ACTIONS),
    present=st.lists(st.integers(0, 12), unique=True),
    ids=st.lists(st.integers(0, 12), min_size=1),
)
@settings(max_examples=300, deadline=None)
def test_small_sets(what: str, action: str, present: list[int], ids: list[int]) -> None:
    """The model of sets agrees, whatever is there and whatever is given, doubles included."""
    check(what, action, [f"u{n}" for n in present], [f"u{n}" for n in ids])


@given(
    what=st.sampled_from(["users", "cohorts"]),
    action=st.sampled_from(ACTIONS),
    there=st.integers(0, 2000),
    first=st.integers(0, 2500),
    count=st.integers(1, 2000),
)
@example("users", "replace", 2000, 1, 2000)
@example("users", "replace", 2000, 2000, 2000)
@example("users", "replace", 1999, 1999, 1)
@example("users", "add", 1999, 1999, 1)
@example("users", "add", 2000, 2000, 1)
@example("users", "add", 2000, 0, 2000)
@example("users", "remove", 2000, 0, 2000)
@example("users", "remove", 2000, 1900, 101)
@settings(max_examples=60, deadline=None)
def test_large_sets(what: str, action: str, there: int, first: int, count: int) -> None:
    """So do sets around the limits: 100 to remove, 2,000 to add, 2,000 users in a variant at any moment."""
    check(what, action, span(0, there), span(first, first + count))


@pytest.mark.parametrize("what", CLASSES)
@pytest.mark.parametrize(
    ("action", "present", "ids"),
    [
        ("add", ["a", "b"], ["b", "a"]),
        ("remove", ["a"], ["b", "c"]),
        ("remove", [], ["a"]),
        ("replace", ["a", "b"], ["b", "a", "b"]),
        ("replace", [], []),
    ],
)
def test_nothing_is_sent_when_nothing_differs(what: str, action: str, present: list[str], ids: list[str]) -> None:
    """No request, in whichever order and how often the ids are given."""
    assert operation_of(what, action, ids).requests(present) == []


def test_a_replacement_adds_first_where_there_is_room() -> None:
    """So that nobody is left out meanwhile; the ids come in the order given, and in that of the list."""
    replace = ReplaceUsers("flags", "1", "on", ["e", "b", "d"])
    assert replace.requests(["c", "b", "a"]) == [
        InclusionRequest("add", ("e", "d")),
        InclusionRequest("remove", ("c", "a")),
    ]


def test_a_replacement_removes_first_where_there_is_none() -> None:
    """2,000 others take the place of 2,000: 20 removals, then one addition."""
    found = ReplaceUsers("flags", "1", "on", span(2000, 4000)).requests(span(0, 2000))
    assert [(step.action, len(step.ids)) for step in found] == [("remove", 100)] * 20 + [("add", 2000)]


def test_too_many_cohorts_for_one_request() -> None:
    """Cohorts have no limit but that of a request."""
    found = AddCohorts("flags", "1", "on", span(0, 4001)).requests([])
    assert [(step.action, len(step.ids)) for step in found] == [("add", 2000), ("add", 2000), ("add", 1)]


@pytest.mark.parametrize(("there", "given"), [(2000, ["x"]), (1, span(1, 2001)), (1500, span(1000, 2600))])
def test_too_many_users(there: int, given: list[str]) -> None:
    """The message says how many there are, how many would come, and that nothing was sent."""
    new = len(set(given) - set(span(0, there)))
    message = rf"must leave at most 2000 in the variant: it has {there}, and {new} would be added.*Nothing was sent"
    with pytest.raises(InvalidInputError, match=message):
        AddUsers("flags", "1", "on", given).requests(span(0, there))


def test_more_than_the_limit_is_there_already() -> None:
    """Where somebody else has got more into a variant, removing still works, and a replacement brings it back."""
    present = span(0, 2100)
    assert len(RemoveUsers("flags", "1", "on", ["u5"]).requests(present)) == 1
    check("users", "replace", present, span(0, 10))
