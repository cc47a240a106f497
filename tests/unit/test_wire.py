"""Documents to models and back: where a fault is, what is kept, and what is sent."""

from __future__ import annotations

import copy
import json
import re
from datetime import UTC, date, datetime
from typing import Any, TypeAlias, get_args, get_origin

import attrs
import pytest
from cattrs import BaseValidationError
from hypothesis import given, settings
from hypothesis import strategies as st

from amp_exp_async import (
    UNSET,
    Condition,
    Created,
    Deployment,
    Experiment,
    ExposureEvent,
    ExposureFilter,
    Flag,
    ParentDependencies,
    Segment,
    Unset,
    Variant,
    Version,
    parse,
    to_json,
    wire,
)
from amp_exp_async.models import Id, Model
from amp_exp_async.wire import MalformedDocumentError, detailed
from amp_exp_async.wire.hooks import Hooks

Place: TypeAlias = tuple[str | int, ...]

ALL_MODELS: list[Any] = [
    Condition,
    Created,
    Deployment,
    Experiment,
    ExposureEvent,
    ExposureFilter,
    Flag,
    ParentDependencies,
    Segment,
    Variant,
    Version[Experiment],
    Version[Flag],
]

SEGMENT = {
    "name": "S",
    "conditions": [{"prop": "p", "op": "is", "type": "property", "values": ["a", "b"]}],
    "percentage": 50,
    "rolloutWeights": {"on": 1, "off": 0.5},
    "bucketingKey": "amplitude_id",
}
FLAG: dict[str, Any] = {
    "id": "1",
    "key": "k",
    "projectId": 12,
    "enabled": True,
    "deployments": ["1", 2],
    "variants": [{"key": "on", "payload": {"a": [1]}, "rolloutWeight": 1, "name": None}],
    "rolloutPercentage": 2.5,
    "targetSegments": [SEGMENT, SEGMENT],
    "parentDependencies": {"flags": {"7": ["on", "off"]}, "operator": "all"},
    "tags": ["a"],
    "createdAt": "2023-07-29T03:32:49.594Z",
    "newHere": {"anything": [None]},
}
EXPERIMENT = {
    **FLAG,
    "startDate": "2023-07-29",
    "endDate": "2023-07-29T03:32:49.594Z",
    "stickyBucketing": False,
    "exposureEvent": {"event_type": "e", "filters": [{"subprop_key": "k", "subprop_value": ["v"]}]},
}
VERSION = {"version": 3, "createdAt": "2023-07-29T03:32:49.594Z", "createdBy": "u", "flagConfig": EXPERIMENT}
VALID: list[tuple[Any, dict[str, Any]]] = [(Flag, FLAG), (Experiment, EXPERIMENT), (Version[Experiment], VERSION)]

OTHER_VALUES: list[Any] = [None, True, 0, 2.5, "", "text", "2023-13-45", [], [1], [None], {}, {"on": 1}, {"on": [1]}]


def changed(document: Any, place: Place, value: Any) -> Any:
    """A copy of a document with another value at a place; `UNSET` takes the place away."""
    step, *rest = place
    twin = copy.copy(document)
    if rest:
        twin[step] = changed(twin[step], tuple(rest), value)
    elif value is UNSET:
        del twin[step]
    else:
        twin[step] = value
    return twin


def places(document: Any, place: Place = ()) -> list[Place]:
    """Every place inside a document."""
    if not isinstance(document, list | dict):
        return []
    steps = [*document] if isinstance(document, dict) else range(len(document))
    below = [places(document[step], (*place, step)) for step in steps]
    return [*((*place, step) for step in steps), *(deeper for found in below for deeper in found)]


def spelled(place: Place) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place).removeprefix(".")


def body(document: Any) -> bytes:
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("place", "value", "reason"),
    [
        ((12, "targetSegments", 0, "percentage"), "half", "expected a number, got a string 'half'"),
        ((12, "targetSegments", 1, "conditions", 0, "values", 1), 5, "expected a string"),
        ((12, "targetSegments", 1, "rolloutWeights", "off"), None, "expected a number, got null"),
        ((12, "targetSegments", 0, "conditions"), {}, "expected an array, got an object"),
        ((3, "parentDependencies", "flags", "7", 0), 1, "expected a string"),
        ((3, "variants", 0, "key"), UNSET, "missing"),
        ((3, "key"), UNSET, "missing"),
        ((3, "id"), None, "expected a string or an integer, got null"),
        ((3, "deployments", 1), True, "expected a string or an integer, got a boolean"),
        ((3, "createdAt"), "yesterday at noon", "yesterday at noon"),
        ((3, "createdAt"), "2023-07-29", "expected a timestamp"),
        ((0,), [], "expected an object, got an array"),
    ],
    ids=lambda value: spelled(value) if isinstance(value, tuple) else "",
)
async def test_a_fault_on_a_page_is_named_by_its_place(place: Place, value: Any, reason: str) -> None:
    """The error says where in the page the document is wrong, and what stands there instead of what."""
    document = changed([FLAG] * 20, place, value)

    with pytest.raises(MalformedDocumentError) as caught:
        await wire.page(Flag, "flags", body({"flags": document}))

    assert caught.value.place == f"flags{spelled(place)}"
    assert reason in caught.value.reason


