"""What is surely not an ID, or not a value of a property, whatever a company uses: traces of exports and tables."""

from __future__ import annotations

import re

_MAX_LENGTH = 1024  # the longest text that Amplitude stores
_QUOTES = {'"': '"', "'": "'", "\u201c": "\u201d", "\u2018": "\u2019"}
# What programs write for a missing value. Amplitude drops IDs of fewer than five characters, unless told otherwise.
_MISSING = frozenset(
    {
        *("NULL", "null", "(NULL)", "(null)", "<NULL>", "<null>", "[NULL]", "[null]", "None", "undefined", "\\N"),
        *("NaN", "nan", "NaT", "<NA>", "N/A", "-", "--", "\u2013", "\u2014"),
    }
)
_COLUMN_ID_RE = re.compile(
    r"(user|device|customer|client|external|account|player|member|person|profile|visitor|subscriber|contact|amplitude"
    r"|cohort)[ _-]?(ids?|uuids?|guids?)",
    re.IGNORECASE,
)
# The names of columns that a user may have as an ID, but not in the first line of a file.
_COLUMNS = frozenset(
    {
        *("id", "ids", "uid", "uids", "uuid", "uuids", "guid"),
        *("user", "users", "device", "devices", "cohort", "cohorts"),
        *("customer", "customers", "account", "accounts", "player", "players", "member", "members"),
        *("email", "emails", "e-mail", "e-mails", "mail", "e-mail address", "email address", "email_address"),
        *("login", "login name", "username", "user name", "user_name", "user-name", "usernames", "name", "names"),
    }
)
_FORMS = (
    (re.compile(r'=".*"'), "is a formula of a spreadsheet: export plain text"),
    (
        re.compile(r"-?[0-9]([.,][0-9]+)?[Ee]\+[0-9]{2,3}"),  # 1.23457E+12: the other digits are lost
        "is a number that a spreadsheet has rounded: export the column as text",
    ),
    (
        re.compile(r"#(N/A|DIV/0!|GETTING_DATA|[A-Z]+[!?])|Err:[0-9]{3}"),
        "is an error of a spreadsheet: correct its cell",
    ),
    (re.compile(r"[^<>]*<[^@\s<>]+@[^@\s<>]+>"), "is an address with a name: keep the part that is meant"),
)
_TABLE_FORMS = (
    (re.compile(r"[-=_+*~.|\s\u2010-\u2015\u2500-\u257f]{3,}"), "is a line of a table: remove it"),
    (
        re.compile(r"\(?[0-9][0-9.,]* rows?( (affected|selected|returned|in set\b.*))?\.?\)?", re.IGNORECASE),
        "is a count of rows: remove it",
    ),
)


def length_problem(text: str) -> str | None:
    """Return that a text is longer than an ID or a value can be, or None."""
    return f"has {len(text):,} characters, more than {_MAX_LENGTH:,}" if len(text) > _MAX_LENGTH else None


def form_problem(text: str) -> str | None:
    """Return why a text is neither an ID nor a value of a property; None if it may be one."""
    for pattern, problem in _FORMS:
        if pattern.fullmatch(text):
            return problem
    if len(text) > 1 and _QUOTES.get(text[0]) == text[-1]:
        return "is in quotes: remove them"
    return length_problem(text)


def id_problem(text: str) -> str | None:
    """Return why a text is surely not an ID; None if it may be one."""
    for separator, name in {",": "comma", ";": "semicolon"}.items():
        if separator in text:
            return f"must not contain a {name}: pass each ID as its own item"
    if text in _MISSING:
        return "stands for a missing value"
    if _COLUMN_ID_RE.fullmatch(text):
        return "is the name of a column: remove it"
    for pattern, problem in _TABLE_FORMS:
        if pattern.fullmatch(text):
            return problem
    return form_problem(text)


def is_column_name(text: str) -> bool:
    """Return whether the first line of a file is the name of a column."""
    return text.casefold() in _COLUMNS or _COLUMN_ID_RE.fullmatch(text) is not None
