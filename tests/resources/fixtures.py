"""Somebody else, who writes at the moment that a test is about; and what an emulator was asked."""

from __future__ import annotations

from typing import Any

from amp_exp_async import AsyncExperimentClient, Attempt
from amp_exp_async.emulator import Emulator

PILOT: dict[str, Any] = {
    "name": "Pilot",
    "conditions": [
        {"type": "property", "prop": "gp:email", "op": "is", "values": ["Ann@example.com"], "newHere": [1]},
        {"type": "property", "prop": "country", "op": "is not", "values": ["Atlantis"]},
    ],
    "percentage": 10,
    "rolloutWeights": {"on": 1},
    "bucketingKey": "amplitude_id",
    "colour": {"of": "the pilot"},
}
STAFF: dict[str, Any] = {"name": "Staff", "conditions": [], "percentage": 100, "rolloutWeights": {"on": 1}}
OF_A_COHORT: dict[str, Any] = {
    "name": "Whales",
    "conditions": [{"type": "cohort", "prop": "userdata_cohort", "op": "set contains", "values": ["c1"]}],
    "percentage": 50,
    "rolloutWeights": {"on": 1},
}


def put(emulator: Emulator, id: str, kind: Any = "flags", **fields: Any) -> None:
    """Write as somebody else, past the client."""
    emulator.state.update(emulator.state.stored_flag(kind, id), **fields)


def meddled(
    client: AsyncExperimentClient, emulator: Emulator, id: str, after: int, kind: Any = "flags", **fields: Any
) -> AsyncExperimentClient:
    """A view of the client during whose n-th request somebody else writes, once it is answered."""
    seen: list[Attempt] = []

    def meddle(attempt: Attempt) -> None:
        seen.append(attempt)
        if len(seen) == after:
            put(emulator, id, kind, **fields)

    return client.with_options(on_attempt=meddle)


def methods(emulator: Emulator) -> list[str]:
    """What arrived, in order."""
    return [request.method for request in emulator.requests]
