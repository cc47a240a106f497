"""Changes as Markdown, for a comment on a pull request."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from attrs import frozen

from amp_exp_async.escaping import escape
from amp_exp_async.formatting import format_count

MAX_LENGTH = 65_000
"""The maximum length of a comment: GitHub takes fewer than 65,536 characters."""

_MAX_WARNINGS_LENGTH = 10_000
_RESERVED = 500  # for the notes on what is left out


@frozen
class MarkdownChange:
    """A change to render.

    Attributes:
        action: what happens to the flag or experiment.
        name: the flag or experiment.
        where: the project, with the words before it.
        lines: the details.
    """

    action: str
    name: str
    where: str
    lines: Sequence[str]

    @property
    def code_span(self) -> str:
        """The name as inline code."""
        return _code_span(escape(self.name))

    @property
    def group(self) -> str:
        """The action and the project."""
        return f"**{self.action}**{escape(self.where)}"

    @property
    def full(self) -> str:
        """The change with its details."""
        title = f"**{self.action}** {self.code_span}{escape(self.where)}\n"
        return "\n".join(part for part in (title, _fence(self.lines)) if part)

    @property
    def short_length(self) -> int:
        """The length of the name in a list of names."""
        return len(self.code_span) + len(", ")


def render_markdown(marker: str, heading: str, changes: Sequence[MarkdownChange], warnings: Sequence[str]) -> str:
    """Return a comment of at most `MAX_LENGTH` characters. Details are left out before changes are.

    Args:
        marker: the text of a hidden comment, by which the comment can be found and updated.
        heading: the summary of the changes.
        changes: the changes.
        warnings: the warnings.
    """
    parts = [f"<!-- {marker} -->", f"### {heading}\n"]
    ending = _render_warnings(warnings)
    room = MAX_LENGTH - _RESERVED - sum(len(part) + 1 for part in (*parts, *ending))
    return "\n".join([*parts, *_render_changes(changes, room), *ending])


def _render_changes(changes: Sequence[MarkdownChange], room: int) -> list[str]:
    full = [change.full for change in changes]
    if sum(len(text) + 1 for text in full) <= room:
        return full
    room -= sum(len(group) + 3 for group in {change.group for change in changes})
    room -= sum(change.short_length for change in changes)
    detailed: list[str] = []
    short: list[MarkdownChange] = []
    for change, text in zip(changes, full, strict=True):
        extra = len(text) + 1 - change.short_length
        if extra <= room:
            detailed.append(text)
            room -= extra
        else:
            short.append(change)
    while room < 0 and short:  # not even the names of all changes fit
        room += short.pop().short_length
    omitted = len(changes) - len(detailed) - len(short)
    count = format_count(len(short) + omitted, "change")
    note = f"**The details of {count} are left out,** because a comment cannot hold them. To see all, run the command "
    more = [f"and {omitted} more\n"] if omitted else []
    return [*detailed, f"{note}without `--markdown`.\n", *_render_names(short), *more]


def _render_names(changes: Iterable[MarkdownChange]) -> Iterator[str]:
    """Yield the names of changes, those with the same action and project together."""
    groups: dict[str, list[str]] = {}
    for change in changes:
        groups.setdefault(change.group, []).append(change.code_span)
    for group, names in groups.items():
        yield f"{group}: {', '.join(names)}\n"


def _render_warnings(warnings: Sequence[str]) -> list[str]:
    shown: list[str] = []
    room = _MAX_WARNINGS_LENGTH
    for warning in warnings:
        room -= len(escape(warning)) + 1
        if room < 0:
            break
        shown.append(warning)
    omitted = len(warnings) - len(shown)
    if omitted:
        shown.append(f"! {omitted} more")
    return ["**Warnings**\n", _fence(shown)] if shown else []


def _fence(lines: Iterable[str]) -> str:
    """Return the lines in a code fence that none of them can end."""
    body = "\n".join(map(escape, lines))
    fence = "`" * max(3, 1 + _longest_backticks(body))
    return f"{fence}diff\n{body}\n{fence}\n" if body else ""


def _code_span(text: str) -> str:
    """Return a text as inline code that no backtick in it can end."""
    longest = _longest_backticks(text)
    quotes, space = "`" * (1 + longest), " " if longest else ""
    return f"{quotes}{space}{text}{space}{quotes}"


def _longest_backticks(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)
