"""Files of lines: one id, or one operation as JSON, on each.

Blank lines and lines that begin with `#` are passed over.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Generator, Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import TypeAlias, TypeGuard, TypeVar

import orjson

from amp_exp_async import validation
from amp_exp_async.errors import InvalidInputError

from .operations import OPERATIONS, Operation

T = TypeVar("T")

File: TypeAlias = os.PathLike[str] | io.TextIOBase
"""A file of lines: its path, or the open file."""

_CLASSES = {cls.__name__: cls for cls in OPERATIONS}


def read_ids(file: File) -> Generator[str, None, None]:
    """The ids of a file, one on each line.

    Raises:
        InvalidInputError: the file cannot be read, or a line is no id; the message names the line.
    """
    return _read(file, lambda line: validation.listed_id("id", line))


def read_operations(file: File) -> Generator[Operation, None, None]:
    """The operations of a file, one on each line: `{"operation": "AddUsers", "kind": "flags", "id": "1", …}`.

    Raises:
        InvalidInputError: the file cannot be read, or a line is no operation; the message names the line.
    """
    return _read(file, operation_of)


def operation_of(given: object, where: str = "operation") -> Operation:
    """An operation, or what stands for one: its JSON text, or a mapping with its name and arguments.

    Args:
        given: the operation.
        where: what to call it in a message.

    Raises:
        InvalidInputError: it is none.
    """
    if isinstance(given, Operation):
        return given
    if isinstance(given, str | bytes):
        try:
            given = orjson.loads(given)
        except orjson.JSONDecodeError as error:
            validation.reject(where, f"must be an operation, or one as JSON ({error})", given)
    arguments = dict(validation.mapping(where, given))
    name = arguments.pop("operation", None)
    if not isinstance(name, str) or name not in _CLASSES:
        validation.reject(f"{where}.operation", f"must be one of {', '.join(_CLASSES)}", name)
    make: Callable[..., Operation] = _CLASSES[name]
    try:
        return make(**arguments)
    except TypeError as error:  # an argument that is missing, or that there is not
        validation.reject(where, str(error).partition("__init__() ")[2] or str(error))


def is_file(given: object) -> TypeGuard[File]:
    """Whether it is a file of lines."""
    return isinstance(given, os.PathLike | io.TextIOBase)


def _read(file: File, parse: Callable[[str], T]) -> Generator[T, None, None]:
    name = os.fspath(file) if isinstance(file, os.PathLike) else str(getattr(file, "name", "the file"))
    try:
        with Path(file).open(encoding="utf-8-sig") if isinstance(file, os.PathLike) else nullcontext(file) as lines:
            yield from _parsed(lines, name, parse)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"{name}: cannot be read ({error}). Nothing was sent.", argument=name) from error


def _parsed(lines: Iterable[str], name: str, parse: Callable[[str], T]) -> Generator[T, None, None]:
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        try:
            yield parse(text)
        except InvalidInputError as error:
            raise InvalidInputError(
                f"{name}, line {number}: {error}", argument=error.argument, rule=error.rule
            ) from None
