"""A GET and a PATCH through the client, against bare aiohttp and orjson."""

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


_IDS = 100  # several flags, since writes to one wait for each other; few, so that both sides find the URLs parsed


async def _work(call: Callable[[str], Awaitable[object]], tickets: Iterator[int]) -> None:
    for ticket in tickets:
        await call(str(ticket % _IDS))


async def _all(call: Callable[[str], Awaitable[object]], count: int, concurrency: int) -> None:
    tickets = iter(range(count))
    await asyncio.gather(*(_work(call, tickets) for _ in range(concurrency)))


def main() -> None:
    """Compare."""
    parser = arguments(__doc__, rounds=15)
    parser.add_argument("--requests", type=int, default=1_000, help="requests of each side in a round (default 1000)")
    options = parser.parse_args()
    flag = flags(1)[0]
    body = orjson.dumps({name: flag[name] for name in _FIELDS})
    with serving(Fixed(body)) as base_url, asyncio.Runner() as runner:
        url = f"{base_url}/api/1/flags/"
        headers = {"Authorization": "Bearer benchmark-key", "Accept": "application/json"}
        of_body = headers | {"Content-Type": "application/json"}
        change = orjson.dumps({"enabled": True})

        async def open_session() -> aiohttp.ClientSession:
            return aiohttp.ClientSession()

        session = runner.run(open_session())
        client = AsyncExperimentClient("benchmark-key", base_url=base_url, rate_limit=None)

        async def get(id: str) -> object:
            async with session.get(url + id, headers=headers) as response:
                return orjson.loads(await response.read())

        async def patch(id: str) -> object:
            async with session.patch(url + id, data=change, headers=of_body) as response:
                return await response.read()

        sides: dict[str, tuple[Callable[[str], Awaitable[object]], Callable[[str], Awaitable[object]]]] = {
            "flags.get": (client.flags.get, get),
            "client.request": (lambda id: client.request("GET", f"/flags/{id}"), get),
            "flags.edit": (lambda id: client.flags.edit(id, enabled=True), patch),
        }
        for concurrency in (1, 32):

            def side(call: Callable[[str], Awaitable[object]], concurrency: int = concurrency) -> Timing:
                return timed(lambda: runner.run(_all(call, options.requests, concurrency)), options.requests)

            for name, (ours, bare) in sides.items():
                pairs = alternate(partial(side, ours), partial(side, bare), options.rounds)
                for comparison in cpu_and_wall(f"{name} at {concurrency} at once against aiohttp", pairs):
                    show(comparison, as_json=options.json)
        runner.run(client.aclose())
        runner.run(session.close())


if __name__ == "__main__":
    main()
