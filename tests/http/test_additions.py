"""Headers, query parameters and the name of an application that a caller adds to requests."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import attrs
import pytest
from multidict import CIMultiDict, MultiDict

from amp_exp_async import (
    UNSET,
    AddUsers,
    APITimeoutError,
    AsyncExperimentClient,
    Attempt,
    ConfigurationError,
    ExperimentClient,
    InvalidInputError,
    NotFoundError,
    OutcomeUnknownError,
    __version__,
)
from amp_exp_async.emulator import Emulator, Fault
from amp_exp_async.http import Request
from amp_exp_async.http.additions import MESSAGE_HEADERS
from tests.clients import client_of
from tests.leaks import leaks
from tests.operations.recording_server import CannedResponse, RecordingServer, run
from tests.reliability.exposure import find_secrets

SECRET = "canary-header-value"
MUTEX: dict[str, Any] = {"project_id": "1", "name": "n", "slots": [{"percentage": 100}]}
DEPLOYMENT: dict[str, Any] = {"project_id": "1", "label": "web", "type": "server"}


def secret_headers() -> dict[str, str]:
    """Return headers with a secret that no frame of the caller holds."""
    return {"X-Secret": SECRET}


@pytest.mark.usefixtures("each_path")
async def test_what_is_sent(emulator: Emulator) -> None:
    """Default and extra headers, the query and the application are in each request of the client and its copies."""
    id = emulator.state.add_flag()["id"]
    defaults = {"X-Team": "growth", "X-Stage": "test"}
    async with client_of(emulator, default_headers=defaults, app_info="deployer/2.1") as client:
        await client.flags.list(limit=5)
        copy = client.with_options(extra_headers={"x-stage": "live", "X-Change": "a b"}, extra_query={"debug": True})
        await copy.flags.list(limit=5)
        edit = {"description": "d"}
        await copy.request("PATCH", f"/flags/{id}", json=edit, extra_headers=None, extra_query={"n": 1})
        await client.with_options(default_headers=None, app_info=None).flags.list()
    first, second, third, last = emulator.requests
    agent = f"amp_exp_async/{__version__}"
    assert (first.headers["user-agent"], first.headers["x-team"], first.headers["x-stage"]) == (
        f"{agent} deployer/2.1",
        "growth",
        "test",
    )
    assert (second.headers["x-team"], second.headers["x-stage"], second.headers["x-change"]) == (
        "growth",
        "live",
        "a b",
    )
    assert (first.query, second.query) == ({"limit": "5"}, {"limit": "5", "debug": "true"})
    assert (third.query, third.headers["x-team"], third.headers.get("x-change")) == ({"n": "1"}, "growth", None)
    assert third.headers["content-type"] == "application/json"
    assert (last.headers["user-agent"], last.headers.get("x-team")) == (agent, None)
    assert all(request.authorized for request in emulator.requests)


async def test_lists_bulk_runs_and_edits(emulator: Emulator) -> None:
    """Each of their requests has the headers and the query, and the lock of a write is the same."""
    async with client_of(emulator) as client:
        ids = [
            (await client.flags.create(project_id="1", key=f"f{number}", variants=[{"key": "on"}])).id
            for number in range(3)
        ]
        emulator.requests.clear()
        copy = client.with_options(extra_headers={"X-Run": "7"}, extra_query={"run": "7"})
        assert len(await copy.flags.list(limit=1)) == 3
        await copy.bulk([AddUsers("flags", id, "on", ["a"]) for id in ids])
        await asyncio.gather(*(copy.flags.edit(ids[0], description=str(number)) for number in range(3)))
        await copy.flags.guarded_edit(ids[0], lambda flag: attrs.evolve(flag, tags=["x"]))
    assert len(emulator.requests) > 10
    assert {(request.headers.get("x-run"), request.query.get("run")) for request in emulator.requests} == {("7", "7")}


async def test_options_of_one_call(emulator: Emulator) -> None:
    """They replace those of `with_options` for this call, and keep the default headers; None removes them."""
    id = emulator.state.add_flag()["id"]
    async with client_of(emulator, default_headers={"X-Team": "growth", "X-Stage": "test"}) as client:
        copy = client.with_options(extra_headers={"X-Run": "7"}, extra_query={"run": "7"})
        await copy.flags.get(id, extra_headers={"X-Stage": "live"})
        await copy.flags.edit(id, description="d", extra_query={"n": 1}, extra_headers=None)
        await copy.flags.get(id, extra_headers=UNSET, extra_query=None)
        await copy.flags.get(id)
    sent = [
        ({name: request.headers.get(name) for name in ("x-team", "x-stage", "x-run")}, request.query)
        for request in emulator.requests
    ]
    assert sent == [
        ({"x-team": "growth", "x-stage": "live", "x-run": None}, {"run": "7"}),
        ({"x-team": "growth", "x-stage": "test", "x-run": None}, {"n": "1"}),
        ({"x-team": "growth", "x-stage": "test", "x-run": "7"}, {}),
        ({"x-team": "growth", "x-stage": "test", "x-run": "7"}, {"run": "7"}),
    ]
    assert emulator.state.flag(id)["description"] == "d"


async def test_all_requests_of_one_call(emulator: Emulator) -> None:
    """All pages of a list have the options of the call, also those that `find` reads."""
    for project in ("1", "2", "3"):
        emulator.state.add_flag(key="k", projectId=project)
    async with client_of(emulator) as client:
        pager = client.flags.list(limit=1, extra_headers={"X-Run": "7"}, extra_query={"run": "7"})
        assert len(await pager) == len(await pager) == 3
        with pytest.raises(InvalidInputError, match="project_id"):
            await client.flags.find("k", extra_headers={"X-Run": "7"}, extra_query={"run": "7", "limit": 1})
    assert len(emulator.requests) == 9
    assert {(request.headers.get("x-run"), request.query.get("run")) for request in emulator.requests} == {("7", "7")}


async def test_options_within_a_call_of_several_requests(emulator: Emulator) -> None:
    """A request with other options ends with the others of its call, and is counted with them."""
    async with client_of(emulator) as client:
        transport = client._transport.as_one_call()
        changed = transport.with_options(extra_query={"n": 1})
        assert changed.start(Request("GET", "/flags")).deadline == transport.start(Request("GET", "/flags")).deadline
        await changed.send(Request("GET", "/flags"))
    assert transport.stats.requests == 1


async def test_the_deadline_and_the_hooks_of_one_call(emulator: Emulator) -> None:
    """Other options hold for a call with additions too, and its write waits for earlier ones to the object."""
    id, seen = emulator.state.add_flag()["id"], list[Attempt]()
    async with client_of(emulator, deadline=None, on_attempt=seen.append) as client:
        edits = [client.flags.edit(id, description=str(number), extra_query={"n": number}) for number in range(3)]
        await asyncio.gather(*edits)
        async with client.deadline(0.001):
            await asyncio.sleep(0.01)
            with pytest.raises(APITimeoutError):
                await client.flags.find("k", extra_query={"n": 3})
    assert len(seen) == 3
    assert [request.query["n"] for request in emulator.requests] == ["0", "1", "2"]


def test_the_blocking_client(experiment_emulator: Emulator) -> None:
    """It takes the same arguments, and no frame of an error shows a header's value."""
    emulator = experiment_emulator
    with ExperimentClient(
        emulator.api_key, base_url=emulator.base_url, default_headers={"X-A": "1"}, app_info="app/1"
    ) as client:
        client.with_options(extra_headers={"X-B": "2"}).flags.list().pages().__next__()
        with pytest.raises(NotFoundError) as caught:
            client.request("GET", "/flags/404", extra_headers=secret_headers(), extra_query={"q": "x"})
    assert leaks(caught.value, SECRET) == []
    first, second = emulator.requests
    assert (first.headers["x-a"], first.headers["x-b"]) == ("1", "2")
    assert (second.headers["x-secret"], second.query) == (SECRET, {"q": "x"})
    assert first.headers["user-agent"].endswith(" app/1")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"extra_headers": {name.title(): "x"}}, f'extra_headers["{name.title()}"] is set by the client')
        for name in sorted({*MESSAGE_HEADERS, *(name.replace("-", "_") for name in MESSAGE_HEADERS)})
    ]
    + [
        ({"default_headers": {"USER-AGENT": "x"}}, 'default_headers["USER-AGENT"] is set by the client'),
        ({"extra_headers": {"X-HTTP-Method-Override": "PUT"}}, "would change the method"),
        ({"extra_headers": {"X:Y": "x"}}, "is not the name of a header"),
        ({"extra_headers": {"": "x"}}, "is not the name of a header"),
        ({"extra_headers": {1: "x"}}, "is not the name of a header"),
        ({"extra_headers": {"X": 1}}, 'extra_headers["X"] must be a string'),
        ({"extra_headers": {"X": "a\r\nAuthorization: b"}}, "printable ASCII"),
        ({"extra_headers": {"X": "a\0"}}, "printable ASCII"),
        ({"extra_headers": {"X": "snow\u2603"}}, "printable ASCII"),
        ({"extra_headers": {"X": " a"}}, "no space at either end"),
        ({"extra_headers": {"X": "a "}}, "no space at either end"),
        ({"extra_headers": {"X": "1", "x": "2"}}, 'extra_headers["x"] is there twice'),
        ({"extra_headers": "X: 1"}, "must be a mapping"),
        ({"extra_query": {"cursor": "x"}}, "extra_query.cursor is set by lists"),
        ({"extra_headers": CIMultiDict([("X-A", "1"), ("X-A", "2")])}, 'extra_headers["X-A"] is there twice'),
        ({"extra_headers": {"X_HTTP_Method_Override": "PUT"}}, "would change the method"),
        ({"default_headers": {"User_Agent": "x"}}, "Pass app_info"),
        ({"extra_query": {"a": {"b": "x"}}}, "extra_query.a must be a string"),
        ({"extra_query": {"a": ["x", None]}}, "extra_query.a[1] must be a string"),
        ({"extra_query": "a=1"}, "extra_query must be a mapping"),
        ({"app_info": "my app/1"}, 'must be like "name/version"'),
        ({"app_info": "app/1\r\nX: y"}, 'must be like "name/version"'),
        ({"app_info": 1}, 'must be like "name/version"'),
    ],
)
def test_what_is_rejected(options: dict[str, Any], message: str) -> None:
    """The error names the argument and the header, whatever its case."""
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        AsyncExperimentClient("key").with_options(**options)


