"""`amp-exp users`: users and devices included in a variant by ID."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer
from attrs import define, field
from rich.console import Console

from amp_exp_async import (
    AddUsers,
    Attempt,
    BadRequestError,
    BulkRun,
    ExperimentClient,
    FlagConfig,
    InclusionRequest,
    InvalidInputError,
    MethodNotAllowedError,
    NotFoundError,
    RemoveUsers,
    ReplaceUsers,
)

from .context import CommandContext, command
from .edits import require_editable
from .errors import Exit, describe_error
from .exit_codes import ExitCode
from .inputs import UserIds, email_warning, read_ids
from .interrupt import RunEnd, run_interruptibly
from .options import DryRun, Yes
from .output import Advance, format_value, make_reporter
from .targets import EXPERIMENTS, FLAGS, FlagTarget, Target, TargetOptions, resolve

InclusionAction: TypeAlias = Literal["add", "remove", "replace"]
InclusionStatus: TypeAlias = Literal["planned", "unchanged", "done", "failed", "unknown"]

VariantKey: TypeAlias = Annotated[str, typer.Argument(metavar="VARIANT", help="Variant key.")]
IdFile: TypeAlias = Annotated[
    Path,
    typer.Option(
        "--file", "-f", help="File with one user or device ID per line; - for standard input. # starts a comment line."
    ),
]
IsExperiment: TypeAlias = Annotated[bool, typer.Option("--experiment", help="FLAG is an experiment.")]
JournalPath: TypeAlias = Annotated[
    Path | None, typer.Option("--journal", help="File that records outcomes; a rerun continues from it.")
]
AllowEmpty: TypeAlias = Annotated[
    bool, typer.Option("--allow-empty", help="Accept a file without IDs; replace then removes all users.")
]

_OPERATIONS: dict[InclusionAction, type[AddUsers | RemoveUsers | ReplaceUsers]] = {
    "add": AddUsers,
    "remove": RemoveUsers,
    "replace": ReplaceUsers,
}

app = typer.Typer(name="users", help="Users and devices included in a variant by ID.", no_args_is_help=True)


@define
class InclusionResult:
    """The result of a command. The attributes are the keys that `--json` prints.

    Attributes:
        kind: `flags` or `experiments`.
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

    kind: Literal["flags", "experiments"]
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

    def __str__(self) -> str:
        name = f"{self.kind[:-1]} {self.id} ({self.key}), variant {self.variant}"
        return f"{name}: {self.to_add} to add, {self.to_remove} to remove, {self.already} unchanged"


@define
class InclusionChange:
    """A change of the IDs that a variant includes.

    Attributes:
        action: what to do with the IDs.
        target: the flag or experiment.
        variant: the variant's key.
        ids: the IDs.
        ctx: the command's context.
        result: the result so far.
    """

    action: InclusionAction
    target: FlagTarget
    variant: str
    ids: UserIds
    ctx: CommandContext
    result: InclusionResult
    _requests: list[InclusionRequest] = field(factory=list[InclusionRequest])

    def preview(self) -> bool:
        """Read the current IDs, count the changes, and return whether there are any.

        Raises:
            InvalidInputError: If an argument is invalid, no flag or variant matches, the flag cannot be edited, or the
                variant would include too many users.
            AmpExpError: If a request failed.
        """
        result = self.result
        if self.action == "add":
            self.ids.require_valid(self.ids, sent=False)
        operation = self._operation()
        flag = resolve(self.ctx.client, self.target)
        result.id, result.key = flag.id, flag.key
        included = self._list_included(flag)
        if self.action == "replace":
            self.ids.require_valid(set(self.ids) - set(included), sent=True)
        self._requests = [] if operation is None else operation.requests(included)
        if self._requests:
            require_editable(self.ctx, self.target.kind, flag, ())
        result.to_add = sum(len(request.ids) for request in self._requests if request.action == "add")
        result.to_remove = sum(len(request.ids) for request in self._requests if request.action == "remove")
        result.already = len(self.ids) - (result.to_remove if self.action == "remove" else result.to_add)
        return bool(self._requests)

    def apply(
        self,
        journal: Path | None,
        show_progress: Callable[[int], AbstractContextManager[Advance]],
        echo_err: Callable[[str], None],
    ) -> RunEnd:
        """Make the change.

        Args:
            journal: the journal to continue from.
            show_progress: shows the progress of a number of requests.
            echo_err: prints a message.

        Raises:
            InvalidInputError: If the journal cannot be used. Nothing was sent.
        """
        advances: list[Advance] = []
        changed: list[str] = []

        def count(attempt: Attempt) -> None:
            if attempt.status is not None and attempt.status < 300:
                advances[0](1)

        run = self._start(self.ctx.client.with_options(on_attempt=count), journal)
        self.result.state = "unknown"  # until the run has ended
        # Each operation reads the list again before it changes it.
        with show_progress((run.progress.total or 0) + len(self._requests)) as advance:
            advances.append(advance)
            end = run_interruptibly(run, on_outcome=lambda outcome: changed.extend(outcome.changed), echo_err=echo_err)
        if isinstance(end.error, InvalidInputError) and not end.summary.requests:
            self.result.state = "failed"
            raise end.error
        self._set_counts(end, changed, is_done=end.error is None and run.progress.done == run.progress.total)
        return end

    def _operation(self) -> AddUsers | RemoveUsers | ReplaceUsers | None:
        """Return the validated operation; None if there are no IDs to add or remove."""
        if not self.ids and self.action != "replace":
            return None
        make = _OPERATIONS[self.action]
        return make(**self.target.operation_args, variant=self.variant, users=self.ids)

    def _list_included(self, flag: FlagConfig) -> list[str]:
        try:
            return self.target.kind.resource(self.ctx.client).users.list(flag.id, self.variant)
        except NotFoundError as error:
            keys = ", ".join(variant.key for variant in flag.variants or ()) or "none"
            raise InvalidInputError(
                f"{self.target.kind.label(flag)} has no variant {format_value(self.variant)}. Its variants: {keys}. "
                "Nothing was changed."
            ) from error

    def _start(self, client: ExperimentClient, journal: Path | None) -> BulkRun:
        users = self.target.kind.resource(client).users
        streams = {"add": users.add_many, "remove": users.remove_many, "replace": users.replace}
        return streams[self.action](self.result.id or "", self.variant, self.ids, journal=journal)

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
        elif end.error is not None:
            message = describe_error(end.error, sent=True)
            result.error = f"Interrupted: {message}" if end.interrupted else message

    def _count_in_flight(self, changed: int) -> int:
        """Return the number of IDs in the request that was next after this number of changes."""
        for request in self._requests:
            if changed < len(request.ids):
                return len(request.ids) - changed
            changed -= len(request.ids)
        return 0


