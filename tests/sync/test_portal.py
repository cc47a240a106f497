"""The portal in rare situations: garbage collected under its lock, a thread that does not start, a close meanwhile."""

from __future__ import annotations

import asyncio
import errno
import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import Any

import pytest

from amp_exp_async import ClientClosedError, ExperimentClient, OutcomeUnknownError, loop_thread
from amp_exp_async.emulator import Emulator, Fault
from amp_exp_async.interruption import start_thread
from tests.polling import TIMEOUT, wait_until
from tests.sync.timeouts import client_of, loop_threads, start, tasks, within

Call = Callable[[ExperimentClient], Any]

UNSAFE: dict[str, Call] = {
    "flags.create": lambda c: c.flags.create(project_id="1", key="new"),
    "variants.create": lambda c: c.flags.variants.create("1", key="new"),
    "deployments.create": lambda c: c.deployments.create(project_id="1", label="new", type="server"),
    "users.remove_at": lambda c: c.flags.users.remove_at("1", "on", 0),
}
SAFE: dict[str, Call] = {
    "flags.get": lambda c: c.flags.get("1"),
    "flags.list": lambda c: list(c.flags.list()),
    "flags.edit": lambda c: c.flags.edit("1", enabled=True),
}


@pytest.fixture
def emulator(emulator: Emulator) -> Emulator:
    """An emulator with one flag, whose variant includes one user."""
    emulator.state.add_flag(id="1", key="checkout", variants=[{"key": "on"}])
    emulator.state.add_users("flags", "1", "on", ["u1"])
    return emulator


@pytest.mark.parametrize("way", ["items", "pages"])
def test_an_iterator_is_collected_under_the_lock(emulator: Emulator, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The call and the client survive a garbage collection that takes the portal's lock again."""
    client = client_of(emulator)
    alive: list[bool] = []

    def abandon() -> weakref.ref[Any]:
        pager = client.flags.list(limit=1)
        items: Any = pager.pages() if way == "pages" else iter(pager)
        next(items)
        cycle: list[Any] = [items]
        cycle.append(cycle)
        return weakref.ref(items)

    gc.disable()
    try:
        abandoned = abandon()
        loop = client._portal._loop
        assert loop is not None
        call_soon = loop.call_soon_threadsafe

        def collect_first(*args: Any, **options: Any) -> Any:
            if not alive:
                alive.append(abandoned() is not None)
                gc.collect()
                alive.append(abandoned() is not None)
            return call_soon(*args, **options)

        monkeypatch.setattr(loop, "call_soon_threadsafe", collect_first)
        assert within(lambda: client.flags.get("1")).id == "1"
        assert alive == [True, False]
        assert within(lambda: client.flags.get("1")).id == "1"
        wait_until(lambda: tasks(client) == [])
    finally:
        gc.enable()
        client._portal._lock = threading.RLock()  # a deadlock is to be the matter of this test alone
        within(client.close)


def test_a_thread_that_does_not_start(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """The call raises the system's error and leaves nothing. The next call starts the thread."""
    refusals = [RuntimeError("can't start new thread")]
    original_start = threading.Thread.start

    def refuse_once(thread: threading.Thread) -> None:
        if thread.name == "amp_exp_async" and refusals:
            raise refusals.pop()
        original_start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse_once)
    client = client_of(emulator)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        within(lambda: client.flags.get("1"))
    assert (loop_threads(), emulator.requests) == ([], [])
    assert within(lambda: client.flags.get("1")).id == "1"
    within(client.close)
    assert loop_threads() == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, RuntimeError])
@pytest.mark.parametrize("moment", ["before", "after", "while it starts"])
def test_an_interrupted_start(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, moment: str, error: type[BaseException]
) -> None:
    """The original error is raised, no thread and no open loop are left, and the next call works."""
    loops: list[asyncio.AbstractEventLoop] = []
    late: list[threading.Thread] = []

    def recorded_loop() -> asyncio.AbstractEventLoop:
        loops.append(asyncio.SelectorEventLoop())
        return loops[-1]

    def interrupted_start(thread: threading.Thread) -> None:
        if moment == "after":
            start_thread(thread)
        if moment == "while it starts":  # the operating system runs the new thread after the interruption
            late.append(thread)
        raise error

    client = client_of(emulator)
    with monkeypatch.context() as patch:
        patch.setattr(loop_thread, "start_thread", interrupted_start)
        patch.setattr(asyncio, "new_event_loop", recorded_loop)
        with pytest.raises(error):
            client.flags.get("1")
        for thread in late:
            thread.start()
        wait_until(lambda: not loop_threads())
    assert [loop.is_closed() for loop in loops] == [True] * (moment != "before")
    assert within(lambda: client.flags.get("1")).id == "1"
    within(client.close)


