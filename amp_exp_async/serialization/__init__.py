"""Serialization: JSON to models, and models to JSON."""

TYPE_CHECKING = False  # importing it from typing takes longer than all the rest
if TYPE_CHECKING:
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
else:
    from amp_exp_async.lazy_imports import lazy_imports

    __getattr__, __dir__ = lazy_imports(
        __name__,
        {
            "documents": (
                "decode",
                "encode",
                "encode_query",
                "expect_ok",
                "parse",
                "parse_ids",
                "parse_list",
                "parse_object",
                "parse_page",
                "query",
                "to_json",
            ),
            "json_text": ("dumps", "loads"),
            "malformed": ("MalformedDocumentError",),
            "names": ("NEXT_CURSOR",),
        },
    )

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