def _add_command(action: InclusionAction, help: str) -> None:
    @command(app, action, help=help)
    def run(
        ctx: CommandContext,
        *,
        flag: Target,
        variant: VariantKey,
        file: IdFile,
        options: TargetOptions,
        experiment: IsExperiment = False,
        dry_run: DryRun = False,
        yes: Yes = False,
        journal: JournalPath = None,
        allow_empty: AllowEmpty = False,
    ) -> None:
        kind = EXPERIMENTS if experiment else FLAGS
        ctx.result = result = InclusionResult(kind.name, variant=variant)
        if ctx.json and not (yes or dry_run):
            raise InvalidInputError("--json does not ask. Pass --yes to make the changes, or --dry-run to see them.")
        ids = read_ids(file, allow_empty=allow_empty)
        if warning := email_warning(list(ids)):
            ctx.echo_err(warning)
        target = options.target(kind, flag)
        client = ctx.client
        try:
            change = InclusionChange(action, target, variant, ids, ctx, result)
            if confirm_preview(ctx, change, dry_run=dry_run, yes=yes):
                console = Console(stderr=True)  # so that a closed stdout does not end the run
                reporter = make_reporter(console, silent=ctx.json or not console.is_terminal)
                ctx.uncertain = "It is unknown what was changed."
                end = change.apply(journal, lambda total: reporter.step("Requests", total), ctx.echo_err)
                _report(ctx, end, result)
        finally:
            result.requests = client.usage.requests


def confirm_preview(ctx: CommandContext, change: InclusionChange, *, dry_run: bool, yes: bool) -> bool:
    """Show the change, ask for confirmation, and return whether to make it."""
    has_changes = change.preview()
    ctx.echo(str(change.result))
    if not has_changes or dry_run:
        change.result.state = "planned" if has_changes else "unchanged"
        ctx.echo("Dry run: nothing was changed." if has_changes else "Nothing to change.")
        return False
    ctx.confirm("Make these changes?", yes=yes)
    return True


def _report(ctx: CommandContext, end: RunEnd, result: InclusionResult) -> None:
    unknown = f", {result.unknown} unknown" if result.unknown else ""
    left = result.left - result.unknown
    rest = f", {left} left" if left and result.state != "done" else ""
    verdict = {"done": "Done", "unknown": "Unknown"}.get(result.state, "Not done")
    counts = f"{result.added} added, {result.removed} removed{unknown}{rest}"
    rerun = " Run the same command again to send only what is missing." if _helps_again(end.error) else ""
    if result.added or result.removed:
        ctx.changed.append(f"{result.kind[:-1]} {result.id} ({result.key}), variant {result.variant}: {counts}")
    ctx.echo_final(f"{verdict}: {counts}; {result.requests} requests in {end.summary.seconds:.1f} s.{rerun}")
    if end.error is not None and ctx.debug:
        traceback.print_exception(end.error)
    if end.interrupted or result.state != "done":
        raise Exit(result.error, ExitCode.INTERRUPTED if end.interrupted else ExitCode.FAILED)


def _helps_again(error: Exception | None) -> bool:
    """Return whether the same command may succeed after an error, once its cause is gone."""
    is_final = isinstance(error, InvalidInputError | BadRequestError | MethodNotAllowedError | NotFoundError)
    return error is not None and not is_final


_add_command("add", "Include the IDs of a file in a variant.")
_add_command("remove", "Remove the IDs of a file from a variant.")
_add_command("replace", "Make a variant include exactly the IDs of a file.")
