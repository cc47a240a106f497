"""`amp-exp variants`."""

from __future__ import annotations

import json as json_text
from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias

import typer

import amp_exp_async

from .context import CommandContext, command
from .edits import OptionalText, apply_edits, field_edit, require_editable
from .help import HelpGroup
from .options import DryRun, OptionGroup, Sets, Yes, as_integer
from .output import KEY_WIDTH, TEXT_WIDTH, format_cell, format_fields, to_json
from .targets import AnyTarget, FlagKind, TargetOptions, locate, reject_missing_variant

VariantKey: TypeAlias = Annotated[str, typer.Argument(metavar="VARIANT", help="Key of the variant.")]

_COLUMNS = {"key": "key", "name": "name", "weight": "rollout_weight", "description": "description"}

app = typer.Typer(name="variants", help="Show and change the variants of a flag or experiment.", cls=HelpGroup)


class VariantFieldOptions(OptionGroup):
    """Options that set fields of a variant; None leaves a field unchanged."""

    def __init__(
        self,
        *,
        name: Annotated[OptionalText, typer.Option(help="Name shown in the app.")] = None,
        description: Annotated[OptionalText, typer.Option(help="Description shown in the app.")] = None,
        payload: Annotated[OptionalText, typer.Option(metavar="JSON", help="Payload, as JSON; null for none.")] = None,
        weight: Annotated[
            float | None,
            typer.Option(metavar="N", help="Weight for users that no segment targets."),
            Sets("rollout_weight"),
        ] = None,
    ) -> None:
        values = {"name": name, "description": description, "rollout_weight": as_integer(weight)}
        self.values: dict[str, Any] = {field: value for field, value in values.items() if value is not None}
        if payload is not None:
            self.values["payload"] = _parse_payload(payload)


@command(app, "list")
def _list(ctx: CommandContext, *, flag: AnyTarget, options: TargetOptions) -> None:
    """List the variants of a flag or experiment.

    Example: amp-exp variants list new-checkout
    """
    kind, found = locate(ctx.client, options.targets(flag))
    variants = kind.resource(ctx.client).variants.list(found.id)
    ctx.result = [to_json(variant) for variant in variants]
    rows = ([format_cell(getattr(variant, name)) for name in _COLUMNS.values()] for variant in variants)
    empty = f"{kind.label(found)} has no variants."
    ctx.table(
        list(_COLUMNS), rows, wrapped={"key": KEY_WIDTH, "name": TEXT_WIDTH, "description": TEXT_WIDTH}, empty=empty
    )


@command(app, "get")
def _get(ctx: CommandContext, *, flag: AnyTarget, variant: VariantKey, options: TargetOptions) -> None:
    """Show all fields of a variant.

    Example: amp-exp variants get new-checkout on
    """
    kind, found = locate(ctx.client, options.targets(flag))
    ctx.result = to_json(_find(ctx, kind, found, variant))
    for line in format_fields(ctx.result):
        ctx.echo(line)


@command(app, "create")
def _create(
    ctx: CommandContext,
    *,
    flag: AnyTarget,
    variant: Annotated[
        str,
        typer.Argument(metavar="VARIANT", help="Key of the new variant: letters, digits, _ and -."),
        Sets("key"),
    ],
    fields: VariantFieldOptions,
    options: TargetOptions,
    dry_run: DryRun = False,
) -> None:
    """Create a variant.

    Example: amp-exp variants create new-checkout blue --payload '{"colour": "blue"}' --weight 1
    """
    kind, found = locate(ctx.client, options.targets(flag))
    require_editable(ctx, kind, found, ())
    changes = _changes({}, {"key": variant, **fields.values})
    resource = kind.resource(ctx.client).variants
    edit = field_edit(
        (kind, found),
        changes.values(),
        lambda: resource.create(found.id, key=variant, **fields.values),
        variant=variant,
    )
    apply_edits(ctx, [edit], dry_run=dry_run)


@command(app, "edit")
def _edit(
    ctx: CommandContext,
    *,
    flag: AnyTarget,
    variant: VariantKey,
    new_key: Annotated[
        OptionalText, typer.Option(metavar="KEY", help="New key. The name stays the same."), Sets("key")
    ] = None,
    fields: VariantFieldOptions,
    options: TargetOptions,
    dry_run: DryRun = False,
) -> None:
    """Edit fields of a variant.

    Example: amp-exp variants edit new-checkout on --weight 3
    """
    values = fields.values | ({} if new_key is None else {"key": new_key})
    if not values:
        raise amp_exp_async.InvalidInputError("no change given. Pass an option such as --weight N; see --help.")
    kind, found = locate(ctx.client, options.targets(flag))
    require_editable(ctx, kind, found, ())
    changes = _changes(to_json(_find(ctx, kind, found, variant)), values)
    resource = kind.resource(ctx.client).variants
    changed: dict[str, Any] = {name: values[name] for name in changes}
    edit = field_edit(
        (kind, found), changes.values(), lambda: resource.edit(found.id, variant, **changed), variant=variant
    )
    apply_edits(ctx, [edit], dry_run=dry_run)


@command(app, "remove")
def _remove(
    ctx: CommandContext,
    *,
    flag: AnyTarget,
    variant: VariantKey,
    options: TargetOptions,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Remove a variant, and its users and cohorts. Asks for confirmation.

    Example: amp-exp variants remove price treatment
    """
    kind, found = locate(ctx.client, options.targets(flag))
    require_editable(ctx, kind, found, ())
    before = to_json(_find(ctx, kind, found, variant))
    resource = kind.resource(ctx.client).variants
    changes = [amp_exp_async.FieldChange(name, value, amp_exp_async.UNSET) for name, value in before.items()]
    edit = field_edit((kind, found), changes, lambda: resource.remove(found.id, variant), variant=variant)
    apply_edits(ctx, [edit], dry_run=dry_run, question="Remove this variant?", yes=yes)


def _find(ctx: CommandContext, kind: FlagKind, flag: amp_exp_async.FlagConfig, key: str) -> amp_exp_async.Variant:
    try:
        return kind.resource(ctx.client).variants.get(flag.id, key)
    except amp_exp_async.NotFoundError as error:
        reject_missing_variant(error)
        raise


def _changes(before: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, amp_exp_async.FieldChange]:
    pairs = {name: (before.get(name, amp_exp_async.UNSET), value) for name, value in values.items()}
    return {name: amp_exp_async.FieldChange(name, *pair) for name, pair in pairs.items() if pair[0] != pair[1]}


def _parse_payload(text: str) -> Any:
    try:
        return json_text.loads(text)
    except ValueError:
        example = f"--payload '{json_text.dumps(text)}'"
        raise amp_exp_async.InvalidInputError(
            f"--payload: {text} is not JSON. Quote text twice, for JSON and for the shell: {example}"
        ) from None
