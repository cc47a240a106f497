"""Files of IDs and values: one per line, or a column of CSV."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import pytest

from amp_exp_async import AddUsers, FileValues, InvalidInputError, RemoveUsers, read_ids, read_values

NO_IDS = [
    '"u1"',
    "'u1'",
    "\u201cu1\u201d",
    '="00123"',
    "1.23457E+12",
    "1,23457E+12",
    "2E+15",
    "1.2e+12",
    "-1.5E+09",
    *("NULL", "null", "None", "nan", "<NA>", "undefined", "(null)", "[NULL]", "<null>", "-", "--", "\u2014"),
    *("#N/A", "#REF!", "#NAME?", "#DIV/0!", "#VALUE!", "#GETTING_DATA", "Err:502"),
    *("(3 rows)", "(1 row)", "1,024 rows", "3 rows affected", "2 rows in set (0.01 sec)", "5 rows selected."),
    *("------", "===", "+-----+-----+", "----- | ----", "\u2500\u2500\u253c\u2500", "***"),
    *("user_id", "User ID", "deviceId", "customer-id", "external_id", "account id", "player_ids", "cohort_uuid"),
    "u1;u2",
    "a\nb",
    "Ann <ann@example.com>",
    "<ann@example.com>",
    "u" * 1025,
]
IDS = [
    *(
        "E+12",
        "1e12",
        "1.5",
        "-5",
        "0",
        "007",
        "1E5",
        "12e3",
        "O'Brien",
        "Ann",
        "Ann Lee",
        "none-1",
        "Null",
        "nullpointer",
    ),
    *("a@b.c", "ann+test@example.com", "<u>", "{3f2504e0}", "3f2504e0-4f89-11d3-9a0c-0305e82c3301", "auth0|5f7c8ec7"),
    *("a-b_c", "u#1", "=1", "=", "_", "a--", "YW5uCg==", "+49 30 1234", "user_id_5", "my_user_id", "rows", "3 rowsers"),
    *("user", "login", "customer", "id-1", "\u00fc", "\u674e", "\N{PARTY POPPER}", "u" * 1024),
]


@pytest.mark.parametrize("value", NO_IDS)
def test_what_is_surely_not_an_id(value: str, tmp_path: Path) -> None:
    """It is rejected when it is to be added, with its line if it comes from a file, and can be removed."""
    with pytest.raises(InvalidInputError, match=r"users\[1\]: .*\. Nothing was sent\."):
        AddUsers("flags", "1", "on", ["a", value])
    assert RemoveUsers("flags", "1", "on", [value]).users == (value,)
    path = tmp_path / "ids.csv"
    path.write_text('id\nu1\n"{}"\n'.format(value.replace('"', '""')), encoding="utf-8")
    with pytest.raises(InvalidInputError, match=r"ids\.csv, line 3: .*Nothing was sent") as caught:
        read_ids(path, column="id").require_new_ids()
    assert len(str(caught.value)) < 400 + len(str(path))


def test_what_may_be_an_id() -> None:
    """Unusual IDs are not rejected, also from a file."""
    assert AddUsers("flags", "1", "on", IDS).users == tuple(IDS)
    values = read_ids(io.StringIO("\n".join(IDS)))
    values.require_new_ids()
    assert list(values) == IDS


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("user_id\nu1", 1, "is the name of a column"),
        ("# of today\n\nEmail\nu1", 3, "is the name of a column"),
        *((f"{name}\nu1", 1, "is the name of a column") for name in ("customer_id", "Username", "login", "account id")),
        *(
            (f"u1\n{line}", 2, 'begins with "#"')
            for line in ("#N/A", "#REF!", "#u2", "#5", "#_", "########", "##u2", '#"u2"', "#-u2", "#{u2}")
        ),
        ("u1\nu2;2026", 2, "has several columns"),
        ("u1\tx", 1, "has several columns"),
        ('{"user_id": "u1"}', 1, "is JSON"),
        ("u1 # the boss", 1, "has a comment behind the ID"),
        ("u1\n" + "x" * 3_000_000, 2, "has 3,000,000 characters, more than 1,024"),
    ],
)
def test_lines_that_are_surely_no_ids(text: str, line: int, message: str) -> None:
    """The form of a line tells that it is not an ID. The message names the line and is short."""
    with pytest.raises(InvalidInputError, match=rf"^the file, line {line}: .*{message}") as caught:
        read_ids(io.StringIO(text))
    assert len(str(caught.value)) < 300


def test_lines(tmp_path: Path) -> None:
    """Blank lines, comments, outer white space and repetitions are dropped; a path may be text."""
    path = tmp_path / "ids.txt"
    path.write_bytes(b"\xef\xbb\xbf# all\r\n\r\n u1 \r\n  # more\r\nu2\r\nu1\r\nlogin\r\n#\r\n## end\r\n")
    for file in (path, str(path), io.StringIO(path.read_text(encoding="utf-8-sig"))):
        values = read_ids(file)
        assert (list(values), len(values), values.lines) == (
            ["u1", "u2", "login"],
            3,
            {3: "u1", 5: "u2", 6: "u1", 7: "login"},
        )
    assert read_ids(path) == FileValues(str(path), values.lines)
    assert list(read_values(path)) == list(values)
    with pytest.raises(InvalidInputError, match=r"line 1: .*in quotes"):
        read_values(io.StringIO('"a"'))


CSV = """Name,"user ""id""\",Added
"Doe, Ann",u1,2026
\"Multi
line\", "u;2",
,,
Kim,,
Bo,u1,"""


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("column", ['user "id"', "2"])
def test_csv(separator: str, column: str, tmp_path: Path) -> None:
    """Quoted fields, line breaks in fields and separators are those of CSV. Blank fields are skipped."""
    text = CSV.replace("Doe, Ann", "Doe Ann").replace("u;2", "u 2").replace(",", separator)
    path = tmp_path / "users.csv"
    path.write_text("\ufeff" + text.replace("\n", "\r\n"), encoding="utf-8", newline="")
    assert list(read_ids(path, column=column)) == ["u1", "u 2"]
    assert read_values(path, column=column).lines == {2: "u1", 3: "u 2", 7: "u1"}


@pytest.mark.parametrize("first", ["sep=;\n", "\ufeffsep=;\r\n", '"sep=;"\n', "sep=|\n", "sep=,\n"])
def test_a_declared_separator(first: str, tmp_path: Path) -> None:
    """A first line that names the separator, as in files for Excel, is no row, and is counted as a line."""
    separator = re.sub(r".*sep=(.).*", r"\1", first.strip())
    path = tmp_path / "ids.csv"
    path.write_text(first + f"id{separator}name\nu1{separator}a\nu2\n", encoding="utf-8", newline="")
    with pytest.raises(InvalidInputError, match="line 4: has 1 column, and the first row has 2"):
        read_ids(path, column="id")
    path.write_text(first + f"id{separator}name\nu1{separator}a\n", encoding="utf-8", newline="")
    assert read_values(path, column="id").lines == {3: "u1"}


def test_quoted_separators() -> None:
    """A separator in quotes is a part of the field."""
    assert list(read_ids(io.StringIO(CSV), column="2")) == ["u1", "u;2"]


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("id,mail\nu1,x", "email", r'the file: has no column "email"\. Its columns: "id", "mail"\. Nothing was sent'),
        ("id,mail\nu1,x", "3", 'has no column "3"'),
        ("id,mail\nu1,x", "0", 'has no column "0"'),
        ("", "id", "Its columns: none"),
        ("id,id\nu1,x", "id", 'has more than one column "id"'),
        ("u1,2026\nu2,2026", "1", 'line 1: "u1" looks like an ID'),
        ("id,mail\nu1,x\nu2", "id", "line 3: has 1 column, and the first row has 2"),
        ('id,mail\n"u1,x\nu2', "id", "line 2: is not CSV"),
        ("id,mail\n" + "x" * 200_000, "id", "line 2: is not CSV"),
    ],
)
def test_invalid_csv(text: str, column: str, message: str) -> None:
    """A wrong column lists the columns; a wrong row is named by its line."""
    with pytest.raises(InvalidInputError, match=message):
        read_ids(io.StringIO(text), column=column)


@pytest.mark.parametrize("file", [5, None, b"ids.txt", ["ids.txt"]])
def test_wrong_arguments(file: Any) -> None:
    """A value that is not a file is rejected, and a missing one with advice."""
    with pytest.raises(InvalidInputError, match="file: must be a path or an open text file"):
        read_ids(file)
    with pytest.raises(InvalidInputError, match="column: must be a string"):
        read_ids("ids.csv", column=2)  # type: ignore[arg-type]
    with pytest.raises(
        InvalidInputError, match=r"u1: cannot be read.*If this is a value and not a path, pass it in a list"
    ):
        read_ids("u1")
    with pytest.raises(InvalidInputError, match=r"cannot be read .not UTF-8"):
        read_ids(io.TextIOWrapper(io.BytesIO(b"\xff"), encoding="utf-8"))
