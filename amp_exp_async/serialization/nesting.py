"""The bound on how deeply a response is nested, which keeps later work on it within Python's recursion limit."""

from __future__ import annotations

import re
from itertools import accumulate
from typing import Any

# As in files of flags.
MAX_DEPTH = 200

_STRINGS_RE = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_OTHER_BYTES = bytes(set(range(256)) - set(b"[]{}"))
_STEPS = {byte: 1 if byte in b"[{" else -1 for byte in b"[]{}"}


def is_too_deep(document: Any) -> bool:
    """Return whether the arrays and objects of a JSON value are nested deeper than `MAX_DEPTH` levels."""
    level = [document]
    for _ in range(MAX_DEPTH + 1):
        containers = [value for value in level if value.__class__ is dict or value.__class__ is list]
        if not containers:
            return False
        level = [item for value in containers for item in (value.values() if value.__class__ is dict else value)]
    return True


def is_text_too_deep(body: bytes) -> bool:
    """Return the same for a text. It takes long, but a parser that rejects the text may not give the reason."""
    brackets = _STRINGS_RE.sub(b"", body).translate(None, _OTHER_BYTES)
    return max(accumulate(map(_STEPS.__getitem__, brackets)), default=0) > MAX_DEPTH
