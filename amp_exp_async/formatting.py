"""Parts of messages: values as JSON on one line, escaped and truncated text, and suggestions for misspelt names."""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Iterable, Sequence
from typing import Any

from .escaping import escape

_MAX_LENGTH = 80
# Without a scheme it is looked for only where it can begin: from every character on would take quadratic time.
_USERINFO_RE = re.compile(r"""(?<=://)[^/?#\s]*@|(?<![^/?#\s"'])[^/?#\s"']+@""")


def format_value(value: Any, max_length: int = _MAX_LENGTH) -> str:
    """Return a value as JSON, or the name of its type if JSON cannot hold it."""
    if isinstance(value, str):
        value = value[: max_length + 1]  # escaping a long text takes long
    try:
        return truncate(escape(json.dumps(value, ensure_ascii=False)), max_length)
    except (TypeError, ValueError, RecursionError):
        cls: type[object] = value if isinstance(value, type) else type(value)
        is_ours = cls.__module__.partition(".")[0] in {"builtins", "amp_exp_async"}
        return cls.__name__ if is_ours else f"{cls.__module__}.{cls.__name__}"  # numpy.bool is not bool


def format_count(count: int, noun: str) -> str:
    """Return a count with its noun: `1 request`, `2 requests`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def truncate(text: str, max_length: int = _MAX_LENGTH) -> str:
    """Return a text of at most `max_length` characters, with an ellipsis if some were cut."""
    return text if len(text) <= max_length else f"{text[: max_length - 1]}…"


def short_items(items: Sequence[object], max_count: int = 5) -> str:
    """Return the text of a tuple, with the number of its items in place of those that are many."""
    if len(items) <= max_count:
        return repr(tuple(items))
    shown = ", ".join(map(repr, items[:max_count]))
    return f"({shown}, … and {len(items) - max_count} more)"


def redact_userinfo(text: str) -> str:
    """Return a text with `***` in place of the user names and passwords of its URLs, with or without a scheme."""
    return _USERINFO_RE.sub("***@", text)


def suggest(name: str, names: Iterable[str]) -> str:
    """Return a question that suggests the most similar of the names, or the list of them if none is similar."""
    known = list(names)
    snake_case = re.sub(r"(?<=[a-z])([A-Z])", r"_\1", str(name)).lower()
    similar = difflib.get_close_matches(snake_case, known, n=1, cutoff=0.65)
    return f"did you mean {format_value(similar[0])}?" if similar else f"expected one of: {', '.join(known)}"


def format_os_error(error: OSError | UnicodeDecodeError) -> str:
    """Return the reason of a failed file operation, without the number and the path."""
    if isinstance(error, UnicodeDecodeError):
        return f"not UTF-8 text: {error.reason} at byte {error.start}"
    if error.filename is not None and error.strerror:  # of the system, or our own
        return error.strerror
    # The error's own text may add the address as a tuple.
    return os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)
