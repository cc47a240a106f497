"""Blocking calls, against requests."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import orjson
import requests
import requests.adapters

from amp_exp_async import Edit, ExperimentClient

from .awaited_calls import HEADERS, UNREACHABLE_LIMIT
from .figures import Figure, ratio
from .measurement import Size, Timing, alternate, timed
from .sample_flags import make_flag
from .serving import Fixed, serve

_BASELINE = "requests.Session"


def blocking(size: Size) -> Iterator[Figure]:
    """Measure a blocking `flags.get`, from one thread and from 32."""
    count, rounds = size.pick(32, 320, 640), size.pick(1, 7, 15)
    with _clients(orjson.dumps(make_flag() | {"id": "1"})) as (url, client, session):

        def ours() -> object:
            return client.flags.get("1")

        def baseline() -> object:
            response = session.get(f"{url}/1", timeout=30)
            response.raise_for_status()
            return response.json()

        for threads in (1, 32):

            def measure(call: Callable[[], object], threads: int = threads) -> Timing:
                return timed(lambda: _call_in_threads(call, count, threads), count)

            pairs = alternate(lambda: measure(ours), lambda: measure(baseline), rounds)
            yield ratio(f"blocking get, {threads} thread{'s' if threads > 1 else ''}", _BASELINE, pairs)


def blocking_bulk(size: Size) -> Iterator[Figure]:
    """Measure a blocking bulk run of edits, per edit, against a loop."""
    count, rounds = size.pick(20, 500, 2_000), size.pick(1, 5, 11)
    change = {"enabled": True}
    with _clients(b"OK") as (url, client, session):

        def ours() -> None:
            for outcome in client.bulk(Edit("flags", str(number), change) for number in range(count)):
                if not outcome.ok:
                    raise RuntimeError(outcome.error)

        def baseline() -> None:
            for number in range(count):
                session.patch(f"{url}/{number}", json=change, timeout=30).raise_for_status()

        pairs = alternate(lambda: timed(ours, count), lambda: timed(baseline, count), rounds)
        yield ratio("an edit of a blocking bulk run", f"a loop over {_BASELINE}", pairs)


@contextmanager
def _clients(body: bytes) -> Iterator[tuple[str, ExperimentClient, requests.Session]]:
    """Serve one body, and open a client and a session of requests.

    Yields:
        The URL of all flags, the client and the session.
    """
    with (
        serve(Fixed(body)) as base_url,
        ExperimentClient("benchmark-key", base_url=base_url, rate_limit=UNREACHABLE_LIMIT) as client,
        requests.Session() as session,
    ):
        session.headers.update(HEADERS)
        # The default pool keeps 10 connections, and would open new ones for the other threads all the time.
        session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=32))
        yield f"{base_url}/api/1/flags", client, session


def _call_in_threads(call: Callable[[], object], count: int, threads: int) -> None:
    """Divide the calls among the threads."""

    def work() -> None:
        for _ in range(count // threads):
            call()

    if threads == 1:
        work()
        return
    started = [threading.Thread(target=work) for _ in range(threads)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
