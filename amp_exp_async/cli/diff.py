"""`amp-exp diff`: what differs between files, or projects."""

from __future__ import annotations

import json as json_text
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from amp_exp_async import InvalidInputError, Manifest
from amp_exp_async import diff as difference
from amp_exp_async.manifests.spec import KINDS
from amp_exp_async.models import UNSET

from .declared import INPUT, declared
from .export import IncludeArchived, WithInclusions, WithVariants
from .plan import DetailedExitcode, Markdown, refuse_both
from .reading import exported
from .session import CHANGES, Session, Stopped

_PROJECT = "project:"
_HELP = "A file, a folder, - for standard input, or project:ID."


def diff(
    session: Session,
    *,
    a: Annotated[str, typer.Argument(metavar="A", help=_HELP)],
    b: Annotated[str, typer.Argument(metavar="B", help=_HELP)],
    include_archived: IncludeArchived = False,
    with_inclusions: WithInclusions = False,
    with_variants: WithVariants = False,
    markdown: Markdown = False,
    detailed_exitcode: DetailedExitcode = False,
) -> None:
    """Show what would have to change in A for it to be as B. A project is read as deep as a file beside it goes."""
    refuse_both(session, markdown=markdown)
    if a == b == INPUT:
        raise InvalidInputError("standard input can be one of the two only.")
    depth = {
        "server_fields": False,
        "include_archived": include_archived,
        "users": with_inclusions,
        "cohorts": with_inclusions,
        "variants": with_variants,
    }
    found = difference(*_states(session, (a, b), depth))
    session.result = json_text.loads(found.to_json())
    text = str(found) if found else "No differences."
    session.print(found.to_markdown().rstrip("\n") if markdown else text)
    if found and detailed_exitcode:
        raise Stopped(None, CHANGES)


def _states(session: Session, sides: Sequence[str], depth: Mapping[str, bool]) -> list[Manifest]:
    """Both sides, the files first: if they are wrong, nothing is asked."""
    states = {side: declared([side]) for side in sides if _project(side) is None}
    for state in states.values():
        depth = {name: depth[name] or shown for name, shown in _depth(state).items()}
    for side in sides:
        if side not in states:
            states[side] = exported(session, _project(side), **depth)
    return [states[side] for side in sides]


def _project(side: str) -> str | None:
    """The project's id, if it is one."""
    if side.startswith(_PROJECT):
        return side.removeprefix(_PROJECT)
    is_id = side.isascii() and side.isdigit() and not Path(side).exists()
    return side if is_id else None


def _depth(state: Manifest) -> dict[str, bool]:
    """What must be read of a project for all that a state declares to be compared."""
    toggles = [toggle for kind in KINDS for toggle in state.of(kind)]
    variants = [variant for toggle in toggles for variant in toggle.variants or ()]
    return {
        "include_archived": any(toggle.archived for toggle in toggles),
        "server_fields": any(toggle.bucketing_salt is not UNSET for toggle in toggles),
        "users": any(variant.users is not UNSET for variant in variants),
        "cohorts": any(variant.cohorts is not UNSET for variant in variants),
        "variants": any(UNSET not in (variant.name, variant.description) for variant in variants),
    }
