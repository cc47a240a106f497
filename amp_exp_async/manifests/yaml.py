"""YAML 1.2 with ruamel.yaml: parsing with line numbers, writing, and updates in place."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, partial
from typing import Any, Final

from amp_exp_async.errors import ConfigurationError, Problem
from amp_exp_async.formatting import format_value, truncate

from .document import (
    MAX_DEPTH,
    DocumentError,
    LineTable,
    ManifestDocument,
    SourceLines,
    duplicate_key,
    is_array,
    is_object,
    join_path,
    json_equal,
)

_TAG: Final = "tag:yaml.org,2002:"
_COLLECTION_TAGS = frozenset({f"{_TAG}map", f"{_TAG}seq"})
_MAX_ALIASED = 100_000
_IDENTITY = {"flags": "key", "experiments": "key", "variants": "key", "target_segments": "name"}
_UNORDERED = frozenset({"flags", "experiments", "variants", "tags", "deployments", "users", "cohorts"})
_YAML_1_1_BOOLEANS = frozenset({"on", "off", "yes", "no", "y", "n"})
_UNINDENTED_LIST = re.compile("^- ", re.MULTILINE)
_WIDTH = 120


def _ruamel() -> Any:
    """Return the module `ruamel.yaml`.

    Raises:
        ConfigurationError: If it is not installed.
    """
    try:
        import ruamel.yaml  # noqa: PLC0415 - an extra, and slow to import
    except ImportError:
        raise ConfigurationError(
            "YAML files need the package ruamel.yaml. Run pip install 'amp_exp_async[files]', or use JSON files."
        ) from None
    return ruamel.yaml


def read_yaml(text: str, file: str) -> ManifestDocument:
    """Parse a YAML text.

    Args:
        text: the text.
        file: the file that problems name.

    Raises:
        DocumentError: If the text is not YAML.
        ConfigurationError: If ruamel.yaml is not installed.
    """
    root = _compose(text)
    if root is None:
        return ManifestDocument(file, None, SourceLines(partial(LineTable, {"": 1})))
    reader = _NodeReader(file)
    value = reader.read(root, line=root.start_mark.line + 1)
    lines = SourceLines(partial(LineTable, reader.lines))
    return ManifestDocument(file, value, lines, reader.raw_integers, reader.problems)


def json_lines(text: str) -> LineTable:
    """Return the lines of a JSON text, which is YAML too. The table is empty if ruamel.yaml cannot read the text."""
    reader = _NodeReader("")
    try:
        root = _compose(text.replace("\t", " "))  # YAML does not allow tabs as indentation
        reader.read(root, line=root.start_mark.line + 1)
    except (ConfigurationError, DocumentError):
        return LineTable()
    return LineTable(reader.lines, reader.first_lines)


def _compose(text: str) -> Any:
    """Return the root node of a YAML text; None if the text is empty."""
    ruamel = _ruamel()
    try:
        return ruamel.YAML(typ="safe", pure=True).compose(text)
    except ruamel.error.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = error.problem or error.context
        raise DocumentError(f"is not YAML, or is cut off: {reason}", mark.line + 1 if mark else 0) from None
    except ruamel.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise DocumentError(f"is not YAML: it contains U+{error.character:04X}", line) from None
    except ruamel.error.YAMLError as error:
        raise DocumentError(f"is not YAML: {error}", 0) from None
    except RecursionError:
        raise DocumentError(f"more than {MAX_DEPTH} levels of nesting", _line_too_deep(text)) from None


def _line_too_deep(text: str) -> int:
    ruamel = _ruamel()
    depth = 0
    for event in ruamel.YAML(typ="safe", pure=True).parse(text):
        depth += isinstance(event, ruamel.events.CollectionStartEvent)
        depth -= isinstance(event, ruamel.events.CollectionEndEvent)
        if depth > MAX_DEPTH:
            return int(event.start_mark.line) + 1
    return 0


@cache
def _constructors() -> dict[str, Callable[[Any], Any]]:
    """Return the functions that construct values from scalar nodes, by tag."""
    constructor = _ruamel().YAML(typ="safe", pure=True).constructor
    by_name: dict[str, Callable[[Any], Any]] = {
        "null": lambda _: None,
        "bool": constructor.construct_yaml_bool,
        "int": constructor.construct_yaml_int,
        "float": constructor.construct_yaml_float,
        "str": lambda node: node.value,
        "timestamp": lambda node: node.value,
    }
    return {_TAG + name: construct for name, construct in by_name.items()}


def _construct(node: Any) -> Any:
    """Return the value of a scalar node.

    Raises:
        ValueError: If JSON cannot hold it.
    """
    try:
        value = _constructors()[str(node.tag)](node)
    except (KeyError, ValueError, IndexError):
        raise ValueError(f"must be JSON, which has no {node.tag}: {format_value(node.value)}") from None
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"must be JSON, which has no {truncate(node.value)}")
    return value


class _NodeReader:
    """The plain values of ruamel.yaml's nodes, with their lines and problems."""

    def __init__(self, file: str) -> None:
        self.lines: dict[str, int] = {}
        self.first_lines: dict[str, int] = {}
        self.raw_integers: dict[str, str] = {}
        self.problems: list[Problem] = []
        self._file = file
        self._seen: set[int] = set()
        self._aliased = 0

    def read(self, node: Any, path: str = "", *, line: int, depth: int = 0) -> Any:
        """Return the value of a node. `line` is the line of its name, or its own if it has none."""
        self._check_size(node, line, depth)
        self.lines[path] = line
        if node.id == "scalar":
            return self._read_scalar(node, path, line)
        if str(node.tag) not in _COLLECTION_TAGS:
            self._add(line, path, f"must be JSON, which has no {node.tag}")
        if node.id == "sequence":
            return [
                self.read(item, f"{path}[{index}]", line=item.start_mark.line + 1, depth=depth + 1)
                for index, item in enumerate(node.value)
            ]
        return {
            name: self.read(item, join_path(path, name), line=name_line, depth=depth + 1)
            for name, (item, name_line) in self._entries(node, path, depth).items()
        }

    def _check_size(self, node: Any, line: int, depth: int) -> None:
        """Raise `DocumentError` if nesting or aliases make a short text stand for more than memory can hold."""
        if depth > MAX_DEPTH:
            raise DocumentError(f"more than {MAX_DEPTH} levels of nesting, or an alias inside its own anchor", line)
        if id(node) in self._seen:
            self._aliased += 1
        self._seen.add(id(node))
        if self._aliased > _MAX_ALIASED:
            raise DocumentError(f"aliases stand for more than {_MAX_ALIASED:,} values: write them out", line)

    def _read_scalar(self, node: Any, path: str, line: int) -> Any:
        try:
            value = _construct(node)
        except ValueError as error:
            self._add(line, path, str(error))
            return None
        if type(value) is int and node.value != str(value):
            self.raw_integers[path] = node.value
        return value

    def _entries(self, mapping: Any, path: str, depth: int) -> dict[str, tuple[Any, int]]:
        """Return the node and line of each name, those merged with `<<` included."""
        own: dict[str, tuple[Any, int]] = {}
        merged: dict[str, tuple[Any, int]] = {}
        for key, item in mapping.value:
            line = key.start_mark.line + 1
            if str(key.tag) == f"{_TAG}merge":
                for source in item.value if item.id == "sequence" else [item]:
                    merged = self._merged_entries(source, path, line, depth + 1) | merged
            elif key.id != "scalar":
                self._add(line, path, "must be JSON, in which names are strings")
            else:
                if key.value in own:
                    self._add_duplicate(join_path(path, key.value), own[key.value][1], line)
                own[key.value] = item, line
        return merged | own

    def _merged_entries(self, source: Any, path: str, line: int, depth: int) -> dict[str, tuple[Any, int]]:
        self._check_size(source, line, depth)
        if source.id == "mapping":
            return self._entries(source, path, depth)
        self._add(line, path, "<< must be followed by an object or a list of objects")
        return {}

    def _add_duplicate(self, path: str, first_line: int, line: int) -> None:
        self.first_lines[path] = first_line
        self.problems.append(duplicate_key(self._file, path, line, first_line))

    def _add(self, line: int, path: str, message: str) -> None:
        self.problems.append(Problem(self._file, line, path, message))


