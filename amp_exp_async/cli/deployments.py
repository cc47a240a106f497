"""`amp-exp deployments`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated, Any, Literal

import typer

import amp_exp_async

from .context import CommandContext, command
from .edits import PendingEdit, apply_edits, field_edit, require_editable
from .errors import UnknownNameError
from .help import HelpGroup
from .options import DryRun, IncludeArchived, NewProject, ProjectFilter, Yes, nothing_found
from .output import KEY_WIDTH, format_cell, format_value, printable, to_json
from .targets import EXPERIMENTS, FLAGS, PAGE_SIZE, AnyTarget, TargetOptions, locate

_OUTPUT_NAMES = {"label": "label", "archive": "archived"}
_LABEL = re.compile(r"[A-Za-z0-9_-]+")
_IN_USE = "using this deployment"  # in the service's refusal to archive a deployment
_MAX_LISTED = 20
_LABEL_OPTION = typer.Option(metavar="LABEL", help="Letters, digits, _ and -.")

app = typer.Typer(name="deployments", help="Show and change deployments.", cls=HelpGroup)


@command(app, "list")
def _list(ctx: CommandContext, *, project_id: ProjectFilter = None, include_archived: IncludeArchived = False) -> None:
    """List deployments.

    Example: amp-exp deployments list --project-id 123
    """
    if project_id == "":
        raise amp_exp_async.InvalidInputError("--project-id: must not be empty. Nothing was sent.")
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
    empty = nothing_found("deployments", project_id, include_archived=include_archived)
    ctx.table(list(columns), rows, importance=("id", "label"), wrapped={"label": KEY_WIDTH}, empty=empty)


@command(app, "create")
def _create(
    ctx: CommandContext,
    *,
    project_id: NewProject,
    label: Annotated[str, _LABEL_OPTION],
    type: Annotated[Literal["client", "server"], typer.Option(help="Where variants are evaluated.")],
) -> None:
    """Create a deployment and print its ID.

    Example: amp-exp deployments create --project-id 123 --label watch --type client
    """
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
    """Rename, archive or restore a deployment. Asks for confirmation before it archives.

    Example: amp-exp deployments edit 1007 --label site
    """
    if label is None and archive is None:
        raise amp_exp_async.InvalidInputError("no change given. Pass --label, --archive or --restore.")
    if label is not None and not _LABEL.fullmatch(label):
        raise amp_exp_async.InvalidInputError(
            f'--label: must consist of letters, digits, "_" and "-", got {format_value(label)}. Nothing was sent.'
        )
    _change(ctx, id, {"label": label, "archive": archive}, dry_run=dry_run, yes=yes)


def _change(ctx: CommandContext, id: str, desired: Mapping[str, Any], *, dry_run: bool, yes: bool = False) -> None:
    client = ctx.client
    deployment = _get(client, id)
    current = {"label": deployment.label, "archive": bool(deployment.deleted)}
    changes: dict[str, Any] = {name: value for name, value in desired.items() if value not in {None, current[name]}}
    differences = [
        amp_exp_async.FieldChange(_OUTPUT_NAMES[name], current[name], value) for name, value in changes.items()
    ]
    edit = PendingEdit(
        printable(f"deployment {deployment.id} ({format_cell(deployment.label)})"),
        {"id": deployment.id, "label": deployment.label or None, "project_id": deployment.project_id or None},
        {difference.field: difference for difference in differences},
        lambda: _send(client, deployment, changes),
    )
    question = "Archive this deployment?" if changes.get("archive") else None
    apply_edits(ctx, [edit], dry_run=dry_run, question=question, yes=yes)


@command(app, "archive")
def _archive(
    ctx: CommandContext,
    *,
    id: Annotated[str, typer.Argument(metavar="ID", help="Deployment ID.")],
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Archive a deployment. Asks for confirmation.

    Example: amp-exp deployments archive 1007
    """
    _change(ctx, id, {"archive": True}, dry_run=dry_run, yes=yes)


@command(app, "restore")
def _restore(
    ctx: CommandContext,
    *,
    id: Annotated[str, typer.Argument(metavar="ID", help="Deployment ID.")],
    dry_run: DryRun = False,
) -> None:
    """Restore a deployment from the archive.

    Example: amp-exp deployments restore 1007
    """
    _change(ctx, id, {"archive": False}, dry_run=dry_run)


