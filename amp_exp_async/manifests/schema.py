"""The JSON Schema of the file format, made from its shape, so that editors complete and check a file."""

from __future__ import annotations

import inspect
import re
from functools import cache
from importlib.resources import files
from typing import Any

import orjson

from .shapes import FILE, Items, Leaf, Object, Schema, Shape

_DIALECT = "http://json-schema.org/draft-07/schema#"


def schema_text() -> str:
    """The schema that ships in the package."""
    return files("amp_exp_async.manifests").joinpath("schema.json").read_text(encoding="utf-8")


def generate() -> str:
    """The schema, made anew."""
    whole: dict[str, Any] = {"$schema": _DIALECT, "title": "Flags and experiments as files (amp_exp_async)"}
    whole |= _schema(FILE)
    return orjson.dumps(whole, option=orjson.OPT_INDENT_2).decode() + "\n"


def _schema(shape: Shape) -> Schema:
    match shape:
        case Leaf():
            return dict(shape.schema)
        case Items():
            return {"type": "array", "items": _schema(shape.of)}
        case Object():
            told = {name: text for cls in shape.told_by for name, text in _told(cls).items()}
            fields = {name: {**_schema(item), **_described(told.get(name))} for name, item in shape.fields.items()}
            schema: Schema = {
                "type": ["object", "null"] if shape.nullable else "object",
                "properties": fields,
                "additionalProperties": False,
            }
            return schema | ({"required": list(shape.required)} if shape.required else {})


def _described(text: str | None) -> Schema:
    return {"description": text} if text else {}


@cache
def _told(cls: type) -> dict[str, str]:
    """What a class's docstring tells of its attributes."""
    _, _, attributes = (inspect.getdoc(cls) or "").partition("Attributes:\n")
    entries = re.findall(r"^ {4}(\w+): (.+(?:\n {8}.+)*)", attributes, re.MULTILINE)
    return {name: re.sub(r"\s+", " ", text) for name, text in entries}
