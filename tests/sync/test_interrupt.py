"""Ctrl-C ends the call that the main thread waits for, and cancels its request."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from amp_exp_async import ExperimentClient, RetryPolicy
from amp_exp_async.emulator import Emulator, Fault
from tests.polling import TIMEOUT, wait_until
from tests.sync.timeouts import client_of, debug_python, start, tasks

DELAY = 600.0
"""Seconds that a response takes if it is not interrupted: longer than any test may run."""


@pytest.fixture(autouse=True)
def _usual_handler() -> Iterator[None]:
    """Ctrl-C raises `KeyboardInterrupt`, as in any script."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class SilentServer:
    """A server that accepts one connection, never responds, and records when the client disconnects."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(TIMEOUT)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.asked = threading.Event()
        self.dropped = start(self._serve)

    def _serve(self) -> bool:
        with self._listener, self._listener.accept()[0] as connection:
            connection.settimeout(TIMEOUT)
            received = connection.recv(65536)
            self.asked.set()
            while received:
                received = connection.recv(65536)
        return True


def interrupt_when(condition: Callable[[], object]) -> threading.Thread:
    """Press Ctrl-C once the condition is true."""

    def press() -> None:
        wait_until(condition)
        time.sleep(0.02)  # the main thread is surely waiting by then
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press, daemon=True)
    thread.start()
    return thread


def test_the_connection_is_dropped() -> None:
    """The server sees the connection drop, and the client has no task left."""
    server = SilentServer()
    with ExperimentClient("key", base_url=server.url, retry=RetryPolicy(backoff_base=0.0)) as client:
        presser = interrupt_when(server.asked.is_set)
        with pytest.raises(KeyboardInterrupt):
            client.flags.edit("1", enabled=True)
        assert server.dropped.result(TIMEOUT)
        assert tasks(client) == []
        presser.join(TIMEOUT)


@pytest.mark.parametrize("call", ["get", "edit", "create", "list", "pages", "request"])
def test_the_client_stays_usable(client: ExperimentClient, emulator: Emulator, ids: list[str], call: str) -> None:
    """After any interrupted call the next call works. Nothing was repeated or reconciled."""
    emulator.inject(Fault.delay(DELAY, applied=False))
    calls: dict[str, Callable[[], Any]] = {
        "get": lambda: client.flags.get(ids[0]),
        "edit": lambda: client.flags.edit(ids[0], enabled=True),
        "create": lambda: client.flags.create(project_id="1", key="new"),
        "list": lambda: list(client.flags.list()),
        "pages": lambda: list(client.flags.list().pages()),
        "request": lambda: client.request("GET", "/flags"),
    }
    presser = interrupt_when(lambda: emulator.requests)
    with pytest.raises(KeyboardInterrupt):
        calls[call]()
    presser.join(TIMEOUT)
    assert tasks(client) == []
    assert client.usage.requests == len(emulator.requests) == 1
    client.flags.edit(ids[0], name="after")
    assert client.flags.get(ids[0]).name == "after"


def test_in_the_middle_of_a_list(client: ExperimentClient, emulator: Emulator, ids: list[str]) -> None:
    """Items that were read stay read, the iterator ends, and a new one starts at the first page."""
    emulator.inject(Fault.delay(DELAY), nth=2)
    items = iter(client.flags.list(limit=4))
    presser = interrupt_when(lambda: len(emulator.requests) == 2 and len(read) == 4)
    read: list[str] = []

    def reading() -> None:
        for flag in items:
            read.append(flag.id)  # noqa: PERF401 - what was read before the interruption counts

    with pytest.raises(KeyboardInterrupt):
        reading()
    presser.join(TIMEOUT)
    assert read == ids[:4]
    assert list(items) == []
    assert tasks(client) == []
    assert [flag.id for flag in client.flags.list(limit=4)] == ids


def test_in_the_users_own_code_between_two_pages(client: ExperimentClient, emulator: Emulator, ids: list[str]) -> None:
    """The page that is requested ahead is cancelled with the loop."""
    emulator.inject(Fault.delay(DELAY), nth=2)

    def reading() -> None:
        for flag in client.flags.list(limit=4):
            if flag.id == ids[2]:
                wait_until(lambda: len(emulator.requests) == 2)
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(TIMEOUT)

    with pytest.raises(KeyboardInterrupt):
        reading()
    wait_until(lambda: tasks(client) == [])
    assert client.flags.get(ids[0]).id == ids[0]


def test_while_waiting_for_the_rate_limit(emulator: Emulator, ids: list[str]) -> None:
    """A call that was not sent before the interrupt is never sent."""
    emulator.inject(Fault.status(429, retry_after=DELAY))
    with client_of(emulator, deadline=None) as client:
        presser = interrupt_when(lambda: client.usage.rate_limited)
        with pytest.raises(KeyboardInterrupt):
            client.flags.get(ids[0])
        presser.join(TIMEOUT)
        assert tasks(client) == []
        assert len(emulator.requests) == 1


def test_other_threads_go_on(client: ExperimentClient, emulator: Emulator, ids: list[str]) -> None:
    """Only the main thread's call is cancelled."""
    emulator.inject(Fault.delay(0.5), path=f"/flags/{ids[1]}")
    emulator.inject(Fault.delay(DELAY), path=f"/flags/{ids[0]}")
    other = start(lambda: client.flags.get(ids[1]))
    presser = interrupt_when(lambda: len(emulator.requests) == 2)
    with pytest.raises(KeyboardInterrupt):
        client.flags.get(ids[0])
    presser.join(TIMEOUT)
    assert other.result(TIMEOUT).id == ids[1]


