"""Damaged input of every kind ends in a value or in a documented error, and never outside the tree of errors."""

from __future__ import annotations

import asyncio
import json
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote

import aiohttp
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from amp_exp_async import (
    AmpExpError,
    AsyncBetaClient,
    AsyncExperimentClient,
    AsyncPager,
    Edit,
    InvalidInputError,
    Manifest,
    Plan,
    RetryPolicy,
    dumps,
    lint,
    loads,
    to_json,
)
from tests.manifests.strategies import manifests
from tests.operations.catalog import Example
from tests.operations.examples import EXAMPLES
from tests.polling import TIMEOUT
from tests.reliability.figures import Figures
from tests.reliability.mutations import damaged_bytes, damaged_values
from tests.reliability.raw_server import RawConnection, RawServer, response

AREA = "Fuzzing"
KEY = "key-of-fuzzing"
ONCE = RetryPolicy(max_attempts=1)
SAVED_PLAN = (Path(__file__).parents[1] / "manifests" / "saved_plan.json").read_bytes()

sizes = pytest.mark.parametrize("examples", [30, pytest.param(800, marks=pytest.mark.slow)])
each_path = pytest.mark.parametrize("own_session", [True, False], ids=["own session", "caller's session"])


def fuzz(strategy: st.SearchStrategy[Any], check: Callable[[Any], None], examples: int, figures: Figures) -> None:
    """Check many examples: the same ones in the short form, and others each time in the long form."""
    profile = settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=examples < 100,
        suppress_health_check=list(HealthCheck),
    )
    ran = 0

    def count(example: Any) -> None:
        nonlocal ran
        ran += 1
        check(example)

    profile(given(strategy)(count))()
    assert ran >= examples // 2
    figures.count("examples", ran)


class Caller:
    """A server that answers each request with the same bytes and closes the connection, and clients of it.

    Attributes:
        answer: the bytes.
    """

    def __init__(self, *, own_session: bool) -> None:
        self.answer = b""
        self._own_session = own_session
        self._runner = asyncio.Runner()
        self.server = RawServer(self._serve)

    async def _serve(self, connection: RawConnection) -> None:
        if await connection.read_request() is not None:
            await connection.send(self.answer)

    def __enter__(self) -> Self:
        self.server.__enter__()
        self._runner.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._runner.__exit__(None, None, None)
        self.server.__exit__(None, None, None)

    def call(self, call: Callable[[Any], Any], *, is_beta: bool = False) -> Any:
        """Make a call, and return its result or its error."""
        return self._runner.run(self._call(call, is_beta=is_beta))

    async def _call(self, call: Callable[[Any], Any], *, is_beta: bool) -> Any:
        async with asyncio.timeout(TIMEOUT), aiohttp.ClientSession() as theirs:
            session = None if self._own_session else theirs
            client_class = AsyncBetaClient if is_beta else AsyncExperimentClient
            options: dict[str, Any] = {"rate_limit": None, "retry": ONCE, "timeout": 5.0}
            async with client_class(KEY, base_url=self.server.url, session=session, **options) as client:
                try:
                    result = call(client)
                    return [item async for item in result] if isinstance(result, AsyncPager) else await result
                except AmpExpError as error:
                    return error


@pytest.fixture
def caller(own_session: bool) -> Iterator[Caller]:
    """Return a caller of damaged responses."""
    with Caller(own_session=own_session) as caller:
        yield caller


@each_path
@sizes
def test_responses_of_another_shape(caller: Caller, examples: int, figures: Figures) -> None:
    """A response with other values ends in an error, or in a result that can be printed, pickled and written."""

    def check(case: tuple[Example, Any]) -> None:
        example, document = case
        body = json.dumps(document)
        caller.answer = response(body, headers=[("Connection", "close")])
        result = caller.call(example, is_beta=example.is_beta)
        assert KEY not in f"{result!r} {result}"
        if not isinstance(result, AmpExpError):
            assert pickle.loads(pickle.dumps(result)) == result
            json.dumps(to_json(result))

    cases = st.sampled_from(EXAMPLES).flatmap(
        lambda example: st.tuples(st.just(example), damaged_values(example.response))
    )
    fuzz(cases, check, examples, figures)


@each_path
@sizes
def test_damaged_responses(caller: Caller, examples: int, figures: Figures) -> None:
    """A response with damaged bytes ends in an error or a result."""
    good = response(json.dumps(EXAMPLES[0].response), headers=[("Date", "Thu, 26 Nov 2026 19:42:09 GMT")])

    def check(data: bytes) -> None:
        caller.answer = data
        result = caller.call(lambda client: client.flags.list())
        assert isinstance(result, AmpExpError | list)
        assert KEY not in f"{result!r} {result}"

    fuzz(damaged_bytes(good), check, examples, figures)


texts = st.text(max_size=20) | st.sampled_from(["", ".", "..", "a/b", "%2F", "?", "#", "é", "\ud800", "\x00", "off"])


