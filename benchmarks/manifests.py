"""Flags as files: plan, lint, save and load of large manifests."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from amp_exp_async import AsyncExperimentClient, Manifest, lint, load, loads, save

from .awaited_calls import UNREACHABLE_LIMIT
from .figures import Figure, seconds
from .flag_service import PROJECT, FlagService
from .measurement import Size, Timing, timed
from .serving import serve


def manifests(size: Size) -> Iterator[Figure]:
    """Measure a JSON manifest of 5,000 flags: a plan that changes nothing, lint, save, and load."""
    count, rounds = size.pick(20, 1_000, 5_000), size.pick(1, 3, 5)
    with serve(FlagService(count)) as base_url, asyncio.Runner() as runner, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "flags.json"
        save(runner.run(_export(base_url)), path)
        manifest = load(path)

        def plan() -> None:
            if runner.run(_has_changes(base_url, manifest)):
                raise RuntimeError("the plan has changes")

        def save_new() -> None:
            save(manifest, Path(folder) / f"{len(list(Path(folder).iterdir()))}.json")

        yield _measure(f"plan over {count:,} flags, nothing changed", plan, rounds)
        yield _measure(f"lint of {count:,} flags", lambda: lint(manifest), rounds)
        yield _measure(f"save of {count:,} flags, JSON", save_new, rounds)
        yield _measure(f"load of {count:,} flags, JSON", lambda: load(path), rounds)


def yaml(size: Size) -> Iterator[Figure]:
    """Measure a YAML manifest of 1,000 flags: load, and save over a file with comments in which little changed."""
    count, rounds = size.pick(5, 300, 1_000), size.pick(1, 3, 5)
    with serve(FlagService(count)) as base_url, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "flags.yaml"
        save(asyncio.run(_export(base_url)), path)
        # Above the items of the list, which are indented less than those of other lists.
        commented = path.read_text(encoding="utf-8").replace("\n  - key:", "\n  # Owner: the checkout team.\n  - key:")
        text = f"# The flags of the shop.\n{commented}"
        changed = loads(text.replace("rollout_percentage: 5", "rollout_percentage: 6"))

        def save_over() -> None:
            save(changed, path)

        def restore() -> None:
            path.write_text(text, encoding="utf-8")

        lines = text.count("\n")
        restore()
        yield _measure(f"load of {count:,} flags, YAML, {lines:,} lines", lambda: load(path), rounds)
        yield _measure(f"save over {count:,} flags, YAML with comments", save_over, rounds, prepare=restore)


def _measure(
    what: str, work: Callable[[], object], rounds: int, prepare: Callable[[], object] = lambda: None
) -> Figure:
    timings: list[Timing] = []
    for _ in range(rounds):
        prepare()
        timings.append(timed(work))
    return seconds(what, timings)


def _client(base_url: str) -> AsyncExperimentClient:
    return AsyncExperimentClient("benchmark-key", base_url=base_url, rate_limit=UNREACHABLE_LIMIT)


async def _export(base_url: str) -> Manifest:
    async with _client(base_url) as client:
        return await client.export(project_id=PROJECT)


async def _has_changes(base_url: str, manifest: Manifest) -> Any:
    async with _client(base_url) as client:
        return bool(await client.plan(manifest))
