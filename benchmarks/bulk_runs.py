"""Bulk runs: their behaviour at the rate limit and under faults, their requests, CPU and memory."""

from __future__ import annotations

import asyncio
import gc
import tempfile
import tracemalloc
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import orjson
import requests

from amp_exp_async import AsyncExperimentClient, BulkSummary, Edit, ReplaceUsers

from .awaited_calls import HEADERS, UNREACHABLE_LIMIT
from .emulator_process import Conditions, EmulatorProcess, Report, emulator_process
from .figures import Figure, share
from .measurement import Size, Timing, alternate, timed
from .serving import Fixed, serve

_LIMIT = 100
_PERCENTAGE = 37  # the rollout percentage that every edit sets
_SETTLED = 10_000  # outcomes after which the memory of a run should not grow


def bulk_limit(size: Size) -> Iterator[Figure]:
    """Edit flags of a service with a strict limit of 100 a second and round trips of 20 to 80 ms.

    The baselines are a loop over requests, which is slow and edits fewer flags, and `asyncio.gather` over aiohttp with
    a semaphore of 32. They count an edit as done if its status is 200.
    """
    yield from _edits(Conditions(flags=size.pick(20, 500, 2_000)), size)


def bulk_faults(size: Size) -> Iterator[Figure]:
    """Edit flags of the same service, which fails with 503 for 5 % of the requests and loses 1 % of the responses."""
    yield from _edits(Conditions(flags=size.pick(20, 500, 2_000), error_share=0.05, lost_share=0.01), size)


def _edits(conditions: Conditions, size: Size) -> Iterator[Figure]:
    with emulator_process(conditions) as emulator:
        summary = asyncio.run(_bulk(emulator, emulator.ids))
        yield from _outcomes("client.bulk", emulator.report(), summary.done, emulator.ids)
    with emulator_process(conditions) as emulator:
        ids = emulator.ids[: size.pick(5, 100, 300)]
        done = _requests_loop(emulator, ids)
        yield from _outcomes("a loop over requests", emulator.report(), done, ids)
    with emulator_process(conditions) as emulator:
        done = asyncio.run(_gather(emulator, emulator.ids))
        yield from _outcomes("gather over aiohttp", emulator.report(), done, emulator.ids)


def _outcomes(what: str, report: Report, done: int, ids: list[str]) -> Iterator[Figure]:
    desired = sum(report.rollout[id] == _PERCENTAGE for id in ids)
    refused = report.statuses[429]
    yield Figure(
        what=what, measure="of the limit used, after the first second", values=[report.share_of(_LIMIT)], unit="%"
    )
    yield Figure(what=what, measure=f"of {len(ids):,} flags edited", values=[desired / len(ids)], unit="%")
    yield Figure(what=what, measure="edited, but not reported as done", values=[desired - done])
    yield Figure(what=what, measure="requests refused", values=[refused])


async def _bulk(emulator: EmulatorProcess, ids: list[str]) -> BulkSummary:
    async with AsyncExperimentClient(emulator.api_key, base_url=emulator.base_url) as client:
        return await client.bulk(Edit("flags", id, {"rollout_percentage": _PERCENTAGE}) for id in ids)


def _requests_loop(emulator: EmulatorProcess, ids: list[str]) -> int:
    headers = HEADERS | {"Authorization": f"Bearer {emulator.api_key}"}
    done = 0
    with requests.Session() as session:
        for id in ids:
            url = f"{emulator.base_url}/api/1/flags/{id}"
            try:
                response = session.patch(url, json={"rolloutPercentage": _PERCENTAGE}, headers=headers, timeout=30)
            except requests.RequestException:
                continue
            done += response.status_code == 200
    return done


async def _gather(emulator: EmulatorProcess, ids: list[str]) -> int:
    headers = HEADERS | {"Authorization": f"Bearer {emulator.api_key}"}
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


