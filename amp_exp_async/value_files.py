"""Files of IDs or other values: one per line, or a column of CSV."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import islice
from typing import TypeAlias, TypeGuard

from attrs import field, frozen

from . import validation
from .errors import NOTHING_SENT, InvalidInputError
from .file_access import read_file, read_text_stream
from .formatting import format_count, format_os_error, format_value

TextFile: TypeAlias = str | os.PathLike[str] | io.TextIOBase
"""A text file: its path, or the open file."""

_SEPARATORS = (",", ";", "\t")
_DECLARED_SEPARATOR = re.compile(r'"?sep=([^"\r\n])"?[\r\n]')  # the first line of CSV that is made for Excel
_MAX_LISTED = 5
_SHOWN = 80  # characters of a value in a message
_COMMENT = re.compile(r"#(#*\s.*)?", re.DOTALL)
_COMMENT_BEHIND = re.compile(r"\s#\s")
_OBJECT = re.compile(r'\{\s*".*\}')


@frozen
class FileValues:
    """The distinct values of a file, in its order. Pass it wherever a list is taken.

    Attributes:
        name: the file's name in messages.
        lines: the values, by the number of their line.
    """

    name: str
    lines: Mapping[int, str]
    _values: tuple[str, ...] = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "_values", tuple(dict.fromkeys(self.lines.values())))

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def require_new_ids(self, ids: Collection[str] | None = None) -> None:
        """Raise if values break the rules for IDs that are to be added. The message names the first lines.

        Args:
            ids: the values that are to be added; None for all.

        Raises:
            InvalidInputError: If there is one.
        """
        wanted = None if ids is None else frozenset(ids)
        problems: list[str] = []
        for number, value in self.lines.items():
            if wanted is None or value in wanted:
                try:
                    validation.listed_id("id", value)
                except InvalidInputError as error:
                    problems.append(f"line {number}: {format_value(value[:_SHOWN])} {error.rule}")
        if problems:
            hidden = len(problems) - _MAX_LISTED
            more = f"; and {hidden} more {'line' if hidden == 1 else 'lines'}" if hidden > 0 else ""
            first, _, rule = "; ".join(problems[:_MAX_LISTED]).partition(": ")
            raise _line_error(f"{self.name}, {first}", f"{rule}{more}")


def read_ids(file: TextFile, *, column: str | None = None) -> FileValues:
    """Return the distinct IDs of users, devices or cohorts in a file.

    Without a column, a line is an ID; blank lines and comments (`# …`) are skipped. A line that is surely something
    else is rejected: the name of a column in the first line, several columns, JSON, an ID with a comment behind it, and
    more than 1,024 characters. A line such as `#N/A` or `#u1` is rejected, too, since it is no comment for sure: a
    comment has no letter, digit or `_` behind its `#`. The rules for new IDs are checked when the IDs are added.

    Args:
        file: the file's path, or the open file. UTF-8.
        column: the name or the number (from 1) of a column: the file is CSV, whose first row has the names. The
            separator may be a comma, a semicolon or a tab, or is named by a line `sep=;` before it. Blank fields are
            skipped.

    Raises:
        InvalidInputError: If the file cannot be read or has no such column, or if a line is surely not an ID.

    Example:
        `client.flags.users.replace("123", "on", read_ids("users.csv", column="user_id"), max_removals=0.2)`
    """
    return _read(file, column, _id_line_problem)


def read_values(file: TextFile, *, column: str | None = None) -> FileValues:
    """Return the distinct values in a file, such as the values of a condition.

    Args:
        file: the file's path, or the open file. UTF-8. Blank lines and comments (`# …`) are skipped.
        column: the name or the number of a column of CSV, as in `read_ids`.

    Raises:
        InvalidInputError: If the file cannot be read or has no such column, or if a line is in quotes, is an
            address with a name (`Ann <ann@example.com>`), is what a spreadsheet made (`#N/A`), or has more than 1,024
            characters.

    Example:
        `client.flags.segments.add_values("123", "Pilot", "gp:email", read_values("pilots.csv", column="email"),
        case="ignore")`
    """
    return _read(file, column, _value_line_problem)


def is_text_file(value: object) -> TypeGuard[TextFile]:
    """Return whether a value is a path or an open text file."""
    return isinstance(value, str | os.PathLike | io.TextIOBase)


def _read(file: TextFile, column: str | None, line_problem: Callable[[str, bool], str | None]) -> FileValues:
    if not is_text_file(file):
        validation.reject("file", "must be a path or an open text file", file)
    if column is not None:
        validation.string("column", column)
    name = str(getattr(file, "name", "the file")) if isinstance(file, io.TextIOBase) else os.fspath(file)
    try:
        text = read_text_stream(file) if isinstance(file, io.TextIOBase) else read_file(file).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(
            argument=name,
            rule=f"cannot be read ({format_os_error(error)})",
            consequence=NOTHING_SENT,
            code_advice="If this is a value and not a path, pass it in a list." if isinstance(file, str) else "",
        ) from error
    if column is not None:
        return FileValues(name, dict(_column(text, name, column)))
    lines = dict(_content(text))
    first = next(iter(lines), 0)
    for number, line in lines.items():
        if problem := validation.length_problem(line) or _comment_problem(line) or line_problem(line, number == first):
            raise _line_error(f"{name}, line {number}", f"{format_value(line[:_SHOWN])} {problem}")
    return FileValues(name, lines)


def _content(text: str) -> Iterator[tuple[int, str]]:
    """Yield the number and the stripped text of each line that is neither blank nor a comment."""
    for number, line in enumerate(io.StringIO(text, newline=None), 1):
        if (value := line.strip()) and not _COMMENT.fullmatch(value):
            yield number, value


def _comment_problem(line: str) -> str | None:
    """Return why a line may be a comment or a value, which only its author knows, or None."""
    if not line.startswith("#"):
        return None
    return 'begins with "#". Write a comment as "# …", or choose a column to read the file as CSV'


def _id_line_problem(line: str, is_first: bool) -> str | None:
    """Return why a line of a file without columns is surely not an ID, or None."""
    if is_first and validation.is_column_name(line):
        return "is the name of a column. Remove the line, or read the column as CSV"
    if ";" in line or "\t" in line:
        return "has several columns. Choose a column to read the file as CSV"
    if _OBJECT.fullmatch(line):
        return "is JSON. Write one ID per line"
    if _COMMENT_BEHIND.search(line):
        return "has a comment behind the ID. Write comments on lines of their own"
    return None


def _value_line_problem(line: str, _is_first: bool) -> str | None:
    """Return why a line of a file without columns is surely not a value, or None."""
    return validation.form_problem(line)


def _column(text: str, name: str, column: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of each field of a column that is not blank."""
    declared = _DECLARED_SEPARATOR.match(text)
    separator = declared[1] if declared else max(_SEPARATORS, key=lambda each: len(_first_row(text, name, each)))
    header = _first_row(text, name, separator)
    index = _column_index(header, name, column)
    rows = islice(_rows(text, name, separator), 1, None)
    for number, row in rows:
        if not any(map(str.strip, row)):
            continue
        if len(row) != len(header):
            count = format_count(len(row), "column")
            raise _line_error(f"{name}, line {number}", f"has {count}, and the first row has {len(header)}")
        if value := row[index].strip():
            yield number, value


