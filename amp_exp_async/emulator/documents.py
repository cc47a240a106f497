"""Stored documents: their shape, their defaults, and the parts of them that responses contain.

A document is never changed in place: a write stores a new one. Versions can therefore share parts with the document
that they were made from, and a document is copied only when it leaves the emulator.
"""

import hashlib
import json
import re
from collections.abc import Container
from datetime import UTC, datetime
from itertools import count
from typing import Any, Final, Literal, TypeGuard, get_args

Document = dict[str, Any]
"""One JSON object as it is stored and sent."""

Kind = Literal["flags", "experiments"]
"""The collection of a flag or experiment; also its path segment and the field of the list that contains it."""

GroupKind = Literal["mutexes", "holdouts"]
"""The collection of a group; also its path segment and the field of the list that contains it."""

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
GROUP_KINDS: Final[tuple[GroupKind, ...]] = get_args(GroupKind)
SINGULAR: Final[dict[Kind | GroupKind, str]] = {
    "flags": "flag",
    "experiments": "experiment",
    "mutexes": "mutex",
    "holdouts": "holdout",
}
ARCHIVED: Final[dict[GroupKind, str]] = {"mutexes": "_deleted", "holdouts": "deleted"}
"""The field that marks an archived group. It is private for a mutex group: the API reference does not list it."""

USER: Final = "emulator@example.com"
READ_ONLY_TYPES: Final = frozenset({"guide", "survey"})

_DEFAULT_VARIANTS: Final[dict[Kind, tuple[str, ...]]] = {"flags": ("on",), "experiments": ("control", "treatment")}
_NOT_IN_VERSIONS: Final = frozenset({"createdBy", "lastModifiedBy", "createdAt", "lastModifiedAt", "deleted", "state"})
_EXPERIMENT_DEFAULTS: Final[Document] = {
    "decision": None,
    "decisionReason": None,
    "rolledOutVariant": None,
    "stickyBucketing": False,
    "state": "planning",
    "startDate": None,
    "endDate": None,
    "experimentType": "hypothesis-testing",
    "exposureEvent": None,
}
_NOT_IN_KEYS: Final = re.compile(r"[^a-z0-9_-]+")


def is_object(value: object) -> TypeGuard[Document]:
    """Return whether the value is a JSON object."""
    return isinstance(value, dict)


def is_list(value: object) -> TypeGuard[list[Any]]:
    """Return whether the value is a JSON array."""
    return isinstance(value, list)


def format_json(value: object) -> str:
    """Return a value as JSON for a message, or its `repr` if JSON cannot hold it."""
    return json.dumps(value, ensure_ascii=False, default=repr)


def to_timestamp(time: datetime) -> str:
    """Return a time as the service writes it: ISO 8601 in UTC with milliseconds and `Z`."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_timestamp(text: str) -> datetime:
    """Parse ISO 8601; a text without a time zone is in UTC."""
    parsed = datetime.fromisoformat(text)
    return parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=UTC)


def public(document: Document) -> Document:
    """Return the document without its private fields, whose names begin with an underscore."""
    return {name: value for name, value in document.items() if not name.startswith("_")}


def is_web(document: Document) -> bool:
    """Return whether a flag or experiment is a web experiment."""
    return document.get("deliveryMethod") == "web" or document.get("_type") == "web-experiment"


def stable_token(seed: str, length: int) -> str:
    """Return a token that looks random and is the same in every run."""
    return hashlib.sha256(seed.encode()).hexdigest()[:length]


def new_flag(kind: Kind, id: str, now: str, fields: Document) -> Document:
    """Return a flag or experiment with the service's defaults for the missing fields."""
    key = fields.get("key", f"{SINGULAR[kind]}-{id}")
    variants = fields.get("variants", [{"key": variant} for variant in _DEFAULT_VARIANTS[kind]])
    defaults: Document = {
        "id": id,
        "projectId": "1",
        "deployments": [],
        "key": key,
        "name": key,
        "description": "",
        "enabled": False,
        "evaluationMode": "remote",
        "bucketingKey": "amplitude_id",
        "bucketingSalt": stable_token(f"salt {kind} {id}", 8),
        "bucketingUnit": "User",
        "createdBy": USER,
        "lastModifiedBy": USER,
        "createdAt": now,
        "lastModifiedAt": now,
        "variants": variants,
        "rolloutPercentage": 0,
        "rolloutWeights": {variant["key"]: 1 for variant in variants},
        "targetSegments": [],
        "tags": [],
        "deleted": False,
    }
    document = defaults | (_EXPERIMENT_DEFAULTS if kind == "experiments" else {}) | fields
    segments: Any = document["targetSegments"]
    if is_list(segments):
        document["targetSegments"] = [
            _new_segment(number, segment, variants) if is_object(segment) else segment
            for number, segment in enumerate(segments, 1)
        ]
    return document


def new_version(document: Document, number: int, now: str) -> Document:
    """Return the version document that records a flag or experiment as it is now."""
    config = {name: value for name, value in public(document).items() if name not in _NOT_IN_VERSIONS}
    return {"createdAt": now, "createdBy": USER, "version": number, "flagConfig": config}


