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

import asyncio
import time
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

import aiohttp
import orjson

from amp_exp_async import AsyncExperimentClient, RateLimit, RateLimitError, RetryPolicy

from .figures import Figure
from .measurement import Size
from .serving import serve
from .window import NETWORKS, Others, SharedWindow, StrictWindow

_WORKERS = 48
_LIMIT = 100  # requests a second
_OTHERS = 40  # requests a second of the other processes
_SEED = 7
_NETWORK, _SPLIT_NETWORK, _LOOPBACK = NETWORKS
_SIDES = ("the client", "a token bucket")

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


class _Phases(NamedTuple):
    """Seconds until both sides have adapted to the others, until the others stop, and from then to the end."""

    warm_up: float
    others: float
    recovery: float


class _Exclusive(NamedTuple):
    """Shares of the limit, after the first burst and from the start, and the number of rejected requests."""

    share: float
    from_start: float
    rejected: int


class _Contended(NamedTuple):
    """Shares, requests of the others a second, and seconds to recover."""

    share: float
    rejected: float
    others: float
    recovery: float


async def _get_report(session: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    async with session.get(f"{url}/report") as response:
        return orjson.loads(await response.read())


def _exclusive(report: dict[str, Any], limit: int) -> _Exclusive:
    arrivals: list[float] = report["arrivals"]
    first = min(3 * limit, len(arrivals) // 2) - 1
    # Only multiples of the limit, if there are any: permits are reused in the rhythm of the first burst.
    periods = (len(arrivals) - 1 - first) // limit
    last = first + periods * limit if periods else len(arrivals) - 1
    steady = (last - first) / (arrivals[last] - arrivals[first]) / limit
    return _Exclusive(steady, len(arrivals) / (arrivals[-1] - arrivals[0]) / limit, len(report["rejected"]))


def _contended(report: dict[str, Any], limit: int, others: Others, phases: _Phases) -> _Contended:
    stopped_at, arrivals = report["stopped_at"][0], report["arrivals"]
    start = stopped_at - others.seconds + phases.warm_up
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
        rejected / max(1, ours + rejected),
        theirs / seconds,
        next(recoveries, phases.recovery),
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


async def _contend(
    ours: str, baseline: str, limit: int, others: Others, phases: _Phases
) -> tuple[_Contended, _Contended]:
    """Send requests through each side while others use the key, and for some seconds more."""
    rate_limit = RateLimit(per_second=limit, per_day=None)
    async with (
        aiohttp.ClientSession() as session,
        AsyncExperimentClient("benchmark-key", base_url=ours, rate_limit=rate_limit) as client,
    ):
        sides = _sides(client, session, baseline, _TokenBucket(limit))
        end = time.monotonic() + others.seconds + phases.recovery
        await asyncio.gather(*(_send_until(send, end) for send in sides for _ in range(_WORKERS)))
        first, second = [_contended(await _get_report(session, url), limit, others, phases) for url in (ours, baseline)]
        return first, second


def rate_limit(size: Size) -> Iterator[Figure]:
    """Measure the used share of a limit that only this process uses."""
    limit, counts = size.pick(
        (20, {_NETWORK: 50}),
        (_LIMIT, {_NETWORK: 2_600, _SPLIT_NETWORK: 2_600, _LOOPBACK: 1_000}),
        (_LIMIT, {_NETWORK: 10_000, _SPLIT_NETWORK: 10_000, _LOOPBACK: 2_600}),
    )
    for network, count in counts.items():
        servers = [StrictWindow(limit, network, _SEED) for _ in range(2)]
        with serve(servers[0]) as ours, serve(servers[1]) as baseline:
            results = asyncio.run(_compare(ours, baseline, count, limit))
        for name, result in zip(_SIDES, results, strict=True):
            what = f"{name}, {network}"
            yield Figure(what=what, measure="of the limit used, steadily", values=[result.share], unit="%")
            yield Figure(
                what=what, measure="of the limit used, with the first burst", values=[result.from_start], unit="%"
            )
            yield Figure(what=what, measure=f"of {count:,} requests refused", values=[result.rejected])


def shared_key(size: Size) -> Iterator[Figure]:
    """Measure the used share of what others leave, and the time to use the rest once they stop."""
    patterns = [(evenly, retry_after) for evenly in (True, False) for retry_after in (1, None)]
    phases = size.pick(_Phases(0.2, 1.0, 0.2), _Phases(5.0, 15.0, 6.0), _Phases(5.0, 25.0, 10.0))
    for evenly, retry_after in size.pick(patterns[:1], patterns, patterns):
        others = Others(_OTHERS, phases.others, evenly)
        servers = [SharedWindow(_LIMIT, _NETWORK, _SEED, others, retry_after) for _ in range(2)]
        with serve(servers[0]) as ours, serve(servers[1]) as baseline:
            results = asyncio.run(_contend(ours, baseline, _LIMIT, others, phases))
        pattern = f"others {'evenly' if evenly else 'at random'}, Retry-After {retry_after or 'not sent'}"
        for name, result in zip(_SIDES, results, strict=True):
            yield from _contended_figures(f"{name}, {pattern}", result, phases)


def _contended_figures(what: str, result: _Contended, phases: _Phases) -> Iterator[Figure]:
    yield Figure(what=what, measure="of what others leave used", values=[result.share], unit="%")
    yield Figure(what=what, measure="of our requests refused", values=[result.rejected], unit="%")
    yield Figure(what=what, measure=f"of {_OTHERS} requests a second that others get", values=[result.others])
    measure = f"to recover once they stop ({phases.recovery:g} s were watched)"
    yield Figure(what=what, measure=measure, values=[result.recovery], unit="s")
