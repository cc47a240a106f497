"""`amp-exp plan` and `amp-exp apply`."""

from __future__ import annotations

import json as json_text
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer
from attrs import define, field

import amp_exp_async

from .context import CommandContext
from .errors import Exit, describe_error
from .exit_codes import ExitCode
from .inputs import STDIN, Files, is_plan, load_manifest, reading, writing
from .interrupt import RunEnd, run_interruptibly
from .options import DryRun, Yes
from .output import format_count, make_console, make_reporter
from .plan_progress import FailedStep, PlanProgress
from .signals import counting_interrupts, interrupt_status

ApplyStatus: TypeAlias = Literal["planned", "unchanged", "done", "failed", "unknown"]

ToProject: TypeAlias = Annotated[
    str | None, typer.Option("--project-id", metavar="ID", help="Promote everything to this project.")
]
Prune: TypeAlias = Annotated[
    bool, typer.Option("--prune", help="Archive what is in the same projects but not in the files.")
]
Markdown: TypeAlias = Annotated[bool, typer.Option("--markdown", help="Print Markdown for a pull request.")]
DetailedExitcode: TypeAlias = Annotated[
    bool, typer.Option("--detailed-exitcode", help=f"Exit with {ExitCode.CHANGES:d} if there are changes.")
]
FilesOrPlan: TypeAlias = Annotated[
    list[str],
    typer.Argument(metavar="FILE|PLAN", help="YAML or JSON files, folders, - for standard input; or a saved plan."),
]
Journal: TypeAlias = Annotated[
    Path | None,
    typer.Option("--journal", help="With a PLAN: file that records outcomes; a rerun continues from it."),
]


def plan(
    ctx: CommandContext,
    *,
    files: Files,
    project_id: ToProject = None,
    prune: Prune = False,
    out: Annotated[str | None, typer.Option(metavar="PLAN", help="Save the plan, to apply it later.")] = None,
    markdown: Markdown = False,
    detailed_exitcode: DetailedExitcode = False,
) -> None:
    """Show what would change to match the files. Changes nothing.

    Example: amp-exp plan flags.yaml

    Example: amp-exp plan flags/ --project-id 456 --out plan.json
    """
    reject_both(ctx, markdown=markdown)
    if out is not None and Path(out).exists() and not is_plan(out):
        raise amp_exp_async.InvalidInputError(f"--out {out}: file exists and is not a saved plan; not overwritten.")
    manifest = read_files(ctx, files, project_id, prune=prune)
    plan = make_plan(ctx, manifest, project_id, prune=prune)
    ctx.result = json_text.loads(plan.to_json())
    if out is not None:
        with writing("--out", out):
            plan.save(out)
    show_plan(ctx, plan, manifest, markdown=markdown)
    if out is not None:
        ctx.echo_err(f"To make exactly these changes: {ctx.command_line('apply', out)}")
    elif plan and STDIN not in files:
        options = [] if project_id is None else ["--project-id", project_id]
        options += ["--prune"] if prune else []
        ctx.echo_err(f"To make these changes: {ctx.command_line('apply', *files, *options)}")
    if plan and detailed_exitcode:
        raise Exit(None, ExitCode.CHANGES)


def read_files(
    ctx: CommandContext, files: Sequence[str], project_id: str | None, *, prune: bool
) -> amp_exp_async.Manifest:
    """Return what the files declare, and say what a plan compares if that is nothing.

    Args:
        ctx: the command's context.
        files: the files.
        project_id: the project to promote to; None for the projects in the files.
        prune: whether to archive what is not in the files.

    Raises:
        InvalidInputError: If a file is invalid or a saved plan.
    """
    for file in files:
        if is_plan(file):
            raise amp_exp_async.InvalidInputError(
                f"{file} is a saved plan, which takes no other files or their options. Nothing was changed. "
                f"Apply it: {ctx.command_line('apply', file)}"
            )
    manifest = load_manifest(files)
    if not (manifest.flags or manifest.experiments):
        ctx.echo_err(_describe_empty(manifest, project_id, prune=prune))
    return manifest


