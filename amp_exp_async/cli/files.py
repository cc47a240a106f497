"""The commands that keep flags as files."""

from __future__ import annotations

import typer

from .apply import apply
from .command import command
from .diff import diff
from .export import export
from .lint import lint
from .plan import plan

app = typer.Typer()
command(app, "export")(export)
command(app, "plan")(plan)
command(app, "apply")(apply)
command(app, "lint")(lint)
command(app, "diff")(diff)
