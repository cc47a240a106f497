"""Updates of YAML manifests that keep comments, quotes and order, with ruamel.yaml."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise, takewhile
from typing import Any

from amp_exp_async.errors import ConfigurationError

from .document import SourceLines, is_array, is_object, json_equal
from .spec import KINDS, KindName
from .yaml_scalars import TAG, TAGS_OF_OTHERS, construct, format_scalar, is_plain, tag_of
from .yaml_writer import write_yaml

_IDENTITY = {"flags": "key", "experiments": "key", "variants": "key", "target_segments": "name"}
_UNORDERED = frozenset({"flags", "experiments", "variants", "tags", "deployments", "users", "cohorts"})
_ITEM = re.compile("^( *)- ", re.MULTILINE)
_START = re.compile(r"(?:[ \t]*(?:#.*)?\n|%YAML.*\n)*---[ \t]*(?:#.*)?\n")
"""What may stand before a document: comments, the version of YAML, and the mark of the start."""
_WIDTH = 120
_NAME = "!name"


def _ruamel() -> Any:
    """Return the module `ruamel.yaml`.

    Raises:
        ConfigurationError: If it is not installed.
    """
    try:
        import ruamel.yaml  # noqa: PLC0415 - an extra, and slow to import
    except ImportError:
        raise ConfigurationError(
            "Changes of YAML files need the package ruamel.yaml. "
            "Run pip install 'amp_exp_async[files]', or use JSON files."
        ) from None
    return ruamel.yaml


def update_entries(
    text: str, document: Mapping[str, Any], lines: SourceLines, desired: Mapping[str, Any]
) -> str | None:
    """Return a YAML text in which only the flags and experiments that differ are rewritten.

    The result must be checked: an entry may refer to an anchor in another one.

    Args:
        text: the text.
        document: its content.
        lines: the lines of its values.
        desired: the desired content.

    Returns:
        The text; None if more than entries in block style differ.
    """
    kinds: list[KindName] = [kind for kind in KINDS if document.get(kind) and desired.get(kind)]
    before, after = ({name: side[name] for name in side.keys() - set(kinds)} for side in (document, desired))
    if not json_equal(before, after):
        return None
    rows = text.removesuffix("\n").split("\n")
    starts = {
        (kind, index): lines.line_of(f"{kind}[{index}]") for kind in kinds for index in range(len(document[kind]))
    }
    if not all(_ITEM.match(rows[start - 1]) for start in starts.values()):
        return None
    boundaries = sorted({*starts.values(), *map(lines.line_of, document), len(rows) + 1})
    ends = dict(pairwise(boundaries))
    blocks = {start: rows[start - 1 : ends[start] - 1] for start in starts.values()}
    for kind in kinds:
        old, new = _identities(document[kind], desired[kind], _IDENTITY[kind])
        if not (_is_unique(old) and _is_unique(new)):
            return None
        entries = dict(zip(new, desired[kind], strict=True))
        last = starts[kind, len(old) - 1]
        for index, identity in enumerate(old):
            first = starts[kind, index]
            blocks[first] = _update_block(kind, blocks[first], document[kind][index], entries.pop(identity, None))
        for entry in entries.values():
            blocks[last] += _new_block(kind, entry, _list_offset(rows[last - 1]))
    return _replace_blocks(rows, blocks, ends)


def _replace_blocks(rows: Sequence[str], blocks: Mapping[int, list[str]], ends: Mapping[int, int]) -> str:
    """Return a text whose blocks, by their first lines, are replaced."""
    result: list[str] = []
    line = 1
    for start in sorted(blocks):
        result += [*rows[line - 1 : start - 1], *blocks[start]]
        line = ends[start]
    return "\n".join([*result, *rows[line - 1 :], ""])


def _update_block(kind: KindName, rows: list[str], old: Mapping[str, Any], new: Mapping[str, Any] | None) -> list[str]:
    """Return the lines of an entry with other content. A comment between entries is kept, even if there is no entry."""
    if new is not None and json_equal(old, new):
        return rows
    size = len(rows) - sum(1 for _ in takewhile(_is_between_entries(rows[0]), reversed(rows)))
    entry, between = rows[:size], rows[size:]
    if new is None:
        return between
    if entry == _block(write_yaml({kind: [old]})):  # it has neither comments nor a style to keep
        return [*_block(write_yaml({kind: [new]})), *between]
    return [*_block(update_yaml("\n".join([f"{kind}:", *entry, ""]), {kind: [new]}) or ""), *between]


def _is_between_entries(first: str) -> Callable[[str], bool]:
    """Return a function that tells blank lines and comments of the list from lines of the entry in it."""
    comment = re.compile(rf" {{0,{first.index('-')}}}#|\s*$")
    return lambda row: comment.match(row) is not None


def _new_block(kind: KindName, entry: Mapping[str, Any], offset: int) -> list[str]:
    ruamel = _ruamel()
    return _block(_dump(_round_trip_yaml(ruamel, offset=offset), _Updater(ruamel).to_node({kind: [entry]})))


def _block(text: str) -> list[str]:
    """Return the lines of the only entry of a document, without the line of its kind."""
    return text.removesuffix("\n").split("\n")[1:]


def _list_offset(text: str) -> int:
    """Return the number of columns by which a text indents the items of its first list."""
    item = _ITEM.search(text)
    return len(item[1]) if item else 2


def update_yaml(text: str, desired: Mapping[str, Any]) -> str | None:
    """Return a YAML text with the desired content that keeps comments, quotes and order, or None if that fails."""
    ruamel = _ruamel()
    yaml = _round_trip_yaml(ruamel, offset=_list_offset(text))
    start = match[0] if (match := _START.match(text)) else ""  # ruamel.yaml drops parts of it
    try:
        document = yaml.load(text.removeprefix(start))
        _Updater(ruamel).update(document, desired)
    except (KeyError, ruamel.error.YAMLError):  # it cannot delete a field that others merge with <<
        return None
    return start + _dump(yaml, document)


def _round_trip_yaml(ruamel: Any, *, offset: int) -> Any:
    """Return a reader and writer that indents the items of a list by `offset` columns."""
    yaml = ruamel.YAML()
    yaml.indent(mapping=2, sequence=2 + offset, offset=offset)
    yaml.width = _WIDTH
    yaml.preserve_quotes = True
    yaml.Composer = _composer(ruamel)
    yaml.composer.warn_double_anchors = False  # YAML allows an anchor to be used again
    yaml.Resolver = _resolver(ruamel)
    yaml.Constructor = _constructor(ruamel)
    yaml.Representer = _representer(ruamel)
    return yaml


def _dump(yaml: Any, value: Any) -> str:
    stream = io.StringIO()
    yaml.dump(value, stream)
    return stream.getvalue()


def _resolver(ruamel: Any) -> Any:
    """Return a class that reads plain scalars as the reader does."""
    base: Any = ruamel.resolver.VersionedResolver

    def resolve(resolver: Any, kind: Any, value: Any, implicit: Any) -> Any:
        if kind is not ruamel.nodes.ScalarNode or not implicit[0]:
            return base.resolve(resolver, kind, value, implicit)
        return ruamel.tag.Tag(suffix=f"{TAG}merge" if value == "<<" else tag_of(value))

    return type("Resolver", (base,), {"resolve": resolve})


class _Name(str):
    """A name that would be another value elsewhere, such as `007` or `true`."""

    __slots__ = ("tag", "text")


class _Integer(int):
    """An integer that is written as it was, such as `007`."""

    tag: str
    text: str


class _Float(float):
    """A float that is written as it was, such as `1.50`."""

    tag: str
    text: str


_AS_WRITTEN: dict[str, Any] = {_NAME: _Name, f"{TAG}int": _Integer, f"{TAG}float": _Float}


def _composer(ruamel: Any) -> Any:
    """Return a class that takes all names of fields for strings."""
    base: Any = ruamel.composer.Composer

    def compose_node(composer: Any, parent: Any, index: Any) -> Any:
        node = base.compose_node(composer, parent, index)
        is_name = index is None and isinstance(parent, ruamel.nodes.MappingNode)
        if is_name and isinstance(node, ruamel.nodes.ScalarNode) and not node.style and node.tag in TAGS_OF_OTHERS:
            node.ctag = ruamel.tag.Tag(suffix=_NAME)
        return node

    return type("Composer", (base,), {"compose_node": compose_node})


def _constructor(ruamel: Any) -> Any:
    """Return a class that keeps the texts of names and numbers."""
    base: Any = ruamel.constructor.RoundTripConstructor

    def construct_as_written(constructor: Any, node: Any) -> Any:
        tag = str(node.tag)
        if node.anchor:  # ruamel.yaml's own classes keep it
            return base.yaml_constructors[f"{TAG}str" if tag == _NAME else tag](constructor, node)
        value = _AS_WRITTEN[tag](node.value if tag == _NAME else construct(tag, node.value))
        value.tag, value.text = tag_of(node.value) if tag == _NAME else tag, node.value
        return value

    constructor: Any = type("Constructor", (base,), {})
    for tag in _AS_WRITTEN:
        constructor.add_constructor(tag, construct_as_written)
    return constructor


def _representer(ruamel: Any) -> Any:
    """Return a class that writes null as `null`, not as nothing, and floats as all readers read them."""
    base: Any = ruamel.representer.RoundTripRepresenter
    representer: Any = type("Representer", (base,), {})
    representer.add_representer(type(None), _represent_null)
    representer.add_representer(float, _represent_float)
    for cls in _AS_WRITTEN.values():
        representer.add_representer(cls, _represent_as_written)
    return representer


def _represent_null(representer: Any, _: object) -> Any:
    return representer.represent_scalar(f"{TAG}null", "null")


def _represent_float(representer: Any, value: float) -> Any:
    return representer.represent_scalar(f"{TAG}float", format_scalar(value))


def _represent_as_written(representer: Any, value: Any) -> Any:
    return representer.represent_scalar(value.tag, value.text)


class _Updater:
    """An update of a document that ruamel.yaml has loaded."""

    def __init__(self, ruamel: Any) -> None:
        self._quoted = ruamel.scalarstring.DoubleQuotedScalarString
        self._map = ruamel.comments.CommentedMap
        self._seq = ruamel.comments.CommentedSeq

    def to_node(self, value: Any) -> Any:
        """Return a plain value as ruamel.yaml represents it. Strings that readers take for other values are quoted."""
        if is_object(value):
            return self._map((self.to_node(name), self.to_node(item)) for name, item in value.items())
        if is_array(value):
            return self._seq(self.to_node(item) for item in value)
        return self._quoted(value) if isinstance(value, str) and not is_plain(value) else value

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
