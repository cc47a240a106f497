"""`amp-exp lint`: what is likely a mistake, or is there for nothing."""

from __future__ import annotations

from typing import Annotated

import typer

from amp_exp_async import LINT_RULES, InvalidInputError, Manifest
from amp_exp_async import lint as findings_of

from .declared import declared
from .reading import exported
from .session import FAILED, Session, Stopped


def lint(
    session: Session,
    *,
    files: Annotated[
        list[str] | None, typer.Argument(metavar="FILE", help="YAML or JSON files, folders, or - for standard input.")
    ] = None,
    project_id: Annotated[
        str | None, typer.Option(metavar="ID", help="In place of files: what there is in this project.")
    ] = None,
    disable: Annotated[list[str] | None, typer.Option(metavar="RULE", help="Switch off a rule; repeatable.")] = None,
    days: Annotated[float, typer.Option(help="Days without a change after which a rollout counts as settled.")] = 30,
    rules: Annotated[bool, typer.Option("--rules", help="Only tell which rules there are.")] = False,
) -> None:
    """Find what is likely a mistake in files or a project: a line each, and exit status 1 if there are any."""
    if rules:
        session.result = dict(LINT_RULES)
        session.table(("RULE", "FINDS"), LINT_RULES.items())
        return
    findings_of(
        Manifest(), disable=disable or (), days=days
    )  # refuses them, if they are wrong, before anything is read
    findings = findings_of(_state(session, files or [], project_id), disable=disable or (), days=days)
    session.result = {"findings": [finding.as_json() for finding in findings]}
    for finding in findings:
        session.say(str(finding))
    if not findings:
        session.say("Nothing was found.")
        return
    if not session.json:
        session.tell(f"{len(findings)} finding{'' if len(findings) == 1 else 's'}.")
    raise Stopped(None, FAILED)


def _state(session: Session, files: list[str], project_id: str | None) -> Manifest:
    if bool(files) == (project_id is not None):
        raise InvalidInputError("lint takes files or --project-id ID, and one of them only.")
    if files:
        return declared(files)
    return exported(session, project_id, include_archived=True, users=True, cohorts=True, server_fields=True)
