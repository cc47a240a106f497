"""The blocking client has the names, arguments, docstrings and results of the async client."""

from __future__ import annotations

import contextvars
import copy
import gc
import inspect
import pickle
import re
import textwrap
import traceback
import weakref
from collections.abc import Callable, Iterator
from operator import attrgetter
from types import TracebackType
from typing import Any

import aiohttp
import pytest

import amp_exp_async
from amp_exp_async import (
    AsyncBetaClient,
    AsyncExperimentClient,
    Attempt,
    BetaClient,
    ConfigurationError,
    ExperimentClient,
    InvalidInputError,
    NotFoundError,
    Page,
    Pager,
    RetryPolicy,
)
from amp_exp_async.emulator import Emulator, Fault
from amp_exp_async.inherited_methods import inherited_method
from tests.sync.timeouts import client_of, loop_threads, tasks, within

KEY = "management-key-never-shown"


def methods(resource: type) -> set[str]:
    """Return the names of a class's public methods."""
    return {name for name, _ in inspect.getmembers(resource, inspect.isfunction) if not name.startswith("_")}


def resources(awaited: object, blocking: object, name: str = "client") -> Iterator[tuple[str, type, type]]:
    """Yield each resource of the async client with the one of the same name on the blocking client."""
    yield name, type(awaited), type(blocking)
    for part, value in vars(awaited).items():
        if not part.startswith("_"):
            yield from resources(value, getattr(blocking, part), f"{name}.{part}")


RESOURCES = {
    name: classes
    for pair in (
        resources(AsyncExperimentClient(KEY), ExperimentClient(KEY)),
        resources(AsyncBetaClient(KEY), BetaClient(KEY), "beta"),
    )
    for name, *classes in pair
}
LIFETIME = {(client, method) for client in ("client", "beta") for method in ("aclose", "after_fork")}
DERIVED = [
    (name, method)
    for name, (awaited, _) in RESOURCES.items()
    for method in sorted(methods(awaited))
    if (name, method) not in LIFETIME
]


def test_the_resources_are_those_of_the_design() -> None:
    """The tests below compare all resources."""
    under = ("variants", "users", "cohorts", "deployments", "versions", "segments", "tags")
    kinds = ("client.flags", "client.experiments")
    single = {"client.deployments", "client.versions", "client.mutexes", "client.holdouts"}
    expected = {"client", *single, *kinds} | {f"{kind}.{part}" for kind in kinds for part in under}
    kinds = ("beta.flags", "beta.experiments")
    expected |= {"beta", "beta.deployments", *kinds} | {f"{kind}.versions" for kind in kinds}
    assert set(RESOURCES) == expected


def test_each_resource_has_the_same_methods() -> None:
    """The methods of each resource are the same. Only the client's lifetime has its own names."""
    differences = {
        name: methods(blocking) ^ methods(awaited) - {method for owner, method in LIFETIME if owner == name}
        for name, (awaited, blocking) in RESOURCES.items()
    }
    assert {name: extra for name, extra in differences.items() if extra} == {"client": {"close"}, "beta": {"close"}}


def test_each_method_is_derived_from_its_own() -> None:
    """Each blocking method is derived from the async method of the same resource, signature and docstring included."""
    wrong: list[str] = []
    for name, method in DERIVED:
        awaited, blocking = (getattr(resource, method) for resource in RESOURCES[name])
        if (
            inherited_method(blocking.__wrapped__) is not inherited_method(awaited)
            or inspect.signature(blocking) != inspect.signature(awaited)
            or (blocking.__doc__ or "").split("\n")[0] != (awaited.__doc__ or "").split("\n")[0]
            or not blocking.__doc__
            or re.search(r"\b(await|async (for|with))\b|Async[A-Z]", blocking.__doc__)
            or blocking.__qualname__.split(".")[-1] != awaited.__name__
            or blocking.__qualname__.startswith("Async")
            or inspect.iscoroutinefunction(blocking)
        ):
            wrong.append(f"{name}.{method}")
    assert len(DERIVED) > 100
    assert wrong == []


def test_blocking_examples() -> None:
    """The docstrings of blocking methods have blocking examples, and errors about arguments name the public class."""
    assert 'summary = client.flags.users.add_many("123", "on", pathlib.Path("ids.txt")).wait()' in (
        inspect.getdoc(ExperimentClient(KEY).flags.users.add_many) or ""
    )
    assert "\nfor outcome in run:\n" in textwrap.dedent((ExperimentClient.bulk.__doc__ or "").split("Example::")[1])
    for make, name in (
        (AsyncExperimentClient, "AsyncExperimentClient"),
        (AsyncBetaClient, "AsyncBetaClient"),
        (ExperimentClient, "ExperimentClient"),
        (BetaClient, "BetaClient"),
    ):
        with pytest.raises(TypeError, match=rf"^{name}\.__init__\(\) got an unexpected keyword argument 'regoin'"):
            make(KEY, regoin="eu")  # type: ignore[call-arg]


