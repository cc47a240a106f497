"""`amp-exp deployments`: what flags and experiments are delivered to."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from amp_exp_async import Deployment, FieldChange, InvalidInputError, validation
from amp_exp_async.manifests.live import to_plain

from .command import command
from .options import DryRun, Yes
from .session import Session
from .shown import cell, printable
from .writing import Write, carry_out

_SHOWN_AS = {"label": "label", "archive": "archived"}
_LABEL = typer.Option(metavar="LABEL", help="Letters, digits, _ and -.")
app = typer.Typer(name="deployments", help="What flags and experiments are delivered to.", no_args_is_help=True)


@command(app, "list")
def _list(
    session: Session,
    *,
    project_id: Annotated[str | None, typer.Option(metavar="ID", help="Only those of this project.")] = None,
    include_archived: Annotated[bool, typer.Option("--include-archived", help="Archived ones too.")] = False,
) -> None:
    """List deployments."""
    project = None if project_id is None else validation.identifier("--project-id", project_id)
    found = [
        one
        for one in session.client.deployments.list(limit=validation.MAX_PAGE)
        if project in {None, one.project_id} and (include_archived or not one.deleted)
    ]
    session.result = [to_plain(one) for one in found]
    columns = {"id": "id", "project": "project_id", "label": "label"}
    if include_archived:
        columns["archived"] = "deleted"
    session.table(list(columns), ([cell(getattr(one, field)) for field in columns.values()] for one in found))


@command(app, "create")
def _create(
    session: Session,
    *,
    project_id: Annotated[str, typer.Option(metavar="ID", help="The project.")],
    label: Annotated[str, _LABEL],
    type: Annotated[Literal["client", "server"], typer.Option(help="Where it evaluates.")],
) -> None:
    """Create a deployment, and print its id."""
    project, label = validation.identifier("--project-id", project_id), validation.key("--label", label)
    client = session.client
    with session.changing(f"deployment {label}", "created"):
        created = client.deployments.create(project_id=project, label=label, type=type)
    session.result = {"id": created.id}
    session.say(created.id)


@command(app, "edit")
def _edit(
    session: Session,
    *,
    id: Annotated[str, typer.Argument(metavar="ID", help="The deployment's id.")],
    label: Annotated[str | None, _LABEL] = None,
    archive: Annotated[
        bool | None, typer.Option("--archive/--restore", help="Archive it, or take it out of the archive.")
    ] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Change a deployment's label, archive it, or take it out of the archive. It asks before it archives."""
    if label is None and archive is None:
        raise InvalidInputError("nothing is to be changed: pass --label, --archive or --restore.")
    wanted = {"label": None if label is None else validation.key("--label", label), "archive": archive}
    before = _found(session, validation.identifier("ID", id))
    present = {"label": before.label, "archive": bool(before.deleted)}
    due: dict[str, Any] = {name: value for name, value in wanted.items() if value not in {None, present[name]}}
    client = session.client
    write = Write(
        printable(f"deployment {before.id} ({cell(before.label)})"),
        {"id": before.id, "label": before.label or None, "project_id": before.project_id or None},
        {_SHOWN_AS[name]: FieldChange(_SHOWN_AS[name], present[name], value) for name, value in due.items()},
        lambda: client.deployments.edit(before.id, **due),
    )
    question = "Archive this deployment?" if due.get("archive") else None
    carry_out(session, [write], dry_run=dry_run, question=question, yes=yes)


def _found(session: Session, id: str) -> Deployment:
    for one in session.client.deployments.list(limit=validation.MAX_PAGE):
        if one.id == id:
            return one
    raise InvalidInputError(
        f"there is no deployment with the id {id!r}. amp-exp deployments list shows which there are."
    )
