"""The input of commands: manifests and user IDs from files and standard input, and exports of the account."""

from __future__ import annotations

import csv
import io
import re
import sys
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer
from attrs import field, frozen

import amp_exp_async

from .context import CommandContext
from .options import describe_project
from .output import format_value, make_console, make_reporter

STDIN = "-"
_PLAN = re.compile(rb'\s*\{\s*"plan"\s*:')
_PLAN_PREFIX = 200
_MAX_LISTED = 5

FILES_HELP = "YAML or JSON files, folders, or - for standard input."
Files: TypeAlias = Annotated[list[str], typer.Argument(metavar="FILE", help=FILES_HELP)]


def load_manifest(files: Sequence[str]) -> amp_exp_async.Manifest:
    """Return the manifest that files declare together.

    Args:
        files: files, folders, or `-` for standard input.

    Raises:
        InvalidManifestError: If the files have problems; the error lists all of them.
        InvalidInputError: If they declare no flags and no experiments.
    """
    distinct = dict.fromkeys(files)
    manifest = amp_exp_async.load(*(_open_stdin() if file == STDIN else file for file in distinct))
    if manifest.flags is amp_exp_async.UNSET and manifest.experiments is amp_exp_async.UNSET:
        raise amp_exp_async.InvalidInputError(
            f"{', '.join(distinct)}: no flags and no experiments found. Nothing was changed."
        )
    return manifest


def is_plan(file: str) -> bool:
    """Return whether a file holds a saved plan, even a damaged one."""
    path = Path(file)
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return _PLAN.match(stream.read(_PLAN_PREFIX)) is not None


