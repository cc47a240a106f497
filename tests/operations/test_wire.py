"""Each operation over HTTP, with the async and the blocking client, against a server that records requests."""

from __future__ import annotations

from collections import Counter
from typing import Any

import attrs
import orjson
import pytest

from amp_exp_async import OutcomeUnknownError, UnexpectedResponseError, __version__
from amp_exp_async.http import Idempotency
from tests.crossing import cross
from tests.operations.catalog import OPERATIONS, Example
from tests.operations.examples import EXAMPLES
from tests.operations.recording_server import KEY, CannedResponse, RecordedRequest, RecordingServer

HEADERS = {
    "Authorization": f"Bearer {KEY}",
    "Accept": "application/json",
    "User-Agent": f"amp_exp_async/{__version__}",
}
CONNECTION_HEADERS = {"Host", "Accept-Encoding", "Content-Length"}

PLAIN = [example for example in EXAMPLES if not example.note]
READS = [example for example in PLAIN if example.operation.method == "GET"]
WRITES = [example for example in PLAIN if example.operation.method != "GET"]
LISTS = [example for example in PLAIN if example.is_list and example.name.endswith(".list")]
OKS = [example for example in WRITES if example.response == "OK"]


def canonical(document: Any) -> bytes:
    """JSON that distinguishes 1, 1.0 and true, as the service does and Python does not."""
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)


def check_request(sent: RecordedRequest, example: Example) -> None:
    """Everything about a request is as expected."""
    prefix = "" if example.is_beta else "/api/1"
    assert (sent.method, sent.path) == (example.operation.method, f"{prefix}{example.path}")
    assert sorted(sent.query) == sorted(example.query.items())
    expected = HEADERS if example.body is None else HEADERS | {"Content-Type": "application/json"}
    assert {name: value for name, value in sent.headers.items() if name not in CONNECTION_HEADERS} == expected
    body = orjson.loads(sent.body) if sent.body else None
    assert body == example.body
    assert canonical(body) == canonical(example.body)


def test_every_operation_has_one_plain_example() -> None:
    """No operation is left out, and each is derived or written once."""
    assert Counter((example.is_beta, example.name) for example in PLAIN) == Counter(dict.fromkeys(OPERATIONS, 1))


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
async def test_request_and_result(server: RecordingServer, send: Any, example: Example) -> None:
    """One request is sent, exactly as documented, and the response becomes the documented object."""
    server.responses = [example.canned()]
    result = await send(example)
    [sent] = server.requests
    check_request(sent, example)
    assert result == example.result
    assert isinstance(result, type(example.result))


ACKNOWLEDGEMENTS = {
    "ok": CannedResponse("ok"),
    "empty": CannedResponse(""),
    "json": CannedResponse("OK", "application/json"),
}


@pytest.mark.parametrize(("example", "response"), cross({str(example): example for example in OKS}, ACKNOWLEDGEMENTS))
async def test_acknowledgements(
    server: RecordingServer, send_in_turn: Any, example: Example, response: CannedResponse
) -> None:
    """The text and the content type of a successful write do not matter."""
    server.responses = [response]
    assert await send_in_turn(example) is None
    assert len(server.requests) == 1


CURSORS = {"string": "eyJpZCI6MTIzNDU2fQ==", "number": 1690601569594}
LAST = {"absent": {}, "null": {"nextCursor": None}, "empty": {"nextCursor": ""}}


@pytest.mark.parametrize(
    ("example", "cursor", "last"), cross({str(example): example for example in LISTS}, CURSORS, LAST)
)
async def test_pages(server: RecordingServer, send_in_turn: Any, example: Example, last: Any, cursor: Any) -> None:
    """The cursor of a page is sent back with the same query, until a page has no cursor."""
    documents = example.response[example.resource]
    listing = attrs.evolve(example, kwargs={"limit": 5})
    # A version is identified by its number too, everything else by its ID.
    changed: Any = {"version": 999} if example.resource == "versions" else {"id": "999"}
    server.responses = [
        CannedResponse({example.resource: documents, "nextCursor": cursor}),
        CannedResponse({example.resource: [documents[0] | changed]} | last),
    ]
    assert await send_in_turn(listing) == [*example.result, attrs.evolve(example.result[0], **changed)]
    assert [dict(sent.query) for sent in server.requests] == [{"limit": "5"}, {"limit": "5", "cursor": str(cursor)}]


@pytest.mark.parametrize("example", LISTS, ids=str)
async def test_an_object_on_two_pages(server: RecordingServer, send_in_turn: Any, example: Example) -> None:
    """An object that moves to the next page while the list is read is in the list once."""
    documents = example.response[example.resource]
    server.responses = [
        CannedResponse({example.resource: documents, "nextCursor": "1"}),
        CannedResponse({example.resource: documents}),
    ]
    assert await send_in_turn(attrs.evolve(example, kwargs={"limit": 5})) == example.result
    assert len(server.requests) == 2


@pytest.mark.parametrize("example", READS, ids=str)
@pytest.mark.parametrize("body", [5, "<html>"], ids=["number", "html"])
async def test_an_unexpected_response(server: RecordingServer, send_in_turn: Any, example: Example, body: Any) -> None:
    """A response of another form is an error, never a result."""
    server.responses = [CannedResponse(body)]
    with pytest.raises(UnexpectedResponseError):
        await send_in_turn(example)
    assert len(server.requests) == 1


@pytest.mark.parametrize("example", WRITES, ids=str)
async def test_a_write_of_unknown_outcome(server: RecordingServer, send_in_turn: Any, example: Example) -> None:
    """It is repeated, reconciled by reading back, or reported, as its declaration says."""
    server.responses = [CannedResponse("gateway", status=503), example.canned()]
    idempotency = example.operation.idempotency
    if idempotency.may_repeat:
        assert await send_in_turn(example) == example.result
    else:
        with pytest.raises(OutcomeUnknownError):
            await send_in_turn(example)
    methods = [sent.method for sent in server.requests]
    if idempotency.may_repeat:
        assert methods == [example.operation.method] * 2
        check_request(server.requests[1], example)
    else:
        assert methods == [example.operation.method, "GET"][: 1 + (idempotency is Idempotency.CREATE)]
