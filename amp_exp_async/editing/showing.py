"""Differences in words: only the places inside a value that differ."""

from __future__ import annotations

import reprlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

import attrs

from amp_exp_async.models import UNSET, Model

from .fields import equal

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 200
_SHORT.maxlist = _SHORT.maxdict = 20


def shown(place: str, before: Any, after: Any) -> Iterator[str]:
    """Each place where two values differ: `target_segments['Pilot'].percentage: 10 -> 20`.

    Args:
        place: the place of the whole.
        before: what it was.
        after: what it became.
    """
    if equal(before, after):
        return
    names, parts = _parts(before), _parts(after)
    if names is not None and parts is not None:
        keys = dict.fromkeys([*names, *parts])
        differing = [key for key in keys if not equal(names.get(key, UNSET), parts.get(key, UNSET))]
        for key in differing:
            yield from shown(place + key, names.get(key, UNSET), parts.get(key, UNSET))
        if differing:
            return
    old, new = _texts(before), _texts(after)
    if old is not None and new is not None and old != new:
        added = [f"+{text!r}" for text in (new - old).elements()]
        removed = [f"-{text!r}" for text in (old - new).elements()]
        yield f"{place}: {', '.join([*added, *removed])}"
        return
    yield f"{place}: {_one(before)} -> {_one(after)}"


def _parts(value: Any) -> Mapping[str, Any] | None:
    """What a value is made of, by how its place is written; None for one that is a piece."""
    if isinstance(value, Model):
        known = {f".{field.name}": getattr(value, field.name) for field in attrs.fields(type(value))}
        extra = known.pop(".extra")
        return known | {f".{name}": item for name, item in extra.items()}
    if value.__class__ is dict:
        return {f"[{key!r}]": item for key, item in value.items()}
    if value.__class__ is list and value and all(isinstance(item, Model) for item in value):
        return {f"[{place!r}]": item for place, item in zip(_places(value), value, strict=True)}
    return None


def _places(items: Sequence[Model]) -> Sequence[object]:
    """What tells variants, segments and others apart: their keys, else their names, else where they stand."""
    names = [getattr(item, "key", getattr(item, "name", None)) for item in items]
    is_told = len(set(names)) == len(names) and all(isinstance(name, str) for name in names)
    return names if is_told else range(len(items))


def _texts(value: Any) -> Counter[str] | None:
    """The strings that a list is made of; None for anything else."""
    return Counter(value) if value.__class__ is list and all(item.__class__ is str for item in value) else None


def _one(value: Any) -> str:
    if isinstance(value, Model):
        # Its `repr` leaves most of it out, such as whom a segment is for.
        inside = (f"{place[1:]}={_one(part)}" for place, part in (_parts(value) or {}).items() if part is not UNSET)
        return f"{type(value).__name__}({', '.join(inside)})"
    if value.__class__ is list and any(isinstance(item, Model) for item in value):
        return f"[{', '.join(map(_one, value))}]"
    if isinstance(value, date):
        return value.isoformat()
    return "nothing" if value is UNSET else _SHORT.repr(value)
