"""The demo: edit many flags and include many users, over HTTP, on an embedded emulator."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

import amp_exp_async
from amp_exp_async.emulator import Emulator

from .demo_account import make_account
from .output import Reporter, format_value

_EDITED = 200
_ADDED = 1500
_REMOVED = 400
_COHORTS = ("cohort-beta-testers", "cohort-employees", "cohort-kyoto-東京")
_TAG = "synced"
_DESCRIPTION = "Edited without await: ça marche, うまくいった ✅"
_JSON_NAMES = {"tags": "tags", "rollout_percentage": "rolloutPercentage", "description": "description"}
_TIMESTAMPS = {"lastModifiedAt", "lastModifiedBy"}


@dataclass
class DemoSummary:
    """The result of the demo. The attributes are the keys that `--json` prints.

    Attributes:
        flags: the number of flags read.
        experiments: the number of experiments read.
        requests: the number of requests that both clients sent, retries included.
        seconds: the duration of all requests.
        limit_per_second: the emulator's limit.
        share_of_limit: the share of what that limit allows in the time that was used while the flags were edited.
        peak_per_second: the maximum number of requests in any second.
        rate_limited: the number of 429 responses.
        retries: the number of retries.
        fields_checked: the number of edited fields that were compared with the emulator's state.
        users_checked: the number of users that must be included.
        cohorts_checked: the number of cohorts that must be included.
        changes_checked: the sum of these three.
        faults: changes that are missing or wrong.
        ok: whether all changes were applied and no request was rejected.
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
    fields_checked: int = 0
    users_checked: int = 0
    cohorts_checked: int = 0
    changes_checked: int = 0
    faults: list[str] = field(default_factory=list[str])
    ok: bool = False


def run_demo(reporter: Reporter) -> DemoSummary:
    """Run the demo."""
    summary = DemoSummary()
    with Emulator(make_account(), strictness="live") as emulator:
        before = {flag["id"]: flag for flag in emulator.state.flags}
        started = time.monotonic()
        changes = asyncio.run(_edit_flags(emulator, reporter, summary))
        _use_sync_client(emulator, reporter, summary, changes)
        summary.seconds = round(time.monotonic() - started, 3)
        with reporter.step("Reading back from the emulator", None) as advance:
            _check(emulator, before, changes, summary)
            advance(summary.changes_checked)
        summary.peak_per_second = emulator.peak_per_second
        summary.ok = not summary.faults and summary.rate_limited == 0 and emulator.refused == 0
    return summary


@dataclass
class ExpectedChanges:
    """The state that the emulator must have at the end.

    Attributes:
        edits: the edited fields by flag ID.
        flag: the ID of the flag whose inclusions change.
        variant: the variant whose inclusions change.
        users: the users included in that variant.
        cohorts: the cohorts included in it.
    """

    edits: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    flag: str = ""
    variant: str = ""
    users: list[str] = field(default_factory=list[str])
    cohorts: list[str] = field(default_factory=list[str])


async def _edit_flags(emulator: Emulator, reporter: Reporter, summary: DemoSummary) -> ExpectedChanges:
    """Read all flags and edit many of them with the async client."""
    async with amp_exp_async.AsyncExperimentClient(emulator.api_key, base_url=emulator.base_url) as client:
        flags: list[amp_exp_async.Flag] = []
        with reporter.step("Paging through all flags", None) as advance:
            async for flag in client.flags.list(include_archived=True, limit=100):
                flags.append(flag)
                advance(1)
        with reporter.step("Paging through all experiments", None) as advance:
            async for _ in client.experiments.list(include_archived=True, limit=100):
                summary.experiments += 1
                advance(1)
        summary.flags = len(flags)
        active = [flag for flag in flags if not flag.deleted]
        changes = ExpectedChanges({flag.id: _make_edit(flag) for flag in active[:_EDITED]})
        run = client.bulk([amp_exp_async.Edit("flags", id, edit) for id, edit in changes.edits.items()])
        with reporter.watch(f"Editing {len(changes.edits)} flags concurrently", run):
            requests, started = client.usage.requests, time.monotonic()
            await run
            seconds = int(time.monotonic() - started) + 1  # a second that has begun counts, because it allows a burst
        run.raise_for_failures()
        summary.share_of_limit = round((client.usage.requests - requests) / (summary.limit_per_second * seconds), 3)
        await _include(client, active[-1], reporter, changes)
        _add_usage(summary, client)
    return changes


