"""The input of a bulk run: operations or IDs from iterables and from JSON Lines or text files.

In a file, blank lines and lines that begin with `#` are skipped.
"""

from __future__ import annotations

import asyncio
import io
import os
from collections import deque
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Callable,
    Generator,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
    Sized,
)
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from typing import TypeAlias, TypeGuard, TypeVar

import orjson

from amp_exp_async import validation
from amp_exp_async.errors import InvalidInputError

from .operations import OPERATIONS, Operation

T = TypeVar("T")

File: TypeAlias = os.PathLike[str] | io.TextIOBase
"""A text file: its path, or the open file."""

Operations: TypeAlias = Iterable[Operation] | AsyncIterable[Operation] | File
"""Operations, or a file (its path, or open) with one per line as JSON: `{"operation": "AddUsers", …}`."""

_CLASSES = {cls.__name__: cls for cls in OPERATIONS}
_END = object()


def read_ids(file: File) -> Generator[str, None, None]:
    """Yield the IDs of a file, one per line.

    Raises:
        InvalidInputError: If the file cannot be read, or a line is not an ID. The message names the line.
    """
    return _read_lines(file, lambda line: validation.listed_id("id", line))


def read_operations(file: File) -> Generator[Operation, None, None]:
    """Yield the operations of a file, one per line: `{"operation": "AddUsers", "kind": "flags", "id": "1", …}`.

    Raises:
        InvalidInputError: If the file cannot be read, or a line is not an operation. The message names the line.
    """
    return _read_lines(file, parse_operation)


def parse_operation(value: object, argument: str = "operation") -> Operation:
    """Return an operation from an `Operation`, from a mapping of its class name and arguments, or from JSON text.

    Args:
        value: the operation in one of these forms.
        argument: how error messages name the value.

    Raises:
        InvalidInputError: If the value is none of these.
    """
    if isinstance(value, Operation):
        return value
    if isinstance(value, str | bytes):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError as error:
            validation.reject(argument, f"must be an Operation, or one as JSON ({error})", value)
    if not isinstance(value, Mapping):
        validation.reject(argument, f"must be an Operation, got {type(value).__name__}")
    arguments = dict(validation.mapping(argument, value))
    name = arguments.pop("operation", None)
    if not isinstance(name, str) or name not in _CLASSES:
        validation.reject(f"{argument}.operation", f"must be one of {', '.join(_CLASSES)}", name)
    create: Callable[..., Operation] = _CLASSES[name]
    try:
        return create(**arguments)
    except TypeError as error:  # a missing or an unknown argument
        validation.reject(argument, str(error).partition("__init__() ")[2] or str(error))


def is_file(value: object) -> TypeGuard[File]:
    """Return whether a value is a path or an open text file."""
    return isinstance(value, os.PathLike | io.TextIOBase)


class OperationSource:
    """The operations of a run, read one by one, with look-ahead where reading does not wait.

    Attributes:
        total: the number of operations; None if it is not known.
    """

    def __init__(self, operations: Operations) -> None:
        if not _is_input(operations):
            validation.reject(
                "operations", "must be operations, or the path (pathlib.Path) of a file of operations", operations
            )
        self._path: os.PathLike[str] | None = None
        self._list: Sequence[Operation] = ()
        self._iterator: Iterator[Operation] = iter(())
        self._file: Generator[Operation, None, None] | None = None
        self._async_iterator: AsyncIterator[Operation] | None = None
        match operations:
            case os.PathLike():
                # Only a regular file can be read twice; a pipe cannot.
                self._path = operations if Path(operations).is_file() else None
                self._iterator = self._file = read_operations(operations)
            case io.TextIOBase():
                self._iterator = read_operations(operations)
            case AsyncIterable():
                self._async_iterator = aiter(operations)
            case _:
                self._list = operations if isinstance(operations, Sequence) else ()
                self._iterator = iter(operations)
        self._lookahead: deque[Operation] = deque()
        self._lookahead_error: Exception | None = None
        self.total = len(operations) if isinstance(operations, Sized) else None

    async def open(self) -> None:
        """Validate a list or file as a whole, before anything is sent.

        Raises:
            InvalidInputError: If an item is not an operation.
        """
        if self._path is not None:
            path = self._path
            self.total = await asyncio.to_thread(lambda: sum(1 for _ in read_operations(path)))
        for index, operation in enumerate(self._list):
            parse_operation(operation, f"operations[{index}]")

    def replay(self) -> Iterable[Operation]:
        """Return all operations if they can be read more than once, else none."""
        if self._path is not None:
            return read_operations(self._path)
        return map(parse_operation, self._list)

    async def next(self) -> Operation | None:
        """Return the next operation, or None after the last."""
        if self._lookahead:
            return self._lookahead.popleft()
        if self._lookahead_error is not None:
            raise self._lookahead_error
        iterator = self._async_iterator
        value = next(self._iterator, _END) if iterator is None else await anext(iterator, _END)
        return None if value is _END else parse_operation(value)

    def peek(self, count: int) -> Sequence[Operation]:
        """Return up to `count` next operations that can be read without waiting. `next` raises the errors."""
        if self._lookahead_error is None:
            try:
                self._lookahead.extend(map(parse_operation, islice(self._iterator, count - len(self._lookahead))))
            except Exception as error:  # noqa: BLE001 - raised by `next`, after the operations before it
                self._lookahead_error = error
        return self._lookahead

    async def close(self) -> None:
        """Close the file or the async generator."""
        if self._file is not None:
            self._file.close()
        close = getattr(self._async_iterator, "aclose", None)
        if close is not None:
            await close()


def _is_input(value: object) -> bool:
    return not isinstance(value, str | bytes) and isinstance(value, os.PathLike | Iterable | AsyncIterable)


def _read_lines(file: File, parse: Callable[[str], T]) -> Generator[T, None, None]:
    name = os.fspath(file) if isinstance(file, os.PathLike) else str(getattr(file, "name", "the file"))
    try:
        with Path(file).open(encoding="utf-8-sig") if isinstance(file, os.PathLike) else nullcontext(file) as lines:
            yield from _parse_lines(lines, name, parse)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"{name}: cannot be read ({error}). Nothing was sent.", argument=name) from error


def _parse_lines(lines: Iterable[str], name: str, parse: Callable[[str], T]) -> Generator[T, None, None]:
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
