"""Responses to writes: what is a success, and what is a failure in spite of its status."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amp_exp_async.resources.base import _parse_acknowledgement
from amp_exp_async.serialization import MalformedDocumentError
from tests.serialization.strategies import json_values

NAMES = ["id", "error", "errors", "success", "ok", "status", "statusCode", "status_code", "code", "message", "data"]
VALUES: list[Any] = [
    None, True, False, 0, 200, 204, 404, 500, "", "ok", "404", "Failed", "error", "failure", [], ["no"], {},
    "flag or experiment not found", "updated", "Traceback " * 1000, ["x" * 5000], {"a": "y" * 5000},
]  # fmt: skip
CASES = (str, str.upper, str.title, str.swapcase)

# What a response may have next to the fields that count.
LONG = [b'"%s"' % (b"x" * 70_000), b"[%s 1]" % (b'"12345", ' * 9_000), b'{"n": "%s"}' % ("é€".encode() * 15_000)]
UNUSUAL = [
    b'"\\ud83c"',
    b'{"\\ud83c": 1}',
    b'"\xff"',
    b'{"\xff": 1}',
    b"1e400",
    b"1" * 5_000,
    b'"\t"',
    b"[" * 500 + b"]" * 500,
]


def names() -> st.SearchStrategy[str]:
    """Return a strategy for the names that count, in any case, and for others."""
    return st.builds(lambda name, case: case(name), st.sampled_from(NAMES), st.sampled_from(CASES)) | st.text(
        max_size=4
    )


def acknowledgements() -> st.SearchStrategy[Any]:
    """Return a strategy for the objects and lists that a service may answer a write with."""
    objects = st.dictionaries(names(), st.sampled_from(VALUES) | json_values(), max_size=4)
    return objects | st.lists(objects | json_values(), max_size=3)


def verdict(body: bytes) -> tuple[str, object]:
    """Return what a body of a response to a write is taken for: a success with an ID, or a failure at a location."""
    try:
        return "success", _parse_acknowledgement(body)
    except MalformedDocumentError as error:
        return "failure", (error.location, error.reason)


def with_addition(document: Any, addition: bytes, *, first: bool) -> bytes:
    """Return the text of an acknowledgement that also has an addition, which says nothing about the outcome."""
    text = json.dumps(document).encode()
    if isinstance(document, dict):
        addition = b'"more": ' + addition
    elif first:
        return text  # it would change the locations of the other items
    inner = text[1:-1].strip()
    parts = [addition, inner] if first else [inner, addition]
    return text[:1] + b", ".join(part for part in parts if part) + text[-1:]


@settings(deadline=None, max_examples=150)
@given(acknowledgements(), st.sampled_from(LONG + UNUSUAL), st.booleans())
def test_what_else_a_response_has_does_not_matter(document: Any, addition: bytes, first: bool) -> None:
    """A long response, and one with a part that is not JSON or that Python cannot hold, is read as a short one is."""
    assert verdict(with_addition(document, addition, first=first)) == verdict(
        with_addition(document, b"0", first=first)
    )


FAILURES = [
    *('{"error": "Internal"}', '{"errors": ["no"]}', '{"error": {"message": "no"}}', '{"success": false}'),
    *('{"Error": "x"}', '{"error": true}', '{"ok": false}', '[{"error": "x"}]', '["x", {"errors": {"a": 1}}]'),
    *('{"statusCode": 400, "message": "bad"}', '{"status": 503}', '{"code": "404"}', '{"status": "error"}'),
    *('\N{ZERO WIDTH NO-BREAK SPACE}{"error": "x"}', '\n {"status_code": 500}', '{"status": "Failed"}'),
    *('{"Success": false}', '{"ERROR": "x"}', '{"Status": "failed"}', '{"StatusCode": 500}', '[1, {"OK": false}]'),
    *('{"err\\u006fr": "x"}', f'{{"error": "{"y" * 5_000}"}}', '{"error": 1e400}', '{"error": "\ud83c"}'),
    *('{"error": "x"}\n', '{"error": "x"} <!-- by a proxy -->', '{"error": "x"}{"id": "1"}'),
]


@pytest.mark.parametrize("length", [0, 100_000], ids=["short", "long"])
@pytest.mark.parametrize("text", FAILURES)
def test_a_reported_failure_is_not_a_success(text: str, length: int) -> None:
    """A body that says that the write failed is unexpected, whatever the status and the length."""
    body = text.encode("utf-8", "surrogatepass").replace(b"{", b'{"more": "%s", ' % (b"x" * length), 1)
    result, details = verdict(body)
    assert (result, "a failure" in str(details)) == ("failure", True)


@pytest.mark.parametrize("length", [0, 100_000], ids=["short", "long"])
def test_a_refusal_is_not_a_success(length: int) -> None:
    """A known sentence that refuses a request is unexpected in the message of a response of any length."""
    for field in ("message", "detail"):
        body = json.dumps({"id": "1", "more": "x" * length, field: "Flag or experiment not found"}).encode()
        assert verdict(body) == ("failure", ("", "a refusal"))
    assert verdict(b"Flag or experiment not found." + b" " * length) == ("failure", ("", "a refusal"))


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "OK",
            "ok",
            "{",
            "{OK}",
            "[",
            "[OK]",
            "[]",
            "{}",
            '"OK"',
            "true",
            '["error"]',
            '{"data": {"error": "x"}}',
        ),
        *('{"error": null}', '{"success": true}', '{"errors": []}', '{"ok": true}', '{"message": "updated"}'),
        *('{"statusCode": 200}', '{"status": "ok"}', '{"status": 204}', '{"code": 0}', '{"code": "4040"}'),
    ],
)
def test_other_bodies_of_a_write_are_a_success(text: str) -> None:
    """The API reference does not define the body of a success."""
    assert verdict(text.encode())[0] == "success"
    assert verdict(text.encode() + b" " * 100_000)[0] == "success"


def test_a_response_of_too_many_levels() -> None:
    """What cannot be read may report a failure: it is unexpected."""
    body = b'{"error": "x", "more": %s}' % (b"[" * 100_000 + b"]" * 100_000)
    assert verdict(body) == ("failure", ("", "nested deeper than 200 levels"))
