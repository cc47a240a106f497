"""Options that several commands have."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer


class Options:
    """Options that belong together: the arguments of its constructor are options of each command that takes one."""


DryRun: TypeAlias = Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")]
Yes: TypeAlias = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
