"""Both routes give the same for whole texts: objects, lists and pages, also those that are not JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from amp_exp_async import Experiment, Flag, MutexGroup, Page, Version, serialization, to_json
from amp_exp_async.models import FlagConfig
from amp_exp_async.serialization import MalformedDocumentError, decoding, structuring
from tests.serialization.strategies import SEARCHES, documents, json_values
from tests.serialization.test_routes import describe, mutate

MODELS: list[Any] = [Flag, Experiment, FlagConfig, MutexGroup, Version[FlagConfig]]
# Parts of texts that parsers read differently, or that the client bounds.
ODD = [
    *(b"\xff", b"\xed\xa0\x80", rb"\ud83c", rb"\u0000", b"\t", b"\x00", b"\xef\xbb\xbf", b'"', b"\\", b",", b":"),
    *(b"NaN", b"1e400", b"-0", b"01", b"1.", b"9" * 30, b"9" * 5_000, b"null", b"true", b"[]", b"{}", b"x", b" ", b""),
    *(b"[" * levels + b"]" * levels for levels in (4, 5, 99, 102, 195, 198, 199, 200, 300, 5_000)),
]  # fmt: skip


@contextmanager
def without_fast_decoding() -> Iterator[None]:
    """Let everything be parsed as a whole and structured by cattrs."""

    def reject(*_: object) -> NoReturn:
        raise TypeError

    with pytest.MonkeyPatch.context() as patch:
        for name in ("decode", "decode_array", "decode_page", "convert"):
            patch.setattr(decoding, name, reject)
        yield


def run(call: Any) -> Any:
    """Return the result of a coroutine that only lets other tasks run."""
    while True:
        try:
            call.send(None)
        except StopIteration as stopped:
            return stopped.value


def result_of(form: str, model: Any, body: bytes) -> Any:
    """Return all that can be seen of the models of a text, or of its rejection."""
    try:
        if form == "object":
            read: Any = serialization.parse_object(model, body)
        elif form == "list":
            read = run(serialization.parse_list(model, body))
        else:
            page: Page[Any] = run(serialization.parse_page(model, "flags", body))
            read = [page.items, page.next_cursor]
    except MalformedDocumentError as error:
        return error.location, error.reason
    return describe(read), json.dumps(to_json(read), sort_keys=True)


def check_routes(form: str, model: Any, body: bytes) -> Any:
    """Check that a text gives the same on both routes, also when its extra fields are known. Return what it gives."""
    with without_fast_decoding():
        exact = result_of(form, model, body)
    for _ in range(2):
        assert result_of(form, model, body) == exact
    return exact


@st.composite
def texts(draw: st.DrawFn, form: str, model: Any) -> bytes:
    """Return the text of an object, a list or a page, in which some value may be wrong."""
    items = draw(st.lists(documents(model), min_size=form == "object", max_size=3))
    if items and draw(st.booleans()):
        items[-1] = mutate(items[-1], draw(st.data()))
    value: Any = items
    if form == "object":
        value = items[0]
    if form == "page":
        others = draw(st.dictionaries(st.text(max_size=5), json_values(), max_size=2))
        cursors = st.fixed_dictionaries(
            {}, optional={"nextCursor": json_values() | st.sampled_from(["c", "", 5, None])}
        )
        value = {**others, "flags": items, **draw(cursors)}
    return json.dumps(value, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")


@SEARCHES
@pytest.mark.parametrize("form", ["object", "list", "page"])
def test_both_routes_give_the_same_for_a_text(form: str, examples: int) -> None:
    """The same models in the same order and the same cursor, or the same rejection."""

    @settings(deadline=None, max_examples=examples)
    @given(st.sampled_from(MODELS), st.data())
    def check(model: Any, data: st.DataObject) -> None:
        check_routes(form, model, data.draw(texts(form, model)))

    check()


@SEARCHES
@pytest.mark.parametrize("form", ["object", "list", "page"])
def test_both_routes_give_the_same_for_an_odd_text(form: str, examples: int) -> None:
    """So do texts that are not JSON, that Python cannot hold, or that are nested deeply, anywhere."""

    @settings(deadline=None, max_examples=examples)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        body = data.draw(texts(form, Flag))
        start = data.draw(st.integers(0, len(body)))
        end = data.draw(st.sampled_from([start, start + 1, len(body)]))
        check_routes(form, Flag, body[:start] + data.draw(st.sampled_from(ODD)) + body[end:])

    check()


ITEM = b'{"id": "1", "key": "k"}'


@pytest.mark.parametrize("field", ["variants", "extra"])
@settings(deadline=None, max_examples=40)
@given(st.sampled_from(["object", "list", "page"]), st.integers(0, 210))
@example("page", 196)
@example("page", 197)
@example("page", 198)
@example("page", 199)
def test_both_routes_have_the_same_bound_of_levels(field: str, form: str, levels: int) -> None:
    """200 levels of the whole text are accepted, wherever they are, and 201 are not."""
    value = b"[" * levels + b"]" * levels
    inner = b'[{"key": "on", "payload": %s}]' % value if field == "variants" else value
    item = ITEM[:-1] + b', "%s": %s}' % (field.encode(), inner)
    body = {"object": item, "list": b"[%s]" % item, "page": b'{"flags": [%s]}' % item}[form]
    around = {"object": 1, "list": 2, "page": 3}[form] + (2 if field == "variants" else 0)
    is_rejected = check_routes(form, Flag, body) == ("", "nested deeper than 200 levels")
    assert is_rejected == (levels + around > 200)


@pytest.mark.parametrize("other", [b'"\xff"', b"1e400", b"9" * 5_000, b"[" * 300 + b"]" * 300, rb'"\ud83c"'])
@pytest.mark.parametrize("new", [b"", b', "new": 1', b', "new": [[[[[[1]]]]]]'])
def test_other_fields_of_a_page_do_not_matter(other: bytes, new: bytes) -> None:
    """They are skipped, whether an item has something new or not."""
    body = b'{"other": %s, "flags": [%s], "nextCursor": 5}' % (other, ITEM[:-1] + new + b"}")
    [models, cursor], _ = check_routes("page", Flag, body)
    assert (len(models), cursor) == (1, "'5'")


@pytest.mark.parametrize(
    "item", [b'"variants": [{"key": "on", "payload": %s}]', b'"new": %s', b'"targetSegments": [{"new": %s}]']
)
def test_deep_values_are_decoded_fast_from_the_second_document_on(item: bytes) -> None:
    """Extra values and payloads of any usual number of levels, and those of a hundred levels are read too."""
    bodies = [b'{"id": "1", "key": "k", %s}' % (item % (b"[" * levels + b"]" * levels)) for levels in (5, 40, 90)]
    for body in bodies:
        if body is bodies[0]:
            with pytest.raises(decoding.REJECTIONS):
                decoding.decode(Flag, body)
            serialization.parse_object(Flag, body)
        flag = decoding.decode(Flag, body)
        assert to_json(flag) == json.loads(body)
        assert flag == structuring.structure(Flag, json.loads(body))