def make_plan(
    ctx: CommandContext, manifest: amp_exp_async.Manifest, project_id: str | None, *, prune: bool
) -> amp_exp_async.Plan:
    """Return the plan that makes the account match the files; see `read_files`.

    Raises:
        InvalidInputError: If the account cannot match the files.
        AmpExpError: If a request failed.
    """
    with reading(ctx, "Reading flags and experiments") as client:
        return client.plan(manifest, prune=prune, project_id=project_id)


def _describe_empty(manifest: amp_exp_async.Manifest, project_id: str | None, *, prune: bool) -> str:
    """Return what a plan compares if the files declare an empty list."""
    fact = "The files declare no flags and no experiments"
    if not prune:
        return f"{fact}, so nothing is compared."
    if project_id is None:
        return f"{fact}, so no project is read, and --prune archives nothing. To empty a project, pass --project-id."
    kinds = [kind for kind in ("flags", "experiments") if getattr(manifest, kind) is not amp_exp_async.UNSET]
    return f"{fact}. With --prune, project {project_id} is to have no {' and no '.join(kinds)}."


def show_plan(
    ctx: CommandContext, plan: amp_exp_async.Plan, manifest: amp_exp_async.Manifest, *, markdown: bool = False
) -> None:
    """Print a plan and its warnings; or, if it is empty, what matches the manifest."""
    if markdown:
        ctx.write(plan.to_markdown().rstrip("\n"))
    elif plan or plan.warnings:
        ctx.write(str(plan))
    else:
        ctx.echo(f"Nothing to change{_describe_matches(manifest)}.")


def _describe_matches(manifest: amp_exp_async.Manifest) -> str:
    """Return what was compared and is equal, for a message; empty if the files declare nothing."""
    counts = {"flag": len(manifest.flags or ()), "experiment": len(manifest.experiments or ())}
    compared = " and ".join(format_count(count, noun) for noun, count in counts.items() if count)
    verb = "matches" if sum(counts.values()) == 1 else "match"
    return f": {compared} in the account {verb} the files" if compared else ""


def reject_both(ctx: CommandContext, *, markdown: bool) -> None:
    """Raise if both JSON and Markdown are requested."""
    if ctx.json and markdown:
        raise amp_exp_async.InvalidInputError("--json and --markdown exclude each other. Pass one of them.")


@define
class ApplyResult:
    """The result of `apply`. The attributes are the keys that `--json` prints.

    Attributes:
        changes: the number of flags and experiments to change.
        done: how many are changed as planned.
        failed: how many have a step that failed.
        unknown: how many have a step that may or may not have been applied.
        begun: how many have some steps done and none failed.
        left: how many were not started.
        requests: the number of requests sent.
        seconds: the duration of the changes.
        state: `planned` by a dry run; `unchanged` if there was nothing to change; `done`; `failed`; or `unknown`.
        wrong: the steps that failed or are unknown.
        error: the first error; None without one.
    """

    changes: int = 0
    done: int = 0
    failed: int = 0
    unknown: int = 0
    begun: int = 0
    left: int = 0
    requests: int = 0
    seconds: float = 0.0
    state: ApplyStatus = "failed"
    wrong: list[FailedStep] = field(factory=list[FailedStep])
    error: str | None = None


def apply(
    ctx: CommandContext,
    *,
    files: FilesOrPlan,
    project_id: ToProject = None,
    prune: Prune = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    journal: Journal = None,
) -> None:
    """Show what would change to match the files, ask for confirmation, and make the changes.

    Example: amp-exp apply flags.yaml

    Example: amp-exp apply plan.json --journal apply.jsonl --yes
    """
    is_saved = len(files) == 1 and is_plan(files[0])
    _reject_useless_options(files, project_id, journal, prune=prune, is_saved=is_saved)
    ctx.result = result = ApplyResult()
    try:
        if is_saved:
            plan = amp_exp_async.Plan.load(files[0])
            manifest = plan.manifest
        else:
            manifest = read_files(ctx, files, project_id, prune=prune)
            plan = make_plan(ctx, manifest, project_id, prune=prune)
        result.changes = result.left = len(plan.changes)
        show_plan(ctx, plan, manifest)
        if plan and not dry_run:
            ctx.confirm("Make these changes?", yes=yes)
            _apply_plan(ctx, plan, journal, how_to_continue=_how_to_continue(journal, is_saved=is_saved))
        elif plan:
            result.state = "planned"
            ctx.echo("Dry run: nothing was changed.")
        else:
            result.state = "unchanged"
    finally:
        result.requests = ctx.requests


