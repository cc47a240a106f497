"""Groups: what the service would refuse, or take for something else, is refused before anything is sent."""

from __future__ import annotations

import asyncio
import math
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amp_exp_async import UNSET, InvalidInputError, MutexSlot, validation
from tests.unit.calls import Call, Refused

HALVES = [{"percentage": 50}, {"percentage": 50}]


def mutex(**changes: Any) -> Call:
    """The creation of a mutex group, with something else about it."""
    fields: dict[str, Any] = {"project_id": "1", "name": "n", "slots": HALVES, **changes}
    return lambda client: client.mutexes.create(**fields)


def holdout(**changes: Any) -> Call:
    """The creation of a holdout group, with something else about it."""
    fields: dict[str, Any] = {"project_id": "1", "name": "n", "holdout_percentage": 5, **changes}
    return lambda client: client.holdouts.create(**fields)


@st.composite
def divisions(draw: st.DrawFn) -> list[int]:
    """1 to 20 whole percentages that add up to 100."""
    cuts = draw(st.sets(st.integers(1, 99), max_size=19))
    edges = [0, *sorted(cuts), 100]
    return [high - low for low, high in pairwise(edges)]


@given(divisions())
def test_a_division_of_100_is_taken(percentages: list[int]) -> None:
    """Slots keep their order, built or written as mappings."""
    expected = [{"percentage": percentage} for percentage in percentages]
    assert validation.slots("slots", expected) == expected
    assert validation.slots("slots", (MutexSlot(percentage=percentage) for percentage in percentages)) == expected


@given(st.lists(st.integers(1, 100), min_size=1, max_size=20).filter(lambda percentages: sum(percentages) != 100))
def test_another_sum_is_refused(percentages: list[int]) -> None:
    """The message says what the percentages add up to."""
    with pytest.raises(InvalidInputError, match=f"add up to 100, got {sum(percentages)}") as caught:
        validation.slots("slots", [{"percentage": percentage} for percentage in percentages])
    assert caught.value.argument == "slots"


@given(st.lists(st.integers(0, 10**19 - 1)))
def test_ids_are_sent_as_numbers(ids: list[int]) -> None:
    """As text or as numbers, each once, in the order given; also with leading zeros, which no number has."""
    distinct = list(dict.fromkeys(ids))
    assert validation.number_ids("experiments", ids) == distinct
    assert validation.number_ids("experiments", map(str, ids)) == distinct
    assert validation.number_ids("experiments", [f"0{id}" for id in ids]) == distinct


@given(st.text().filter(lambda text: not (text.isascii() and text.isdigit())))
def test_a_text_that_is_no_number_is_no_id(text: str) -> None:
    """Keys, names and other digits than ASCII's are refused, and said to be no id."""
    with pytest.raises(InvalidInputError, match=r"numeric ID|valid Unicode"):
        validation.number_id("project_id", text)


@pytest.mark.parametrize("count", [0, 21])
async def test_too_few_or_too_many_slots_are_refused(count: int, refused: Refused) -> None:
    """A group has 1 to 20 slots."""
    await refused(mutex(slots=[{"percentage": 5}] * count), "slots", "must contain 1 to 20 slots")


@pytest.mark.parametrize("value", [0, 101, -5, 50.0, 0.5, True, "50", None, math.nan])
async def test_a_percentage_that_is_none_is_refused(value: Any, refused: Refused) -> None:
    """A slot's percentage is a whole number from 1 to 100; a fraction or a text is no number of them."""
    for slot in ({"percentage": value}, MutexSlot(percentage=value)):
        slots = [{"percentage": 50}, slot]
        await refused(mutex(slots=slots), "slots[1].percentage", "must be an integer from 1 to 100")


@pytest.mark.parametrize("value", [0, 100, -1, 5.0, 0.5, True, "5", None, math.nan])
async def test_a_holdout_percentage_that_is_none_is_refused(value: Any, refused: Refused) -> None:
    """It is a whole number from 1 to 99: neither nobody nor everybody."""
    await refused(holdout(holdout_percentage=value), "holdout_percentage", "must be an integer from 1 to 99")


async def test_the_bounds_are_taken() -> None:
    """The least and the most are fine."""
    for value in (1, 99):
        assert validation.holdout_percentage("holdout_percentage", value) == value
    assert validation.slots("slots", [{"percentage": 100}]) == [{"percentage": 100}]
    assert validation.slots("slots", [{"percentage": 1}, {"percentage": 99}])


@pytest.mark.parametrize("slot", [{}, MutexSlot(), MutexSlot(percentage=UNSET), {"experiments": ["1"]}], ids=repr)
async def test_a_slot_without_a_percentage_is_refused(slot: Any, refused: Refused) -> None:
    """None is made up for it."""
    await refused(mutex(slots=[{"percentage": 100}, slot]), "slots[1]", "must have a percentage")


