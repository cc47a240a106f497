"""Escapes in place of characters that control a terminal or are invisible, so that quoted text cannot hide others.

It knows nothing of the API, so the client and the emulator share it.
"""

from __future__ import annotations

import json


def escape(text: str) -> str:
    """Return a text on one line: JSON escapes replace characters that control a terminal or are invisible."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escape_character(char) for char in text)


def escape_lines(text: str) -> str:
    """Return a text as `escape` does, but with its lines."""
    return text if text.isprintable() else "\n".join(map(escape, text.split("\n")))


def _escape_character(char: str) -> str:
    escaped = json.dumps(char)[1:-1]
    return escaped if escaped != char else f"\\u{ord(char):04x}"  # json leaves U+007F
