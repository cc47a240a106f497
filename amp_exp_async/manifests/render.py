"""Changes to look at: as text, and as Markdown. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from difflib import unified_diff
from itertools import islice
from typing import Any

import orjson

from amp_exp_async.errors import Problem
from amp_exp_async.models import UNSET
from amp_exp_async.resources import FieldChange

from .change import Action, ResourceChange

_SHORT = 60
_AROUND = 12
_SIGNS: dict[Action, str] = {"create": "+", "edit": "~", "archive": "-", "restore": "+", "remove": "-"}
_COLOURS = {"+": "\x1b[32m", "-": "\x1b[31m", "~": "\x1b[33m", "!": "\x1b[33m"}
_PLAIN = "\x1b[0m"


def text(changes: Iterable[ResourceChange], warnings: Iterable[Problem], summary: str, *, colour: bool) -> str:
    """Field by field; added lines begin with `+`, removed ones with `-`, warnings with `!`."""
    lines: list[str] = []
    for change in changes:
        lines.append(f"{_SIGNS[change.action]} {change.action} {change.target}")
        lines += [f"  {line}" for line in _lines(change)]
    lines += [_warning(warning) for warning in warnings]
    lines.append(summary)
    return "\n".join(_coloured(line) if colour else line for line in lines)


def markdown(changes: Iterable[ResourceChange], warnings: Iterable[Problem], summary: str) -> str:
    """A heading, for each flag a diff, and the warnings."""
    parts = [f"### Flags: {summary}\n"]
    for change in changes:
        parts.append(f"**{change.action}** `{change.kind}/{change.key}`{change.where}\n")
        parts.append(_fenced(_lines(change)))
    if warned := _fenced(map(_warning, warnings)):
        parts += ["**Warnings**\n", warned]
    return "\n".join(part for part in parts if part)


def _fenced(lines: Iterable[str]) -> str:
    """Lines in a fence that no payload can end."""
    body = "\n".join(lines)
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", body)), default=0))
    return f"{fence}diff\n{body}\n{fence}\n" if body else ""


def _warning(warning: Problem) -> str:
    return f"! {warning}"


def _coloured(line: str) -> str:
    sign = line.lstrip()[:1]
    return f"{_COLOURS[sign]}{line}{_PLAIN}" if sign in _COLOURS else line


def _lines(change: ResourceChange) -> Iterator[str]:
    for name, one in change.fields.items():
        before, after = _json(one.before), _json(one.after)
        if len(before) + len(after) <= _SHORT and "\n" not in before + after:
            yield from _short(name, one, before, after)
            continue
        yield f"  {name}:"
        yield from _long(before.splitlines(), after.splitlines())


def _short(name: str, one: FieldChange, before: str, after: str) -> Iterator[str]:
    if one.before is UNSET:
        yield f"+ {name}: {after}"
    elif one.after is UNSET:
        yield f"- {name}: {before}"
    else:
        yield f"- {name}: {before}"
        yield f"+ {name}: {after}"


def _long(before: list[str], after: list[str]) -> Iterator[str]:
    """The lines that differ, with some around them."""
    for line in islice(unified_diff(before, after, n=_AROUND, lineterm=""), 2, None):
        if not line.startswith("@@"):
            yield f"{line[0]}   {line[1:]}"
        elif not line.startswith((" -0,", " -1,", " -1 ")):
            yield "    ..."


def _json(value: Any) -> str:
    if value is UNSET:
        return ""
    short = orjson.dumps(value).decode()
    if not short.isprintable():
        # A terminal would obey it, or a line would end in it.
        return json.dumps(value) if len(short) <= _SHORT else json.dumps(value, indent=2)
    return short if len(short) <= _SHORT else orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
