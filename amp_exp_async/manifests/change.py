"""Changes of flags and experiments, and their rendering as text, Markdown and JSON."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from difflib import unified_diff
from itertools import islice
from typing import Any, Literal, TypeAlias, get_args

import orjson
from attrs import field, frozen

from amp_exp_async import serialization
from amp_exp_async.errors import Problem
from amp_exp_async.escaping import escape
from amp_exp_async.html_tables import html_table
from amp_exp_async.models import UNSET
from amp_exp_async.resources import FieldChange

from .markdown import MarkdownChange, render_markdown
from .spec import KindName

Action: TypeAlias = Literal["create", "edit", "archive", "restore", "remove"]

Identity: TypeAlias = tuple[KindName, str, str]
"""What tells a flag or experiment from others: its kind, project and key."""

_MAX_INLINE = 60
_CONTEXT_LINES = 12
_SIGNS: dict[Action, str] = {"create": "+", "edit": "~", "archive": "-", "restore": "+", "remove": "-"}
_COLOURS = {"+": "\x1b[32m", "-": "\x1b[31m", "~": "\x1b[33m", "!": "\x1b[33m"}
_RESET = "\x1b[0m"


@frozen(kw_only=True)
class ResourceChange:
    """The change of one flag or experiment: planned, or the difference between two manifests.

    Attributes:
        kind: `flags` or `experiments`.
        key: the key.
        project_id: the project's ID; empty if the manifests that differ do not name it.
        id: the ID; None if the flag is to be created, or if its ID is unknown.
        action: `create`, `edit`, `archive` or `restore`; the last two may also edit. In a difference also `remove`:
            only the first manifest has the flag.
        fields: the changed fields: `enabled`, `variants.on.payload`, `variants.on` for a variant that is added or
            removed, `variants.on.users`, `rollout_weights.on`. `archived` is listed without a change if the flag has
            to be restored while the other fields are changed, and so is `enabled` of a flag that is archived.
        deployments: the IDs of the deployments that `fields` names by label.
        parents: the IDs of what the manifest declares as dependencies, by name; empty text for what is to be created.
    """

    kind: KindName
    key: str
    project_id: str
    id: str | None
    action: Action
    fields: Mapping[str, FieldChange]
    deployments: Mapping[str, str] = field(factory=dict[str, str], repr=False)
    parents: Mapping[str, str] = field(factory=dict[str, str], repr=False)

    @property
    def identity(self) -> Identity:
        """The kind, project and key."""
        return self.kind, self.project_id, self.key

    @property
    def target(self) -> str:
        """The changed flag or experiment: `flags/new-checkout in project 123`."""
        return f"{self.kind}/{self.key}{self.where}"

    @property
    def where(self) -> str:
        """The project, with a preposition: ` in project 123`. It is empty if the project is unknown."""
        return f" in project {self.project_id}" if self.project_id else ""

    def as_json(self) -> dict[str, Any]:
        """Return the change as plain JSON. A missing side of a field is left out."""
        fields = {
            name: {side: value for side in ("before", "after") if (value := getattr(change, side)) is not UNSET}
            for name, change in self.fields.items()
        }
        names = ("kind", "key", "project_id", "id", "action")
        return {name: getattr(self, name) for name in names} | {
            "fields": fields,
            "deployments": dict(self.deployments),
            "parents": dict(self.parents),
        }


def planned_action(id: str | None, fields: Mapping[str, FieldChange]) -> Action:
    """Return the action of a planned change.

    Args:
        id: the ID of the live flag; None if it is to be created.
        fields: the changed fields.
    """
    if id is None:
        return "create"
    archived = fields.get("archived")
    if archived is None or archived.before == archived.after:
        return "edit"
    return "archive" if archived.after else "restore"


def sort_changes(changes: Iterable[ResourceChange]) -> tuple[ResourceChange, ...]:
    """Return changes in the order of plans: flags first, then by project and key."""
    return tuple(sorted(changes, key=lambda change: (change.kind != "flags", change.project_id, change.key)))


@frozen(kw_only=True)
class ChangeSet:
    """Changes of flags and experiments. It is falsy if it is empty. `print` shows a diff, in colour on a terminal.

    Attributes:
        changes: a `ResourceChange` for each flag and experiment.
    """

    changes: tuple[ResourceChange, ...]

    def __bool__(self) -> bool:
        return bool(self.changes)

    def _repr_html_(self) -> str:
        rows = [
            {
                "action": change.action,
                "flag or experiment": change.target,
                "changes": "; ".join(map(str, change.fields.values())),
            }
            for change in self.changes
        ]
        warnings = [{"warning": str(warning)} for warning in self._warnings]
        tables = html_table(rows, len(rows)) if rows else "<p>No changes</p>"
        return f"{tables}{html_table(warnings, len(warnings))}" if warnings else tables

    def __str__(self) -> str:
        lines: list[str] = []
        for change in self.changes:
            lines.append(f"{_SIGNS[change.action]} {change.action} {change.target}")
            lines += [f"  {line}" for line in _diff_lines(change)]
        lines += [_format_warning(warning) for warning in self._warnings]
        lines.append(self.summary)
        has_colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        escaped = map(escape, lines)
        return "\n".join(map(_colour, escaped) if has_colour else escaped)

    @property
    def _warnings(self) -> tuple[Problem, ...]:
        """The warnings to show after the changes."""
        return ()

    @property
    def summary(self) -> str:
        """The number of changes by action: `2 to create, 1 to edit`."""
        counts = Counter(change.action for change in self.changes)
        return (
            ", ".join(f"{counts[action]} to {action}" for action in get_args(Action) if counts[action]) or "no changes"
        )

    def to_markdown(self) -> str:
        """Return the changes as Markdown, for a comment on a pull request.

        It is short enough for a comment on GitHub (65,536 characters): if the changes are many, it leaves out details.
        It begins with a hidden comment, `<!-- amp-exp plan -->` or `<!-- amp-exp diff -->`, to find and update it by.
        """
        changes = [
            MarkdownChange(change.action, f"{change.kind}/{change.key}", change.where, list(_diff_lines(change)))
            for change in self.changes
        ]
        warnings = list(map(_format_warning, self._warnings))
        return render_markdown(f"amp-exp {self._command}", f"Flags: {self.summary}", changes, warnings)

    @property
    def _command(self) -> str:
        """The command that shows the changes."""
        return "plan"


def _format_warning(warning: Problem) -> str:
    return f"! {warning}"


def _colour(line: str) -> str:
    sign = line.lstrip()[:1]
    return f"{_COLOURS[sign]}{line}{_RESET}" if sign in _COLOURS else line


def _diff_lines(change: ResourceChange) -> Iterator[str]:
    for name, field_change in change.fields.items():
        before, after = _format_json(field_change.before), _format_json(field_change.after)
        if before == after:
            yield f"  {name}: {after}"
        elif len(before) + len(after) <= _MAX_INLINE and "\n" not in before + after:
            if field_change.before is not UNSET:
                yield f"- {name}: {before}"
            if field_change.after is not UNSET:
                yield f"+ {name}: {after}"
        else:
            yield f"  {name}:"
            yield from _unified_lines(before.splitlines(), after.splitlines())


def _unified_lines(before: list[str], after: list[str]) -> Iterator[str]:
    """Yield the lines that differ, with some context."""
    for line in islice(unified_diff(before, after, n=_CONTEXT_LINES, lineterm=""), 2, None):
        if not line.startswith("@@"):
            yield f"{line[0]}   {line[1:]}"
        elif not line.startswith((" -0,", " -1,", " -1 "), 2):
            yield "    ..."


def _format_json(value: Any) -> str:
    if value is UNSET:
        return ""
    text = escape(serialization.dumps(value).decode())
    if len(text) <= _MAX_INLINE:
        return text
    return "\n".join(map(escape, serialization.dumps(value, orjson.OPT_INDENT_2).decode().split("\n")))
