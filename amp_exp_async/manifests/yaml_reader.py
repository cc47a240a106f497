"""The reader of YAML 1.2 manifests: PyYAML's events become plain values, with their lines and problems.

libyaml parses the text if PyYAML has it. The values of scalars follow the core schema of YAML 1.2, not PyYAML's 1.1.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Collection, Generator, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

from attrs import define

from amp_exp_async.errors import ConfigurationError, Problem
from amp_exp_async.serialization.nesting import MAX_DEPTH

from .document import DocumentError, LineTable, ManifestDocument, SourceLines, duplicate_key, join_path
from .yaml_scalars import TAG, construct, resolve

_COLLECTION_TAGS = frozenset({None, "!", f"{TAG}map", f"{TAG}seq"})
_MERGE: Final = f"{TAG}merge"
_MAX_ALIASED = 100_000
_TOO_DEEP = f"more than {MAX_DEPTH} levels of nesting, or an alias inside its own anchor"
_NOT_YAML = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")

NextEvent = Callable[[], Any]


def _pyyaml() -> Any:
    """Return the module `yaml`.

    Raises:
        ConfigurationError: If it is not installed.
    """
    try:
        return importlib.import_module("yaml")  # an extra
    except ImportError:
        raise ConfigurationError(
            "YAML files need the package PyYAML. Run pip install 'amp_exp_async[files]', or use JSON files."
        ) from None


def read_yaml(text: str, file: str) -> ManifestDocument:
    """Parse a YAML text.

    Args:
        text: the text.
        file: the file that problems name.

    Raises:
        DocumentError: If the text is not YAML.
        ConfigurationError: If PyYAML is not installed.
    """
    yaml = _pyyaml()
    if invalid := _NOT_YAML.search(text):
        line = text.count("\n", 0, invalid.start()) + 1
        raise DocumentError(f"is not YAML: it contains U+{ord(invalid[0]):04X}", line)
    # JSON has escapes of surrogates, which libyaml rejects.
    has_surrogates = _SURROGATE_ESCAPE.search(text) is not None
    loader = (yaml.BaseLoader if has_surrogates else getattr(yaml, "CBaseLoader", yaml.BaseLoader))(text)
    get_event = partial(_joined_surrogates, yaml, loader.get_event) if has_surrogates else loader.get_event
    try:
        source = _EventSource(yaml, get_event)
        return _YamlReader(yaml, source, file).read(source.next if "&" in text else get_event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = error.problem or error.context
        line = min(mark.line, text.count("\n")) + 1 if mark else 0  # libyaml adds a line to the last one
        raise DocumentError(f"is not YAML, or is cut off: {reason}", line) from None
    except yaml.YAMLError as error:
        raise DocumentError(f"is not YAML: {error}", 0) from None
    except RecursionError:  # the caller's own stack is deep
        raise DocumentError(_TOO_DEEP, 0) from None
    finally:
        loader.dispose()


def _joined_surrogates(yaml: Any, get_event: NextEvent) -> Any:
    """Return the next event, in whose text both halves of a surrogate pair are one character."""
    event = get_event()
    if isinstance(event, yaml.ScalarEvent):
        event.value = event.value.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    return event


@define(eq=False)
class _Anchored:
    """A node with an anchor. Its events are kept for its aliases.

    Attributes:
        line: its line.
        start: the index of its first event.
        end: the index behind its last event; 0 until that was read.
    """

    line: int
    start: int
    end: int = 0


class _EventSource:
    """The events of a text, in which the anchored node takes the place of its alias."""

    def __init__(self, yaml: Any, get_event: NextEvent) -> None:
        self.kept: list[Any] = []
        self._yaml = yaml
        self._get_event = get_event
        self._anchored: dict[str, _Anchored] = {}
        self._open: list[tuple[_Anchored, int]] = []  # the anchored nodes around the next event, with their depths
        self._depth = 0

    def next(self) -> Any:
        """Return the next event, or the node that it is an alias of."""
        event = self._get_event()
        if isinstance(event, self._yaml.AliasEvent):
            event = self._anchored.get(event.anchor, event)
        elif getattr(event, "anchor", None) is not None:
            node = self._anchored[event.anchor] = _Anchored(event.start_mark.line + 1, len(self.kept))
            self._open.append((node, self._depth))
        if self._open:
            self.kept.append(event)
        self._depth += isinstance(event, self._yaml.CollectionStartEvent)
        self._depth -= isinstance(event, self._yaml.CollectionEndEvent)
        while self._open and self._open[-1][1] == self._depth:
            self._open.pop()[0].end = len(self.kept)
        return event


class _YamlReader:
    """A reader of the one document in a text."""

    def __init__(self, yaml: Any, source: _EventSource, file: str) -> None:
        self._yaml = yaml
        self._scalar, self._mapping = yaml.ScalarEvent, yaml.MappingStartEvent
        self._end, self._start = yaml.CollectionEndEvent, yaml.CollectionStartEvent
        self._source = source
        self._file = file
        self._lines: dict[str, int] = {}
        self._raw_integers: dict[str, str] = {}
        self._problems: list[Problem] = []
        self._aliases = 0  # the number of aliases around the node being read
        self._aliased = 0

    def read(self, next_event: NextEvent) -> ManifestDocument:
        next_event()  # the start of the stream
        if isinstance(next_event(), self._yaml.StreamEndEvent):
            return ManifestDocument(self._file, None, SourceLines(partial(LineTable, {"": 1})))
        root = next_event()
        value = self._read(root, next_event, "", line=_line_of(root), depth=0)
        next_event()  # the end of the document
        after = next_event()
        if not isinstance(after, self._yaml.StreamEndEvent):
            raise DocumentError("is not YAML, or is cut off: but found another document", _line_of(after))
        lines = SourceLines(partial(LineTable, self._lines))
        return ManifestDocument(self._file, value, lines, self._raw_integers, self._problems)

    def _read(self, event: Any, next_event: NextEvent, path: str, *, line: int, depth: int) -> Any:
        """Return the value of the node that begins with an event.

        Args:
            event: the event.
            next_event: returns the events behind it.
            path: the path of the node.
            line: the line of its name, or its own.
            depth: the number of collections around it.
        """
        if isinstance(event, _Anchored):
            with self._alias(event) as (first, next_kept):
                return self._read(first, next_kept, path, line=line, depth=depth)
        self._check_size(line, depth)
        self._lines[path] = line
        if isinstance(event, self._scalar):
            return self._read_scalar(event, path, line)
        if not isinstance(event, self._start):
            raise DocumentError(f"is not YAML, or is cut off: found undefined alias {event.anchor!r}", line)
        if event.tag not in _COLLECTION_TAGS:
            self._add(line, path, f"must be JSON, which has no {event.tag}")
        if isinstance(event, self._mapping):
            return self._read_mapping(next_event, path, depth, ())
        return [
            self._read(item, next_event, f"{path}[{index}]", line=_line_of(item), depth=depth + 1)
            for index, item in enumerate(self._until_end(next_event))
        ]

    def _until_end(self, next_event: NextEvent) -> Iterator[Any]:
        """Yield the first events of the nodes in a collection. The caller reads the rest of each."""
        while not isinstance(event := next_event(), self._end):
            yield event

    @contextmanager
    def _alias(self, node: _Anchored) -> Generator[tuple[Any, NextEvent], None, None]:
        """Give the first event of an anchored node, and a function that returns the others."""
        if not node.end:
            raise DocumentError(_TOO_DEEP, node.line)
        next_event = iter(self._source.kept[node.start : node.end]).__next__
        self._aliases += 1
        yield next_event(), next_event
        self._aliases -= 1

    def _check_size(self, line: int, depth: int) -> None:
        """Raise `DocumentError` if nesting or aliases make a short text stand for more than memory can hold."""
        if depth > MAX_DEPTH:
            raise DocumentError(_TOO_DEEP, line)
        if self._aliases:
            self._aliased += 1
            if self._aliased > _MAX_ALIASED:
                raise DocumentError(f"aliases stand for more than {_MAX_ALIASED:,} values: write them out", line)

    def _read_scalar(self, event: Any, path: str, line: int) -> Any:
        text = event.value
        try:
            if event.tag is not None:
                value = construct(event.tag, text)
            else:
                value = resolve(text) if event.implicit[0] else text
        except ValueError as error:
            self._add(line, path, str(error))
            return None
        if type(value) is int and text != str(value):
            self._raw_integers[path] = text
        return value

    def _read_mapping(self, next_event: NextEvent, path: str, depth: int, skipped: Collection[str]) -> dict[str, Any]:
        """Return the fields of a mapping, except those with skipped names."""
        values: dict[str, Any] = {}
        merged: list[tuple[int, list[Any]]] = []
        for key in self._until_end(next_event):
            line = _line_of(key)
            name_event = self._source.kept[key.start] if isinstance(key, _Anchored) else key
            if not isinstance(name_event, self._scalar):
                self._add(line, path, "must be JSON, in which names are strings")
                self._collect(key, next_event)
                self._collect(next_event(), next_event)
            elif _is_merge(name_event):
                merged.append((line, self._collect(next_event(), next_event)))
            elif (name := name_event.value) in skipped:
                self._collect(next_event(), next_event)
            else:
                where = join_path(path, name)
                if name in values:
                    self._add_duplicate(where, line)
                values[name] = self._read(next_event(), next_event, where, line=line, depth=depth + 1)
        for line, events in merged:
            next_merged = iter(events).__next__
            values |= self._read_merged(
                next_merged(), next_merged, path, {*skipped, *values}, line=line, depth=depth + 1
            )
        return values

    def _collect(self, event: Any, next_event: NextEvent) -> list[Any]:
        """Return the events of the node that begins with an event."""
        events = [event]
        depth = isinstance(event, self._start) + 0
        while depth:
            event = next_event()
            depth += isinstance(event, self._start) - isinstance(event, self._end)
            events.append(event)
        return events

    def _read_merged(
        self, event: Any, next_event: NextEvent, path: str, skipped: Collection[str], *, line: int, depth: int
    ) -> dict[str, Any]:
        """Return the fields of the mapping, or of all mappings in a list, that `<<` merges into another."""
        if isinstance(event, _Anchored):
            with self._alias(event) as (first, next_kept):
                return self._read_merged(first, next_kept, path, skipped, line=line, depth=depth)
        self._check_size(line, depth)
        if isinstance(event, self._mapping):
            return self._read_mapping(next_event, path, depth, skipped)
        values: dict[str, Any] = {}
        if isinstance(event, self._start):
            for item in self._until_end(next_event):
                values |= self._read_merged(item, next_event, path, {*skipped, *values}, line=line, depth=depth + 1)
        else:
            self._add(line, path, "<< must be followed by an object or a list of objects")
        return values

    def _add_duplicate(self, path: str, line: int) -> None:
        self._problems.append(duplicate_key(self._file, path, line, self._lines[path]))

    def _add(self, line: int, path: str, message: str) -> None:
        self._problems.append(Problem(self._file, line, path, message))


def _line_of(event: Any) -> int:
    return event.line if isinstance(event, _Anchored) else int(event.start_mark.line) + 1


def _is_merge(event: Any) -> bool:
    return bool(event.tag == _MERGE or (event.value == "<<" and event.implicit[0]))
