"""`amp-exp mutexes` and `amp-exp holdouts`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Annotated, Any, TypeAlias, cast

import typer
from attrs import frozen

import amp_exp_async

from .context import CommandContext, command
from .edits import OptionalText, PendingEdit, apply_edits
from .errors import UnknownNameError
from .help import HelpGroup
from .options import DryRun, IncludeArchived, NewProject, ProjectFilter, Sets, Yes, nothing_found
from .output import KEY_WIDTH, TEXT_WIDTH, format_cell, format_fields, format_value, printable, to_json
from .targets import PAGE_SIZE

Group: TypeAlias = "amp_exp_async.MutexGroup | amp_exp_async.HoldoutGroup"

GroupId: TypeAlias = Annotated[str, typer.Argument(metavar="GROUP", help="ID or key of the group.")]
Name: TypeAlias = Annotated[str, typer.Option(help="Name shown in the app.")]
NewKey: TypeAlias = Annotated[OptionalText, typer.Argument(metavar="KEY", help="New key: letters, digits, _ and -.")]
Description: TypeAlias = Annotated[OptionalText, typer.Option(help="Description shown in the app.")]
Ids: TypeAlias = Annotated[list[str] | None, typer.Option(metavar="ID", help="Repeatable. Replaces the whole list.")]
Members: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--member", metavar="ID", help="Experiment of it. Repeatable. Replaces the whole list."),
    Sets("experiments"),
]


@frozen
class GroupKind:
    """Mutex groups or holdout groups.

    Attributes:
        name: `mutexes` or `holdouts`.
        noun: the word for one.
        columns: the fields that a list shows, by column.
        example: the ID of one that the demo has, for examples.
    """

    name: str
    noun: str
    columns: Mapping[str, str]
    example: str

    def resource(self, ctx: CommandContext) -> Any:
        """Return the client's resource of this kind."""
        return ctx.client.mutexes if self.name == "mutexes" else ctx.client.holdouts

    def label(self, group: Group) -> str:
        """Return the name of a group in messages."""
        return printable(f"{self.noun} {group.id} ({format_cell(group.key or group.name)})")


_SHARED_COLUMNS = {"id": "id", "project": "project_id", "key": "key", "name": "name"}
MUTEXES = GroupKind("mutexes", "mutex group", _SHARED_COLUMNS, "3001")
HOLDOUTS = GroupKind("holdouts", "holdout group", {**_SHARED_COLUMNS, "percentage": "holdout_percentage"}, "3002")

mutexes = typer.Typer(name="mutexes", help="Show and change mutex groups.", cls=HelpGroup)
holdouts = typer.Typer(name="holdouts", help="Show and change holdout groups.", cls=HelpGroup)


def _add_shared(app: typer.Typer, kind: GroupKind) -> None:
    """Add the commands that both kinds have."""

    @command(app, "list", help=f"List {kind.noun}s.\n\nExample: amp-exp {kind.name} list --project-id 123")
    def list_groups(
        ctx: CommandContext, *, project_id: ProjectFilter = None, include_archived: IncludeArchived = False
    ) -> None:
        groups = [
            group
            for group in kind.resource(ctx).list(limit=PAGE_SIZE)
            if project_id in {None, group.project_id} and (include_archived or not group.deleted)
        ]
        ctx.result = [to_json(group) for group in groups]
        rows = ([format_cell(getattr(group, field)) for field in kind.columns.values()] for group in groups)
        ctx.table(
            list(kind.columns),
            rows,
            importance=("key", "id", "name"),
            wrapped={"key": KEY_WIDTH, "name": TEXT_WIDTH},
            empty=nothing_found(f"{kind.noun}s", project_id, include_archived=include_archived),
        )

    @command(app, "get", help=f"Show all fields of a {kind.noun}.\n\nExample: amp-exp {kind.name} get {kind.example}")
    def get(ctx: CommandContext, *, group: GroupId) -> None:
        ctx.result = to_json(_find(ctx, kind, group))
        for line in format_fields(ctx.result):
            ctx.echo(line)

    @command(
        app,
        "archive",
        help=f"Archive a {kind.noun}. Its experiments no longer depend on it. Asks for confirmation."
        f"\n\nExample: amp-exp {kind.name} archive {kind.example}",
    )
    def archive(ctx: CommandContext, *, group: GroupId, dry_run: DryRun = False, yes: Yes = False) -> None:
        found = _find(ctx, kind, group)
        changes = _changes(found, {"archive": True})
        edit = _pending(kind, found, changes, lambda: kind.resource(ctx).archive(found.id))
        apply_edits(ctx, [edit], dry_run=dry_run, question=f"Archive this {kind.noun}?", yes=yes)

    @command(
        app,
        "restore",
        help=f"Restore a {kind.noun} from the archive.\n\nExample: amp-exp {kind.name} restore {kind.example}",
    )
    def restore(ctx: CommandContext, *, group: GroupId, dry_run: DryRun = False) -> None:
        found = _find(ctx, kind, group)
        changes = _changes(found, {"archive": False})
        apply_edits(
            ctx, [_pending(kind, found, changes, lambda: kind.resource(ctx).restore(found.id))], dry_run=dry_run
        )


