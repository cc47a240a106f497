"""YAML, by way of ruamel.yaml: read with lines."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any, Final

from attrs import evolve

from amp_exp_async.errors import ConfigurationError, Problem

from .document import DEEPEST, DocumentError, Fields, LocatedValue, Way, path, twice

TAG: Final = "tag:yaml.org,2002:"
_COLLECTIONS = frozenset({f"{TAG}map", f"{TAG}seq"})
_MOST_REPEATED = 100_000


def library() -> Any:
    """The module `ruamel.yaml`.

    Raises:
        ConfigurationError: it is not installed.
    """
    try:
        import ruamel.yaml  # noqa: PLC0415 - an extra, and it takes long to import
    except ImportError:
        raise ConfigurationError(
            "YAML files need the package ruamel.yaml: pip install 'amp_exp_async[files]', or use JSON files"
        ) from None
    return ruamel.yaml


def read_yaml(text: str) -> tuple[LocatedValue, list[Problem]]:
    """The tree of a YAML text, and what in it cannot be JSON, or is there twice.

    Raises:
        DocumentError: it is no YAML.
    """
    ruamel = library()
    yaml = ruamel.YAML(typ="safe", pure=True)
    try:
        root = yaml.compose(text)
    except ruamel.error.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise DocumentError(
            f"is no YAML, or is cut off: {error.problem or error.context}", mark.line + 1 if mark else 0
        ) from None
    except ruamel.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise DocumentError(f"is no YAML: it holds the character {chr(error.character)!r}", line) from None
    except ruamel.error.YAMLError as error:
        raise DocumentError(f"is no YAML: {error}", 0) from None
    except RecursionError:
        raise DocumentError(f"more than {DEEPEST} levels", _line_too_deep(text)) from None
    if root is None:
        return LocatedValue(None, 1), []
    reader = _Reader()
    return reader.node(root), reader.problems


def _line_too_deep(text: str) -> int:
    ruamel = library()
    depth = 0
    for event in ruamel.YAML(typ="safe", pure=True).parse(text):
        depth += isinstance(event, ruamel.events.CollectionStartEvent)
        depth -= isinstance(event, ruamel.events.CollectionEndEvent)
        if depth > DEEPEST:
            return int(event.start_mark.line) + 1
    return 0


@cache
def _resolver() -> tuple[Any, dict[str, Callable[[Any], Any]]]:
    """What tells the type of a word, and the functions that give its value."""
    constructor = library().YAML(typ="safe", pure=True).constructor
    make: dict[str, Callable[[Any], Any]] = {
        "null": lambda _: None,
        "bool": constructor.construct_yaml_bool,
        "int": constructor.construct_yaml_int,
        "float": constructor.construct_yaml_float,
        "str": lambda scalar: scalar.value,
        "timestamp": lambda scalar: scalar.value,
    }
    return constructor.resolver, {TAG + name: function for name, function in make.items()}


def _value(scalar: Any) -> Any:
    """The value of a scalar.

    Raises:
        ValueError: it is no JSON.
    """
    makers = _resolver()[1]
    try:
        value = makers[str(scalar.tag)](scalar)
    except (KeyError, ValueError, IndexError):
        raise ValueError(f"must be JSON, and {scalar.tag} is not: {scalar.value!r:.60}") from None
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"must be JSON, which has no {scalar.value:.60}")
    return value


class _Reader:
    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._seen: set[int] = set()
        self._repeated = 0

    def node(self, given: Any, way: Way = None, depth: int = 0) -> LocatedValue:
        """A node of the library as ours."""
        line = given.start_mark.line + 1
        if depth > DEEPEST:
            raise DocumentError(f"more than {DEEPEST} levels, or an alias of what it stands in", line)
        self._count(given, line)
        if given.id == "scalar":
            try:
                value = _value(given)
                is_told = type(value) is not int or given.value == str(value)
                return LocatedValue(value, line, "" if is_told else given.value)
            except ValueError as error:
                self._add(line, way, str(error))
                return LocatedValue(None, line)
        if str(given.tag) not in _COLLECTIONS:
            self._add(line, way, f"must be JSON, and {given.tag} is not")
        if given.id == "mapping":
            return LocatedValue(self._fields(given, way, depth), line)
        return LocatedValue([self.node(item, (way, at), depth + 1) for at, item in enumerate(given.value)], line)

    def _count(self, given: Any, line: int) -> None:
        """Refuse aliases of aliases of aliases, which a short text can make into more than memory holds."""
        if id(given) in self._seen:
            self._repeated += 1
        self._seen.add(id(given))
        if self._repeated > _MOST_REPEATED:
            why = f"is repeated by aliases, which make more than {_MOST_REPEATED:,} values of this file"
            raise DocumentError(f"{why}: write them out", line)

    def _fields(self, mapping: Any, way: Way, depth: int) -> Fields:
        fields: Fields = {}
        merged: Fields = {}
        for name, item in mapping.value:
            line = name.start_mark.line + 1
            if str(name.tag) == f"{TAG}merge":
                for source in item.value if item.id == "sequence" else [item]:
                    node = self.node(source, way, depth + 1)
                    if node.fields is not None:
                        merged = node.fields | merged
                    else:
                        self._add(line, way, "<< must name an object, or a list of them")
                continue
            if name.id != "scalar":
                self._add(line, way, "must be JSON, where a name is a string")
                continue
            within = (way, name.value)
            if name.value in fields:
                self.problems.append(twice(within, line, fields[name.value].line))
            node = self.node(item, within, depth + 1)
            fields[name.value] = evolve(node, line=line)
        return merged | fields

    def _add(self, line: int, way: Way, message: str) -> None:
        self.problems.append(Problem("", line, path(way), message))