@each_path
@sizes
def test_paths_and_queries(caller: Caller, examples: int, figures: Figures) -> None:
    """An ID, key or filter is rejected, or arrives as it is; nothing else is requested."""
    calls: dict[str, Callable[[Any, str], Any]] = {
        "/api/1/flags/{}": lambda client, text: client.flags.get(text),
        "/api/1/flags/1/variants/{}": lambda client, text: client.flags.variants.get("1", text),
        "/api/1/experiments/1/versions/{}": lambda client, text: client.experiments.versions.get("1", text),
        "/api/1/flags?key={}": lambda client, text: client.flags.list(key=text),
        "/api/1/flags?cursor={}": lambda client, text: client.flags.list(cursor=text),
        "/api/1/x?{}=1": lambda client, text: client.request("GET", "/x", params={text: "1"}),
    }
    caller.answer = response("{}", headers=[("Connection", "close")])

    def check(case: tuple[str, str]) -> None:
        target, text = case
        caller.server.requests.clear()
        result = caller.call(lambda client: calls[target](client, text))
        arrived = [request.target for request in caller.server.requests]
        if isinstance(result, InvalidInputError):
            assert arrived == []
        else:
            assert [unquote(path) for path in arrived] == [target.format(text)]
            assert arrived[0].count("/") == target.count("/")

    fuzz(st.tuples(st.sampled_from(sorted(calls)), texts), check, examples, figures)


@each_path
@sizes
def test_paths_of_requests(caller: Caller, examples: int, figures: Figures) -> None:
    """A path of the caller's own is rejected, or requested from the same host with the key."""
    caller.answer = response("{}", headers=[("Connection", "close")])

    def check(path: str) -> None:
        caller.server.requests.clear()
        result = caller.call(lambda client: client.request("GET", path))
        if isinstance(result, AmpExpError):
            assert isinstance(result, InvalidInputError)
            assert caller.server.requests == []
        else:
            [request] = caller.server.requests
            assert request.target.startswith("/api/1/")

    fuzz(texts | texts.map("/{}".format) | texts.map("/flags/{}".format), check, examples, figures)


@each_path
@sizes
def test_journals(caller: Caller, tmp_path: Path, examples: int, figures: Figures) -> None:
    """A damaged journal is continued or rejected, and no operation is skipped that it does not have as done."""
    operations = [Edit("flags", str(number), {"name": f"n{number}"}) for number in range(4)]
    path = tmp_path / "journal.jsonl"
    caller.answer = response("OK", headers=[("Connection", "close")])
    assert not isinstance(caller.call(lambda client: client.bulk(operations, journal=path)), AmpExpError)
    good = path.read_bytes()
    assert good.count(b'"done"') == len(operations)

    def check(journal: bytes) -> None:
        path.write_bytes(journal)
        caller.server.requests.clear()
        result = caller.call(lambda client: client.bulk(operations, journal=path))
        if isinstance(result, AmpExpError):
            assert caller.server.requests == [] or b"begun" in journal
        else:
            assert len(caller.server.requests) + journal.count(b'"done"') >= len(operations)

    fuzz(damaged_bytes(good), check, examples, figures)


@sizes
def test_plans_of_another_shape(tmp_path: Path, examples: int, figures: Figures) -> None:
    """A saved plan with other values is rejected, or can be printed and saved."""
    path = tmp_path / "plan.json"

    def check(document: Any) -> None:
        path.write_text(json.dumps(document))
        check_plan(path)

    fuzz(damaged_values(orjson.loads(SAVED_PLAN)), check, examples, figures)


@sizes
def test_damaged_plans(tmp_path: Path, examples: int, figures: Figures) -> None:
    """A saved plan with damaged bytes is rejected, or can be printed and saved."""
    path = tmp_path / "plan.json"

    def check(data: bytes) -> None:
        path.write_bytes(data)
        check_plan(path)

    fuzz(damaged_bytes(SAVED_PLAN), check, examples, figures)


def check_plan(path: Path) -> None:
    try:
        plan = Plan.load(path)
    except AmpExpError:
        return
    assert str(plan).isprintable() or "\n" in str(plan)
    json.loads(plan.to_json())
    plan.save(path)
    assert Plan.load(path).to_json() == plan.to_json()


@pytest.mark.parametrize("format", ["yaml", "json"])
@sizes
def test_manifests(examples: int, figures: Figures, format: Any) -> None:
    """A damaged file is rejected, or is a manifest that can be linted and written."""

    def check(data: bytes) -> None:
        try:
            manifest = loads(data.decode(errors="surrogateescape"), format=format)
        except AmpExpError:
            return
        assert isinstance(manifest, Manifest)
        lint(manifest)
        assert loads(dumps(manifest, format=format), format=format) == manifest

    texts_of_files = manifests().map(lambda manifest: dumps(manifest, format=format).encode())
    fuzz(texts_of_files.flatmap(damaged_bytes), check, examples, figures)
