"""The rate limiter against a strict moving window: the used share of the limit, and the rejected requests.

The window is in the server. It counts requests when they arrive, and does not count those that it rejects. The baseline
is a token bucket in front of bare aiohttp. Both sides run at the same time, each with its own server.

Round trips take 20 to 80 ms. With 10 to 40 ms each way, both ways have a minimum delay, as on a real network. If a
round trip is split at random, one way may take all of it and the other none: this is the hardest case.

Then other processes use the same key for a while, and stop. The benchmark measures our share of what they leave, the
rejected requests, and the time from when they stop until a second with 95 % of the limit begins. Here the baseline
waits as long as `Retry-After` says before it asks for another token, one request at a time.
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
from typing import Any, NamedTuple

import aiohttp
import orjson
from measuring import arguments
from serving import serving
from window import NETWORKS, Others, SharedWindow, StrictWindow

from amp_exp_async import AsyncExperimentClient, RateLimit, RateLimitError, RetryPolicy

_WORKERS = 48
_WARM_UP = 5.0  # seconds after which both sides have adapted to the other processes
_RECOVERY = 10.0  # seconds after the others have stopped

Send = Callable[[], Awaitable[object]]


class _TokenBucket:
    """The usual limiter: as many tokens as the limit, refilled evenly."""

    def __init__(self, limit: int) -> None:
        self._limit = self._tokens = float(limit)
        self._filled_at = time.monotonic()

    async def acquire(self) -> None:
        while True:
            now = time.monotonic()
            self._tokens = min(self._limit, self._tokens + (now - self._filled_at) * self._limit)
            self._filled_at = now
            if self._tokens >= 1:
                self._tokens -= 1
                return
            await asyncio.sleep((1 - self._tokens) / self._limit)


class _Exclusive(NamedTuple):
    """Shares of the limit, after the first burst and from the start, and the number of rejected requests."""

    share: float
    from_start: float
    rejected: int


class _Contended(NamedTuple):
    """Shares, requests of the others a second, and seconds to recover; infinite if it did not recover."""

    share: float
    rejected: float
    others: float
    recovery: float


async def _get_report(session: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    async with session.get(f"{url}/report") as response:
        return orjson.loads(await response.read())


def _exclusive(report: dict[str, Any], limit: int) -> _Exclusive:
    arrivals: list[float] = report["arrivals"]
    # Only multiples of the limit: permits are reused in the rhythm of the first burst.
    first = 3 * limit - 1
    last = first + (len(arrivals) - 1 - first) // limit * limit
    steady = (last - first) / (arrivals[last] - arrivals[first]) / limit
    return _Exclusive(steady, len(arrivals) / (arrivals[-1] - arrivals[0]) / limit, len(report["rejected"]))


def _contended(report: dict[str, Any], limit: int, others: Others) -> _Contended:
    stopped_at, arrivals = report["stopped_at"][0], report["arrivals"]
    start = stopped_at - others.seconds + _WARM_UP
    ours, rejected, theirs = (
        sum(start <= time < stopped_at for time in report[name]) for name in ("arrivals", "rejected", "others")
    )
    seconds = stopped_at - start
    recoveries = (
        arrival - stopped_at
        for index, arrival in enumerate(arrivals)
        if arrival >= stopped_at and bisect_left(arrivals, arrival + 1.0) - index >= 0.95 * limit
    )
    return _Contended(
        ours / seconds / (limit - others.rate),
        rejected / (ours + rejected),
        theirs / seconds,
        next(recoveries, math.inf),
    )


async def _send_all(send: Send, remaining: Iterator[int]) -> None:
    for _ in remaining:
        await send()


async def _send_until(send: Send, end: float) -> None:
    while time.monotonic() < end:
        await send()


def _sides(
    client: AsyncExperimentClient, session: aiohttp.ClientSession, baseline: str, bucket: _TokenBucket
) -> tuple[Send, Send]:
    """Return the functions that send one request: through the client, and through the token bucket."""

    async def limited() -> None:
        with suppress(RateLimitError):  # the server has counted it
            await client.request("GET", "/flags")

    async def bucketed() -> None:
        await bucket.acquire()
        async with session.get(f"{baseline}/flags") as response:
            await response.read()
            retry_after = float(response.headers.get("Retry-After", 0.0))
        if retry_after:
            await asyncio.sleep(retry_after)

    return limited, bucketed


async def _compare(ours: str, baseline: str, count: int, limit: int) -> tuple[_Exclusive, _Exclusive]:
    """Send a number of requests through each side."""
    rate_limit, no_retries = RateLimit(per_second=limit, per_day=None), RetryPolicy(max_attempts=1)
    async with (
        aiohttp.ClientSession() as session,
        AsyncExperimentClient("benchmark-key", base_url=ours, rate_limit=rate_limit, retry=no_retries) as client,
    ):
        sides = _sides(client, session, baseline, _TokenBucket(limit))
        remaining = iter(range(count)), iter(range(count))
        await asyncio.gather(
            *(_send_all(send, left) for send, left in zip(sides, remaining, strict=True) for _ in range(_WORKERS))
        )
        first, second = [_exclusive(await _get_report(session, url), limit) for url in (ours, baseline)]
        return first, second


async def _contend(ours: str, baseline: str, limit: int, others: Others) -> tuple[_Contended, _Contended]:
    """Send requests through each side while others use the key, and for some seconds more."""
    rate_limit = RateLimit(per_second=limit, per_day=None)
    async with (
        aiohttp.ClientSession() as session,
        AsyncExperimentClient("benchmark-key", base_url=ours, rate_limit=rate_limit) as client,
    ):
        sides = _sides(client, session, baseline, _TokenBucket(limit))
        end = time.monotonic() + others.seconds + _RECOVERY
        await asyncio.gather(*(_send_until(send, end) for send in sides for _ in range(_WORKERS)))
        first, second = [_contended(await _get_report(session, url), limit, others) for url in (ours, baseline)]
        return first, second


def _print(options: argparse.Namespace, name: str, results: tuple[Any, Any], text: str) -> None:
    ours, baseline = results
    if options.json:
        text = json.dumps({"name": name, "ours": ours._asdict(), "baseline": baseline._asdict()})
    print(text, flush=True)


def _run_contended(options: argparse.Namespace, seed: int) -> None:
    for evenly in (True, False):
        for retry_after in (1, None):
            others = Others(options.others, options.seconds, evenly)
            servers = [SharedWindow(options.limit, "10 to 40 ms each way", seed, others, retry_after) for _ in range(2)]
            with serving(servers[0]) as ours, serving(servers[1]) as baseline:
                results = asyncio.run(_contend(ours, baseline, options.limit, others))
            limited, bucket = results
            name = f"others {'evenly' if evenly else 'at random'}, Retry-After: {retry_after or 'none'}"
            text = (
                f"shared key, {name}: share of the rest {limited.share:.3f} (token bucket {bucket.share:.3f}), "
                f"rejected {limited.rejected:.1%} (token bucket {bucket.rejected:.1%}), "
                f"others get {limited.others:.1f} a second (token bucket {bucket.others:.1f}), "
                f"recovered in {limited.recovery:.1f} s (token bucket {bucket.recovery:.1f} s)"
            )
            _print(options, name, results, text)


def _run_exclusive(options: argparse.Namespace, seed: int) -> None:
    for name in NETWORKS:
        servers = [StrictWindow(options.limit, name, seed) for _ in range(2)]
        with serving(servers[0]) as ours, serving(servers[1]) as baseline:
            results = asyncio.run(_compare(ours, baseline, options.requests, options.limit))
        limited, bucket = results
        text = (
            f"exclusive key, {name}: share of the limit {limited.share:.3f}, {limited.from_start:.3f} from the start "
            f"(token bucket {bucket.share:.3f}, {bucket.from_start:.3f}), "
            f"rejected {limited.rejected} (token bucket {bucket.rejected}) of {options.requests}"
        )
        _print(options, name, results, text)


def main() -> None:
    """Run all comparisons."""
    parser = arguments(__doc__, rounds=1)
    parser.add_argument("--limit", type=int, default=100, help="requests a second (default 100)")
    parser.add_argument("--requests", type=int, default=2_600, help="requests of each side (default 2600)")
    parser.add_argument("--others", type=int, default=40, help="requests a second of other processes (default 40)")
    parser.add_argument("--seconds", type=float, default=25.0, help="how long other processes send (default 25)")
    options = parser.parse_args()
    for seed in range(options.rounds):
        _run_contended(options, seed)
        _run_exclusive(options, seed)


if __name__ == "__main__":
    main()
