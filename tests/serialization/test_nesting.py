"""A response that is nested too deeply is rejected, because later work on it could not be done."""

from __future__ import annotations

import json
import traceback
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amp_exp_async import AsyncExperimentClient, BadRequestError, Flag, UnexpectedResponseError, serialization, to_json
from amp_exp_async.emulator import Emulator, Fault
from amp_exp_async.serialization import MalformedDocumentError, nesting

_scalars = st.none() | st.integers(0, 9) | st.text('[]{}",\\: a')
_documents = st.recursive(
    _scalars,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text('[]{}"\\'), children, max_size=3),
)

SHAPES: dict[str, tuple[str, str]] = {
    "arrays": ("[", "]"),
    "objects": ('{"a":', "}"),
    "with siblings": ('["]",[],{"b":[]},', ",{}]"),
    "with brackets in strings": ('{"]}\\"]":"}}", "a":[', '], "b": "[[["}'),
}


def nested(depth: int, shape: str = "arrays", core: str = "1") -> str:
    begin, end = SHAPES[shape]
    levels = begin.count('a":[') + 1
    return begin * (depth // levels) + core + end * (depth // levels)


def depth_of(document: Any) -> int:
    if not isinstance(document, list | dict):
        return 0
    items = document if isinstance(document, list) else document.values()
    return 1 + max(map(depth_of, items), default=0)


@given(_documents, st.integers(0, 6))
def test_the_depth_is_that_of_the_document(document: Any, limit: int) -> None:
    """A value and its text are measured exactly; brackets and quotes in strings are not levels."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nesting, "MAX_DEPTH", limit)
        expected = depth_of(document) > limit
        assert nesting.is_deeper_than(document, limit) == expected
        assert nesting.is_text_too_deep(json.dumps(document).encode()) == expected


@pytest.mark.parametrize("shape", SHAPES)
def test_200_levels_are_read_and_more_are_not(shape: str) -> None:
    """The bound is that of files."""
    texts = {depth_of(json.loads(text)): text for text in (nested(depth, shape) for depth in range(196, 204))}

    assert serialization.decode(texts[200].encode()) == json.loads(texts[200])
    for text in (texts[202], nested(5_000, shape)):
        with pytest.raises(MalformedDocumentError, match="nested deeper than 200 levels"):
            serialization.decode(text.encode())


def test_many_brackets_in_strings_are_no_levels() -> None:
    """A text with many brackets that do not match is measured exactly."""
    document = {"a": "[" * 1_000, "b": ["{\\" * 1_000], "c": "]}" * 1_000}

    assert serialization.decode(json.dumps(document).encode()) == document
    with pytest.raises(MalformedDocumentError, match="not JSON"):
        serialization.decode(json.dumps(document).encode() + b"}")


async def test_a_payload_that_is_nested_too_deeply(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """It raises `UnexpectedResponseError`; what is read can be written."""
    flag_id = emulator.state.add_flag(key="k")["id"]

    def body(depth: int) -> str:
        payload = nested(depth)
        return f'{{"id": "{flag_id}", "key": "k", "variants": [{{"key": "on", "payload": {payload}}}]}}'

    emulator.inject(Fault.status(200, body=body(197)))
    flag = await client.flags.get(flag_id)
    assert isinstance(flag, Flag)
    assert json.dumps(to_json(flag.variants)).count("[") == 198

    emulator.inject(Fault.status(200, body=body(198)))
    with pytest.raises(UnexpectedResponseError, match="nested deeper than 200 levels"):
        await client.flags.get(flag_id)


@pytest.mark.parametrize("status", [200, 400])
async def test_the_traceback_of_such_a_response(emulator: Emulator, client: AsyncExperimentClient, status: int) -> None:
    """It can be printed with local variables, and the error shows the body as text."""
    body = nested(1_000)
    emulator.inject(Fault.status(status, body=body))
    with pytest.raises((UnexpectedResponseError, BadRequestError)) as caught:
        await client.flags.get("1")
    assert "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert body.startswith(caught.value.body)
