"""JSON as a tree that knows the line of everything in it."""

from __future__ import annotations

import json
import math
from json import JSONDecodeError
from typing import Any, TypeAlias, TypeGuard

from attrs import frozen

from amp_exp_async.errors import Problem

_SPACE = " \t\r\n"
DEEPEST = 200
"""So many levels may be in each other."""

Fields: TypeAlias = "dict[str, LocatedValue]"
Way: TypeAlias = "tuple[Way, str | int] | None"
"""How to get to a value: the way to what it stands in, and its name or number there; None for the whole."""


def is_object(value: object) -> TypeGuard[dict[str, Any]]:
    """Whether a value is a JSON object."""
    return isinstance(value, dict)


def is_array(value: object) -> TypeGuard[list[Any]]:
    """Whether a value is a JSON array, or a tuple, which stands for one."""
    return isinstance(value, list | tuple)


@frozen
class LocatedValue:
    """A value in a document.

    Attributes:
        value: a scalar, a list of nodes, or nodes by name.
        line: where it begins, from 1; 0 where there is no text.
        spelt: how a number is written, where that is not as it would be told: `007`, `0x10`.
    """

    value: Any
    line: int = 0
    spelt: str = ""

    @property
    def fields(self) -> Fields | None:
        """The nodes by name, if it is an object."""
        return self.value if is_object(self.value) else None

    @property
    def items(self) -> list[LocatedValue] | None:
        """The nodes, if it is a list."""
        return self.value if is_array(self.value) else None

    @property
    def plain(self) -> Any:
        """The value without lines."""
        value = self.value
        if is_object(value):
            return {name: node.plain for name, node in value.items()}
        return [node.plain for node in value] if is_array(value) else value


class DocumentError(Exception):
    """A document cannot be read."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


def locate(value: Any) -> LocatedValue:
    """The tree of a plain value, which has no lines."""
    if is_object(value):
        return LocatedValue({name: locate(item) for name, item in value.items()})
    if is_array(value):
        return LocatedValue([locate(item) for item in value])
    return LocatedValue(value)


def path(way: Way) -> str:
    """A way as a problem tells it: `flags[0].key`."""
    if way is None:
        return ""
    within, step = way
    before = path(within)
    if isinstance(step, int):
        return f"{before}[{step}]"
    return f"{before}.{step}" if before else step


def twice(way: Way, line: int, first: int) -> Problem:
    """The problem of a name that stands twice in one object."""
    return Problem("", line, path(way), f"is there twice, first in line {first}: keep one of them")


def read_json(text: str) -> tuple[LocatedValue, list[Problem]]:
    """The tree of a JSON text, the names that are there twice, and the numbers that JSON does not have.

    Raises:
        DocumentError: it is no JSON.
    """
    try:
        return _Json(text).read()
    except JSONDecodeError as error:
        raise DocumentError(f"is no JSON, or is cut off: {error.msg} (column {error.colno})", error.lineno) from None


class _NoNumber(str):
    """What Python takes for a number and JSON does not: `NaN`, and what is too large."""

    __slots__ = ()


def _float(text: str) -> float | _NoNumber:
    return value if math.isfinite(value := float(text)) else _NoNumber(text)


def _int(text: str) -> int | _NoNumber:
    try:
        return int(text)
    except ValueError:  # thousands of digits
        return _NoNumber(text)


class _Json:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line = 1
        self._counted = 0
        self._scalar = json.JSONDecoder(parse_constant=_NoNumber, parse_float=_float, parse_int=_int)
        self._problems: list[Problem] = []

    def read(self) -> tuple[LocatedValue, list[Problem]]:
        node = self._value(None, 0)
        if self._peek():
            raise JSONDecodeError("there is more after its end", self._text, self._at)
        return node, self._problems

    def _peek(self) -> str:
        """The next character that is no white space; the line is counted up to it."""
        while self._at < len(self._text) and self._text[self._at] in _SPACE:
            self._at += 1
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        return self._text[self._at : self._at + 1]

    def _take(self, wanted: str) -> str:
        found = self._peek()
        if not found or found not in wanted:
            raise JSONDecodeError(f"expected {' or '.join(wanted)}", self._text, self._at)
        self._at += 1
        return found

    def _value(self, way: Way, depth: int) -> LocatedValue:
        first = self._peek()
        line = self._line
        if depth > DEEPEST:
            raise JSONDecodeError(f"more than {DEEPEST} levels", self._text, self._at)
        if first == "{":
            return LocatedValue(self._object(way, depth), line)
        if first == "[":
            return LocatedValue(self._array(way, depth), line)
        value, self._at = self._scalar.raw_decode(self._text, self._at)
        if isinstance(value, _NoNumber):
            self._problems.append(Problem("", line, path(way), f"must be JSON, which has no {value:.60}"))
            return LocatedValue(None, line)
        return LocatedValue(value, line)

    def _object(self, way: Way, depth: int) -> Fields:
        fields: Fields = {}
        self._take("{")
        if self._peek() == "}":
            self._take("}")
            return fields
        while True:
            if self._peek() != '"':
                raise JSONDecodeError("expected a name in quotes", self._text, self._at)
            line = self._line
            name, self._at = self._scalar.raw_decode(self._text, self._at)
            self._take(":")
            node = self._value((way, name), depth + 1)
            if name in fields:
                self._problems.append(twice((way, name), line, fields[name].line))
            fields[name] = node
            if self._take(",}") == "}":
                return fields

    def _array(self, way: Way, depth: int) -> list[LocatedValue]:
        nodes: list[LocatedValue] = []
        self._take("[")
        if self._peek() == "]":
            self._take("]")
            return nodes
        while True:
            nodes.append(self._value((way, len(nodes)), depth + 1))
            if self._take(",]") == "]":
                return nodes
