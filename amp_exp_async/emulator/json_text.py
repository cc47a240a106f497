"""JSON as the service reads and writes it: integers of any size are exact, and half surrogates are escaped."""

import json
import math
from typing import Any, NoReturn

import orjson


def dumps(value: object, *, indent: bool = False) -> bytes:
    """Return the JSON text of a value."""
    try:
        return orjson.dumps(value, option=orjson.OPT_INDENT_2 if indent else None)
    except TypeError:  # an integer beyond 64 bits, or a half surrogate, which UTF-8 does not have
        separators = None if indent else (",", ":")
        return json.dumps(value, allow_nan=False, indent=2 if indent else None, separators=separators).encode()


def loads(content: bytes) -> Any:
    """Return the value of a JSON text.

    Raises:
        ValueError: If it is not JSON.
    """
    try:
        return json.loads(content.decode(), parse_constant=_reject, parse_float=_finite)
    except RecursionError:
        raise ValueError("too many levels of nesting") from None


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _reject(text)


def _reject(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a JSON number")
