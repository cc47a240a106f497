"""How the cost of each kind of work grows with the number of flags."""

from __future__ import annotations

import asyncio
import gc
import math
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import linear_regression
from typing import NamedTuple

import attrs

from amp_exp_async import AsyncExperimentClient, Edit, Manifest, lint, load, save
from amp_exp_async.cli.collector import collect_rarely

from .awaited_calls import UNREACHABLE_LIMIT
from .figures import Figure
from .flag_service import FIRST_ID, PAGE_SIZE, PROJECT, FlagService
from .measurement import Size, timed
from .serving import serve


class _Cost(NamedTuple):
    """Seconds of processor time, and those of them that the garbage collector took."""

    cpu: float
    collecting: float


def growth(size: Size) -> Iterator[Figure]:
    """Measure how the CPU time grows from 1,000 flags to 100,000."""
    counts = size.pick([10, 20, 30], [500, 2_000, 8_000], [1_000, 10_000, 100_000])
    rounds = [
        [_measure_all(count, repeats=size.pick(1, 3, min(5, 1 + 20_000 // count))) for count in counts]
        for _ in range(size.pick(1, 3, 1))
    ]
    for work in rounds[0][0]:
        yield from _figures(work, counts, [[cost[work] for cost in by_count] for by_count in rounds])


def growth_of_commands(size: Size) -> Iterator[Figure]:
    """Measure the same with the garbage collector as `amp-exp` sets it for its process."""
    thresholds = gc.get_threshold()
    collect_rarely()
    try:
        yield from growth(size)
    finally:
        gc.set_threshold(*thresholds)


def _figures(work: str, counts: Sequence[int], rounds: Sequence[Sequence[_Cost]]) -> Iterator[Figure]:
    """Yield the exponents of some work, where 1 is proportional and 2 is quadratic, and its cost at each size."""
    for start in range(len(counts) - 1):
        yield Figure(
            what=work,
            measure=f"exponent of the CPU, {counts[start]:,} to {counts[-1]:,} flags",
            values=[_exponent(counts[start:], [cost.cpu for cost in by_count[start:]]) for by_count in rounds],
        )
    yield Figure(
        what=work,
        measure=f"exponent without the garbage collector, {counts[0]:,} to {counts[-1]:,} flags",
        values=[_exponent(counts, [cost.cpu - cost.collecting for cost in by_count]) for by_count in rounds],
    )
    for index, count in enumerate(counts):
        yield Figure(
            what=work,
            measure=f"CPU, {count:,} flags",
            values=[by_count[index].cpu for by_count in rounds],
            unit="s",
        )
        yield Figure(
            what=work,
            measure=f"of it the garbage collector, {count:,} flags",
            values=[by_count[index].collecting / by_count[index].cpu for by_count in rounds],
            unit="%",
        )


def _exponent(counts: Sequence[int], seconds: Sequence[float]) -> float:
    return linear_regression([math.log(count) for count in counts], [math.log(second) for second in seconds]).slope


def _measure_all(count: int, *, repeats: int) -> dict[str, _Cost]:
    """Return the cost of each kind of work with a number of flags."""
    with tempfile.TemporaryDirectory() as folder, serve(FlagService(count)) as base_url, asyncio.Runner() as runner:
        client = AsyncExperimentClient("benchmark-key", base_url=base_url, rate_limit=UNREACHABLE_LIMIT)
        try:
            work = _Work(client, runner, count, Path(folder))
            return {name: _median_cost(run, repeats) for name, run in work.kinds().items()}
        finally:
            runner.run(client.aclose())


def _median_cost(run: Callable[[], object], repeats: int) -> _Cost:
    costs: list[_Cost] = []
    for _ in range(repeats):
        with _collector_clock() as spent:
            cpu = timed(run).cpu
        costs.append(_Cost(cpu, sum(spent[1:])))  # the first collection comes before the work
    return sorted(costs)[len(costs) // 2]


@contextmanager
def _collector_clock() -> Iterator[list[float]]:
    """Yield a list that gets the seconds of each collection."""
    spent: list[float] = []
    started = 0.0

    def on_collection(phase: str, info: object) -> None:  # noqa: ARG001 - all callbacks get it
        nonlocal started
        if phase == "start":
            started = time.process_time()
        else:
            spent.append(time.process_time() - started)

    gc.callbacks.append(on_collection)
    try:
        yield spent
    finally:
        gc.callbacks.remove(on_collection)


class _Work:
    """The kinds of work on a number of flags."""

    def __init__(self, client: AsyncExperimentClient, runner: asyncio.Runner, count: int, folder: Path) -> None:
        self._client = client
        self._runner = runner
        self._count = count
        self._folder = folder
        self._manifest = Manifest()

    def kinds(self) -> Mapping[str, Callable[[], object]]:
        """Return each kind of work by name, in an order in which later ones find what earlier ones made."""
        return {
            "list": self._list,
            "bulk": self._bulk,
            "journal resume": self._resume,
            "export": self._export,
            "save": self._save,
            "load": lambda: load(self._folder / "flags.json"),
            "lint": lambda: lint(self._manifest),
            "plan": lambda: self._runner.run(self._plan(self._manifest)),
            "apply": lambda: self._runner.run(self._apply()),
        }

    def _list(self) -> None:
        async def read() -> None:
            async for _ in self._client.flags.list(project_id=PROJECT, limit=PAGE_SIZE):
                pass

        self._runner.run(read())

    def _bulk(self) -> None:
        (self._folder / "journal.jsonl").unlink(missing_ok=True)
        self._resume()

    def _resume(self) -> None:
        """Run edits with a journal. If the journal exists, they are done already."""

        async def run() -> None:
            operations = (Edit("flags", str(FIRST_ID + number), {"enabled": True}) for number in range(self._count))
            summary = await self._client.bulk(operations, journal=self._folder / "journal.jsonl")
            if not summary.ok:
                raise RuntimeError(f"not all edits were done: {summary}")

        self._runner.run(run())

    def _export(self) -> None:
        self._manifest = self._runner.run(self._client.export(project_id=PROJECT))

    def _save(self) -> None:
        file = self._folder / "flags.json"
        file.unlink(missing_ok=True)  # an existing file would be read first
        save(self._manifest, file)

    async def _plan(self, manifest: Manifest) -> None:
        await self._client.plan(manifest)

    async def _apply(self) -> None:
        """Apply a manifest that changes every flag."""
        flags = [attrs.evolve(flag, enabled=not flag.enabled) for flag in self._manifest.flags]
        plan = await self._client.plan(attrs.evolve(self._manifest, flags=flags))
        await self._client.apply(plan)
