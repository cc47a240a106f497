"""Equality of JSON values."""

from __future__ import annotations

from typing import Any

from .document import is_array, is_object


def same(value: Any, other: Any) -> bool:
    """Return whether two JSON values are equal: 1 equals 1.0, but not true."""
    if is_object(value) and is_object(other):
        return value.keys() == other.keys() and all(same(item, other[name]) for name, item in value.items())
    if is_array(value) and is_array(other):
        return len(value) == len(other) and all(map(same, value, other))
    return isinstance(value, bool) == isinstance(other, bool) and bool(value == other)
