"""The bound on how deeply a document is nested, which keeps later work on it within Python's recursion limit."""

from __future__ import annotations

import re
from itertools import accumulate
from typing import Any

MAX_DEPTH = 200
"""How deeply objects and arrays may be nested, in responses and in files."""

SCALARS = frozenset({str, bool, int, float, type(None)})
"""The types of JSON values that have no parts. Asking for them first is a short cut past the rarer types."""

_CONTAINERS: Any = (dict, list, tuple)
# A string that does not end reaches to the end of the text: otherwise, each quotation mark in it would be tried.
_STRINGS_RE = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_OTHER_BYTES = bytes(set(range(256)) - set(b"[]{}"))
_STEPS = {byte: 1 if byte in b"[{" else -1 for byte in b"[]{}"}


def is_deeper_than(value: Any, levels: int) -> bool:
    """Return whether a JSON value contains another one inside more objects and arrays than the given number."""
    level = [value]
    for _ in range(levels + 1):
        # Most values are scalars. Their class tells it faster than `isinstance`.
        containers = [item for item in level if item.__class__ not in SCALARS and isinstance(item, _CONTAINERS)]
        if not containers:
            return False
        level = [item for parts in containers for item in (parts.values() if hasattr(parts, "values") else parts)]
    return True


def is_text_too_deep(body: bytes) -> bool:
    """Return whether a text exceeds `MAX_DEPTH`. It takes long, but a parser that rejects it may not say why."""
    brackets = _STRINGS_RE.sub(b"", body).translate(None, _OTHER_BYTES)
    return max(accumulate(map(_STEPS.__getitem__, brackets)), default=0) > MAX_DEPTH