def test_values_are_hidden() -> None:
    """Neither reprs nor errors, their frames included, show the value of a header."""
    client = AsyncExperimentClient("key", default_headers=secret_headers()).with_options(extra_headers=secret_headers())
    transport = client._transport
    assert SECRET not in repr([client, transport.options, vars(transport)])
    for options in ({"timeout": -1}, {"extra_headers": {"X": "\n"}}):
        with pytest.raises(ConfigurationError) as caught:
            client.with_options(**{"default_headers": secret_headers(), **options})  # type: ignore[arg-type]
        assert leaks(caught.value, SECRET) == []
    with pytest.raises(ConfigurationError) as caught:
        ExperimentClient("key", default_headers={"Host": SECRET + ""})
    assert SECRET not in f"{caught.value} {vars(caught.value)}"


WRONG_TYPES: dict[str, Callable[[], Any]] = {
    "list of pairs": lambda: list(secret_headers().items()),
    "tuple": lambda: tuple(secret_headers().items()),
    "view": lambda: secret_headers().items(),
    "string": lambda: str(secret_headers()),
    "bytes": lambda: str(secret_headers()).encode(),
    "iterator": lambda: iter(list(secret_headers().items())),
    "exception": lambda: ValueError(secret_headers()),
}
USES: dict[str, Callable[[Any, Callable[[], Any]], Any]] = {
    "constructor": lambda client, headers: type(client)("key", default_headers=headers()),
    "default_headers": lambda client, headers: client.with_options(default_headers=headers()),
    "extra_headers": lambda client, headers: client.with_options(extra_headers=headers()),
    "call": lambda client, headers: client.flags.get("1", extra_headers=headers()),
    "list": lambda client, headers: client.flags.list(extra_headers=headers()),
    "request": lambda client, headers: client.request("GET", "/x", extra_headers=headers()),
}


