"""Programs for tests of how a program ends. Each runs in an interpreter of its own and prints what it has seen."""

from __future__ import annotations

import asyncio
import atexit
import gc
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from attrs import frozen

from amp_exp_async import (
    AmpExpError,
    AsyncExperimentClient,
    BulkRun,
    ClientClosedError,
    ConfigurationError,
    Edit,
    ExperimentClient,
)

CLOSING = "closing"
"""Printed when a program waits in `close`."""


@frozen
class Program:
    """What a program works with.

    Attributes:
        base_url, api_key: of the service.
        ids: the IDs of flags.
        folder: for journals.
        shutdown_timeout: of the clients.
    """

    base_url: str
    api_key: str
    ids: list[str]
    folder: str
    shutdown_timeout: float | None = 0.3

    @property
    def options(self) -> dict[str, Any]:
        """The arguments of a client."""
        options = {"api_key": self.api_key, "base_url": self.base_url, "rate_limit": None, "max_concurrency": 4}
        return options | {"shutdown_timeout": self.shutdown_timeout}

    @property
    def edits(self) -> list[Edit]:
        """An edit of each flag."""
        return [Edit("flags", id, {"name": "edited"}) for id in self.ids]

    def journal(self, name: str = "journal") -> Path:
        """The path of a journal."""
        return Path(self.folder) / name


def report(what: object) -> None:
    """Write a line for the test."""
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def in_background(work: Callable[[], object]) -> None:
    """Do work in another thread, whose error does not count."""

    def run() -> None:
        with suppress(AmpExpError):
            work()

    threading.Thread(target=run, daemon=True).start()


def wait_in_flight(client: ExperimentClient, requests: int) -> None:
    """Wait until a client has sent requests."""
    while client.usage.requests_today < requests:
        time.sleep(0.002)
    time.sleep(0.05)  # they are counted before they are sent


def loop_threads() -> int:
    """Return the number of the threads of clients."""
    return sum(thread.name == "amp_exp_async" for thread in threading.enumerate())


def counts(run: BulkRun) -> list[int]:
    """Return how many operations are done, failed and unknown."""
    return [run.summary.done, run.summary.failed, run.summary.unknown]


def exit_without_close(program: Program) -> None:
    """Leave two clients open, with a run and with a single write in flight."""
    clients = [ExperimentClient(**program.options) for _ in range(2)]
    run = clients[0].bulk(program.edits, journal=program.journal())
    in_background(run.wait)
    in_background(lambda: clients[1].flags.edit(program.ids[-1], description="edited"))
    wait_in_flight(clients[0], 4)
    wait_in_flight(clients[1], 1)


def exit_without_aclose(program: Program) -> None:
    """Leave an async client open, with a run in flight."""

    async def main() -> None:
        client = AsyncExperimentClient(**program.options)
        run = client.bulk(program.edits, journal=program.journal())
        reading = asyncio.create_task(run.wait())
        while client.usage.requests_today < 4:  # noqa: ASYNC110 - no event marks it
            await asyncio.sleep(0.002)
        await asyncio.sleep(0.05)
        assert not reading.done()

    asyncio.run(main())


def run_in_loop(program: Program) -> None:
    """Iterate a run, until a signal ends the loop."""
    with ExperimentClient(**program.options) as client:
        run = client.bulk(program.edits, journal=program.journal())
        try:
            for _ in run:
                pass
        finally:
            report(json.dumps(counts(run)))


