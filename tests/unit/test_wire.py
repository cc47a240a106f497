"""Documents to models, and requests to the wire: where a fault is, and what is sent."""

from __future__ import annotations

import copy
import json
from datetime import UTC, date, datetime
from typing import Any

import pytest

from amp_exp_async import (
    UNSET,
    Experiment,
    ExposureEvent,
    ExposureFilter,
    Flag,
    Segment,
    UnexpectedResponseError,
    Version,
    parse,
    serialization,
)
from amp_exp_async.serialization import MalformedDocumentError
from tests.unit.samples import FLAG, VERSION, Place, changed, spelled


def body(document: Any) -> bytes:
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("place", "value", "reason"),
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
    ids=lambda value: spelled(value) if isinstance(value, tuple) else "",
)
async def test_a_fault_on_a_page_is_named_by_its_place(place: Place, value: Any, reason: str) -> None:
    """The error says where in the page the document is wrong, and what stands there instead of what."""
    document = changed([FLAG] * 20, place, value)

    with pytest.raises(MalformedDocumentError) as caught:
        await serialization.parse_page(Flag, "flags", body({"flags": document}))

    assert caught.value.location == f"flags{spelled(place)}"
    assert reason in caught.value.reason


@pytest.mark.parametrize(
    ("place", "value"), [((3, "flagConfig", "key"), 5), ((3, "version"), "3"), ((3, "flagConfig"), UNSET), ((3,), None)]
)
async def test_a_fault_in_an_array_is_named_by_its_place(place: Place, value: Any) -> None:
    """In a body that is an array, the place begins with the index."""
    document = changed([{"version": 1, "flagConfig": FLAG}] * 5, place, value)

    with pytest.raises(MalformedDocumentError) as caught:
        await serialization.parse_list(Version[Flag], body(document))

    assert caught.value.location == spelled(place)


async def test_a_fault_beyond_the_first_chunk_is_named_by_its_place() -> None:
    """A long page is read in several turns of the event loop, and the index goes on counting."""
    with pytest.raises(MalformedDocumentError) as caught:
        await serialization.parse_page(Flag, "flags", body({"flags": changed([FLAG] * 450, (401, "enabled"), "no")}))

    assert caught.value.location == "flags[401].enabled"


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
        await serialization.parse_page(Flag, "flags", body(document))

    assert caught.value.location == place


@pytest.mark.parametrize("text", [b"", b"OK", b"<html>", b'{"id": ', b"\xff", b"[NaN]"])
async def test_what_is_not_json_is_refused(text: bytes) -> None:
    """A body that is not JSON is said to be none, however it is read."""
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
    ("document", "place"), [({"users": []}, ""), ("a,b", ""), (None, ""), (["a", None], "[1]"), ([["a"]], "[0]")]
)
def test_ids_of_another_shape_are_refused(document: Any, place: str) -> None:
    """Inclusions are an array of strings or integers."""
    with pytest.raises(MalformedDocumentError) as caught:
        serialization.parse_ids(body(document))

    assert caught.value.location == place


@pytest.mark.parametrize(
    ("rest", "cursor"),
    [
        ({}, None),
        ({"nextCursor": None}, None),
        ({"nextCursor": ""}, None),
        ({"nextCursor": "abc"}, "abc"),
        ({"nextCursor": 123}, "123"),
        ({"nextCursor": 0}, "0"),
        ({"nextCursor": 1690000000.5}, "1690000000.5"),
    ],
)
async def test_cursors_of_every_documented_form(rest: dict[str, Any], cursor: str | None) -> None:
    """A missing, null or empty cursor ends the list; strings and numbers, zero included, go on."""
    assert (await serialization.parse_page(Flag, "flags", body({"flags": [], **rest}))).next_cursor == cursor


@pytest.mark.parametrize("cursor", [True, False, [], {}, ["abc"]])
async def test_cursors_of_another_type_are_refused(cursor: Any) -> None:
    """A cursor that cannot be sent back is no end of the list."""
    with pytest.raises(MalformedDocumentError) as caught:
        await serialization.parse_page(Flag, "flags", body({"flags": [], "nextCursor": cursor}))

    assert caught.value.location == "nextCursor"


def test_a_refused_document_is_left_as_it_was() -> None:
    """Neither pass changes the document that it reads."""
    document = changed(VERSION, ("flagConfig", "targetSegments", 1, "percentage"), "x")
    before = copy.deepcopy(document)

    with pytest.raises(UnexpectedResponseError):
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

    assert json.loads(serialization.encode(fields)) == {
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

    assert serialization.query(fields) == (
        ("projectId", "12"),
        ("includeArchived", "true"),
        ("limit", "5"),
        ("key", "a b&c"),
    )
