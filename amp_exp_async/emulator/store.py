"""The state of the emulator. A write changes it completely or not at all, with the new version and dependencies."""

import copy
import threading
from collections.abc import Callable, Container, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from attrs import define, field

from amp_exp_async.emulator.documents import (
    ARCHIVED,
    SINGULAR,
    USER,
    Document,
    GroupKind,
    Kind,
    children,
    default_group_name,
    format_json,
    key_from_name,
    new_deployment,
    new_flag,
    new_group,
    new_version,
    parent_variants,
    parse_timestamp,
    to_timestamp,
    with_parent,
)
from amp_exp_async.emulator.state_rules import (
    StateError,
    check_camel_case,
    check_deployment,
    check_flag,
    check_group,
    check_shape,
)

Member = Literal["users", "cohorts"]
"""The two lists of inclusions of a variant."""


@define(eq=False)
class StoredFlag:
    """A flag or experiment: its document, its versions, and the inclusions of its variants."""

    document: Document
    versions: list[Document] = field(factory=list[Document])  # oldest first
    inclusions: dict[str, dict[Member, list[str]]] = field(factory=dict[str, dict[Member, list[str]]])  # by variant key

    def members(self, variant: str, member: Member) -> list[str]:
        """Return the variant's users or cohorts in the order in which they were added."""
        return self.inclusions.get(variant, {}).get(member, [])

    def variant(self, key: str) -> Document | None:
        """Return the variant's entry in the document, in its short form."""
        return next((variant for variant in self.document["variants"] if variant["key"] == key), None)


