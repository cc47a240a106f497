"""Serialization: JSON to models, and models to JSON."""

from .documents import (
    decode,
    encode,
    encode_query,
    expect_ok,
    parse,
    parse_ids,
    parse_list,
    parse_object,
    parse_page,
    query,
    to_json,
)
from .json_text import dumps, loads
from .malformed import MalformedDocumentError
from .names import NEXT_CURSOR

__all__ = [
    "NEXT_CURSOR",
    "MalformedDocumentError",
    "decode",
    "dumps",
    "encode",
    "encode_query",
    "expect_ok",
    "loads",
    "parse",
    "parse_ids",
    "parse_list",
    "parse_object",
    "parse_page",
    "query",
    "to_json",
]
