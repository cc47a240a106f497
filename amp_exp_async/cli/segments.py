"""`amp-exp segments`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import attrs
import typer

import amp_exp_async

from .context import CommandContext, command
from .edits import apply_edits, flag_edit
from .help import HelpGroup
from .inputs import read_values
from .options import Column, DryRun, Yes
from .output import KEY_WIDTH, TEXT_WIDTH, format_cell, format_value, to_json
from .targets import AnyTarget, TargetOptions, load_any

SegmentName: TypeAlias = Annotated[str, typer.Argument(metavar="SEGMENT", help="Name of the segment.")]

app = typer.Typer(name="segments", help="Show and change the target segments of a flag or experiment.", cls=HelpGroup)


@command(app, "list")
def _list(ctx: CommandContext, *, flag: AnyTarget, options: TargetOptions) -> None:
    """List the target segments of a flag or experiment, in the order of evaluation.

    Example: amp-exp segments list new-checkout
    """
    kind, found = load_any(ctx.client, options.targets(flag))
    segments = found.target_segments or []
    ctx.result = [to_json(segment) for segment in segments]
    columns = ["name", "percentage", "weights", "conditions"]
    ctx.table(
        columns,
        map(_format_row, segments),
        wrapped={"name": KEY_WIDTH, "weights": TEXT_WIDTH, "conditions": TEXT_WIDTH},
        empty=f"{kind.label(found)} has no target segments.",
    )


@command(app, "add-values")
def _add_values(
    ctx: CommandContext,
    *,
    flag: AnyTarget,
    segment: SegmentName,
    prop: Annotated[str, typer.Argument(metavar="PROP", help="Property of the condition, such as gp:email.")],
    file: Annotated[
        Path, typer.Option("--file", "-f", help="File with one value per line, or CSV; - for standard input.")
    ],
    column: Column = None,
    case: Annotated[
        Literal["exact", "ignore", "lower"],
        typer.Option(help="Compare exactly, skip values that exist in another case, or write in lower case."),
    ] = "ignore",
    op: Annotated[str, typer.Option(help="Operator of the condition.")] = "is",
    options: TargetOptions,
    dry_run: DryRun = False,
) -> None:
    """Add values, such as e-mail addresses, to a condition of a segment. Existing values stay.

    Example: amp-exp segments add-values new-checkout Pilot gp:email --file emails.csv --column email
    """
    values = read_values(file, column, prop)
    ctx.option_names["values"] = f"--file {values.name}"
    kind, before = load_any(ctx.client, options.targets(flag))
    segments = kind.resource(ctx.client).segments

    def add(*, dry_run: bool) -> amp_exp_async.FlagConfig:
        return segments.add_values(before.id, segment, prop, values, case=case, op=op, base=before, dry_run=dry_run)

    edit = flag_edit(ctx, kind, before, add(dry_run=True), apply=lambda: add(dry_run=False))
    apply_edits(ctx, [edit], dry_run=dry_run)


@command(app, "remove")
def _remove(
    ctx: CommandContext,
    *,
    flag: AnyTarget,
    segment: SegmentName,
    options: TargetOptions,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Remove a segment. Asks for confirmation.

    Example: amp-exp segments remove new-checkout Pilot
    """
    kind, before = load_any(ctx.client, options.targets(flag))
    edited = attrs.evolve(
        before, target_segments=[item for item in before.target_segments or () if item.name != segment]
    )
    edit = flag_edit(ctx, kind, before, edited, unchanged=f"has no segment {format_value(segment)}")
    apply_edits(ctx, [edit], dry_run=dry_run, question="Remove this segment?", yes=yes)


def _format_row(segment: amp_exp_async.Segment) -> list[str]:
    weights = ",".join(f"{key}:{weight:g}" for key, weight in (segment.rollout_weights or {}).items())
    conditions = "; ".join(
        f"{condition.prop} {condition.op} {_format_values(condition.values or [])}"
        for condition in segment.conditions or ()
    )
    return [format_cell(segment.name), format_cell(segment.percentage), weights, conditions or "all users"]


def _format_values(values: list[str]) -> str:
    shown = ", ".join(values[:3])
    return f"{shown} and {len(values) - 3} more" if len(values) > 3 else shown