def variant_details(document: Document, variant: Document) -> Document:
    """Return the long form of a variant, which the variant operations respond with."""
    weights = document["rolloutWeights"]
    return {
        "key": variant["key"],
        "name": variant.get("name", ""),
        "payload": variant.get("payload", {}),
        "description": variant.get("description", ""),
        "rolloutWeight": weights.get(variant["key"], 0) if is_object(weights) else 0,
    }


def new_deployment(id: str, fields: Document) -> Document:
    """Return a deployment with defaults for the missing fields; its type is private: the service never shows it."""
    type_ = fields.get("_type", "client")
    defaults: Document = {
        "id": id,
        "projectId": "1",
        "label": f"deployment-{id}",
        "key": f"{type_}-{stable_token(f'deployment {id}', 32)}",
        "deleted": False,
        "_type": type_,
    }
    return defaults | fields


def new_group(kind: GroupKind, id: str, now: str, fields: Document) -> Document:
    """Return a group with defaults for the missing fields."""
    name = default_group_name(kind, id)
    defaults: Document = {
        "id": id,
        "projectId": 1,
        "name": name,
        "key": name,
        "description": None,
        "evaluationMode": "remote",
        "bucketingKey": "amplitude_id",
        "bucketingSalt": stable_token(f"salt {kind} {id}", 8),
    }
    if kind == "mutexes":
        slots = fields.get("slots", [{"percentage": 50}, {"percentage": 50}])
        complete = [_new_slot(index, slot) for index, slot in enumerate(slots, 1)]
        return {**defaults, **fields, "slots": complete, "_deleted": fields.get("_deleted", False)}
    holdout: Document = {
        "holdoutPercentage": 5,
        "variantName": "on",
        "experiments": [],
        "individualInclusion": [],
        "individualExclusion": [],
        "deleted": False,
        "createdBy": USER,
        "lastModifiedBy": USER,
        "createdAt": now,
        "lastModifiedAt": now,
    }
    return {**defaults, **holdout, **fields}


def default_group_name(kind: GroupKind, id: str) -> str:
    """Return the name of a group that was created without one."""
    return f"{SINGULAR[kind]}-{id}"


def key_from_name(name: str, default: str, taken: Container[str]) -> str:
    """Return a free key that resembles the name, or the default if no character of the name is allowed in keys."""
    key = _NOT_IN_KEYS.sub("-", name.lower()).strip("-") or default
    candidates = (key if number == 1 else f"{key}-{number}" for number in count(1))
    return next(candidate for candidate in candidates if candidate not in taken)


def children(kind: GroupKind, group: Document) -> dict[str, list[str]]:
    """Return the experiments that depend on a group, by ID, each with the variants of the group that admit users.

    A slot of a mutex group admits users to the slot's experiments. A holdout group admits users that it does not hold
    out. An archived group has no children.
    """
    if group[ARCHIVED[kind]]:
        return {}
    if kind == "holdouts":
        return {str(experiment): [group["variantName"]] for experiment in group["experiments"]}
    variants: dict[str, list[str]] = {}
    for slot in group["slots"]:
        for experiment in dict.fromkeys(slot["experiments"]):
            variants.setdefault(str(experiment), []).append(slot["variantKey"])
    return variants


def with_parent(document: Document, parent: str, variants: list[str] | None) -> Document:
    """Return an experiment's `parentDependencies` with these variants of a parent, or without it if they are `None`."""
    current: Any = document.get("parentDependencies")
    dependencies: Document = current if is_object(current) else {"flags": {}, "operator": "all"}
    parents: Any = dependencies.get("flags")
    others = {id: keys for id, keys in parents.items() if id != parent} if is_object(parents) else {}
    return {**dependencies, "flags": others if variants is None else {**others, parent: variants}}


def parent_variants(document: Document, parent: str) -> list[str] | None:
    """Return the parent's variants that an experiment depends on, or `None` if it does not depend on this parent."""
    dependencies: Any = document.get("parentDependencies")
    parents: Any = dependencies.get("flags") if is_object(dependencies) else None
    return parents.get(parent) if is_object(parents) else None


def _new_segment(number: int, fields: Document, variants: list[Document]) -> Document:
    defaults: Document = {
        "name": f"Segment {number}",
        "conditions": [],
        "percentage": 100,
        "rolloutWeights": {variant["key"]: 1 for variant in variants},
    }
    segment = fields | {name: value for name, value in defaults.items() if name not in fields}
    if is_list(segment["conditions"]):
        segment["conditions"] = [
            {"type": "property", **condition} if is_object(condition) else condition
            for condition in segment["conditions"]
        ]
    return segment


def _new_slot(index: int, fields: Document) -> Document:
    defaults: Document = {
        "name": f"SLOT {index}",
        "index": index,
        "variantKey": f"slot-{index}",
        "percentage": 100,
        "experiments": [],
        "holdouts": [],
        "individuals": [],
        "cohorts": [],
    }
    return defaults | fields
