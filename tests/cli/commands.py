"""The commands that there are."""

from __future__ import annotations

from typing import Any

import typer

from amp_exp_async.cli.app import app


def commands(group: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """All commands, each with the groups that it stands in."""
    below = getattr(group, "commands", None)
    if below is None:
        return [path]
    return [found for name, one in below.items() for found in commands(one, (*path, name))]


ALL = commands(typer.main.get_command(app))
