"""Deployments by label, and parents by key: a file names them so, and the service by id. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from difflib import get_close_matches
from typing import ClassVar, TypeAlias

from amp_exp_async import validation
from amp_exp_async.models import UNSET, Deployment, FlagConfig, Group, UnsetType

BY_ID = "id:"

Thing: TypeAlias = Deployment | FlagConfig | Group
Project: TypeAlias = str | UnsetType | None


class Names:
    """The things of one sort that there are."""

    one: ClassVar[str]
    many: ClassVar[str]
    by: ClassVar[str]

    def __init__(self, things: Iterable[Thing]) -> None:
        self._by_id = {thing.id: thing for thing in things}
        self._by_name: dict[str, list[Thing]] = {}
        for thing in self._by_id.values():
            if name := getattr(thing, self.by):
                self._by_name.setdefault(name, []).append(thing)

    def name(self, id: str, project_id: Project) -> str:
        """What a file calls a thing: its label or key, or `id:` and its id where that is not enough, or is no key."""
        name = getattr(self._by_id[id], self.by) if id in self._by_id else UNSET
        return name if name and validation.is_key(name) and self.find(name, project_id)[0] == id else f"{BY_ID}{id}"

    def find(self, name: str, project_id: Project) -> tuple[str, str]:
        """The id of what a file calls so; and if there is none, why."""
        if name.startswith(BY_ID):
            id = name.removeprefix(BY_ID)
            return id, self._why_not(id, project_id)
        called = [thing for thing in self._by_name.get(name, ()) if _is_of(thing, project_id)]
        found = [thing for thing in called if not thing.deleted] or called
        if len(found) == 1:
            return found[0].id, ""
        where = f"in project {project_id}" if project_id else "in any project that the key sees"
        if found:
            ids = " or ".join(f"{BY_ID}{thing.id}" for thing in sorted(found, key=lambda thing: thing.id))
            return "", f"{len(found)} {self.many} {where} have the {self.by} {name!r}: name one by {ids}"
        ours = [other for other, things in self._by_name.items() if any(_is_of(thing, project_id) for thing in things)]
        near = get_close_matches(name, ours, n=1)
        hint = f"; {near[0]!r} may be meant" if near else f": correct the {self.by}, or create the {self.one} first"
        return "", f"there is no {self.one} with the {self.by} {name!r} {where}{hint}"

    def _why_not(self, id: str, project_id: Project) -> str:
        """Why a thing of this id cannot be meant; empty if it can."""
        if id not in self._by_id:
            return f"there is no {self.one} with the id {id!r}"
        thing = self._by_id[id]
        if _is_of(thing, project_id):
            return ""
        theirs = f"the {self.one} with the id {id!r} is of project {thing.project_id}"
        return f"{theirs}, not of project {project_id}: name one of that project by its {self.by}"


class Labels(Names):
    """The deployments that there are, by label."""

    one = "deployment"
    many = "deployments"
    by = "label"

    def find(self, name: str, project_id: Project) -> tuple[str, str]:
        """Likewise; one that is archived serves nobody."""
        id, why = super().find(name, project_id)
        if not why and self._by_id[id].deleted:
            why = f"the deployment {name!r} is archived: restore it, or name another one"
        return id, why


class Parents(Names):
    """What flags and experiments may depend on, by key.

    Args:
        things: those that there are.
        coming: project and key of those that are to be created. Such a one is found, and has no id yet.
    """

    one = "flag, experiment or group"
    many = "flags, experiments or groups"
    by = "key"

    def __init__(self, things: Iterable[FlagConfig | Group], coming: Collection[tuple[Project, str]] = ()) -> None:
        super().__init__(things)
        self._coming = coming

    def find(self, name: str, project_id: Project) -> tuple[str, str]:
        """The id of what a file calls so; and if there is none, why."""
        return ("", "") if (project_id, name) in self._coming else super().find(name, project_id)


def _is_of(thing: Thing, project_id: Project) -> bool:
    return not (thing.project_id and project_id) or thing.project_id == project_id
