"""The refusals of the live service beyond its API reference: their texts, and the checks that raise them.

The texts are those that were observed. Where none is known, the text says what is wrong.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final, Literal

from attrs import frozen

from amp_exp_async.emulator.documents import ARCHIVED, Document, Kind, is_list, is_object
from amp_exp_async.emulator.validation import HTTPError

if TYPE_CHECKING:  # the state checks its own documents by the values that are refused
    from amp_exp_async.emulator.store import EmulatorState, StoredFlag

Strictness = Literal["live", "documented"]
"""Whether the emulator refuses what the live service refuses, or only what the API reference says."""


@frozen
class LiveSettings:
    """The contents of an account beyond the state: cohorts (`None` if every ID exists) and group types."""

    cohorts: frozenset[str] | None
    group_types: frozenset[str]


@frozen
class Refusal:
    """A response to a request that the live service refuses; the text may have fields for `str.format`."""

    text: str
    status: int = 400

    def error(self, **values: object) -> HTTPError:
        """Return the error that a handler raises."""
        return HTTPError(self.status, self.text.format(**values))


FLAG_NOT_FOUND: Final = Refusal("Flag or experiment not found")
VARIANT_NOT_FOUND: Final = Refusal("Variant key does not exist")
ARCHIVED_FLAG: Final = Refusal("Cannot edit archived flag")
NO_DEPLOYMENTS: Final = Refusal("Cannot activate without deployments")
RESERVED_KEY: Final = Refusal("{location} contains an invalid value")
EMPTY_LIST: Final = Refusal('"{location}" must contain at least 1 items')
NOT_ALLOWED: Final = Refusal('"{location}" is not allowed')
WRONG_CASE: Final = Refusal('"{location}" must be one of [{values}]')
WEB_EXPERIMENT: Final = Refusal("Web Experiments are not supported by Management API yet")
NO_PERMISSION: Final = Refusal("User does not have permission ({scope})", 403)
NO_COHORTS: Final = Refusal("There are no users for this key")
UNKNOWN_COHORT: Final = Refusal("Internal server error")
BUCKETING_UNIT: Final = Refusal("Invalid bucketing unit")
DEPLOYMENT_IN_USE: Final = Refusal("Cannot have unarchived flags or experiments or templates using this deployment")
HAS_DEPENDENTS: Final = Refusal("Cannot {action}: other flags or experiments depend on it")
INACTIVE_PARENTS: Final = Refusal("Cannot activate while a parent is not active")
TAKEN_KEY: Final = Refusal("The key {key} already exists in project {project}")

_DEPENDENCIES: Final = "parentDependencies"
_RESERVED: Final = "off"
_USER: Final = "User"
_EXPERIMENT_TYPES: Final = ("hypothesis-testing", "no-harm", "a-b-test", "multi-arm-bandit")
_OPS: Final = (
    "is",
    "is not",
    "contains",
    "does not contain",
    "less",
    "less or equal",
    "greater",
    "greater or equal",
    "set is",
    "set is not",
    "set contains",
    "set does not contain",
    "glob match",
    "glob does not match",
    "version less than",
    "version less than or equal to",
    "version greater than",
    "version greater than or equal to",
)
_SLOT_LISTS: Final = ("experiments", "holdouts", "individuals")


def check_create(state: EmulatorState, fields: Document) -> None:
    """Refuse a new flag or experiment."""
    project, key = fields["projectId"], fields["key"]
    if key in state.keys(project):
        raise TAKEN_KEY.error(key=key, project=project)
    for index, variant in enumerate(fields.get("variants", [])):
        check_variant_key(variant["key"], f"variants[{index}].key")
    check_values(fields)


def check_edit(state: EmulatorState, kind: Kind, flag: StoredFlag, changes: Document, settings: LiveSettings) -> None:
    """Refuse an edit of a flag or experiment."""
    if changes.keys() != {"archive"} and ("archive" in changes or flag.document["deleted"]):
        raise ARCHIVED_FLAG.error()
    if changes.get("archive") is True:
        if flag.document["deleted"]:
            raise ARCHIVED_FLAG.error()
        check_dependents(state, flag, "archive")
    if (unit := changes.get("bucketingUnit")) is not None and unit not in settings.group_types | {_USER}:
        raise BUCKETING_UNIT.error()
    check_values(changes)
    if changes.get("enabled") is True:
        check_enable(state, kind, flag)


def check_enable(state: EmulatorState, kind: Kind, flag: StoredFlag) -> None:
    """Refuse to enable a flag or experiment without a deployment, or an experiment with a parent that is not active."""
    if not flag.document["deployments"]:
        raise NO_DEPLOYMENTS.error()
    if kind == "experiments" and not all(_is_active(state, parent) for parent in _parents(flag.document)):
        raise INACTIVE_PARENTS.error()


def check_variant_key(key: str, location: str) -> None:
    """Refuse the key of a new or renamed variant if it is reserved, in any case."""
    if key.lower() == _RESERVED:
        raise RESERVED_KEY.error(location=location)


def check_dependents(state: EmulatorState, flag: StoredFlag, action: str, variant: str | None = None) -> None:
    """Refuse an action on a flag or experiment, or on one of its variants, that others depend on."""
    for document in _unarchived(state):
        variants = _parents(document).get(str(flag.document["id"]))
        if variants is not None and (variant is None or variant in variants):
            raise HAS_DEPENDENTS.error(action=action)


def check_cohorts(ids: Iterable[str], settings: LiveSettings) -> None:
    """Refuse cohorts that do not exist."""
    if settings.cohorts is not None and not settings.cohorts.issuperset(ids):
        raise UNKNOWN_COHORT.error()


def check_removed_cohorts(ids: Iterable[str], included: Collection[str]) -> None:
    """Refuse to remove cohorts of which none is included."""
    if not any(id in included for id in ids):
        raise NO_COHORTS.error()


def check_archive_deployment(state: EmulatorState, id: str) -> None:
    """Refuse to archive a deployment that is in use."""
    if any(id in map(str, document["deployments"]) for document in _unarchived(state)):
        raise DEPLOYMENT_IN_USE.error()


def check_slot(slot: Document, prefix: str = "") -> None:
    """Refuse empty lists of a slot."""
    for name in _SLOT_LISTS:
        if slot.get(name) == []:
            raise EMPTY_LIST.error(location=f"{prefix}{name}")


def check_values(fields: Document) -> None:
    """Refuse conditions without values, known values in the wrong case, and dependencies of a segment."""
    _check_case(fields.get("experimentType"), _EXPERIMENT_TYPES, "experimentType")
    for number, segment in enumerate(fields.get("targetSegments") or []):
        if _DEPENDENCIES in segment:
            raise NOT_ALLOWED.error(location=f"targetSegments[{number}].{_DEPENDENCIES}")
        for index, condition in enumerate(segment.get("conditions", [])):
            location = f"targetSegments[{number}].conditions[{index}]"
            _check_case(condition["op"], _OPS, f"{location}.op")
            if not condition["values"]:
                raise EMPTY_LIST.error(location=f"{location}.values")


def _check_case(value: Any, known: Collection[str], location: str) -> None:
    if isinstance(value, str) and value not in known and value.lower() in known:
        raise WRONG_CASE.error(location=location, values=", ".join(known))


def _unarchived(state: EmulatorState) -> Iterator[Document]:
    """Yield the documents of all flags and experiments that are not archived."""
    for flags in state.stored_flags.values():
        for flag in flags.values():
            if not flag.document["deleted"]:
                yield flag.document


def _parents(document: Document) -> dict[str, list[str]]:
    """Return the IDs of the parents, each with the variants that admit users."""
    dependencies: Any = document.get("parentDependencies")
    parents: Any = dependencies.get("flags") if is_object(dependencies) else None
    return {str(id): keys for id, keys in parents.items() if is_list(keys)} if is_object(parents) else {}


def _is_active(state: EmulatorState, id: str) -> bool:
    """Return whether a parent exists, is not archived and, unless it is a group, is enabled."""
    for flags in state.stored_flags.values():
        if (flag := flags.get(id)) is not None:
            return not flag.document["deleted"] and flag.document["enabled"] is True
    return any(id in groups and not groups[id][ARCHIVED[kind]] for kind, groups in state.groups.items())