def _first_row(text: str, name: str, separator: str) -> list[str]:
    """Return the names of the columns."""
    row = next(_rows(text, name, separator, strict=False), None)
    return [] if row is None else [cell.strip() for cell in row[1]]


def _rows(text: str, name: str, separator: str, *, strict: bool = True) -> Iterator[tuple[int, list[str]]]:
    """Yield the line and the fields of each row."""
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=strict)
    if _DECLARED_SEPARATOR.match(text):
        next(rows)
    while True:
        number = rows.line_num + 1
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            raise _line_error(f"{name}, line {number}", f"is not CSV ({error})") from error
        yield number, row


def _column_index(header: list[str], name: str, column: str) -> int:
    """Return the index of the column with a name, or else with a number."""
    found = [index for index, cell in enumerate(header) if cell == column]
    if len(found) == 1:
        return found[0]
    if not found and column.isdecimal() and 1 <= int(column) <= len(header):
        index = int(column) - 1
        if re.search(r"[0-9@]", header[index]):
            rule = f"{format_value(header[index])} looks like an ID. Add a row with the names of the columns before it"
            raise _line_error(f"{name}, line 1", rule)
        return index
    known = ", ".join(map(format_value, header)) or "none"
    fact = "has no column" if not found else "has more than one column"
    raise InvalidInputError(
        argument="column",
        subject=name,
        rule=f"{fact} {format_value(column)}. Its columns: {known}",
        consequence=NOTHING_SENT,
    )


def _line_error(location: str, rule: str) -> InvalidInputError:
    return InvalidInputError(argument="file", subject=location, rule=rule, consequence=NOTHING_SENT)