def _reject_useless_options(
    files: Sequence[str], project_id: str | None, journal: Path | None, *, prune: bool, is_saved: bool
) -> None:
    """Raise if an option would have no effect."""
    if is_saved and (project_id is not None or prune):
        raise amp_exp_async.InvalidInputError(
            f"{files[0]} is a saved plan, so --project-id and --prune have no effect. Nothing was changed. "
            "Omit them, or create a new plan."
        )
    if journal is not None and not is_saved and all(Path(file).exists() for file in files):
        raise amp_exp_async.InvalidInputError(
            "--journal requires a saved plan (plan --out PLAN, then apply PLAN --journal PATH). Nothing was changed. "
            "With files, run the same command again to make the remaining changes."
        )


def _how_to_continue(journal: Path | None, *, is_saved: bool) -> str:
    if not is_saved:
        return "Run the same command again to make the remaining changes."
    if journal is None:
        return "The plan is out of date. Create a new plan to continue."
    return "Run the same command again to continue from the journal."


def _apply_plan(ctx: CommandContext, plan: amp_exp_async.Plan, journal: Path | None, *, how_to_continue: str) -> None:
    progress = PlanProgress(plan)
    run = ctx.client.apply(plan, journal=journal)
    ctx.uncertain = "It is unknown what was changed."
    with counting_interrupts() as count_interrupts:
        # On stderr, so that a closed stdout does not end the run.
        with make_reporter(make_console(stderr=True), silent=ctx.json).watch("Steps", run):
            end = run_interruptibly(run, count_interrupts, on_outcome=progress.record, echo_err=ctx.echo_err)
        _set_result(ctx, end, progress)
        _end_run(ctx, end, progress, how_to_continue)


def _end_run(ctx: CommandContext, end: RunEnd, progress: PlanProgress, how_to_continue: str) -> None:
    """Report a run, and exit unless it is done."""
    error = end.error
    if not progress.is_started and isinstance(error, amp_exp_async.InvalidInputError | amp_exp_async.EditConflictError):
        raise error
    if error is not None and ctx.debug:
        traceback.print_exception(error)
    _report(ctx, progress, how_to_continue if progress.is_started else "Run the same command again.")
    if end.interrupted or error is not None:
        message = None if progress.failed_steps and not end.interrupted else ctx.result.error
        raise Exit(message, interrupt_status() if end.interrupted else ExitCode.FAILED, cause=error)


def _set_result(ctx: CommandContext, end: RunEnd, progress: PlanProgress) -> None:
    result: ApplyResult = ctx.result
    for status, count in progress.counts.items():
        setattr(result, status, count)
    result.wrong, result.seconds, result.requests = progress.failed_steps, end.summary.seconds, ctx.requests
    result.state = "unknown" if result.unknown else "done" if result.done == result.changes else "failed"
    if result.state != "unknown":
        ctx.uncertain = None
    if end.interrupted and result.state != "done":
        result.error = "Interrupted." if progress.is_started else "Interrupted. Nothing was changed."
    elif end.error is not None:
        result.error = describe_error(end.error, sent=True)


def _report(ctx: CommandContext, progress: PlanProgress, how_to_continue: str) -> None:
    result: ApplyResult = ctx.result
    for line in [*progress.failed_steps, *progress.partly_done]:
        ctx.echo_err(str(line))
    verdict = {"done": "Done", "unknown": "Unknown"}.get(result.state, "Not done")
    advice = "" if result.state == "done" else f" {how_to_continue}"
    if progress.is_started:
        ctx.changed.append(str(progress))
    ctx.echo_final(
        f"{verdict}: {progress}; {format_count(result.requests, 'request')} in {result.seconds:.1f} s.{advice}"
    )
