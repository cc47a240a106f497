"""Wrong usage, told in one line."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from amp_exp_async.config import KEY_VARIABLE

from .session import INTERRUPTED, WRONG
from .shown import printable

EXIT_STATUSES = (
    "Exit status: 0 done; 1 failed; 2 the command, an option or a file is wrong; "
    "3 there are changes (only with --detailed-exitcode); 130 interrupted with Ctrl-C."
)
_NO_KEY = (
    "there is no --api-key, since other users of the machine would see the key, and the shell would keep it: "
    f"set {KEY_VARIABLE}, or pass --api-key-file PATH."
)


class Commands(TyperGroup):
    """All commands. What is wrong in how they are used is told in one line on standard error."""

    def main(self, *arguments: Any, **options: Any) -> NoReturn:
        """Run a command, and exit."""
        try:
            status = super().main(*arguments, **options | {"standalone_mode": False})
        except typer.TyperException as error:
            _tell(error)
            status = error.exit_code
        except typer.Abort:
            typer.echo("Interrupted.", err=True)
            status = INTERRUPTED
        sys.exit(status)

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        """Take the arguments of the program apart."""
        with _aborting():
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: Any) -> Any:
        """Run the command that is meant."""
        with _aborting():
            return super().invoke(ctx)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take the arguments apart."""
        if any(argument.partition("=")[0] == "--api-key" for argument in args):
            raise _KeyGivenError(_NO_KEY)
        return super().parse_args(ctx, args)


@contextmanager
def _aborting() -> Generator[None, None, None]:
    """Hand Ctrl-C on as what it is: typer would end without a word."""
    try:
        yield
    except KeyboardInterrupt:
        raise typer.Abort from None


class _KeyGivenError(typer.TyperException):
    exit_code = WRONG


def _tell(error: typer.TyperException) -> None:
    """Say what is wrong, and where help is. Without a message it was help that was asked for."""
    message = printable(error.format_message())
    if message:
        context = getattr(error, "ctx", None)
        path = context.command_path if context else "amp-exp"
        typer.echo(f"{path}: {message} ({path} --help tells how it is used.)", err=True)
