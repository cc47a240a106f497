"""`amp-exp deployments`."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Annotated, Any, Literal

import typer

from amp_exp_async import (
    UNSET,
    AmpExpError,
    BadRequestError,
    Deployment,
    ExperimentClient,
    FieldChange,
    InvalidInputError,
)

from .context import CommandContext, command
from .edits import PendingEdit, apply_edits
from .options import DryRun, IncludeArchived, ProjectFilter, Yes
from .output import format_cell, format_value, printable, to_json
from .targets import EXPERIMENTS, FLAGS, PAGE_SIZE

_OUTPUT_NAMES = {"label": "label", "archive": "archived"}
_LABEL = re.compile(r"[A-Za-z0-9_-]+")
_IN_USE = "using this deployment"  # in the service's refusal to archive a deployment
_MAX_LISTED = 20
_LABEL_OPTION = typer.Option(metavar="LABEL", help="Letters, digits, _ and -.")

app = typer.Typer(name="deployments", help="Show and change deployments.", no_args_is_help=True)


@command(app, "list")
def _list(ctx: CommandContext, *, project_id: ProjectFilter = None, include_archived: IncludeArchived = False) -> None:
    """List deployments."""
    if project_id == "":
        raise InvalidInputError("--project-id: must not be empty. Nothing was sent.")
    deployments = [
        deployment
        for deployment in ctx.client.deployments.list(limit=PAGE_SIZE)
        if project_id in {None, deployment.project_id} and (include_archived or not deployment.deleted)
    ]
    ctx.result = [to_json(deployment) for deployment in deployments]
    columns = {"id": "id", "project": "project_id", "label": "label"}
    if include_archived:
        columns["archived"] = "deleted"
    rows = ([format_cell(getattr(deployment, name)) for name in columns.values()] for deployment in deployments)
    ctx.table(list(columns), rows)


@command(app, "create")
def _create(
    ctx: CommandContext,
    *,
    project_id: Annotated[str, typer.Option(metavar="ID", help="The project.")],
    label: Annotated[str, _LABEL_OPTION],
    type: Annotated[Literal["client", "server"], typer.Option(help="Where variants are evaluated.")],
) -> None:
    """Create a deployment and print its ID."""
    client = ctx.client
    with ctx.mutation(f"deployment {label}", "created"):
        created = client.deployments.create(project_id=project_id, label=label, type=type)
    ctx.result = {"id": created.id}
    ctx.echo(created.id)


@command(app, "edit")
def _edit(
    ctx: CommandContext,
    *,
    id: Annotated[str, typer.Argument(metavar="ID", help="Deployment ID.")],
    label: Annotated[str | None, _LABEL_OPTION] = None,
    archive: Annotated[bool | None, typer.Option("--archive/--restore", help="Archive or restore it.")] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Rename, archive or restore a deployment. Asks for confirmation before it archives."""
    if label is None and archive is None:
        raise InvalidInputError("no change given. Pass --label, --archive or --restore.")
    if label is not None and not _LABEL.fullmatch(label):
        raise InvalidInputError(
            f'--label: must consist of letters, digits, "_" and "-", got {format_value(label)}. Nothing was sent.'
        )
    client = ctx.client
    deployment = _get(client, id)
    current = {"label": deployment.label, "archive": bool(deployment.deleted)}
    desired = {"label": label, "archive": archive}
    changes: dict[str, Any] = {name: value for name, value in desired.items() if value not in {None, current[name]}}
    differences = [FieldChange(_OUTPUT_NAMES[name], current[name], value) for name, value in changes.items()]
    edit = PendingEdit(
        printable(f"deployment {deployment.id} ({format_cell(deployment.label)})"),
        {"id": deployment.id, "label": deployment.label or None, "project_id": deployment.project_id or None},
        {difference.field: difference for difference in differences},
        lambda: _send(client, deployment, changes),
    )
    question = "Archive this deployment?" if changes.get("archive") else None
    apply_edits(ctx, [edit], dry_run=dry_run, question=question, yes=yes)


def _send(client: ExperimentClient, deployment: Deployment, changes: dict[str, Any]) -> None:
    """Edit a deployment. If the service refuses to archive it because it is in use, the error names what uses it."""
    try:
        client.deployments.edit(deployment.id, **changes)
    except BadRequestError as error:
        if _IN_USE in str(error.body).lower():
            with suppress(AmpExpError):
                error.add_note(_describe_assigned(client, deployment))
        raise


def _describe_assigned(client: ExperimentClient, deployment: Deployment) -> str:
    assigned = [
        kind.label(flag)
        for kind in (FLAGS, EXPERIMENTS)
        for flag in kind.resource(client).list(project_id=deployment.project_id or UNSET, limit=PAGE_SIZE)
        if deployment.id in (flag.deployments or ())
    ]
    if not assigned:
        return "No flag or experiment that this API key can list is assigned to it."
    more = f" and {len(assigned) - _MAX_LISTED} more" if len(assigned) > _MAX_LISTED else ""
    return f"Assigned to it: {', '.join(assigned[:_MAX_LISTED])}{more}."


def _get(client: ExperimentClient, id: str) -> Deployment:
    for deployment in client.deployments.list(limit=PAGE_SIZE):
        if deployment.id == id:
            return deployment
    raise InvalidInputError(f"no deployment with ID {format_value(id)}. List all with: amp-exp deployments list")
