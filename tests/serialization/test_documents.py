"""Response bodies to models, and arguments to request bodies and queries."""

from __future__ import annotations

import asyncio
import copy
import json
from datetime import UTC, date, datetime
from types import MappingProxyType
from typing import Any

import pytest

from amp_exp_async import (
    UNSET,
    Experiment,
    ExposureEvent,
    ExposureFilter,
    Flag,
    InvalidInputError,
    Segment,
    UnexpectedResponseError,
    Version,
    parse,
    serialization,
)
from amp_exp_async.serialization import MalformedDocumentError
from tests.serialization.sample_documents import FLAG, VERSION, Location, changed, format_location


def body(document: Any) -> bytes:
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("location", "value", "reason"),
    [
        ((12, "targetSegments", 0, "percentage"), "half", 'expected a number, got "half"'),
        ((12, "targetSegments", 1, "conditions", 0, "values", 1), 5, "expected a string"),
        ((12, "targetSegments", 1, "rolloutWeights", "off"), None, "expected a number, got null"),
        ((12, "targetSegments", 0, "conditions"), {}, "expected an array, got an object"),
        ((3, "parentDependencies", "flags", "7", 0), 1, "expected a string"),
        ((3, "variants", 0, "key"), UNSET, "missing"),
        ((3, "key"), UNSET, "missing"),
        ((3, "id"), None, "expected a string or an integer, got null"),
        ((3, "deployments", 1), True, "expected a string or an integer, got true"),
        ((3, "createdAt"), "yesterday at noon", "yesterday at noon"),
        ((3, "createdAt"), "2023-07-29", "expected a timestamp"),
        ((0,), [], "expected an object, got an array"),
    ],
    ids=lambda value: format_location(value) if isinstance(value, tuple) else "",
)
async def test_the_location_of_an_error_in_a_page(location: Location, value: Any, reason: str) -> None:
    """The error has the location, the expected type and the value."""
    document = changed([FLAG] * 20, location, value)

    with pytest.raises(MalformedDocumentError) as caught:
        await serialization.parse_page(Flag, "flags", body({"flags": document}))

    assert caught.value.location == f"flags{format_location(location)}"
    assert reason in caught.value.reason


@pytest.mark.parametrize(
    ("location", "value"),
    [((3, "flagConfig", "key"), 5), ((3, "version"), "3"), ((3, "flagConfig"), UNSET), ((3,), None)],
)
async def test_the_location_of_an_error_in_an_array(location: Location, value: Any) -> None:
    """The location in an array begins with the index."""
    document = changed([{"version": 1, "flagConfig": FLAG}] * 5, location, value)

    with pytest.raises(MalformedDocumentError) as caught:
        await serialization.parse_list(Version[Flag], body(document))

    assert caught.value.location == format_location(location)


async def test_the_location_of_an_error_after_the_first_chunk() -> None:
    """The index counts the items of all chunks."""
    with pytest.raises(MalformedDocumentError) as caught:
        await serialization.parse_page(Flag, "flags", body({"flags": changed([FLAG] * 450, (401, "enabled"), "no")}))

    assert caught.value.location == "flags[401].enabled"


@pytest.mark.parametrize(
    ("document", "location"),
    [
        ([FLAG], ""),
        (None, ""),
        ({}, "flags"),
        ({"experiments": []}, "flags"),
        ({"flags": None}, "flags"),
        ({"flags": {"1": FLAG}}, "flags"),
    ],
)
async def test_an_invalid_page_is_rejected(document: Any, location: str) -> None:
    """A page without its list is not an empty list."""
    with pytest.raises(MalformedDocumentError) as caught:
        await serialization.parse_page(Flag, "flags", body(document))

    assert caught.value.location == location


@pytest.mark.parametrize("text", [b"", b"OK", b"<html>", b'{"id": ', b"\xff", b"[NaN]"])
async def test_a_body_that_is_not_json_is_rejected(text: bytes) -> None:
    """Every parser says that the body is not JSON."""
    for read in (
        lambda: serialization.parse_object(Flag, text),
        lambda: serialization.parse_ids(text),
        lambda: serialization.decode(text),
    ):
        with pytest.raises(MalformedDocumentError, match="not JSON"):
            read()
    with pytest.raises(MalformedDocumentError, match="not JSON"):
        await serialization.parse_page(Flag, "flags", text)
    with pytest.raises(MalformedDocumentError, match="not JSON"):
        await serialization.parse_list(Flag, text)


@pytest.mark.parametrize(
    ("document", "location"), [({"users": []}, ""), ("a,b", ""), (None, ""), (["a", None], "[1]"), ([["a"]], "[0]")]
)
def test_invalid_ids_are_rejected(document: Any, location: str) -> None:
    """IDs are an array of strings or integers."""
    with pytest.raises(MalformedDocumentError) as caught:
        serialization.parse_ids(body(document))

    assert caught.value.location == location


