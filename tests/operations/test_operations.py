"""Each operation over the wire, awaited and blocking, against a server that only records and answers."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from amp_exp_async import (
    AsyncBetaClient,
    AsyncExperimentClient,
    BetaClient,
    ExperimentClient,
    UnexpectedResponseError,
    __version__,
)
from amp_exp_async.resources import Resource
from amp_exp_async.sync.base import SyncResource
from tests.operations.answers import DEPLOYMENTS, DEPLOYMENTS_JSON, TOGGLE, TOGGLE_JSON, Kind
from tests.operations.group_answers import ALL_VERSIONS, ALL_VERSIONS_JSON, HOLDOUT, HOLDOUT_JSON, MUTEX, MUTEX_JSON
from tests.operations.recording import Canned, Received, RecordingServer, run
from tests.operations.rows import Call, Row, call
from tests.operations.table import BETA_ROWS, KINDS, ROWS

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
    "versions": ("List all versions",),
    "mutexes": (
        "List mutex groups",
        "Get mutex group",
        "Create mutex group",
        "Edit mutex group",
        "Edit mutex slot",
    ),
    "holdouts": ("List holdout groups", "Get holdout group", "Create holdout group", "Edit holdout group"),
}
# Several requests each: tests/editing.
GUARDED = ("guarded_edit", "roll_out", "roll_back", "segments", "tags")
BETA_READS = ("List", "Get details", "List versions", "Get version details")
BETA_OPERATIONS = {
    "flags": BETA_READS,
    "experiments": (*BETA_READS, "Create", "Activate", "Deactivate", "Rollout weights"),
    "deployments": ("List deployments",),
}
ALL_ROWS = (*ROWS, *BETA_ROWS)
READS = [row for row in ALL_ROWS if row.method == "GET" and not row.note]
WRITES = [row for row in ALL_ROWS if row.reply == "OK" and not row.note]


@pytest.fixture
def server() -> Iterator[RecordingServer]:
    """A recording server."""
    with RecordingServer() as server:
        yield server


@pytest.fixture(params=["awaited", "blocking"])
def call_on(request: pytest.FixtureRequest, server: RecordingServer) -> Any:
    """Make a call on a client of that kind, from inside a running loop either way."""

    async def awaited(call: Call, *, beta: bool = False) -> Any:
        kind = AsyncBetaClient if beta else AsyncExperimentClient
        async with kind(KEY, base_url=server.url, rate_limit=None) as client:
            return await run(call(client))

    async def blocking(call: Call, *, beta: bool = False) -> Any:
        kind = BetaClient if beta else ExperimentClient
        with kind(KEY, base_url=server.url, rate_limit=None) as client:
            return await run(call(client))

    return {"awaited": awaited, "blocking": blocking}[request.param]


def exactly(document: Any) -> bytes:
    """A JSON text that tells 1 from 1.0 and from true, as the service does and Python does not."""
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)


def check_request(sent: Received, row: Row) -> None:
    """Everything about a request is as the table says."""
    prefix = "" if row.beta else "/api/1"
    assert (sent.method, sent.path) == (row.method, f"{prefix}{row.path}")
    assert sorted(sent.query) == sorted(row.query.items())
    expected = HEADERS if row.body is None else HEADERS | {"Content-Type": "application/json"}
    assert {name: value for name, value in sent.headers.items() if name not in OF_THE_CONNECTION} == expected
    body = orjson.loads(sent.body) if sent.body else None
    assert body == row.body
    assert exactly(body) == exactly(row.body)


@pytest.mark.parametrize("row", ALL_ROWS, ids=str)
async def test_on_the_wire(server: RecordingServer, call_on: Any, row: Row) -> None:
    """One request, exactly as the contract says, and the reply as the object that it is."""
    server.replies = [row.canned]
    result = await call_on(row.call, beta=row.beta)
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
    assert await call_on(row.call, beta=row.beta) is None
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


PAGED: list[tuple[str, Any, Any, bool]] = [
    ("deployments", DEPLOYMENTS_JSON, DEPLOYMENTS, False),
    ("versions", ALL_VERSIONS_JSON, ALL_VERSIONS, False),
    ("mutexes", [MUTEX_JSON], [MUTEX], False),
    ("holdouts", [HOLDOUT_JSON], [HOLDOUT], False),
    ("flags", [TOGGLE_JSON["flags"]], [TOGGLE["flags"]], True),
    ("experiments", [TOGGLE_JSON["experiments"]], [TOGGLE["experiments"]], True),
    ("deployments", DEPLOYMENTS_JSON, DEPLOYMENTS, True),
]


@pytest.mark.parametrize("cursor", ["c=1", 1690601569594], ids=["text", "number"])
@pytest.mark.parametrize("last", [{}, {"nextCursor": None}, {"nextCursor": ""}], ids=["absent", "null", "empty"])
@pytest.mark.parametrize(
    ("section", "documents", "models", "beta"), PAGED, ids=[f"{'beta-' * row[3]}{row[0]}" for row in PAGED]
)
async def test_pages_of_the_other_lists(
    *,
    server: RecordingServer,
    call_on: Any,
    section: str,
    documents: Any,
    models: Any,
    beta: bool,
    last: Any,
    cursor: Any,
) -> None:
    """All are paged alike: deployments, whose example shows no cursor, and versions, whose cursors are numbers, too."""
    server.replies = [Canned({section: documents, "nextCursor": cursor}), Canned({section: documents} | last)]
    assert await call_on(call(f"{section}.list", limit=5), beta=beta) == models * 2
    assert [dict(sent.query) for sent in server.received] == [{"limit": "5"}, {"limit": "5", "cursor": str(cursor)}]


@pytest.mark.parametrize("row", READS, ids=str)
@pytest.mark.parametrize("body", [5, "<html>"], ids=["number", "html"])
async def test_a_reply_that_is_something_else(server: RecordingServer, call_on: Any, row: Row, body: Any) -> None:
    """No reply that the contract does not know is taken for an answer."""
    server.replies = [Canned(body)]
    with pytest.raises(UnexpectedResponseError):
        await call_on(row.call, beta=row.beta)
    assert len(server.received) == 1


@pytest.mark.parametrize(
    ("rows", "operations", "total"), [(ROWS, OPERATIONS, 57), (BETA_ROWS, BETA_OPERATIONS, 13)], ids=["v1", "beta"]
)
def test_the_table_has_every_operation_once(rows: Any, operations: Any, total: int) -> None:
    """Without the additional rows it is the contract's 57 operations, and the 13 of the Beta API."""
    expected = Counter((section, operation) for section, names in operations.items() for operation in names)
    assert Counter((row.section, row.operation) for row in rows if not row.note) == expected
    assert expected.total() == total