class EmulatorState:
    """The data of the emulator.

    The methods work without HTTP, so that a test can prepare any state and inspect the result. They return copies.
    Documents have the JSON field names of the API (camelCase). Unknown fields are kept. What the service fills in may
    be left out, in segments and conditions too. `add_flag` and the like raise `StateError` for a misspelt name, for a
    value that the service would refuse in an edit, and for a key that the project has already. `add` takes objects that
    break these rules.

    A field whose name begins with an underscore is private and never sent: the `_type` of a flag or experiment can be
    `guide` or `survey`, which cannot be edited, like an experiment whose `deliveryMethod` is `web`; the `_type` of a
    deployment is `client` or `server`; `_deleted` marks an archived mutex group.
    """

    def __init__(self, clock: Callable[[], datetime] | None = None) -> None:
        self.clock: Callable[[], datetime] = clock if clock is not None else _utc_now
        self.lock = threading.RLock()  # the server may run on another thread than the test
        self.revision: int = 0  # increases with every change
        self._last_id = 1000
        # Each collection is in order of creation.
        self.stored_flags: dict[Kind, dict[str, StoredFlag]] = {"flags": {}, "experiments": {}}
        self.stored_deployments: dict[str, Document] = {}
        self.groups: dict[GroupKind, dict[str, Document]] = {"mutexes": {}, "holdouts": {}}
        self.history: list[tuple[StoredFlag, Document]] = []  # the versions of all flags and experiments, oldest first

    def add_flag(self, **fields: Any) -> Document:
        """Add a flag; any field can be passed by its JSON name (`projectId`), the others get defaults.

        Returns its document.
        """
        return self._add_valid_flag("flags", fields)

    def add_experiment(self, **fields: Any) -> Document:
        """Add an experiment; any field can be passed by its JSON name (`projectId`), the others get defaults.

        Returns its document.
        """
        return self._add_valid_flag("experiments", fields)

    def add_deployment(self, **fields: Any) -> Document:
        """Add a deployment; any field can be passed by its JSON name (`projectId`), the others get defaults.

        Returns its document.
        """
        check_deployment(fields)
        return self.add_deployment_document(fields)

    def add_deployment_document(self, fields: Document) -> Document:
        """Add a deployment, which may have unknown fields. Returns its document."""
        check_camel_case(fields)
        with self.lock:
            id = self._take_id(self.stored_deployments, fields)
            document = new_deployment(id, copy.deepcopy(fields))
            self.stored_deployments[id] = document
            self.revision += 1
            return copy.deepcopy(document)

    def add_mutex(self, **fields: Any) -> Document:
        """Add a mutex group; any field can be passed by its JSON name, the others get defaults.

        The same holds for the fields of its `slots`; by default it has two halves. The experiments of the slots depend
        on the group if they exist. Returns its document.
        """
        return self._add_valid_group("mutexes", fields)

    def add_holdout(self, **fields: Any) -> Document:
        """Add a holdout group; any field can be passed by its JSON name, the others get defaults.

        Its experiments depend on the group if they exist. Returns its document.
        """
        return self._add_valid_group("holdouts", fields)

    def add_users(self, kind: Kind, id: str, variant: str, users: Iterable[str]) -> None:
        """Include users or devices in a variant, without the service's limit of 2,000 and without a new version."""
        self._include(kind, id, variant, "users", users)

    def add_cohorts(self, kind: Kind, id: str, variant: str, cohorts: Iterable[str]) -> None:
        """Include cohorts in a variant, without a new version."""
        self._include(kind, id, variant, "cohorts", cohorts)

    def flag(self, id: str) -> Document:
        """Return the flag's document, or raise `KeyError`."""
        return copy.deepcopy(self.stored_flag("flags", id).document)

    def experiment(self, id: str) -> Document:
        """Return the experiment's document, or raise `KeyError`."""
        return copy.deepcopy(self.stored_flag("experiments", id).document)

    def mutex(self, id: str) -> Document:
        """Return the mutex group's document, or raise `KeyError`."""
        return self._group("mutexes", id)

    def holdout(self, id: str) -> Document:
        """Return the holdout group's document, or raise `KeyError`."""
        return self._group("holdouts", id)

    @property
    def flags(self) -> list[Document]:
        """The documents of all flags, oldest first, archived ones included."""
        return self._flag_documents("flags")

    @property
    def experiments(self) -> list[Document]:
        """The documents of all experiments, oldest first, archived ones included."""
        return self._flag_documents("experiments")

    @property
    def deployments(self) -> list[Document]:
        """The documents of all deployments, oldest first, archived ones included."""
        with self.lock:
            return copy.deepcopy(list(self.stored_deployments.values()))

    @property
    def mutexes(self) -> list[Document]:
        """The documents of all mutex groups, oldest first, archived ones included."""
        return self._group_documents("mutexes")

    @property
    def holdouts(self) -> list[Document]:
        """The documents of all holdout groups, oldest first, archived ones included."""
        return self._group_documents("holdouts")

    def users(self, kind: Kind, id: str, variant: str) -> list[str]:
        """Return the users and devices included in a variant, in order, or raise `KeyError`."""
        return self._members(kind, id, variant, "users")

    def cohorts(self, kind: Kind, id: str, variant: str) -> list[str]:
        """Return the cohorts included in a variant, in order, or raise `KeyError`."""
        return self._members(kind, id, variant, "cohorts")

    def versions(self, kind: Kind, id: str) -> list[Document]:
        """Return the version documents of a flag or experiment, newest first, or raise `KeyError`."""
        with self.lock:
            return copy.deepcopy(self.stored_flag(kind, id).versions[::-1])

    def stored_flag(self, kind: Kind, id: str) -> StoredFlag:
        """Return the flag or experiment itself, not a copy, or raise `KeyError`."""
        try:
            return self.stored_flags[kind][str(id)]
        except KeyError:
            raise KeyError(f"no {SINGULAR[kind]} has ID {format_json(id)}") from None

    def add(self, kind: Kind, fields: Document) -> Document:
        """Add a flag or experiment in its first version, which may break the rules of `add_flag`.

        Returns its document.
        """
        check_shape(fields)
        with self.lock:
            id, now = self._take_id(self.stored_flags[kind], fields), self.now()
            document = new_flag(kind, id, now, copy.deepcopy(fields))
            flag = self.stored_flags[kind][id] = StoredFlag(document)
            self._append_version(flag, 1, now)
            self.revision += 1
            return copy.deepcopy(document)

    def update(self, flag: StoredFlag, **changes: Any) -> None:
        """Set fields of a flag or experiment, and add its next version."""
        now = self.now()
        flag.document = {**flag.document, **changes, "lastModifiedBy": USER, "lastModifiedAt": now}
        self._append_version(flag, flag.versions[-1]["version"] + 1, now)
        self.revision += 1

    def update_deployment(self, id: str, **changes: Any) -> None:
        """Set fields of a deployment."""
        self.stored_deployments[id] = {**self.stored_deployments[id], **changes}
        self.revision += 1

    def add_group(self, kind: GroupKind, fields: Document) -> Document:
        """Add a group; its default key resembles its name. Returns its document."""
        check_camel_case(fields)
        with self.lock:
            id = self._take_id(self.groups[kind], fields)
            default = default_group_name(kind, id)
            taken = self.keys(fields.get("projectId", 1))
            key = key_from_name(fields.get("name", default), default, taken)
            document = new_group(kind, id, self.now(), {"key": key, **copy.deepcopy(fields)})
            self._store_group(kind, id, document, {})
            return copy.deepcopy(document)

    def update_group(self, kind: GroupKind, id: str, **changes: Any) -> None:
        """Set fields of a group, and update the dependencies of its experiments."""
        before = self.groups[kind][id]
        modified = {"lastModifiedBy": USER, "lastModifiedAt": self.now()} if kind == "holdouts" else {}
        self._store_group(kind, id, {**before, **changes, **modified}, children(kind, before))

    def keys(self, project: object) -> set[str]:
        """Return the keys of the flags, experiments and groups of a project, archived ones too."""
        flags = [flag.document for flags in self.stored_flags.values() for flag in flags.values()]
        groups = [group for groups in self.groups.values() for group in groups.values()]
        return {document["key"] for document in [*flags, *groups] if str(document["projectId"]) == str(project)}

    def rebuild_history(self) -> None:
        """Collect the versions of all flags and experiments in order of time, after they were replaced."""
        flags = [flag for flags in self.stored_flags.values() for flag in flags.values()]
        self.history = [(flag, document) for flag in flags for document in flag.versions]
        self.history.sort(key=lambda entry: parse_timestamp(entry[1]["createdAt"]))

    def now(self) -> str:
        """Return the clock's time as the service writes it."""
        return to_timestamp(self.clock())

    def _add_valid_flag(self, kind: Kind, fields: Document) -> Document:
        check_flag(kind, fields)
        with self.lock:
            self._require_free_key(fields, archived=fields.get("deleted") is True)
            return self.add(kind, fields)

    def _add_valid_group(self, kind: GroupKind, fields: Document) -> Document:
        check_group(kind, fields)
        with self.lock:
            self._require_free_key(fields, archived=fields.get(ARCHIVED[kind]) is True)
            return self.add_group(kind, fields)

    def _require_free_key(self, fields: Document, *, archived: bool) -> None:
        """Reject the key of an object that is not archived if another one of its project has it."""
        key, project = fields.get("key"), fields.get("projectId", "1")
        if key is not None and not archived and self._is_taken(key, project):
            raise StateError(f"the key {format_json(key)} is not unique in project {project}")

    def _is_taken(self, key: object, project: object) -> bool:
        """Return whether an object of a project has a key, and is not archived. It is fast for thousands of flags."""
        flags = (flag.document for flags in self.stored_flags.values() for flag in flags.values())
        holders = [
            *((flag, "deleted") for flag in flags if flag["key"] == key),
            *(
                (group, ARCHIVED[kind])
                for kind in self.groups
                for group in self.groups[kind].values()
                if group["key"] == key
            ),
        ]
        return any(str(holder["projectId"]) == str(project) and not holder[mark] for holder, mark in holders)

    def _flag_documents(self, kind: Kind) -> list[Document]:
        with self.lock:
            return copy.deepcopy([flag.document for flag in self.stored_flags[kind].values()])

    def _group(self, kind: GroupKind, id: str) -> Document:
        with self.lock:
            try:
                return copy.deepcopy(self.groups[kind][str(id)])
            except KeyError:
                raise KeyError(f"no {SINGULAR[kind]} has ID {format_json(id)}") from None

    def _group_documents(self, kind: GroupKind) -> list[Document]:
        with self.lock:
            return copy.deepcopy(list(self.groups[kind].values()))

    def _members(self, kind: Kind, id: str, variant: str, member: Member) -> list[str]:
        with self.lock:
            return list(self._flag_with_variant(kind, id, variant).members(variant, member))

    def _include(self, kind: Kind, id: str, variant: str, member: Member, ids: Iterable[str]) -> None:
        if isinstance(ids, str):
            raise TypeError(f"{member} must be a list of IDs, not {format_json(ids)}")
        with self.lock:
            flag = self._flag_with_variant(kind, id, variant)
            merged = list(dict.fromkeys([*flag.members(variant, member), *ids]))
            flag.inclusions.setdefault(variant, {})[member] = merged
            self.revision += 1

    def _flag_with_variant(self, kind: Kind, id: str, variant: str) -> StoredFlag:
        flag = self.stored_flag(kind, id)
        if flag.variant(variant) is None:
            raise KeyError(f"{SINGULAR[kind]} {id} has no variant {format_json(variant)}")
        return flag

    def _append_version(self, flag: StoredFlag, number: int, now: str) -> None:
        document = new_version(flag.document, number, now)
        flag.versions.append(document)
        self.history.append((flag, document))

    def _store_group(self, kind: GroupKind, id: str, document: Document, old_children: Mapping[str, list[str]]) -> None:
        """Store a group, and update the dependencies of its old and new children."""
        self.groups[kind][id] = document
        self.revision += 1
        new_children = children(kind, document)
        for child in dict.fromkeys([*old_children, *new_children]):
            experiment = self.stored_flags["experiments"].get(child)
            variants = new_children.get(child)
            if experiment is not None and parent_variants(experiment.document, id) != variants:
                self.update(experiment, parentDependencies=with_parent(experiment.document, id, variants))

    def _take_id(self, taken: Container[str], fields: Document) -> str:
        """Return the ID of the fields, or the next number; numbers are unique in all collections."""
        if "id" not in fields:
            self._last_id += 1
            return str(self._last_id)
        if (id := str(fields["id"])) in taken:
            raise StateError(f"the ID {format_json(id)} is not unique")
        if id.isascii() and id.isdigit():
            self._last_id = max(self._last_id, int(id))
        return id


def _utc_now() -> datetime:
    return datetime.now(UTC)
