"""A command whose module is imported when it is run."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand


class LazyCommand(TyperCommand):
    """A command, or a group of commands, whose name and help text are known before its module is imported.

    Args:
        name: the name of the command.
        help: the help text in a list of commands.
        module: the module of this package that has it.
        app: the name of the typer app in the module: that of a group, or one with single commands.
    """

    def __init__(self, name: str, help: str, module: str, app: str = "app") -> None:
        super().__init__(name=name, help=help)
        self.module = module
        self._app = app

    def load(self) -> Any:
        """Import the module, and return the command itself."""
        return _load(str(self.name), self.module, self._app)

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        """Return the context of the command itself, from which it is run or completed."""
        return self.load().make_context(*arguments, **options)


@cache  # building a command takes a tenth of a second
def _load(name: str, module: str, app: str) -> Any:
    parent = typer.Typer(rich_markup_mode=None)  # rich would cut names
    parent.add_typer(getattr(import_module(f".{module}", __package__), app))
    return typer.main.get_group(parent).commands[name]
