"""JSON text to values and back: orjson, and Python's `json` for the documents that orjson cannot keep exact."""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

import orjson

# An integer beyond 64 bits has at least 19 digits, so that every fourth byte of it gives four digits in a row. A
# timestamp gives three. Looking at a quarter of the bytes costs a tenth of the time of orjson.
_STRIDE = 4
_DIGITS = b"1111"
_TO_DIGITS = bytes(ord("1") if chr(byte).isdecimal() else 0 for byte in range(128)) + bytes(128)
_BIG_INTEGER_RE = re.compile(rb"(?<![\w.\"+-])-?\d{19}")
_SURROGATE_RE = re.compile(rb"\\u[dD][89a-fA-F]|\xed[\xa0-\xbf]")


def loads(body: bytes | str) -> Any:
    """Return the JSON value of a text. Integers are exact, and lone surrogates in strings are kept.

    Raises:
        ValueError: If the text is not JSON.
    """
    data = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        if _SURROGATE_RE.search(data) is None:
            raise
        return _loads_exactly(data)
    return _loads_exactly(data) if _has_big_integer(data) else value


def dumps(value: Any, option: int = 0) -> bytes:
    """Return the JSON text of a value, with the options of orjson for sorted keys and for indentation.

    Raises:
        TypeError: If the value is not JSON.
    """
    try:
        return orjson.dumps(value, option=option)
    except TypeError:
        return _dumps_exactly(value, option)


def _has_big_integer(data: bytes) -> bool:
    return _DIGITS in data[::_STRIDE].translate(_TO_DIGITS) and _BIG_INTEGER_RE.search(data) is not None


def _loads_exactly(data: bytes) -> Any:
    try:
        return json.loads(data.decode("utf-8", "surrogatepass"), parse_constant=_reject, parse_float=_parse_float)
    except RecursionError:
        raise ValueError("too many levels of nesting") from None


def _dumps_exactly(value: Any, option: int) -> bytes:
    is_indented = bool(option & orjson.OPT_INDENT_2)
    text = json.dumps(
        value,
        allow_nan=False,
        sort_keys=bool(option & orjson.OPT_SORT_KEYS),
        indent=2 if is_indented else None,
        separators=None if is_indented else (",", ":"),
    )
    return text.encode()


def _parse_float(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _reject(text)


def _reject(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a JSON number")
