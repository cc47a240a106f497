"""`amp-exp flags` and `amp-exp experiments`."""

from __future__ import annotations

import typer

from .decisions import add_decisions
from .edits import add_edit
from .listing import add_listing
from .section import EXPERIMENTS, FLAGS, Section
from .switching import add_switches
from .versions import add_versions


def _commands(section: Section) -> typer.Typer:
    app = typer.Typer(
        name=section.kind, help=f"{section.kind.capitalize()}: look at them, and change them.", no_args_is_help=True
    )
    add_listing(app, section)
    add_switches(app, section)
    add_edit(app, section)
    add_versions(app, section)
    return app


flags = _commands(FLAGS)
experiments = _commands(EXPERIMENTS)
add_decisions(experiments)
