"""Flags as a large organisation has them, the same ones every time."""

from __future__ import annotations

import random
from typing import Any

_SEED = 20261121
_VARIANTS = ("control", "treatment", "treatment-b")
_PROPERTIES = ("country", "platform", "version", "gp:plan", "gp:beta_tester")
_VALUES = ("US", "DE", "Android", "iOS", "4.11.0", "enterprise", "growth", "true")
_OPERATORS = ("is", "is not", "contains", "version greater than")


def flags(count: int, seed: int = _SEED) -> list[dict[str, Any]]:
    """So many flags, as the wire writes them, about 1.2 KB each."""
    chance = random.Random(seed)
    return [_flag(chance, number) for number in range(count)]


def _flag(chance: random.Random, number: int) -> dict[str, Any]:
    keys = _VARIANTS[: chance.randint(2, 3)]
    flag: dict[str, Any] = {
        "id": str(100_000 + number),
        "projectId": str(chance.randint(1, 20)),
        "deployments": [str(chance.randint(1_000, 9_999)) for _ in range(chance.randint(1, 2))],
        "key": f"checkout-redesign-{number}",
        "name": f"Checkout redesign {number}",
        "description": f"Shows the redesigned checkout to a share of the users, step {number} of the migration.",
        "enabled": chance.random() < 0.6,
        "evaluationMode": chance.choice(("local", "remote")),
        "bucketingKey": "amplitude_id",
        "bucketingSalt": f"{chance.getrandbits(32):08x}",
        "bucketingUnit": "User",
        "variants": [_variant(chance, key) for key in keys],
        "rolloutPercentage": chance.randint(0, 100),
        "rolloutWeights": dict.fromkeys(keys, 1),
        "targetSegments": [_segment(chance, at) for at in range(chance.randint(2, 3))],
        "parentDependencies": None,
        "tags": [f"team-{chance.randint(1, 30)}", "checkout"],
        "deleted": False,
        "createdBy": f"person-{chance.randint(1, 99)}@example.com",
        "createdAt": _moment(chance),
        "lastModifiedBy": f"person-{chance.randint(1, 99)}@example.com",
        "lastModifiedAt": _moment(chance),
    }
    if chance.random() < 0.2:
        parents = {str(100_000 + chance.randrange(1_000)): ["treatment"] for _ in range(chance.randint(1, 2))}
        flag["parentDependencies"] = {"flags": parents, "operator": "all"}
    if chance.random() < 0.3:
        flag |= {"stickyBucketing": True, "evaluationPriority": chance.randint(1, 9)}
    return flag


def _variant(chance: random.Random, key: str) -> dict[str, Any]:
    payload = {"colour": f"#{chance.getrandbits(24):06x}", "columns": chance.randint(1, 4)}
    return {"key": key, "name": key.replace("-", " ").title(), "payload": None if key == "control" else payload}


def _segment(chance: random.Random, at: int) -> dict[str, Any]:
    segment: dict[str, Any] = {
        "name": f"Segment {at + 1}",
        "conditions": [
            {
                "type": "property",
                "prop": chance.choice(_PROPERTIES),
                "op": chance.choice(_OPERATORS),
                "values": chance.sample(_VALUES, 2),
            }
        ],
        "percentage": chance.randint(0, 100),
    }
    if chance.random() < 0.3:
        segment |= {"rolloutWeights": {"control": 1, "treatment": 3}, "bucketingKey": "amplitude_id"}
    return segment


def _moment(chance: random.Random) -> str:
    day, hour, millis = chance.randint(1, 28), chance.randint(0, 23), chance.randint(0, 999)
    return f"2026-{chance.randint(1, 12):02}-{day:02}T{hour:02}:{chance.randint(0, 59):02}:07.{millis:03}Z"