_add_shared(mutexes, MUTEXES)
_add_shared(holdouts, HOLDOUTS)


@command(mutexes, "create")
def _create_mutex(
    ctx: CommandContext,
    *,
    key: NewKey = None,
    project_id: NewProject,
    name: Name,
    slot: Annotated[
        list[str],
        typer.Option(metavar="PERCENT[=ID,ID]", help="Percentage of a slot, and its experiments. Repeatable in order."),
        Sets("slots"),
    ],
    description: Description = None,
) -> None:
    """Create a mutex group and print its ID. The percentages of its slots add up to 100.

    Example: amp-exp mutexes create --project-id 123 --name Offers --slot 50=2001 --slot 50=2002
    """
    values = _given(key=key, description=description)
    slots = [_parse_slot(text) for text in slot]
    with ctx.mutation(f"mutex group {name}", "created"):
        created = ctx.client.mutexes.create(project_id=project_id, name=name, slots=slots, **values)
    ctx.result = {"id": created.id}
    ctx.echo(created.id)


@command(mutexes, "edit")
def _edit_mutex(
    ctx: CommandContext,
    *,
    group: GroupId,
    name: Annotated[OptionalText, typer.Option(help="Name shown in the app.")] = None,
    description: Description = None,
    dry_run: DryRun = False,
) -> None:
    """Edit a mutex group.

    Example: amp-exp mutexes edit 3001 --name Layouts
    """
    _edit(ctx, MUTEXES, group, _given(name=name, description=description), dry_run=dry_run)


@command(mutexes, "edit-slot")
def _edit_slot(
    ctx: CommandContext,
    *,
    group: GroupId,
    index: Annotated[int, typer.Argument(metavar="INDEX", help="Number of the slot, from 1.")],
    member: Members = None,
    holdout: Annotated[Ids, Sets("holdouts")] = None,
    individual: Annotated[Ids, Sets("individuals")] = None,
    dry_run: DryRun = False,
) -> None:
    """Edit the experiments, holdout groups or individuals of a slot. Each option replaces the whole list.

    Example: amp-exp mutexes edit-slot 3001 2 --member 2001 --member 2002
    """
    values = _given(experiments=member, holdouts=holdout, individuals=individual)
    if not values:
        raise amp_exp_async.InvalidInputError("no change given. Pass an option such as --member ID; see --help.")
    found = _find(ctx, MUTEXES, group)
    slots = {slot.index: slot for slot in found.slots or ()} if isinstance(found, amp_exp_async.MutexGroup) else {}
    if index not in slots:
        known = ", ".join(map(str, slots)) or "none"
        raise UnknownNameError(f"{MUTEXES.label(found)} has no slot {index}. Its slots: {known}. Nothing was changed.")
    changes = _changes(slots[index], values)
    changed = {field: values[field] for field in changes}
    edit = _pending(MUTEXES, found, changes, lambda: ctx.client.mutexes.edit_slot(found.id, index, **changed))
    apply_edits(ctx, [edit], dry_run=dry_run)


@command(holdouts, "create")
def _create_holdout(
    ctx: CommandContext,
    *,
    key: NewKey = None,
    project_id: NewProject,
    name: Name,
    percentage: Annotated[
        int, typer.Option(metavar="1-99", help="Share of the users who are held out."), Sets("holdout_percentage")
    ],
    description: Description = None,
    member: Members = None,
) -> None:
    """Create a holdout group and print its ID.

    Example: amp-exp holdouts create q4 --project-id 123 --name Q4 --percentage 5 --member 2001
    """
    values = _given(key=key, description=description, experiments=member)
    with ctx.mutation(f"holdout group {name}", "created"):
        created = ctx.client.holdouts.create(project_id=project_id, name=name, holdout_percentage=percentage, **values)
    ctx.result = {"id": created.id}
    ctx.echo(created.id)


