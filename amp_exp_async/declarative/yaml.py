"""YAML, by way of ruamel.yaml: read with lines, and written over what is there with its comments kept."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from amp_exp_async.errors import ConfigurationError, Problem

from .nodes import DocumentError, Fields, Node, is_array, is_object, twice

_TAG: Final = "tag:yaml.org,2002:"
_WORDS_OF_YAML_1_1 = frozenset({"on", "off", "yes", "no", "y", "n"})
_IDENTITY = {"flags": "key", "experiments": "key", "variants": "key", "target_segments": "name"}
_IN_NO_ORDER = frozenset({"flags", "experiments", "variants", "tags", "deployments", "users", "cohorts"})
_DEEPEST = 200


def _library() -> Any:
    try:
        import ruamel.yaml  # noqa: PLC0415 - an extra, and it takes long to import
    except ImportError:
        raise ConfigurationError(
            "YAML files need the package ruamel.yaml: pip install 'amp_exp_async[files]', or use JSON files"
        ) from None
    return ruamel.yaml


def read_yaml(text: str) -> tuple[Node, list[Problem]]:
    """The tree of a YAML text, and what in it cannot be JSON, or is there twice.

    Raises:
        DocumentError: it is no YAML.
    """
    library = _library()
    yaml = library.YAML(typ="safe", pure=True)
    try:
        root = yaml.compose(text)
    except library.error.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise DocumentError(
            f"is no YAML, or is cut off: {error.problem or error.context}", mark.line + 1 if mark else 0
        ) from None
    except library.error.YAMLError as error:
        raise DocumentError(f"is no YAML: {error}", 0) from None
    if root is None:
        return Node(None, 1), []
    reader = _Reader(yaml.constructor)
    return reader.node(root), reader.problems


class _Reader:
    def __init__(self, constructor: Any) -> None:
        self.problems: list[Problem] = []
        make: dict[str, Callable[[Any], Any]] = {
            "null": lambda _: None,
            "bool": constructor.construct_yaml_bool,
            "int": constructor.construct_yaml_int,
            "float": constructor.construct_yaml_float,
            "str": lambda scalar: scalar.value,
            "timestamp": lambda scalar: scalar.value,
        }
        self._scalars = {_TAG + name: function for name, function in make.items()}

    def node(self, given: Any, depth: int = 0) -> Node:
        """A node of the library as ours."""
        line = given.start_mark.line + 1
        if depth > _DEEPEST:
            raise DocumentError(f"more than {_DEEPEST} levels, or an alias of what it stands in", line)
        if given.id == "mapping":
            return Node(self._fields(given, depth), line)
        if given.id == "sequence":
            return Node([self.node(item, depth + 1) for item in given.value], line)
        try:
            value = self._scalars[str(given.tag)](given)
        except (KeyError, ValueError):
            self._add(line, f"must be JSON, and {given.tag} is not: {given.value!r:.60}")
            return Node(None, line)
        if isinstance(value, float) and not math.isfinite(value):
            self._add(line, f"must be JSON, which has no {given.value}")
            return Node(None, line)
        return Node(value, line)

    def _fields(self, mapping: Any, depth: int) -> Fields:
        fields: Fields = {}
        merged: Fields = {}
        for name, item in mapping.value:
            line = name.start_mark.line + 1
            if str(name.tag) == f"{_TAG}merge":
                for source in item.value if item.id == "sequence" else [item]:
                    node = self.node(source, depth + 1)
                    if node.fields is not None:
                        merged = node.fields | merged
                    else:
                        self._add(line, "<< must name an object, or a list of them")
                continue
            if name.id != "scalar":
                self._add(line, "must be JSON, where a name is a string")
                continue
            if name.value in fields:
                self.problems.append(twice(name.value, line, fields[name.value].line))
            node = self.node(item, depth + 1)
            fields[name.value] = Node(node.value, line)
        return merged | fields

    def _add(self, line: int, message: str) -> None:
        self.problems.append(Problem("", line, "", message))


def write_yaml(document: Mapping[str, Any], header: str, present: str | None = None) -> str:
    """A document as YAML.

    Args:
        document: the document, plain.
        header: the comment that it begins with.
        present: the text that it takes the place of: its comments, quotes and order are kept.
    """
    library = _library()
    yaml = library.YAML()
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.width = 120
    yaml.preserve_quotes = True
    yaml.Representer = _representer(library)
    writer = _Writer(library)
    written = writer.fresh(document)
    if present is not None and present.strip():
        written = yaml.load(present)
        writer.update(written, document)
    stream = io.StringIO()
    yaml.dump(written, stream)
    text = stream.getvalue()
    return text if header.split("=", maxsplit=1)[0] in text else f"{header}\n{text}"


def _representer(library: Any) -> Any:
    """How values are written: null by its name, not as nothing."""
    base: Any = library.representer.RoundTripRepresenter
    representer: Any = type("Representer", (base,), {})
    representer.add_representer(type(None), _null)
    return representer


def _null(representer: Any, _: None) -> Any:
    return representer.represent_scalar(f"{_TAG}null", "null")


class _Writer:
    def __init__(self, library: Any) -> None:
        self._quoted = library.scalarstring.DoubleQuotedScalarString
        self._map = library.comments.CommentedMap
        self._seq = library.comments.CommentedSeq

    def fresh(self, value: Any) -> Any:
        """A plain value for the library. Words that older YAML takes for booleans are put in quotes."""
        if is_object(value):
            return self._map((self.fresh(name), self.fresh(item)) for name, item in value.items())
        if is_array(value):
            return self._seq(self.fresh(item) for item in value)
        if isinstance(value, str) and (value.lower() in _WORDS_OF_YAML_1_1 or not _is_safe(value)):
            return self._quoted(value)
        return value

    def update(self, present: Any, wanted: Mapping[str, Any]) -> None:
        """Change an object, as the library holds it, to what is wanted."""
        for name in [name for name in present if str(name) not in wanted]:
            del present[name]
        names = {str(name): name for name in present}
        for at, (name, value) in enumerate(wanted.items()):
            if name not in names:
                present.insert(min(at, len(present)), self.fresh(name), self.fresh(value))
            elif not self._same(present[names[name]], value) and not self._within(name, present[names[name]], value):
                present[names[name]] = self.fresh(value)

    def _within(self, name: str, present: Any, wanted: Any) -> bool:
        """Change a value in place, if that can be."""
        if is_object(present) and is_object(wanted):
            self.update(present, wanted)
            return True
        return is_array(present) and is_array(wanted) and self._list(name, present, wanted)

    def _list(self, name: str, present: Any, wanted: list[Any]) -> bool:
        mark = _IDENTITY.get(name)
        old = [_identity(item, mark) for item in present]
        new = [_identity(item, mark) for item in wanted]
        if len(set(old)) < len(old) or len(set(new)) < len(new):
            return False
        kept = [one for one in old if one in new]
        if name not in _IN_NO_ORDER and kept != [one for one in new if one in old]:
            return False
        for at in reversed(range(len(old))):
            if old[at] not in new:
                del present[at]
        for one, item in zip(new, wanted, strict=True):
            if one in kept:
                at = kept.index(one)
                if is_object(item):
                    self.update(present[at], item)
            else:
                at = len(kept) if name in _IN_NO_ORDER else new.index(one)
                present.insert(at, self.fresh(item))
                kept.insert(at, one)
        return True

    def _same(self, present: Any, wanted: Any) -> bool:
        if isinstance(wanted, bool) or isinstance(present, bool):
            return present is wanted
        return type(wanted) in {str, int, float, type(None)} and isinstance(present, type(wanted)) and present == wanted


def _is_safe(text: str) -> bool:
    """Whether a text can stand in every style of quotes: some line breaks of Unicode cannot."""
    return all(letter.isprintable() or letter == "\n" for letter in text)


def _identity(item: Any, mark: str | None) -> str:
    if is_object(item):
        return f"{item.get('project_id', '')} {item.get(mark, item)}" if mark else repr(dict(item))
    return repr(str(item)) if isinstance(item, str) else repr(item)