def bulk_replace(size: Size) -> Iterator[Figure]:
    """Count the requests of replacing the users of 1,000 variants, of which 50 differ."""
    live = tuple(f"user-{number}" for number in range(20))
    count = size.pick(40, 1_000, 1_000)
    with emulator_process(Conditions(flags=count, users=live, per_second=None, latency=None)) as emulator:
        different = set(emulator.ids[::20])
        desired = {id: (*live[1:], "user-new") if id in different else live for id in emulator.ids}

        async def replace() -> None:
            async with AsyncExperimentClient(emulator.api_key, base_url=emulator.base_url, rate_limit=None) as client:
                await client.bulk([ReplaceUsers("flags", id, "on", users) for id, users in desired.items()])

        asyncio.run(replace())
        report = emulator.report()
    what = f"replace of {count:,} variants, of which {len(different)} differ"
    for method, measure in {"GET": "reads", "POST": "additions", "DELETE": "removals"}.items():
        yield Figure(what=what, measure=measure, values=[report.methods[method]])
    replaced = sum(set(report.users[id]) == set(users) for id, users in desired.items())
    yield Figure(what=what, measure="of the variants as desired", values=[replaced / count], unit="%")


def bulk_cpu(size: Size) -> Iterator[Figure]:
    """Measure an edit of a run against the same PATCH by aiohttp, 64 concurrent."""
    count, rounds = size.pick(20, 500, 2_000), size.pick(1, 7, 15)
    body = orjson.dumps({"enabled": True})
    headers = HEADERS | {"Content-Type": "application/json"}
    with serve(Fixed(b"OK")) as base_url, asyncio.Runner() as runner:

        async def ours() -> None:
            async with AsyncExperimentClient(
                "benchmark-key", base_url=base_url, rate_limit=UNREACHABLE_LIMIT
            ) as client:
                await client.bulk(Edit("flags", str(number), {"enabled": True}) for number in range(count))

        async def baseline() -> None:
            numbers = iter(range(count))
            async with aiohttp.ClientSession(headers=headers) as session:

                async def work() -> None:
                    for number in numbers:
                        async with session.patch(f"{base_url}/api/1/flags/{number}", data=body) as response:
                            await response.read()

                await asyncio.gather(*(work() for _ in range(64)))

        def measure(run: Callable[[], Awaitable[None]]) -> Timing:
            return timed(lambda: runner.run(_awaited(run)), count)

        pairs = alternate(lambda: measure(ours), lambda: measure(baseline), rounds)
    yield share("an edit of a bulk run, 64 concurrent", "aiohttp by hand", pairs)


async def _awaited(run: Callable[[], Awaitable[None]]) -> None:
    await run()


def bulk_memory(size: Size) -> Iterator[Figure]:
    """Measure how the memory of a long run grows, without a network, from a generator and with a journal."""
    count = size.pick(200, 50_000, 1_000_000)
    settled = min(_SETTLED, count // 2)
    with tempfile.TemporaryDirectory() as folder:
        growth = asyncio.run(_growth(count, settled, Path(folder) / "journal.jsonl"))
    yield Figure(
        what=f"run of {count:,} edits with a journal",
        measure=f"growth of memory after the first {settled:,}",
        values=[growth],
        unit="B",
    )


async def _growth(count: int, settled: int, journal: Path) -> float:
    """Return by how many bytes the peak exceeds the memory that is used after the first outcomes."""
    session: Any = _InMemorySession()
    operations = (Edit("flags", str(number % 5_000), {"enabled": True}) for number in range(count))
    async with AsyncExperimentClient("benchmark-key", session=session, rate_limit=None) as client:
        done, before = 0, 0
        tracemalloc.start()
        async for outcome in client.bulk(operations, journal=journal):
            done += outcome.ok
            if done == settled:
                gc.collect()
                before = tracemalloc.get_traced_memory()[0]
                tracemalloc.reset_peak()
        growth = tracemalloc.get_traced_memory()[1] - before
        tracemalloc.stop()
    if done != count:
        raise RuntimeError(f"{done} of {count} edits were done")
    return float(growth)


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
