"""What the emulator knows: flags, experiments, deployments, their inclusions and versions."""

import copy
import threading
from collections.abc import Callable, Container, Iterable
from datetime import UTC, datetime
from typing import Any, Literal

from attrs import define, field

from amp_exp_async.emulator.documents import USER, Document, Kind, new_deployment, new_toggle, timestamp, version

Member = Literal["users", "cohorts"]
"""The two lists of inclusions that a variant has."""


class StateError(ValueError):
    """The state that was given, or the file it came from, is not one; the message names the place."""


@define(eq=False)
class Toggle:
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


class State:
    """Everything the emulator knows.

    Its helpers work without HTTP, so a test can build any situation first and look at the outcome afterwards; they hand
    out copies. Documents have the wire's shape and camelCase names, and keep fields that nobody knows. A field whose
    name begins with an underscore is private and never sent: `_type` of a flag or an experiment may be
    `web-experiment`, `guide` or `survey`, which refuse every edit with 405; `_type` of a deployment is `client` or
    `server`.
    """

    def __init__(self, clock: Callable[[], datetime] | None = None) -> None:
        self.clock: Callable[[], datetime] = clock if clock is not None else _utc_now
        self.lock = threading.RLock()  # the server may run on another thread than the test
        self.revision = 0  # grows with every change
        self._last_id = 1000
        self.toggles: dict[Kind, dict[str, Toggle]] = {"flags": {}, "experiments": {}}  # in order of creation
        self.stored_deployments: dict[str, Document] = {}  # in order of creation

    def add_flag(self, **fields: Any) -> Document:
        """Add a flag; any field may be given, by its name on the wire (`projectId`), the rest gets defaults.

        Returns its document.
        """
        return self.add("flags", fields)

    def add_experiment(self, **fields: Any) -> Document:
        """Add an experiment; any field may be given, by its name on the wire (`projectId`), the rest gets defaults.

        Returns its document.
        """
        return self.add("experiments", fields)

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

    def add_users(self, kind: Kind, id: str, variant: str, users: Iterable[str]) -> None:
        """Include users or devices in a variant, without the service's limit of 2,000 and without a new version."""
        self._include(kind, id, variant, "users", users)

    def add_cohorts(self, kind: Kind, id: str, variant: str, cohorts: Iterable[str]) -> None:
        """Include cohorts in a variant, without a new version."""
        self._include(kind, id, variant, "cohorts", cohorts)

    def flag(self, id: str) -> Document:
        """The flag's document; `KeyError` if there is none."""
        return copy.deepcopy(self.toggle("flags", id).document)

    def experiment(self, id: str) -> Document:
        """The experiment's document; `KeyError` if there is none."""
        return copy.deepcopy(self.toggle("experiments", id).document)

    @property
    def flags(self) -> list[Document]:
        """The documents of all flags, the oldest first, archived ones included."""
        return self._documents("flags")

    @property
    def experiments(self) -> list[Document]:
        """The documents of all experiments, the oldest first, archived ones included."""
        return self._documents("experiments")

    @property
    def deployments(self) -> list[Document]:
        """The documents of all deployments, the oldest first, archived ones included."""
        with self.lock:
            return copy.deepcopy(list(self.stored_deployments.values()))

    def users(self, kind: Kind, id: str, variant: str) -> list[str]:
        """The users and devices included in a variant, in order; `KeyError` if there is no such variant."""
        return self._members(kind, id, variant, "users")

    def cohorts(self, kind: Kind, id: str, variant: str) -> list[str]:
        """The cohorts included in a variant, in order; `KeyError` if there is no such variant."""
        return self._members(kind, id, variant, "cohorts")

    def versions(self, kind: Kind, id: str) -> list[Document]:
        """The version documents of a flag or an experiment, the newest first."""
        with self.lock:
            return copy.deepcopy(self.toggle(kind, id).versions[::-1])

    def toggle(self, kind: Kind, id: str) -> Toggle:
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
            self.toggles[kind][id] = Toggle(document, [version(document, 1, now)])
            self.revision += 1
            return copy.deepcopy(document)

    def commit(self, toggle: Toggle, **changes: Any) -> None:
        """Store changed fields of a flag or an experiment, and with them its next version."""
        now = self.now()
        toggle.document = {**toggle.document, **changes, "lastModifiedBy": USER, "lastModifiedAt": now}
        number = toggle.versions[-1]["version"] + 1
        toggle.versions.append(version(toggle.document, number, now))
        self.revision += 1

    def commit_deployment(self, id: str, **changes: Any) -> None:
        """Store changed fields of a deployment."""
        self.stored_deployments[id] = {**self.stored_deployments[id], **changes}
        self.revision += 1

    def now(self) -> str:
        """The clock's time as the service writes it."""
        return timestamp(self.clock())

    def _documents(self, kind: Kind) -> list[Document]:
        with self.lock:
            return copy.deepcopy([toggle.document for toggle in self.toggles[kind].values()])

    def _members(self, kind: Kind, id: str, variant: str, member: Member) -> list[str]:
        with self.lock:
            return list(self._with_variant(kind, id, variant).members(variant, member))

    def _include(self, kind: Kind, id: str, variant: str, member: Member, ids: Iterable[str]) -> None:
        if isinstance(ids, str):
            raise TypeError(f"{member} must be a list of ids, not {ids!r}")
        with self.lock:
            toggle = self._with_variant(kind, id, variant)
            merged = list(dict.fromkeys([*toggle.members(variant, member), *ids]))
            toggle.inclusions.setdefault(variant, {})[member] = merged
            self.revision += 1

    def _with_variant(self, kind: Kind, id: str, variant: str) -> Toggle:
        toggle = self.toggle(kind, id)
        if toggle.variant(variant) is None:
            raise KeyError(f"{kind[:-1]} {id} has no variant {variant!r}")
        return toggle

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