@pytest.mark.parametrize(
    ("place", "value"), [((3, "flagConfig", "key"), 5), ((3, "version"), "3"), ((3, "flagConfig"), UNSET), ((3,), None)]
)
async def test_a_fault_in_an_array_is_named_by_its_place(place: Place, value: Any) -> None:
    """In a body that is an array, the place begins with the index."""
    document = changed([{"version": 1, "flagConfig": FLAG}] * 5, place, value)

    with pytest.raises(MalformedDocumentError) as caught:
        await wire.array(Version[Flag], body(document))

    assert caught.value.place == spelled(place)


async def test_a_fault_beyond_the_first_chunk_is_named_by_its_place() -> None:
    """A long page is read in several turns of the event loop, and the index goes on counting."""
    with pytest.raises(MalformedDocumentError) as caught:
        await wire.page(Flag, "flags", body({"flags": changed([FLAG] * 450, (401, "enabled"), "no")}))

    assert caught.value.place == "flags[401].enabled"


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ([FLAG], ""),
        (None, ""),
        ({}, "flags"),
        ({"experiments": []}, "flags"),
        ({"flags": None}, "flags"),
        ({"flags": {"1": FLAG}}, "flags"),
    ],
)
async def test_a_page_of_another_shape_is_refused(document: Any, place: str) -> None:
    """A page without its list, or in another envelope, is never taken for an empty list."""
    with pytest.raises(MalformedDocumentError) as caught:
        await wire.page(Flag, "flags", body(document))

    assert caught.value.place == place


@pytest.mark.parametrize("text", [b"", b"OK", b"<html>", b'{"id": ', b"\xff", b"[NaN]"])
async def test_what_is_not_json_is_refused(text: bytes) -> None:
    """A body that is not JSON is said to be none, however it is read."""
    for read in (lambda: wire.one(Flag, text), lambda: wire.identifiers(text), lambda: wire.decode(text)):
        with pytest.raises(MalformedDocumentError, match="not JSON"):
            read()
    with pytest.raises(MalformedDocumentError, match="not JSON"):
        await wire.page(Flag, "flags", text)
    with pytest.raises(MalformedDocumentError, match="not JSON"):
        await wire.array(Flag, text)


@pytest.mark.parametrize(
    ("document", "place"), [({"users": []}, ""), ("a,b", ""), (None, ""), (["a", None], "[1]"), ([["a"]], "[0]")]
)
def test_ids_of_another_shape_are_refused(document: Any, place: str) -> None:
    """Inclusions are an array of strings or integers."""
    with pytest.raises(MalformedDocumentError) as caught:
        wire.identifiers(body(document))

    assert caught.value.place == place


@pytest.mark.parametrize(
    ("rest", "cursor"),
    [
        ({}, None),
        ({"nextCursor": None}, None),
        ({"nextCursor": ""}, None),
        ({"nextCursor": "abc"}, "abc"),
        ({"nextCursor": 123}, "123"),
        ({"nextCursor": 0}, "0"),
    ],
)
async def test_cursors_of_every_documented_form(rest: dict[str, Any], cursor: str | None) -> None:
    """A missing, null or empty cursor ends the list; strings and numbers, zero included, go on."""
    assert (await wire.page(Flag, "flags", body({"flags": [], **rest}))).next_cursor == cursor


@pytest.mark.parametrize("cursor", [True, False, 2.5, [], {}, ["abc"]])
async def test_cursors_of_another_type_are_refused(cursor: Any) -> None:
    """A cursor that cannot be sent back is no end of the list."""
    with pytest.raises(MalformedDocumentError) as caught:
        await wire.page(Flag, "flags", body({"flags": [], "nextCursor": cursor}))

    assert caught.value.place == "nextCursor"


@settings(deadline=None, max_examples=400)
@given(st.data())
def test_both_passes_agree_and_name_the_place(data: st.DataObject) -> None:
    """One wrong value is refused by the fast pass if and only if the detailed one refuses it, at that value's place."""
    model, document = data.draw(st.sampled_from(VALID))
    place = data.draw(st.sampled_from(places(document)))
    value = data.draw(st.sampled_from([*OTHER_VALUES, *([] if isinstance(place[-1], int) else [UNSET])]))
    mutated = changed(document, place, value)

    try:
        fast = Hooks().of(model)(mutated)
    except (TypeError, ValueError):
        fast = None
    try:
        slow = detailed._DETAILED.structure(mutated, model)
    except BaseValidationError:
        slow = None

    assert (fast is None) == (slow is None)
    if fast is None:
        with pytest.raises(MalformedDocumentError) as caught:
            parse(model, mutated)
        # Inside a list or object of the right kind, it is the item that is wrong or missing.
        assert re.fullmatch(rf"{re.escape(spelled(place))}([.\[].+)?", caught.value.place)


