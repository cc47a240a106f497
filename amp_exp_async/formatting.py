"""Format values for messages: as JSON, on one line, cut when long."""

from __future__ import annotations

import json
from typing import Any

_MAX_LENGTH = 80


def format_value(value: Any, max_length: int = _MAX_LENGTH) -> str:
    """Return a value as JSON, or the name of its type if JSON cannot hold it."""
    try:
        return truncate(json.dumps(value, ensure_ascii=False), max_length)
    except (TypeError, ValueError, RecursionError):
        return value.__name__ if isinstance(value, type) else type(value).__name__


def truncate(text: str, max_length: int = _MAX_LENGTH) -> str:
    """Return a text of at most `max_length` characters, with an ellipsis if some were cut."""
    return text if len(text) <= max_length else f"{text[: max_length - 1]}…"
