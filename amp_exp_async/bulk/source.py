"""The input of a bulk run: operations from iterables and from JSON Lines files.

In a file, blank lines and lines that begin with `#` are skipped.
"""

from __future__ import annotations

import asyncio
import inspect
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
from contextlib import contextmanager, nullcontext
from functools import partial
from itertools import islice
from typing import TypeAlias, TypeVar

from amp_exp_async import serialization, validation
from amp_exp_async.errors import NOTHING_SENT, NOTHING_SENT_FOR_ITEM, InvalidInputError
from amp_exp_async.file_access import MAX_STREAM, open_file
from amp_exp_async.formatting import format_os_error
from amp_exp_async.value_files import TextFile, is_text_file

from .operations import OPERATIONS, Operation

T = TypeVar("T")

Operations: TypeAlias = Iterable[Operation] | AsyncIterable[Operation] | TextFile
"""Operations, or a file (its path, or open) with one per line as JSON: `{"operation": "AddUsers", …}`."""

_CLASSES = {cls.__name__: cls for cls in OPERATIONS}
_END = object()


def read_operations(file: TextFile) -> Generator[Operation, None, None]:
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
            value = serialization.loads(value)
        except ValueError as error:
            validation.reject(argument, f"must be an Operation, or one as JSON ({error})", value)
    if not isinstance(value, Mapping):
        validation.reject(argument, "must be an Operation", value)
    arguments = dict(validation.mapping(argument, value))
    name = arguments.pop("operation", None)
    if not isinstance(name, str) or name not in _CLASSES:
        validation.reject(f"{argument}.operation", f"must be one of {', '.join(_CLASSES)}", name)
    create: Callable[..., Operation] = _CLASSES[name]
    try:
        return create(**arguments)
    except TypeError:  # a missing or an unknown argument
        _check_arguments(create, arguments, argument)
        raise


def _check_arguments(create: Callable[..., Operation], arguments: Mapping[str, object], argument: str) -> None:
    """Raise `InvalidInputError` for the first argument that is unknown or missing."""
    parameters = inspect.signature(create).parameters.values()
    named = [parameter for parameter in parameters if parameter.kind is not parameter.VAR_KEYWORD]
    if len(named) == len(parameters):
        validation.known_names(argument, [parameter.name for parameter in named], arguments, noun="argument")
    for parameter in named:
        if parameter.default is parameter.empty and parameter.name not in arguments:
            validation.reject(f"{argument}.{parameter.name}", "is missing")


class OperationSource:
    """The operations of a run, read one by one, with look-ahead where reading does not wait.

    Attributes:
        total: the number of operations; None if it is not known.
    """

    def __init__(self, operations: Operations) -> None:
        if not is_text_file(operations):
            _check_iterable(operations)
        self.total: int | None = None
        self._path: str | os.PathLike[str] | None = None
        self._list: Sequence[Operation] = ()
        self._iterator: Iterator[Operation] = iter(())
        self._file: Generator[Operation, None, None] | None = None
        self._async_iterator: AsyncIterator[Operation] | None = None
        match operations:
            case str() | os.PathLike():
                # Only a regular file can be read twice; a pipe cannot.
                self._path = operations if os.path.isfile(operations) else None  # noqa: PTH113 - `Path.is_file` raises
                self._iterator = self._file = read_operations(operations)
            case io.TextIOBase():
                self._iterator = read_operations(operations)
            case AsyncIterable():
                self._async_iterator = aiter(operations)
                self.total = len(operations) if isinstance(operations, Sized) else None
            case _:
                values: Iterable[Operation] = operations
                self._list = values if isinstance(values, Sequence) else ()
                self._iterator = iter(values)
                self.total = len(values) if isinstance(values, Sized) else None
        self._lookahead: deque[Operation] = deque()
        self._lookahead_error: Exception | None = None
        self._parsed = 0

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
        with self._streaming():
            value = next(self._iterator, _END) if iterator is None else await anext(iterator, _END)
            return None if value is _END else self._parse(value)

    def peek(self, count: int) -> Sequence[Operation]:
        """Return up to `count` next operations that can be read without waiting. `next` raises the errors."""
        if self._lookahead_error is None:
            try:
                with self._streaming():
                    self._lookahead.extend(map(self._parse, islice(self._iterator, count - len(self._lookahead))))
            except Exception as error:  # noqa: BLE001 - raised by `next`, after the operations before it
                self._lookahead_error = error
        return self._lookahead

    @contextmanager
    def _streaming(self) -> Generator[None, None, None]:
        """Correct the messages of validation errors: the operations before the invalid one may have been sent."""
        try:
            yield
        except InvalidInputError as error:
            if self._parsed:
                error.consequence = NOTHING_SENT_FOR_ITEM
            raise

    def _parse(self, value: object) -> Operation:
        operation = parse_operation(value, f"operations[{self._parsed}]")
        self._parsed += 1
        return operation

    async def close(self) -> None:
        """Close the file or the async generator."""
        if self._file is not None:
            self._file.close()
        close = getattr(self._async_iterator, "aclose", None)
        if close is not None:
            await close()


def _check_iterable(value: object) -> None:
    if validation.is_file(value) or not isinstance(value, Iterable | AsyncIterable) or isinstance(value, bytes):
        rule = "must be an iterable of operations, the path of a text file, or an open text file"
        validation.reject("operations", rule, value)
    validation.reject_other_items("operations", value)


def _read_lines(file: TextFile, parse: Callable[[str], T]) -> Generator[T, None, None]:
    name = str(getattr(file, "name", "the file")) if isinstance(file, io.TextIOBase) else os.fspath(file)
    try:
        with nullcontext(file) if isinstance(file, io.TextIOBase) else _open_text(file) as stream:
            yield from _parse_lines(_bounded_lines(stream), name, parse)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(
            argument=name, rule=f"cannot be read ({format_os_error(error)})", consequence=NOTHING_SENT
        ) from error


def _open_text(path: str | os.PathLike[str]) -> io.TextIOWrapper:
    return io.TextIOWrapper(open_file(path), encoding="utf-8-sig")


def _bounded_lines(stream: io.TextIOBase) -> Iterator[str]:
    """Yield the lines. A device may have one without end."""
    for line in iter(partial(stream.readline, MAX_STREAM), ""):
        if len(line) == MAX_STREAM and not line.endswith("\n"):
            raise OSError(f"a line has more than {MAX_STREAM // 1024**2} MiB")
        yield line


def _parse_lines(lines: Iterable[str], name: str, parse: Callable[[str], T]) -> Generator[T, None, None]:
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        try:
            yield parse(text)
        except InvalidInputError as error:
            error.subject = f"{name}, line {number}: {error.argument}"
            raise
