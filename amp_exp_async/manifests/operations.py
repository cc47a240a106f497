"""From a change to the operations that carry it out, in an order in which a flag is never half-enabled. Pure.

It is: what takes the flag out of service, the creation, deployments, variants and weights, what variants include,
segments and other fields, the removal of variants that nothing names any more, and at last what puts it into service.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
from amp_exp_async.params import NEW_EXPERIMENT, NEW_FLAG
from amp_exp_async.resources import FieldChange

from .change import ResourceChange

_SERVICE = {"enabled": "enabled", "archived": "archive"}


def operations(change: ResourceChange) -> list[Operation]:
    """What is to be done for a change."""
    return _Steps(change).all()


class _Steps:
    def __init__(self, change: ResourceChange) -> None:
        self._change = change
        self._fields = dict(change.fields)
        self._at: dict[str, Any] = {"kind": change.kind}
        if change.id is None:
            self._at |= {"key": change.key, "project_id": change.project_id}
        else:
            self._at["id"] = change.id
        self._variants = {
            name.removeprefix("variants."): self._fields.pop(name)
            for name in list(self._fields)
            if name.startswith("variants.") and name.count(".") == 1
        }
        self._weights = self._named("rollout_weights.")

    def all(self) -> list[Operation]:
        """The steps, in order."""
        out, into = self._service()
        before = [*self._creation(), *self._deployments(), *self._of_variants()]
        edited = {name: one.after for name, one in self._fields.items()}
        removed = [RemoveVariant(**self._at, variant=key) for key, one in self._variants.items() if one.after is UNSET]
        if not removed:
            edited, into = edited | into, {}
        if self._change.id is None or not (before or removed):
            edited, out = out | edited, {}
        steps = [self._edit(out), *before, self._edit(edited), *removed, self._edit(into)]
        return [step for step in steps if step is not None]

    def _edit(self, changes: Mapping[str, Any]) -> Edit | None:
        return Edit(**self._at, changes=changes) if changes else None

    def _named(self, prefix: str) -> dict[str, Any]:
        """What the fields of a group become, taken out of the rest."""
        names = [name for name in self._fields if name.startswith(prefix)]
        return {name.removeprefix(prefix): self._fields.pop(name).after for name in names}

    def _service(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What takes the flag out of service, and what puts it into service."""
        out: dict[str, Any] = {}
        into: dict[str, Any] = {}
        for name, sent in _SERVICE.items():
            one = self._fields.pop(name, None)
            if one is not None and not (self._change.id is None and not one.after):
                serves = bool(one.after) == (name == "enabled")
                (into if serves else out)[sent] = one.after
        return out, into

    def _creation(self) -> list[Operation]:
        if self._change.id is not None:
            return []
        table = NEW_FLAG if self._change.kind == "flags" else NEW_EXPERIMENT
        apart = {"variants", "deployments", "rollout_weights"}
        names = [name for name, one in self._fields.items() if name in table and one.after is not None]
        given: dict[str, Any] = {name: self._fields.pop(name).after for name in names if name not in apart}
        if self._variants or self._fields.pop("variants", None) is not None:
            given["variants"] = [one.after for one in self._variants.values()]
            self._variants = {}
        if assigned := self._fields.pop("deployments", None):
            given["deployments"] = [self._change.deployments[label] for label in assigned.after]
        if self._weights and all(isinstance(weight, int) for weight in self._weights.values()):
            given["rollout_weights"], self._weights = self._weights, {}
        make = CreateFlag if self._change.kind == "flags" else CreateExperiment
        return [make(self._change.project_id, self._change.key, **given)]

    def _deployments(self) -> list[Operation]:
        one = self._fields.pop("deployments", FieldChange("deployments", [], []))
        ids = self._change.deployments
        added = [ids[label] for label in one.after if label not in (one.before or ())]
        removed = [ids[label] for label in (one.before or ()) if label not in one.after]
        adding: list[Operation] = [AddDeployments(**self._at, deployments=added)] if added else []
        return adding + [RemoveDeployment(**self._at, deployment=id) for id in removed]

    def _of_variants(self) -> list[Operation]:
        steps: list[Operation] = []
        for key, one in self._variants.items():
            if one.before is UNSET:
                fields = {name: value for name, value in one.after.items() if name != "key"}
                weight = self._weights.pop(key, UNSET)
                steps.append(CreateVariant(**self._at, variant=key, **fields, rollout_weight=weight))
        edited: dict[str, dict[str, Any]] = {}
        included: list[Operation] = []
        for name, value in self._named("variants.").items():
            key, _, what = name.partition(".")
            if what == "users":
                included.append(ReplaceUsers(**self._at, variant=key, users=value))
            elif what == "cohorts":
                included.append(ReplaceCohorts(**self._at, variant=key, cohorts=value))
            else:
                edited.setdefault(key, {})[what] = value
        for key, weight in self._weights.items():
            edited.setdefault(key, {})["rollout_weight"] = weight
        steps += [EditVariant(**self._at, variant=key, changes=changes) for key, changes in edited.items()]
        return steps + included
