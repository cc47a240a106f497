"""Adding a command that has a client."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import typer

from .session import Session

CommandT = TypeVar("CommandT", bound=Callable[..., None])


def command(app: typer.Typer, name: str, *, help: str | None = None) -> Callable[[CommandT], CommandT]:
    """Add a function as a command. It takes a session, and its options; the command has those of `Session` too.

    Args:
        app: what the command is added to.
        name: what the user types.
        help: what it does; else the function's docstring tells.
    """

    def add(function: CommandT) -> CommandT:
        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        shared = inspect.signature(Session, eval_str=True).parameters

        def run(**options: Any) -> None:
            session = Session(**{option: options.pop(option) for option in shared})
            with session.reported():
                function(session, **options)

        parameters = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in [*own, *shared.values()]]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {one.name: one.annotation for one in parameters}
        app.command(name, help=help or inspect.getdoc(function))(run)
        return function

    return add
