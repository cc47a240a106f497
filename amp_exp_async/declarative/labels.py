"""Deployments by label: a file names them so, and the service by id. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from amp_exp_async.models import UNSET, Deployment, UnsetType

BY_ID = "id:"


class Labels:
    """The deployments that there are."""

    def __init__(self, deployments: Iterable[Deployment]) -> None:
        self._by_id = {deployment.id: deployment for deployment in deployments}

    def name(self, id: str, project_id: str | UnsetType | None) -> str:
        """What a file calls a deployment: its label, or `id:` and its id where the label is not enough."""
        label = self._by_id[id].label if id in self._by_id else UNSET
        return label if label and self.find(label, project_id) == (id, "") else f"{BY_ID}{id}"

    def find(self, name: str, project_id: str | UnsetType | None) -> tuple[str, str]:
        """The id of what a file calls so; and if there is none, why."""
        if name.startswith(BY_ID):
            id = name.removeprefix(BY_ID)
            return id, "" if id in self._by_id else f"there is no deployment with the id {id!r}"
        ours = [
            one for one in self._by_id.values() if not (one.project_id and project_id) or one.project_id == project_id
        ]
        called = [one for one in ours if one.label == name]
        found = [one for one in called if not one.deleted] or called
        if len(found) == 1:
            return found[0].id, ""
        where = f"in project {project_id}" if project_id else "in any project that the key sees"
        if found:
            ids = " or ".join(f"{BY_ID}{one.id}" for one in sorted(found, key=lambda one: one.id))
            return "", f"{len(found)} deployments {where} have the label {name!r}: name one by {ids}"
        near = get_close_matches(name, [one.label for one in ours if one.label], n=1)
        hint = f"; {near[0]!r} may be meant" if near else ": correct the label, or create the deployment first"
        return "", f"there is no deployment with the label {name!r} {where}{hint}"
