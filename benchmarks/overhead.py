"""A GET through the client, against bare aiohttp and orjson."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from functools import partial

import aiohttp
import orjson
from measuring import Timing, alternate, arguments, cpu_and_wall, show, timed
from sample import flags
from serving import Fixed, serving

from amp_exp_async import AsyncExperimentClient

_FIELDS = ("id", "key", "projectId", "name", "enabled", "tags")


async def _work(get: Callable[[], Awaitable[object]], tickets: Iterator[int]) -> None:
    for _ in tickets:
        await get()


async def _all(get: Callable[[], Awaitable[object]], count: int, concurrency: int) -> None:
    tickets = iter(range(count))
    await asyncio.gather(*(_work(get, tickets) for _ in range(concurrency)))


def main() -> None:
    """Compare."""
    parser = arguments(__doc__, rounds=15)
    parser.add_argument("--requests", type=int, default=1_000, help="requests of each side in a round (default 1000)")
    options = parser.parse_args()
    flag = flags(1)[0]
    body = orjson.dumps({name: flag[name] for name in _FIELDS})
    with serving(Fixed(body)) as base_url, asyncio.Runner() as runner:
        url = f"{base_url}/api/1/flags/1"
        headers = {"Authorization": "Bearer benchmark-key", "Accept": "application/json"}

        async def open_session() -> aiohttp.ClientSession:
            return aiohttp.ClientSession(headers=headers)

        session = runner.run(open_session())
        client = AsyncExperimentClient("benchmark-key", base_url=base_url, rate_limit=None)

        async def bare() -> object:
            async with session.get(url) as response:
                return orjson.loads(await response.read())

        sides: dict[str, Callable[[], Awaitable[object]]] = {
            "flags.get": lambda: client.flags.get("1"),
            "client.request": lambda: client.request("GET", "/flags/1"),
        }
        for concurrency in (1, 32):

            def side(get: Callable[[], Awaitable[object]], concurrency: int = concurrency) -> Timing:
                return timed(lambda: runner.run(_all(get, options.requests, concurrency)), options.requests)

            for name, get in sides.items():
                pairs = alternate(partial(side, get), partial(side, bare), options.rounds)
                for comparison in cpu_and_wall(f"{name} at {concurrency} at once against aiohttp", pairs):
                    show(comparison, as_json=options.json)
        runner.run(client.aclose())
        runner.run(session.close())


if __name__ == "__main__":
    main()
