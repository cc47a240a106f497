"""A blocking GET, alone and from 32 threads, against requests."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

import orjson
import requests
from measuring import Timing, alternate, arguments, cpu_and_wall, show, timed
from sample import flags
from serving import Fixed, serving

from amp_exp_async import ExperimentClient

_FIELDS = ("id", "key", "projectId", "name", "enabled", "tags")


def _in_threads(get: Callable[[], object], count: int, threads: int) -> None:
    """Divide the calls among the threads."""

    def work() -> None:
        for _ in range(count // threads):
            get()

    if threads == 1:
        work()
        return
    started = [threading.Thread(target=work) for _ in range(threads)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()


def main() -> None:
    """Compare."""
    parser = arguments(__doc__, rounds=11)
    parser.add_argument("--requests", type=int, default=640, help="requests of each side in a round (default 640)")
    options = parser.parse_args()
    flag = flags(1)[0]
    body = orjson.dumps({name: flag[name] for name in _FIELDS})
    with (
        serving(Fixed(body)) as base_url,
        ExperimentClient("benchmark-key", base_url=base_url, rate_limit=None) as client,
        requests.Session() as session,
    ):
        session.headers["Authorization"] = "Bearer benchmark-key"
        # The default pool keeps 10 connections and would open new ones for the other threads all the time.
        session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=32))
        url = f"{base_url}/api/1/flags/1"

        def ours() -> object:
            return client.flags.get("1")

        def baseline() -> object:
            response = session.get(url, timeout=30)
            response.raise_for_status()
            return response.json()

        for threads in (1, 32):

            def side(get: Callable[[], object], threads: int = threads) -> Timing:
                return timed(lambda: _in_threads(get, options.requests, threads), options.requests)

            pairs = alternate(partial(side, ours), partial(side, baseline), options.rounds)
            name = "1 thread" if threads == 1 else f"{threads} threads"
            for comparison in cpu_and_wall(f"blocking GET from {name} against requests.Session", pairs):
                show(comparison, as_json=options.json)


if __name__ == "__main__":
    main()
