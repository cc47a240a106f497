"""What flags and experiments depend on. No request sets it, so what differs is refused or warned of. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from amp_exp_async.errors import Problem
from amp_exp_async.models import UNSET, FlagConfig, UnsetType

from .names import BY_ID, Parents, Project
from .parse import problem_at
from .present import Present, project_of
from .spec import Dependencies, FlagConfigSpec, KindName

_REMEDIES: dict[KindName, str] = {
    "flags": "in the app",
    "experiments": "with client.mutexes.edit_slot or client.holdouts.edit, or in the app",
}


def exported(toggle: FlagConfig, parents: Parents) -> Dependencies | UnsetType:
    """What one that is there depends on, as a file declares it; `UNSET` for nothing."""
    there = toggle.parent_dependencies
    named = {parents.name(id, toggle.project_id): variants for id, variants in _parents_of(toggle).items()}
    return Dependencies(flags=named, operator=there.operator or UNSET) if there and named else UNSET


def to_export(toggle: FlagConfig) -> Iterator[tuple[str, Project]]:
    """The parents whose names an export needs, each with the project."""
    return ((f"{BY_ID}{id}", toggle.project_id) for id in _parents_of(toggle))


def to_find(declared: FlagConfigSpec, there: Present | None) -> Iterator[tuple[str, Project]]:
    """The parents whose ids a plan needs, each with the project. One that it has already is known by its id."""
    known = _parents_of(there.toggle if there else None)
    for name in declared.dependencies.flags if declared.dependencies else ():
        if not (name.startswith(BY_ID) and name.removeprefix(BY_ID) in known):
            yield name, project_of(declared, there)


def compare(
    kind: KindName, declared: FlagConfigSpec, there: Present | None, parents: Parents
) -> tuple[list[Problem], list[Problem]]:
    """The problems, and the warnings, of the dependencies that are declared."""
    wanted, toggle, project_id = declared.dependencies, there.toggle if there else None, project_of(declared, there)
    if not wanted:
        return [], []
    known = _parents_of(toggle)
    ids: dict[str, list[str]] = {}
    problems: list[Problem] = []
    for name, variants in wanted.flags.items():
        id, why = parents.find(name, project_id)
        if why and id not in known:
            problems.append(problem_at(declared, f"dependencies.flags.{name}", why))
        ids[id] = sorted(set(variants))
    operator = (toggle.parent_dependencies.operator if toggle and toggle.parent_dependencies else UNSET) or UNSET
    is_same = ids == known and (UNSET in (operator, wanted.operator) or operator == wanted.operator)
    if problems or is_same:
        return problems, []
    now = _told({parents.name(id, project_id): variants for id, variants in known.items()}, operator)
    why = f"it depends on {now}, and is to depend on {_told(wanted.flags, wanted.operator)}, which no request sets"
    if not _enters_service(declared, toggle):
        return [], [problem_at(declared, "dependencies", f"{why}: set it {_REMEDIES[kind]}")]
    first = "create it disabled" if toggle is None else "leave it out of service"
    return [problem_at(declared, "dependencies", f"{why}: {first}, set it {_REMEDIES[kind]}, then enable it")], []


def _parents_of(toggle: FlagConfig | None) -> dict[str, list[str]]:
    """The variants of each parent, by its id."""
    there = toggle.parent_dependencies if toggle else UNSET
    return {id: sorted(set(variants)) for id, variants in sorted((there.flags or {}).items())} if there else {}


def _told(flags: Mapping[str, Sequence[str]], operator: str | UnsetType) -> str:
    parts = ", ".join(f"{name} ({', '.join(variants)})" for name, variants in flags.items()) or "nothing"
    return f"{operator} of {parts}" if operator and flags else parts


def _enters_service(declared: FlagConfigSpec, toggle: FlagConfig | None) -> bool:
    serves = bool(toggle and toggle.enabled and not toggle.deleted)
    enabled = declared.enabled if declared.enabled is not UNSET else toggle and toggle.enabled
    return bool(enabled) and not declared.archived and not serves
