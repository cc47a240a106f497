"""Which iterables are lists of single values: not those whose items are characters, bytes, lines, keys or columns."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Mapping, Sequence
from typing import Any, TypeGuard

from .rejection import reject

_COLUMN_ADVICE = 'Pass one of its columns, such as table["id"].'
_FILE_ADVICE = "Pass read_ids(file), or read_values(file) for the values of a condition."


def iterable(argument: str, value: Any) -> Iterable[Any]:
    """Require an iterable of single values: a list, set, iterator, one-dimensional array, or column of a table."""
    reject_other_items(argument, value)
    return value if _is_iterable(value) else reject(argument, "must be a list", value)


def async_or_iterable(argument: str, value: Any) -> Iterable[Any] | AsyncIterable[Any]:
    """Require an iterable or async iterable of single values."""
    return value if _is_async_iterable(value) else iterable(argument, value)


def sequence(argument: str, value: Any) -> list[Any]:
    """Require an iterable of single values, and return them as a list."""
    return list(iterable(argument, value))


def reject_other_items(argument: str, value: Any) -> None:
    """Reject what iterates something else than single values."""
    if isinstance(value, list | tuple):
        return
    if isinstance(value, str | bytes | bytearray | memoryview | Mapping):
        reject(argument, "must be a list", value)
    dimensions = getattr(value, "ndim", None)
    if isinstance(dimensions, int):  # a column of pandas has its index as attributes, which may contain "columns"
        if dimensions != 1:
            reject(argument, "must be a list or one-dimensional", value, code_advice=_COLUMN_ADVICE)
    elif hasattr(value, "columns"):
        reject(argument, "must be a list, not a table", value, code_advice=_COLUMN_ADVICE)
    elif is_file(value):
        reject(argument, "must be a list, not an open file", value, code_advice=_FILE_ADVICE)
    elif callable(getattr(value, "keys", None)) and not isinstance(value, Sequence):
        reject(argument, "must be a list", value)  # a mapping that does not say so, such as the headers of a message


def _is_iterable(value: Any) -> TypeGuard[Iterable[Any]]:
    return isinstance(value, Iterable)


def _is_async_iterable(value: Any) -> TypeGuard[AsyncIterable[Any]]:
    return isinstance(value, AsyncIterable)


def is_file(value: object) -> bool:
    """Return whether a value is an open file, also of a class that only looks like one."""
    return callable(getattr(value, "readline", None))