def write_yaml(document: Mapping[str, Any]) -> str:
    """Return a document as YAML."""
    ruamel = _ruamel()
    return _dump(_round_trip_yaml(ruamel, offset=2), _Updater(ruamel).to_node(document))


def update_yaml(text: str, desired: Mapping[str, Any]) -> str | None:
    """Return a YAML text with the desired content that keeps comments, quotes and order, or None if that fails."""
    ruamel = _ruamel()
    yaml = _round_trip_yaml(ruamel, offset=0 if _UNINDENTED_LIST.search(text) else 2)
    document = yaml.load(text)
    try:
        _Updater(ruamel).update(document, desired)
    except KeyError:  # ruamel.yaml cannot delete a field that others merge with <<
        return None
    return _dump(yaml, document)


def _round_trip_yaml(ruamel: Any, *, offset: int) -> Any:
    """Return a reader and writer that indents the items of a list by `offset` columns."""
    yaml = ruamel.YAML()
    yaml.indent(mapping=2, sequence=2 + offset, offset=offset)
    yaml.width = _WIDTH
    yaml.preserve_quotes = True
    yaml.Representer = _representer(ruamel)
    return yaml


def _dump(yaml: Any, value: Any) -> str:
    stream = io.StringIO()
    yaml.dump(value, stream)
    return stream.getvalue()


