"""From what is declared to a plan: what is read, and how it is matched."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial

from attrs import evolve, frozen

from amp_exp_async import validation
from amp_exp_async.errors import Problem
from amp_exp_async.http import Transport
from amp_exp_async.models import UNSET, FlagConfig, UnsetType

from . import dependencies
from .change import ResourceChange
from .compare import Comparison, needed_inclusions, needs_details, needs_variants
from .dump import validated
from .names import Labels, Parents
from .parse import problem_at, raise_for_problems
from .plan import Plan
from .present import Present, present
from .promotion import foreign_cohorts, promoted
from .spec import KINDS, ExperimentSpec, FlagConfigSpec, FlagSpec, KindName, Manifest, merge_manifests
from .survey import Survey


@frozen
class _Pair:
    """What is declared, and what there is of it."""

    kind: KindName
    declared: FlagConfigSpec
    there: Present | None


async def make_plan(transport: Transport, state: Manifest, *, prune: bool, project_id: str | None = None) -> Plan:
    """What would change for everything to be as declared, in the project that is given or else in those declared."""
    given = state = validated(state)
    if prune and state.scope and state.scope.keys is not None:
        why = "must not be True for an export of some keys: all others would be archived"
        validation.reject(
            "prune", f"{why}. Export without keys, or say that it is the whole: attrs.evolve(state, scope=None)"
        )
    if project_id is not None:
        project_id = validation.identifier("project_id", project_id)
        state = promoted(given, project_id)
    survey = Survey(transport)
    projects: dict[KindName, set[str | UnsetType]]
    projects = {kind: _projects(kind, state, project_id if prune else None) for kind in KINDS}
    listed = await _listed(survey, state, projects, prune=prune)
    owned = any(toggle.deployments is not UNSET for kind in KINDS for toggle in state.of(kind))
    labels = Labels(await survey.deployments() if owned else ())
    problems: list[Problem] = []
    pairs = [pair for kind in KINDS for pair in _pairs(kind, state.of(kind), listed[kind], problems)]
    if prune:
        unnamed = [pair for kind in KINDS for pair in _unnamed(kind, projects[kind], pairs, listed[kind])]
        state = merge_manifests([state, *(Manifest(**{pair.kind: [pair.declared]}) for pair in unnamed)])
        pairs += unnamed
    pairs = await survey.together([partial(_read, survey, pair) for pair in pairs])
    parents = await _parents(survey, pairs)
    changes: list[ResourceChange] = []
    warnings: list[Problem] = []
    for pair in pairs:
        comparison = Comparison(pair.kind, pair.declared, pair.there, labels)
        change = comparison.change()
        if change is not None:
            changes.append(change)
        refused, warned = dependencies.compare(pair.kind, pair.declared, pair.there, parents)
        problems += [*comparison.problems, *refused]
        warnings += warned
    raise_for_problems(problems)
    if project_id is not None:
        warnings += foreign_cohorts(given, project_id, changes)
    return Plan(
        service=transport.session.endpoint.base_url,
        changes=tuple(sorted(changes, key=lambda change: (change.kind != "flags", change.project_id, change.key))),
        state=_concerned(state, changes),
        warnings=tuple(sorted(warnings, key=lambda warning: (warning.file, warning.line))),
    )


def _projects(kind: KindName, state: Manifest, whole: str | None) -> set[str | UnsetType]:
    """The projects that are declared; one that is owned as a whole is, also by an empty list."""
    projects = {toggle.project_id for toggle in state.of(kind)}
    return projects if whole is None or getattr(state, kind) is UNSET else projects | {whole}


async def _listed(
    survey: Survey, state: Manifest, declared: Mapping[KindName, set[str | UnsetType]], *, prune: bool
) -> dict[KindName, list[FlagConfig]]:
    """What there is of the projects that are declared: a list of each, or one of all where a project is left out."""
    lists: list[tuple[KindName, str | UnsetType, set[str] | None]] = []
    for kind in KINDS:
        projects = declared[kind]
        for project in [UNSET] if UNSET in projects else sorted(map(str, projects)):
            ours = [toggle for toggle in state.of(kind) if project in (UNSET, toggle.project_id)]
            lists.append((kind, project, None if prune else {toggle.key for toggle in ours}))
    read = await survey.together(
        [partial(survey.toggles, kind, project, keys, include_archived=True) for kind, project, keys in lists]
    )
    found: dict[KindName, list[FlagConfig]] = {kind: [] for kind in KINDS}
    for (kind, _, _), toggles in zip(lists, read, strict=True):
        found[kind] += toggles
    return found


def _unnamed(
    kind: KindName, declared: Collection[str | UnsetType], pairs: Iterable[_Pair], listed: Iterable[FlagConfig]
) -> Iterator[_Pair]:
    """What is there and not declared, of the projects that are: to be archived."""
    ours = [pair.there.toggle for pair in pairs if pair.kind == kind and pair.there]
    projects = {*declared, *(toggle.project_id for toggle in ours)}
    named = {toggle.id for toggle in ours}
    make = FlagSpec if kind == "flags" else ExperimentSpec
    for toggle in listed:
        if toggle.project_id in projects and toggle.project_id and toggle.id not in named and not toggle.deleted:
            yield _Pair(kind, make(key=toggle.key, project_id=toggle.project_id, archived=True), present(toggle))


def _pairs(
    kind: KindName, toggles: Sequence[FlagConfigSpec], listed: Iterable[FlagConfig], problems: list[Problem]
) -> Iterator[_Pair]:
    by_key: dict[str, list[FlagConfig]] = {}
    for toggle in listed:
        by_key.setdefault(toggle.key, []).append(toggle)
    for declared in toggles:
        of_project = [
            toggle
            for toggle in by_key.get(declared.key, [])
            if declared.project_id is UNSET or toggle.project_id in (UNSET, declared.project_id)
        ]
        found = [toggle for toggle in of_project if not toggle.deleted] or of_project
        if len(found) > 1:
            where = ", ".join(f"{toggle.project_id} (id {toggle.id})" for toggle in found)
            why = f"must be given, since {declared.key!r} is there {len(found)} times: in {where}"
            problems.append(problem_at(declared, "project_id", why))
        else:
            yield _Pair(kind, declared, present(found[0]) if found else None)


async def _read(survey: Survey, pair: _Pair) -> _Pair:
    """A pair with what is declared and the list does not show."""
    there = pair.there
    if there is None:
        return pair
    if needs_details(pair.declared, there):
        there = await survey.details(pair.kind, there)
    if needs_variants(pair.declared, there):
        there = await survey.variants(pair.kind, there)
    if needed := needed_inclusions(pair.declared, there):
        there = await survey.included(pair.kind, there, needed)
    return evolve(pair, there=there)


async def _parents(survey: Survey, pairs: Iterable[_Pair]) -> Parents:
    """What the declared may depend on: what there is, and what is to be created."""
    wanted = [parent for pair in pairs for parent in dependencies.to_find(pair.declared, pair.there)]
    coming = {(pair.declared.project_id, pair.declared.key) for pair in pairs if pair.there is None}
    there = await survey.parents([(name, project) for name, project in wanted if (project, name) not in coming])
    return Parents(there, coming)


def _concerned(state: Manifest, changes: Iterable[ResourceChange]) -> Manifest:
    """What is declared of that which changes."""
    names = {(change.kind, change.key, project) for change in changes for project in (change.project_id, UNSET)}
    parts: dict[str, list[FlagConfigSpec]] = {
        kind: [toggle for toggle in state.of(kind) if (kind, toggle.key, toggle.project_id) in names] for kind in KINDS
    }
    return Manifest(**{kind: toggles for kind, toggles in parts.items() if toggles})
