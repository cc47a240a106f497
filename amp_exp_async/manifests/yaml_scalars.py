"""The scalars of YAML: read by the core schema of version 1.2, and written so that other readers agree.

Other readers are those of version 1.1, and ruamel.yaml, which reads 1.2 but takes `1_000` and `0b101` for numbers.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any, Final

from amp_exp_async.formatting import format_value, truncate

TAG: Final = "tag:yaml.org,2002:"
_STRING = f"{TAG}str"

_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
_MAX_DIGITS = 1000  # of an octal or hexadecimal integer; Python itself bounds the decimal ones
_TAGS = (
    (re.compile(r"~|null|Null|NULL|"), f"{TAG}null"),
    (re.compile(r"true|True|TRUE|false|False|FALSE"), f"{TAG}bool"),
    (_INTEGER, f"{TAG}int"),
    (_FLOAT, f"{TAG}float"),
)
"""The tag of a plain scalar that is not a string."""
TAGS_OF_OTHERS = frozenset(tag for _, tag in _TAGS)
_FIRST_OF_OTHERS = frozenset("-+.0123456789~nNtTfF")
"""The first characters of plain scalars that may be other than strings."""

_BOOLEANS = {"yes": True, "on": True, "true": True, "no": False, "off": False, "false": False}
_BOOLEANS_OF_1_1 = frozenset({"y", "n", *_BOOLEANS})
_LIKE_A_NUMBER = re.compile(r"[0-9][0-9a-fA-FoxTtZz_:.,+ -]*|_[0-9_]*")
"""What another reader may take for a number or a time."""
_FIRST_OF_PLAIN = frozenset("_/$(")


def tag_of(text: str) -> str:
    """Return the tag of a plain scalar that has none in the text."""
    if not text or text[0] in _FIRST_OF_OTHERS:
        for pattern, tag in _TAGS:
            if pattern.fullmatch(text):
                return tag
    return _STRING


def resolve(text: str) -> Any:
    """Return the value of a plain scalar without a tag.

    Raises:
        ValueError: If JSON cannot hold it.
    """
    tag = tag_of(text)
    return text if tag is _STRING else construct(tag, text)


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
    base = {"0o": 8, "0x": 16}.get(text[:2], 10)
    if not _INTEGER.fullmatch(text) or (base != 10 and len(text) > _MAX_DIGITS):
        raise ValueError(text)
    return int(text, base)


def _to_float(text: str) -> float:
    if not _FLOAT.fullmatch(text):
        raise ValueError(text)
    return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))


_CONSTRUCTORS: dict[str, Callable[[str], Any]] = {
    f"{TAG}null": lambda _: None,
    f"{TAG}bool": _to_boolean,
    f"{TAG}int": _to_integer,
    f"{TAG}float": _to_float,
    _STRING: str,
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
        and tag_of(text) is _STRING
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
