"""The input of commands: manifests and user IDs from files and standard input, and exports of the account."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

import amp_exp_async

from .context import CommandContext
from .errors import UnknownNameError, describe_os_error
from .options import describe_project
from .output import format_value, make_console, make_reporter
from .streams import read_bounded

STDIN = "-"
_PLAN = re.compile(rb'\s*\{\s*"plan"\s*:')
_PLAN_PREFIX = 200

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


def read_stdin() -> bytes:
    """Return the content of standard input.

    Raises:
        InvalidInputError: If it cannot be read, or is too large.
    """
    try:
        return read_bounded(sys.stdin.buffer)
    except OSError as error:
        raise amp_exp_async.InvalidInputError(
            f"standard input: cannot be read ({describe_os_error(error)}). Nothing was sent. Pass a file instead."
        ) from error


def _open_stdin() -> io.StringIO:
    content = read_stdin()
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
        file = Path(error.filename or path)
        name = "" if file in (Path(path), *Path(path).parents) else f" {file}"
        raise amp_exp_async.InvalidInputError(
            f"{option} {path}:{name} cannot be written ({describe_os_error(error)})."
        ) from error


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


def export_manifest(
    ctx: CommandContext, project_id: str | None, *, allow_empty: bool = True, **options: Any
) -> amp_exp_async.Manifest:
    """Export flags and experiments, and warn if the export is empty or if a file cannot hold all of it.

    Args:
        ctx: the command's context.
        project_id: the project; None for all.
        allow_empty: whether there may be no flags and no experiments.
        options: other arguments of `client.export`.

    Raises:
        UnknownNameError: If there must be some.
    """
    with reading(ctx, "Reading flags and experiments") as client:
        manifest = client.export(project_id=project_id, **options)
    if not (manifest.flags or manifest.experiments):
        if not allow_empty:
            raise UnknownNameError(no_flags_message(project_id))
        ctx.echo_err(no_flags_message(project_id))
    if options.get("users") and (omitted := list(_without_inclusions(manifest))):
        ctx.echo_err(f"Omitted, because a file cannot hold them: the inclusions of {', '.join(omitted)}.")
    return manifest


def no_flags_message(project_id: str | None) -> str:
    """Return the message for a project without flags and experiments, which an ID that does not exist looks like."""
    where = "any project" if project_id is None else describe_project(project_id)
    return f"No flags and no experiments in {where} visible to this API key."


def is_project_empty(client: amp_exp_async.ExperimentClient, project_id: str) -> bool:
    """Return whether a project has no flags and no experiments, not even archived ones. Sends at most two requests."""
    listed = (
        resource.list(project_id=project_id, include_archived=True, limit=1)
        for resource in (client.flags, client.experiments)
    )
    return not any(True for flags in listed for _ in flags)


def _without_inclusions(manifest: amp_exp_async.Manifest) -> Iterator[str]:
    """Yield the variants whose inclusions were read but could not be kept."""
    for kind, flags in (("flags", manifest.flags), ("experiments", manifest.experiments)):
        for flag in flags or ():
            for variant in flag.variants or ():
                if amp_exp_async.UNSET in (variant.users, variant.cohorts):
                    yield f"{kind}/{flag.key}, variant {variant.key}"


def read_ids(file: Path, column: str | None, *, if_empty: str | None) -> amp_exp_async.FileValues:
    """Return the distinct IDs in a file, or in standard input for `-`.

    Args:
        file: the file.
        column: the column of CSV; None if the file has one ID per line.
        if_empty: what to say about a file without IDs, which a failed query leaves, too; None if it may hold none.

    Raises:
        InvalidInputError: If the file cannot be read, has a line that is surely not an ID, or holds no IDs.
    """
    ids = amp_exp_async.read_ids(_open_text(file), column=column)
    if not ids and if_empty is not None:
        raise amp_exp_async.InvalidInputError(f"{ids.name}: contains no IDs{if_empty}")
    return ids


def read_values(file: Path, column: str | None, prop: str) -> amp_exp_async.FileValues:
    """Return the distinct values of a property in a file, or in standard input for `-`.

    Args:
        file: the file.
        column: the column of CSV; None if the file has one value per line.
        prop: the property.

    Raises:
        InvalidInputError: If the file cannot be read, has no such column, or holds no values; or if its first line is
            the name of the property.
    """
    values = amp_exp_async.read_values(_open_text(file), column=column)
    first = next(iter(values), None)
    if first is None:
        raise amp_exp_async.InvalidInputError(f"{values.name}: contains no values. Nothing was sent.")
    if column is None and first.casefold() == prop.removeprefix("gp:").casefold():
        raise amp_exp_async.InvalidInputError(
            f"{values.name}: begins with {format_value(first)}, the name of the property. Nothing was sent. Remove the "
            "line, or pass --column to read the file as CSV."
        )
    return values


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


def _open_text(file: Path) -> Path | io.TextIOWrapper:
    """Return a file, or standard input for `-`."""
    if str(file) != STDIN:
        return file
    content = io.BytesIO(read_stdin())
    content.name = "standard input"
    return io.TextIOWrapper(content, encoding="utf-8-sig", newline="")
