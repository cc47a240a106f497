"""The operations that carry out a change, in an order in which a flag is never half-enabled.

The order is: restore; disable; create the flag; deployments, variants and weights; users and cohorts; segments and
other fields; remove variants that nothing names any longer; enable; archive. The service edits no archived flag, so
restoring and archiving are requests of their own. A rerun looks here for the fields that a completed operation has set.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

from amp_exp_async import validation
from amp_exp_async.bulk import (
    AddDeployments,
    CreateExperiment,
    CreateFlag,
    CreateVariant,
    Edit,
    EditVariant,
    Operation,
    RemoveDeployment,
    RemoveVariant,
    ReplaceCohorts,
    ReplaceUsers,
)
from amp_exp_async.models import UNSET
from amp_exp_async.params import EXPERIMENT_CREATE_PARAMS, FLAG_CREATE_PARAMS
from amp_exp_async.resources import FieldChange

from .change import ResourceChange
from .document import is_object
from .live import INCLUSIONS

INCLUSION_SUFFIXES = tuple(f".{name}" for name in INCLUSIONS)
"""The ends of the names of fields such as `variants.on.users`."""

_VARIANTS = "variants."


def is_whole_variant(name: str, change: FieldChange) -> bool:
    """Return whether a changed field is a variant that is added or removed, not a field of a variant."""
    key = name.removeprefix(_VARIANTS)
    sides = (change.before, change.after)
    return key != name and UNSET in sides and any(is_object(side) and side.get("key") == key for side in sides)


@validation.trusted_text()
def operations_for(change: ResourceChange) -> list[Operation]:
    """Return the operations that carry out a change, in order."""
    return _OperationBuilder(change).build()


def is_undone(done: Operation, name: str, now: FieldChange, pending: Iterable[Operation]) -> bool:
    """Return whether a completed operation has set a field that is to be set again.

    Args:
        done: the operation.
        name: the field.
        now: its live value and the planned one.
        pending: the operations that would make the flag as planned.
    """
    prefix, _, field = name.rpartition(".")
    match done:
        case Edit():
            is_set = done.changes.get("archive") is now.after if name == "archived" else name in done.changes
        case CreateFlag() | CreateExperiment():
            is_set = name.partition(".")[0] in done.fields and not name.endswith(INCLUSION_SUFFIXES)
        case AddDeployments() | RemoveDeployment():
            is_set = name == "deployments" and _is_repeated(done, pending)
        case CreateVariant() | RemoveVariant():
            is_set = name == f"{_VARIANTS}{done.variant}"
        case EditVariant():
            is_weight = prefix == "rollout_weights" and field == done.variant and "rollout_weight" in done.changes
            is_set = is_weight or (prefix == f"{_VARIANTS}{done.variant}" and field in done.changes)
        case ReplaceUsers() | ReplaceCohorts():
            is_set = name == f"{_VARIANTS}{done.variant}.{done.member}"
        case _:
            is_set = False
    return is_set


def _is_repeated(done: AddDeployments | RemoveDeployment, pending: Iterable[Operation]) -> bool:
    """Return whether a deployment that was added or removed is to be added or removed again."""
    if isinstance(done, RemoveDeployment):
        return done in pending
    again = chain.from_iterable(other.deployments for other in pending if isinstance(other, AddDeployments))
    return not set(done.deployments).isdisjoint(again)


class _OperationBuilder:
    """The operations that make a change. Each step takes its fields out of `_fields`."""

    def __init__(self, change: ResourceChange) -> None:
        self._change = change
        self._fields = dict(change.fields)
        self._target: dict[str, Any] = {"kind": change.kind}
        if change.id is None:
            self._target |= {"key": change.key, "project_id": change.project_id}
        else:
            self._target["id"] = change.id
        self._variants = {
            name.removeprefix(_VARIANTS): self._fields.pop(name)
            for name, field_change in change.fields.items()
            if is_whole_variant(name, field_change)
        }
        self._weights = self._take_values("rollout_weights.")

    def build(self) -> list[Operation]:
        archived = self._fields.pop("archived", FieldChange("archived", UNSET, UNSET))
        stop, start = self._enabling_changes()
        first = [*self._creation(), *self._deployment_operations(), *self._variant_operations()]
        edits = {name: change.after for name, change in self._fields.items()}
        removals = [
            RemoveVariant(**self._target, variant=key)
            for key, change in self._variants.items()
            if change.after is UNSET
        ]
        # One request does for what needs no order.
        if not removals:
            edits, start = edits | start, {}
        if self._change.id is None or not (first or removals):
            edits, stop = stop | edits, {}
        operations = [
            self._edit_operation({"archive": False} if archived.before is True else {}),
            self._edit_operation(stop),
            *first,
            self._edit_operation(edits),
            *removals,
            self._edit_operation(start),
            self._edit_operation({"archive": True} if archived.after is True else {}),
        ]
        return [operation for operation in operations if operation is not None]

    def _edit_operation(self, changes: Mapping[str, Any]) -> Edit | None:
        return Edit(**self._target, changes=changes) if changes else None

    def _take_values(self, prefix: str) -> dict[str, Any]:
        """Remove the fields with a prefix and return their new values."""
        names = [name for name in self._fields if name.startswith(prefix)]
        return {name.removeprefix(prefix): self._fields.pop(name).after for name in names}

    def _enabling_changes(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the edits that disable the flag, and those that enable it. A flag is created disabled."""
        change = self._fields.pop("enabled", None)
        if change is None or change.before == change.after or (self._change.id is None and not change.after):
            return {}, {}
        edit = {"enabled": change.after}
        return ({}, edit) if change.after else (edit, {})

    def _creation(self) -> list[Operation]:
        if self._change.id is not None:
            return []
        params = FLAG_CREATE_PARAMS if self._change.kind == "flags" else EXPERIMENT_CREATE_PARAMS
        converted = {"variants", "deployments", "rollout_weights"}
        names = [
            name
            for name, change in self._fields.items()
            if name in params and name not in converted and change.after is not None
        ]
        values: dict[str, Any] = {name: self._fields.pop(name).after for name in names}
        if self._variants or self._fields.pop("variants", None) is not None:
            values["variants"] = [change.after for change in self._variants.values()]
            self._variants = {}
        if deployments := self._fields.pop("deployments", None):
            values["deployments"] = [self._change.deployments[label] for label in deployments.after]
        if self._weights and all(isinstance(weight, int) for weight in self._weights.values()):
            values["rollout_weights"], self._weights = self._weights, {}
        make = CreateFlag if self._change.kind == "flags" else CreateExperiment
        return [make(self._change.project_id, self._change.key, **values)]

    def _deployment_operations(self) -> list[Operation]:
        change = self._fields.pop("deployments", FieldChange("deployments", [], []))
        before, after, ids = change.before or (), change.after, self._change.deployments
        added = [ids[label] for label in after if label not in before]
        removed = [ids[label] for label in before if label not in after]
        additions: list[Operation] = [AddDeployments(**self._target, deployments=added)] if added else []
        return additions + [RemoveDeployment(**self._target, deployment=id) for id in removed]

    def _variant_operations(self) -> list[Operation]:
        operations: list[Operation] = []
        for key, change in self._variants.items():
            if change.before is UNSET:
                fields = {name: value for name, value in change.after.items() if name != "key"}
                weight = self._weights.pop(key, UNSET)
                operations.append(CreateVariant(**self._target, variant=key, **fields, rollout_weight=weight))
        edits: dict[str, dict[str, Any]] = {}
        inclusions: list[Operation] = []
        for path, value in self._take_values(_VARIANTS).items():
            key, _, field = path.rpartition(".")  # only a key may contain dots
            if field == "users":
                inclusions.append(ReplaceUsers(**self._target, variant=key, users=value, allow_empty=True))
            elif field == "cohorts":
                inclusions.append(ReplaceCohorts(**self._target, variant=key, cohorts=value, allow_empty=True))
            else:
                edits.setdefault(key, {})[field] = value
        for key, weight in self._weights.items():
            edits.setdefault(key, {})["rollout_weight"] = weight
        operations += [EditVariant(**self._target, variant=key, changes=changes) for key, changes in edits.items()]
        return operations + inclusions
