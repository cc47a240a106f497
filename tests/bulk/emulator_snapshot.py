"""Snapshots of an emulator as one flat mapping, so that a test can assert all that changed and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from amp_exp_async import AsyncBulkRun, AsyncExperimentClient, Outcome
from amp_exp_async.emulator import Emulator

KINDS = ("flags", "experiments")
ABSENT = "absent"
_TIMES = ("lastModifiedAt", "createdAt")


def snapshot(emulator: Emulator) -> dict[tuple[str, ...], Any]:
    """Return every field of every document, and all inclusions."""
    state, values = emulator.state, {}
    for kind in KINDS:
        for id, flag in state.stored_flags[kind].items():
            values |= {(kind, id, name): value for name, value in flag.document.items() if name not in _TIMES}
            for variant, included in flag.inclusions.items():
                values |= {(kind, id, variant, member): list(ids) for member, ids in included.items() if ids}
    for id, deployment in state.stored_deployments.items():
        values |= {("deployments", id, name): value for name, value in deployment.items()}
    return values


def changes(before: Mapping[tuple[str, ...], Any], after: Mapping[tuple[str, ...], Any]) -> dict[tuple[str, ...], Any]:
    """Return the fields that differ, with their new values."""
    fields = before.keys() | after.keys()
    return {
        field: after.get(field, ABSENT) for field in fields if before.get(field, ABSENT) != after.get(field, ABSENT)
    }


def populate(emulator: Emulator) -> dict[str, str]:
    """Add two flags and two experiments with variants, inclusions and deployments; return the first ID of each kind."""
    for deployment in ("51", "52", "53"):
        emulator.state.add_deployment(id=deployment)
    first_ids = {}
    for index, kind in enumerate(("flags", "experiments", "flags", "experiments")):
        document = emulator.state.add(
            kind,
            {"key": f"t{index}", "variants": [{"key": "on"}, {"key": "off"}], "deployments": ["51", "52"]},
        )
        first_ids.setdefault(kind, document["id"])
        for variant in ("on", "off"):
            emulator.state.add_users(kind, document["id"], variant, ["u1", "u2", "u3"])
            emulator.state.add_cohorts(kind, document["id"], variant, ["c1", "c2"])
    emulator.requests.clear()
    return first_ids


def sent_requests(emulator: Emulator) -> list[str]:
    """Return the received requests, in order."""
    return [f"{request.method} {request.path.removeprefix('/api/1')}" for request in emulator.requests]


async def collect(run: AsyncBulkRun) -> list[Outcome]:
    """Return all outcomes of a run, in the order of the input."""
    return sorted([outcome async for outcome in run], key=lambda outcome: outcome.index)


async def execute(client: AsyncExperimentClient, *operations: Any) -> list[Outcome]:
    """Execute operations and return their outcomes, in order."""
    return await collect(client.bulk(operations))


def finished_edits(emulator: Emulator) -> set[str]:
    """Return the IDs of the flags that an edit has named `done`."""
    return {flag["id"] for flag in emulator.state.flags if flag["name"] == "done"}