def run_in_loop_with_handler(program: Program) -> None:
    """Iterate a run, until the handler of a signal ends the program."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))
    run_in_loop(program)


def async_run_in_loop(program: Program) -> None:
    """Iterate a run of the async client, until a signal ends the loop."""

    async def main() -> None:
        async with AsyncExperimentClient(**program.options) as client:
            run = client.bulk(program.edits, journal=program.journal())
            async for _ in run:
                pass

    asyncio.run(main())


def close_without_end(program: Program) -> None:
    """Close a client, and wait for a run without end, until a signal ends the wait."""
    client = ExperimentClient(**program.options)
    in_background(client.bulk(program.edits, journal=program.journal()).wait)
    wait_in_flight(client, 4)
    in_background(lambda: _report_closing(client))
    try:
        client.close(shutdown_timeout=None)
    finally:
        assert loop_threads() == 0


def _report_closing(client: ExperimentClient) -> None:
    while not client._portal.closed:
        time.sleep(0.002)
    report(CLOSING)


def aclose_without_end(program: Program) -> None:
    """Close an async client, and wait for a run without end, until a signal ends the wait."""

    async def main() -> None:
        client = AsyncExperimentClient(**program.options)
        reading = asyncio.create_task(client.bulk(program.edits, journal=program.journal()).wait())
        while client.usage.requests_today < 4:  # noqa: ASYNC110 - no event marks it
            await asyncio.sleep(0.002)
        await asyncio.sleep(0.05)
        report(CLOSING)
        try:
            await client.aclose(shutdown_timeout=None)
        finally:
            await asyncio.wait([reading])
            assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())


def prefork(program: Program) -> None:
    """Use a client, and then fork workers that use it too, while a write of the parent is in flight."""
    client = ExperimentClient(**program.options)
    client.flags.get(program.ids[0])
    in_background(client.bulk(program.edits[:1], journal=program.journal()).wait)
    wait_in_flight(client, 2)
    workers = [_fork(lambda: _work(client, program)) for _ in range(3)]
    statuses = [os.waitpid(worker, 0)[1] for worker in workers]
    assert [client.flags.get(id).id for id in program.ids] == program.ids
    client.close()
    report(json.dumps([statuses, loop_threads()]))


def _fork(work: Callable[[], object]) -> int:
    pid = os.fork()
    if pid == 0:
        signal.alarm(60)
        work()
        sys.exit(0)
    return pid


def _work(client: ExperimentClient, program: Program) -> None:
    assert [client.flags.get(id).id for id in program.ids] == program.ids
    assert client.bulk(Edit("flags", id, {"tags": ["worker"]}) for id in program.ids[1:]).wait().ok
    gc.collect()


def spawn(program: Program) -> None:
    """Use a client in a spawned process, after one was used here."""
    with ExperimentClient(**program.options) as client:
        client.flags.get(program.ids[0])
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            assert pool.submit(_read_ids, program).result(60) == program.ids
    report(json.dumps(loop_threads()))


def _read_ids(program: Program) -> list[str]:
    with ExperimentClient(**program.options) as client:
        return [client.flags.get(id).id for id in program.ids]


def first_use_at_exit(program: Program) -> None:
    """Use a client first when the program ends, where Python starts no thread."""

    def use() -> None:
        def refuse(_: object) -> None:
            raise RuntimeError("can't create new thread at interpreter shutdown")

        threading.Thread.start = refuse  # type: ignore[method-assign, assignment]  # as Python 3.12 does
        try:
            ExperimentClient(**program.options).flags.get(program.ids[0])
        except ClientClosedError as error:
            report(error)

    atexit.register(use)


def first_async_use_at_exit(program: Program) -> None:
    """Look up a host name when the program ends, where some versions of Python start no thread."""

    async def main() -> None:
        options = program.options | {"base_url": program.base_url.replace("127.0.0.1", "localhost")}
        async with AsyncExperimentClient(**options) as client:
            try:
                flag = await client.flags.get(program.ids[0])
                report(flag.id)
            except ClientClosedError as error:
                report(error)

    atexit.register(lambda: asyncio.run(main()))


def with_gevent(program: Program) -> None:
    """Use a client in greenlets. The package is imported already; `main` has patched Python before."""
    import gevent

    with ExperimentClient(**program.options) as client:
        greenlets = [gevent.spawn(client.flags.get, id) for id in program.ids * 5]
        gevent.joinall(greenlets, timeout=60, raise_error=True)
        assert [greenlet.value.id for greenlet in greenlets] == program.ids * 5
        assert client.bulk(program.edits).wait().ok
        try:
            ExperimentClient(**program.options).flags.get(program.ids[0])
        except ConfigurationError as error:
            report(error)


def main() -> None:
    """Run the program that the command line names."""
    name, settings = sys.argv[1:]
    program: Callable[[Program], None] = globals()[name]
    program(Program(**json.loads(settings)))


if __name__ == "__main__":
    main()
