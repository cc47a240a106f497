"""From what is declared to a plan: what is read, and how it is matched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from attrs import frozen

from amp_exp_async.errors import Problem
from amp_exp_async.models import UNSET, Toggle, UnsetType
from amp_exp_async.transport import Transport

from .change import Change
from .compare import Comparison, needed_inclusions, needs_details, needs_variants
from .names import Labels
from .plain import checked
from .plan import Plan
from .present import Present, present
from .reading import problem_of, refuse
from .state import KINDS, ExperimentState, FlagState, KindName, State, ToggleState, joined
from .survey import Survey


@frozen
class _Pair:
    """What is declared, and what there is of it."""

    kind: KindName
    declared: ToggleState
    there: Present | None


async def make_plan(transport: Transport, state: State, *, prune: bool) -> Plan:
    """What would change for everything to be as declared."""
    state = checked(state)
    survey = Survey(transport)
    listed = await _listed(survey, state, prune=prune)
    if prune:
        state = joined([state, State(**{kind: list(_unnamed(kind, state, listed[kind])) for kind in KINDS})])
    owned = any(toggle.deployments is not UNSET for kind in KINDS for toggle in state.of(kind))
    labels = Labels(await survey.deployments() if owned else ())
    problems: list[Problem] = []
    pairs = [pair for kind in KINDS for pair in _pairs(kind, state.of(kind), listed[kind], problems)]
    read = await survey.together([partial(_read, survey, pair) for pair in pairs])
    changes: list[Change] = []
    for pair, there in zip(pairs, read, strict=True):
        comparison = Comparison(pair.kind, pair.declared, there, labels)
        change = comparison.change()
        problems += comparison.problems
        if change is not None:
            changes.append(change)
    refuse(problems)
    return Plan(
        service=transport.connection.endpoint.base_url,
        changes=tuple(sorted(changes, key=lambda change: (change.kind != "flags", change.project_id, change.key))),
        state=_concerned(state, changes),
    )


async def _listed(survey: Survey, state: State, *, prune: bool) -> dict[KindName, list[Toggle]]:
    """What there is of the projects that are declared: a list of each, or one of all where a project is left out."""
    lists: list[tuple[KindName, str | UnsetType, set[str] | None]] = []
    for kind in KINDS:
        projects = {toggle.project_id for toggle in state.of(kind)}
        for project in [UNSET] if UNSET in projects else sorted(map(str, projects)):
            ours = [toggle for toggle in state.of(kind) if project in (UNSET, toggle.project_id)]
            lists.append((kind, project, None if prune else {toggle.key for toggle in ours}))
    read = await survey.together(
        [partial(survey.toggles, kind, project, keys, include_archived=True) for kind, project, keys in lists]
    )
    found: dict[KindName, list[Toggle]] = {kind: [] for kind in KINDS}
    for (kind, _, _), toggles in zip(lists, read, strict=True):
        found[kind] += toggles
    return found


def _unnamed(kind: KindName, state: State, listed: Iterable[Toggle]) -> Iterator[ToggleState]:
    """What is there and not declared, of the projects that are: to be archived."""
    named = {(toggle.project_id, toggle.key) for toggle in state.of(kind)}
    projects = {project for project, _ in named}
    make = FlagState if kind == "flags" else ExperimentState
    for toggle in listed:
        declared = (toggle.project_id, toggle.key) in named or (UNSET, toggle.key) in named
        if toggle.project_id in projects and toggle.project_id and not declared and not toggle.deleted:
            yield make(key=toggle.key, project_id=toggle.project_id, archived=True)


def _pairs(
    kind: KindName, toggles: Sequence[ToggleState], listed: Iterable[Toggle], problems: list[Problem]
) -> Iterator[_Pair]:
    by_key: dict[str, list[Toggle]] = {}
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
            problems.append(problem_of(declared, "project_id", why))
        else:
            yield _Pair(kind, declared, present(found[0]) if found else None)


async def _read(survey: Survey, pair: _Pair) -> Present | None:
    """What is there, with what is declared and the list does not show."""
    there = pair.there
    if there is None:
        return None
    if needs_details(pair.declared, there):
        there = await survey.details(pair.kind, there)
    if needs_variants(pair.declared, there):
        there = await survey.variants(pair.kind, there)
    if needed := needed_inclusions(pair.declared, there):
        there = await survey.included(pair.kind, there, needed)
    return there


def _concerned(state: State, changes: Iterable[Change]) -> State:
    """What is declared of that which changes."""
    names = {(change.kind, change.key, project) for change in changes for project in (change.project_id, UNSET)}
    parts: dict[str, list[ToggleState]] = {
        kind: [toggle for toggle in state.of(kind) if (kind, toggle.key, toggle.project_id) in names] for kind in KINDS
    }
    return State(**{kind: toggles for kind, toggles in parts.items() if toggles})
