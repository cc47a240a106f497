"""`amp-exp flags versions`, `history` and `restore-version`, and those of experiments."""

from __future__ import annotations

from typing import Annotated

import typer

from amp_exp_async import VersionChange
from amp_exp_async.manifests.live import to_plain
from amp_exp_async.models import FlagConfig, Version
from amp_exp_async.resources.history import apply_version, not_restorable, version_changes

from .command import command
from .naming import Name, Naming, find, read
from .options import DryRun, Yes
from .section import Section
from .session import Session
from .shown import cell, lines, printable
from .writing import carry_out, edit_of, in_our_words, plain

_NUMBER = typer.Argument(metavar="VERSION", min=1, help="The version's number.")


def add_versions(app: typer.Typer, section: Section) -> None:
    """Add the commands about versions of flags, or experiments."""

    @command(app, "versions", help=f"List the versions of one {section.one}, or show one of them in full.")
    def versions(
        session: Session, *, flag: Name, version: Annotated[int | None, _NUMBER] = None, naming: Naming
    ) -> None:
        toggles = section.of(session.client)
        id = find(toggles, naming.of(flag)).id
        if version is not None:
            one = session.result = to_plain(toggles.versions.get(id, version))
            who_and_when = {name: value for name, value in one.items() if name != "config"}
            for line in lines({**who_and_when, "config": one["config"]}):
                session.say(line)
            return
        found: list[Version[FlagConfig]] = list(toggles.versions.list(id))
        session.result = [to_plain(one) for one in found]
        session.table(
            ["version", "when", "who"], ([one.version, cell(one.created_at), cell(one.created_by)] for one in found)
        )

    @command(app, "history", help=f"Show what each version of one {section.one} has changed: who, when, what.")
    def history(session: Session, *, flag: Name, naming: Naming) -> None:
        toggles = section.of(session.client)
        found = version_changes(list(toggles.versions.list(find(toggles, naming.of(flag)).id)))
        session.result = [_document(change) for change in found]
        for change in found[:-1]:
            session.say(_told(change))
        for oldest in found[-1:]:
            session.say(_told(oldest, "the oldest version"))

    @command(app, "restore-version")
    def restore_version(
        session: Session,
        *,
        flag: Name,
        version: Annotated[int, _NUMBER],
        naming: Naming,
        dry_run: DryRun = False,
        yes: Yes = False,
    ) -> None:
        """Go back to a version, as far as an edit can. It asks first."""
        toggles = section.of(session.client)
        before = read(toggles, naming.of(flag))
        wanted: FlagConfig = toggles.versions.get(before.id, version).config
        restored = apply_version(before, wanted)
        write = edit_of(session, section, before, restored, already="nothing that an edit can set differs")
        for one in in_our_words(not_restorable(restored, wanted)).values():
            session.tell(f"An edit cannot set this, and it stays: {one}")
        carry_out(session, [write], dry_run=dry_run, question=f"Go back to version {version}?", yes=yes)


def _told(change: VersionChange, nothing: str = "no difference that the service shows") -> str:
    by = f"  {printable(change.created_by)}" if change.created_by else ""
    at = f"  {change.created_at:%Y-%m-%d %H:%M:%S} UTC" if change.created_at else ""
    what = [str(one) for one in in_our_words(change.differences).values()]
    return "\n  ".join([f"version {change.version}{at}{by}", *(what or [nothing])])


def _document(change: VersionChange) -> dict[str, object]:
    return {
        "version": change.version,
        "created_by": change.created_by or None,
        "created_at": to_plain(change.created_at or None),
        "differences": plain(in_our_words(change.differences)),
    }
