"""Help pages: plain text as wide as the terminal, in which no name of an option or command is cut."""

from __future__ import annotations

import inspect
import re
import shutil
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from .typer_support import keep_values

EXAMPLE_PREFIX = "Example: "
"""The beginning of a paragraph of a command's docstring that is an example."""

SHARED_PANEL = "Options of all commands"
"""The section of options that do not belong to one command."""

_MIN_WIDTH = 40
_MAX_WIDTH = 100  # longer lines are hard to read
_INDENT = "  "
_TYPES = {"<str>": "TEXT", "<int>": "N", "<float>": "N", "<path>": "PATH"}
_MAX_GROUP_EXAMPLES = 4
_SHELL_WORD = re.compile(r"""(?:'[^']*'|"[^"]*"|[^\s'"])+""")


class HelpCommand(TyperCommand):
    """A command with a help page of ours."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help page."""
        formatter.write(render_page(self, ctx, _terminal_width()))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments. For completion, their values stay as they were typed."""
        if ctx.resilient_parsing:
            keep_values(self.get_params(ctx))
        return super().parse_args(ctx, args)


class HelpGroup(TyperGroup):
    """A group of commands with a help page of ours, which is also shown if no command is given."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help page."""
        formatter.write(render_page(self, ctx, _terminal_width()))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments. Without any, show the help page and exit."""
        if ctx.resilient_parsing:
            keep_values(self.get_params(ctx))
        if not args and not ctx.resilient_parsing:
            typer.echo(ctx.get_help())
            raise typer.Exit(2)
        return super().parse_args(ctx, args)


def _terminal_width() -> int:
    return max(_MIN_WIDTH, min(_MAX_WIDTH, shutil.get_terminal_size().columns))


def render_page(command: Any, ctx: Any, width: int) -> str:
    """Return the help page of a command.

    Args:
        command: the command, or a group of commands.
        ctx: its context.
        width: the number of columns.
    """
    text, examples = split_examples(command.help or "")
    sections = [_usage(command, ctx, width), *_paragraphs(text, width)]
    sections += [_section(title, _definitions(rows, width)) for title, rows in _parameters(command, ctx).items()]
    commands = list(_visible_commands(command, ctx))
    if commands:
        summaries = [(name, split_examples(child.help or "")[0].partition("\n\n")[0]) for name, child in commands]
        sections.append(_section("Commands", _definitions(summaries, width)))
    examples = examples or list(_first_examples(child for _, child in commands))
    if examples:
        sections.append(_section("Examples", (line for example in examples for line in _wrap_example(example, width))))
    sections += _paragraphs(command.epilog or "", width)
    return "\n\n".join(sections) + "\n"


def split_examples(help: str) -> tuple[str, list[str]]:
    """Return the help text of a command without its examples, and the examples."""
    paragraphs = [" ".join(paragraph.split()) for paragraph in inspect.cleandoc(help).split("\n\n")]
    text = "\n\n".join(paragraph for paragraph in paragraphs if not paragraph.startswith(EXAMPLE_PREFIX))
    return text, [
        paragraph.removeprefix(EXAMPLE_PREFIX) for paragraph in paragraphs if paragraph.startswith(EXAMPLE_PREFIX)
    ]


def _usage(command: Any, ctx: Any, width: int) -> str:
    pieces = [command.options_metavar]
    pieces += [_usage_piece(item) for item in command.get_params(ctx) if item.param_type_name == "argument"]
    pieces += ["COMMAND [ARGS]..."] if isinstance(command, TyperGroup) else []
    prefix = f"Usage: {ctx.command_path} "
    return _wrap(prefix + " ".join(pieces), width, " " * min(len(prefix), width // 2))


def _usage_piece(argument: Any) -> str:
    name = _argument_name(argument)
    return name if argument.required else f"[{name}]"


def _argument_name(argument: Any) -> str:
    return f"{argument.metavar or argument.name.upper()}{'' if argument.nargs == 1 else '...'}"


def _parameters(command: Any, ctx: Any) -> dict[str, list[tuple[str, str]]]:
    """Return the names and the help of the arguments and options, by section."""
    sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": [], SHARED_PANEL: []}
    last = "Options"
    for parameter in command.get_params(ctx):
        if parameter.param_type_name == "argument":
            title = "Arguments"
        elif parameter.name == "help":
            title = last
        else:
            title = last = SHARED_PANEL if parameter.rich_help_panel == SHARED_PANEL else "Options"
        if record := _record(parameter, ctx):
            sections[title].append(record)
    return {title: rows for title, rows in sections.items() if rows}


def _record(parameter: Any, ctx: Any) -> tuple[str, str] | None:
    """Return the names of a parameter and its help; None if it is hidden."""
    record = parameter.get_help_record(ctx)
    if record is None:
        return None
    names, help = record
    if parameter.param_type_name == "argument":
        return _argument_name(parameter), help.replace("  [required]", "")
    for theirs, ours in _TYPES.items():
        names = names.replace(theirs, ours)
    return names, help


def _visible_commands(command: Any, ctx: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(command, TyperGroup):
        for name in command.list_commands(ctx):
            child: Any = command.get_command(ctx, name)
            if not child.hidden:
                yield name, child


def _first_examples(commands: Iterable[Any]) -> Iterator[str]:
    """Yield the first examples of some commands of a group."""
    examples = [split_examples(command.help or "")[1] for command in commands]
    yield from [found[0] for found in examples if found][:_MAX_GROUP_EXAMPLES]


def _section(title: str, lines: Iterable[str]) -> str:
    return "\n".join([f"{title}:", *lines])


def _definitions(rows: Sequence[tuple[str, str]], width: int) -> Iterator[str]:
    """Yield names and their help side by side. A long name has a line of its own."""
    limit = width // 3
    column = max((len(name) for name, _ in rows if len(name) <= limit), default=limit)
    indent = f"{_INDENT}{' ' * column}{_INDENT}"
    for name, help in rows:
        first = f"{_INDENT}{name:<{column}}{_INDENT}"
        if len(name) > column:
            yield f"{_INDENT}{name}"
            first = indent
        yield _wrap(first + help if help else first.rstrip(), width, indent, initial=len(first))


def _paragraphs(text: str, width: int) -> list[str]:
    return [_wrap(paragraph, width, "") for paragraph in text.split("\n\n") if paragraph]


def _wrap(text: str, width: int, indent: str, *, initial: int = 0) -> str:
    """Wrap a text between words.

    Args:
        text: the text.
        width: the number of columns.
        indent: what precedes all lines but the first.
        initial: the length of the beginning that is not wrapped.
    """
    return textwrap.fill(
        text[initial:],
        width,
        initial_indent=text[:initial],
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _wrap_example(example: str, width: int) -> Iterator[str]:
    """Yield a command line that can be copied: lines that continue end with a backslash."""
    line, indent = "", _INDENT
    for word in _SHELL_WORD.findall(example):
        if line.strip() and len(line) + 1 + len(word) > width - 2:
            yield f"{line} \\"
            line, indent = "", _INDENT * 2
        line = f"{line} {word}" if line.strip() else f"{indent}{word}"
    yield line