@pytest.mark.parametrize(
    ("slot", "place", "rule"),
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
async def test_a_slot_of_another_form_is_refused(slot: Any, place: str, rule: str, refused: Refused) -> None:
    """The message names the place; what only the service sets is no argument."""
    await refused(mutex(slots=[slot]), place, rule)


@pytest.mark.parametrize("slots", [None, 5, "ab", {"percentage": 100}, MutexSlot(percentage=100)], ids=repr)
async def test_slots_are_a_list(slots: Any, refused: Refused) -> None:
    """One slot alone is none."""
    await refused(mutex(slots=slots), "slots", "must be a list")


@pytest.mark.parametrize("value", ["key", "", "1.0", "-1", " 1", "1 ", "٣", "²", "0x1", "1_000"])
async def test_an_id_that_is_no_number_is_refused(value: str, refused: Refused) -> None:
    """Project ids and those of members go out as numbers: what is none would be another id, or half of one."""
    for make in (mutex, holdout):
        await refused(make(project_id=value), "project_id", "must be a numeric ID")
    await refused(holdout(experiments=["1", value]), "experiments[1]", "must be a numeric ID")
    for name in ("experiments", "holdouts"):
        ids: dict[str, Any] = {name: [value]}
        await refused(lambda c, ids=ids: c.mutexes.edit_slot("1", 1, **ids), f"{name}[0]", "must be a numeric ID")


@pytest.mark.parametrize("value", [True, 1.0, None, b"1", ["1"]])
async def test_an_id_of_another_type_is_refused(value: Any, refused: Refused) -> None:
    """An id is a text or a whole number."""
    await refused(mutex(project_id=value), "project_id", "must be a string")
    await refused(lambda c: c.holdouts.edit("1", experiments=[value]), "experiments[0]", "must be a string")


@pytest.mark.parametrize("value", [-1, 2**64], ids=["negative", "too large"])
async def test_an_id_out_of_bounds_is_refused(value: int, refused: Refused) -> None:
    """Also as a number."""
    await refused(mutex(project_id=value), "project_id", "must be a number of at least 0")


@pytest.mark.parametrize("digits", [20, 25, 5000])
async def test_an_id_of_too_many_digits_is_refused(digits: int, refused: Refused) -> None:
    """No id has so many: a number that JSON cannot hold would break off the call."""
    await refused(mutex(project_id="9" * digits), "project_id", "must be a numeric ID")


@pytest.mark.parametrize("name", ["individual_inclusion", "individual_exclusion"])
async def test_individuals_are_a_list_of_ids(name: str, refused: Refused) -> None:
    """As users elsewhere."""
    for make in (holdout, lambda **fields: lambda c: c.holdouts.edit("1", **fields)):
        await refused(make(**{name: "ab"}), name, "must be a list")
        await refused(make(**{name: ["a", "b,c"]}), f"{name}[1]", "must not contain a comma")


async def test_an_archived_mutex_takes_no_other_changes(refused: Refused) -> None:
    """The service would ignore them, and nobody would know."""
    rule = "must not come with other changes"
    await refused(lambda c: c.mutexes.edit("1", archive=True, name="n"), "archive", rule)
    await refused(lambda c: c.mutexes.edit("1", archive=True, description=None), "archive", rule)


@pytest.mark.parametrize("index", [-1, True, "1", 1.0, None])
async def test_a_slot_is_named_by_a_whole_number(index: Any, refused: Refused) -> None:
    """As the group shows it."""
    await refused(lambda c: c.mutexes.edit_slot("1", index, experiments=[]), "index", "must be an integer")


@pytest.mark.parametrize(
    ("fields", "argument", "rule"),
    [
        ({"name": None}, "name", "must be a string"),
        ({"archive": "yes"}, "archive", "must be true or false"),
        ({"description": 5}, "description", "must be a string"),
    ],
)
@pytest.mark.parametrize("section", ["mutexes", "holdouts"])
async def test_a_value_of_another_type_is_refused(
    section: str, fields: Any, argument: str, rule: str, refused: Refused
) -> None:
    """Each field takes its own type only."""
    await refused(lambda c: getattr(c, section).edit("1", **fields), argument, rule)


@pytest.mark.parametrize("name", [None, 5])
async def test_a_group_has_a_name(name: Any, refused: Refused) -> None:
    """A name is a text."""
    for make in (mutex, holdout):
        await refused(make(name=name), "name", "must be a string")


def test_the_checks_do_not_wait() -> None:
    """A creation that is refused needs no connection: what it says is said at the first step."""
    from amp_exp_async import AsyncExperimentClient

    async def create() -> None:
        await AsyncExperimentClient("a-key-of-no-account").mutexes.create(project_id="1", name="n", slots=[])

    with pytest.raises(InvalidInputError):
        asyncio.run(create())