def _representer(ruamel: Any) -> Any:
    """Return a class that writes null as `null`, not as nothing."""
    base: Any = ruamel.representer.RoundTripRepresenter
    representer: Any = type("Representer", (base,), {})
    representer.add_representer(type(None), _represent_null)
    return representer


def _represent_null(representer: Any, _: object) -> Any:
    return representer.represent_scalar(f"{_TAG}null", "null")


class _Updater:
    """An update of a document that ruamel.yaml has loaded."""

    def __init__(self, ruamel: Any) -> None:
        self._quoted = ruamel.scalarstring.DoubleQuotedScalarString
        self._map = ruamel.comments.CommentedMap
        self._seq = ruamel.comments.CommentedSeq

    def to_node(self, value: Any) -> Any:
        """Return a plain value as ruamel.yaml represents it. Booleans of YAML 1.1, such as `on`, are quoted."""
        if is_object(value):
            return self._map((self.to_node(name), self.to_node(item)) for name, item in value.items())
        if is_array(value):
            return self._seq(self.to_node(item) for item in value)
        return self._quoted(value) if isinstance(value, str) and _needs_quotes(value) else value

    def update(self, node: Any, desired: Mapping[str, Any]) -> None:
        """Update an object in place."""
        for name in [name for name in node if str(name) not in desired]:
            del node[name]
        names = {str(name): name for name in node}
        for index, (name, value) in enumerate(desired.items()):
            if name not in names:
                node.insert(min(index, len(node)), self.to_node(name), self.to_node(value))
                continue
            old = node[names[name]]
            if not _is_same_scalar(old, value) and not self._update_in_place(name, old, value):
                node[names[name]] = self.to_node(value)

    def _update_in_place(self, name: str, node: Any, desired: Any) -> bool:
        """Update an object or a list in place. Return whether that was possible."""
        if is_object(node) and is_object(desired):
            if getattr(node, "merge", None):  # fields merged with << belong to another object
                return json_equal(node, desired)
            self.update(node, desired)
            return True
        return is_array(node) and is_array(desired) and self._update_list(name, node, desired)

    def _update_list(self, name: str, node: Any, desired: Sequence[Any]) -> bool:
        old, new = _identities(node, desired, _IDENTITY.get(name))
        if not (_is_unique(old) and _is_unique(new)):
            return False
        common = set(old) & set(new)
        kept = [identity for identity in old if identity in common]
        if name not in _UNORDERED and kept != [identity for identity in new if identity in common]:
            return False
        for index in reversed(range(len(old))):
            if old[index] not in common:
                del node[index]
        for identity, item in zip(new, desired, strict=True):
            if identity in common:
                index = kept.index(identity)
                if is_object(item) and not self._update_in_place("", node[index], item):
                    node[index] = self.to_node(item)
            else:
                index = len(kept) if name in _UNORDERED else new.index(identity)
                node.insert(index, self.to_node(item))
                kept.insert(index, identity)
        return True


def _is_same_scalar(node: Any, desired: Any) -> bool:
    if isinstance(desired, bool) or isinstance(node, bool):
        return node is desired
    return type(desired) in {str, int, float, type(None)} and isinstance(node, type(desired)) and node == desired


def _needs_quotes(text: str) -> bool:
    """Return whether a string needs double quotes that ruamel.yaml would not add: it may be read as YAML 1.1."""
    return text.lower() in _YAML_1_1_BOOLEANS or not all(char.isprintable() or char == "\n" for char in text)


def _identities(old: Iterable[Any], new: Iterable[Any], field: str | None) -> tuple[list[str], list[str]]:
    """Return the identities of the items of two lists: their key or name, with the project if a key is ambiguous."""
    sides = list(old), list(new)
    before, after = ([_identity(item, field) for item in items] for items in sides)
    if field == "key" and not (_is_unique(before) and _is_unique(after)):
        before, after = (
            [f"{_identity(item, field)} {item.get('project_id', '')}" for item in items] for items in sides
        )
    return before, after


def _is_unique(identities: list[str]) -> bool:
    return len(set(identities)) == len(identities)


def _identity(item: Any, field: str | None) -> str:
    if is_object(item):
        return str(item.get(field, item)) if field else repr(dict(item))
    return repr(str(item)) if isinstance(item, str) else repr(item)
