"""Many threads on one client, and the end of the client's own thread."""

from __future__ import annotations

import contextlib
import gc
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from amp_exp_async import ClientClosedError, ExperimentClient, Pager
from amp_exp_async.emulator import Emulator, Fault
from tests.polling import TIMEOUT, wait_until
from tests.sync.timeouts import client_of, debug_python, loop_threads, start, tasks, within

THREADS = 32


def test_calls_from_many_threads(client: ExperimentClient, emulator: Emulator) -> None:
    """Each thread gets its own results, also on first use, and there is one event loop."""
    ids = [emulator.state.add_flag(key=f"k{number}")["id"] for number in range(THREADS)]
    barrier = threading.Barrier(THREADS)

    def work(id: str) -> list[str]:
        barrier.wait(TIMEOUT)
        return [client.flags.get(id).id for _ in range(5)]

    futures = [start(partial(work, id)) for id in ids]
    assert [future.result(TIMEOUT) for future in futures] == [[id] * 5 for id in ids]
    assert len(loop_threads()) == 1
    assert client.usage.requests == len(emulator.requests) == 5 * THREADS
    assert tasks(client) == []


def test_iterating_in_several_threads(client: ExperimentClient, ids: list[str]) -> None:
    """Iterators in several threads do not disturb each other."""

    def reading() -> list[str]:
        return [flag.id for flag in client.flags.list(limit=2)]

    def calling() -> list[str]:
        return [client.flags.get(id).id for id in ids]

    futures = [start(work) for work in (reading, calling) * 6]
    assert [future.result(TIMEOUT) for future in futures] == [ids] * 12
    assert tasks(client) == []


def test_an_iterator_goes_from_thread_to_thread(client: ExperimentClient, ids: list[str]) -> None:
    """An iterator can move between threads."""
    items = iter(client.flags.list(limit=2))
    assert [within(lambda: next(items)).id for _ in ids] == ids
    with pytest.raises(StopIteration):
        next(items)


@pytest.mark.parametrize("used", [False, True])
def test_closing_ends_the_thread(emulator: Emulator, ids: list[str], used: bool) -> None:
    """Closing ends the thread, repeatedly, used or not. Later calls say that the client is closed."""
    client = client_of(emulator)
    pager = client.flags.list()
    if used:
        assert len(list(pager)) == len(ids)
    assert len(loop_threads()) == used
    for _ in range(3):
        within(client.close)
        assert loop_threads() == []
    calls: list[Callable[[], Any]] = [
        lambda: client.flags.get("1"),
        lambda: list(pager),
        lambda: next(pager.pages()),
        lambda: client.request("GET", "/flags"),
        lambda: client.with_options(timeout=1).flags.get("1"),
    ]
    for call in calls:
        with pytest.raises(ClientClosedError, match="closed"):
            within(call)
    assert (loop_threads(), client.usage.requests) == ([], int(used))


def test_closing_from_many_threads(emulator: Emulator) -> None:
    """Concurrent closes all return."""
    client = client_of(emulator)
    assert list(client.flags.list()) == []
    for future in [start(client.close) for _ in range(THREADS)]:
        future.result(TIMEOUT)
    wait_until(lambda: not loop_threads())


@pytest.mark.parametrize("call", ["get", "list", "edit"])
def test_closing_while_calls_are_in_flight(emulator: Emulator, ids: list[str], call: str) -> None:
    """Calls in flight, and calls that wait for a slot, raise `ClientClosedError`: a write after the timeout."""
    emulator.inject(Fault.delay(60, applied=False), times=None)
    client = client_of(emulator, max_concurrency=2, shutdown_timeout=0.05)
    calls: dict[str, Callable[[], Any]] = {
        "get": lambda: client.flags.get(ids[0]),
        "list": lambda: list(client.flags.list(limit=2)),
        "edit": lambda: client.flags.edit(ids[0], enabled=True),
    }
    futures = [start(calls[call]) for _ in range(6)]
    wait_until(lambda: len(emulator.requests) == (1 if call == "edit" else 2))
    wait_until(lambda: len(tasks(client)) == len(futures))
    within(client.close)
    for future in futures:
        with pytest.raises(ClientClosedError, match="closed"):
            future.result(TIMEOUT)
    assert loop_threads() == []


def test_closing_from_a_callback(emulator: Emulator, ids: list[str]) -> None:
    """A callback on the client's thread can close the client without waiting for itself."""

    def call_twice() -> None:
        client.flags.get(ids[0])
        client.flags.get(ids[0])

    client: ExperimentClient = client_of(emulator, on_attempt=lambda _: client.close())
    with pytest.raises(ClientClosedError):
        within(call_twice)
    wait_until(lambda: not loop_threads())


