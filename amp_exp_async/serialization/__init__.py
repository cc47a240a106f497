"""The one place where JSON and models meet."""

from .documents import (
    MalformedDocumentError,
    acknowledged,
    array,
    decode,
    encode,
    identifiers,
    one,
    page,
    parse,
    query,
    raw_query,
    to_json,
)
from .names import NEXT_CURSOR

__all__ = [
    "NEXT_CURSOR",
    "MalformedDocumentError",
    "acknowledged",
    "array",
    "decode",
    "encode",
    "identifiers",
    "one",
    "page",
    "parse",
    "query",
    "raw_query",
    "to_json",
]