async def _call(use: Callable[[Any, Callable[[], Any]], Any], client: Any, headers: Callable[[], Any]) -> None:
    await use(client, headers)


@pytest.mark.parametrize("headers", WRONG_TYPES.values(), ids=WRONG_TYPES)
@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.parametrize("is_async", [True, False], ids=["async", "blocking"])
async def test_headers_of_a_wrong_type(
    use: Callable[[Any, Callable[[], Any]], Any], headers: Callable[[], Any], *, is_async: bool
) -> None:
    """They are rejected by name and type, and no frame shows what they hold."""
    with ExperimentClient("key") as blocking:
        client = AsyncExperimentClient("key") if is_async else blocking
        with pytest.raises(ConfigurationError, match=r"_headers must be a mapping .* \(a type\)") as caught:
            await _call(use, client, headers)
    assert find_secrets(caught.value, [SECRET]) == []


@pytest.mark.usefixtures("each_path")
async def test_a_failure_of_a_request_with_a_secret(emulator: Emulator) -> None:
    """No frame of the error shows the value."""
    emulator.inject(Fault.close())
    async with client_of(emulator) as client:
        with pytest.raises(OutcomeUnknownError) as caught:
            await client.request("DELETE", "/flags/404", extra_headers=secret_headers())
    assert leaks(caught.value, SECRET) == []


