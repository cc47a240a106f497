"""Another writer of the same flag, and the segments that both edit."""

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
COHORT_SEGMENT: dict[str, Any] = {
    "name": "Whales",
    "conditions": [{"type": "cohort", "prop": "userdata_cohort", "op": "set contains", "values": ["c1"]}],
    "percentage": 50,
    "rolloutWeights": {"on": 1},
}


def write_elsewhere(emulator: Emulator, id: str, kind: Any = "flags", **fields: Any) -> None:
    """Write as another user, without the client."""
    emulator.state.update(emulator.state.stored_flag(kind, id), **fields)


def with_concurrent_write(
    client: AsyncExperimentClient, emulator: Emulator, id: str, after: int, kind: Any = "flags", **fields: Any
) -> AsyncExperimentClient:
    """Return a copy of the client; another user writes after its n-th response."""
    attempts: list[Attempt] = []

    def on_attempt(attempt: Attempt) -> None:
        attempts.append(attempt)
        if len(attempts) == after:
            write_elsewhere(emulator, id, kind, **fields)

    return client.with_options(on_attempt=on_attempt)


def sent_methods(emulator: Emulator) -> list[str]:
    """Return the methods of the received requests, in order."""
    return [request.method for request in emulator.requests]
