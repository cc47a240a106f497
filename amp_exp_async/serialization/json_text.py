"""JSON text to values and back, exactly: by msgspec and orjson, and by Python's `json` where they reject a text.

msgspec keeps integers of any size. Python's `json` also keeps lone surrogates, which other services send.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any, NoReturn

import msgspec
import orjson

# As one expression, they would have no common beginning, which `re` finds ten times faster.
_SURROGATES = (re.compile(rb"\\u[dD][89a-fA-F]"), re.compile(rb"\xed[\xa0-\xbf]"))

_MAX_DIGITS = 300  # Python converts 4,300 at most
_LOOSE_DECODER = json.JSONDecoder(strict=False, parse_int=lambda digits: int(digits[:_MAX_DIGITS]))


def loads(body: bytes | str) -> Any:
    """Return the JSON value of a text. Integers are exact, and lone surrogates in strings are kept.

    Raises:
        ValueError: If the text is not JSON.
    """
    data = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
    try:
        return msgspec.json.decode(data)
    except RecursionError:
        raise ValueError("too many levels of nesting") from None
    except (msgspec.DecodeError, ValueError) as error:
        if not any(pattern.search(data) for pattern in _SURROGATES):
            raise ValueError(str(error)) from None  # before msgspec 0.21, a `DecodeError` is not a `ValueError`
        return _loads_exactly(data)


def loads_loosely(body: bytes) -> Any:
    """Return the JSON value that a text starts with, also if parts of it are not JSON: for what is read of it anyway.

    Numbers that are too large, control characters and bad UTF-8 in strings, and what follows the value are accepted.

    Raises:
        ValueError: If the text does not start with a JSON value.
        RecursionError: If it has too many levels of nesting.
    """
    try:
        return loads(body)
    except ValueError:
        # Replacing bad UTF-8 takes a hundred times as long.
        return _LOOSE_DECODER.raw_decode(body.decode("latin-1"))[0]


def dumps(value: Any, option: int = 0, default: Callable[[Any], Any] | None = None) -> bytes:
    """Return the JSON text of a value, with the options of orjson for sorted keys and for indentation.

    Args:
        value: the value.
        option: the options.
        default: converts a value that is not JSON, or raises `TypeError`.

    Raises:
        TypeError: If the value is not JSON.
    """
    try:
        return orjson.dumps(value, default, option)
    except TypeError:
        return _dumps_exactly(value, option, default)


def _loads_exactly(data: bytes) -> Any:
    try:
        return json.loads(data.decode("utf-8", "surrogatepass"), parse_constant=_reject, parse_float=_parse_float)
    except RecursionError:
        raise ValueError("too many levels of nesting") from None


def _dumps_exactly(value: Any, option: int, default: Callable[[Any], Any] | None) -> bytes:
    is_indented = bool(option & orjson.OPT_INDENT_2)
    text = json.dumps(
        value,
        allow_nan=False,
        default=default,
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
