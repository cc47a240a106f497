"""The requests that lead from the included IDs to the desired ones."""

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


def operation_of(member: str, action: str, ids: list[str]) -> Any:
    guards = {"allow_empty": True} if action == "replace" else {}
    return CLASSES[member][ACTIONS.index(action)]("flags", "1", "on", ids, **guards)


def span(first: int, end: int) -> list[str]:
    return [f"u{number}" for number in range(first, end)]


def desired_ids(action: str, present: list[str], ids: list[str]) -> set[str]:
    """Return the desired IDs by the rules of sets."""
    return {"add": set(present) | set(ids), "remove": set(present) - set(ids), "replace": set(ids)}[action]


def check(member: str, action: str, present: list[str], ids: list[str]) -> None:
    """Apply the requests one by one and assert that they reach the desired IDs without a superfluous one."""
    desired = desired_ids(action, present, ids)
    operation = operation_of(member, action, ids)
    if member == "users" and len(desired) > 2000:
        with pytest.raises(InvalidInputError, match="users: must leave at most 2000"):
            operation.requests(present)
        return
    current, sent = set(present), list[str]()
    requests = operation.requests(present)
    for request in requests:
        assert len(request.ids) == len(set(request.ids)) > 0
        if request.action == "add":
            assert len(request.ids) <= 2000
            assert not current & set(request.ids), "included already"
            current |= set(request.ids)
        else:
            assert len(request.ids) <= 100
            assert current >= set(request.ids), "not included"
            current -= set(request.ids)
        assert member == "cohorts" or len(current) <= 2000
        sent += request.ids
    assert current == desired
    assert sorted(sent) == sorted(set(present) ^ desired), "each ID is sent once"
    removals = [request for request in requests if request.action == "remove"]
    additions = [request for request in requests if request.action == "add"]
    assert len(removals) == -(-len(set(present) - desired) // 100), "as few requests as can be"
    assert len(additions) == -(-len(desired - set(present)) // 2000)
    room = member == "cohorts" or len(set(present) | desired) <= 2000
    assert requests == (additions + removals if room else removals + additions)


@given(
    member=st.sampled_from(["users", "cohorts"]),
    action=st.sampled_from(ACTIONS),
    present=st.lists(st.integers(0, 12), unique=True),
    ids=st.lists(st.integers(0, 12), min_size=1),
)
@settings(max_examples=120, deadline=None)
def test_small_sets(member: str, action: str, present: list[int], ids: list[int]) -> None:
    """Small sets with duplicates agree with the model."""
    check(member, action, [f"u{n}" for n in present], [f"u{n}" for n in ids])


@given(
    member=st.sampled_from(["users", "cohorts"]),
    action=st.sampled_from(ACTIONS),
    included=st.integers(0, 2000),
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
def test_large_sets(member: str, action: str, included: int, first: int, count: int) -> None:
    """Sets around the limits agree too: 100 removals, 2,000 additions, 2,000 users in a variant at any time."""
    check(member, action, span(0, included), span(first, first + count))


@pytest.mark.parametrize("member", CLASSES)
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
def test_no_difference_no_request(member: str, action: str, present: list[str], ids: list[str]) -> None:
    """Nothing is sent if nothing differs, regardless of order and duplicates."""
    assert operation_of(member, action, ids).requests(present) == []


def test_a_replacement_adds_first() -> None:
    """A replacement adds first if there is room, in the order of its IDs; it removes in the order of the list."""
    replace = ReplaceUsers("flags", "1", "on", ["e", "b", "d"])
    assert replace.requests(["c", "b", "a"]) == [
        InclusionRequest("add", ("e", "d")),
        InclusionRequest("remove", ("c", "a")),
    ]


def test_a_replacement_removes_first_at_the_limit() -> None:
    """A replacement removes first if there is no room: 20 removals, then one addition."""
    requests = ReplaceUsers("flags", "1", "on", span(2000, 4000)).requests(span(0, 2000))
    assert [(request.action, len(request.ids)) for request in requests] == [("remove", 100)] * 20 + [("add", 2000)]


def test_too_many_cohorts_for_one_request() -> None:
    """Cohorts are limited only per request."""
    requests = AddCohorts("flags", "1", "on", span(0, 4001)).requests([])
    assert [(request.action, len(request.ids)) for request in requests] == [("add", 2000), ("add", 2000), ("add", 1)]


@pytest.mark.parametrize(("included", "ids"), [(2000, ["x"]), (1, span(1, 2001)), (1500, span(1000, 2600))])
def test_too_many_users(included: int, ids: list[str]) -> None:
    """The message has the included and the added count, and says that nothing was written: the IDs were read."""
    new = len(set(ids) - set(span(0, included)))
    counts = f"it has {included}, and {new} would be added"
    message = rf"must leave at most 2000 in the variant: {counts}.*Nothing was written"
    with pytest.raises(InvalidInputError, match=message):
        AddUsers("flags", "1", "on", ids).requests(span(0, included))


def test_a_variant_above_the_limit() -> None:
    """If a variant exceeds the limit already, removals work, and a replacement returns below it."""
    present = span(0, 2100)
    assert len(RemoveUsers("flags", "1", "on", ["u5"]).requests(present)) == 1
    check("users", "replace", present, span(0, 10))


ODD = ["a,b", " x ", "", "line\nbreak", "cut \ud83d"]


@pytest.mark.parametrize("member", CLASSES)
def test_existing_ids_can_be_removed(member: str) -> None:
    """The rules for new IDs do not hold for those that are included."""
    requests = operation_of(member, "remove", ODD).requests(["u", *ODD])
    assert [(request.action, list(request.ids)) for request in requests] == [("remove", ODD)]


@pytest.mark.parametrize("member", CLASSES)
def test_existing_ids_can_be_kept_and_replaced(member: str) -> None:
    """A replacement keeps an existing ID that breaks a rule for new ones, and removes the others."""
    requests = operation_of(member, "replace", [ODD[0], "new"]).requests(ODD)
    assert {request.action: list(request.ids) for request in requests} == {"add": ["new"], "remove": ODD[1:]}


@pytest.mark.parametrize("member", CLASSES)
@pytest.mark.parametrize("id", ODD)
def test_new_ids_of_a_replacement_are_validated(member: str, id: str) -> None:
    """The message says that nothing was written, because the included IDs were read."""
    with pytest.raises(InvalidInputError, match=r"\[1\]: must .*Nothing was written") as caught:
        operation_of(member, "replace", ["u", id]).requests(["u"])
    assert caught.value.argument == f"{member}[1]"
