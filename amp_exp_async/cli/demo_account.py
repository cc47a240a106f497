"""The account of the demo: flags, experiments and deployments, generated from a seed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, TypeAlias

Document: TypeAlias = dict[str, Any]

FLAG_COUNT = 271
EXPERIMENT_COUNT = 128

_PROJECTS = {"482193": "web", "482207": "app", "519344": "staging", "530871": "seller"}
_AREAS = {
    "checkout": "Checkout",
    "search": "Search",
    "onboarding": "Onboarding",
    "billing": "Billing",
    "loyalty": "Loyalty programme",
    "payments": "Payments",
    "shipping": "Shipping",
    "infra": "Infrastructure",
    "i18n": "Übersetzungen 翻訳",
}
_FEATURES = {
    "new-summary": "New summary",
    "one-click": "One click",
    "dark-mode": "Dark mode",
    "referral-code": "Referral code",
    "tax-engine": "Tax engine",
    "push-consent": "Push consent",
    "suggestions": "Suggestions 候補",
    "express-option": "Express option",
    "empty-state": "Empty state",
    "retry-banner": "Retry banner",
    "low-data": "Datensparmodus",
    "price-history": "Preisverlauf",
}
_CONDITIONS = (
    ("gp:plan", "is", ["enterprise", "business"]),
    ("gp:email_domain", "is", ["example.com"]),
    ("country", "is", ["Germany", "Austria", "Japan"]),
    ("language", "contains", ["French"]),
    ("version", "version greater than or equal to", ["7.12.0"]),
    ("gp:order_count", "greater", ["3"]),
    ("user_id", "glob match", ["qa-*"]),
    ("gp:build_channel", "is", ["internal", "nightly"]),
)
_SEGMENTS = ("Employees", "Pilot customers", "Östliche Region", "新規ユーザー", "Internal builds", "Returning users")
_TAGS = ("kill-switch", "needs-legal", "q1-2026", "q2-2026", "tech-debt", "owner/platform", "実験", "🌍 i18n")
_PEOPLE = ("ines.w@example.com", "lior.m@example.com", "growth-team@example.com", "terraform-bot@example.com")
_VARIANT_KEYS = (["on"], ["on"], ["on"], ["small", "large"], ["low", "normal", "high"])
_EXPERIMENT_VARIANT_KEYS = (["control", "treatment"], ["control", "short", "long"], ["control", "a", "b", "c"])
_START = datetime(2023, 8, 31, tzinfo=UTC)


def make_account(seed: int = 1) -> Document:
    """Return an account as an emulator's state; the same seed gives the same account.

    The service accepts all of it: no variant is named `off`, every enabled flag has a deployment, every segment has
    weights, and every condition has values.
    """
    random = Random(seed)  # noqa: S311 - no secrets
    ids = (str(number) for number in range(104_000, 200_000, 17))
    deployments = [
        {
            "id": next(ids),
            "projectId": project,
            "label": f"{name}-{side}",
            "key": f"{side}-{random.randbytes(16).hex()}",
        }
        for project, name in _PROJECTS.items()
        for side in ("client", "server")
    ]
    keys = [f"{area}-{feature}" for area in _AREAS for feature in _FEATURES]
    flags = [_make_flag(random, next(ids), key, deployments) for key in _distinct(random, keys, FLAG_COUNT)]
    experiment_keys = _distinct(random, [f"exp-{key}" for key in keys], EXPERIMENT_COUNT)
    experiments = [_make_experiment(random, next(ids), key, deployments) for key in experiment_keys]
    return {"flags": flags, "experiments": experiments, "deployments": deployments}


def _distinct(random: Random, keys: list[str], count: int) -> Iterator[str]:
    """Yield distinct keys, with a version at the end of those that are used before."""
    for index in range(count):
        if index % len(keys) == 0:
            random.shuffle(keys)
        version = index // len(keys) + 1
        yield f"{keys[index % len(keys)]}-v{version}" if version > 1 else keys[index % len(keys)]


def _make_flag(random: Random, id: str, key: str, deployments: list[Document]) -> Document:
    return _make_flag_config(random, id, key, deployments, random.choice(_VARIANT_KEYS))


def _make_experiment(random: Random, id: str, key: str, deployments: list[Document]) -> Document:
    variants = random.choice(_EXPERIMENT_VARIANT_KEYS)
    experiment = _make_flag_config(random, id, key, deployments, variants)
    started = _START + timedelta(days=random.randrange(900))
    decision = random.choice((None, None, "rollout", "rollback", "continue-running"))
    return experiment | {
        "experimentType": random.choice(("hypothesis-testing", "no-harm", "multi-arm-bandit")),
        "stickyBucketing": random.random() < 0.5,
        "startDate": started.date().isoformat(),
        "endDate": (started + timedelta(days=28)).date().isoformat(),
        "decision": decision,
        "decisionReason": None if decision is None else "Primary metric +3.1 % (p = 0.02), guardrails flat.",
        "rolledOutVariant": variants[-1] if decision == "rollout" else None,
    }


def _make_flag_config(random: Random, id: str, key: str, deployments: list[Document], variants: list[str]) -> Document:
    project = random.choices(tuple(_PROJECTS), weights=(6, 2, 1, 1))[0]
    area, _, feature = key.removeprefix("exp-").partition("-")
    created = _START + timedelta(seconds=random.randrange(80_000_000))
    assigned = [deployment["id"] for deployment in deployments if deployment["projectId"] == project]
    return {
        "id": id,
        "projectId": project,
        "key": key,
        "name": f"{_AREAS[area]}: {_FEATURES[feature.partition('-v')[0]]}",
        "description": f"{_AREAS[area]} · SHOP-{random.randrange(1000, 9999)} · https://wiki.example.com/{key}",
        "enabled": random.random() < 0.7,
        "deleted": random.random() < 0.07,
        "deployments": random.sample(assigned, random.randint(1, len(assigned))),
        "evaluationMode": random.choice(("local", "remote")),
        "bucketingKey": random.choice(("amplitude_id", "device_id")),
        "bucketingSalt": random.randbytes(4).hex(),
        "bucketingUnit": "User",
        "variants": [_make_variant(random, variant) for variant in variants],
        "rolloutPercentage": random.choice((0, 0, 5, 10, 50, 90, 100)),
        "rolloutWeights": dict.fromkeys(variants, 1),
        "targetSegments": [
            _make_segment(random, name, variants)
            for name in random.sample(_SEGMENTS, random.choice((0, 0, 1, 1, 2, 3)))
        ],
        "tags": random.sample(_TAGS, random.choice((0, 1, 1, 2, 3))),
        "createdBy": random.choice(_PEOPLE),
        "lastModifiedBy": random.choice(_PEOPLE),
        "createdAt": _format_time(created),
        "lastModifiedAt": _format_time(created + timedelta(hours=random.randrange(2000))),
    }


def _make_variant(random: Random, key: str) -> Document:
    payload = random.choice((None, None, {"size": random.randrange(10), "label": "größer"}, "桜", 0.25))
    return {"key": key} if payload is None else {"key": key, "payload": payload}


def _make_segment(random: Random, name: str, variants: list[str]) -> Document:
    conditions = random.sample(_CONDITIONS, random.choice((1, 1, 2)))
    return {
        "name": name,
        "conditions": [
            {"type": "property", "prop": prop, "op": op, "values": list(values)} for prop, op, values in conditions
        ],
        "percentage": random.choice((5, 10, 33, 50, 100)),
        "bucketingKey": "amplitude_id",
        "rolloutWeights": dict.fromkeys(variants, 1),
    }


def _format_time(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
