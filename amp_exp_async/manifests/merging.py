"""Whether what is there is as declared, and what to write so that nothing undeclared is lost. Pure, on plain values."""

from __future__ import annotations

from typing import Any

from .document import is_array, is_object

_EXTRA = "extra"


def covers(declared: Any, there: Any) -> bool:
    """Whether what is there has all that is declared. Objects may have more; lists may not."""
    if is_object(declared) and is_object(there):
        return all(name in there and covers(value, there[name]) for name, value in declared.items())
    if is_array(declared) and is_array(there):
        return len(declared) == len(there) and all(map(covers, declared, there))
    return same(declared, there)


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal: 1 is 1.0, and neither is true."""
    if is_object(one) and is_object(other):
        return one.keys() == other.keys() and all(same(value, other[name]) for name, value in one.items())
    if is_array(one) and is_array(other):
        return len(one) == len(other) and all(map(same, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def onto(declared: Any, there: Any, mark: str = "name") -> Any:
    """What is declared, with what is there and undeclared: fields left out, and those that nobody knows."""
    if is_object(declared) and is_object(there):
        merged = {**there, **declared}
        for name in ("conditions", "filters"):
            if name in declared:
                merged[name] = onto(declared[name], there.get(name, []))
        return merged
    if is_array(declared) and is_array(there):
        free = list(there)
        return [onto(item, _taken(item, at, free, there, mark)) for at, item in enumerate(declared)]
    return declared


def _taken(item: Any, at: int, free: list[Any], there: list[Any], mark: str) -> Any:
    """Which of what is there an item of a list stands for: the one that it covers, or of its name, or in its place."""
    for other in free:
        if covers(item, other):
            free.remove(other)
            return other
    if not is_object(item) or "prop" in item or "subprop_key" in item:
        return None
    named = [other for other in free if is_object(other) and mark in item and other.get(mark) == item[mark]]
    in_place = [there[at]] if mark not in item and at < len(there) and there[at] in free else []
    for other in named or in_place:
        free.remove(other)
        return other
    return None