@command(app, "add")
def _add(
    ctx: CommandContext,
    *,
    flag: AnyTarget,
    deployment: Annotated[list[str], typer.Argument(metavar="DEPLOYMENT", help="IDs or labels of deployments.")],
    options: TargetOptions,
    dry_run: DryRun = False,
) -> None:
    """Assign a flag or experiment to deployments.

    Example: amp-exp deployments add new-checkout web ios
    """
    kind, found = locate(ctx.client, options.targets(flag))
    require_editable(ctx, kind, found, ())
    ids = [_find_id(ctx.client, name, found.project_id or None) for name in deployment]
    assigned = list(found.deployments or ())
    missing = [id for id in dict.fromkeys(ids) if id not in assigned]
    resource = kind.resource(ctx.client).deployments
    edit = field_edit((kind, found), _assignment(found, [*assigned, *missing]), lambda: resource.add(found.id, missing))
    apply_edits(ctx, [edit], dry_run=dry_run)


@command(app, "remove")
def _remove(
    ctx: CommandContext,
    *,
    flag: AnyTarget,
    deployment: Annotated[str, typer.Argument(metavar="DEPLOYMENT", help="ID or label of a deployment.")],
    options: TargetOptions,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Remove a flag or experiment from a deployment, whose applications then no longer get it. Asks for confirmation.

    Example: amp-exp deployments remove new-checkout ios
    """
    kind, found = locate(ctx.client, options.targets(flag))
    require_editable(ctx, kind, found, ())
    id = _find_id(ctx.client, deployment, found.project_id or None)
    left = [other for other in found.deployments or () if other != id]
    resource = kind.resource(ctx.client).deployments
    edit = field_edit((kind, found), _assignment(found, left), lambda: resource.remove(found.id, id))
    apply_edits(ctx, [edit], dry_run=dry_run, question="Remove this deployment?", yes=yes)


def _assignment(flag: amp_exp_async.FlagConfig, deployments: list[str]) -> list[amp_exp_async.FieldChange]:
    return [amp_exp_async.FieldChange("deployments", list(flag.deployments or ()), deployments)]


def _find_id(client: amp_exp_async.ExperimentClient, name: str, project_id: str | None) -> str:
    """Return the ID of the deployment with an ID or a label."""
    deployments = [
        deployment
        for deployment in client.deployments.list(limit=PAGE_SIZE)
        if project_id in {None, deployment.project_id or None} and not deployment.deleted
    ]
    matches = [item.id for item in deployments if item.id == name] or [
        item.id for item in deployments if item.label == name
    ]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise amp_exp_async.InvalidInputError(
            f"several deployments are called {format_value(name)}: pass one of {', '.join(matches)}."
        )
    known = ", ".join(printable(item.label or item.id) for item in deployments) or "none"
    raise UnknownNameError(f"no deployment {format_value(name)} in the project. Its deployments: {known}.")


def _send(
    client: amp_exp_async.ExperimentClient, deployment: amp_exp_async.Deployment, changes: dict[str, Any]
) -> None:
    """Edit a deployment. If the service refuses to archive it because it is in use, the error names what uses it."""
    try:
        client.deployments.edit(deployment.id, **changes)
    except amp_exp_async.BadRequestError as error:
        if _IN_USE in str(error.body).lower():
            with suppress(amp_exp_async.AmpExpError):
                error.add_note(_describe_assigned(client, deployment))
        raise


def _describe_assigned(client: amp_exp_async.ExperimentClient, deployment: amp_exp_async.Deployment) -> str:
    assigned = [
        kind.label(flag)
        for kind in (FLAGS, EXPERIMENTS)
        for flag in kind.resource(client).list(project_id=deployment.project_id or amp_exp_async.UNSET, limit=PAGE_SIZE)
        if deployment.id in (flag.deployments or ())
    ]
    if not assigned:
        return "No flag or experiment that this API key can list is assigned to it."
    more = f" and {len(assigned) - _MAX_LISTED} more" if len(assigned) > _MAX_LISTED else ""
    return f"Assigned to it: {', '.join(assigned[:_MAX_LISTED])}{more}."


def _get(client: amp_exp_async.ExperimentClient, id: str) -> amp_exp_async.Deployment:
    for deployment in client.deployments.list(limit=PAGE_SIZE):
        if deployment.id == id:
            return deployment
    raise UnknownNameError(f"no deployment with ID {format_value(id)}. List all with: amp-exp deployments list")
