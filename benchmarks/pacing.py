"""The pacer against a strict sliding window: the share of the limit that it uses, and the requests refused.

The window stands in the server and counts requests as they arrive; one that it refuses does not count. The baseline is
a token bucket in front of bare aiohttp. Both sides run at the same time, each with a server of its own.

Round trips take 20 to 80 ms. With 10 to 40 ms each way, both ways have a least delay, as on a real network. With a
round trip split at random, one way may take all of it and the other nothing: the hardest case.

Then the same key is contested: others use a part of the window for a while, and leave. What counts is our share of what
they left, what is refused, and after how many seconds a second begins that has 95 % of the limit. Here the baseline
waits for as long as `Retry-After` says before it asks for another token, one request at a time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import time
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import NamedTuple

import aiohttp
import orjson
from measuring import arguments
from serving import serving
from window import NETWORKS, ContestedWindow, Others, StrictWindow

from amp_exp_async import AsyncExperimentClient, RateLimit, RateLimitError, RetryPolicy

_WORKERS = 48
_SETTLING = 5.0  # seconds, after which both sides have come to know the others
_AFTERWARDS = 10.0  # seconds to recover in


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
    return _Result(steady, len(arrivals) / (arrivals[-1] - arrivals[0]) / limit, len(document["refused"]))


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
    once = RetryPolicy(max_attempts=1)
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


class _Contested(NamedTuple):
    """What the server saw of one side: shares, requests a second, and seconds (infinite where it never recovered)."""

    share: float
    refused: float
    others: float
    recovered: float


def _contested_result(report: bytes, limit: int, others: Others) -> _Contested:
    document = orjson.loads(report)
    gone = document["gone"][0]
    begun, arrivals = gone - others.seconds + _SETTLING, document["arrivals"]
    ours, refused, theirs = (
        sum(begun <= at < gone for at in document[name]) for name in ("arrivals", "refused", "others")
    )
    seconds = gone - begun
    full = (
        at - gone
        for index, at in enumerate(arrivals)
        if at >= gone and bisect_left(arrivals, at + 1.0) - index >= 0.95 * limit
    )
    return _Contested(
        ours / seconds / (limit - others.rate), refused / (ours + refused), theirs / seconds, next(full, math.inf)
    )


async def _keep_busy(get: Callable[[], Awaitable[object]], until: float) -> None:
    while time.monotonic() < until:
        await get()


async def _contest(ours: str, baseline: str, limit: int, others: Others) -> tuple[_Contested, _Contested]:
    bucket = _TokenBucket(limit)
    pace = RateLimit(per_second=limit, per_day=None)
    async with (
        aiohttp.ClientSession() as session,
        AsyncExperimentClient("benchmark-key", base_url=ours, rate_limit=pace) as client,
    ):

        async def paced() -> None:
            with suppress(RateLimitError):  # the server has counted it
                await client.request("GET", "/flags")

        async def bucketed() -> None:
            await bucket.acquire()
            async with session.get(f"{baseline}/flags") as response:
                await response.read()
                asked = float(response.headers.get("Retry-After", 0.0))
            await asyncio.sleep(asked)

        until = time.monotonic() + others.seconds + _AFTERWARDS
        await asyncio.gather(*(_keep_busy(get, until) for get in (paced, bucketed) for _ in range(_WORKERS)))
        reports: list[bytes] = []
        for url in (ours, baseline):
            async with session.get(f"{url}/report") as response:
                reports.append(await response.read())
    first, second = (_contested_result(report, limit, others) for report in reports)
    return first, second


def _contests(options: argparse.Namespace, seed: int) -> None:
    for evenly in (True, False):
        for retry_after in (1, None):
            others = Others(options.others, options.seconds, evenly)
            servers = [
                ContestedWindow(options.limit, "10 to 40 ms each way", seed, others, retry_after) for _ in range(2)
            ]
            with serving(servers[0]) as ours, serving(servers[1]) as baseline:
                paced, bucket = asyncio.run(_contest(ours, baseline, options.limit, others))
            name = f"others {'evenly' if evenly else 'at random'}, Retry-After: {retry_after or 'none'}"
            if options.json:
                print(json.dumps({"name": name, "ours": paced._asdict(), "baseline": bucket._asdict()}), flush=True)
            else:
                print(
                    f"contested, {name}: share of what is left {paced.share:.3f} (token bucket {bucket.share:.3f}), "
                    f"refused {paced.refused:.1%} (token bucket {bucket.refused:.1%}), others get {paced.others:.1f} "
                    f"a second (token bucket {bucket.others:.1f}), "
                    f"recovered in {paced.recovered:.1f} s (token bucket {bucket.recovered:.1f} s)",
                    flush=True,
                )


def main() -> None:
    """Compare."""
    parser = arguments(__doc__, rounds=1)
    parser.add_argument("--limit", type=int, default=100, help="requests a second (default 100)")
    parser.add_argument("--requests", type=int, default=2_600, help="requests of each side (default 2600)")
    parser.add_argument("--others", type=int, default=40, help="requests a second of others (default 40)")
    parser.add_argument("--seconds", type=float, default=25.0, help="how long the others stay (default 25)")
    options = parser.parse_args()
    for seed in range(options.rounds):
        _contests(options, seed)
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
