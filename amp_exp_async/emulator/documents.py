"""The shapes of the stored documents: what a new one holds, and what of it goes over the wire.

A document is never changed in place: a write stores a new one. So a version may share its parts with the document it
was made from, and nothing has to be copied except where a document leaves the emulator.
"""

import hashlib
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeGuard, get_args

Document = dict[str, Any]
"""One JSON object as it is stored and sent."""

Kind = Literal["flags", "experiments"]
"""Which of the two collections an object belongs to; also the path segment and the envelope of the list."""

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
USER: Final = "emulator@example.com"
READ_ONLY_TYPES: Final = frozenset({"web-experiment", "guide", "survey"})

_DEFAULT_VARIANTS: Final[dict[Kind, tuple[str, ...]]] = {"flags": ("on",), "experiments": ("control", "treatment")}
_NOT_IN_VERSIONS: Final = frozenset({"createdBy", "lastModifiedBy", "createdAt", "lastModifiedAt", "deleted"})
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


def is_object(value: object) -> TypeGuard[Document]:
    """Whether the value is a JSON object."""
    return isinstance(value, dict)


def is_list(value: object) -> TypeGuard[list[Any]]:
    """Whether the value is a JSON array."""
    return isinstance(value, list)


def timestamp(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds and `Z`, as the service writes it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def moment(text: str) -> datetime:
    """The moment that an ISO 8601 text tells; one without a zone is in UTC."""
    parsed = datetime.fromisoformat(text)
    return parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=UTC)


def new_toggle(kind: Kind, id: str, now: str, fields: Document) -> Document:
    """A flag or an experiment with the service's defaults for every field that is not given."""
    key = fields.get("key", f"{kind[:-1]}-{id}")
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
        "bucketingSalt": letters(f"salt {kind} {id}", 8),
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
    return defaults | (_EXPERIMENT_DEFAULTS if kind == "experiments" else {}) | fields


def new_deployment(id: str, fields: Document) -> Document:
    """A deployment with defaults for every field that is not given; its type is private, the service never shows it."""
    type_ = fields.get("_type", "client")
    defaults: Document = {
        "id": id,
        "projectId": "1",
        "label": f"deployment-{id}",
        "key": f"{type_}-{letters(f'deployment {id}', 32)}",
        "deleted": False,
        "_type": type_,
    }
    return defaults | fields


def version(document: Document, number: int, now: str) -> Document:
    """The version document that freezes a flag or an experiment as it is now."""
    config = {name: document[name] for name in document if name not in _NOT_IN_VERSIONS and name[:1] != "_"}
    return {"createdAt": now, "createdBy": USER, "version": number, "flagConfig": config}


def public(document: Document) -> Document:
    """The document without its private fields, whose names begin with an underscore."""
    return {name: value for name, value in document.items() if not name.startswith("_")}


def variant_details(document: Document, variant: Document) -> Document:
    """The long form of a variant, as the variant operations answer it."""
    weights = document["rolloutWeights"]
    return {
        "key": variant["key"],
        "name": variant.get("name", ""),
        "payload": variant.get("payload", {}),
        "description": variant.get("description", ""),
        "rolloutWeight": weights.get(variant["key"], 0) if is_object(weights) else 0,
    }


def letters(seed: str, length: int) -> str:
    """A text that looks random and is the same in every run."""
    return hashlib.sha256(seed.encode()).hexdigest()[:length]
