"""`amp-exp flags enable`, `disable`, `archive` and `restore`, and those of experiments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import typer
from attrs import frozen

from .command import command
from .naming import Names, Naming, read
from .options import DryRun, Yes
from .section import Section
from .session import Session
from .writing import carry_out, edit_of


@frozen
class Switch:
    """What a command sets.

    Attributes:
        name: the command.
        does: what it does to them.
        wanted: the fields that it sets, with their values.
        already: what to say of one that is as wanted.
        asks: whether it asks first.
    """

    name: str
    does: str
    wanted: Mapping[str, Any]
    already: str
    asks: bool = False


_SWITCHES = (
    Switch("enable", "Enable {}", {"enabled": True}, "already enabled"),
    Switch("disable", "Disable {}", {"enabled": False}, "already disabled"),
    Switch("restore", "Take {} out of the archive", {"deleted": False}, "not archived"),
)
_ARCHIVE = Switch("archive", "Archive {}", {"deleted": True}, "already archived", asks=True)


def add_switches(app: typer.Typer, section: Section) -> None:
    """Add the commands that switch flags, or experiments, on and off."""
    for switch in _SWITCHES:
        _add(app, section, switch)

    @command(app, _ARCHIVE.name, help=f"{_ARCHIVE.does.format(section.kind)}. It asks first.")
    def archive(session: Session, *, flag: Names, naming: Naming, dry_run: DryRun = False, yes: Yes = False) -> None:
        _switch(session, section, _ARCHIVE, flag, naming, dry_run=dry_run, yes=yes)


def _add(app: typer.Typer, section: Section, switch: Switch) -> None:
    @command(app, switch.name, help=f"{switch.does.format(section.kind)}.")
    def change(session: Session, *, flag: Names, naming: Naming, dry_run: DryRun = False) -> None:
        _switch(session, section, switch, flag, naming, dry_run=dry_run)


def _switch(
    session: Session,
    section: Section,
    switch: Switch,
    flags: Sequence[str],
    naming: Naming,
    *,
    dry_run: bool,
    yes: bool = False,
) -> None:
    """Look all of them up, and then change them."""
    names = [naming.of(name) for name in flags]
    toggles = section.of(session.client)
    found = {toggle.id: toggle for toggle in (read(toggles, name, archived=switch.name == "restore") for name in names)}
    writes = [
        edit_of(session, section, toggle, attrs.evolve(toggle, **switch.wanted), already=switch.already)
        for toggle in found.values()
    ]
    count = sum(bool(write.differences) for write in writes)
    which = f"this {section.one}" if count == 1 else f"these {count} {section.kind}"
    question = f"{switch.does.format(which)}?" if switch.asks else None
    carry_out(session, writes, dry_run=dry_run, question=question, yes=yes)
