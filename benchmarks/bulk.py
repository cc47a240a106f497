"""Bulk runs at the limit, through faults, in place, in memory, and on the processor.

The emulator keeps a strict limit of 100 requests in any second, behind round trips of 20 to 80 ms, in a process of its
own. Beside ours stand a loop over `requests` and `asyncio.gather` over aiohttp with a semaphore of 32, as people write
them: they send the same edits, and count as done what was answered with 200.
"""

from __future__ import annotations

import asyncio
import gc
import json
import time
import tracemalloc
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any

import aiohttp
import orjson
import requests
from emulating import Conditions, Report, Served, emulating
from measuring import Timing, alternate, arguments, cpu_and_wall, show, timed
from serving import Fixed, serving

from amp_exp_async import AsyncExperimentClient, BulkSummary, Edit, RateLimit, ReplaceUsers

_LIMIT = 100
_HEADERS = {"Authorization": "Bearer benchmark-key", "Accept": "application/json", "Content-Type": "application/json"}
_WANTED = 37  # the rollout percentage that every edit sets


def _print(as_json: bool, name: str, **figures: Any) -> None:
    if as_json:
        print(json.dumps({"name": name, **figures}), flush=True)
    else:
        print(f"{name}: " + ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in figures.items()), flush=True)


def _figures(report: Report, done: int, ids: list[str]) -> dict[str, Any]:
    return {
        "share_of_the_limit_after_the_first_second": round(report.share_of(_LIMIT), 3),
        "seconds": round(report.arrivals[-1], 1),
        "most_in_a_second": report.most_in_a_second,
        "refused": report.statuses[429],
        "reported_done": done,
        "in_their_intended_state": sum(report.state[id] == _WANTED for id in ids),
        "attempts": report.statuses.total(),
    }


async def _ours(served: Served, ids: list[str]) -> BulkSummary:
    async with AsyncExperimentClient(served.api_key, base_url=served.base_url) as client:
        return await client.bulk(Edit("flags", id, {"rollout_percentage": _WANTED}) for id in ids)


def _requests_loop(served: Served, ids: list[str]) -> int:
    headers = _HEADERS | {"Authorization": f"Bearer {served.api_key}"}
    done = 0
    with requests.Session() as session:
        for id in ids:
            url = f"{served.base_url}/api/1/flags/{id}"
            try:
                done += session.patch(url, json={"rolloutPercentage": _WANTED}, headers=headers).status_code == 200
            except requests.RequestException:
                continue
    return done


async def _gather(served: Served, ids: list[str]) -> int:
    headers = _HEADERS | {"Authorization": f"Bearer {served.api_key}"}
    semaphore = asyncio.Semaphore(32)
    async with aiohttp.ClientSession(headers=headers) as session:

        async def edit(id: str) -> bool:
            async with semaphore:
                url = f"{served.base_url}/api/1/flags/{id}"
                async with session.patch(url, json={"rolloutPercentage": _WANTED}) as response:
                    await response.read()
                    return response.status == 200

        results = await asyncio.gather(*map(edit, ids), return_exceptions=True)
    return sum(result is True for result in results)


def edits(name: str, conditions: Conditions, few: int, as_json: bool) -> None:
    """The same edit of every flag: ours, a loop over `requests` (of few flags: it takes its time), and a gather."""
    with emulating(conditions) as served:
        summary = asyncio.run(_ours(served, served.ids))
        _print(as_json, f"{name}, client.bulk", **_figures(served.report(), summary.done, served.ids))
    with emulating(conditions) as served:
        done = _requests_loop(served, served.ids[:few])
        _print(as_json, f"{name}, requests loop", **_figures(served.report(), done, served.ids[:few]))
    with emulating(conditions) as served:
        done = asyncio.run(_gather(served, served.ids))
        _print(as_json, f"{name}, gather", **_figures(served.report(), done, served.ids))


def replacing(as_json: bool) -> None:
    """Make 1,000 variants include what they include already, but for 50 of them."""
    present = tuple(f"user-{number}" for number in range(20))
    with emulating(Conditions(flags=1_000, users=present, per_second=None, latency=None)) as served:
        different = set(served.ids[::20])
        wanted = {id: (*present[1:], "user-new") if id in different else present for id in served.ids}

        async def replace() -> BulkSummary:
            async with AsyncExperimentClient(served.api_key, base_url=served.base_url, rate_limit=None) as client:
                return await client.bulk([ReplaceUsers("flags", id, "on", users) for id, users in wanted.items()])

        summary, report = asyncio.run(replace()), served.report()
        _print(
            as_json,
            "replace of 1,000 variants of which 50 differ",
            reads=report.methods["GET"],
            additions=report.methods["POST"],
            removals=report.methods["DELETE"],
            reported_requests=summary.requests,
            as_wanted=sum(set(report.users[id]) == set(users) for id, users in wanted.items()),
        )


