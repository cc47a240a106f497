"""`amp-exp log`: who changed what in all flags and experiments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer
from attrs import frozen

import amp_exp_async

from .context import CommandContext, command
from .edits import OptionalText, changes_to_json, rename_fields
from .inputs import is_project_empty, no_flags_message
from .options import ProjectFilter, Sets, describe_project
from .output import format_value, printable, to_json
from .targets import EXPERIMENTS, FLAGS, PAGE_SIZE, FlagKind
from .times import parse_time

app = typer.Typer()

_DEFAULT_PERIOD = timedelta(days=7)


@frozen
class LogEntry:
    """A version that someone made of a flag or experiment.

    Attributes:
        kind: flags or experiments.
        config: the flag or experiment.
        change: the version and its differences.
    """

    kind: FlagKind
    config: amp_exp_async.FlagConfig
    change: amp_exp_async.VersionChange

    def __str__(self) -> str:
        time = f"{self.change.created_at:%Y-%m-%d %H:%M:%S} UTC" if self.change.created_at else "(unknown time)"
        author = printable(self.change.created_by or "(unknown)")
        lines = [str(difference) for difference in rename_fields(self.change.differences).values()]
        head = f"{time}  {author}  {self.kind.label(self.config)}, version {self.change.version}"
        return "\n  ".join([head, *(lines or [self.change.summary])])

    def as_json(self) -> Mapping[str, Any]:
        """Return the entry for `--json`."""
        return {
            "kind": self.kind.name,
            "id": self.config.id,
            "key": self.config.key,
            "project_id": self.config.project_id or None,
            "version": self.change.version,
            "created_by": self.change.created_by or None,
            "created_at": to_json(self.change.created_at or None),
            "differences": changes_to_json(rename_fields(self.change.differences)),
        }


@command(app, "log")
def _log(
    ctx: CommandContext,
    *,
    since: Annotated[
        OptionalText,
        typer.Option(
            metavar="TIME",
            help="Such as 7d, 12h, 30m, 2026-11-03 or 2026-11-03T09:00Z. Default: 7d, or now with --follow.",
        ),
        Sets("start"),
    ] = None,
    until: Annotated[
        OptionalText, typer.Option(metavar="TIME", help="Only changes before this time."), Sets("end")
    ] = None,
    project_id: ProjectFilter = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Show each change as it is made, oldest first, until Ctrl-C.")
    ] = False,
    poll_interval: Annotated[
        float, typer.Option(metavar="SECONDS", help="The seconds between two requests of --follow.")
    ] = 30.0,
    cursor: Annotated[
        OptionalText, typer.Option(metavar="CURSOR", help="Follow after this change: the cursor that --json shows.")
    ] = None,
) -> None:
    """Show who changed what in all flags and experiments, newest first.

    With --follow --json, each change is one line.

    Example: amp-exp log --since 24h --project-id 123

    Example: amp-exp log --follow
    """
    now = datetime.now(UTC)
    start = None if since is None else parse_time("--since", since, now)
    if follow or cursor is not None:
        if until is not None:
            raise amp_exp_async.InvalidInputError("--until: --follow has no end. Leave one of them out.")
        _warn_of_empty_project(ctx, project_id)
        _follow(ctx, ctx.client.watch(since=start, cursor=cursor, project_id=project_id, poll_interval=poll_interval))
        return
    start = start or now - _DEFAULT_PERIOD
    end = now if until is None else parse_time("--until", until, now)
    if end <= start:
        bound = "--until" if until is not None else "now"
        raise amp_exp_async.InvalidInputError(
            f"--since: must be before {bound} ({end:%Y-%m-%d %H:%M} UTC), got {format_value(since or '7d')}. "
            "Nothing was sent."
        )
    entries = sorted(
        _entries(ctx.client, start, end, project_id), key=lambda entry: entry.change.created_at or now, reverse=True
    )
    ctx.result = [entry.as_json() for entry in entries]
    for entry in entries:
        ctx.echo(str(entry))
    if not entries:
        where = "" if project_id is None else f" in {describe_project(project_id)}"
        ctx.echo(f"No changes{where} between {start:%Y-%m-%d %H:%M} and {end:%Y-%m-%d %H:%M} UTC.")
        _warn_of_empty_project(ctx, project_id)


def _warn_of_empty_project(ctx: CommandContext, project_id: str | None) -> None:
    if project_id is not None and is_project_empty(ctx.client, project_id):
        ctx.echo_err(no_flags_message(project_id))


def _follow(ctx: CommandContext, changes: Iterable[amp_exp_async.ChangeEvent]) -> None:
    """Print changes as they are made, until the user interrupts it."""
    for event in changes:
        change = amp_exp_async.VersionChange(event.version, event.created_by, event.created_at, event.differences)
        entry = LogEntry(_kind(event.after), event.after, change)
        ctx.echo(str(entry))
        ctx.echo_line({**entry.as_json(), "cursor": event.cursor})


def _entries(
    client: amp_exp_async.ExperimentClient, start: datetime, end: datetime, project_id: str | None
) -> Iterator[LogEntry]:
    """Yield the changes between two times: one request for each changed flag, besides the list of versions."""
    changed: dict[tuple[str, str], amp_exp_async.FlagConfig] = {}
    for version in client.versions.list(start=start, end=end, limit=PAGE_SIZE):
        config = version.config
        if project_id in {None, config.project_id}:
            changed.setdefault((_kind(config).name, config.id), config)
    for config in changed.values():
        kind = _kind(config)
        for change in client.history(kind.name, config.id):
            if change.created_at and start <= change.created_at < end:
                yield LogEntry(kind, config, change)


def _kind(config: amp_exp_async.FlagConfig) -> FlagKind:
    return EXPERIMENTS if isinstance(config, amp_exp_async.Experiment) else FLAGS
