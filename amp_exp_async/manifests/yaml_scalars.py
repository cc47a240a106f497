"""The scalars of YAML: read by the core schema of version 1.2, and written so that readers of 1.1 agree.

Like ruamel.yaml, the reader also takes underscores in numbers, and binary integers.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any, Final

from amp_exp_async.formatting import format_value, truncate

TAG: Final = "tag:yaml.org,2002:"

_INTEGER = re.compile(r"[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0o[0-7_]+|[0-9_]+)")
_MAX_DIGITS = 1000  # of a binary, octal or hexadecimal integer; Python itself bounds the decimal ones
_TAGS = (
    (re.compile(r"~|null|Null|NULL|"), "null"),
    (re.compile(r"true|True|TRUE|false|False|FALSE"), "bool"),
    (_INTEGER, "int"),
    (
        re.compile(
            r"[-+]?[0-9][0-9_]*(?:\.[0-9_]*(?:[eE][-+]?[0-9]+)?|[eE][-+]?[0-9]+)|[-+]?\.[0-9_]+(?:[eE][-+][0-9]+)?"
            r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
        ),
        "float",
    ),
    (re.compile("="), "value"),
)
"""The tag of a plain scalar that is not a string."""
_FIRST_OF_OTHERS = frozenset("-+.0123456789~nNtTfF=")
"""The first characters of plain scalars that may be other than strings."""

_BOOLEANS = {"yes": True, "on": True, "true": True, "no": False, "off": False, "false": False}
_BOOLEANS_OF_1_1 = frozenset({"y", "n", *_BOOLEANS})
_LIKE_A_NUMBER = re.compile(r"[0-9][0-9a-fA-FoxTtZz_:.,+ -]*")
"""What a reader of YAML 1.1 may take for a number or a time."""
_FIRST_OF_PLAIN = frozenset("_/$(")


def resolve(text: str) -> Any:
    """Return the value of a plain scalar without a tag.

    Raises:
        ValueError: If JSON cannot hold it.
    """
    if text and text[0] not in _FIRST_OF_OTHERS:
        return text
    for pattern, tag in _TAGS:
        if pattern.fullmatch(text):
            return construct(f"{TAG}{tag}", text)
    return text


def construct(tag: str, text: str) -> Any:
    """Return the value of a scalar with a tag.

    Raises:
        ValueError: If it is not a value of its tag, or if JSON cannot hold it.
    """
    try:
        value = _CONSTRUCTORS[tag](text)
    except (KeyError, ValueError):
        raise ValueError(f"must be JSON, which has no {tag}: {format_value(text)}") from None
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"must be JSON, which has no {truncate(text)}")
    return value


def _to_boolean(text: str) -> bool:
    return _BOOLEANS[text.lower()]


def _to_integer(text: str) -> int:
    digits = text.replace("_", "").lstrip("+-")
    base = {"0b": 2, "0o": 8, "0x": 16}.get(digits[:2])
    if not _INTEGER.fullmatch(text) or (base and len(digits) > _MAX_DIGITS):
        raise ValueError(text)
    number = int(digits[2:], base) if base else int(digits)
    return -number if text.startswith("-") else number


def _to_float(text: str) -> float:
    return float(text.replace("_", "").lower().replace(".inf", "inf").replace(".nan", "nan"))


_CONSTRUCTORS: dict[str, Callable[[str], Any]] = {
    f"{TAG}null": lambda _: None,
    f"{TAG}bool": _to_boolean,
    f"{TAG}int": _to_integer,
    f"{TAG}float": _to_float,
    f"{TAG}str": str,
    f"{TAG}timestamp": str,
    "!": str,
}


def is_plain(text: str) -> bool:
    """Return whether all readers take a plain scalar of a block for this string."""
    return (
        text != ""
        and (text[0].isalnum() or text[0] in _FIRST_OF_PLAIN)
        and text[-1] not in " :"
        and ": " not in text
        and " #" not in text
        and text.isprintable()
        and text.lower() not in _BOOLEANS_OF_1_1
        and not _LIKE_A_NUMBER.fullmatch(text)
        and isinstance(resolve(text), str)
    )


def format_scalar(value: Any) -> str:
    """Return the text of a string, a number, a boolean or null: one line that all readers read alike."""
    if isinstance(value, str):
        return value if is_plain(value) else quote(value)
    text = json.dumps(value)
    # Readers of YAML 1.1 take 1e+16 for a string.
    return text.replace("e", ".0e") if isinstance(value, float) and "." not in text else text


def quote(text: str) -> str:
    """Return a string in double quotes, with escapes for all characters that are not printable."""
    return "".join(
        char if char.isprintable() else f"\\u{ord(char):04x}" if char < "\U00010000" else f"\\U{ord(char):08x}"
        for char in json.dumps(text, ensure_ascii=False)
    )