class _InMemory:
    """Stands in for an aiohttp session whose service says OK at once."""

    closed = False

    async def request(self, *_: object, **__: object) -> SimpleNamespace:
        """Say OK."""
        await asyncio.sleep(0)
        return _OK

    def detach(self) -> None:
        """Nothing is held."""


async def _read() -> bytes:
    return b"OK"


_OK = SimpleNamespace(status=200, headers={}, read=_read)


def memory(operations: int, as_json: bool) -> None:
    """The peak of a run of very many operations from a generator, over what was there at its start."""

    async def run() -> int:
        session: Any = _InMemory()
        async with AsyncExperimentClient("benchmark-key", session=session, rate_limit=None) as client:
            await client.bulk(Edit("flags", str(number % 100), {"enabled": True}) for number in range(1_000))
            gc.collect()
            tracemalloc.start()
            before = tracemalloc.get_traced_memory()[0]
            bulk = client.bulk(Edit("flags", str(number % 5_000), {"enabled": True}) for number in range(operations))
            summary = await bulk
            assert summary.done == operations
            return tracemalloc.get_traced_memory()[1] - before

    started = time.perf_counter()
    peak = asyncio.run(run())
    tracemalloc.stop()
    seconds = time.perf_counter() - started
    _print(as_json, f"{operations:,} operations in memory", peak_megabytes=round(peak / 1e6, 2), seconds=round(seconds))


def processor(rounds: int, as_json: bool) -> None:
    """An edit in a run against the same PATCH by bare aiohttp, 64 at once."""
    count = 2_000
    body = orjson.dumps({"enabled": True})
    with serving(Fixed(b"OK")) as base_url, asyncio.Runner() as runner:

        async def open_session() -> aiohttp.ClientSession:
            return aiohttp.ClientSession()

        session = runner.run(open_session())
        limit = RateLimit(per_second=1_000_000, per_day=None)
        client = AsyncExperimentClient("benchmark-key", base_url=base_url, rate_limit=limit)

        async def work(tickets: Iterator[int]) -> None:
            for ticket in tickets:
                url = f"{base_url}/api/1/flags/{ticket}"
                async with session.patch(url, data=body, headers=_HEADERS) as response:
                    await response.read()

        async def bare() -> None:
            tickets = iter(range(count))
            await asyncio.gather(*(work(tickets) for _ in range(64)))

        async def ours() -> None:
            await client.bulk(Edit("flags", str(number), {"enabled": True}) for number in range(count))

        def side(run: Callable[[], Awaitable[None]]) -> Timing:
            return timed(lambda: runner.run(_awaited(run)), count)

        pairs = alternate(partial(side, ours), partial(side, bare), rounds)
        for comparison in cpu_and_wall("an operation at 64 at once against bare aiohttp", pairs):
            show(comparison, as_json=as_json)
        runner.run(client.aclose())
        runner.run(session.close())


async def _awaited(run: Callable[[], Awaitable[None]]) -> None:
    await run()


def main() -> None:
    """Measure what is asked for, or everything."""
    parser = arguments(__doc__, rounds=15)
    choices = ("limit", "faults", "replace", "memory", "processor")
    parser.add_argument("only", nargs="*", choices=[*choices, []], help="what to measure (default: everything)")
    parser.add_argument("--operations", type=int, default=1_000_000, help="of the memory figure (default 1,000,000)")
    options = parser.parse_args()
    wanted = Counter(options.only or choices)
    if wanted["limit"]:
        edits("2,000 edits", Conditions(), 300, options.json)
    if wanted["faults"]:
        edits("2,000 edits, 5 % 503, 1 % lost", Conditions(failing=0.05, losing=0.01), 300, options.json)
    if wanted["replace"]:
        replacing(options.json)
    if wanted["memory"]:
        memory(options.operations, options.json)
    if wanted["processor"]:
        processor(options.rounds, options.json)


if __name__ == "__main__":
    main()
