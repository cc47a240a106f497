"""Where operations come from: a list, a generator, an async generator, or a file of lines, of any length."""

from __future__ import annotations

import asyncio
import io
import os
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Generator, Iterable, Iterator, Sequence, Sized
from itertools import islice
from pathlib import Path
from typing import TypeAlias

from amp_exp_async import validation

from .lines import File, operation_of, read_operations
from .operations import Operation

Operations: TypeAlias = Iterable[Operation] | AsyncIterable[Operation] | File
"""Operations; or a file (its path, or open) that has one on each line, as JSON: `{"operation": "AddUsers", …}`."""

_END = object()


class Source:
    """The operations of a run, one after the other. Where reading does not wait, it can look ahead.

    Attributes:
        total: how many there are; None where that is not known.
    """

    def __init__(self, given: Operations) -> None:
        if not _is_input(given):
            validation.reject("operations", "must be operations, or the path (pathlib.Path) of a file of them", given)
        self._path: os.PathLike[str] | None = None
        self._list: Sequence[Operation] = ()
        self._here: Iterator[Operation] = iter(())
        self._file: Generator[Operation, None, None] | None = None
        self._to_come: AsyncIterator[Operation] | None = None
        match given:
            case os.PathLike():
                # Another file, such as a pipe, may be there to be read only once.
                self._path = given if Path(given).is_file() else None
                self._here = self._file = read_operations(given)
            case io.TextIOBase():
                self._here = read_operations(given)
            case AsyncIterable():
                self._to_come = aiter(given)
            case _:
                self._list = given if isinstance(given, Sequence) else ()
                self._here = iter(given)
        self._ahead: deque[Operation] = deque()
        self._error: Exception | None = None
        self.total = len(given) if isinstance(given, Sized) else None

    async def open(self) -> None:
        """Look through a list or file: bad input is refused before anything is sent.

        Raises:
            InvalidInputError: something is no operation.
        """
        if self._path is not None:
            path = self._path
            self.total = await asyncio.to_thread(lambda: sum(1 for _ in read_operations(path)))
        for at, given in enumerate(self._list):
            operation_of(given, f"operations[{at}]")

    def all(self) -> Iterable[Operation]:
        """All operations, where they can be read more than once; else none."""
        if self._path is not None:
            return read_operations(self._path)
        return map(operation_of, self._list)

    async def next(self) -> Operation | None:
        """The next operation; None after the last."""
        if self._ahead:
            return self._ahead.popleft()
        if self._error is not None:
            raise self._error
        given = next(self._here, _END) if self._to_come is None else await anext(self._to_come, _END)
        return None if given is _END else operation_of(given)

    def upcoming(self, most: int) -> Sequence[Operation]:
        """What comes next, as far as it is there without waiting. What goes wrong is raised in its turn, by `next`."""
        if self._error is None:
            try:
                self._ahead.extend(map(operation_of, islice(self._here, most - len(self._ahead))))
            except Exception as error:  # noqa: BLE001 - the operations before it come first
                self._error = error
        return self._ahead

    async def close(self) -> None:
        """Close the file, or the async generator."""
        if self._file is not None:
            self._file.close()
        close = getattr(self._to_come, "aclose", None)
        if close is not None:
            await close()


def _is_input(given: object) -> bool:
    return not isinstance(given, str | bytes) and isinstance(given, os.PathLike | Iterable | AsyncIterable)
