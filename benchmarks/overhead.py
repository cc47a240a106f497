"""Reads and writes of one flag through the client, against bare aiohttp and orjson."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import TypeAlias

import aiohttp
import orjson
from measuring import Timing, alternate, arguments, cpu_and_wall, show, timed
from sample import flags
from serving import Fixed, serving

from amp_exp_async import AsyncExperimentClient

Call: TypeAlias = Callable[[str], Awaitable[object]]

_FIELDS = ("id", "key", "projectId", "name", "enabled", "tags")
_IDS = 100  # several flags, because writes to one flag wait for each other; few, so that their URLs are cached


async def _worker(call: Call, numbers: Iterator[int]) -> None:
    for number in numbers:
        await call(str(number % _IDS))


async def _call_concurrently(call: Call, count: int, concurrency: int) -> None:
    numbers = iter(range(count))
    await asyncio.gather(*(_worker(call, numbers) for _ in range(concurrency)))


def main() -> None:
    """Print the comparisons."""
    parser = arguments(__doc__, rounds=15)
    parser.add_argument("--requests", type=int, default=1_000, help="requests per side and round (default 1000)")
    options = parser.parse_args()
    flag = flags(1)[0]
    body = orjson.dumps({name: flag[name] for name in _FIELDS})
    with serving(Fixed(body)) as base_url, asyncio.Runner() as runner:
        url = f"{base_url}/api/1/flags/"
        headers = {"Authorization": "Bearer benchmark-key", "Accept": "application/json"}
        body_headers = headers | {"Content-Type": "application/json"}
        change = orjson.dumps({"enabled": True})

        async def open_session() -> aiohttp.ClientSession:
            return aiohttp.ClientSession()

        session = runner.run(open_session())
        client = AsyncExperimentClient("benchmark-key", base_url=base_url, rate_limit=None)

        async def get(id: str) -> object:
            async with session.get(url + id, headers=headers) as response:
                return orjson.loads(await response.read())

        async def patch(id: str) -> object:
            async with session.patch(url + id, data=change, headers=body_headers) as response:
                return await response.read()

        pairs_of_calls: dict[str, tuple[Call, Call]] = {
            "flags.get": (client.flags.get, get),
            "client.request": (lambda id: client.request("GET", f"/flags/{id}"), get),
            "flags.edit": (lambda id: client.flags.edit(id, enabled=True), patch),
        }
        for concurrency in (1, 32):

            def measure(call: Call, concurrency: int = concurrency) -> Timing:
                return timed(
                    lambda: runner.run(_call_concurrently(call, options.requests, concurrency)), options.requests
                )

            for name, (client_call, bare_call) in pairs_of_calls.items():
                pairs = alternate(partial(measure, client_call), partial(measure, bare_call), options.rounds)
                for comparison in cpu_and_wall(f"{name} against aiohttp, concurrency {concurrency}", pairs):
                    show(comparison, as_json=options.json)
        runner.run(client.aclose())
        runner.run(session.close())


if __name__ == "__main__":
    main()
