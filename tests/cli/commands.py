"""The names of all commands."""

from __future__ import annotations

from typing import Any

import typer

from amp_exp_async.cli.app import app
from amp_exp_async.cli.lazy_command import LazyCommand


def command_names(group: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Return the commands of a group, each with the names of its groups."""
    if isinstance(group, LazyCommand):
        group = group.load()
    commands = getattr(group, "commands", None)
    if commands is None:
        return [path]
    return [name for key, command in commands.items() for name in command_names(command, (*path, key))]


COMMANDS = command_names(typer.main.get_command(app))
