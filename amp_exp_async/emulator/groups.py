"""The shapes of mutex groups and holdout groups: what a new one holds, and which experiments depend on it."""

import re
from collections.abc import Container
from itertools import count
from typing import Any, Final, Literal, get_args

from amp_exp_async.emulator.documents import USER, Document, is_object, letters

GroupKind = Literal["mutexes", "holdouts"]
"""Which of the two collections a group belongs to; also the path segment and the envelope of the list."""

GROUP_KINDS: Final[tuple[GroupKind, ...]] = get_args(GroupKind)
GROUP_NAMES: Final[dict[GroupKind, str]] = {"mutexes": "mutex", "holdouts": "holdout"}

ARCHIVED: Final[dict[GroupKind, str]] = {"mutexes": "_deleted", "holdouts": "deleted"}
"""The field that tells whether a group is archived; a mutex group's is private, since the contract does not show it."""

_NOT_IN_KEYS: Final = re.compile(r"[^a-z0-9_-]+")


def new_group(kind: GroupKind, id: str, now: str, fields: Document) -> Document:
    """A group with defaults for every field that is not given."""
    defaults: Document = {
        "id": id,
        "projectId": 1,
        "name": default_name(kind, id),
        "key": default_name(kind, id),
        "description": None,
        "evaluationMode": "remote",
        "bucketingKey": "amplitude_id",
        "bucketingSalt": letters(f"salt {kind} {id}", 8),
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


def default_name(kind: GroupKind, id: str) -> str:
    """The name of a group that is given none."""
    return f"{GROUP_NAMES[kind]}-{id}"


def key_from_name(name: str, otherwise: str, taken: Container[str]) -> str:
    """A key that resembles the name and is not taken; a name without any usable letter gives the other one."""
    key = _NOT_IN_KEYS.sub("-", name.lower()).strip("-") or otherwise
    return next(free for number in count(1) if (free := key if number == 1 else f"{key}-{number}") not in taken)


def dependencies(kind: GroupKind, group: Document) -> dict[str, list[str]]:
    """By id, the experiments that depend on the group, each with the group's variants that let users through to it.

    A mutex group lets the users of a slot through to the slot's experiments; a holdout group those it does not hold
    out. An archived group has no children.
    """
    if group[ARCHIVED[kind]]:
        return {}
    if kind == "holdouts":
        return {str(experiment): [group["variantName"]] for experiment in group["experiments"]}
    children: dict[str, list[str]] = {}
    for slot in group["slots"]:
        for experiment in dict.fromkeys(slot["experiments"]):
            children.setdefault(str(experiment), []).append(slot["variantKey"])
    return children


def with_parent(document: Document, parent: str, variants: list[str] | None) -> Document:
    """An experiment's `parentDependencies` with these variants of one parent, or without it."""
    there: Any = document.get("parentDependencies")
    rest: Document = there if is_object(there) else {"flags": {}, "operator": "all"}
    parents: Any = rest.get("flags")
    others = {id: names for id, names in parents.items() if id != parent} if is_object(parents) else {}
    return {**rest, "flags": others if variants is None else {**others, parent: variants}}


def parent_variants(document: Document, parent: str) -> list[str] | None:
    """The variants of the parent that the experiment depends on; `None` if it does not."""
    there: Any = document.get("parentDependencies")
    parents: Any = there.get("flags") if is_object(there) else None
    return parents.get(parent) if is_object(parents) else None


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
