"""`amp-exp users`: who is included in a variant by id."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Annotated, TypeAlias

import typer
from rich.console import Console

from amp_exp_async import InvalidInputError

from .changing import Action, Order, ResourceChange, Result
from .command import command
from .ids import email_warning, ids_of
from .naming import Name, Naming
from .options import DryRun, Yes
from .progress import reporter
from .running import Ending
from .section import EXPERIMENTS, FLAGS
from .session import FAILED, INTERRUPTED, Session, Stopped

VariantKey: TypeAlias = Annotated[str, typer.Argument(metavar="VARIANT", help="The variant's key.")]
IdFile: TypeAlias = Annotated[
    Path,
    typer.Option(
        "--file", "-f", help="One user or device id a line; - for standard input. Blank lines and # comments are fine."
    ),
]
IsExperiment: TypeAlias = Annotated[bool, typer.Option("--experiment", help="FLAG is an experiment.")]
JournalPath: TypeAlias = Annotated[
    Path | None, typer.Option("--journal", help="A file of what was done, which a rerun goes on from.")
]
AllowEmpty: TypeAlias = Annotated[
    bool, typer.Option("--allow-empty", help="A file without ids is no mistake: replace then removes everybody.")
]
app = typer.Typer(
    name="users",
    help="Users and devices that are included in a variant by id.",
    no_args_is_help=True,
)


def _add(action: Action, does: str) -> None:
    """Add a command: they take the same options."""

    @command(app, action, help=does)
    def change(
        session: Session,
        *,
        flag: Name,
        variant: VariantKey,
        file: IdFile,
        naming: Naming,
        experiment: IsExperiment = False,
        dry_run: DryRun = False,
        yes: Yes = False,
        journal: JournalPath = None,
        allow_empty: AllowEmpty = False,
    ) -> None:
        section = EXPERIMENTS if experiment else FLAGS
        session.result = result = Result(section.kind, variant=variant)
        if session.json and not (yes or dry_run):
            raise InvalidInputError("--json asks nothing: pass --yes to make the changes, or --dry-run to see them.")
        ids = _read(file, session, allow_empty=allow_empty)
        order = Order(action, section, naming.of(flag), variant, ids)
        client = session.client
        try:
            wanted = ResourceChange(order, client, result)
            if _is_to_go_on(wanted, session, dry_run=dry_run, yes=yes):
                console = Console(stderr=True)  # so that it goes on where nobody reads the output any more
                report = reporter(console, silent=session.json or not console.is_terminal)
                session.doubt = "It is not known what was changed."
                ending = wanted.send(journal, lambda total: report.step("Requests", total), session.tell)
                _sum_up(ending, result, session)
        finally:
            result.requests = client.usage.requests


def _read(file: Path, session: Session, *, allow_empty: bool) -> list[str]:
    ids = ids_of(file, allow_empty=allow_empty)
    warning = email_warning(ids)
    if warning is not None:
        session.tell(warning)
    return ids


def _is_to_go_on(change: ResourceChange, session: Session, *, dry_run: bool, yes: bool) -> bool:
    """Look, say what would change, and get the user's consent."""
    result = change.result
    wanted = change.look()
    session.say(str(result))
    if not wanted or dry_run:
        result.state = "planned" if wanted else "unchanged"
        session.say("Dry run: nothing was changed." if wanted else "Nothing to change.")
        return False
    session.confirm("Make these changes?", yes=yes)
    return True


def _sum_up(ending: Ending, result: Result, session: Session) -> None:
    doubt = f", {result.unknown} not known" if result.unknown else ""
    left = result.left - result.unknown
    rest = f", {left} left" if left and result.state != "done" else ""
    verdict = {"done": "Done", "unknown": "Not known"}.get(result.state, "Not done")
    did = f"{result.added} added, {result.removed} removed{doubt}{rest}"
    again = " The same command again looks at what is there, and sends only what is missing."
    if result.added or result.removed:
        session.changed.append(f"{result.kind[:-1]} {result.id} ({result.key}), variant {result.variant}: {did}")
    session.conclude(
        f"{verdict}: {did}; {result.requests} requests in {ending.summary.seconds:.1f} s."
        f"{'' if ending.error is None else again}"
    )
    if ending.error is not None and session.debug:
        traceback.print_exception(ending.error)
    if ending.interrupted or result.state != "done":
        raise Stopped(result.error, INTERRUPTED if ending.interrupted else FAILED)


_add("add", "Include ids: those that are not included yet are added.")
_add("remove", "Remove ids: those that are included are removed.")
_add("replace", "Make a variant include these ids and no others.")
