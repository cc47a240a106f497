"""Differences between two versions of a flag or experiment, field by field, and their text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import islice
from typing import Any, TypeGuard

import attrs
from attrs import frozen

from amp_exp_async import serialization
from amp_exp_async.escaping import escape
from amp_exp_async.formatting import format_value
from amp_exp_async.models import UNSET, FlagConfig, Model

_MAX_VALUE_LENGTH = 1000
_MAX_ITEMS = 20  # of each sign
# Metadata about a flag: these differ after every write.
_METADATA = frozenset({"created_by", "created_at", "last_modified_by", "last_modified_at", "extra"})


@frozen
class FieldChange:
    """A field that changes. Its text names only the places inside the field that differ.

    Attributes:
        field: the field's name; for a field that this version of the library does not know, its JSON name.
        before: the value before the change; `UNSET` if the field was absent.
        after: the value after the change; `UNSET` if the field is removed.
    """

    field: str
    before: Any
    after: Any

    def __str__(self) -> str:
        return escape("; ".join(format_diff(self.field, self.before, self.after)) or f"{self.field}: no difference")


def json_equal(value: Any, other: Any) -> bool:
    """Return whether two values are the same JSON."""
    return bool(serialization.to_json(value) == serialization.to_json(other))


def diff_flags(before: FlagConfig, after: FlagConfig) -> dict[str, FieldChange]:
    """Return the fields that differ, by name. Metadata, such as the author, does not count."""
    old, new = _fields(before), _fields(after)
    names = dict.fromkeys([*old, *new])
    sides = {name: (old.get(name, UNSET), new.get(name, UNSET)) for name in names}
    return {name: FieldChange(name, *pair) for name, pair in sides.items() if not json_equal(*pair)}


def _fields(flag_config: FlagConfig) -> Mapping[str, Any]:
    known = {field.name: getattr(flag_config, field.name) for field in attrs.fields(type(flag_config))}
    return {name: value for name, value in known.items() if name not in _METADATA} | flag_config.extra


def summarize_version(number: int, differences: Mapping[str, FieldChange]) -> str:
    """Return the differences between a version and the one before it as one text."""
    unseen = "created" if number == 1 else "no visible difference"
    return "; ".join(map(str, differences.values())) or unseen


def format_diff(location: str, before: Any, after: Any) -> Iterator[str]:
    """Yield a line for each place where two values differ: `target_segments["Pilot"].percentage: 10 -> 20`.

    Args:
        location: the location of the whole value.
        before: the value before the change.
        after: the value after the change.
    """
    if json_equal(before, after):
        return
    old_parts, new_parts = _parts(before), _parts(after)
    if old_parts is not None and new_parts is not None:
        steps = dict.fromkeys([*old_parts, *new_parts])
        pairs = {step: (old_parts.get(step, UNSET), new_parts.get(step, UNSET)) for step in steps}
        differing = {step: pair for step, pair in pairs.items() if not json_equal(*pair)}
        for step, pair in differing.items():
            yield from format_diff(location + step, *pair)
        if differing:
            return
    old_strings, new_strings = _strings(before), _strings(after)
    if old_strings is not None and new_strings is not None and old_strings != new_strings:
        added = _format_items("+", new_strings - old_strings)
        removed = _format_items("-", old_strings - new_strings)
        yield f"{location}: {', '.join([*added, *removed])}"
        return
    yield f"{location}: {_format(before)} -> {_format(after)}"


def _parts(value: Any) -> Mapping[str, Any] | None:
    """Return the parts of a value by their step in a location, or None if it has no parts."""
    if isinstance(value, Model):
        known = {f".{field.name}": getattr(value, field.name) for field in attrs.fields(type(value))}
        extra = known.pop(".extra")
        return known | {f".{name}": item for name, item in extra.items()}
    if value.__class__ is dict:
        return {f"[{format_value(key)}]": item for key, item in value.items()}
    if _is_list(value) and value and all(isinstance(item, Model) for item in value):
        return {f"[{format_value(key)}]": item for key, item in zip(_list_keys(value), value, strict=True)}
    return None


def _is_list(value: Any) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def _list_keys(items: Sequence[Model]) -> Sequence[object]:
    """Return what identifies each item: its key or name, or its index if these are not unique."""
    names = [getattr(item, "key", getattr(item, "name", None)) for item in items]
    are_unique = len(set(names)) == len(names) and all(isinstance(name, str) for name in names)
    return names if are_unique else range(len(items))


def _strings(value: Any) -> Counter[str] | None:
    """Return the items of a list of strings, or None for any other value."""
    return Counter(value) if _is_list(value) and all(item.__class__ is str for item in value) else None


def _format_items(sign: str, items: Counter[str]) -> Iterator[str]:
    """Yield the first items, each with a sign, and the number of the others."""
    for text in islice(items.elements(), _MAX_ITEMS):
        yield f"{sign}{format_value(text)}"
    if (omitted := items.total() - _MAX_ITEMS) > 0:
        yield f"{sign}{omitted} more"


def _format(value: Any) -> str:
    return "(none)" if value is UNSET else format_value(_plain(value), _MAX_VALUE_LENGTH)


def _plain(value: Any) -> Any:
    """Return a value with models as dicts, which have the field names of the models."""
    if isinstance(value, Model):
        return {step[1:]: _plain(part) for step, part in (_parts(value) or {}).items() if part is not UNSET}
    if _is_list(value):
        return [_plain(item) for item in value]
    return value.isoformat() if isinstance(value, date) else value
