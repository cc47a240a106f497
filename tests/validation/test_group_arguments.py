"""Arguments of groups: invalid ones are rejected before a request is sent."""

from __future__ import annotations

import asyncio
import math
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amp_exp_async import UNSET, AsyncExperimentClient, InvalidInputError, MutexSlot, validation
from tests.validation.call_sites import Call, Rejected

HALVES = [{"percentage": 50}, {"percentage": 50}]


def mutex(**changes: Any) -> Call:
    """Return the creation of a mutex group with other arguments."""
    fields: dict[str, Any] = {"project_id": "1", "name": "n", "slots": HALVES, **changes}
    return lambda client: client.mutexes.create(**fields)


def holdout(**changes: Any) -> Call:
    """Return the creation of a holdout group with other arguments."""
    fields: dict[str, Any] = {"project_id": "1", "name": "n", "holdout_percentage": 5, **changes}
    return lambda client: client.holdouts.create(**fields)


@st.composite
def divisions(draw: st.DrawFn) -> list[int]:
    """Generate 1 to 20 integer percentages that add up to 100."""
    cuts = draw(st.sets(st.integers(1, 99), max_size=19))
    edges = [0, *sorted(cuts), 100]
    return [high - low for low, high in pairwise(edges)]


@given(divisions())
def test_slots_that_add_up_to_100(percentages: list[int]) -> None:
    """Slots, models or mappings, keep their order."""
    expected = [{"percentage": percentage} for percentage in percentages]
    assert validation.slots("slots", expected) == expected
    assert validation.slots("slots", (MutexSlot(percentage=percentage) for percentage in percentages)) == expected


@given(st.lists(st.integers(1, 100), min_size=1, max_size=20).filter(lambda percentages: sum(percentages) != 100))
def test_another_sum_is_rejected(percentages: list[int]) -> None:
    """The error contains the sum."""
    with pytest.raises(InvalidInputError, match=f"add up to 100, got {sum(percentages)}") as caught:
        validation.slots("slots", [{"percentage": percentage} for percentage in percentages])
    assert caught.value.argument == "slots"


@given(st.lists(st.integers(0, 10**19 - 1)))
def test_ids_are_sent_as_numbers(ids: list[int]) -> None:
    """IDs can be strings, also with leading zeros, or numbers, and are sent without duplicates."""
    distinct = list(dict.fromkeys(ids))
    assert validation.number_ids("experiments", ids) == distinct
    assert validation.number_ids("experiments", map(str, ids)) == distinct
    assert validation.number_ids("experiments", [f"0{id}" for id in ids]) == distinct


@given(st.text().filter(lambda text: not (text.isascii() and text.isdigit())))
def test_a_text_that_is_not_a_number_is_not_an_id(text: str) -> None:
    """Only ASCII digits are accepted."""
    with pytest.raises(InvalidInputError, match=r"numeric ID|valid Unicode"):
        validation.number_id("project_id", text)


@pytest.mark.parametrize("count", [0, 21])
async def test_the_number_of_slots_has_bounds(count: int, rejected: Rejected) -> None:
    """A group has 1 to 20 slots."""
    await rejected(mutex(slots=[{"percentage": 5}] * count), "slots", "must contain 1 to 20 slots")


@pytest.mark.parametrize("value", [0, 101, -5, 50.0, 0.5, True, "50", None, math.nan])
async def test_an_invalid_percentage_is_rejected(value: Any, rejected: Rejected) -> None:
    """The percentage of a slot is an integer from 1 to 100."""
    for slot in ({"percentage": value}, MutexSlot(percentage=value)):
        slots = [{"percentage": 50}, slot]
        await rejected(mutex(slots=slots), "slots[1].percentage", "must be an integer from 1 to 100")


@pytest.mark.parametrize("value", [0, 100, -1, 5.0, 0.5, True, "5", None, math.nan])
async def test_an_invalid_holdout_percentage_is_rejected(value: Any, rejected: Rejected) -> None:
    """The percentage is an integer from 1 to 99."""
    await rejected(holdout(holdout_percentage=value), "holdout_percentage", "must be an integer from 1 to 99")


async def test_the_bounds_are_accepted() -> None:
    """The minimum and the maximum are valid."""
    for value in (1, 99):
        assert validation.holdout_percentage("holdout_percentage", value) == value
    assert validation.slots("slots", [{"percentage": 100}]) == [{"percentage": 100}]
    assert validation.slots("slots", [{"percentage": 1}, {"percentage": 99}])


@pytest.mark.parametrize("slot", [{}, MutexSlot(), MutexSlot(percentage=UNSET), {"experiments": ["1"]}], ids=repr)
async def test_a_slot_without_a_percentage_is_rejected(slot: Any, rejected: Rejected) -> None:
    """The percentage has no default."""
    await rejected(mutex(slots=[{"percentage": 100}, slot]), "slots[1]", "must have a percentage")


