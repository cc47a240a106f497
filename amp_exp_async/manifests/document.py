"""A parsed manifest document: plain JSON values, and the line of each value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, TypeGuard

from attrs import field, frozen

from amp_exp_async.errors import Problem


def is_object(value: object) -> TypeGuard[dict[str, Any]]:
    """Return whether a value is a JSON object."""
    return isinstance(value, dict)


def is_array(value: object) -> TypeGuard[list[Any]]:
    """Return whether a value is a JSON array, or a tuple, which stands for one."""
    return isinstance(value, list | tuple)


def json_equal(value: object, other: object) -> bool:
    """Return whether two JSON values are equal: 1 equals 1.0, but not true."""
    if is_object(value) and is_object(other):
        return value.keys() == other.keys() and all(json_equal(item, other[name]) for name, item in value.items())
    if is_array(value) and is_array(other):
        return len(value) == len(other) and all(map(json_equal, value, other))
    return isinstance(value, bool) == isinstance(other, bool) and value == other


def join_path(path: str, name: str) -> str:
    """Return the path of a field: `flags[0]` and `key` make `flags[0].key`."""
    return f"{path}.{name}" if path else name


class DocumentError(Exception):
    """The text is not a document.

    Attributes:
        message: the reason.
        line: the line, from 1; 0 if unknown.
    """

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


@frozen
class LineTable:
    """The lines of a document, from 1, by path.

    Attributes:
        lines: the line of each value; of a field, the line of its name.
        first_lines: the line of the first occurrence of each duplicate key.
    """

    lines: Mapping[str, int] = field(factory=dict[str, int])
    first_lines: Mapping[str, int] = field(factory=dict[str, int])


class SourceLines:
    """The lines of a document, computed when the first one is needed."""

    def __init__(self, compute: Callable[[], LineTable]) -> None:
        self._compute = compute

    @cached_property
    def _table(self) -> LineTable:
        return self._compute()

    def line_of(self, path: str) -> int:
        """Return the line of a value, or of the closest value around it; 0 if unknown."""
        lines = self._table.lines
        while path and path not in lines:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return lines.get(path, 0)

    def first_line_of(self, path: str) -> int:
        """Return the line of the first occurrence of a duplicate key; 0 if unknown."""
        return self._table.first_lines.get(path, 0)


NO_LINES = SourceLines(LineTable)


@frozen
class ManifestDocument:
    """A parsed text.

    Attributes:
        file: the file that problems name.
        value: the content, as plain values.
        lines: the lines of the values.
        raw_integers: integers whose text is not their decimal form, such as `007` and `0x10`, by path.
        problems: problems found while parsing.
    """

    file: str
    value: Any
    lines: SourceLines = NO_LINES
    raw_integers: Mapping[str, str] = field(factory=dict[str, str])
    problems: list[Problem] = field(factory=list[Problem])


def duplicate_key(file: str, path: str, line: int, first_line: int) -> Problem:
    """Return the problem of a key that occurs twice in an object."""
    first = f", first in line {first_line}" if first_line else ""
    return Problem(file, line, path, f"duplicate key{first}: keep only one")