def test_a_signal_handler_closes_the_client_while_it_starts(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call ends in our error, and no thread is left."""

    def close_first(thread: threading.Thread) -> None:
        client.close()
        start_thread(thread)

    client = client_of(emulator)
    with monkeypatch.context() as patch:
        patch.setattr(loop_thread, "start_thread", close_first)
        with pytest.raises(ClientClosedError):
            client.flags.get("1")
    assert not loop_threads()


def test_a_loop_that_is_not_created(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """The call raises the system's error and leaves nothing. The next call works."""

    def refuse() -> asyncio.AbstractEventLoop:
        raise OSError(errno.EMFILE, "Too many open files")

    client = client_of(emulator)
    with monkeypatch.context() as patch:
        patch.setattr(asyncio, "new_event_loop", refuse)
        with pytest.raises(OSError, match="Too many open files"):
            within(lambda: client.flags.get("1"))
    assert (loop_threads(), emulator.requests) == ([], [])
    assert within(lambda: client.flags.get("1")).id == "1"
    within(client.close)


def test_closing_after_a_thread_that_did_not_start(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing returns at once if the thread never started, and the client is closed."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    client = client_of(emulator)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            client.flags.get("1")
    within(client.close)
    with pytest.raises(ClientClosedError):
        within(lambda: client.flags.get("1"))


@pytest.mark.parametrize("call", UNSAFE.values(), ids=UNSAFE)
@pytest.mark.parametrize("applied", [True, False])
def test_closing_while_a_write_is_in_flight(emulator: Emulator, call: Call, applied: bool) -> None:
    """If the client closes during an unsafe write, the caller gets `OutcomeUnknownError`, not `ClientClosedError`."""
    emulator.inject(Fault.delay(30, applied=applied))
    client = client_of(emulator, shutdown_timeout=0.05)
    future = start(lambda: call(client))
    wait_until(lambda: emulator.requests and (emulator.requests[0].applied or not applied))
    within(client.close)
    with pytest.raises(OutcomeUnknownError, match="the client was closed while the call was in flight") as caught:
        future.result(TIMEOUT)
    assert (caught.value.attempts, len(emulator.requests)) == (1, 1)
    assert caught.value.path == emulator.requests[0].path.removeprefix("/api/1")


@pytest.mark.parametrize("call", SAFE.values(), ids=SAFE)
def test_closing_while_something_harmless_is_in_flight(emulator: Emulator, call: Call) -> None:
    """If the client closes during a safe call, the caller gets `ClientClosedError`."""
    emulator.inject(Fault.delay(30), times=None)
    client = client_of(emulator)
    future = start(lambda: call(client))
    wait_until(lambda: emulator.requests)
    within(lambda: client.close(shutdown_timeout=0.05))
    with pytest.raises(ClientClosedError, match="was closed while the call was"):
        future.result(TIMEOUT)


@pytest.mark.parametrize("call", UNSAFE.values(), ids=UNSAFE)
def test_closing_before_a_write_is_sent(emulator: Emulator, call: Call) -> None:
    """If the client closes before a write is sent, the caller gets `ClientClosedError`."""
    emulator.inject(Fault.delay(30), times=None)
    client = client_of(emulator, max_concurrency=1)
    first = start(lambda: client.flags.get("1"))
    wait_until(lambda: emulator.requests)
    second = start(lambda: call(client))
    wait_until(lambda: len(tasks(client)) == 2)
    within(client.close)
    for future in (first, second):
        with pytest.raises(ClientClosedError):
            future.result(TIMEOUT)
    assert len(emulator.requests) == 1


LISTS: dict[str, Callable[[ExperimentClient, Iterator[str]], None]] = {
    "users": lambda c, ids: c.flags.users.add("1", "on", ids),
    "users by name": lambda c, ids: c.flags.users.add("1", "on", users=ids),
    "cohorts": lambda c, ids: c.flags.cohorts.add("1", "on", ids),
    "tags": lambda c, ids: c.flags.edit("1", tags=ids),
}


@pytest.mark.parametrize("call", LISTS.values(), ids=LISTS)
def test_a_generator_is_read_in_the_calling_thread(
    client: ExperimentClient, emulator: Emulator, call: Callable[[ExperimentClient, Iterator[str]], None]
) -> None:
    """A generator argument is read in the caller's thread, to which it may belong, like a database cursor."""
    threads: list[threading.Thread] = []

    def generate() -> Iterator[str]:
        for item in ("a", "b"):
            threads.append(threading.current_thread())
            yield item

    def work() -> threading.Thread:
        call(client, generate())
        return threading.current_thread()

    caller = within(work)
    assert threads == [caller, caller]
    (body,) = [request.body for request in emulator.requests]
    assert list(body.values()) == [["a", "b"]]


@pytest.mark.parametrize("way", ["a generator", "map", "the list itself"])
def test_a_generator_that_calls_the_client(client: ExperimentClient, emulator: Emulator, way: str) -> None:
    """A generator that reads from the client can be an argument of the same client."""
    emulator.state.add_flag(id="2", key="search")
    generators: dict[str, Callable[[], Iterator[str]]] = {
        "a generator": lambda: (flag.key for flag in client.flags.list(limit=1)),
        "map": lambda: map(attrgetter("key"), client.flags.list(limit=1)),
        "the list itself": lambda: client.flags.users.list("1", "on").__iter__(),
    }
    within(lambda: client.flags.users.add("1", "on", generators[way]()))
    added = [] if way == "the list itself" else ["search", "checkout"]
    assert emulator.state.users("flags", "1", "on") == ["u1", *added]


def test_a_generator_that_fails(client: ExperimentClient, emulator: Emulator) -> None:
    """The generator's error is raised unchanged, nothing is sent, and the client stays usable."""

    def generate() -> Iterator[str]:
        yield "a"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        within(lambda: client.flags.users.add("1", "on", generate()))
    assert emulator.requests == []
    assert within(lambda: client.flags.get("1")).id == "1"
