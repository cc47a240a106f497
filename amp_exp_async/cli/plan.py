"""`amp-exp plan`: what would change."""

from __future__ import annotations

import json as json_text
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from amp_exp_async import InvalidInputError, Plan

from .declared import INPUT, Files, declared, is_plan, writing
from .reading import reading
from .session import CHANGES, Session, Stopped

ToProject: TypeAlias = Annotated[
    str | None, typer.Option("--project-id", metavar="ID", help="Promote: bring it all into this project.")
]
Prune: TypeAlias = Annotated[
    bool, typer.Option("--prune", help="Archive what is in the same projects and not in the files.")
]
Markdown: TypeAlias = Annotated[bool, typer.Option("--markdown", help="For a comment on a pull request.")]
DetailedExitcode: TypeAlias = Annotated[
    bool, typer.Option("--detailed-exitcode", help=f"End with {CHANGES} where there are differences.")
]


def plan(
    session: Session,
    *,
    files: Files,
    project_id: ToProject = None,
    prune: Prune = False,
    out: Annotated[str | None, typer.Option(metavar="PLAN", help="Save the plan here, to apply it later.")] = None,
    markdown: Markdown = False,
    detailed_exitcode: DetailedExitcode = False,
) -> None:
    """Show what would change for everything to be as files declare it. It changes nothing."""
    refuse_both(session, markdown=markdown)
    if out is not None and Path(out).exists() and not is_plan(out):
        raise InvalidInputError(f"--out {out}: is there, and is no plan. It was left alone.")
    made = planned(session, files, project_id, prune=prune)
    session.result = json_text.loads(made.to_json())
    if out is not None:
        with writing("--out", out):
            made.save(out)
    show(session, made, markdown=markdown)
    if out is not None:
        session.tell(f"To make exactly these changes: {session.line('apply', out)}")
    elif made and INPUT not in files:
        session.tell(f"To make these changes: {session.line('apply', *_options(files, project_id, prune=prune))}")
    if made and detailed_exitcode:
        raise Stopped(None, CHANGES)


def planned(session: Session, files: Sequence[str], project_id: str | None, *, prune: bool) -> Plan:
    """What would change for everything to be as the files declare it.

    Args:
        session: the run of the command.
        files: what declares it.
        project_id: the project that it is brought into, if it is another one.
        prune: whether to archive what is not declared.

    Raises:
        InvalidInputError: it cannot be as declared, or the files are wrong.
        AmpExpError: a request failed.
    """
    for file in files:
        if is_plan(file):
            raise InvalidInputError(
                f"{file} is a saved plan: it is applied by itself, without files and their options. "
                f"Nothing was changed. Apply it: {session.line('apply', file)}"
            )
    state = declared(files)
    with reading(session, "Reading what there is") as client:
        return client.plan(state, prune=prune, project_id=project_id)


def show(session: Session, plan: Plan, *, markdown: bool = False) -> None:
    """Print a plan, and what is to be known about it."""
    if markdown:
        session.print(plan.to_markdown().rstrip("\n"))
    elif plan or plan.warnings:
        session.print(str(plan))
    else:
        session.say("Nothing to change: everything is as declared.")


def refuse_both(session: Session, *, markdown: bool) -> None:
    """Refuse to print both JSON and Markdown."""
    if session.json and markdown:
        raise InvalidInputError("--json and --markdown exclude each other.")


def _options(files: Sequence[str], project_id: str | None, *, prune: bool) -> list[str]:
    promoted = [] if project_id is None else ["--project-id", project_id]
    return [*files, *promoted, *(["--prune"] if prune else [])]