def test_a_write_that_was_interrupted_does_not_block_the_next(
    client: ExperimentClient, emulator: Emulator, ids: list[str]
) -> None:
    """Writes to one flag wait for each other, but not for a cancelled one."""
    emulator.inject(Fault.delay(DELAY))

    def edit_too() -> None:
        wait_until(lambda: emulator.requests)
        client.flags.edit(ids[0], name="other")

    other = start(edit_too)
    presser = interrupt_when(lambda: emulator.requests and len(tasks(client)) == 2)
    with pytest.raises(KeyboardInterrupt):
        client.flags.edit(ids[0], name="mine")
    presser.join(TIMEOUT)
    other.result(TIMEOUT)
    assert client.flags.get(ids[0]).name == "other"


SCRIPT = """
import sys
from amp_exp_async import ExperimentClient
with ExperimentClient(sys.argv[2], base_url=sys.argv[1]) as client:
    client.flags.get("1")
"""


def test_a_script_ends_without_waiting(emulator: Emulator) -> None:
    """Ctrl-C ends a script that waits for a response, with one traceback and no warning."""
    emulator.inject(Fault.delay(DELAY))
    command = [*debug_python(SCRIPT), emulator.base_url, emulator.api_key]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as script:
        wait_until(lambda: emulator.requests)
        time.sleep(0.02)
        script.send_signal(signal.SIGINT)
        _, errors = script.communicate(timeout=TIMEOUT)
    assert script.returncode == -signal.SIGINT
    assert errors.count("Traceback") == errors.count("KeyboardInterrupt") == 1
    assert "Warning" not in errors


COLLECTING = """
import gc, signal
import amp_exp_async
signal.signal(signal.SIGALRM, signal.default_int_handler)
kept = [[] for _ in range(1_000_000)]
signal.setitimer(signal.ITIMER_REAL, 0.001)
try:
    gc.collect()
except KeyboardInterrupt:
    print("interrupted")
"""


def test_while_the_collector_works() -> None:
    """A Ctrl-C during a garbage collection is not lost: no Python code of ours runs in the collector."""
    command = [sys.executable, "-c", COLLECTING]
    script = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    assert (script.stdout, script.stderr) == ("interrupted\n", "")