@pytest.mark.parametrize(
    ("slot", "location", "rule"),
    [
        ({"percentge": 5}, "slots[0].percentge", 'did you mean "percentage"?'),
        ({"percentage": 100, "variantKey": "x"}, "slots[0].variantKey", 'did you mean "variant_key"?'),
        ({"percentage": 100, "index": 1}, "slots[0].index", "unknown field"),
        (MutexSlot(percentage=100, name="x"), "slots[0].name", "unknown field"),
        (MutexSlot(percentage=100, cohorts=["1"]), "slots[0].cohorts", "unknown field"),
        ({"percentage": 100, "experiments": "12"}, "slots[0].experiments", "must be a list"),
        ({"percentage": 100, "experiments": ["1", "key"]}, "slots[0].experiments[1]", "must be a numeric ID"),
        ({"percentage": 100, "holdouts": [1.5]}, "slots[0].holdouts[0]", "must be a string"),
        ({"percentage": 100, "individuals": ["a,b"]}, "slots[0].individuals[0]", "must not contain a comma"),
        ({"percentage": 100, "experiments": None}, "slots[0].experiments", "must be a list"),
        (100, "slots[0]", "must be a MutexSlot or a mapping"),
    ],
    ids=str,
)
async def test_an_invalid_slot_is_rejected(slot: Any, location: str, rule: str, rejected: Rejected) -> None:
    """The error names the location; fields that only the service sets are unknown."""
    await rejected(mutex(slots=[slot]), location, rule)


@pytest.mark.parametrize("slots", [None, 5, "ab", {"percentage": 100}, MutexSlot(percentage=100)], ids=repr)
async def test_slots_are_a_list(slots: Any, rejected: Rejected) -> None:
    """One slot is not a list."""
    await rejected(mutex(slots=slots), "slots", "must be a list")


@pytest.mark.parametrize("value", ["key", "", "1.0", "-1", " 1", "1 ", "٣", "²", "0x1", "1_000"])
async def test_an_id_that_is_not_a_number_is_rejected(value: str, rejected: Rejected) -> None:
    """The IDs of projects and members are sent as numbers."""
    for make in (mutex, holdout):
        await rejected(make(project_id=value), "project_id", "must be a numeric ID")
    await rejected(holdout(experiments=["1", value]), "experiments[1]", "must be a numeric ID")
    for name in ("experiments", "holdouts"):
        ids: dict[str, Any] = {name: [value]}
        await rejected(lambda c, ids=ids: c.mutexes.edit_slot("1", 1, **ids), f"{name}[0]", "must be a numeric ID")


@pytest.mark.parametrize("value", [True, 1.0, None, b"1", ["1"]])
async def test_an_id_of_another_type_is_rejected(value: Any, rejected: Rejected) -> None:
    """An ID is a string or an integer."""
    await rejected(mutex(project_id=value), "project_id", "must be a string")
    await rejected(lambda c: c.holdouts.edit("1", experiments=[value]), "experiments[0]", "must be a string")


@pytest.mark.parametrize("value", [-1, 2**64], ids=["negative", "too large"])
async def test_an_id_out_of_bounds_is_rejected(value: int, rejected: Rejected) -> None:
    """An integer is of at least 0 and at most 64 bits."""
    await rejected(mutex(project_id=value), "project_id", "must be a number of at least 0")


@pytest.mark.parametrize("digits", [20, 25, 5000])
async def test_an_id_with_too_many_digits_is_rejected(digits: int, rejected: Rejected) -> None:
    """An ID has at most 64 bits."""
    await rejected(mutex(project_id="9" * digits), "project_id", "must be a numeric ID")


@pytest.mark.parametrize("name", ["individual_inclusion", "individual_exclusion"])
async def test_individuals_are_a_list_of_ids(name: str, rejected: Rejected) -> None:
    """Individuals are IDs of users or devices."""
    for make in (holdout, lambda **fields: lambda c: c.holdouts.edit("1", **fields)):
        await rejected(make(**{name: "ab"}), name, "must be a list")
        await rejected(make(**{name: ["a", "b,c"]}), f"{name}[1]", "must not contain a comma")


async def test_archive_excludes_other_changes_of_a_mutex(rejected: Rejected) -> None:
    """The service would ignore the other changes."""
    rule = "must not come with other changes"
    await rejected(lambda c: c.mutexes.edit("1", archive=True, name="n"), "archive", rule)
    await rejected(lambda c: c.mutexes.edit("1", archive=True, description=None), "archive", rule)


@pytest.mark.parametrize("index", [-1, True, "1", 1.0, None])
async def test_the_index_of_a_slot_is_an_integer(index: Any, rejected: Rejected) -> None:
    """A slot is identified by its index."""
    await rejected(lambda c: c.mutexes.edit_slot("1", index, experiments=[]), "index", "must be an integer")


@pytest.mark.parametrize(
    ("fields", "argument", "rule"),
    [
        ({"name": None}, "name", "must be a string"),
        ({"archive": "yes"}, "archive", "must be true or false"),
        ({"description": 5}, "description", "must be a string"),
    ],
)
@pytest.mark.parametrize("resource", ["mutexes", "holdouts"])
async def test_a_value_of_another_type_is_rejected(
    resource: str, fields: Any, argument: str, rule: str, rejected: Rejected
) -> None:
    """Each field has one type."""
    await rejected(lambda c: getattr(c, resource).edit("1", **fields), argument, rule)


@pytest.mark.parametrize("name", [None, 5])
async def test_a_group_has_a_name(name: Any, rejected: Rejected) -> None:
    """A name is a string."""
    for make in (mutex, holdout):
        await rejected(make(name=name), "name", "must be a string")


def test_validation_needs_no_connection() -> None:
    """A creation is rejected without a connection."""

    async def create() -> None:
        await AsyncExperimentClient("a-key-of-no-account").mutexes.create(project_id="1", name="n", slots=[])

    with pytest.raises(InvalidInputError):
        asyncio.run(create())
