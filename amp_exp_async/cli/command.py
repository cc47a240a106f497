"""Adding a command that has a client."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import typer

from .options import Options
from .session import Session

CommandT = TypeVar("CommandT", bound=Callable[..., None])
Parameters = Mapping[str, inspect.Parameter]


def command(app: typer.Typer, name: str, *, help: str | None = None) -> Callable[[CommandT], CommandT]:
    """Add a function as a command. It takes a session, and its options; the command has those of `Session` too.

    Where an argument of the function is of a class of `Options`, the command has the options of that class.

    Args:
        app: what the command is added to.
        name: what the user types.
        help: what it does; else the function's docstring tells.
    """

    def add(function: CommandT) -> CommandT:
        session, *own = _parameters(function).values()
        groups = {one.name: one.annotation for one in own if _is_group(one.annotation)}
        options = [
            option
            for one in own
            for option in (_parameters(groups[one.name]).values() if one.name in groups else [one])
        ]

        def run(**given: Any) -> None:
            current = _made(Session, given)
            with current.reported():
                made = {argument: _made(group, given) for argument, group in groups.items()}
                function(current, **given, **made)

        parameters = [
            one.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for one in [*options, *_parameters(session.annotation).values()]
        ]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # typer reads it
        run.__annotations__ = {one.name: one.annotation for one in parameters}
        app.command(name, help=help or inspect.getdoc(function))(run)
        return function

    return add


def _parameters(callable: Callable[..., Any]) -> Parameters:
    return inspect.signature(callable, eval_str=True).parameters


def _is_group(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Options)


def _made(group: Any, given: dict[str, Any]) -> Any:
    """A group of options, made of those that are its own."""
    return group(**{option: given.pop(option) for option in _parameters(group)})
