"""Help pages: whole names at any width, and examples that are valid."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest
import typer

from amp_exp_async.cli.app import app
from amp_exp_async.cli.help import render_page, split_examples
from amp_exp_async.cli.lazy_command import LazyCommand
from tests.cli.commands import COMMANDS

ROOT: Any = typer.main.get_command(app)
GROUPS = sorted({path[:-1] for path in COMMANDS})


def find(path: tuple[str, ...]) -> tuple[Any, Any]:
    """Return a command, and a context that parses nothing."""
    command, ctx = ROOT, typer.Context(ROOT, info_name="amp-exp", help_option_names=["-h", "--help"])
    for name in path:
        command = command.commands[name]
        if isinstance(command, LazyCommand):
            command = command.load()
        ctx = typer.Context(command, parent=ctx, info_name=name)
    return command, ctx


@pytest.mark.parametrize("width", [60, 80, 120])
def test_names_are_whole(width: int) -> None:
    """Each page fits the terminal, and has the whole name of each option and command."""
    for path in [*COMMANDS, *GROUPS]:
        command, ctx = find(path)
        page = render_page(command, ctx, width)
        words = set(re.split(r"[\s,]+", page))
        names = {name for parameter in command.get_params(ctx) for name in (*parameter.opts, *parameter.secondary_opts)}
        arguments = {parameter.name for parameter in command.get_params(ctx) if parameter.param_type_name == "argument"}
        assert names - arguments - words == set(), path
        assert set(getattr(command, "commands", ())) <= words, path
        assert "…" not in page
        for line in page.splitlines():
            assert len(line) <= width or len(line.split()) <= 2, (path, line)  # a long word, or one before a backslash


def test_each_command_has_examples() -> None:
    """Each help page has an example, which is valid for its own options."""
    for path in [*COMMANDS, *GROUPS]:
        command, ctx = find(path)
        assert "\nExamples:\n  amp-exp " in render_page(command, ctx, 80), path
        for example in split_examples(command.help)[1]:
            program, *words = shlex.split(example)
            own = words[: len(path)] if path in COMMANDS else list(path)
            assert (program, tuple(own)) == ("amp-exp", path), example
            if path in COMMANDS:
                command.make_context(path[-1], words[len(path) :], parent=ctx.parent)


def test_long_examples_can_be_copied() -> None:
    """An example that is split over lines is still the same command for a shell."""
    command, ctx = find(("flags", "create"))
    (example,) = split_examples(command.help)[1]
    page = render_page(command, ctx, 50)
    shown = page[page.index("Examples:\n") + len("Examples:\n") :]
    assert shown.count("\\\n") > 1
    assert shlex.split(shown.replace("\\\n", "")) == shlex.split(example)
