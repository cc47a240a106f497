"""Files of ids: what is wrong in them, and what looks wrong."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from pathlib import Path

from amp_exp_async import InvalidInputError, find_emails
from amp_exp_async.bulk.source import read_ids
from amp_exp_async.lint.rules import describe_emails

_SHOWN = 5


def ids_of(file: Path, *, allow_empty: bool) -> list[str]:
    """The ids of a file, or, for `-`, of standard input: one on each line, each once.

    Args:
        file: the file.
        allow_empty: whether there may be none. A query that failed leaves an empty file, too.

    Raises:
        InvalidInputError: the file cannot be read, lines of it are no ids (the message names the first of them), or
            there are none.
    """
    name = "standard input" if file == Path("-") else str(file)
    ids: list[str] = []
    wrong: list[str] = []
    for number, line in enumerate(io.StringIO(_text(file, name), newline=None), 1):
        try:
            ids += read_ids(io.StringIO(line))
        except InvalidInputError as error:
            wrong.append(f"line {number}: {line.strip()[:80]!r} {error.rule}")
    if wrong:
        more = f"; and {len(wrong) - _SHOWN} more lines" if len(wrong) > _SHOWN else ""
        raise InvalidInputError(f"{name}, {'; '.join(wrong[:_SHOWN])}{more}. Nothing was sent.", argument="file")
    if not ids and not allow_empty:
        raise InvalidInputError(f"{name}: there are no ids in it. If that is no mistake, pass --allow-empty.")
    return list(dict.fromkeys(ids))


def email_warning(ids: Sequence[str]) -> str | None:
    """What to say of ids that look like e-mail addresses; None if there are none."""
    found = find_emails(ids)
    return f"Warning: {describe_emails(found)}." if found else None


def _text(file: Path, name: str) -> str:
    try:
        content = sys.stdin.buffer.read() if file == Path("-") else file.read_bytes()
        return content.decode("utf-8-sig")
    except OSError as error:
        raise InvalidInputError(f"{name}: cannot be read ({error.strerror}). Nothing was sent.") from error
    except UnicodeDecodeError as error:
        raise InvalidInputError(
            f"{name}: is not UTF-8 text ({error.reason} at byte {error.start}). Nothing was sent."
        ) from error
