"""Closing a blocking client whose service hangs, and interrupting that."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from amp_exp_async import BulkRun, ClientClosedError, ConfigurationError, Edit, ExperimentClient, OutcomeUnknownError
from amp_exp_async.emulator import Emulator, Fault
from amp_exp_async.interruption import Latch
from amp_exp_async.sync import portal
from tests.polling import TIMEOUT, wait_until
from tests.sync.timeouts import client_of, loop_threads, start, within


@pytest.fixture
def hanging(emulator: Emulator, ids: list[str]) -> tuple[ExperimentClient, BulkRun]:
    """A client of a service that hangs, with two operations of a run in flight."""
    emulator.inject(Fault.delay(600), method="PATCH", times=None)
    client = client_of(emulator, shutdown_timeout=None, max_concurrency=2)
    run = client.bulk([Edit("flags", id, {"name": "x"}) for id in ids])
    start(run.wait)
    wait_until(lambda: len(emulator.requests) == 2)
    return client, run


def counts(run: BulkRun) -> tuple[int, int]:
    """Return how many operations are unknown, and how many are in no other state than skipped."""
    return run.summary.unknown, run.summary.done + run.summary.failed


def test_the_argument_bounds_the_wait(hanging: tuple[ExperimentClient, BulkRun]) -> None:
    """After the timeout the operations in flight are `unknown`, and the thread has ended."""
    client, run = hanging
    within(lambda: client.close(shutdown_timeout=0.05))
    assert counts(run) == (2, 0)
    assert loop_threads() == []


def test_another_thread_can_end_the_wait(hanging: tuple[ExperimentClient, BulkRun]) -> None:
    """A second `close` with a shorter timeout ends a first one that waits without end."""
    client, run = hanging
    first = start(client.close)
    wait_until(lambda: client._portal.closed)
    within(lambda: client.close(shutdown_timeout=0))
    first.result(TIMEOUT)
    assert counts(run) == (2, 0)


class InterruptedLatch(Latch):
    """A latch whose first wait is interrupted."""

    interrupted = False

    def wait(self, timeout: float | None = None) -> bool:
        if not self.interrupted:
            self.interrupted = True
            raise KeyboardInterrupt
        return super().wait(timeout)


@pytest.mark.parametrize("moment", ["before", "at the start", "in the wait"])
def test_ctrl_c_while_it_closes(
    hanging: tuple[ExperimentClient, BulkRun], monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """The wait ends at once, the operations are `unknown`, the thread ends, and the interruption is raised."""
    client, run = hanging
    loop = client._portal._loop
    assert loop is not None
    if moment == "in the wait":
        assert client._portal._thread is not None
        monkeypatch.setattr(client._portal._thread._ended, "__class__", InterruptedLatch)
    else:
        call_soon = loop.call_soon_threadsafe
        interruptions = [KeyboardInterrupt]

        def interrupted(*args: Any) -> Any:
            if not interruptions or client._portal.in_loop_thread():
                return call_soon(*args)
            if moment == "at the start":
                call_soon(*args)
            raise interruptions.pop()

        monkeypatch.setattr(loop, "call_soon_threadsafe", interrupted)
    with pytest.raises(KeyboardInterrupt):
        within(client.close)
    assert counts(run) == (2, 0)
    assert loop_threads() == []
    within(client.close)


def test_clients_that_are_open_at_exit_close_at_the_same_time(
    hanging: tuple[ExperimentClient, BulkRun], emulator: Emulator, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """None waits for what the others have in flight."""
    clients = [hanging[0], client_of(emulator, shutdown_timeout=None)]
    edit = start(lambda: clients[1].flags.edit(ids[-1], name="x"))
    wait_until(lambda: len(emulator.requests) == 3)
    monkeypatch.setattr(portal, "_PORTALS", [client._portal for client in clients])
    closing = start(portal._close_all)
    wait_until(lambda: all(client._portal.closed for client in clients))
    for client in clients:
        within(lambda client=client: client.close(shutdown_timeout=0))
    closing.result(TIMEOUT)
    assert isinstance(edit.exception(TIMEOUT), ClientClosedError)
    assert loop_threads() == []


def test_leaving_a_run(hanging: tuple[ExperimentClient, BulkRun]) -> None:
    """Closing a run waits no longer than its argument says, and its client stays usable."""
    client, run = hanging
    with pytest.raises(ConfigurationError, match="shutdown_timeout"):
        run.close(shutdown_timeout=-1)
    within(lambda: run.close(shutdown_timeout=0.05))
    assert counts(run) == (2, 0)
    assert within(lambda: list(client.flags.list()))
    within(client.close)


def test_ctrl_c_while_a_run_is_left(hanging: tuple[ExperimentClient, BulkRun], monkeypatch: pytest.MonkeyPatch) -> None:
    """The operations in flight are cancelled, and recorded as `unknown`."""
    client, run = hanging
    wait = portal.LoopCall.wait
    to_interrupt: list[int] = []

    def interrupted(call: Any) -> None:
        if to_interrupt == [threading.get_ident()]:  # not the thread that iterates the run
            to_interrupt.clear()
            raise KeyboardInterrupt
        wait(call)

    def close() -> None:
        to_interrupt.append(threading.get_ident())
        run.close()

    monkeypatch.setattr(portal.LoopCall, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        within(close)
    assert counts(run) == (2, 0)
    within(client.close)


WRITES: dict[str, Callable[[ExperimentClient, str], Any]] = {
    "create": lambda c, _: c.flags.create(project_id="1", key="new"),
    "remove_at": lambda c, id: c.flags.users.remove_at(id, "on", 0),
}


@pytest.mark.parametrize("name", WRITES)
def test_a_write_in_flight_may_finish(emulator: Emulator, ids: list[str], name: str) -> None:
    """Closing waits for the write of another thread; one that hangs is unknown."""
    emulator.state.add_users("flags", ids[0], "on", ["u1", "u2"])
    for fault, error in ((Fault.delay(0.2), None), (Fault.delay(600), OutcomeUnknownError)):
        emulator.inject(fault)
        client = client_of(emulator)
        before = len(emulator.requests)
        call = start(lambda client=client: WRITES[name](client, ids[0]))
        wait_until(lambda before=before: len(emulator.requests) > before)
        within(lambda client=client, error=error: client.close(shutdown_timeout=None if error is None else 0.05))
        assert isinstance(call.exception(TIMEOUT), error or type(None))


def test_a_callback_that_blocks(emulator: Emulator, ids: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing does not wait without end for a callback that blocks the thread. A warning says so."""
    release = threading.Event()
    blocked = threading.Event()

    def block(_: object) -> None:
        blocked.set()
        release.wait(TIMEOUT)

    monkeypatch.setattr(portal, "_THREAD_SECONDS", 0.05)
    client = client_of(emulator, on_attempt=block)
    call = start(lambda: client.flags.get(ids[0]))
    assert blocked.wait(TIMEOUT)
    with pytest.warns(ResourceWarning, match="a callback blocks its thread"):
        within(lambda: client.close(shutdown_timeout=0))
    release.set()
    call.exception(TIMEOUT)
    wait_until(lambda: not loop_threads())
