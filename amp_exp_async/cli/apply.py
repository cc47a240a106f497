"""`amp-exp apply`: make everything as files, or a saved plan, declare it."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer
from attrs import define, field
from rich.console import Console

from amp_exp_async import EditConflictError, InvalidInputError, Plan

from .account import Account, WrongStep
from .declared import is_plan
from .options import DryRun, Yes
from .plan import Prune, ToProject, planned, show
from .progress import reporter
from .running import Ending, carry_out
from .session import FAILED, INTERRUPTED, Session, Stopped

Manifest: TypeAlias = Literal["planned", "unchanged", "done", "failed", "unknown"]


@define
class Applied:
    """What the command has done, as `--json` shows it.

    Attributes:
        changes: flags and experiments that were to change.
        done: how many of them are as they were to be.
        failed: how many are not, since a step failed.
        unknown: how many have a step of which nobody knows whether it was carried out.
        begun: how many have some of their steps done, and none that went wrong.
        left: how many were not begun.
        requests: requests sent, those that looked included.
        seconds: how long it took to carry it out.
        state: `planned` by a dry run; `unchanged`, since all was as declared; `done`; `failed`; or `unknown`.
        wrong: the steps that failed, or are unknown.
        error: what went wrong first.
    """

    changes: int = 0
    done: int = 0
    failed: int = 0
    unknown: int = 0
    begun: int = 0
    left: int = 0
    requests: int = 0
    seconds: float = 0.0
    state: Manifest = "failed"
    wrong: list[WrongStep] = field(factory=list[WrongStep])
    error: str | None = None


def apply(
    session: Session,
    *,
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE|PLAN", help="YAML or JSON files, folders of them, - for standard input; or a saved plan."
        ),
    ],
    project_id: ToProject = None,
    prune: Prune = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    journal: Annotated[
        Path | None, typer.Option("--journal", help="With a PLAN: a file of what was done, which a rerun goes on from.")
    ] = None,
) -> None:
    """Show what would change for everything to be as declared, ask, and make the changes."""
    is_saved = len(files) == 1 and is_plan(files[0])
    _refuse(files, project_id, journal, prune=prune, is_saved=is_saved)
    session.result = result = Applied()
    try:
        plan = Plan.load(files[0]) if is_saved else planned(session, files, project_id, prune=prune)
        result.changes = result.left = len(plan.changes)
        show(session, plan)
        if plan and not dry_run:
            session.confirm("Make these changes?", yes=yes)
            _make(session, plan, journal, again=_again(journal, is_saved=is_saved))
        elif plan:
            result.state = "planned"
            session.say("Dry run: nothing was changed.")
        else:
            result.state = "unchanged"
    except BrokenPipeError:
        session.tell("Nobody reads the output any more. Nothing was changed.")
        raise
    finally:
        result.requests = session.requests


def _refuse(files: Sequence[str], project_id: str | None, journal: Path | None, *, prune: bool, is_saved: bool) -> None:
    """Refuse options that would have no effect."""
    if is_saved and (project_id is not None or prune):
        raise InvalidInputError(
            f"{files[0]} is a saved plan, which has --project-id and --prune in it already: leave them out here, or "
            "make a new plan. Nothing was changed."
        )
    if journal is not None and not is_saved and all(Path(file).exists() for file in files):
        raise InvalidInputError(
            "--journal goes with a saved plan (plan --out PLAN, then apply PLAN --journal PATH). Files need none: the "
            "same command again plans what is left. Nothing was changed."
        )


def _again(journal: Path | None, *, is_saved: bool) -> str:
    """What goes on where this ended."""
    if not is_saved:
        return "The same command again looks at what is there, and sends only what is missing."
    if journal is None:
        return "The plan fits no more. To go on, make a new one."
    return "The same command again goes on from the journal."


def _make(session: Session, plan: Plan, journal: Path | None, *, again: str) -> None:
    """Make the changes, and say what came of it."""
    client, account = session.client, Account(plan.changes)
    run = client.apply(plan, journal=journal)
    session.doubt = "It is not known what was changed."
    # On standard error, so that it goes on where nobody reads the output any more.
    with reporter(Console(stderr=True), silent=session.json).watch("Steps", run):
        ending = carry_out(run, client, note=account.note, tell=session.tell)
    _note(session, ending, account)
    error = ending.error
    if not account.is_begun and isinstance(error, InvalidInputError | EditConflictError):
        raise error
    if error is not None and session.debug:
        traceback.print_exception(error)
    _sum_up(session, account, again if account.is_begun else "The same command again makes the changes.")
    if ending.interrupted or error is not None:
        told = None if account.wrong and not ending.interrupted else session.result.error
        raise Stopped(told, INTERRUPTED if ending.interrupted else FAILED)


def _note(session: Session, ending: Ending, account: Account) -> None:
    result: Applied = session.result
    for fate, count in account.counts.items():
        setattr(result, fate, count)
    result.wrong, result.seconds, result.requests = account.wrong, ending.summary.seconds, session.requests
    result.state = "unknown" if result.unknown else "done" if result.done == result.changes else "failed"
    if ending.interrupted:
        result.error = "Interrupted." if account.is_begun else "Interrupted. Nothing was changed."
    elif ending.error is not None:
        result.error = " ".join(str(ending.error).split())


def _sum_up(session: Session, account: Account, again: str) -> None:
    result: Applied = session.result
    for line in [*account.wrong, *account.begun]:
        session.tell(str(line))
    verdict = {"done": "Done", "unknown": "Not known"}.get(result.state, "Not done")
    more = "" if result.state == "done" else f" {again}"
    if account.is_begun:
        session.changed.append(str(account))
    session.conclude(f"{verdict}: {account}; {result.requests} requests in {result.seconds:.1f} s.{more}")
