"""`amp-exp flags edit`, and that of experiments."""

from __future__ import annotations

import typer

from .command import command
from .fields import ExperimentFields, FlagFields
from .naming import Name, Named, Naming, read
from .options import DryRun
from .section import FLAGS, Section
from .session import Session
from .writing import carry_out, edit_of


def add_edit(app: typer.Typer, section: Section) -> None:
    """Add the command that changes fields of a flag, or of an experiment."""
    does = f"Change fields of one {section.one}. What others change meanwhile is kept."

    def edit(session: Session, name: Named, fields: FlagFields, *, dry_run: bool) -> None:
        change = fields.change(section.table)
        before = read(section.of(session.client), name)
        carry_out(session, [edit_of(session, section, before, change(before))], dry_run=dry_run)

    if section is FLAGS:

        @command(app, "edit", help=does)
        def edit_flag(
            session: Session, *, flag: Name, fields: FlagFields, naming: Naming, dry_run: DryRun = False
        ) -> None:
            edit(session, naming.of(flag), fields, dry_run=dry_run)

    else:

        @command(app, "edit", help=does)
        def edit_experiment(
            session: Session, *, flag: Name, fields: ExperimentFields, naming: Naming, dry_run: DryRun = False
        ) -> None:
            edit(session, naming.of(flag), fields, dry_run=dry_run)
