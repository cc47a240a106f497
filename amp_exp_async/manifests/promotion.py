"""Planning for another project than a file names. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from attrs import evolve

from amp_exp_async.errors import Problem
from amp_exp_async.models import UNSET

from .change import ResourceChange
from .parse import problem_at, raise_for_problems
from .spec import KINDS, FlagConfigSpec, Manifest


def promoted(state: Manifest, project_id: str) -> Manifest:
    """What is declared, for another project.

    Raises:
        InvalidManifestError: it names several projects.
    """
    first: dict[str, FlagConfigSpec] = {}
    for kind in KINDS:
        for toggle in state.of(kind):
            if toggle.project_id is not UNSET:
                first.setdefault(toggle.project_id, toggle)
    if len(first) > 1:
        why = f"projects {', '.join(sorted(first))} are named: promote one at a time, each from a file of its own"
        raise_for_problems([problem_at(list(first.values())[1], "project_id", why)])
    kinds: dict[str, Any] = {
        kind: [evolve(toggle, project_id=project_id) for toggle in state.of(kind)]
        for kind in KINDS
        if getattr(state, kind) is not UNSET
    }
    return evolve(state, **kinds)


def foreign_cohorts(state: Manifest, project_id: str, changes: Iterable[ResourceChange]) -> Iterator[Problem]:
    """A warning for each flag or experiment whose cohorts would be set, and were declared for another project.

    Args:
        state: what is declared, as it was.
        project_id: the project that it is planned for.
        changes: what would change.
    """
    by_key = {(change.kind, change.key): change for change in changes}
    for kind in KINDS:
        for toggle in state.of(kind):
            change = by_key.get((kind, toggle.key))
            if change is None or toggle.project_id == project_id:
                continue
            for at, variant in enumerate(toggle.variants or ()):
                if variant.cohorts and f"variants.{variant.key}.cohorts" in change.fields:
                    why = f"these cohort ids may be of another project than {project_id}: check them before they serve"
                    yield problem_at(toggle, f"variants[{at}].cohorts", why)
                    break
