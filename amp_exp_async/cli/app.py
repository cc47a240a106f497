"""The program `amp-exp`: its options, and the group of its commands."""

from __future__ import annotations

from typing import Annotated

import typer

from amp_exp_async import __version__

from .exit_codes import EXIT_STATUSES
from .group import AmpExpGroup

_HELP = """Manage Amplitude Experiment from the command line.

Example: amp-exp flags list --project-id 123

Example: amp-exp plan flags.yaml
"""

app = typer.Typer(
    name="amp-exp",
    cls=AmpExpGroup,
    help=_HELP,
    epilog=EXIT_STATUSES,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
    pretty_exceptions_show_locals=False,
)


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"amp-exp {__version__}")
        raise typer.Exit


@app.callback(help=_HELP)
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Take the options that come before the command."""