def test_the_constructor_takes_the_same() -> None:
    """Both clients take the same arguments with the same defaults, and make the same settings of them."""
    assert inspect.signature(ExperimentClient) == inspect.signature(AsyncExperimentClient)
    assert inspect.signature(BetaClient) == inspect.signature(AsyncBetaClient)
    assert inspect.signature(AsyncBetaClient) == inspect.signature(AsyncExperimentClient)
    assert repr(BetaClient(KEY)) == "<BetaClient https://management-api.experiment.amplitude.com>"
    options: dict[str, Any] = {"timeout": 3.0, "deadline": None, "retry": RetryPolicy(max_attempts=2)}
    blocking = ExperimentClient(KEY, region="eu", **options)
    assert blocking._resource._transport.options == AsyncExperimentClient(KEY, **options)._transport.options
    assert repr(blocking) == "<ExperimentClient https://experiment.eu.amplitude.com/api/1>"


async def test_the_same_results(emulator: Emulator, client: ExperimentClient, ids: list[str]) -> None:
    """Results are the same, also from inside a running event loop."""
    async with AsyncExperimentClient(emulator.api_key, base_url=emulator.base_url) as awaited:
        for kind, section in (("flags", awaited.flags), ("experiments", awaited.experiments)):
            other = getattr(client, kind)
            assert list(other.list(limit=4)) == await section.list(limit=4)
            assert list(other.list(limit=4).pages()) == [page async for page in section.list(limit=4).pages()]
        assert client.flags.get(ids[0]) == await awaited.flags.get(ids[0])
        assert client.flags.variants.list(ids[0]) == await awaited.flags.variants.list(ids[0])
        assert client.flags.versions.list(ids[0]) == await awaited.flags.versions.list(ids[0])
        assert client.request("GET", f"/flags/{ids[0]}") == await awaited.request("GET", f"/flags/{ids[0]}")
        assert len(loop_threads()) == 1


def test_a_list_is_read_page_by_page(client: ExperimentClient, ids: list[str], emulator: Emulator) -> None:
    """A pager yields items page by page, starts again for each loop, and sends nothing before."""
    pager = client.flags.list(limit=4)
    assert isinstance(pager, Pager)
    assert emulator.requests == []
    assert [flag.id for flag in pager] == ids
    assert [flag.id for flag in pager] == ids
    assert len(emulator.requests) == 6


def test_pages_and_going_on_from_a_cursor(client: ExperimentClient, ids: list[str]) -> None:
    """Another listing continues from a page's cursor."""
    pages = client.flags.list(limit=4).pages()
    first = next(pages)
    assert isinstance(first, Page)
    assert [flag.id for flag in first.items] == ids[:4]
    assert [len(page.items) for page in pages] == [4, 1]
    assert [flag.id for flag in client.flags.list(limit=4, cursor=first.next_cursor)] == ids[4:]


def test_a_wrong_argument_of_a_list_is_rejected_before_it_is_read(client: ExperimentClient) -> None:
    """An invalid argument is rejected when the list is created, not when it is read."""
    with pytest.raises(InvalidInputError, match="limit"):
        client.flags.list(limit=0)


async def test_a_session_is_refused() -> None:
    """A session is rejected: it belongs to another event loop."""
    async with aiohttp.ClientSession() as session:
        with pytest.raises(ConfigurationError, match="session"):
            ExperimentClient(KEY, session=session)


def library_locals(trace: TracebackType | None) -> str:
    """Return the local variables of this library's frames in a traceback."""
    place = str(amp_exp_async.__path__[0])
    frames = [frame for frame, _ in traceback.walk_tb(trace) if frame.f_code.co_filename.startswith(place)]
    assert frames
    return "\n".join(f"{name}={value!r}" for frame in frames for name, value in frame.f_locals.items())


@pytest.mark.parametrize(
    "options",
    [
        {"region": "mars"},
        {"base_url": "ftp://host"},
        {"timeout": -1},
        {"max_concurrency": "many"},
        {"session": object()},
        {"api_key": f"{KEY} "},
        {"colour": "red"},
    ],
    ids=["region", "url", "timeout", "concurrency", "session", "key", "unknown"],
)
@pytest.mark.parametrize("by_name", [True, False])
@pytest.mark.parametrize("kind", [ExperimentClient, AsyncExperimentClient])
def test_a_failed_constructor_shows_no_key(kind: Any, options: dict[str, Any], by_name: bool) -> None:
    """The key is neither in the message nor in a local variable, however it was passed."""
    if kind is AsyncExperimentClient and options.keys() & {"colour", "session"}:
        options = {"session": object(), "trust_env": True}
    named = {"api_key": KEY} | options
    positional = () if by_name else (named.pop("api_key"),)
    with pytest.raises((ConfigurationError, TypeError)) as caught:
        kind(*positional, **named)
    error: BaseException | None = caught.value
    while error is not None:
        assert KEY not in str(error)
        assert KEY not in library_locals(error.__traceback__)
        error = error.__context__


