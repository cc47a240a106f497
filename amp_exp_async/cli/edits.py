"""Edits: the options that describe one, its preview, its confirmation, and its outcome."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, Literal, TypeAlias, cast

import attrs
import typer
from attrs import define, frozen

import amp_exp_async

from .context import CommandContext
from .options import OptionGroup, Sets, as_integer
from .output import format_value, printable, to_json
from .targets import FlagKind, FlagTarget

EditStatus: TypeAlias = Literal["planned", "unchanged", "changed", "failed", "unknown"]
OptionalText: TypeAlias = str | None

# The fields of a flag that have commands of their own.
_COMMANDS_FOR_FIELDS = {
    "archive": "archive and restore",
    "deleted": "archive and restore",
    "deployments": "deployments add and deployments remove",
    "parent_dependencies": "mutexes edit-slot and holdouts edit",
    "rollout_weights": "variants edit --weight",
    "variants": "variants create, variants edit and variants remove",
}
_EXPERIMENT_TYPES = ("hypothesis-testing", "no-harm", "a-b-test", "multi-arm-bandit")


def _complete_type(incomplete: str) -> list[str]:
    return [name for name in _EXPERIMENT_TYPES if name.startswith(incomplete)]


@frozen(kw_only=True)
class FlagFieldOptions(OptionGroup):
    """Options that set fields of a flag; None leaves a field unchanged."""

    name: Annotated[OptionalText, typer.Option(help="Name shown in the app.")] = None
    description: Annotated[OptionalText, typer.Option(help="Description shown in the app.")] = None
    enabled: Annotated[bool | None, typer.Option("--enabled/--disabled", help="Whether it is active.")] = None
    rollout_percentage: Annotated[
        float | None, typer.Option(metavar="0-100", help="Share of the users that no segment targets.")
    ] = None
    evaluation_mode: Annotated[Literal["local", "remote"] | None, typer.Option(help="Where variants are assigned.")] = (
        None
    )
    bucketing_key: Annotated[OptionalText, typer.Option(help="Property that determines a user's bucket.")] = None
    bucketing_salt: Annotated[OptionalText, typer.Option(help="Salt of the bucketing hash.")] = None
    bucketing_unit: Annotated[OptionalText, typer.Option(help="User, or a group type.")] = None
    add_tag: Annotated[list[str] | None, typer.Option(metavar="TAG", help="Add a tag. Repeatable."), Sets("tags")] = (
        None
    )
    remove_tag: Annotated[list[str] | None, typer.Option(metavar="TAG", help="Remove a tag. Repeatable.")] = None
    set: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=JSON", help="Set any editable field, also to null. Repeatable."),
    ] = None

    def make_change(self, target: FlagTarget) -> Callable[[Any], Any]:
        """Return the function that makes the changed copy.

        Args:
            target: the flag or experiment.

        Raises:
            InvalidInputError: If a value is invalid, a field is unknown or given twice, or nothing would change.
        """
        values = {name: value for name in target.kind.editable if (value := getattr(self, name, None)) is not None}
        assigned: set[str] = set()
        for assignment in self.set or ():
            name, value = _parse_assignment(assignment)
            if name in values:
                raise amp_exp_async.InvalidInputError(f"{name} is given twice. Nothing was sent.", argument=name)
            values[name] = value
            assigned.add(name)
        added, removed = self.add_tag or [], self.remove_tag or []
        if "tags" in values and (added or removed):
            raise amp_exp_async.InvalidInputError(
                "tags is given twice: --set replaces all tags, so it excludes --add-tag and --remove-tag. "
                "Nothing was sent.",
                argument="tags",
            )
        if not all(map(str.strip, added)):
            raise amp_exp_async.InvalidInputError(
                argument="--add-tag", rule="must not be blank", consequence="Nothing was sent."
            )
        if both := {*added} & {*removed}:
            raise amp_exp_async.InvalidInputError(
                f"tag {format_value(min(both))} cannot be added and removed at once. Nothing was sent.",
                argument="tags",
            )
        if not (values or added or removed):
            raise amp_exp_async.InvalidInputError("no change given. Pass an option such as --name NAME; see --help.")
        replaced_tags = {"tags": added} if added or removed else {}
        with _naming_set(assigned):
            changes = dict(
                amp_exp_async.Edit(
                    **target.operation_args,
                    changes={**{name: as_integer(value) for name, value in values.items()}, **replaced_tags},
                ).changes
            )
        if replaced_tags:
            del changes["tags"]  # it was there to be validated

        def change(flag: amp_exp_async.FlagConfig) -> amp_exp_async.FlagConfig:
            if replaced_tags:
                kept = [tag for tag in flag.tags or () if tag not in removed]
                return attrs.evolve(flag, tags=list(dict.fromkeys([*kept, *added])), **changes)
            return attrs.evolve(flag, **changes)

        return change


@frozen(kw_only=True)
class ExperimentFieldOptions(FlagFieldOptions):
    """Options that set fields of an experiment; None leaves a field unchanged."""

    experiment_type: Annotated[
        OptionalText,
        typer.Option(help="hypothesis-testing, no-harm, multi-arm-bandit, or another.", autocompletion=_complete_type),
    ] = None
    sticky_bucketing: Annotated[bool | None, typer.Option(help="Whether users keep their first variant.")] = None
    start_date: Annotated[
        OptionalText, typer.Option(metavar="DATE", help="Such as 2026-11-03, or a time with its time zone.")
    ] = None
    end_date: Annotated[
        OptionalText, typer.Option(metavar="DATE", help="Such as 2026-11-03, or a time with its time zone.")
    ] = None
    decision: Annotated[
        Literal["rollout", "rollback", "continue-running"] | None, typer.Option(help="Decision about the experiment.")
    ] = None
    decision_reason: Annotated[OptionalText, typer.Option(help="Reason for the decision.")] = None
    rolled_out_variant: Annotated[OptionalText, typer.Option(metavar="VARIANT", help="Variant that is rolled out.")] = (
        None
    )


@contextmanager
def _naming_set(assigned: Collection[str]) -> Generator[None, None, None]:
    """Name `--set` in the errors of the fields that it assigns."""
    try:
        yield
    except amp_exp_async.InvalidInputError as error:
        if re.split(r"[.\[]", error.argument, maxsplit=1)[0] in assigned:
            error.subject = f"--set {error.argument}"
        raise


def _parse_assignment(assignment: str) -> tuple[str, Any]:
    name, equals, text = assignment.partition("=")
    if not (name and equals):
        raise amp_exp_async.InvalidInputError(
            f"--set takes FIELD=JSON, such as --set rollout_percentage=20; got {format_value(assignment)}."
        )
    if name in _COMMANDS_FOR_FIELDS:
        raise amp_exp_async.InvalidInputError(
            f"{name} cannot be set. Use the commands {_COMMANDS_FOR_FIELDS[name]}. Nothing was sent."
        )
    try:
        return name, json.loads(text)
    except ValueError:
        raise amp_exp_async.InvalidInputError(
            f"--set {name}: {text} is not JSON. Quote text twice, for JSON and for the shell: "
            f"--set '{name}={json.dumps(text)}'"
        ) from None


@define
class PendingEdit:
    """An edit that is shown, confirmed and made.

    Attributes:
        name: the name of the edited object in messages.
        identity: what identifies it, for `--json`.
        changes: the changed fields by name.
        apply: makes the edit.
        unchanged: the message if nothing changes.
        status: `planned` if not started; `unchanged` if there was nothing to change; `changed`; `failed`; or `unknown`
            if the edit was interrupted or its response was lost.
    """

    name: str
    identity: Mapping[str, Any]
    changes: Mapping[str, amp_exp_async.FieldChange]
    apply: Callable[[], object]
    unchanged: str = "nothing to change"
    status: EditStatus = "planned"

    def __attrs_post_init__(self) -> None:
        if not self.changes:
            self.status = "unchanged"

    def __str__(self) -> str:
        lines = [str(change) for change in self.changes.values()]
        if len(lines) > 1:
            return "\n  ".join([f"{self.name}:", *lines])
        return f"{self.name}: {lines[0] if lines else self.unchanged}"

    def to_json(self) -> dict[str, Any]:
        """Return the edit for `--json`."""
        return {**self.identity, "state": self.status, "differences": changes_to_json(self.changes)}


def flag_edit(
    ctx: CommandContext,
    kind: FlagKind,
    before: amp_exp_async.FlagConfig,
    edited: amp_exp_async.FlagConfig,
    *,
    unchanged: str = "nothing to change",
    apply: Callable[[], object] | None = None,
) -> PendingEdit:
    """Return the edit that makes a flag or experiment equal to its changed copy.

    Args:
        ctx: the command's context.
        kind: flags or experiments.
        before: the flag or experiment as it was read.
        edited: the changed copy.
        unchanged: the message if nothing changes.
        apply: makes the edit; by default, one guarded edit.

    Raises:
        InvalidInputError: If the service would refuse the edit.
    """
    resource, copy = kind.resource(ctx.client), cast("Any", edited)
    names = [field.name for field in attrs.fields(type(before))]
    pairs = {name: (getattr(before, name), getattr(edited, name)) for name in names}
    changes = {name: amp_exp_async.FieldChange(name, *pair) for name, pair in pairs.items() if pair[0] != pair[1]}
    if changes:
        require_editable(ctx, kind, before, changes)
    return PendingEdit(
        kind.label(before),
        _identity(kind, before),
        rename_fields(changes),
        apply or (lambda: resource.guarded_edit(before.id, lambda _: copy, base=before)),
        unchanged,
    )


def field_edit(
    located: tuple[FlagKind, amp_exp_async.FlagConfig],
    changes: Iterable[amp_exp_async.FieldChange],
    apply: Callable[[], object],
    *,
    variant: str | None = None,
) -> PendingEdit:
    """Return the edit of fields of a flag or experiment, or of one of its variants, by a request of its own.

    Args:
        located: the flag or experiment, and its kind.
        changes: the fields; those with the same value before and after are omitted.
        apply: makes the edit.
        variant: the variant's key; None to edit the flag or experiment.
    """
    kind, flag = located
    name, identity = kind.label(flag), _identity(kind, flag)
    if variant is not None:
        name, identity = f"{name}, variant {printable(variant)}", {**identity, "variant": variant}
    return PendingEdit(
        name, identity, {change.field: change for change in changes if change.before != change.after}, apply
    )


def _identity(kind: FlagKind, flag: amp_exp_async.FlagConfig) -> dict[str, Any]:
    return {"kind": kind.name, "id": flag.id, "key": flag.key, "project_id": flag.project_id or None}


def require_editable(
    ctx: CommandContext, kind: FlagKind, flag: amp_exp_async.FlagConfig, changes: Collection[str]
) -> None:
    """Raise `InvalidInputError` if a flag or experiment cannot be edited at all, or not in its current state."""
    if isinstance(flag, amp_exp_async.Experiment) and flag.delivery_method == "web":
        raise amp_exp_async.InvalidInputError(
            f"{kind.label(flag)} is a web experiment, which the API cannot edit. Nothing was changed. "
            "Change it in the Amplitude app."
        )
    if flag.deleted is True and "deleted" not in changes:
        raise amp_exp_async.InvalidInputError(
            f"{kind.label(flag)} is archived, and the service edits no archived {kind.name}. Nothing was changed. "
            f"Restore it first: {ctx.command_line(kind.name, 'restore', flag.id)}"
        )
    if "enabled" in changes and flag.enabled is False and flag.deployments == []:
        raise amp_exp_async.InvalidInputError(
            f"{kind.label(flag)} has no deployment, and the service enables no {kind.noun} without one. Nothing was "
            "changed. Add a deployment first."
        )


def rename_fields(changes: Mapping[str, amp_exp_async.FieldChange]) -> dict[str, amp_exp_async.FieldChange]:
    """Return changes with the command line's names: a flag that is `deleted` is called archived."""
    renamed = {"archived" if name == "deleted" else name: change for name, change in changes.items()}
    return {name: attrs.evolve(change, field=name) for name, change in renamed.items()}


