"""`amp-exp users`: who is included in a variant by id."""

from __future__ import annotations

import json as json_text
import traceback
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, TypeAlias

import attrs
import typer
from rich.console import Console

from amp_exp_async import AmpExpError, ConfigurationError, InvalidInputError

from .changing import Action, Change, Order, Result
from .connecting import BaseUrl, KeyFile, Region, connected, is_terminal
from .ids import email_warning, ids_of
from .progress import reporter
from .running import Ending

_FAILED, _WRONG, _INTERRUPTED = 1, 2, 130

Name: TypeAlias = Annotated[
    str, typer.Argument(metavar="FLAG", help="The flag's id, or its key where that is not all digits.")
]
VariantKey: TypeAlias = Annotated[str, typer.Argument(metavar="VARIANT", help="The variant's key.")]
IdFile: TypeAlias = Annotated[
    Path,
    typer.Option(
        "--file", "-f", help="One user or device id a line; - for standard input. Blank lines and # comments are fine."
    ),
]
IsKey: TypeAlias = Annotated[bool, typer.Option("--key", help="FLAG is a key, though it is all digits.")]
ProjectId: TypeAlias = Annotated[
    str | None, typer.Option(metavar="ID", help="Which project, where the key exists in several.")
]
IsExperiment: TypeAlias = Annotated[bool, typer.Option("--experiment", help="FLAG is an experiment.")]
DryRun: TypeAlias = Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")]
Yes: TypeAlias = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Json: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print the result as JSON, and nothing else. Needs --yes or --dry-run.")
]
JournalPath: TypeAlias = Annotated[
    Path | None, typer.Option("--journal", help="A file of what was done, which a rerun goes on from.")
]
AllowEmpty: TypeAlias = Annotated[
    bool, typer.Option("--allow-empty", help="A file without ids is no mistake: replace then removes everybody.")
]
Debug: TypeAlias = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]

Say: TypeAlias = Callable[[str], None]

app = typer.Typer(
    name="users",
    help="Users and devices that are included in a variant by id.",
    no_args_is_help=True,
)


def _command(action: Action, does: str) -> None:
    """Add a command: they take the same options."""

    @app.command(action, help=does)
    def command(
        *,
        flag: Name,
        variant: VariantKey,
        file: IdFile,
        key: IsKey = False,
        project_id: ProjectId = None,
        experiment: IsExperiment = False,
        dry_run: DryRun = False,
        yes: Yes = False,
        json: Json = False,
        journal: JournalPath = None,
        allow_empty: AllowEmpty = False,
        api_key_file: KeyFile = None,
        region: Region = None,
        base_url: BaseUrl = None,
        debug: Debug = False,
    ) -> None:
        result = Result("experiments" if experiment else "flags", variant=variant)
        say: Say = _silent if json else typer.echo
        with _reported(result, json=json, debug=debug):
            if json and not (yes or dry_run):
                raise InvalidInputError(
                    "--json asks nothing: pass --yes to make the changes, or --dry-run to see them."
                )
            ids = _read(file, allow_empty=allow_empty)
            order = Order(action, result.kind, flag, _is_key(flag, project_id, key=key), project_id, variant, ids)
            ask = is_terminal() and not json
            with connected(api_key_file, region, base_url, ask=ask) as client:
                change = Change(order, client, result)
                try:
                    if _is_to_go_on(change, dry_run=dry_run, yes=yes, ask=ask, say=say):
                        report = reporter(Console(), silent=json)
                        ending = change.send(journal, lambda total: report.step("Requests", total), _tell)
                        _sum_up(ending, result, say, debug=debug)
                finally:
                    result.requests = client.usage.requests


def _is_key(flag: str, project_id: str | None, *, key: bool) -> bool:
    if key or not (flag.isascii() and flag.isdigit()):
        return True
    if project_id is not None:
        raise InvalidInputError(f"--project-id goes with a key, and {flag} is an id. If it is a key, pass --key.")
    return False


def _read(file: Path, *, allow_empty: bool) -> list[str]:
    ids = ids_of(file, allow_empty=allow_empty)
    warning = email_warning(ids)
    if warning is not None:
        _tell(warning)
    return ids


def _is_to_go_on(change: Change, *, dry_run: bool, yes: bool, ask: bool, say: Say) -> bool:
    """Look, say what would change, and get the user's consent."""
    result = change.result
    wanted = change.look()
    say(str(result))
    if not wanted or dry_run:
        result.state = "planned" if wanted else "unchanged"
        say("Dry run: nothing was changed." if wanted else "Nothing to change.")
        return False
    if yes:
        return True
    if not ask:
        raise InvalidInputError("Nothing was changed: there is no terminal to ask on. Pass --yes to make the changes.")
    if typer.confirm("Make these changes?"):
        return True
    result.error = "Nothing was changed."
    raise typer.Exit(_FAILED)


def _sum_up(ending: Ending, result: Result, say: Say, *, debug: bool) -> None:
    doubt = f", {result.unknown} not known" if result.unknown else ""
    left = result.left - result.unknown
    rest = f", {left} left" if left and result.state != "done" else ""
    verdict = {"done": "Done", "unknown": "Not known"}.get(result.state, "Not done")
    did = f"{result.added} added, {result.removed} removed{doubt}{rest}"
    again = " The same command again looks at what is there, and sends only what is missing."
    say(
        f"{verdict}: {did}; {result.requests} requests in {ending.summary.seconds:.1f} s."
        f"{'' if ending.error is None else again}"
    )
    if ending.error is not None and debug:
        traceback.print_exception(ending.error)
    if ending.interrupted:
        raise typer.Exit(_INTERRUPTED)
    if result.state != "done":
        raise typer.Exit(_FAILED)


@contextmanager
def _reported(result: Result, *, json: bool, debug: bool) -> Generator[None, None, None]:
    """End with one line for an error, the result as JSON where that is wanted, and the exit status."""
    status = 0
    try:
        yield
    except typer.Exit as end:
        status = end.exit_code
    except (KeyboardInterrupt, typer.Abort):
        if is_terminal():
            _tell("")  # below the ^C
        status = _INTERRUPTED
        what = "It is not known what was changed" if result.state == "unknown" else "Nothing was changed"
        result.error = f"Interrupted. {what}."
    except AmpExpError as error:
        status = _WRONG if isinstance(error, InvalidInputError | ConfigurationError) else _FAILED
        result.error = str(error)
        if debug:
            traceback.print_exc()
    if result.error is not None:
        _tell(" ".join(result.error.split()))
    if json:
        typer.echo(json_text.dumps(attrs.asdict(result)))
    raise typer.Exit(status)


def _tell(text: str) -> None:
    typer.echo(text, err=True)


def _silent(_: str) -> None:
    pass


_command("add", "Include ids: those that are not included yet are added.")
_command("remove", "Remove ids: those that are included are removed.")
_command("replace", "Make a variant include these ids and no others.")
