"""`amp-exp users` and `amp-exp cohorts`: the users, devices and cohorts that a variant includes by ID."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer
from attrs import define, field

import amp_exp_async

from .context import CommandContext, command
from .edits import apply_edits, field_edit, require_editable
from .errors import Exit, UnknownNameError, describe_error
from .exit_codes import ExitCode
from .help import HelpGroup
from .inputs import email_warning, read_ids
from .interrupt import RunEnd, run_interruptibly
from .options import Column, DryRun, Yes
from .output import Advance, format_count, format_value, make_console, make_reporter, printable
from .signals import counting_interrupts, interrupt_status
from .targets import EXPERIMENTS, FLAGS, AnyTarget, FlagKind, FlagTarget, TargetOptions, locate, reject_missing_variant

Member: TypeAlias = Literal["users", "cohorts"]
InclusionAction: TypeAlias = Literal["add", "remove", "replace"]
InclusionStatus: TypeAlias = Literal["planned", "unchanged", "done", "failed", "unknown"]
_UserOperation: TypeAlias = "amp_exp_async.AddUsers | amp_exp_async.RemoveUsers | amp_exp_async.ReplaceUsers"
_CohortOperation: TypeAlias = "amp_exp_async.AddCohorts | amp_exp_async.RemoveCohorts | amp_exp_async.ReplaceCohorts"
InclusionOperation: TypeAlias = "_UserOperation | _CohortOperation"

VariantKey: TypeAlias = Annotated[str, typer.Argument(metavar="VARIANT", help="Variant key.")]
IdFile: TypeAlias = Annotated[
    Path,
    typer.Option(
        "--file", "-f", help="File with one ID per line, or CSV; - for standard input. Comment lines begin with '# '."
    ),
]
JournalPath: TypeAlias = Annotated[
    Path | None, typer.Option("--journal", help="File that records outcomes; a rerun continues from it.")
]
AcceptEmpty: TypeAlias = Annotated[
    bool, typer.Option("--allow-empty", help="Succeed if the file has no IDs: a scheduled job may have nothing to do.")
]
RemoveAll: TypeAlias = Annotated[
    bool, typer.Option("--allow-empty", help="Accept a file without IDs, which removes all that are included.")
]
MaxRemovals: TypeAlias = Annotated[
    str,
    typer.Option(metavar="N|N%", help="Removals, or their share of the included IDs, that need no extra consent."),
]

_COUNT = re.compile(r"[0-9]{1,9}")
_SHARE = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,9})?)%")
_FRACTION = re.compile(r"0?\.[0-9]{1,9}")  # as the library takes a share
_DEFAULT_MAX_REMOVALS = "20%"
_EMPTY_REPLACEMENT = ", so all that are included would be removed. If that is intended, pass --allow-empty."

users = typer.Typer(name="users", help="Users and devices included in a variant by ID.", cls=HelpGroup)
cohorts = typer.Typer(name="cohorts", help="Cohorts included in a variant by ID.", cls=HelpGroup)


@define
class InclusionResult:
    """The result of a command. The attributes are the keys that `--json` prints.

    Attributes:
        kind: `flags` or `experiments`; None until it is known.
        id: the ID of the flag or experiment.
        key: its key.
        variant: the variant's key.
        to_add: the number of IDs to add.
        to_remove: the number of IDs to remove.
        already: the number of IDs in the file that need no change.
        added: the number of IDs added.
        removed: the number of IDs removed.
        unknown: the number of IDs that may have been added or removed.
        requests: the number of requests sent.
        state: `planned` by a dry run; `unchanged` if there was nothing to change; `done`; `failed`; or `unknown`.
        error: the error; None without one.
    """

    kind: Literal["flags", "experiments"] | None = None
    id: str | None = None
    key: str | None = None
    variant: str = ""
    to_add: int = 0
    to_remove: int = 0
    already: int = 0
    added: int = 0
    removed: int = 0
    unknown: int = 0
    requests: int = 0
    state: InclusionStatus = "failed"
    error: str | None = None

    @property
    def left(self) -> int:
        """The number of IDs that were neither added nor removed for certain."""
        return max(0, self.to_add + self.to_remove - self.added - self.removed)

    @property
    def name(self) -> str:
        """The flag or experiment, and the variant, in messages."""
        return f"{(self.kind or 'flags')[:-1]} {self.id} ({self.key}), variant {self.variant}"

    def __str__(self) -> str:
        return f"{self.name}: {self.to_add} to add, {self.to_remove} to remove, {self.already} unchanged"


def _operation_class(member: Member, action: InclusionAction) -> Callable[..., InclusionOperation]:
    operations: dict[tuple[Member, InclusionAction], Callable[..., InclusionOperation]] = {
        ("users", "add"): amp_exp_async.AddUsers,
        ("users", "remove"): amp_exp_async.RemoveUsers,
        ("users", "replace"): amp_exp_async.ReplaceUsers,
        ("cohorts", "add"): amp_exp_async.AddCohorts,
        ("cohorts", "remove"): amp_exp_async.RemoveCohorts,
        ("cohorts", "replace"): amp_exp_async.ReplaceCohorts,
    }
    return operations[member, action]


def _no_requests() -> list[amp_exp_async.InclusionRequest]:
    return []


@define
class InclusionChange:
    """A change of the IDs that a variant includes.

    Attributes:
        member: what is included.
        action: what to do with the IDs.
        targets: the flag or experiment, as both.
        variant: the variant's key.
        ids: the IDs.
        ctx: the command's context.
        result: the result so far.
        max_removals: the removals that need no extra consent: a number, or a share of the included IDs.
        allow_empty: whether a replacement may remove all IDs.
        included: the number of IDs that are included.
    """

    member: Member
    action: InclusionAction
    targets: Sequence[FlagTarget]
    variant: str
    ids: amp_exp_async.FileValues
    ctx: CommandContext
    result: InclusionResult
    max_removals: float = 1.0
    allow_empty: bool = False
    included: int = 0
    _requests: list[amp_exp_async.InclusionRequest] = field(factory=_no_requests)

    @property
    def allowed_removals(self) -> int:
        """The number of removals that need no extra consent."""
        limit = self.max_removals
        return limit if isinstance(limit, int) else int(limit * self.included + 1e-9)

    def preview(self) -> bool:
        """Read the current IDs, count the changes, and return whether there are any.

        Raises:
            UnknownNameError: If no flag or variant matches.
            InvalidInputError: If an argument is invalid, the flag cannot be edited, or the variant would include too
                many users.
            AmpExpError: If a request failed.
        """
        result = self.result
        if self.action == "add":
            self.ids.require_new_ids()
        operation = self._operation()
        kind, flag = locate(self.ctx.client, self.targets)
        result.kind, result.id, result.key = kind.name, flag.id, flag.key
        included = list_included(self.ctx, self.member, kind, flag, self.variant)
        self.included = len(included)
        if self.action != "add":
            self.ids.require_new_ids(set(self.ids) - set(included))
        self._requests = [] if operation is None else operation.requests(included)
        if self._requests:
            require_editable(self.ctx, kind, flag, ())
        result.to_add = sum(len(request.ids) for request in self._requests if request.action == "add")
        result.to_remove = sum(len(request.ids) for request in self._requests if request.action == "remove")
        result.already = len(self.ids) - (result.to_remove if self.action == "remove" else result.to_add)
        return bool(self._requests)

    def apply(
        self,
        journal: Path | None,
        show_progress: Callable[[int], AbstractContextManager[Advance]],
        count_interrupts: Callable[[], int],
    ) -> RunEnd:
        """Make the change.

        Args:
            journal: the journal to continue from.
            show_progress: shows the progress of a number of requests.
            count_interrupts: that of `counting_interrupts`.

        Raises:
            InvalidInputError: If the journal cannot be used. Nothing was sent.
        """
        advances: list[Advance] = []
        changed: list[str] = []

        def count(attempt: amp_exp_async.Attempt) -> None:
            if attempt.status is not None and attempt.status < 300:
                advances[0](1)

        run = self._start(self.ctx.client.with_options(on_attempt=count), journal)
        self.result.state = "unknown"  # until the run has ended
        # Each operation reads the list again before it changes it.
        with show_progress((run.progress.total or 0) + len(self._requests)) as advance:
            advances.append(advance)
            end = run_interruptibly(
                run,
                count_interrupts,
                on_outcome=lambda outcome: changed.extend(outcome.changed),
                echo_err=self.ctx.echo_err,
            )
        if isinstance(end.error, amp_exp_async.InvalidInputError) and not end.summary.requests:
            self.result.state = "failed"
            raise end.error
        self._set_counts(end, changed, is_done=end.error is None and run.progress.done == run.progress.total)
        return end

    def _operation(self) -> InclusionOperation | None:
        """Return the validated operation; None if there are no IDs to add or remove."""
        if not self.ids and self.action != "replace":
            return None
        make = _operation_class(self.member, self.action)
        guards = {"allow_empty": self.allow_empty} if self.action == "replace" else {}
        return make(**self.targets[0].operation_args, variant=self.variant, **{self.member: self.ids}, **guards)

    def _start(self, client: amp_exp_async.ExperimentClient, journal: Path | None) -> amp_exp_async.BulkRun:
        kind = FLAGS if self.result.kind == "flags" else EXPERIMENTS
        resource = kind.resource(client)
        inclusions = resource.users if self.member == "users" else resource.cohorts
        target = (self.result.id or "", self.variant, self.ids)
        if self.action == "replace":
            # The list is read again: what was shown or consented to bounds what is removed.
            bound = max(self.allowed_removals, self.result.to_remove)
            return inclusions.replace(*target, max_removals=bound, allow_empty=self.allow_empty, journal=journal)
        return (inclusions.add_many if self.action == "add" else inclusions.remove_many)(*target, journal=journal)

    def _set_counts(self, end: RunEnd, changed: Sequence[str], *, is_done: bool) -> None:
        """Record what was done."""
        result, summary = self.result, end.summary
        result.requests = self.ctx.client.usage.requests
        ids = set(self.ids)
        result.added = 0 if self.action == "remove" else sum(id in ids for id in changed)
        result.removed = len(changed) - result.added
        if summary.unknown:
            result.state, result.unknown = "unknown", min(self._count_in_flight(len(changed)), result.left)
        else:
            result.state = "done" if is_done else "failed"
        if summary.skipped and result.left and is_done:
            result.state = "failed"
            result.error = "The journal marks this change as done, but the list was changed since. Use a new journal."
        elif end.interrupted and result.state != "done":
            result.error = self._describe_interruption(end, has_changed=bool(changed))
        elif end.error is not None:
            result.error = describe_error(end.error, sent=True)

    def _describe_interruption(self, end: RunEnd, *, has_changed: bool) -> str:
        if end.error is not None and (end.summary.failed or end.summary.unknown):
            return f"Interrupted: {describe_error(end.error, sent=True)}"
        return "Interrupted." if has_changed else "Interrupted. Nothing was changed."

    def _count_in_flight(self, changed: int) -> int:
        """Return the number of IDs in the request that was next after this number of changes."""
        for request in self._requests:
            if changed < len(request.ids):
                return len(request.ids) - changed
            changed -= len(request.ids)
        return 0


def list_included(
    ctx: CommandContext, member: Member, kind: FlagKind, flag: amp_exp_async.FlagConfig, variant: str
) -> list[str]:
    """Return the IDs that a variant includes.

    Raises:
        UnknownNameError: If the variant does not exist. The message names the existing ones.
        AmpExpError: If the request failed.
    """
    resource = kind.resource(ctx.client)
    try:
        return (resource.users if member == "users" else resource.cohorts).list(flag.id, variant)
    except amp_exp_async.NotFoundError as error:
        reject_missing_variant(error)
        raise


def _run(ctx: CommandContext, change: InclusionChange, *, dry_run: bool, yes: bool, journal: Path | None) -> None:
    ctx.result = result = change.result
    ctx.option_names[change.member] = f"--file {change.ids.name}"
    if ctx.json and not (yes or dry_run):
        raise amp_exp_async.InvalidInputError(
            "--json does not ask. Pass --yes to make the changes, or --dry-run to see them."
        )
    if change.member == "users" and (warning := email_warning(list(change.ids))):
        ctx.echo_err(warning)
    client = ctx.client
    try:
        if confirm_preview(ctx, change, dry_run=dry_run, yes=yes):
            console = make_console(stderr=True)  # so that a closed stdout does not end the run
            reporter = make_reporter(console, silent=ctx.json or not console.is_terminal)
            ctx.uncertain = "It is unknown what was changed."
            with counting_interrupts() as count_interrupts:
                end = change.apply(journal, lambda total: reporter.step("Requests", total), count_interrupts)
                _report(ctx, end, result)
    finally:
        result.requests = client.usage.requests


def _add_commands(app: typer.Typer, member: Member, noun: str) -> None:
    def example(command: str) -> str:
        return f"Example: amp-exp {member} {command}"

    def make_change(
        ctx: CommandContext,
        action: InclusionAction,
        targets: Sequence[FlagTarget],
        variant: str,
        ids: amp_exp_async.FileValues,
    ) -> InclusionChange:
        return InclusionChange(member, action, targets, variant, ids, ctx, InclusionResult(variant=variant))

    @command(app, "list", help=f"List the {noun} of a variant.\n\n{example('list new-checkout on')}")
    def list_ids(ctx: CommandContext, *, flag: AnyTarget, variant: VariantKey, options: TargetOptions) -> None:
        kind, found = locate(ctx.client, options.targets(flag))
        ctx.result = list_included(ctx, member, kind, found, variant)
        for id in ctx.result:
            ctx.echo(printable(id))
        if not ctx.result:
            ctx.echo_err(f"Variant {printable(variant)} of {kind.label(found)} includes no {member}.")

    def add_or_remove(action: InclusionAction, help: str) -> None:
        @command(app, action, help=f"{help}\n\n{example(f'{action} new-checkout on --file ids.txt')}")
        def run(
            ctx: CommandContext,
            *,
            flag: AnyTarget,
            variant: VariantKey,
            file: IdFile,
            column: Column = None,
            options: TargetOptions,
            dry_run: DryRun = False,
            yes: Yes = False,
            journal: JournalPath = None,
            allow_empty: AcceptEmpty = False,
        ) -> None:
            ids = read_ids(file, column, if_empty=None if allow_empty else f": nothing to {action}. Check the file.")
            change = make_change(ctx, action, options.targets(flag), variant, ids)
            _run(ctx, change, dry_run=dry_run, yes=yes, journal=journal)

    add_or_remove("add", f"Include the {noun} of a file in a variant.")
    add_or_remove("remove", f"Remove the {noun} of a file from a variant.")

    @command(
        app,
        "replace",
        help=f"Make a variant include exactly the {noun} of a file. Beyond --max-removals, it asks in any case, and "
        f"refuses without a terminal.\n\n{example('replace new-checkout on --file ids.txt --max-removals 50')}",
    )
    def replace(
        ctx: CommandContext,
        *,
        flag: AnyTarget,
        variant: VariantKey,
        file: IdFile,
        column: Column = None,
        options: TargetOptions,
        max_removals: MaxRemovals = _DEFAULT_MAX_REMOVALS,
        dry_run: DryRun = False,
        yes: Yes = False,
        journal: JournalPath = None,
        allow_empty: RemoveAll = False,
    ) -> None:
        ids = read_ids(file, column, if_empty=None if allow_empty else _EMPTY_REPLACEMENT)
        change = make_change(ctx, "replace", options.targets(flag), variant, ids)
        change.max_removals, change.allow_empty = _parse_max_removals(max_removals), allow_empty
        _run(ctx, change, dry_run=dry_run, yes=yes, journal=journal)


def _parse_max_removals(text: str) -> float:
    """Return a number of removals as an int, or their share of the included IDs as a float."""
    count, share = _COUNT.fullmatch(text), _SHARE.fullmatch(text)
    if count is not None:
        return int(text)
    if share is not None and float(share[1]) <= 100:
        return float(share[1]) / 100
    hint = f" Write the share as {float(text) * 100:g}%." if _FRACTION.fullmatch(text) else ""
    raise amp_exp_async.InvalidInputError(
        f"--max-removals: must be a number such as 50, or a share such as 20%, got {format_value(text)}. "
        f"Nothing was sent.{hint}"
    )


@command(users, "remove-at")
def _remove_at(
    ctx: CommandContext,
    *,
    flag: AnyTarget,
    variant: VariantKey,
    index: Annotated[int, typer.Argument(metavar="INDEX", min=0, help="Index in the list, from 0.")],
    options: TargetOptions,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Remove the user at an index of the list. Asks for confirmation. Prefer `remove`: indices shift.

    Example: amp-exp users remove-at pilot-checkout on 3
    """
    kind, found = locate(ctx.client, options.targets(flag))
    included = list_included(ctx, "users", kind, found, variant)
    if index >= len(included):
        highest = f"the highest index is {len(included) - 1}" if included else "nothing can be removed"
        raise UnknownNameError(
            f"INDEX: the variant includes {format_count(len(included), 'user')}, so {highest}. Nothing was changed."
        )
    resource = kind.resource(ctx.client).users
    change = amp_exp_async.FieldChange("users", included, [*included[:index], *included[index + 1 :]])
    edit = field_edit((kind, found), [change], lambda: resource.remove_at(found.id, variant, index), variant=variant)
    apply_edits(ctx, [edit], dry_run=dry_run, question="Remove this user?", yes=yes)


