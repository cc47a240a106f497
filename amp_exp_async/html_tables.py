"""Small HTML tables, which notebooks show instead of the text of an object."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import TypeGuard

_MAX_ROWS = 100
_MAX_TEXT = 300


def html_table(rows: Iterable[Mapping[str, object]], count: int) -> str:
    """Return a table with one row for each mapping of column names to values, all of them escaped.

    Args:
        rows: the rows, all with the same columns. No more than 100 are read and shown.
        count: the number of rows.
    """
    from html import escape  # noqa: PLC0415 - only notebooks need it

    def cells(values: Iterable[object], tag: str) -> str:
        return "".join(f"<{tag}>{escape(_text(value))}</{tag}>" for value in values)

    shown = list(islice(rows, _MAX_ROWS))
    if not shown:
        return "<p>No rows</p>"
    body = "".join(f"<tr>{cells(row.values(), 'td')}</tr>" for row in shown)
    note = "" if count == len(shown) else f"<p>{len(shown)} of {count} rows</p>"
    return f"<table><thead><tr>{cells(shown[0], 'th')}</tr></thead><tbody>{body}</tbody></table>{note}"


def _text(value: object) -> str:
    """Return a value as the text of a cell. A missing value is empty."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    text = ", ".join(map(_text, value)) if _is_list(value) else str(value)
    return text if len(text) <= _MAX_TEXT else f"{text[: _MAX_TEXT - 1]}…"


def _is_list(value: object) -> TypeGuard[list[object]]:
    return isinstance(value, list)
