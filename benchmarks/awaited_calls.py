"""Awaited calls through the async client, against aiohttp and httpx used by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial

import aiohttp
import httpx
import orjson

from amp_exp_async import AsyncExperimentClient, RateLimit

from .figures import Figure, share
from .measurement import Size, Timing, alternate, timed
from .peers import PydanticFlag
from .sample_flags import make_flag
from .serving import FlagOfAnyId, serve

Call = Callable[[str], Awaitable[object]]

HEADERS = {"Authorization": "Bearer benchmark-key", "Accept": "application/json"}
# So high that no call waits: the cost of the limiter counts, its purpose does not.
UNREACHABLE_LIMIT = RateLimit(per_second=1_000_000, per_day=1_000_000_000)

_IDS = 100  # several flags, because writes to one flag wait for each other; few, so that their URLs are cached
_AIOHTTP = "aiohttp and orjson by hand"


def get(size: Size) -> Iterator[Figure]:
    """Measure `flags.get` against aiohttp and orjson."""
    with _clients() as (runner, url, client, session):

        async def baseline(id: str) -> object:
            async with session.get(url + id, headers=HEADERS) as response:
                return orjson.loads(await response.read())

        yield from _compare(runner, size, ("flags.get", client.flags.get), (_AIOHTTP, baseline))


def get_httpx(size: Size) -> Iterator[Figure]:
    """Measure `flags.get` against httpx alone, and against httpx and pydantic, as generated clients combine them."""
    with _clients() as (runner, url, client, _), _httpx_client(runner) as session:

        async def get_json(id: str) -> object:
            response = await session.get(url + id)
            response.raise_for_status()
            return response.json()

        async def get_model(id: str) -> object:
            return PydanticFlag.model_validate(await get_json(id))

        ours = "flags.get", client.flags.get
        yield from _compare(runner, size, ours, ("httpx", get_json))
        yield from _compare(runner, size, ours, ("httpx and pydantic", get_model))


def request(size: Size) -> Iterator[Figure]:
    """Measure `client.request`, which returns parsed JSON as the baseline does."""
    with _clients() as (runner, url, client, session):

        async def baseline(id: str) -> object:
            async with session.get(url + id, headers=HEADERS) as response:
                return orjson.loads(await response.read())

        def ours(id: str) -> Awaitable[object]:
            return client.request("GET", f"/flags/{id}")

        yield from _compare(runner, size, ("client.request", ours), (_AIOHTTP, baseline))


def edit(size: Size) -> Iterator[Figure]:
    """Measure `flags.edit` against a PATCH by aiohttp."""
    change = orjson.dumps({"enabled": True})
    headers = HEADERS | {"Content-Type": "application/json"}
    with _clients() as (runner, url, client, session):

        async def baseline(id: str) -> object:
            async with session.patch(url + id, data=change, headers=headers) as response:
                return await response.read()

        def ours(id: str) -> Awaitable[object]:
            return client.flags.edit(id, enabled=True)

        yield from _compare(runner, size, ("flags.edit", ours), (_AIOHTTP, baseline))


def _compare(
    runner: asyncio.Runner, size: Size, ours: tuple[str, Call], baseline: tuple[str, Call]
) -> Iterator[Figure]:
    (what, our_call), (name, baseline_call) = ours, baseline
    count, rounds = size.pick(8, 400, 1_000), size.pick(1, 9, 15)
    for concurrency in (1, 32):

        def measure(call: Call, concurrency: int = concurrency) -> Timing:
            return timed(lambda: runner.run(_call_concurrently(call, count, concurrency)), count)

        pairs = alternate(partial(measure, our_call), partial(measure, baseline_call), rounds)
        yield share(f"{what}, {concurrency} concurrent", name, pairs)


async def _call_concurrently(call: Call, count: int, concurrency: int) -> None:
    numbers = iter(range(count))

    async def work() -> None:
        for number in numbers:
            await call(str(number % _IDS))

    await asyncio.gather(*(work() for _ in range(concurrency)))


@contextmanager
def _clients() -> Iterator[tuple[asyncio.Runner, str, AsyncExperimentClient, aiohttp.ClientSession]]:
    """Serve a flag of 1.2 KB, and open a client and a session of aiohttp.

    Yields:
        The event loop, the URL of all flags, the client and the session.
    """
    with serve(FlagOfAnyId(make_flag())) as base_url, asyncio.Runner() as runner:

        async def open_session() -> aiohttp.ClientSession:
            return aiohttp.ClientSession()

        session = runner.run(open_session())
        client = AsyncExperimentClient("benchmark-key", base_url=base_url, rate_limit=UNREACHABLE_LIMIT)
        try:
            yield runner, f"{base_url}/api/1/flags/", client, session
        finally:
            runner.run(client.aclose())
            runner.run(session.close())


@contextmanager
def _httpx_client(runner: asyncio.Runner) -> Iterator[httpx.AsyncClient]:
    client = httpx.AsyncClient(headers=HEADERS)
    try:
        yield client
    finally:
        runner.run(client.aclose())