@command(users, "remove-all")
def _remove_all(
    ctx: CommandContext,
    *,
    flag: AnyTarget,
    variant: VariantKey,
    options: TargetOptions,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Remove all users and devices of a variant. Asks for confirmation.

    Example: amp-exp users remove-all pilot-checkout on
    """
    kind, found = locate(ctx.client, options.targets(flag))
    included = list_included(ctx, "users", kind, found, variant)
    resource = kind.resource(ctx.client).users
    change = amp_exp_async.FieldChange("users", included, [])
    edit = field_edit((kind, found), [change], lambda: resource.remove_all(found.id, variant), variant=variant)
    apply_edits(ctx, [edit], dry_run=dry_run, question=f"Remove all users ({len(included)})?", yes=yes)


def confirm_preview(ctx: CommandContext, change: InclusionChange, *, dry_run: bool, yes: bool) -> bool:
    """Show the change, ask for confirmation, and return whether to make it.

    Args:
        ctx: the command's context.
        change: the change.
        dry_run: whether to show it only.
        yes: whether the user has confirmed it already, unless it removes more than `max_removals`.
    """
    has_changes = change.preview()
    ctx.echo(str(change.result))
    if not has_changes or dry_run:
        change.result.state = "planned" if has_changes else "unchanged"
        ctx.echo("Dry run: nothing was changed." if has_changes else "Nothing to change.")
        return False
    removals = change.result.to_remove
    if removals > change.allowed_removals:
        fact = f"{removals} of {change.included} included IDs would be removed, more than --max-removals allows"
        if not ctx.is_interactive:
            raise amp_exp_async.TooManyRemovalsError(
                f"{fact}. Nothing was changed. Check the file, or raise --max-removals.",
                removals=removals,
                included=change.included,
                max_removals=change.max_removals,
            )
        ctx.confirm(f"{fact}. Remove them?", yes=False)
        return True
    ctx.confirm("Make these changes?", yes=yes)
    return True


def _report(ctx: CommandContext, end: RunEnd, result: InclusionResult) -> None:
    unknown = f", {result.unknown} unknown" if result.unknown else ""
    left = result.left - result.unknown
    rest = f", {left} left" if left and result.state != "done" else ""
    verdict = {"done": "Done", "unknown": "Unknown"}.get(result.state, "Not done")
    counts = f"{result.added} added, {result.removed} removed{unknown}{rest}"
    rerun = " Run the same command again to send only what is missing." if _helps_again(end.error) else ""
    if result.state != "unknown":
        ctx.uncertain = None
    if result.added or result.removed:
        ctx.changed.append(f"{result.name}: {counts}")
    ctx.echo_final(
        f"{verdict}: {counts}; {format_count(result.requests, 'request')} in {end.summary.seconds:.1f} s.{rerun}"
    )
    if end.error is not None and ctx.debug:
        traceback.print_exception(end.error)
    if end.interrupted or result.state != "done":
        status = interrupt_status() if end.interrupted else ExitCode.FAILED
        raise Exit(result.error, status, cause=end.error)


def _helps_again(error: Exception | None) -> bool:
    """Return whether the same command may succeed after an error, once its cause is gone."""
    is_final = isinstance(
        error,
        amp_exp_async.InvalidInputError
        | amp_exp_async.BadRequestError
        | amp_exp_async.MethodNotAllowedError
        | amp_exp_async.NotFoundError,
    )
    return error is not None and not is_final


_add_commands(users, "users", "users and devices")
_add_commands(cohorts, "cohorts", "cohorts")