def changes_to_json(changes: Mapping[str, amp_exp_async.FieldChange]) -> dict[str, Any]:
    """Return changes as plain JSON, without a side on which the field does not exist."""
    return {
        name: {
            side: to_json(value)
            for side, value in (("before", change.before), ("after", change.after))
            if value is not amp_exp_async.UNSET
        }
        for name, change in changes.items()
    }


def apply_edits(
    ctx: CommandContext, edits: Sequence[PendingEdit], *, dry_run: bool, question: str | None = None, yes: bool = False
) -> None:
    """Make edits one after another and report each. An edit that changes nothing is not sent.

    Args:
        ctx: the command's context.
        edits: the edits.
        dry_run: whether to show the edits only.
        question: the question to confirm; None to ask nothing.
        yes: whether the question is answered already.

    Raises:
        InvalidInputError: If the user cannot be asked.
        Exit: If the user did not confirm.
        AmpExpError: If an edit failed; later edits were not started.
    """
    ctx.result = lambda: {"changes": [edit.to_json() for edit in edits]}
    asks = question is not None and not yes and any(edit.changes for edit in edits)
    if dry_run or asks:
        for edit in edits:
            ctx.echo(str(edit))
    if dry_run:
        ctx.echo("Dry run: nothing was changed.")
        return
    if asks:
        ctx.confirm(question or "", yes=yes)
    for edit in edits:
        if edit.changes:
            _apply(ctx, edit)
        if not asks:
            ctx.echo(str(edit))
        elif edit.changes:
            ctx.echo(f"{edit.name}: done")


def _apply(ctx: CommandContext, edit: PendingEdit) -> None:
    edit.status = "unknown"
    try:
        with ctx.mutation(edit.name):
            edit.apply()
    except (amp_exp_async.APIStatusError, amp_exp_async.EditConflictError, amp_exp_async.InvalidInputError) as error:
        if _is_rejection(error):
            edit.status = "failed"
        raise
    edit.status = "changed"


def _is_rejection(error: Exception) -> bool:
    """Return whether nothing has changed for certain; an error of reading back does not say so."""
    if isinstance(error, amp_exp_async.APIStatusError):
        return error.method != "GET" and error.status < 500
    return not (isinstance(error, amp_exp_async.EditConflictError) and error.written)
