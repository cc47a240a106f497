"""The reader of JSON manifests: plain values, with the lines of all values if a problem needs one."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from functools import partial
from json import JSONDecodeError
from typing import Any

from amp_exp_async.errors import Problem
from amp_exp_async.formatting import truncate
from amp_exp_async.serialization.nesting import MAX_DEPTH, is_deeper_than

from .document import (
    DocumentError,
    LineTable,
    ManifestDocument,
    SourceLines,
    duplicate_key,
    is_array,
    is_object,
    join_path,
)

_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)
# A string, a bracket, a comma, a number or literal, or the end of a line.
_SYMBOL = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[\]{},\n]|[^\s\[\]{},:"]++', re.DOTALL)


def read_json(text: str, file: str) -> ManifestDocument:
    """Parse a JSON text.

    Args:
        text: the text.
        file: the file that problems name.

    Raises:
        DocumentError: If the text is not JSON.
    """
    return _JsonReader(text, file).read()


class _NotJson(str):
    """The text of a number that JSON does not have, such as `NaN`."""

    __slots__ = ()


class _DuplicateKeys(dict[str, Any]):
    """An object whose text contains keys twice."""

    duplicates: tuple[str, ...] = ()


class _JsonReader:
    def __init__(self, text: str, file: str) -> None:
        self._text = text
        self._file = file
        self._lines = SourceLines(partial(json_lines, text))
        self._is_valid = True
        self._problems: list[Problem] = []

    def read(self) -> ManifestDocument:
        try:
            value = json.loads(
                self._text,
                object_pairs_hook=self._to_object,
                parse_int=self._to_integer,
                parse_float=self._to_float,
                parse_constant=self._to_invalid_number,
            )
        except JSONDecodeError as error:
            self._check_depth(error.pos)
            reason = f"is not JSON, or is cut off: {error.msg} (column {error.colno})"
            raise DocumentError(reason, error.lineno) from None
        except RecursionError:
            self._check_depth()  # finds the excess, and raises
            raise
        if is_deeper_than(value, MAX_DEPTH):
            self._check_depth()
        if not self._is_valid:
            value = self._without_invalid(value, "")
        return ManifestDocument(self._file, value, self._lines, problems=self._problems)

    def _check_depth(self, end: int | None = None) -> None:
        """Raise `DocumentError` if the text, up to an index, is nested too deeply."""
        depth = 0
        for token in _BRACKETS.finditer(self._text[:end]):
            depth += (token[0] in "{[") - (token[0] in "}]")
            if depth > MAX_DEPTH:
                line = self._text.count("\n", 0, token.start()) + 1
                raise DocumentError(f"more than {MAX_DEPTH} levels of nesting", line)

    def _to_object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        if len(value) == len(pairs):
            return value
        self._is_valid = False
        counts = Counter(name for name, _ in pairs)
        duplicated = _DuplicateKeys(value)
        duplicated.duplicates = tuple(name for name, count in counts.items() if count > 1)
        return duplicated

    def _to_integer(self, text: str) -> int | _NotJson:
        try:
            return int(text)
        except ValueError:  # Python converts at most 4,300 digits
            return self._to_invalid_number(text)

    def _to_float(self, text: str) -> float | _NotJson:
        return value if math.isfinite(value := float(text)) else self._to_invalid_number(text)

    def _to_invalid_number(self, text: str) -> _NotJson:
        self._is_valid = False
        return _NotJson(text)

    def _without_invalid(self, value: Any, path: str) -> Any:
        """Return a value without what JSON does not have, and add the problems."""
        if isinstance(value, _NotJson):
            message = f"must be JSON, which has no {truncate(value)}"
            self._problems.append(Problem(self._file, self._lines.line_of(path), path, message))
            return None
        if isinstance(value, _DuplicateKeys):
            for name in value.duplicates:
                where = join_path(path, name)
                line, first_line = self._lines.line_of(where), self._lines.first_line_of(where)
                self._problems.append(duplicate_key(self._file, where, line, first_line))
        if is_object(value):
            return {name: self._without_invalid(item, join_path(path, name)) for name, item in value.items()}
        if is_array(value):
            return [self._without_invalid(item, f"{path}[{index}]") for index, item in enumerate(value)]
        return value


def json_lines(text: str) -> LineTable:
    """Return the lines of the values in a JSON text."""
    lines: dict[str, int] = {}
    first_lines: dict[str, int] = {}
    line = 1
    path = ""
    is_name = False  # whether the next string is the name of a field
    containers: list[str] = []  # the paths of the objects and arrays around the next value
    indexes: list[int] = []  # the index of the next item in each of them; -1 in objects
    for found in _SYMBOL.finditer(text):
        match symbol := found[0]:
            case "\n":
                line += 1
            case ",":
                is_name = indexes[-1] < 0
                indexes[-1] += not is_name
            case "]" | "}":
                containers.pop()
                indexes.pop()
            case _ if is_name:
                name = json.loads(symbol) if "\\" in symbol else symbol[1:-1]
                path = join_path(containers[-1], name)
                if path in lines:
                    first_lines.setdefault(path, lines[path])
                lines[path] = line
                is_name = False
            case _:
                if not indexes or indexes[-1] >= 0:
                    path = f"{containers[-1]}[{indexes[-1]}]" if indexes else ""
                    lines[path] = line
                if symbol in ("{", "["):
                    is_name = symbol == "{"
                    containers.append(path)
                    indexes.append(-1 if is_name else 0)
    return LineTable(lines, first_lines)
