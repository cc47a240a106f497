"""What an emulator knows, as one flat mapping: so a test can say exactly what changed, and that nothing else did."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from amp_exp_async import AsyncBulkRun, AsyncExperimentClient, Outcome
from amp_exp_async.emulator import Emulator

KINDS = ("flags", "experiments")
ABSENT = "absent"
_TIMES = ("lastModifiedAt", "createdAt")


def world(emulator: Emulator) -> dict[tuple[str, ...], Any]:
    """Every field of every document, and every inclusion."""
    state, found = emulator.state, {}
    for kind in KINDS:
        for id, toggle in state.stored_flags[kind].items():
            found |= {(kind, id, name): value for name, value in toggle.document.items() if name not in _TIMES}
            for variant, included in toggle.inclusions.items():
                found |= {(kind, id, variant, what): list(ids) for what, ids in included.items() if ids}
    for id, deployment in state.stored_deployments.items():
        found |= {("deployments", id, name): value for name, value in deployment.items()}
    return found


def changes(before: Mapping[tuple[str, ...], Any], after: Mapping[tuple[str, ...], Any]) -> dict[tuple[str, ...], Any]:
    """What is not as it was, with its new value."""
    places = before.keys() | after.keys()
    return {
        place: after.get(place, ABSENT) for place in places if before.get(place, ABSENT) != after.get(place, ABSENT)
    }


def filled(emulator: Emulator) -> dict[str, str]:
    """Two flags and two experiments with variants, inclusions and deployments; the id of the first of each kind."""
    for deployment in ("51", "52", "53"):
        emulator.state.add_deployment(id=deployment)
    first = {}
    for at, kind in enumerate(("flags", "experiments", "flags", "experiments")):
        document = emulator.state.add(
            kind,
            {"key": f"t{at}", "variants": [{"key": "on"}, {"key": "off"}], "deployments": ["51", "52"]},
        )
        first.setdefault(kind, document["id"])
        for variant in ("on", "off"):
            emulator.state.add_users(kind, document["id"], variant, ["u1", "u2", "u3"])
            emulator.state.add_cohorts(kind, document["id"], variant, ["c1", "c2"])
    emulator.requests.clear()
    return first


def wire(emulator: Emulator) -> list[str]:
    """What arrived, in order."""
    return [f"{request.method} {request.path.removeprefix('/api/1')}" for request in emulator.requests]


async def outcomes(run: AsyncBulkRun) -> list[Outcome]:
    """All outcomes, in the order of the input."""
    return sorted([outcome async for outcome in run], key=lambda outcome: outcome.index)


async def carried_out(client: AsyncExperimentClient, *operations: Any) -> list[Outcome]:
    """What became of the operations."""
    return await outcomes(client.bulk(operations))
