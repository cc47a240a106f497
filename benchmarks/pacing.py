"""The pacer against a strict sliding window: the share of the limit that it uses, and the requests refused.

The window stands in the server and counts requests as they arrive; one that it refuses does not count. The baseline is
a token bucket in front of bare aiohttp. Both sides run at the same time, each with a server of its own.

Round trips take 20 to 80 ms. With 10 to 40 ms each way, both ways have a least delay, as on a real network. With a
round trip split at random, one way may take all of it and the other nothing: the hardest case.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import NamedTuple

import aiohttp
import orjson
from measuring import arguments
from serving import serving
from window import NETWORKS, StrictWindow

from amp_exp_async import AsyncExperimentClient, RateLimit, RateLimitError, RetryPolicy

_WORKERS = 48


class _TokenBucket:
    """The usual limiter: as many tokens as the limit, refilled evenly."""

    def __init__(self, limit: int) -> None:
        self._limit = self._tokens = float(limit)
        self._filled = time.monotonic()

    async def acquire(self) -> None:
        while True:
            now = time.monotonic()
            self._tokens = min(self._limit, self._tokens + (now - self._filled) * self._limit)
            self._filled = now
            if self._tokens >= 1:
                self._tokens -= 1
                return
            await asyncio.sleep((1 - self._tokens) / self._limit)


class _Result(NamedTuple):
    """What the server saw: the share of the limit once the opening burst is over, and from the start."""

    share: float
    from_start: float
    refused: int


def _result(report: bytes, limit: int) -> _Result:
    document = orjson.loads(report)
    arrivals: list[float] = document["arrivals"]
    # Whole limits' worth only: permits come back in the rhythm of the opening burst.
    first = 3 * limit - 1
    last = first + (len(arrivals) - 1 - first) // limit * limit
    steady = (last - first) / (arrivals[last] - arrivals[first]) / limit
    return _Result(steady, len(arrivals) / (arrivals[-1] - arrivals[0]) / limit, document["refused"])


async def _work(get: Callable[[], Awaitable[object]], tickets: Iterator[int]) -> None:
    for _ in tickets:
        await get()


async def _run(
    get: Callable[[], Awaitable[object]], session: aiohttp.ClientSession, url: str, count: int, limit: int
) -> _Result:
    tickets = iter(range(count))
    await asyncio.gather(*(_work(get, tickets) for _ in range(_WORKERS)))
    async with session.get(f"{url}/report") as response:
        return _result(await response.read(), limit)


async def _compare(ours: str, baseline: str, count: int, limit: int) -> tuple[_Result, _Result]:
    bucket = _TokenBucket(limit)
    pace = RateLimit(per_second=limit, per_day=None)
    once = RetryPolicy(attempts=1)
    async with (
        aiohttp.ClientSession() as session,
        AsyncExperimentClient("benchmark-key", base_url=ours, rate_limit=pace, retry=once) as client,
    ):

        async def paced() -> None:
            try:
                await client.request("GET", "/flags")
            except RateLimitError:
                return  # the server has counted it

        async def bucketed() -> None:
            await bucket.acquire()
            async with session.get(f"{baseline}/flags") as response:
                await response.read()

        sides = _run(paced, session, ours, count, limit), _run(bucketed, session, baseline, count, limit)
        first, second = await asyncio.gather(*sides)
        return first, second


def main() -> None:
    """Compare."""
    parser = arguments(__doc__, rounds=1)
    parser.add_argument("--limit", type=int, default=100, help="requests a second (default 100)")
    parser.add_argument("--requests", type=int, default=2_600, help="requests of each side (default 2600)")
    options = parser.parse_args()
    for name in NETWORKS:
        for seed in range(options.rounds):
            servers = (StrictWindow(options.limit, name, seed), StrictWindow(options.limit, name, seed))
            with serving(servers[0]) as ours, serving(servers[1]) as baseline:
                results = asyncio.run(_compare(ours, baseline, options.requests, options.limit))
            paced, bucket = results
            if options.json:
                print(json.dumps({"name": name, "ours": paced._asdict(), "baseline": bucket._asdict()}), flush=True)
            else:
                print(
                    f"pacing, {name}: share of the limit {paced.share:.3f}, {paced.from_start:.3f} from the start "
                    f"(token bucket {bucket.share:.3f}, {bucket.from_start:.3f}), "
                    f"refused {paced.refused} (token bucket {bucket.refused}) of {options.requests}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