async def test_a_query_parameter_of_the_operation(emulator: Emulator) -> None:
    """It is rejected by name, and nothing is sent."""
    async with client_of(emulator) as client:
        copy = client.with_options(extra_query={"limit": 5})
        with pytest.raises(InvalidInputError, match=r"^extra_query\.limit: is set by GET /flags itself"):
            await copy.flags.list(limit=3)
        with pytest.raises(InvalidInputError, match=r"^extra_query\.a: is set by GET /flags itself"):
            await client.request("GET", "/flags", params={"a": 1}, extra_query={"a": 2})
    assert emulator.requests == []


@pytest.mark.parametrize(
    ("create", "extra_query"),
    [
        (lambda client, **options: client.flags.create(project_id="1", key="k", **options), {"includeArchived": False}),
        (lambda client, **options: client.mutexes.create(**MUTEX, **options), {"limit": 1}),
        (lambda client, **options: client.deployments.create(**DEPLOYMENT, **options), {"limit": 1}),
    ],
    ids=["flag", "mutex", "deployment"],
)
async def test_a_query_parameter_of_reading_back(emulator: Emulator, create: Any, extra_query: dict[str, Any]) -> None:
    """A read that determines the outcome of a write keeps its own parameter, and has the others."""
    emulator.inject(Fault.close(applied=True), method="POST")
    async with client_of(emulator) as client:
        assert (await create(client, extra_query={"a": 1, **extra_query})).id
    post, read = emulator.requests
    [(name, value)] = extra_query.items()
    assert (post.query["a"], read.query["a"]) == ("1", "1")
    assert post.query[name] == str(value).lower()
    assert read.query[name] == {"includeArchived": "true", "limit": "1000"}[name]


@pytest.mark.parametrize(
    "values", [{"id": ["a", 2, True], "b": "x"}, {"id": ("a", "2", "true"), "b": "x", "c": []}], ids=["list", "tuple"]
)
@pytest.mark.parametrize("cls", [AsyncExperimentClient, ExperimentClient])
async def test_a_repeated_parameter(cls: Any, values: dict[str, Any]) -> None:
    """A list of values repeats the parameter, in `extra_query` and in `params`, as a mapping with a name twice does."""
    expected = [("id", "a"), ("id", "2"), ("id", "true"), ("b", "x")]
    twice = MultiDict([("id", "a"), ("id", "2"), ("id", "true"), ("b", "x")])
    with RecordingServer() as server:
        server.responses += [CannedResponse({"id": "1", "key": "a"})] * 4
        client = cls("recorded-management-key", base_url=server.url)
        await run(client.flags.get("1", extra_query=values))
        await run(client.flags.get("1", extra_query=twice))
        await run(client.request("GET", "/flags/1", params=values))
        await run(client.request("GET", "/flags/1", params=twice))
        await (asyncio.to_thread(client.close) if cls is ExperimentClient else client.aclose())
    assert [request.query for request in server.requests] == [expected] * 4


async def test_a_proxy() -> None:
    """The request to open a tunnel has none of the headers."""
    heads: list[bytes] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1")
    proxy = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with (
        server,
        AsyncExperimentClient(
            "key", base_url="https://localhost:1", proxy=proxy, default_headers=secret_headers(), app_info="app/1"
        ) as client,
    ):
        with pytest.raises(Exception, match="the proxy answered 403"):
            await client.flags.get("1")
    assert len(heads) == 1
    assert not re.search(rb"x-secret|authorization|app/1", heads[0], re.IGNORECASE)
