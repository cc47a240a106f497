"""The demo: the main job of this library, on real input, over real HTTP, against the embedded emulator."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.resources import as_file, files
from typing import Any

from anyio import create_task_group

from amp_exp_async import AsyncExperimentClient, ExperimentClient, Flag, RateLimit
from amp_exp_async.emulator import Emulator

from .progress import Reporter

_EDITED = 200
_ADDED = 1500
_REMOVED = 400
_AT_ONCE = 100  # ids in one removal
_COHORTS = ("cohort-beta-testers", "cohort-employees", "cohort-kyoto-東京")
_TAG = "synced"
_DESCRIPTION = "Edited without await: ça marche, うまくいった ✅"
_WIRE_NAMES = {"tags": "tags", "rollout_percentage": "rolloutPercentage", "description": "description"}
_STAMPS = {"lastModifiedAt", "lastModifiedBy"}

# Two clients use one key here: together they keep to its limit.
_ASYNC_SHARE = RateLimit(per_second=90)
_BLOCKING_SHARE = RateLimit(per_second=10)


@dataclass
class Summary:
    """How the demo went.

    Attributes:
        flags: flags read.
        experiments: experiments read.
        requests: requests sent by both clients, retries included.
        seconds: from the first request to the last.
        limit_per_second: the emulator's limit.
        share_of_limit: requests a second while the flags were edited, as a share of that limit.
        peak_per_second: the most requests that the emulator saw in any one second.
        rate_limited: 429s.
        retries: requests that were repeats.
        changes_checked: changes that were compared with what the emulator holds.
        faults: what was not as it should be.
        ok: whether every change arrived and nothing was refused.
    """

    flags: int = 0
    experiments: int = 0
    requests: int = 0
    seconds: float = 0.0
    limit_per_second: int = 100
    share_of_limit: float = 0.0
    peak_per_second: int = 0
    rate_limited: int = 0
    retries: int = 0
    changes_checked: int = 0
    faults: list[str] = field(default_factory=list[str])
    ok: bool = False


def run(report: Reporter) -> Summary:
    """Run the demo from beginning to end."""
    summary = Summary()
    with as_file(files("amp_exp_async.cli") / "demo_state.json") as state, Emulator(state) as emulator:
        before = {flag["id"]: flag for flag in emulator.state.flags}
        started = time.monotonic()
        changes = asyncio.run(_sync(emulator, report, summary))
        _block(emulator, report, summary, changes)
        summary.seconds = round(time.monotonic() - started, 3)
        with report("Reading back from the emulator", None) as advance:
            _check(emulator, before, changes, summary)
            advance(summary.changes_checked)
        summary.peak_per_second = emulator.peak_per_second
        summary.ok = not summary.faults and summary.rate_limited == 0 and emulator.refused == 0
    return summary


@dataclass
class _Changes:
    """What is to be found in the emulator at the end."""

    edits: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    flag: str = ""
    variant: str = ""
    users: list[str] = field(default_factory=list[str])
    cohorts: list[str] = field(default_factory=list[str])


async def _sync(emulator: Emulator, report: Reporter, summary: Summary) -> _Changes:
    """The part for asyncio applications."""
    async with AsyncExperimentClient(emulator.api_key, base_url=emulator.base_url, rate_limit=_ASYNC_SHARE) as client:
        flags: list[Flag] = []
        with report("Paging through all flags", None) as advance:
            async for flag in client.flags.list(include_archived=True, limit=100):
                flags.append(flag)
                advance(1)
        with report("Paging through all experiments", None) as advance:
            async for _ in client.experiments.list(include_archived=True, limit=100):
                summary.experiments += 1
                advance(1)
        summary.flags = len(flags)
        active = [flag for flag in flags if not flag.deleted]
        changes = _Changes({flag.id: _edit_of(flag) for flag in active[:_EDITED]})
        with report(f"Editing {len(changes.edits)} flags at once", len(changes.edits)) as advance:
            requests, started = client.usage.requests, time.monotonic()
            async with create_task_group() as group:
                for id, edit in changes.edits.items():
                    group.start_soon(_edit, client, id, edit, advance)
            rate = (client.usage.requests - requests) / (time.monotonic() - started)
            summary.share_of_limit = round(rate / summary.limit_per_second, 3)
        await _include(client, active[-1], report, changes)
        _add_usage(summary, client)
    return changes


def _edit_of(flag: Flag) -> dict[str, Any]:
    return {"tags": [*(flag.tags or ()), _TAG], "rollout_percentage": (int(flag.rollout_percentage or 0) + 10) % 101}


async def _edit(client: AsyncExperimentClient, id: str, edit: dict[str, Any], advance: Callable[[int], None]) -> None:
    await client.flags.edit(id, **edit)
    advance(1)


async def _include(client: AsyncExperimentClient, flag: Flag, report: Reporter, changes: _Changes) -> None:
    """Add users to a variant, remove some of them again, and add cohorts."""
    changes.flag, changes.variant = flag.id, next(iter(flag.variants or ())).key
    users = [f"demo-user-{number:04}" for number in range(_ADDED)]
    with report(f"Adding {_ADDED} users to a variant", _ADDED) as advance:
        present = await client.flags.users.list(changes.flag, changes.variant)
        await client.flags.users.add(changes.flag, changes.variant, users)
        advance(_ADDED)
    with report(f"Removing {_REMOVED} of them again", _REMOVED) as advance:
        for start in range(0, _REMOVED, _AT_ONCE):
            await client.flags.users.remove(changes.flag, changes.variant, users[start : start + _AT_ONCE])
            advance(_AT_ONCE)
    with report(f"Adding {len(_COHORTS)} cohorts", len(_COHORTS)) as advance:
        cohorts = await client.flags.cohorts.list(changes.flag, changes.variant)
        await client.flags.cohorts.add(changes.flag, changes.variant, _COHORTS)
        advance(len(_COHORTS))
    changes.users = [*present, *users[_REMOVED:]]
    changes.cohorts = [*cohorts, *_COHORTS]


def _block(emulator: Emulator, report: Reporter, summary: Summary, changes: _Changes) -> None:
    """A few of the same calls for scripts and notebooks, without asyncio."""
    with (
        ExperimentClient(emulator.api_key, base_url=emulator.base_url, rate_limit=_BLOCKING_SHARE) as client,
        report("A few of the same calls, blocking", None) as advance,
    ):
        flag = next(iter(client.flags.list(limit=1)))
        client.flags.edit(flag.id, description=_DESCRIPTION)
        changes.edits.setdefault(flag.id, {})["description"] = _DESCRIPTION
        client.flags.users.add(changes.flag, changes.variant, ["demo-blocking-user"])
        changes.users.append("demo-blocking-user")
        for read in (client.flags.users.list, client.flags.cohorts.list):
            read(changes.flag, changes.variant)
        _add_usage(summary, client)
        advance(client.usage.requests)


def _add_usage(summary: Summary, client: AsyncExperimentClient | ExperimentClient) -> None:
    summary.requests += client.usage.requests
    summary.retries += client.usage.retries
    summary.rate_limited += client.usage.rate_limited


def _check(emulator: Emulator, before: dict[str, dict[str, Any]], changes: _Changes, summary: Summary) -> None:
    """Compare what the emulator holds with what it should: the changes, and nothing else."""
    for flag in emulator.state.flags:
        edit = {_WIRE_NAMES[name]: value for name, value in changes.edits.get(flag["id"], {}).items()}
        summary.changes_checked += len(edit)
        expected = before[flag["id"]] | edit
        for name in (expected.keys() | flag.keys()) - _STAMPS:
            if flag.get(name) != expected.get(name):
                summary.faults.append(f"flag {flag['id']}: {name} is {flag.get(name)!r}, not {expected.get(name)!r}")
    for name, wanted, found in (
        ("users", changes.users, emulator.state.users("flags", changes.flag, changes.variant)),
        ("cohorts", changes.cohorts, emulator.state.cohorts("flags", changes.flag, changes.variant)),
    ):
        summary.changes_checked += len(wanted)
        if sorted(wanted) != sorted(found):
            wrong = len(set(wanted) ^ set(found))
            summary.faults.append(f"{name} of flag {changes.flag}: {wrong} missing or too many")