@command(holdouts, "edit")
def _edit_holdout(
    ctx: CommandContext,
    *,
    group: GroupId,
    name: Annotated[OptionalText, typer.Option(help="Name shown in the app.")] = None,
    description: Description = None,
    member: Members = None,
    include: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="Always held out. Repeatable."),
        Sets("individual_inclusion"),
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="Never held out. Repeatable."), Sets("individual_exclusion")
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Edit a holdout group. Each list replaces the whole list.

    Example: amp-exp holdouts edit 3002 --member 2001 --member 2002
    """
    values = _given(
        name=name,
        description=description,
        experiments=member,
        individual_inclusion=include,
        individual_exclusion=exclude,
    )
    _edit(ctx, HOLDOUTS, group, values, dry_run=dry_run)


def _edit(ctx: CommandContext, kind: GroupKind, name: str, values: Mapping[str, Any], *, dry_run: bool) -> None:
    if not values:
        raise amp_exp_async.InvalidInputError("no change given. Pass an option such as --name NAME; see --help.")
    found = _find(ctx, kind, name)
    changes = _changes(found, values)
    changed = {field: values[field] for field in changes}
    apply_edits(
        ctx, [_pending(kind, found, changes, lambda: kind.resource(ctx).edit(found.id, **changed))], dry_run=dry_run
    )


def _find(ctx: CommandContext, kind: GroupKind, name: str) -> Group:
    """Return the group with an ID or a key.

    Raises:
        UnknownNameError: If none matches. The message says whether a group of the other kind does.
        InvalidInputError: If several match.
    """
    matches = _matches(ctx, kind, name)
    active = [group for group in matches if not group.deleted] or matches
    if len(active) == 1:
        return cast("Group", kind.resource(ctx).get(active[0].id)) if _is_key(name) else active[0]
    if active:
        ids = ", ".join(group.id for group in active)
        raise amp_exp_async.InvalidInputError(
            f"key {format_value(name)} exists {len(active)} times, with IDs {ids}. Pass one of the IDs."
        )
    description = f"key {format_value(name)}" if _is_key(name) else f"ID {name}"
    advice = _of_other_kind(ctx, kind, name) or f"List all with: amp-exp {kind.name} list"
    raise UnknownNameError(f"no {kind.noun} with {description}. {advice}")


def _is_key(name: str) -> bool:
    return not (name.isascii() and name.isdigit())


def _matches(ctx: CommandContext, kind: GroupKind, name: str) -> list[Group]:
    """Return the groups with an ID, or those with a key, with the fields that a list shows."""
    resource = kind.resource(ctx)
    if _is_key(name):
        return [group for group in resource.list(limit=PAGE_SIZE) if group.key == name]
    try:
        return [resource.get(name)]
    except amp_exp_async.NotFoundError:
        return []


def _of_other_kind(ctx: CommandContext, kind: GroupKind, name: str) -> str:
    """Return, in words, that the name is a group of the other kind; empty if it is not."""
    other = HOLDOUTS if kind is MUTEXES else MUTEXES
    with suppress(amp_exp_async.AmpExpError):  # it is an addition to a message
        if _matches(ctx, other, name):
            return f"It is a {other.noun}: use amp-exp {other.name}."
    return ""


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _changes(before: Any, values: Mapping[str, Any]) -> dict[str, amp_exp_async.FieldChange]:
    """Return the fields that differ; `deleted` is called archived. The service does not show it for mutex groups."""
    changes: dict[str, amp_exp_async.FieldChange] = {}
    for name, value in values.items():
        old = getattr(before, "deleted" if name == "archive" else name)
        if old != value:
            changes[name] = amp_exp_async.FieldChange("archived" if name == "archive" else name, old, value)
    return changes


def _pending(
    kind: GroupKind, group: Group, changes: Mapping[str, amp_exp_async.FieldChange], apply: Callable[[], object]
) -> PendingEdit:
    identity = {"kind": kind.name, "id": group.id, "key": group.key or None, "project_id": group.project_id or None}
    return PendingEdit(kind.label(group), identity, {change.field: change for change in changes.values()}, apply)


def _parse_slot(text: str) -> dict[str, Any]:
    percentage, equals, ids = text.partition("=")
    if not percentage.isdigit() or (equals and not ids):
        rule = "--slot takes PERCENT or PERCENT=ID,ID, such as 50=1001"
        raise amp_exp_async.InvalidInputError(f"{rule}; got {format_value(text)}. Nothing was sent.")
    return {"percentage": int(percentage), **({"experiments": ids.split(",")} if ids else {})}
