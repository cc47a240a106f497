"""What the service says, as text that a terminal can be given."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from amp_exp_async import UNSET
from amp_exp_async.manifests.document import is_array, is_object


def printable(value: object) -> str:
    """One line of it, without what would move the cursor, change colours, or be taken for another cell."""
    return "".join(one if one.isprintable() else " " for one in str(value))


def readable(text: str) -> str:
    """A text whose lines are printable."""
    return "\n".join(map(printable, text.split("\n")))


def cell(value: Any) -> str:
    """A value in a table; nothing for one that is null or that the service does not show."""
    if value is None or value is UNSET:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if is_array(value):
        return ",".join(map(cell, value))
    return f"{value:%Y-%m-%d %H:%M}" if hasattr(value, "strftime") else str(value)


def lines(fields: Mapping[str, Any]) -> Iterator[str]:
    """Plain values as lines, one for each field; what is inside of one stands below it.

    Args:
        fields: the values by their names.
    """
    for name, value in fields.items():
        if name == "payload":
            yield f"{name}: {_json(value)}"
        elif is_object(value) and value:
            yield f"{name}:"
            yield from (f"  {line}" for line in lines(value))
        elif is_array(value) and any(map(is_object, value)):
            yield f"{name}:"
            for item in value:
                first, *others = lines(item) if is_object(item) else [_one(item)]
                yield f"  - {first}"
                yield from (f"    {line}" for line in others)
        else:
            yield f"{name}: {_one(value)}"


def _one(value: Any) -> str:
    if isinstance(value, str):
        # A text that is empty, or has line breaks in it, is told from others by its quotes.
        return value if value and value.isprintable() else repr(value)
    if is_array(value) and value:
        return ", ".join(map(_one, value))
    return _json(value)


def _json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if text.isprintable() else json.dumps(value)