@pytest.mark.parametrize("copying", [pickle.dumps, copy.deepcopy, copy.copy])
def test_pickling_and_copying_are_refused(client: ExperimentClient, copying: Any) -> None:
    """Pickling or copying a client is rejected: it would write the key to a file."""
    with pytest.raises(TypeError, match="cannot be pickled"):
        copying(client)


@pytest.mark.parametrize("copying", [pickle.dumps, copy.deepcopy])
@pytest.mark.parametrize("part", ["flags", "flags.users", "deployments"])
def test_pickling_a_section_is_refused(client: ExperimentClient, copying: Any, part: str) -> None:
    """Pickling a resource is rejected like pickling its client."""
    with pytest.raises(TypeError, match="pickle"):
        copying(attrgetter(part)(client))


def test_a_view_shares_everything_and_closes_nothing(client: ExperimentClient, ids: list[str]) -> None:
    """A copy has its own options, and shares the thread, the connections and the usage."""
    seen: list[Attempt] = []
    with client.with_options(timeout=3, on_attempt=seen.append) as copied:
        assert type(copied) is ExperimentClient
        assert copied.flags.get(ids[0]) == client.flags.get(ids[0])
        assert (len(seen), len(loop_threads())) == (1, 1)
        assert copied.usage == client.usage
        assert copied.usage.requests == 2
    copied.close()
    assert copied.flags.get(ids[0]).id == client.flags.get(ids[0]).id == ids[0]


@pytest.mark.parametrize("call", ["get", "list", "pages"])
def test_a_call_from_a_callback_is_refused(emulator: Emulator, ids: list[str], call: str) -> None:
    """A call from a callback is rejected, and the observed call succeeds."""
    errors: list[Exception] = []

    def on_attempt(_: Attempt) -> None:
        calls: dict[str, Callable[[], Any]] = {
            "get": lambda: client.flags.get(ids[1]),
            "list": lambda: list(client.flags.list()),
            "pages": lambda: list(client.flags.list().pages()),
        }
        try:
            calls[call]()
        except Exception as error:  # noqa: BLE001 - what it is, is the question
            errors.append(error)

    client: ExperimentClient = client_of(emulator, on_attempt=on_attempt)
    try:
        assert within(lambda: client.flags.get(ids[0])).id == ids[0]
        assert tasks(client) == []
    finally:
        within(client.close)
    assert [type(error) for error in errors] == [ConfigurationError]
    assert "own thread" in str(errors[0])


def test_the_callers_context_is_there(emulator: Emulator, ids: list[str]) -> None:
    """Callbacks on the loop's thread see the caller's context variables, also for pages requested ahead."""
    request_id: contextvars.ContextVar[str] = contextvars.ContextVar("request_id", default="none")
    seen: list[str] = []
    with client_of(emulator, on_attempt=lambda _: seen.append(request_id.get())) as client:
        client.flags.get(ids[0])
        request_id.set("one")
        client.flags.get(ids[0])
        assert len(list(client.flags.list(limit=4))) == 9
        within(lambda: client.flags.get(ids[0]))
    assert seen == ["none", "one", "one", "one", "one", "none"]


def not_found(client: ExperimentClient) -> Any:
    return client.flags.get("404")


def not_found_in_a_list(client: ExperimentClient) -> Any:
    return list(client.flags.users.list("404", "on"))


def bad_page(client: ExperimentClient) -> Any:
    return list(client.experiments.list(cursor="no cursor"))


@pytest.mark.parametrize("call", [not_found, not_found_in_a_list, bad_page])
def test_an_error_leaves_no_cycle(client: ExperimentClient, call: Any) -> None:
    """An error is freed without the garbage collector, and its traceback starts at the caller."""

    key = client._resource._transport.session.endpoint.key.reveal()

    def handle() -> weakref.ref[BaseException]:
        try:
            call(client)
        except amp_exp_async.APIStatusError as error:
            seen.append((error.__context__, error.__cause__))
            seen.append([frame.f_code.co_name for frame, _ in traceback.walk_tb(error.__traceback__)][:2])
            seen.append(key in library_locals(error.__traceback__))
            return weakref.ref(error)
        raise AssertionError("it did not fail")

    seen: list[Any] = []
    assert list(client.flags.list()) == []
    gc.collect()
    gc.disable()
    try:
        assert handle()() is None
    finally:
        gc.enable()
    assert seen == [(None, None), ["handle", call.__name__], False]


def test_an_error_is_the_same_object_once(client: ExperimentClient, emulator: Emulator) -> None:
    """Errors are not wrapped: class, status and attempts are those of the async client."""
    emulator.inject(Fault.status(503), times=None)
    with pytest.raises(amp_exp_async.ServerError) as caught:
        client.flags.get("1")
    assert (caught.value.status, caught.value.attempts) == (503, 5)
    emulator.clear_faults()
    with pytest.raises(NotFoundError):
        client.flags.get("1")
