"""What a test sees of the emulator's store: helpers that build a situation and look at its outcome."""

import copy
from collections.abc import Iterable
from typing import Any

from amp_exp_async.emulator.documents import Document, Kind
from amp_exp_async.emulator.groups import GROUP_NAMES, GroupKind
from amp_exp_async.emulator.store import FlagConfig, Member, Store


class EmulatorState(Store):
    """Everything the emulator knows.

    Its helpers work without HTTP, so a test can build any situation first and look at the outcome afterwards; they hand
    out copies. Documents have the wire's shape and camelCase names, and keep fields that nobody knows. A field whose
    name begins with an underscore is private and never sent: `_type` of a flag or an experiment may be
    `web-experiment`, `guide` or `survey`, which refuse every edit with 405; `_type` of a deployment is `client` or
    `server`; `_deleted` of a mutex group tells whether it is archived.
    """

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

    def add_mutex(self, **fields: Any) -> Document:
        """Add a mutex group; any field may be given, by its name on the wire, the rest gets defaults.

        So do the fields of its `slots`; without any it has two halves. The experiments that a slot names get their
        dependency if they are there already. Returns its document.
        """
        return self.add_group("mutexes", fields)

    def add_holdout(self, **fields: Any) -> Document:
        """Add a holdout group; any field may be given, by its name on the wire, the rest gets defaults.

        The experiments that it names get their dependency if they are there already. Returns its document.
        """
        return self.add_group("holdouts", fields)

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

    def mutex(self, id: str) -> Document:
        """The mutex group's document; `KeyError` if there is none."""
        return self._group("mutexes", id)

    def holdout(self, id: str) -> Document:
        """The holdout group's document; `KeyError` if there is none."""
        return self._group("holdouts", id)

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

    @property
    def mutexes(self) -> list[Document]:
        """The documents of all mutex groups, the oldest first, archived ones included."""
        return self._group_documents("mutexes")

    @property
    def holdouts(self) -> list[Document]:
        """The documents of all holdout groups, the oldest first, archived ones included."""
        return self._group_documents("holdouts")

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

    def _documents(self, kind: Kind) -> list[Document]:
        with self.lock:
            return copy.deepcopy([toggle.document for toggle in self.toggles[kind].values()])

    def _group(self, kind: GroupKind, id: str) -> Document:
        with self.lock:
            try:
                return copy.deepcopy(self.groups[kind][str(id)])
            except KeyError:
                raise KeyError(f"there is no {GROUP_NAMES[kind]} with id {id!r}") from None

    def _group_documents(self, kind: GroupKind) -> list[Document]:
        with self.lock:
            return copy.deepcopy(list(self.groups[kind].values()))

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

    def _with_variant(self, kind: Kind, id: str, variant: str) -> FlagConfig:
        toggle = self.toggle(kind, id)
        if toggle.variant(variant) is None:
            raise KeyError(f"{kind[:-1]} {id} has no variant {variant!r}")
        return toggle
