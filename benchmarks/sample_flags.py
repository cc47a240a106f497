"""Sample flags like those of a large organisation, the same in every run."""

from __future__ import annotations

import random
from typing import Any

import orjson

_SEED = 20261121
_VARIANTS = ("control", "treatment", "treatment-b")
_PROPERTIES = ("country", "platform", "version", "gp:plan", "gp:beta_tester")
_VALUES = ("US", "DE", "Android", "iOS", "4.11.0", "enterprise", "growth", "true")
_OPERATORS = ("is", "is not", "contains", "version greater than")


def make_flags(count: int, seed: int = _SEED) -> list[dict[str, Any]]:
    """Return flags with JSON field names, about 1.2 KB each."""
    generator = random.Random(seed)
    return [_flag(generator, number) for number in range(count)]


def make_flag() -> dict[str, Any]:
    """Return one flag of 1.2 KB."""
    return min(make_flags(100), key=lambda flag: abs(len(orjson.dumps(flag)) - 1_200))


def _flag(generator: random.Random, number: int) -> dict[str, Any]:
    keys = _VARIANTS[: generator.randint(2, 3)]
    flag: dict[str, Any] = {
        "id": str(100_000 + number),
        "projectId": str(generator.randint(1, 20)),
        "deployments": [str(generator.randint(1_000, 9_999)) for _ in range(generator.randint(1, 2))],
        "key": f"checkout-redesign-{number}",
        "name": f"Checkout redesign {number}",
        "description": f"Shows the redesigned checkout to a share of the users, step {number} of the migration.",
        "enabled": generator.random() < 0.6,
        "evaluationMode": generator.choice(("local", "remote")),
        "bucketingKey": "amplitude_id",
        "bucketingSalt": f"{generator.getrandbits(32):08x}",
        "bucketingUnit": "User",
        "variants": [_variant(generator, key) for key in keys],
        "rolloutPercentage": generator.randint(0, 100),
        "rolloutWeights": dict.fromkeys(keys, 1),
        "targetSegments": [_segment(generator, index) for index in range(generator.randint(2, 3))],
        "parentDependencies": None,
        "tags": [f"team-{generator.randint(1, 30)}", "checkout"],
        "deleted": False,
        "createdBy": f"person-{generator.randint(1, 99)}@example.com",
        "createdAt": _timestamp(generator),
        "lastModifiedBy": f"person-{generator.randint(1, 99)}@example.com",
        "lastModifiedAt": _timestamp(generator),
    }
    if generator.random() < 0.2:
        parents = {str(100_000 + generator.randrange(1_000)): ["treatment"] for _ in range(generator.randint(1, 2))}
        flag["parentDependencies"] = {"flags": parents, "operator": "all"}
    if generator.random() < 0.3:
        flag |= {"stickyBucketing": True, "evaluationPriority": generator.randint(1, 9)}
    return flag


def _variant(generator: random.Random, key: str) -> dict[str, Any]:
    payload = {"colour": f"#{generator.getrandbits(24):06x}", "columns": generator.randint(1, 4)}
    return {"key": key, "name": key.replace("-", " ").title(), "payload": None if key == "control" else payload}


def _segment(generator: random.Random, index: int) -> dict[str, Any]:
    segment: dict[str, Any] = {
        "name": f"Segment {index + 1}",
        "conditions": [
            {
                "type": "property",
                "prop": generator.choice(_PROPERTIES),
                "op": generator.choice(_OPERATORS),
                "values": generator.sample(_VALUES, 2),
            }
        ],
        "percentage": generator.randint(0, 100),
    }
    if generator.random() < 0.3:
        segment |= {"rolloutWeights": {"control": 1, "treatment": 3}, "bucketingKey": "amplitude_id"}
    return segment


def _timestamp(generator: random.Random) -> str:
    day, hour, millis = generator.randint(1, 28), generator.randint(0, 23), generator.randint(0, 999)
    return f"2026-{generator.randint(1, 12):02}-{day:02}T{hour:02}:{generator.randint(0, 59):02}:07.{millis:03}Z"