def methods_of(client: object, prefix: str = "") -> Iterator[str]:
    """The dotted names of all public methods of a client's sections."""
    for name, value in vars(client).items():
        if not name.startswith("_") and name != "resource" and isinstance(value, Resource | SyncResource):
            yield from (f"{prefix}{name}.{method}" for method in own_methods(type(value)))
            yield from methods_of(value, f"{prefix}{name}.")


def own_methods(section: type) -> list[str]:
    """The public methods of a section."""
    return [name for name, _ in inspect.getmembers(section, inspect.isfunction) if not name.startswith("_")]


STREAMS = {
    f"{kind}.{what}.{stream}"
    for kind in ("flags", "experiments")
    for what in ("users", "cohorts")
    for stream in ("add_many", "remove_many", "replace")
}


@pytest.mark.parametrize(
    ("kind", "rows", "others"),
    [
        (AsyncExperimentClient, ROWS, STREAMS),
        (ExperimentClient, ROWS, STREAMS),
        (AsyncBetaClient, BETA_ROWS, set()),
        (BetaClient, BETA_ROWS, set()),
    ],
)
async def test_the_table_has_every_method(kind: Any, rows: Any, others: set[str]) -> None:
    """Nothing that a section offers is left untested; what is done in bulk has tests of its own."""
    named = set(methods_of(kind(KEY)))
    guarded = {name for name in named if name.split(".")[1] in GUARDED}
    assert named == {row.call.method for row in rows} | others | guarded