def _make_edit(flag: amp_exp_async.Flag) -> dict[str, Any]:
    return {"tags": [*(flag.tags or ()), _TAG], "rollout_percentage": (int(flag.rollout_percentage or 0) + 10) % 101}


async def _include(
    client: amp_exp_async.AsyncExperimentClient, flag: amp_exp_async.Flag, reporter: Reporter, changes: ExpectedChanges
) -> None:
    """Add users to a variant, remove some of them, and add cohorts."""
    changes.flag, changes.variant = flag.id, next(iter(flag.variants or ())).key
    users = [f"demo-user-{number:04}" for number in range(_ADDED)]
    live_users = await client.flags.users.list(changes.flag, changes.variant)
    live_cohorts = await client.flags.cohorts.list(changes.flag, changes.variant)
    for title, start, ids in (
        (f"Adding {_ADDED} users to a variant", client.flags.users.add_many, users),
        (f"Removing {_REMOVED} of them", client.flags.users.remove_many, users[:_REMOVED]),
        (f"Adding {len(_COHORTS)} cohorts", client.flags.cohorts.add_many, _COHORTS),
    ):
        # Each run is one operation on many IDs, so the IDs show its progress.
        with reporter.step(title, len(ids)) as advance:
            run = start(changes.flag, changes.variant, ids)
            async for outcome in run:
                advance(len(outcome.changed))
            run.raise_for_failures()
    changes.users = [*live_users, *users[_REMOVED:]]
    changes.cohorts = [*live_cohorts, *_COHORTS]


def _use_sync_client(emulator: Emulator, reporter: Reporter, summary: DemoSummary, changes: ExpectedChanges) -> None:
    """Make a few of the same calls without asyncio."""
    with (
        amp_exp_async.ExperimentClient(emulator.api_key, base_url=emulator.base_url) as client,
        reporter.step("The same calls with the blocking client", None) as advance,
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


def _add_usage(
    summary: DemoSummary, client: amp_exp_async.AsyncExperimentClient | amp_exp_async.ExperimentClient
) -> None:
    summary.requests += client.usage.requests
    summary.retries += client.usage.retries
    summary.rate_limited += client.usage.rate_limited


def _check(
    emulator: Emulator, before: dict[str, dict[str, Any]], changes: ExpectedChanges, summary: DemoSummary
) -> None:
    """Compare the emulator's state with the expected changes, and check that nothing else changed."""
    for flag in emulator.state.flags:
        edit = {_JSON_NAMES[name]: value for name, value in changes.edits.get(flag["id"], {}).items()}
        summary.fields_checked += len(edit)
        expected = before[flag["id"]] | edit
        for name in (expected.keys() | flag.keys()) - _TIMESTAMPS:
            actual, value = flag.get(name), expected.get(name)
            if actual != value:
                fault = f"flag {flag['id']}: {name} is {format_value(actual)} instead of {format_value(value)}"
                summary.faults.append(fault)
    for name, ids, actual_ids in (
        ("users", changes.users, emulator.state.users("flags", changes.flag, changes.variant)),
        ("cohorts", changes.cohorts, emulator.state.cohorts("flags", changes.flag, changes.variant)),
    ):
        if sorted(ids) != sorted(actual_ids):
            wrong = len(set(ids) ^ set(actual_ids))
            summary.faults.append(f"{name} of flag {changes.flag}: {wrong} missing or unexpected")
    summary.users_checked, summary.cohorts_checked = len(changes.users), len(changes.cohorts)
    summary.changes_checked = summary.fields_checked + summary.users_checked + summary.cohorts_checked
