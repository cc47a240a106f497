"""Each operation over the wire, awaited and blocking, against a server that only records and answers."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from amp_exp_async import AsyncExperimentClient, ExperimentClient, UnexpectedResponseError, __version__
from amp_exp_async.blocking.facade import Facade
from amp_exp_async.resources import Resource
from tests.operations.answers import TOGGLE, TOGGLE_JSON, Kind
from tests.operations.recording import Canned, Received, RecordingServer, run
from tests.operations.table import KINDS, ROWS, Call, Row, call

KEY = "recorded-management-key"
HEADERS = {
    "Authorization": f"Bearer {KEY}",
    "Accept": "application/json",
    "User-Agent": f"amp_exp_async/{__version__}",
}
OF_THE_CONNECTION = {"Host", "Accept-Encoding", "Content-Length"}

SHARED_OPERATIONS = (
    "List",
    "Get details",
    "List versions",
    "Get version details",
    "List variants",
    "Get variant details",
    "Create variant",
    "Edit variant",
    "Remove variant",
    "Get variant inclusions",
    "Add users to variant",
    "Remove one user",
    "Remove all users",
    "Bulk remove users",
    "Get cohort inclusions",
    "Add cohorts",
    "Bulk remove cohorts",
    "List deployments",
    "Add deployments",
    "Remove deployment",
    "Edit",
    "Create",
)
OPERATIONS = {
    "flags": SHARED_OPERATIONS,
    "experiments": SHARED_OPERATIONS,
    "deployments": ("List deployments", "Create deployment", "Edit deployment"),
}
READS = [row for row in ROWS if row.method == "GET" and not row.note]
WRITES = [row for row in ROWS if row.reply == "OK" and not row.note]


@pytest.fixture
def server() -> Iterator[RecordingServer]:
    """A recording server."""
    with RecordingServer() as server:
        yield server


@pytest.fixture(params=["awaited", "blocking"])
def call_on(request: pytest.FixtureRequest, server: RecordingServer) -> Any:
    """Make a call on a client of that kind, from inside a running loop either way."""

    async def awaited(call: Call) -> Any:
        async with AsyncExperimentClient(KEY, base_url=server.url, rate_limit=None) as client:
            return await run(call(client))

    async def blocking(call: Call) -> Any:
        with ExperimentClient(KEY, base_url=server.url, rate_limit=None) as client:
            return await run(call(client))

    return {"awaited": awaited, "blocking": blocking}[request.param]


def check_request(sent: Received, row: Row) -> None:
    """Everything about a request is as the table says."""
    assert (sent.method, sent.path) == (row.method, f"/api/1{row.path}")
    assert sorted(sent.query) == sorted(row.query.items())
    expected = HEADERS if row.body is None else HEADERS | {"Content-Type": "application/json"}
    assert {name: value for name, value in sent.headers.items() if name not in OF_THE_CONNECTION} == expected
    assert (orjson.loads(sent.body) if sent.body else None) == row.body


@pytest.mark.parametrize("row", ROWS, ids=str)
async def test_on_the_wire(server: RecordingServer, call_on: Any, row: Row) -> None:
    """One request, exactly as the contract says, and the reply as the object that it is."""
    server.replies = [row.canned]
    result = await call_on(row.call)
    [sent] = server.received
    check_request(sent, row)
    assert result == row.result
    assert type(result) is type(row.result)


@pytest.mark.parametrize(
    "reply", [Canned("ok"), Canned(""), Canned("OK", "application/json")], ids=["ok", "empty", "json"]
)
@pytest.mark.parametrize("row", WRITES, ids=str)
async def test_whatever_a_write_is_answered(server: RecordingServer, call_on: Any, row: Row, reply: Canned) -> None:
    """The text of a write's success and its content type do not matter."""
    server.replies = [reply]
    assert await call_on(row.call) is None
    assert len(server.received) == 1


@pytest.mark.parametrize("cursor", ["eyJpZCI6MTIzNDU2fQ==", 12], ids=["text", "number"])
@pytest.mark.parametrize("last", [{}, {"nextCursor": None}, {"nextCursor": ""}], ids=["absent", "null", "empty"])
@pytest.mark.parametrize("kind", KINDS)
async def test_pages(server: RecordingServer, call_on: Any, kind: Kind, last: Any, cursor: Any) -> None:
    """The cursor of a page goes back with all that was asked, until a page has none."""
    toggle = TOGGLE_JSON[kind]
    server.replies = [Canned({kind: [toggle, toggle], "nextCursor": cursor}), Canned({kind: [toggle]} | last)]
    assert await call_on(call(f"{kind}.list", project_id="6", limit=2)) == [TOGGLE[kind]] * 3
    first, second = [dict(sent.query) for sent in server.received]
    assert first == {"projectId": "6", "limit": "2"}
    assert second == {"projectId": "6", "limit": "2", "cursor": str(cursor)}


async def test_pages_of_deployments(server: RecordingServer, call_on: Any) -> None:
    """Deployments are paged like the others, though their example shows no cursor."""
    server.replies = [Canned({"deployments": [{"id": 1}], "nextCursor": "c"}), Canned({"deployments": [{"id": "2"}]})]
    assert [found.id for found in await call_on(call("deployments.list"))] == ["1", "2"]
    assert [sent.query for sent in server.received] == [[], [("cursor", "c")]]


@pytest.mark.parametrize("row", READS, ids=str)
@pytest.mark.parametrize("body", [5, "<html>"], ids=["number", "html"])
async def test_a_reply_that_is_something_else(server: RecordingServer, call_on: Any, row: Row, body: Any) -> None:
    """No reply that the contract does not know is taken for an answer."""
    server.replies = [Canned(body)]
    with pytest.raises(UnexpectedResponseError):
        await call_on(row.call)
    assert len(server.received) == 1


def test_the_table_has_every_operation_once() -> None:
    """Without the additional rows it is the contract's 47 operations."""
    expected = Counter((section, operation) for section, names in OPERATIONS.items() for operation in names)
    assert Counter((row.section, row.operation) for row in ROWS if not row.note) == expected
    assert expected.total() == 47


def methods_of(client: object, prefix: str = "") -> Iterator[str]:
    """The dotted names of all public methods of a client's sections."""
    for name, value in vars(client).items():
        if not name.startswith("_") and name != "resource" and isinstance(value, Resource | Facade):
            yield from (f"{prefix}{name}.{method}" for method in own_methods(type(value)))
            yield from methods_of(value, f"{prefix}{name}.")


def own_methods(section: type) -> list[str]:
    """The public methods of a section."""
    return [name for name, _ in inspect.getmembers(section, inspect.isfunction) if not name.startswith("_")]


@pytest.mark.parametrize("kind", [AsyncExperimentClient, ExperimentClient])
async def test_the_table_has_every_method(kind: Any) -> None:
    """Nothing that a section offers is left untested; what is done in bulk has tests of its own."""
    client = kind(KEY)
    streams = {
        f"{kind}.{what}.{stream}"
        for kind in ("flags", "experiments")
        for what in ("users", "cohorts")
        for stream in ("add_many", "remove_many", "replace")
    }
    assert set(methods_of(client)) == {row.call.method for row in ROWS} | streams
