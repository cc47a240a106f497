"""The writer of new YAML manifests, in block style."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .document import is_array, is_object
from .yaml_scalars import format_scalar

_INDENT = "  "
_MAX_NAME = 1000  # a longer name cannot stand on one line with its value


def write_yaml(document: Mapping[str, Any]) -> str:
    """Return a document as YAML, which readers of the versions 1.1 and 1.2 read alike."""
    if not document:
        return "{}\n"
    return "\n".join(_field_lines(document, "")) + "\n"


def _field_lines(fields: Mapping[str, Any], indent: str) -> Iterator[str]:
    for name, value in fields.items():
        key = format_scalar(name)
        if len(key) > _MAX_NAME:
            yield f"{indent}? {key}"
            key = ""
        if _is_block(value):
            yield f"{indent}{key}:"
            yield from _block_lines(value, indent + _INDENT)
        else:
            yield f"{indent}{key}: {_format_inline(value)}"


def _item_lines(items: list[Any], indent: str) -> Iterator[str]:
    for item in items:
        if _is_block(item):
            first, *others = _block_lines(item, indent + _INDENT)
            yield f"{indent}- {first.removeprefix(indent + _INDENT)}"
            yield from others
        else:
            yield f"{indent}- {_format_inline(item)}"


def _block_lines(value: Any, indent: str) -> Iterator[str]:
    return _field_lines(value, indent) if is_object(value) else _item_lines(value, indent)


def _is_block(value: Any) -> bool:
    """Return whether a value is an object or a list that is not empty."""
    return bool(value) and (is_object(value) or is_array(value))


def _format_inline(value: Any) -> str:
    if is_object(value):
        return "{}"
    return "[]" if is_array(value) else format_scalar(value)
