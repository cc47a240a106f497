"""Bulk runs: share of the rate limit, behaviour under faults, requests of a replace, memory and CPU.

The emulator enforces a strict limit of 100 requests in any second, with round trips of 20 to 80 ms, in its own process.
The baselines are a loop over `requests`, and `asyncio.gather` over aiohttp with a semaphore of 32. They send the same
edits, and count an edit as done if its status is 200.
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
from emulator_process import Conditions, EmulatorProcess, Report, emulator_process
from measuring import Timing, alternate, arguments, cpu_and_wall, show, timed
from serving import Fixed, serving

from amp_exp_async import AsyncExperimentClient, BulkSummary, Edit, RateLimit, ReplaceUsers

_LIMIT = 100
_HEADERS = {"Authorization": "Bearer benchmark-key", "Accept": "application/json", "Content-Type": "application/json"}
_PERCENTAGE = 37  # the rollout percentage that every edit sets


def _print(as_json: bool, name: str, **figures: Any) -> None:
    if as_json:
        print(json.dumps({"name": name, **figures}), flush=True)
    else:
        print(f"{name}: " + ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in figures.items()), flush=True)


def _figures(report: Report, done: int, ids: list[str]) -> dict[str, Any]:
    return {
        "share_of_the_limit_after_the_first_second": round(report.share_of(_LIMIT), 3),
        "seconds": round(report.arrivals[-1], 1),
        "max_per_second": report.max_per_second,
        "rate_limited": report.statuses[429],
        "reported_done": done,
        "in_desired_state": sum(report.rollout[id] == _PERCENTAGE for id in ids),
        "attempts": report.statuses.total(),
    }


async def _bulk(emulator: EmulatorProcess, ids: list[str]) -> BulkSummary:
    async with AsyncExperimentClient(emulator.api_key, base_url=emulator.base_url) as client:
        return await client.bulk(Edit("flags", id, {"rollout_percentage": _PERCENTAGE}) for id in ids)


def _requests_loop(emulator: EmulatorProcess, ids: list[str]) -> int:
    headers = _HEADERS | {"Authorization": f"Bearer {emulator.api_key}"}
    done = 0
    with requests.Session() as session:
        for id in ids:
            url = f"{emulator.base_url}/api/1/flags/{id}"
            try:
                response = session.patch(url, json={"rolloutPercentage": _PERCENTAGE}, headers=headers)
            except requests.RequestException:
                continue
            done += response.status_code == 200
    return done


async def _gather(emulator: EmulatorProcess, ids: list[str]) -> int:
    headers = _HEADERS | {"Authorization": f"Bearer {emulator.api_key}"}
    semaphore = asyncio.Semaphore(32)
    async with aiohttp.ClientSession(headers=headers) as session:

        async def edit(id: str) -> bool:
            async with semaphore:
                url = f"{emulator.base_url}/api/1/flags/{id}"
                async with session.patch(url, json={"rolloutPercentage": _PERCENTAGE}) as response:
                    await response.read()
                    return response.status == 200

        results = await asyncio.gather(*map(edit, ids), return_exceptions=True)
    return sum(result is True for result in results)


def edits(name: str, conditions: Conditions, loop_edits: int, as_json: bool) -> None:
    """Edit every flag by a bulk run and by `gather`, and some of them by a loop over `requests`, which is slow."""
    with emulator_process(conditions) as emulator:
        summary = asyncio.run(_bulk(emulator, emulator.ids))
        _print(as_json, f"{name}, client.bulk", **_figures(emulator.report(), summary.done, emulator.ids))
    with emulator_process(conditions) as emulator:
        ids = emulator.ids[:loop_edits]
        done = _requests_loop(emulator, ids)
        _print(as_json, f"{name}, requests loop", **_figures(emulator.report(), done, ids))
    with emulator_process(conditions) as emulator:
        done = asyncio.run(_gather(emulator, emulator.ids))
        _print(as_json, f"{name}, gather", **_figures(emulator.report(), done, emulator.ids))


def replacing(as_json: bool) -> None:
    """Replace the users of 1,000 variants, of which 50 differ."""
    live = tuple(f"user-{number}" for number in range(20))
    with emulator_process(Conditions(flags=1_000, users=live, per_second=None, latency=None)) as emulator:
        different = set(emulator.ids[::20])
        desired = {id: (*live[1:], "user-new") if id in different else live for id in emulator.ids}

        async def replace() -> BulkSummary:
            async with AsyncExperimentClient(emulator.api_key, base_url=emulator.base_url, rate_limit=None) as client:
                return await client.bulk([ReplaceUsers("flags", id, "on", users) for id, users in desired.items()])

        summary, report = asyncio.run(replace()), emulator.report()
        _print(
            as_json,
            "replace of 1,000 variants of which 50 differ",
            reads=report.methods["GET"],
            additions=report.methods["POST"],
            removals=report.methods["DELETE"],
            reported_requests=summary.requests,
            in_desired_state=sum(set(report.users[id]) == set(users) for id, users in desired.items()),
        )


class _InMemorySession:
    """A substitute for an aiohttp session that answers `OK` at once."""

    closed = False

    async def request(self, *_: object, **__: object) -> SimpleNamespace:
        """Return a response."""
        await asyncio.sleep(0)
        return _RESPONSE

    def detach(self) -> None:
        """Do nothing: no connection is open."""


async def _read() -> bytes:
    return b"OK"


_RESPONSE = SimpleNamespace(status=200, headers={}, read=_read)


def memory(operations: int, as_json: bool) -> None:
    """Measure the peak memory of a run of many operations from a generator, above the level at its start."""

    async def run() -> int:
        session: Any = _InMemorySession()
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
    """Compare the CPU time of an edit in a run with that of the same PATCH by aiohttp, 64 concurrent."""
    count = 2_000
    body = orjson.dumps({"enabled": True})
    with serving(Fixed(b"OK")) as base_url, asyncio.Runner() as runner:

        async def open_session() -> aiohttp.ClientSession:
            return aiohttp.ClientSession()

        session = runner.run(open_session())
        limit = RateLimit(per_second=1_000_000, per_day=None)
        client = AsyncExperimentClient("benchmark-key", base_url=base_url, rate_limit=limit)

        async def send(numbers: Iterator[int]) -> None:
            for number in numbers:
                url = f"{base_url}/api/1/flags/{number}"
                async with session.patch(url, data=body, headers=_HEADERS) as response:
                    await response.read()

        async def baseline() -> None:
            numbers = iter(range(count))
            await asyncio.gather(*(send(numbers) for _ in range(64)))

        async def ours() -> None:
            await client.bulk(Edit("flags", str(number), {"enabled": True}) for number in range(count))

        def side(run: Callable[[], Awaitable[None]]) -> Timing:
            return timed(lambda: runner.run(_awaited(run)), count)

        pairs = alternate(partial(side, ours), partial(side, baseline), rounds)
        for comparison in cpu_and_wall("an operation, 64 concurrent, against aiohttp", pairs):
            show(comparison, as_json=as_json)
        runner.run(client.aclose())
        runner.run(session.close())


async def _awaited(run: Callable[[], Awaitable[None]]) -> None:
    await run()


def main() -> None:
    """Run the selected measurements, or all."""
    parser = arguments(__doc__, rounds=15)
    choices = ("limit", "faults", "replace", "memory", "processor")
    parser.add_argument("only", nargs="*", choices=[*choices, []], help="what to measure (default: everything)")
    parser.add_argument("--operations", type=int, default=1_000_000, help="of the memory figure (default 1,000,000)")
    options = parser.parse_args()
    selected = Counter(options.only or choices)
    if selected["limit"]:
        edits("2,000 edits", Conditions(), 300, options.json)
    if selected["faults"]:
        edits("2,000 edits, 5 % 503, 1 % lost", Conditions(error_share=0.05, lost_share=0.01), 300, options.json)
    if selected["replace"]:
        replacing(options.json)
    if selected["memory"]:
        memory(options.operations, options.json)
    if selected["processor"]:
        processor(options.rounds, options.json)


if __name__ == "__main__":
    main()