@pytest.mark.parametrize(
    ("rest", "cursor"),
    [
        ({}, None),
        ({"nextCursor": None}, None),
        ({"nextCursor": ""}, None),
        ({"nextCursor": "abc"}, "abc"),
        ({"nextCursor": "\0\n &?#\u00e9\U0001f600"}, "\0\n &?#\u00e9\U0001f600"),
        ({"nextCursor": "c" * 8192}, "c" * 8192),
        ({"nextCursor": 123}, "123"),
        ({"nextCursor": 0}, "0"),
        ({"nextCursor": 1690000000.5}, "1690000000.5"),
    ],
)
async def test_valid_cursors(rest: dict[str, Any], cursor: str | None) -> None:
    """A missing, null or empty cursor ends the list; strings and numbers, zero included, continue it."""
    assert (await serialization.parse_page(Flag, "flags", body({"flags": [], **rest}))).next_cursor == cursor


@pytest.mark.parametrize("cursor", [True, False, [], {}, ["abc"], "c\ud800", "\udfff", "c" * 8193])
async def test_invalid_cursors_are_rejected(cursor: Any) -> None:
    """An invalid cursor is not the end of the list."""
    with pytest.raises(MalformedDocumentError) as caught:
        await serialization.parse_page(Flag, "flags", body({"flags": [], "nextCursor": cursor}))

    assert caught.value.location == "nextCursor"


def test_a_rejected_document_is_not_changed() -> None:
    """Neither the hook nor the search for the location changes the document."""
    document = changed(VERSION, ("flagConfig", "targetSegments", 1, "percentage"), "x")
    before = copy.deepcopy(document)

    with pytest.raises(UnexpectedResponseError):
        parse(Version[Experiment], document)

    assert document == before


def test_the_field_names_of_a_body() -> None:
    """Names are camelCase except the user's own, None is null, and `UNSET` is omitted at every level."""
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

    assert json.loads(serialization.encode(fields)) == {
        "rolloutPercentage": 50,
        "targetSegments": [{"name": None, "rolloutWeights": {"my_variant": 1}, "newHere": 1}],
        "exposureEvent": {"event_type": "e", "filters": [{"subprop_key": "a_b"}]},
        "payload": {"snake_case": [None], "camelCase": []},
        "startDate": "2023-07-29",
        "endDate": "2023-07-29T12:00:00.000Z",
        "description": None,
    }


def test_a_body_with_text_that_only_pythons_json_can_write() -> None:
    """Lone surrogates, and integers beyond 64 bits, are written at any level, in models and beside them."""
    segment = Segment(
        name="\ud83c", rollout_weights={"on": 10**30}, extra={"new": [MappingProxyType({"a": date(2023, 7, 29)})]}
    )

    assert json.loads(serialization.encode({"target_segments": (segment,), "enabled": True})) == {
        "targetSegments": [{"name": "\ud83c", "rolloutWeights": {"on": 10**30}, "new": [{"a": "2023-07-29"}]}],
        "enabled": True,
    }


def test_a_body_that_is_not_json_is_a_mistake_of_the_caller() -> None:
    """A value that JSON cannot hold raises, instead of being written as something else."""
    with pytest.raises(TypeError, match="not JSON"):
        serialization.encode({"name": object()})


@pytest.mark.parametrize("model", [int, "Flag", list[int], None, dict], ids=str)
def test_only_models_can_be_parsed(model: Any) -> None:
    """Another type is a mistake of the caller, and named."""
    with pytest.raises(InvalidInputError, match=r"^model: must be a model of this package, such as Flag"):
        serialization.parse(model, {})


def test_the_field_names_of_a_query() -> None:
    """Names are camelCase, booleans are lower case, and `UNSET` is omitted."""
    fields = {"project_id": "12", "include_archived": True, "limit": 5, "cursor": UNSET, "key": "a b&c"}

    assert serialization.query(fields) == (
        ("projectId", "12"),
        ("includeArchived", "true"),
        ("limit", "5"),
        ("key", "a b&c"),
    )


@pytest.mark.parametrize("surrogate", [False, True], ids=["decoded fast", "structured"])
async def test_reading_a_page_lets_other_tasks_run(surrogate: bool) -> None:
    """A page of 1,000 objects does not hold up the event loop until all of it is read."""
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    flags = [FLAG] * 1_000 + [{**FLAG, "name": "\ud83c"}] * surrogate
    text = json.dumps({"flags": flags}).encode()
    counter = asyncio.create_task(count_turns())

    page = await serialization.parse_page(Flag, "flags", text)

    counter.cancel()
    assert len(page.items) == len(flags)
    assert turns == 5


def test_errors_in_a_large_document() -> None:
    """The first one is reported, without its location: to collect all of them takes minutes."""
    segments = [{"name": 5, "conditions": [5], "percentage": "x"}] * 4_000
    text = json.dumps({**FLAG, "targetSegments": segments}).encode()
    with pytest.raises(MalformedDocumentError, match=r"expected .*, got ") as caught:
        serialization.parse_object(Flag, text)
    assert caught.value.location == ""
