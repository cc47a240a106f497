"""The demo: the main job of this library, on real input, over real HTTP, against the embedded emulator."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from importlib.resources import as_file, files
from typing import Any

from amp_exp_async import AsyncExperimentClient, Edit, ExperimentClient, Flag
from amp_exp_async.emulator import Emulator

from .progress import Reporter

_EDITED = 200
_ADDED = 1500
_REMOVED = 400
_COHORTS = ("cohort-beta-testers", "cohort-employees", "cohort-kyoto-東京")
_TAG = "synced"
_DESCRIPTION = "Edited without await: ça marche, うまくいった ✅"
_WIRE_NAMES = {"tags": "tags", "rollout_percentage": "rolloutPercentage", "description": "description"}
_STAMPS = {"lastModifiedAt", "lastModifiedBy"}


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
        with report.step("Reading back from the emulator", None) as advance:
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
    async with AsyncExperimentClient(emulator.api_key, base_url=emulator.base_url) as client:
        flags: list[Flag] = []
        with report.step("Paging through all flags", None) as advance:
            async for flag in client.flags.list(include_archived=True, limit=100):
                flags.append(flag)
                advance(1)
        with report.step("Paging through all experiments", None) as advance:
            async for _ in client.experiments.list(include_archived=True, limit=100):
                summary.experiments += 1
                advance(1)
        summary.flags = len(flags)
        active = [flag for flag in flags if not flag.deleted]
        changes = _Changes({flag.id: _edit_of(flag) for flag in active[:_EDITED]})
        run = client.bulk([Edit("flags", id, edit) for id, edit in changes.edits.items()])
        with report.watch(f"Editing {len(changes.edits)} flags at once", run):
            requests, started = client.usage.requests, time.monotonic()
            await run
            rate = (client.usage.requests - requests) / (time.monotonic() - started)
        run.raise_for_failures()
        summary.share_of_limit = round(rate / summary.limit_per_second, 3)
        await _include(client, active[-1], report, changes)
        _add_usage(summary, client)
    return changes


def _edit_of(flag: Flag) -> dict[str, Any]:
    return {"tags": [*(flag.tags or ()), _TAG], "rollout_percentage": (int(flag.rollout_percentage or 0) + 10) % 101}


async def _include(client: AsyncExperimentClient, flag: Flag, report: Reporter, changes: _Changes) -> None:
    """Add users to a variant, remove some of them again, and add cohorts."""
    changes.flag, changes.variant = flag.id, next(iter(flag.variants or ())).key
    users = [f"demo-user-{number:04}" for number in range(_ADDED)]
    included, cohorts_included = client.flags.users, client.flags.cohorts
    present = await included.list(changes.flag, changes.variant)
    cohorts = await cohorts_included.list(changes.flag, changes.variant)
    for title, begin, ids in (
        (f"Adding {_ADDED} users to a variant", included.add_many, users),
        (f"Removing {_REMOVED} of them again", included.remove_many, users[:_REMOVED]),
        (f"Adding {len(_COHORTS)} cohorts", cohorts_included.add_many, _COHORTS),
    ):
        # One operation on many ids: what shows how far it is are the ids.
        with report.step(title, len(ids)) as advance:
            run = begin(changes.flag, changes.variant, ids)
            async for outcome in run:
                advance(len(outcome.changed))
            run.raise_for_failures()
    changes.users = [*present, *users[_REMOVED:]]
    changes.cohorts = [*cohorts, *_COHORTS]


def _block(emulator: Emulator, report: Reporter, summary: Summary, changes: _Changes) -> None:
    """A few of the same calls for scripts and notebooks, without asyncio."""
    with (
        ExperimentClient(emulator.api_key, base_url=emulator.base_url) as client,
        report.step("A few of the same calls, blocking", None) as advance,
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