def _open_stdin() -> io.StringIO:
    content = sys.stdin.buffer.read()
    if _PLAN.match(content):
        raise amp_exp_async.InvalidInputError("standard input: is a saved plan. Save it to a file and apply that.")
    try:
        stream = io.StringIO(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise amp_exp_async.InvalidInputError(
            f"standard input: not UTF-8 text ({error.reason} at byte {error.start}). Nothing was changed."
        ) from error
    stream.name = "standard input"
    return stream


@contextmanager
def writing(option: str, path: str) -> Generator[None, None, None]:
    """Report an `OSError` in the block as a mistake in an option.

    Raises:
        InvalidInputError: If the file cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise amp_exp_async.InvalidInputError(f"{option} {path}: cannot be written ({error.strerror}).") from error


@contextmanager
def reading(ctx: CommandContext, title: str) -> Generator[amp_exp_async.ExperimentClient, None, None]:
    """Give a client whose responses are counted on the terminal while the block runs.

    Args:
        ctx: the command's context.
        title: what is read.
    """
    client = ctx.client
    console = make_console(stderr=True)
    reporter = make_reporter(console, silent=ctx.json or not console.is_terminal, transient=True)
    with reporter.step(title, None) as advance:
        yield client.with_options(on_attempt=lambda _: advance(1))


def export_manifest(ctx: CommandContext, project_id: str | None, **options: Any) -> amp_exp_async.Manifest:
    """Export flags and experiments, and warn if the export is empty or if a file cannot hold all of it.

    Args:
        ctx: the command's context.
        project_id: the project; None for all.
        options: other arguments of `client.export`.
    """
    with reading(ctx, "Reading flags and experiments") as client:
        manifest = client.export(project_id=project_id, **options)
    if not (manifest.flags or manifest.experiments):
        where = "any project" if project_id is None else describe_project(project_id)
        ctx.echo_err(f"No flags and no experiments in {where} visible to this API key.")
    if options.get("users") and (omitted := list(_without_inclusions(manifest))):
        ctx.echo_err(f"Omitted, because a file cannot hold them: the inclusions of {', '.join(omitted)}.")
    return manifest


def _without_inclusions(manifest: amp_exp_async.Manifest) -> Iterator[str]:
    """Yield the variants whose inclusions were read but could not be kept."""
    for kind, flags in (("flags", manifest.flags), ("experiments", manifest.experiments)):
        for flag in flags or ():
            for variant in flag.variants or ():
                if amp_exp_async.UNSET in (variant.users, variant.cohorts):
                    yield f"{kind}/{flag.key}, variant {variant.key}"


@frozen
class UserIds:
    """The distinct user IDs of a file or of standard input.

    Attributes:
        name: the file's name in messages.
        lines: the lines with an ID, by their number.
    """

    name: str
    lines: Mapping[int, str]
    _ids: tuple[str, ...] = field(init=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "_ids", tuple(dict.fromkeys(self.lines.values())))

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids)

    def __len__(self) -> int:
        return len(self._ids)

    def require_valid(self, ids: Iterable[str], *, sent: bool) -> None:
        """Raise `InvalidInputError` if IDs of the file that are to be added break a rule. The message names the lines.

        Args:
            ids: the IDs.
            sent: whether requests were sent.
        """
        rules = {id: rule for id in ids if (rule := _broken_rule(id))}
        lines = ((number, id) for number, id in self.lines.items() if id in rules)
        errors = [f"line {number}: {format_value(id[:80])} {rules[id]}" for number, id in lines]
        if errors:
            more = f"; and {len(errors) - _MAX_LISTED} more lines" if len(errors) > _MAX_LISTED else ""
            nothing = "Nothing was written." if sent else "Nothing was sent."
            message = f"{self.name}, {'; '.join(errors[:_MAX_LISTED])}{more}. {nothing}"
            raise amp_exp_async.InvalidInputError(message, argument="file")


def read_ids(file: Path, *, allow_empty: bool) -> UserIds:
    """Return the distinct user IDs in a file, or in standard input for `-`: one per line.

    Blank lines and lines that start with `#` are ignored.

    Args:
        file: the file.
        allow_empty: whether the file may hold no IDs. A failed query leaves an empty file, too.

    Raises:
        InvalidInputError: If the file cannot be read, or holds no IDs.
    """
    name = _display_name(file)
    lines = dict(_content(_read_lines(file, name)))
    if not lines and not allow_empty:
        raise amp_exp_async.InvalidInputError(f"{name}: contains no IDs. If that is intended, pass --allow-empty.")
    return UserIds(name, lines)


def read_values(file: Path, column: str | None) -> list[str]:
    """Return the distinct values in a file, or in standard input for `-`: one per line, or of one column of CSV.

    Blank values, and lines that start with `#` in a file without columns, are ignored.

    Args:
        file: the file.
        column: the column; None if the file has one value per line.

    Raises:
        InvalidInputError: If the file cannot be read, has no such column, or holds no values.
    """
    name = _display_name(file)
    lines = _read_lines(file, name)
    values = (value for _, value in _content(lines)) if column is None else _column(lines, name, column)
    distinct = list(dict.fromkeys(value for value in values if value))
    if not distinct:
        raise amp_exp_async.InvalidInputError(f"{name}: contains no values. Nothing was sent.")
    return distinct


def _column(lines: io.StringIO, name: str, column: str) -> Iterator[str]:
    """Yield the values of a column of CSV."""
    rows = csv.DictReader(lines, skipinitialspace=True)
    if column not in (rows.fieldnames or ()):
        known = ", ".join(map(format_value, rows.fieldnames or ())) or "none"
        raise amp_exp_async.InvalidInputError(
            f"{name}: has no column {format_value(column)}. Its columns: {known}. Nothing was sent."
        )
    try:
        for row in rows:
            yield (row[column] or "").strip()
    except csv.Error as error:
        raise amp_exp_async.InvalidInputError(
            f"{name}, line {rows.line_num}: is not CSV ({error}). Nothing was sent."
        ) from error


def email_warning(ids: Sequence[str]) -> str | None:
    """Return a warning if some IDs look like e-mail addresses, else None."""
    emails = amp_exp_async.find_emails(ids)
    if not emails:
        return None
    count = "1 ID looks like an e-mail address" if len(emails) == 1 else f"{len(emails)} IDs look like e-mail addresses"
    return (
        f"Warning: {count}, such as {emails[0]}. Inclusions match user IDs and device IDs; an e-mail address matches "
        "no user unless your user IDs are e-mail addresses."
    )


def _broken_rule(id: str) -> str:
    """Return the rule that an ID to add breaks; empty text if it is valid."""
    try:
        amp_exp_async.AddUsers("flags", "1", "on", [id])
    except amp_exp_async.InvalidInputError as error:
        return error.rule
    return ""


def _display_name(file: Path) -> str:
    return "standard input" if str(file) == STDIN else str(file)


def _content(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Yield the number and the stripped text of each line that is neither blank nor a comment."""
    for number, line in enumerate(lines, 1):
        if (text := line.strip()) and not text.startswith("#"):
            yield number, text


def _read_lines(file: Path, name: str) -> io.StringIO:
    try:
        content = sys.stdin.buffer.read() if str(file) == STDIN else file.read_bytes()
        return io.StringIO(content.decode("utf-8-sig"), newline=None)
    except OSError as error:
        raise amp_exp_async.InvalidInputError(
            f"{name}: cannot be read ({error.strerror}). Nothing was sent."
        ) from error
    except UnicodeDecodeError as error:
        raise amp_exp_async.InvalidInputError(
            f"{name}: not UTF-8 text ({error.reason} at byte {error.start}). Nothing was sent."
        ) from error
