"""A list of 100,000 flags over HTTP, in pages of 1,000: time and peak memory."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import Awaitable, Callable, Iterator

import aiohttp
import orjson

from amp_exp_async import AsyncExperimentClient

from .awaited_calls import HEADERS, UNREACHABLE_LIMIT
from .figures import Figure, share
from .flag_service import PAGE_SIZE, PROJECT, FlagService
from .measurement import Size, Timing, alternate, timed
from .serving import serve


def listing(size: Size) -> Iterator[Figure]:
    """Measure `flags.list` against a loop over the pages by aiohttp, to dicts."""
    count, rounds = size.pick(300, 20_000, 100_000), size.pick(1, 3, 5)
    with serve(FlagService(count)) as base_url, asyncio.Runner() as runner:

        async def ours() -> int:
            total = 0
            async with AsyncExperimentClient(
                "benchmark-key", base_url=base_url, rate_limit=UNREACHABLE_LIMIT
            ) as client:
                async for _ in client.flags.list(project_id=PROJECT, limit=PAGE_SIZE):
                    total += 1
            return total

        async def baseline() -> int:
            return await _read_pages(base_url)

        def measure(read: Callable[[], Awaitable[int]]) -> Timing:
            return timed(lambda: runner.run(_check(read, count)))

        pairs = alternate(lambda: measure(ours), lambda: measure(baseline), rounds)
        yield share(f"list of {count:,} flags", "aiohttp and orjson by hand, to dicts", pairs)
        peaks = [[runner.run(_peak(read))] for read in (ours, baseline)]
        yield Figure(
            what=f"peak memory of a list of {count:,}",
            measure="above the level before",
            values=peaks[0],
            unit="B",
            ours=peaks[0],
            baseline=peaks[1],
            against="aiohttp and orjson by hand",
            quantity="B",
        )


async def _read_pages(base_url: str) -> int:
    """Read the list to dicts, page by page."""
    total, cursor = 0, None
    async with aiohttp.ClientSession(headers=HEADERS) as session:
        while True:
            query = {"projectId": PROJECT, "limit": str(PAGE_SIZE)} | ({} if cursor is None else {"cursor": cursor})
            async with session.get(f"{base_url}/api/1/flags", params=query) as response:
                page = orjson.loads(await response.read())
            for _ in page["flags"]:
                total += 1
            cursor = page.get("nextCursor")
            if cursor is None:
                return total


async def _check(read: Callable[[], Awaitable[int]], count: int) -> None:
    total = await read()
    if total != count:
        raise RuntimeError(f"{total} of {count} flags were read")


async def _peak(read: Callable[[], Awaitable[int]]) -> float:
    """Return the peak memory of reading, in bytes above the level before."""
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    await read()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return float(peak - before)
