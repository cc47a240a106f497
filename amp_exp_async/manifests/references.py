"""References from a manifest to other objects: deployments by label, parents by key, and both in another project."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, ClassVar, TypeAlias

from attrs import evolve, frozen

from amp_exp_async import validation
from amp_exp_async.errors import Problem
from amp_exp_async.escaping import escape
from amp_exp_async.formatting import format_value
from amp_exp_async.models import UNSET, Deployment, FlagConfig, Group, UnsetType

from .change import ResourceChange
from .parse import problem_at, raise_for_problems
from .spec import KINDS, Dependencies, FlagConfigSpec, KindName, Manifest

ID_PREFIX = "id:"

_LOG = logging.getLogger("amp_exp_async")

Referent: TypeAlias = Deployment | FlagConfig | Group
Project: TypeAlias = str | UnsetType | None
ParentReference: TypeAlias = tuple[str, Project]
"""The name of a parent in a manifest, and the project to find it in."""

_REMEDIES: dict[KindName, str] = {
    "flags": "in the app",
    "experiments": "by editing its mutex or holdout group, or in the app",
}


@frozen
class ResolvedIDs:
    """The IDs of what a spec names.

    Attributes:
        id: the ID of the live flag; None if the flag is to be created.
        deployments: the IDs of its live and its declared deployments, by label. Empty if it declares none.
        parents: the IDs of its declared parents, by name; empty text for a parent that is to be created.
    """

    id: str | None
    deployments: Mapping[str, str]
    parents: Mapping[str, str]


class Resolver:
    """A resolver of the names in a manifest to IDs, and of IDs to names."""

    singular: ClassVar[str]
    plural: ClassVar[str]
    attribute: ClassVar[str]
    """The attribute of an object that a manifest names it by."""

    def __init__(self, referents: Iterable[Referent]) -> None:
        self._by_id = {referent.id: referent for referent in referents}
        self._by_name: dict[str, list[Referent]] = {}
        for referent in self._by_id.values():
            if name := getattr(referent, self.attribute):
                self._by_name.setdefault(name, []).append(referent)

    def name(self, id: str, project_id: Project) -> str:
        """Return the name of an object, or `id:` and its ID if the name is ambiguous, invalid or unknown."""
        name = getattr(self._by_id[id], self.attribute) if id in self._by_id else UNSET
        if name and self._is_usable(name) and self.find(name, project_id)[0] == id:
            return str(name)
        return f"{ID_PREFIX}{id}"

    def _is_usable(self, name: str) -> bool:
        """Return whether a manifest can contain a name."""
        return validation.is_key(name)

    def find(self, name: str, project_id: Project) -> tuple[str, str]:
        """Return the ID that a name stands for, and the reason why it is not usable (empty if it is)."""
        if name.startswith(ID_PREFIX):
            id = name.removeprefix(ID_PREFIX)
            return id, self._reason_against(id, project_id)
        candidates = [referent for referent in self._by_name.get(name, ()) if _is_in(referent, project_id)]
        matches = [referent for referent in candidates if not referent.deleted] or candidates
        if len(matches) == 1:
            return matches[0].id, ""
        where = f"in project {project_id}" if project_id else "in any project visible to this API key"
        label = f"{self.attribute} {format_value(name)}"
        if matches:
            ids = " or ".join(f"{ID_PREFIX}{id}" for id in sorted(referent.id for referent in matches))
            return "", f"{len(matches)} {self.plural} {where} have the {label}: use {ids}"
        names = [other for other, named in self._by_name.items() if any(_is_in(item, project_id) for item in named)]
        similar = get_close_matches(name, names, n=1)
        advice = f"correct the {self.attribute} or create the {self.singular} first"
        hint = f"; did you mean {format_value(similar[0])}?" if similar else f": {advice}"
        return "", f"no {self.singular} with {label} {where}{hint}"

    def _reason_against(self, id: str, project_id: Project) -> str:
        """Return why an ID is not usable; empty if it is."""
        label = f"{self.singular} with ID {format_value(id)}"
        if id not in self._by_id:
            return f"no {label}"
        referent = self._by_id[id]
        if _is_in(referent, project_id):
            return ""
        advice = f"use the {self.attribute} of a {self.singular} in project {project_id}"
        return f"the {label} belongs to project {referent.project_id}, not to project {project_id}: {advice}"


class DeploymentResolver(Resolver):
    """A resolver of deployments by label."""

    singular = "deployment"
    plural = "deployments"
    attribute = "label"

    def find(self, name: str, project_id: Project) -> tuple[str, str]:
        """As `Resolver.find`, but reject archived deployments."""
        id, reason = super().find(name, project_id)
        if not reason and self._by_id[id].deleted:
            reason = f"the deployment {format_value(name)} is archived: restore it or use another deployment"
        return id, reason


class ParentResolver(Resolver):
    """The resolver of the flags, experiments and groups that others may depend on, by key.

    Args:
        referents: the existing flags, experiments and groups.
        pending: project and key of the flags and experiments to be created; they are found, but have no ID yet.
        has_hidden_groups: whether the key may not read all groups.
    """

    singular = "flag, experiment or group"
    plural = "flags, experiments or groups"
    attribute = "key"

    def __init__(
        self,
        referents: Iterable[FlagConfig | Group],
        pending: Collection[tuple[Project, str]] = (),
        *,
        has_hidden_groups: bool = False,
    ) -> None:
        super().__init__(referents)
        self._pending = pending
        self.has_hidden_groups = has_hidden_groups

    def _is_usable(self, name: str) -> bool:
        """As `Resolver._is_usable`, but with any characters, as existing keys may have them."""
        return not name.startswith(ID_PREFIX)

    def find(self, name: str, project_id: Project) -> tuple[str, str]:
        """As `Resolver.find`, but with an empty ID for a parent that is to be created."""
        return ("", "") if (project_id, name) in self._pending else super().find(name, project_id)

    def unreadable(self, ids: Iterable[str]) -> list[str]:
        """Return the IDs of parents that do not exist, or that the key may not read."""
        return [id for id in ids if id not in self._by_id]

    def inactive(self, ids: Iterable[str], project_id: Project) -> list[str]:
        """Return the names of the parents that are disabled or archived."""
        parents = [self._by_id[id] for id in ids if id in self._by_id]
        return [
            self.name(parent.id, project_id)
            for parent in parents
            if parent.deleted or (isinstance(parent, FlagConfig) and parent.enabled is False)
        ]


def _is_in(referent: Referent, project_id: Project) -> bool:
    return not (referent.project_id and project_id) or referent.project_id == project_id


def project_of(desired: FlagConfigSpec, live: FlagConfig | None) -> Project:
    """Return the project of a desired flag, if it is known."""
    return (live.project_id if live else UNSET) or desired.project_id


def export_dependencies(live: FlagConfig, parents: ParentResolver) -> Dependencies | UnsetType:
    """Return the dependencies of a live flag on readable parents, as a manifest declares them; `UNSET` without any."""
    dependencies, known = live.parent_dependencies, _live_parents(live)
    unreadable = parents.unreadable(known)
    by_name = {parents.name(id, live.project_id): known[id] for id in known if id not in unreadable}
    for id in unreadable:
        fact = "the export leaves out its dependency on the parent with ID %s, which does not exist or cannot be read"
        _LOG.warning(f"%s (ID %s): {fact}", escape(live.key), live.id, id)
    if not (dependencies and by_name):
        return UNSET
    return Dependencies(flags=by_name, operator=dependencies.operator or UNSET)


def parents_to_export(live: FlagConfig) -> Iterator[ParentReference]:
    """Yield the parents whose names an export needs."""
    return ((f"{ID_PREFIX}{id}", live.project_id) for id in _live_parents(live))


def parents_to_plan(desired: FlagConfigSpec, live: FlagConfig | None) -> Iterator[ParentReference]:
    """Yield the parents whose IDs a plan needs, except live parents that are declared by ID."""
    known = _live_parents(live)
    for name in desired.dependencies.flags if desired.dependencies else ():
        if not (name.startswith(ID_PREFIX) and name.removeprefix(ID_PREFIX) in known):
            yield name, project_of(desired, live)


def live_parents_to_plan(
    kind: KindName, desired: FlagConfigSpec, live: FlagConfig | None, parents: ParentResolver
) -> Iterator[ParentReference]:
    """Yield the live parents that a plan needs: those that are not declared, and those of an enabled experiment."""
    project_id = project_of(desired, live)
    is_enabled = kind == "experiments" and _enables(desired, live)
    declared = {
        parents.find(name, project_id)[0] for name in (desired.dependencies.flags if desired.dependencies else ())
    }
    for id in _live_parents(live):
        if is_enabled or (desired.dependencies and id not in declared):
            yield f"{ID_PREFIX}{id}", project_id


def inactive_parent_warnings(
    kind: KindName, desired: FlagConfigSpec, live: FlagConfig | None, parents: ParentResolver
) -> Iterator[Problem]:
    """Yield a warning if an experiment is enabled although a parent is not active, which the service may reject."""
    if kind == "experiments" and _enables(desired, live):
        names = parents.inactive(_live_parents(live), project_of(desired, live))
        if names:
            fact = f"depends on {', '.join(names)}, not active, so the service may not enable it"
            yield problem_at(desired, "enabled", f"{fact}: enable what it depends on first")


def declared_parents(desired: FlagConfigSpec, live: FlagConfig | None, parents: ParentResolver) -> dict[str, str]:
    """Return the IDs of the declared parents by name; the ID is empty if the parent is to be created."""
    names = desired.dependencies.flags if desired.dependencies else ()
    return {name: parents.find(name, project_of(desired, live))[0] for name in names}


def check_dependencies(
    kind: KindName, desired: FlagConfigSpec, live: FlagConfig | None, parents: ParentResolver
) -> tuple[list[Problem], list[Problem]]:
    """Return the problems and the warnings about desired dependencies, which no request can set."""
    dependencies, project_id = desired.dependencies, project_of(desired, live)
    if not dependencies:
        return [], []
    known = _live_parents(live)
    ids: dict[str, list[str]] = {}
    problems: list[Problem] = []
    for name, variants in dependencies.flags.items():
        id, reason = parents.find(name, project_id)
        if reason and id not in known:
            problem = problem_at(desired, f"dependencies.flags.{name}", reason)
            if parents.has_hidden_groups:
                return [], [_unchecked(problem)]
            problems.append(problem)
        ids[id] = sorted(set(variants))
    unreadable = parents.unreadable(id for id in known if id not in ids)  # an export leaves them out
    known = {id: variants for id, variants in known.items() if id not in unreadable}
    operator = (live.parent_dependencies.operator if live and live.parent_dependencies else UNSET) or UNSET
    is_same_operator = UNSET in (operator, dependencies.operator) or operator == dependencies.operator
    if problems or (ids == known and is_same_operator):
        return problems, []
    live_text = _format_parents({parents.name(id, project_id): variants for id, variants in known.items()}, operator)
    desired_text = _format_parents(dependencies.flags, dependencies.operator)
    fact = f"depends on {live_text} instead of {desired_text}, and the API cannot set dependencies"
    if not _enables(desired, live):
        return [], [problem_at(desired, "dependencies", f"{fact}: set them {_REMEDIES[kind]}")]
    first = "create it disabled" if live is None else "keep it disabled or archived"
    advice = f"{first}, set the dependencies {_REMEDIES[kind]}, then enable it"
    return [problem_at(desired, "dependencies", f"{fact}: {advice}")], []


def _unchecked(problem: Problem) -> Problem:
    fact = "is not checked, because this API key may not read the mutex and holdout groups"
    return evolve(problem, message=f"{fact}: plan with a key of a user who may")


def _live_parents(live: FlagConfig | None) -> dict[str, list[str]]:
    """Return the variants of each parent, by its ID."""
    dependencies = live.parent_dependencies if live else UNSET
    if not dependencies:
        return {}
    return {id: sorted(set(variants)) for id, variants in sorted((dependencies.flags or {}).items())}


def _format_parents(parents: Mapping[str, Sequence[str]], operator: str | UnsetType) -> str:
    text = ", ".join(f"{name} ({', '.join(variants)})" for name, variants in parents.items()) or "nothing"
    return f"{operator} of {text}" if operator and parents else text


def _enables(desired: FlagConfigSpec, live: FlagConfig | None) -> bool:
    """Return whether a plan makes a flag serve users that did not serve them before."""
    is_serving = bool(live and live.enabled and not live.deleted)
    enabled = desired.enabled if desired.enabled is not UNSET else live and live.enabled
    return bool(enabled) and not desired.archived and not is_serving


def retarget(manifest: Manifest, project_id: str) -> Manifest:
    """Return a manifest for another project.

    Raises:
        InvalidManifestError: If the manifest names several projects.
    """
    first: dict[str, FlagConfigSpec] = {}
    for kind in KINDS:
        for spec in manifest.of(kind):
            if spec.project_id is not UNSET:
                first.setdefault(spec.project_id, spec)
    if len(first) > 1:
        reason = f"projects {', '.join(sorted(first))} are named: promote one project at a time, each from its own file"
        raise_for_problems([problem_at(list(first.values())[1], "project_id", reason)])
    specs: dict[str, Any] = {
        kind: [evolve(spec, project_id=project_id) for spec in manifest.of(kind)]
        for kind in KINDS
        if getattr(manifest, kind) is not UNSET
    }
    return evolve(manifest, **specs)


def cohort_warnings(manifest: Manifest, project_id: str, changes: Iterable[ResourceChange]) -> Iterator[Problem]:
    """Yield a warning for each flag whose changes write cohorts that were declared for another project.

    Args:
        manifest: the manifest, before it was retargeted.
        project_id: the project that the plan is for.
        changes: the changes of the plan.
    """
    by_key = {(change.kind, change.key): change for change in changes}
    for kind in KINDS:
        for spec in manifest.of(kind):
            change = by_key.get((kind, spec.key))
            if change is None or spec.project_id == project_id:
                continue
            for index, variant in enumerate(spec.variants or ()):
                if variant.cohorts and f"variants.{variant.key}.cohorts" in change.fields:
                    reason = f"these cohort IDs may belong to a project other than {project_id}: check them first"
                    yield problem_at(spec, f"variants[{index}].cohorts", reason)
                    break