def json_values() -> st.SearchStrategy[Any]:
    numbers = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
    return st.recursive(
        st.none() | st.booleans() | numbers | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
        max_leaves=4,
    )


def timestamps() -> st.SearchStrategy[str]:
    moments = st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1))  # noqa: DTZ001 - the text gets its zone below
    return moments.map(lambda moment: f"{moment.isoformat(timespec='milliseconds')}Z")


SIMPLE: dict[Any, st.SearchStrategy[Any]] = {
    Id: st.text(max_size=5),
    str: st.text(max_size=5),
    bool: st.booleans(),
    int: st.integers(0, 99),
    float: st.integers(0, 100) | st.floats(0, 100),
    datetime: timestamps(),
    date: st.dates().map(date.isoformat),
    type(None): st.none(),
    Any: json_values(),
}


def values_of(kind: Any) -> st.SearchStrategy[Any]:
    """What a field of a type may be on the wire."""
    if kind in SIMPLE:
        return SIMPLE[kind]
    if get_origin(kind) is list:
        return st.lists(values_of(get_args(kind)[0]), max_size=2)
    if get_origin(kind) is dict:
        return st.dictionaries(st.text(max_size=5), values_of(get_args(kind)[1]), max_size=2)
    if isinstance(get_origin(kind) or kind, type) and issubclass(get_origin(kind) or kind, Model):
        return st.deferred(lambda: documents(kind))
    return st.one_of([values_of(member) for member in get_args(kind) if Unset.UNSET not in get_args(member)])


def documents(model: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Documents of a model: any of its fields, null where it may be, and fields that nobody knows."""
    cls = get_origin(model) or model
    known: dict[bool, dict[str, Any]] = {True: {}, False: {}}
    for field in attrs.fields(attrs.resolve_types(cls)):
        if field.name != "extra":
            kind = get_args(model)[0] if field.name == "config" else field.type
            known[field.default is attrs.NOTHING][wire_name(cls, field.name)] = values_of(kind)
    known_names = {*known[True], *known[False]}
    unknown = st.dictionaries(
        st.text(max_size=8).filter(lambda name: name not in known_names), json_values(), max_size=2
    )
    return st.builds(lambda a, b: {**b, **a}, st.fixed_dictionaries(known[True], optional=known[False]), unknown)


def wire_name(cls: type, name: str) -> str:
    if cls in {ExposureEvent, ExposureFilter}:
        return name
    first, *rest = ("flag_config" if name == "config" else name).split("_")
    return first + "".join(map(str.title, rest))


@pytest.mark.parametrize("model", ALL_MODELS, ids=str)
def test_any_document_is_written_back_as_it_was(model: Any) -> None:
    """Whatever fields are there, null, missing or unknown, at every level: nothing is lost, invented or reordered."""

    @settings(deadline=None, max_examples=60)
    @given(documents(model))
    def check(document: dict[str, Any]) -> None:
        before = copy.deepcopy(document)
        parsed = parse(model, document)
        assert to_json(parsed) == before
        assert document == before
        assert parse(model, to_json(parsed)) == parsed

    check()


def test_a_refused_document_is_left_as_it_was() -> None:
    """Neither pass changes the document that it reads."""
    document = changed(VERSION, ("flagConfig", "targetSegments", 1, "percentage"), "x")
    before = copy.deepcopy(document)

    with pytest.raises(MalformedDocumentError):
        parse(Version[Experiment], document)

    assert document == before


def test_a_body_has_the_names_of_the_wire() -> None:
    """A body is camelCase, keeps what is the user's own, sends None as null and leaves `UNSET` out, at every level."""
    fields = {
        "rollout_percentage": 50,
        "target_segments": [Segment(name=None, rollout_weights={"my_variant": 1}, extra={"newHere": 1})],
        "exposure_event": ExposureEvent("e", [ExposureFilter(subprop_key="a_b")]),
        "payload": {"snake_case": [None], "camelCase": ()},
        "start_date": date(2023, 7, 29),
        "end_date": datetime(2023, 7, 29, 12, tzinfo=UTC),
        "description": None,
        "name": UNSET,
    }

    assert json.loads(wire.encode(fields)) == {
        "rolloutPercentage": 50,
        "targetSegments": [{"name": None, "rolloutWeights": {"my_variant": 1}, "newHere": 1}],
        "exposureEvent": {"event_type": "e", "filters": [{"subprop_key": "a_b"}]},
        "payload": {"snake_case": [None], "camelCase": []},
        "startDate": "2023-07-29",
        "endDate": "2023-07-29T12:00:00.000Z",
        "description": None,
    }


def test_a_query_has_the_names_of_the_wire() -> None:
    """A query is camelCase text, booleans in lower case, and `UNSET` is left out."""
    fields = {"project_id": "12", "include_archived": True, "limit": 5, "cursor": UNSET, "key": "a b&c"}

    assert wire.query(fields) == (
        ("projectId", "12"),
        ("includeArchived", "true"),
        ("limit", "5"),
        ("key", "a b&c"),
    )
