"""Bulk runs for blocking callers."""

from __future__ import annotations

import asyncio
import functools
import gc
import io
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar, cast

from amp_exp_async.bulk import AsyncBulkRun, BulkSummary, Outcome, Progress

from .base import SyncResource
from .portal import BlockingPortal

A = TypeVar("A")
P = ParamSpec("P")

# What is read of a caller's iterator before anything is waited for: so many items, for so many seconds.
_AT_A_TIME = 1000
_READING = 0.05


class _Collecting(threading.local):
    """What the garbage collector has told in this thread.

    Attributes:
        start: what came with the word that it begins.
    """

    start: object = None

    @property
    def now(self) -> bool:
        """Whether it is at work in this thread."""
        return next(reversed(_PHASES), None) == "start" and _PHASES["start"] is self.start


# The phase that was told last is the last one in it; each comes with an object of its own.
_PHASES: dict[str, object] = {}
_COLLECTING = _Collecting()
# None is written in Python: a Ctrl-C that has come meanwhile would be raised in it, and the collector would lose it.
gc.callbacks += [_COLLECTING.__setattr__, _PHASES.pop, _PHASES.__setitem__]


class BulkRun:
    """Operations that are being carried out, or will be: nothing is sent before it is iterated, or `wait` is called.

    - `for outcome in run`: the outcomes, as the operations finish.
    - `run.wait()`: all of them, for the summary.
    - `with run`: a block at whose end nothing is under way any more.

    Operations on one flag keep their order and never overlap; those on different flags go at once, within the rate
    limit. Leaving the loop early (also by Ctrl-C) begins nothing more and waits for the operations that are under way;
    they are in the journal and the summary. A generator of operations is read in the caller's own thread.

    Raises, while it is read: as `AsyncBulkRun`.
    """

    def __init__(self, run: AsyncBulkRun, portal: BlockingPortal, handed: CallerThreadSource | None) -> None:
        self._run = run
        self._portal = portal
        self._handed = handed

    def __iter__(self) -> Generator[Outcome, None, None]:
        """The outcomes, as the operations finish."""
        generation = self._portal.generation
        try:
            untaken = self._run.untaken
            while (outcomes := [] if untaken else self._next()) is None or outcomes or untaken:
                untaken.extend(outcomes or ())
                while untaken:
                    yield untaken.popleft()
                self._portal.check_not_forked(generation)
        finally:
            if _COLLECTING.now:
                # In the midst of anything, perhaps with a lock held: nobody must wait here.
                self._run.stop_soon()
            elif generation == self._portal.generation:
                self.close()

    def wait(self) -> BulkSummary:
        """Carry out all operations; what became of them, in numbers."""
        for _ in self:
            pass
        return self.summary

    @property
    def summary(self) -> BulkSummary:
        """What became of the operations so far, those included whose outcomes nobody has asked for."""
        return self._run.summary

    @property
    def progress(self) -> Progress:
        """How far it is. Cheap, also from another thread."""
        return self._run.progress

    def raise_for_failures(self) -> None:
        """Raise if an operation has failed so far, is unknown, or was left out.

        Raises:
            BulkError: the first of them are named.
        """
        self._run.raise_for_failures()

    def stop(self) -> None:
        """Begin nothing more. What is under way finishes, and its outcomes can still be read."""
        if not self._portal.closed:
            self._portal.call(self._stopping)

    async def _stopping(self) -> None:
        self._run.stop()

    def close(self) -> None:
        """Begin nothing more, and wait until nothing is under way. Idempotent."""
        if self._portal.in_loop_thread():
            self._run.stop_soon()
        elif not self._portal.closed:
            self._portal.call(self._run.aclose)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return repr(self._run).replace(AsyncBulkRun.__name__, BulkRun.__name__)

    def _next(self) -> list[Outcome] | None:
        """The next outcomes; none at the end; None where more operations are wanted first."""
        self._run.asked = True
        if self._handed is None:
            return self._portal.call(self._run.next_outcomes)
        handed, items = self._handed, self._handed.read()
        return self._portal.call(lambda: handed.outcomes(self._run, items))


class CallerThreadSource:
    """What the caller's thread reads from an iterator, for the event loop to take."""

    def __init__(self, source: Iterator[Any]) -> None:
        self._error: Exception | None = None
        self._source = source
        self._ended = False
        self._items: deque[Any] = deque()
        self._wanted: asyncio.Future[None] | None = None
        self._more: asyncio.Future[None] | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        while not self._items:
            if self._error is not None:
                raise self._error
            if self._ended:
                raise StopAsyncIteration
            if self._wanted is not None and not self._wanted.done():
                self._wanted.set_result(None)
            self._more = asyncio.get_running_loop().create_future()
            await self._more
        return self._items.popleft()

    def read(self) -> list[Any]:
        """In the caller's thread: read what there is room for."""
        items: list[Any] = []
        until = time.monotonic() + _READING
        try:
            while not self._ended and len(items) + len(self._items) < _AT_A_TIME:
                items.append(next(self._source))
                if time.monotonic() > until:
                    break
        except StopIteration:
            self._ended = True
        except Exception as error:  # noqa: BLE001 - it is raised once what was read before it is done
            self._ended, self._error = True, error
        return items

    async def outcomes(self, run: AsyncBulkRun, items: list[Any]) -> list[Outcome] | None:
        """In the loop: take the items, and wait for outcomes, or until more items are wanted."""
        self._items.extend(items)
        if self._more is not None and not self._more.done() and (self._items or self._ended):
            self._more.set_result(None)
        self._wanted = asyncio.get_running_loop().create_future()
        asking = asyncio.ensure_future(run.next_outcomes())
        try:
            await asyncio.wait((asking, self._wanted), return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not asking.done():
                asking.cancel()
                await asyncio.wait((asking,))
        return None if asking.cancelled() else asking.result()


def as_sync_run(
    method: Callable[Concatenate[A, P], AsyncBulkRun],
) -> Callable[Concatenate[SyncResource[A], P], BulkRun]:
    """The blocking method for one that returns a bulk run."""

    @functools.wraps(method)
    def call(self: SyncResource[A], /, *args: P.args, **kwargs: P.kwargs) -> BulkRun:
        begin: Callable[..., AsyncBulkRun] = method
        # An iterator may belong to the caller's thread.
        handed = [
            CallerThreadSource(cast("Iterator[Any]", value))
            for value in (*args, *kwargs.values())
            if _is_iterator(value)
        ]
        given = iter(handed)
        run = begin(
            self._resource,
            *(next(given) if _is_iterator(value) else value for value in args),
            **{name: next(given) if _is_iterator(value) else value for name, value in kwargs.items()},
        )
        return BulkRun(run, self._portal, handed[0] if handed else None)

    return call


def _is_iterator(value: object) -> bool:
    return isinstance(value, Iterator) and not isinstance(value, io.TextIOBase)
