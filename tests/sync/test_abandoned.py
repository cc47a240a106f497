"""Lists that are not read to their end: nothing continues in the background, and nothing hangs."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from amp_exp_async import Edit, ExperimentClient, Page, PermissionDeniedError
from amp_exp_async.emulator import Emulator, Fault
from tests.polling import wait_until
from tests.sync.timeouts import client_of, loop_threads, tasks, within

Reader = Callable[[Iterator[Any]], None]


def breaking(items: Iterator[Any]) -> None:
    for _ in items:
        break


def raising(items: Iterator[Any]) -> None:
    def work() -> None:
        for _ in items:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()


def closing(items: Any) -> None:
    next(items)
    items.close()


def dropping(items: Iterator[Any]) -> None:
    next(items)


def never_reading(items: Iterator[Any]) -> None:
    del items


def in_a_cycle(items: Iterator[Any]) -> None:
    next(items)
    holder: list[Any] = [items]
    holder.append(holder)


READERS: list[Reader] = [breaking, raising, closing, dropping, never_reading, in_a_cycle]


def started(client: ExperimentClient, way: str) -> Iterator[Any]:
    """Return an iterator over items or pages that has no other reference."""
    pager = client.flags.list(limit=4)
    return iter(pager) if way == "items" else pager.pages()


@pytest.mark.parametrize("way", ["items", "pages"])
@pytest.mark.parametrize("reader", READERS)
def test_leaving_early(client: ExperimentClient, ids: list[str], emulator: Emulator, reader: Reader, way: str) -> None:
    """Only one page is requested, no task is left, and the client stays usable."""
    within(lambda: reader(started(client, way)))
    gc.collect()
    assert len(emulator.requests) == (reader is not never_reading)
    assert client.flags.get(ids[0]).id == ids[0]
    wait_until(lambda: tasks(client) == [])
    assert len(emulator.requests) == 1 + (reader is not never_reading)


@pytest.mark.parametrize("reader", [breaking, raising, closing, dropping, in_a_cycle])
def test_leaving_while_a_page_is_read_ahead(
    client: ExperimentClient, ids: list[str], emulator: Emulator, reader: Reader
) -> None:
    """The request in flight is cancelled at once."""
    emulator.inject(Fault.delay(600), nth=2)
    items = iter(client.flags.list(limit=4))
    assert [next(items).id for _ in range(3)] == ids[:3]
    wait_until(lambda: len(emulator.requests) == 2)
    holder, items = [items], iter(())
    within(lambda: reader(holder.pop()))
    gc.collect()
    assert tasks(client) == []
    assert len(emulator.requests) == 2
    assert client.flags.get(ids[0]).id == ids[0]


def test_an_error_in_a_list_ends_it(client: ExperimentClient, ids: list[str], emulator: Emulator) -> None:
    """The items before the error arrive, the error is raised once, and the iterator ends."""
    emulator.inject(Fault.status(403), nth=2, times=None)
    items = iter(client.flags.list(limit=4))
    assert [next(items).id for _ in range(4)] == ids[:4]
    with pytest.raises(PermissionDeniedError, match="403"):
        next(items)
    assert list(items) == []
    assert tasks(client) == []


@pytest.mark.parametrize("way", ["items", "pages"])
@pytest.mark.parametrize("read_ahead", [False, True])
def test_collected_after_the_client_was_closed(emulator: Emulator, ids: list[str], way: str, read_ahead: bool) -> None:
    """Collecting the iterator of a closed client waits for nothing."""
    client = client_of(emulator)
    items = started(client, way)
    first = next(items)
    assert (first.items[0] if isinstance(first, Page) else first).id == ids[0]
    if read_ahead:
        emulator.inject(Fault.delay(60))
        if way == "items":
            next(items), next(items)
            wait_until(lambda: len(emulator.requests) == 2)
    within(client.close)
    holder, items = [items], iter(())
    within(holder.clear)
    gc.collect()
    assert loop_threads() == []


@pytest.mark.parametrize("way", ["items", "pages"])
def test_collected_on_the_clients_own_thread(emulator: Emulator, ids: list[str], way: str) -> None:
    """A callback that drops the last reference does not make the thread wait for itself."""
    holder: list[Iterator[Any]] = []
    with client_of(emulator, on_attempt=lambda _: holder.clear()) as client:
        items = started(client, way)
        next(items)
        holder.append(items)
        del items
        assert within(lambda: client.flags.get(ids[0])).id == ids[0]
        assert holder == []
        wait_until(lambda: tasks(client) == [])


def test_many_abandoned_lists(client: ExperimentClient, ids: list[str], emulator: Emulator) -> None:
    """Abandoned lists leave no tasks and no threads."""
    for _ in range(50):
        assert next(iter(client.flags.list(limit=2))).id == ids[0]
    assert tasks(client) == []
    assert len(loop_threads()) == 1
    assert 50 <= len(emulator.requests) <= 100


@pytest.mark.parametrize("way", ["by count", "in a cycle"])
def test_a_bulk_run_that_is_dropped(client: ExperimentClient, ids: list[str], emulator: Emulator, way: str) -> None:
    """Dropping a run waits for the operations in flight, unless the garbage collector drops it."""
    emulator.inject(Fault.delay(0.3 if way == "by count" else 2), method="PATCH", nth=2)
    holder: list[Any] = [iter(client.bulk([Edit("flags", id, {"name": "new"}) for id in ids[:2]]))]
    assert next(holder[0]).ok
    wait_until(lambda: len(emulator.requests) == 2)
    if way == "by count":
        holder.clear()
    else:
        holder.append(holder)
        del holder
        gc.collect()
    assert emulator.requests[1].status == (200 if way == "by count" else None)
    wait_until(lambda: emulator.requests[1].status == 200)
