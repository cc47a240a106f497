"""JSON text that orjson cannot keep exact: lone surrogates and integers beyond 64 bits."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amp_exp_async import AsyncExperimentClient, BadRequestError, Flag, UnexpectedResponseError, serialization
from amp_exp_async.emulator import Emulator, Fault
from amp_exp_async.serialization import MalformedDocumentError

BIG = 123456789012345678901234567890
CUT = json.loads('"Launch \\ud83c"')

_integers = st.integers(-(10**40), 10**40) | st.sampled_from([2**63 - 1, -(2**63), -(2**63) - 1, 2**64 - 1, 2**64])
_text = st.text(st.characters(codec=None, exclude_categories=()))
_documents = st.recursive(
    st.none() | st.booleans() | _integers | st.floats(allow_nan=False, allow_infinity=False) | _text,
    lambda children: st.lists(children) | st.dictionaries(_text, children),
)


@given(_documents)
def test_every_json_document_is_read_as_pythons_json_reads_it(document: Any) -> None:
    """Integers of any size and lone surrogates are kept, at any location, with and without spaces."""
    for text in (json.dumps(document), json.dumps(document, separators=(",", ":")), json.dumps(document, indent=1)):
        assert serialization.loads(text.encode()) == json.loads(text)


@given(_documents)
def test_every_json_document_is_written_so_that_it_reads_back_equal(document: Any) -> None:
    """What orjson cannot write is written by Python's json."""
    for option in (0, orjson.OPT_INDENT_2, orjson.OPT_SORT_KEYS):
        assert serialization.loads(serialization.dumps(document, option)) == json.loads(json.dumps(document))


@pytest.mark.parametrize(
    "text",
    [
        '["\\ud83d", NaN]',
        '["\\ud83d", Infinity]',
        f"[{BIG}, NaN]",
        '["\\ud83d", 1e400]',
        '["\\ud83d"',
    ],
)
def test_what_is_not_json_is_rejected_beside_a_lone_surrogate(text: str) -> None:
    """The second parser accepts no more than lone surrogates and big integers."""
    with pytest.raises(MalformedDocumentError, match="not JSON"):
        serialization.decode(text.encode())


def test_any_depth_is_json_or_too_deep_beside_a_lone_surrogate() -> None:
    """The second parser does not exceed Python's recursion limit."""
    text = "[" * 100_000 + '"\\ud83d"' + "]" * 100_000

    with pytest.raises(ValueError, match="too many levels of nesting"):
        serialization.loads(text)
    with pytest.raises(MalformedDocumentError, match="nested deeper than 200 levels"):
        serialization.decode(text.encode())


def test_an_ordinary_document_is_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Timestamps, IDs of 18 digits and long digits in strings do not start the slower parser."""
    monkeypatch.setattr(json, "loads", None)
    flag = {"id": 123456789012345678, "createdAt": "2023-07-29T10:12:23.123Z", "users": ["9" * 30], "weight": 0.1 / 3}

    assert serialization.loads(orjson.dumps([flag] * 20)) == [flag] * 20


async def test_a_list_with_a_string_that_was_cut_inside_an_emoji(
    emulator: Emulator, client: AsyncExperimentClient
) -> None:
    """All flags are read, and the string is kept as Python's json reads it."""
    ids = [emulator.state.add_flag(key=f"k{index}")["id"] for index in range(3)]
    flag = {"id": ids[0], "key": "k0", "description": CUT}
    emulator.inject(Fault.status(200, body=json.dumps({"flags": [flag]})))
    assert [flag.description for flag in await client.flags.list()] == [CUT]

    emulator.inject(Fault.status(200, body=json.dumps(flag)))
    assert await client.request("GET", f"/flags/{ids[0]}") == flag


async def test_a_payload_with_an_integer_beyond_64_bits(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """It is read and written exactly, and so is half of a surrogate pair."""
    variants = [{"key": "on", "payload": {"n": [BIG, -BIG], "cut": "\ud83d"}}]
    emulator.inject(Fault.status(200, body=json.dumps({"id": "1", "key": "k", "variants": variants})))
    [variant] = (await client.flags.get("1")).variants or []
    assert variant.payload == {"n": [BIG, -BIG], "cut": "\ud83d"}

    emulator.requests.clear()
    emulator.inject(Fault.status(200, body="OK"))
    await client.flags.variants.edit("1", "on", payload=variant.payload)
    assert serialization.encode({"payload": variant.payload}) == (
        f'{{"payload":{{"n":[{BIG},-{BIG}],"cut":"\\ud83d"}}}}'.encode()
    )


def test_an_id_beyond_64_bits_is_exact() -> None:
    """An ID that the service sends as a number keeps all digits."""
    body = json.dumps({"id": BIG, "key": "k"}).encode()
    assert serialization.parse_object(Flag, body).id == str(BIG)


async def test_a_write_that_is_answered_with_a_failure_and_status_200(
    emulator: Emulator, client: AsyncExperimentClient
) -> None:
    """It raises `UnexpectedResponseError`, and a status of 400 stays a `BadRequestError`."""
    emulator.inject(Fault.status(200, body='{"error": "Cannot edit archived flag"}'))
    with pytest.raises(UnexpectedResponseError, match="Cannot edit archived flag"):
        await client.flags.edit("1", enabled=False)
    emulator.inject(Fault.status(400, body='{"error": "no"}'))
    with pytest.raises(BadRequestError):
        await client.flags.edit("1", enabled=False)
