"""YAML over what is there: only what changes is written, and comments, quotes and order stay."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .document import is_array, is_object
from .merging import same
from .yaml import TAG, library

_IDENTITY = {"flags": "key", "experiments": "key", "variants": "key", "target_segments": "name"}
_IN_NO_ORDER = frozenset({"flags", "experiments", "variants", "tags", "deployments", "users", "cohorts"})
_WORDS_OF_YAML_1_1 = frozenset({"on", "off", "yes", "no", "y", "n"})
_FLUSH = re.compile("^- ", re.MULTILINE)
_WIDTH = 120


def write_yaml(document: Mapping[str, Any]) -> str:
    """A document as YAML."""
    ruamel = library()
    return _dumped(_yaml(ruamel, offset=2), _Writer(ruamel).fresh(document))


def rewritten(text: str, wanted: Mapping[str, Any]) -> str | None:
    """A text changed to what is wanted; None where the library cannot."""
    ruamel = library()
    yaml = _yaml(ruamel, offset=0 if _FLUSH.search(text) else 2)
    present = yaml.load(text)
    try:
        _Writer(ruamel).update(present, wanted)
    except KeyError:  # it cannot take a field out of what others merge by <<
        return None
    return _dumped(yaml, present)


def _yaml(ruamel: Any, *, offset: int) -> Any:
    """What reads and writes, with items of lists so many columns to the right of the list's name."""
    yaml = ruamel.YAML()
    yaml.indent(mapping=2, sequence=2 + offset, offset=offset)
    yaml.width = _WIDTH
    yaml.preserve_quotes = True
    yaml.Representer = _representer(ruamel)
    return yaml


def _dumped(yaml: Any, value: Any) -> str:
    stream = io.StringIO()
    yaml.dump(value, stream)
    return stream.getvalue()


def _representer(library: Any) -> Any:
    """How values are written: null by its name, not as nothing."""
    base: Any = library.representer.RoundTripRepresenter
    representer: Any = type("Representer", (base,), {})
    representer.add_representer(type(None), _null)
    return representer


def _null(representer: Any, _: None) -> Any:
    return representer.represent_scalar(f"{TAG}null", "null")


class _Writer:
    """Changes what ruamel.yaml holds."""

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
        return self._quoted(value) if isinstance(value, str) and not _is_plain(value) else value

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
            if not getattr(present, "merge", None):  # what comes by << cannot be changed here
                self.update(present, wanted)
                return True
            return same(present, wanted)
        return is_array(present) and is_array(wanted) and self._list(name, present, wanted)

    def _list(self, name: str, present: Any, wanted: Sequence[Any]) -> bool:
        mark = _IDENTITY.get(name)
        old, new = _identities(present, wanted, mark)
        if not (_distinct(old) and _distinct(new)):
            return False
        both = set(old) & set(new)
        kept = [one for one in old if one in both]
        if name not in _IN_NO_ORDER and kept != [one for one in new if one in both]:
            return False
        for at in reversed(range(len(old))):
            if old[at] not in both:
                del present[at]
        for one, item in zip(new, wanted, strict=True):
            if one in both:
                at = kept.index(one)
                if is_object(item) and not self._within("", present[at], item):
                    present[at] = self.fresh(item)
            else:
                at = len(kept) if name in _IN_NO_ORDER else new.index(one)
                present.insert(at, self.fresh(item))
                kept.insert(at, one)
        return True

    def _same(self, present: Any, wanted: Any) -> bool:
        if isinstance(wanted, bool) or isinstance(present, bool):
            return present is wanted
        return type(wanted) in {str, int, float, type(None)} and isinstance(present, type(wanted)) and present == wanted


def _is_plain(text: str) -> bool:
    """Whether a text needs no quotes of ours: some line breaks of Unicode can stand in no other."""
    return text.lower() not in _WORDS_OF_YAML_1_1 and all(letter.isprintable() or letter == "\n" for letter in text)


def _identities(old: Iterable[Any], new: Iterable[Any], mark: str | None) -> tuple[list[str], list[str]]:
    """What tells the items of two lists apart: their mark, with the project where one has a mark twice."""
    sides = list(old), list(new)
    first, second = ([_identity(item, mark) for item in items] for items in sides)
    if mark != "key" or (_distinct(first) and _distinct(second)):
        return first, second
    first, second = ([f"{_identity(item, mark)} {item.get('project_id', '')}" for item in items] for items in sides)
    return first, second


def _distinct(given: list[str]) -> bool:
    return len(set(given)) == len(given)


def _identity(item: Any, mark: str | None) -> str:
    if is_object(item):
        return str(item.get(mark, item)) if mark else repr(dict(item))
    return repr(str(item)) if isinstance(item, str) else repr(item)