def test_closing_in_the_middle_of_a_list(emulator: Emulator, ids: list[str]) -> None:
    """Items already read may still arrive. Then the iterator raises `ClientClosedError`."""
    client = client_of(emulator)
    items = iter(client.flags.list(limit=4))
    assert next(items).id == ids[0]
    client.close()
    with pytest.raises(ClientClosedError):
        within(lambda: list(items))
    assert list(items) == []


def test_with(emulator: Emulator) -> None:
    """Leaving the `with` block closes the client, also on an exception, which is raised unchanged."""

    def fail() -> None:
        with client_of(emulator) as client:
            held.append(client)
            raise ZeroDivisionError(len(list(client.flags.list())))

    held: list[ExperimentClient] = []
    with pytest.raises(ZeroDivisionError, match="0"):
        fail()
    with pytest.raises(ClientClosedError):
        held[0].flags.get("1")


@pytest.mark.parametrize("in_a_cycle", [False, True], ids=["by count", "in a cycle"])
def test_a_forgotten_client_warns_and_ends(emulator: Emulator, in_a_cycle: bool) -> None:
    """An unreferenced client ends its thread, and a warning names the client."""

    def forget() -> None:
        client = client_of(emulator)
        assert list(client.flags.list()) == []
        assert len(loop_threads()) == 1
        holder: list[Any] = [client]
        if in_a_cycle:
            holder.append(holder)
        del client, holder
        gc.collect()

    # A collection in the midst of it would part the client from its session, which may then warn first.
    gc.disable()
    try:
        with pytest.warns(ResourceWarning, match=r"unclosed <ExperimentClient http://127\.0\.0\.1"):
            forget()
    finally:
        gc.enable()
    assert loop_threads() == []


@pytest.mark.filterwarnings("error")
def test_a_forgotten_client_ends_where_warnings_are_errors(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """If warnings are errors, Python reports the warning, and the thread ends."""
    reported: list[type[BaseException] | None] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda report: reported.append(report.exc_type))
    client = client_of(emulator)
    assert list(client.flags.list()) == []
    loop = client._portal._loop
    assert loop is not None
    del client
    gc.collect()
    try:
        assert (reported, loop_threads()) == ([ResourceWarning], [])
    finally:
        if not loop.is_closed():
            loop.call_soon_threadsafe(loop.stop)


def test_a_forgotten_client_that_was_never_used(emulator: Emulator) -> None:
    """An unused client or a copy that is dropped causes no warning."""
    client_of(emulator)
    with client_of(emulator) as client:
        client.with_options(timeout=1)
        gc.collect()
        assert list(client.flags.list()) == []


def test_a_client_forgotten_on_its_own_thread(emulator: Emulator, ids: list[str]) -> None:
    """A callback that drops the last reference does not make the thread wait for itself."""
    holder: list[ExperimentClient] = [client_of(emulator, on_attempt=lambda _: holder.clear())]

    def forget() -> None:
        with contextlib.suppress(ClientClosedError):
            holder[0].flags.get(ids[0])

    with pytest.warns(ResourceWarning, match="unclosed"):
        within(forget)
    assert holder == []
    wait_until(lambda: not loop_threads())


@pytest.mark.parametrize("part", ["flags", "copy", "pager"])
def test_a_part_keeps_its_client_open(emulator: Emulator, ids: list[str], part: str) -> None:
    """A resource, copy or list that is still referenced keeps its client open."""
    parts: dict[str, Callable[[ExperimentClient], Any]] = {
        "flags": lambda client: client.flags,
        "copy": lambda client: client.with_options(timeout=3).flags,
        "pager": lambda client: client.flags.list(),
    }

    def use() -> list[str]:
        held = parts[part](client_of(emulator))
        gc.collect()
        return [flag.id for flag in (held if isinstance(held, Pager) else held.list())]

    with pytest.warns(ResourceWarning, match="unclosed"):
        assert use() == ids
    gc.collect()
    wait_until(lambda: not loop_threads())


SCRIPT = """
import sys
from amp_exp_async import ExperimentClient
client = ExperimentClient(sys.argv[2], base_url=sys.argv[1])
items = iter(client.flags.list(limit=2))
print(next(items).id)
"""


def test_leaving_the_interpreter_without_closing(emulator: Emulator, ids: list[str]) -> None:
    """A script that never closes its client exits by itself, without output, in the middle of a list."""
    command = [*debug_python(SCRIPT), emulator.base_url, emulator.api_key]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT * 2, check=False)
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, ids[:1], "")
