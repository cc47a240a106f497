"""What the emulator holds, and how it changes: each write wholly, with its version and its dependencies."""

import copy
import threading
from collections.abc import Callable, Container, Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from attrs import define, field

from amp_exp_async.emulator.documents import (
    USER,
    Document,
    Kind,
    moment,
    new_deployment,
    new_toggle,
    timestamp,
    version,
)
from amp_exp_async.emulator.groups import (
    GroupKind,
    default_name,
    dependencies,
    key_from_name,
    new_group,
    parent_variants,
    with_parent,
)

Member = Literal["users", "cohorts"]
"""The two lists of inclusions that a variant has."""


class StateError(ValueError):
    """The state that was given, or the file it came from, is not one; the message names the place."""


@define(eq=False)
class FlagConfig:
    """A flag or an experiment with what belongs to it but is no part of its document."""

    document: Document
    versions: list[Document] = field(factory=list[Document])  # oldest first
    inclusions: dict[str, dict[Member, list[str]]] = field(factory=dict[str, dict[Member, list[str]]])  # by variant key

    def members(self, variant: str, member: Member) -> list[str]:
        """The variant's users or cohorts in the order they were added."""
        return self.inclusions.get(variant, {}).get(member, [])

    def variant(self, key: str) -> Document | None:
        """The variant's entry in the document, in its short form."""
        return next((variant for variant in self.document["variants"] if variant["key"] == key), None)


class Store:
    """Flags and experiments with inclusions and versions, deployments, and groups."""

    def __init__(self, clock: Callable[[], datetime] | None = None) -> None:
        self.clock: Callable[[], datetime] = clock if clock is not None else _utc_now
        self.lock = threading.RLock()  # the server may run on another thread than the test
        self.revision: int = 0  # grows with every change
        self._last_id = 1000
        self.toggles: dict[Kind, dict[str, FlagConfig]] = {"flags": {}, "experiments": {}}  # in order of creation
        self.stored_deployments: dict[str, Document] = {}  # in order of creation
        self.groups: dict[GroupKind, dict[str, Document]] = {"mutexes": {}, "holdouts": {}}  # in order of creation
        self.history: list[tuple[FlagConfig, Document]] = []  # every version of every flag and experiment, oldest first

    def toggle(self, kind: Kind, id: str) -> FlagConfig:
        """The flag or the experiment itself; `KeyError` if there is none."""
        try:
            return self.toggles[kind][str(id)]
        except KeyError:
            raise KeyError(f"there is no {kind[:-1]} with id {id!r}") from None

    def add(self, kind: Kind, fields: Document) -> Document:
        """Add a flag or an experiment in its first version. Returns its document."""
        _refuse_other_names(fields)
        with self.lock:
            id, now = self._take_id(self.toggles[kind], fields), self.now()
            document = new_toggle(kind, id, now, copy.deepcopy(fields))
            toggle = self.toggles[kind][id] = FlagConfig(document)
            self._append_version(toggle, 1, now)
            self.revision += 1
            return copy.deepcopy(document)

    def commit(self, toggle: FlagConfig, **changes: Any) -> None:
        """Store changed fields of a flag or an experiment, and with them its next version."""
        now = self.now()
        toggle.document = {**toggle.document, **changes, "lastModifiedBy": USER, "lastModifiedAt": now}
        self._append_version(toggle, toggle.versions[-1]["version"] + 1, now)
        self.revision += 1

    def add_deployment(self, **fields: Any) -> Document:
        """Add a deployment; any field may be given, by its name on the wire (`projectId`), the rest gets defaults.

        Returns its document.
        """
        _refuse_other_names(fields)
        with self.lock:
            id = self._take_id(self.stored_deployments, fields)
            document = new_deployment(id, copy.deepcopy(fields))
            self.stored_deployments[id] = document
            self.revision += 1
            return copy.deepcopy(document)

    def commit_deployment(self, id: str, **changes: Any) -> None:
        """Store changed fields of a deployment."""
        self.stored_deployments[id] = {**self.stored_deployments[id], **changes}
        self.revision += 1

    def add_group(self, kind: GroupKind, fields: Document) -> Document:
        """Add a group; without a key it gets one that resembles its name. Returns its document."""
        _refuse_other_names(fields)
        with self.lock:
            id = self._take_id(self.groups[kind], fields)
            default = default_name(kind, id)
            taken = self.keys(fields.get("projectId", 1))
            key = key_from_name(fields.get("name", default), default, taken)
            document = new_group(kind, id, self.now(), {"key": key, **copy.deepcopy(fields)})
            self._store_group(kind, id, document, {})
            return copy.deepcopy(document)

    def commit_group(self, kind: GroupKind, id: str, **changes: Any) -> None:
        """Store changed fields of a group, and with them the dependencies of its experiments."""
        before = self.groups[kind][id]
        modified = {"lastModifiedBy": USER, "lastModifiedAt": self.now()} if kind == "holdouts" else {}
        self._store_group(kind, id, {**before, **changes, **modified}, dependencies(kind, before))

    def keys(self, project: object) -> set[str]:
        """The keys that are taken in a project by flags, experiments and groups."""
        toggles = [toggle.document for toggles in self.toggles.values() for toggle in toggles.values()]
        groups = [group for groups in self.groups.values() for group in groups.values()]
        return {document["key"] for document in toggles + groups if str(document["projectId"]) == str(project)}

    def rebuild_history(self) -> None:
        """Gather the versions of all flags and experiments by their time, after they were replaced."""
        toggles = [toggle for toggles in self.toggles.values() for toggle in toggles.values()]
        self.history = [(toggle, document) for toggle in toggles for document in toggle.versions]
        self.history.sort(key=lambda entry: moment(entry[1]["createdAt"]))

    def now(self) -> str:
        """The clock's time as the service writes it."""
        return timestamp(self.clock())

    def _append_version(self, toggle: FlagConfig, number: int, now: str) -> None:
        document = version(toggle.document, number, now)
        toggle.versions.append(document)
        self.history.append((toggle, document))

    def _store_group(self, kind: GroupKind, id: str, document: Document, children: Mapping[str, Any]) -> None:
        """Store a group, and make its experiments and those that were its children until now depend on it, or not."""
        self.groups[kind][id] = document
        self.revision += 1
        new = dependencies(kind, document)
        for child in dict.fromkeys([*children, *new]):
            toggle = self.toggles["experiments"].get(child)
            if toggle is not None and parent_variants(toggle.document, id) != (variants := new.get(child)):
                self.commit(toggle, parentDependencies=with_parent(toggle.document, id, variants))

    def _take_id(self, taken: Container[str], fields: Document) -> str:
        """The id that was asked for, or the next number; numbers are unique over all collections."""
        if "id" not in fields:
            self._last_id += 1
            return str(self._last_id)
        if (id := str(fields["id"])) in taken:
            raise StateError(f"the id {id!r} is taken")
        if id.isascii() and id.isdigit():
            self._last_id = max(self._last_id, int(id))
        return id


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _refuse_other_names(fields: Document) -> None:
    """A name in snake_case would be kept as an unknown field, and the field that was meant would get its default."""
    for name in fields:
        if "_" in name.lstrip("_"):
            first, *rest = name.split("_")
            raise ValueError(
                f"{name!r} is no name of the wire; {first + ''.join(map(str.capitalize, rest))!r} may be meant"
            )
