"""Bulk runs for blocking callers."""

# The decorator below is part of `SyncResource`.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import asyncio
import functools
import time
import weakref
from collections import deque
from collections.abc import Callable, Generator, Iterator
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeGuard, TypeVar

from amp_exp_async import lazy_bulk, validation
from amp_exp_async.models import UNSET, UnsetType

from .base import SyncResource, name_class
from .portal import BlockingPortal

A = TypeVar("A")
P = ParamSpec("P")

# Bounds of one read of a caller's iterator.
_READ_ITEMS = 1000
_READ_SECONDS = 0.05


class BulkRun:
    """Operations that run when it is iterated or `wait` is called. Nothing is sent before.

    - `for outcome in run` yields the outcomes as operations finish.
    - `run.wait()` runs all operations and returns the summary.
    - `with run` is a block at whose end no operation is in flight.

    Operations on one flag keep their order and never overlap. Operations on different flags run concurrently,
    within the rate limit. Leaving the loop early (also by Ctrl-C) starts no further operation, waits a few
    seconds for those in flight, and then cancels them; see `close`. The journal and the summary include them.
    A generator of operations is read in the caller's own thread.

    A run whose iterator is part of a reference cycle is not waited for: the garbage collector only stops it.

    Raises while it is read: the errors of `AsyncBulkRun`.
    """

    def __init__(self, run: lazy_bulk.AsyncBulkRun, portal: BlockingPortal, source: CallerThreadSource | None) -> None:
        self._run = run
        self._portal = portal
        self._source = source
        self._unread: deque[lazy_bulk.Outcome] = deque()

    def __iter__(self) -> Generator[lazy_bulk.Outcome, None, None]:
        """Yield the outcomes as operations finish."""
        pid = self._portal.pid
        token = _Token()
        token_ref = weakref.ref(token)
        try:
            unread = self._unread
            while (outcomes := [] if unread else self._next()) is None or outcomes or unread:
                unread.extend(outcomes or ())
                while unread:
                    yield unread.popleft()
                self._portal.check_not_forked(pid)
        finally:
            if token_ref() is None:
                # The garbage collector clears weak references to garbage before it closes a generator. It may run
                # while this thread holds a lock, so waiting here could deadlock.
                self._run.request_stop()
            elif pid == self._portal.pid:
                self.close()

    def wait(self) -> lazy_bulk.BulkSummary:
        """Run all operations and return the summary."""
        for _ in self:
            pass
        return self.summary

    @property
    def summary(self) -> lazy_bulk.BulkSummary:
        """The counts of outcomes so far, those that were not iterated yet included."""
        return self._run.summary

    @property
    def progress(self) -> lazy_bulk.Progress:
        """The progress so far. Reading it is cheap, also from another thread."""
        return self._run.progress

    def raise_for_failures(self) -> None:
        """Raise if an operation so far failed, was not started, or has an unknown outcome.

        Raises:
            BulkError: If there is one. The message names the first.
        """
        self._run.raise_for_failures()

    def stop(self) -> None:
        """Start no further operation. Those in flight finish, and their outcomes can still be read."""
        if not self._portal.closed:
            self._portal.call(self._stop)

    async def _stop(self) -> None:
        self._run.stop()

    def close(self, *, shutdown_timeout: float | UnsetType | None = UNSET) -> None:
        """Start no further operation, and wait a few seconds until none is in flight. Then `cancel`. Idempotent.

        Ctrl-C cancels the operations in flight at once.

        Args:
            shutdown_timeout: seconds to wait for operations in flight; None to wait until they end. By default as given
                to the client. To wait for some operations and cancel others, `stop` the run and read its outcomes.
        """
        if self._portal.in_loop_thread():
            self._run.request_stop()
        elif not self._portal.closed:
            try:
                self._portal.call(lambda: self._run.aclose(shutdown_timeout=shutdown_timeout))
            except BaseException:
                self.cancel()
                raise

    def cancel(self) -> None:
        """Start nothing more, and abandon the operations in flight. Their outcomes can still be read.

        An operation in flight fails. If its request may have been applied, its outcome is `unknown`. Call it from
        another thread than the one that iterates the run.
        """
        if not self._portal.closed:
            self._portal.call(self._run.cancel)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return repr(self._run).replace(lazy_bulk.AsyncBulkRun.__name__, BulkRun.__name__)

    def _next(self) -> list[lazy_bulk.Outcome] | None:
        """Return the next outcomes: an empty list at the end, None if more operations are to be read first."""
        self._run.mark_started()
        if self._source is None:
            return self._portal.call(self._run.next_outcomes)
        source, items = self._source, self._source.read()
        return self._portal.call(lambda: source.outcomes(self._run, items))


class _Token:
    """An object that lives as long as the generator that holds it."""

    __slots__ = ("__weakref__",)


class CallerThreadSource:
    """A caller's iterator, which its thread reads and the event loop takes items from."""

    def __init__(self, source: Iterator[Any]) -> None:
        self._error: Exception | None = None
        self._source = source
        self._ended = False
        self._items: deque[Any] = deque()
        self._demand: asyncio.Future[None] | None = None
        self._arrived: asyncio.Future[None] | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        while not self._items:
            if self._error is not None:
                raise self._error
            if self._ended:
                raise StopAsyncIteration
            if self._demand is not None and not self._demand.done():
                self._demand.set_result(None)
            self._arrived = asyncio.get_running_loop().create_future()
            await self._arrived
        return self._items.popleft()

    def read(self) -> list[Any]:
        """Read the iterator, as far as there is room. For the caller's thread."""
        items: list[Any] = []
        deadline = time.monotonic() + _READ_SECONDS
        try:
            while not self._ended and len(items) + len(self._items) < _READ_ITEMS:
                items.append(next(self._source))
                if time.monotonic() > deadline:
                    break
        except StopIteration:
            self._ended = True
        except Exception as error:  # noqa: BLE001 - raised again after the items before it
            self._ended, self._error = True, error
        return items

    async def outcomes(self, run: lazy_bulk.AsyncBulkRun, items: list[Any]) -> list[lazy_bulk.Outcome] | None:
        """Take the items, and wait for outcomes or until more items are wanted. For the event loop."""
        self._items.extend(items)
        if self._arrived is not None and not self._arrived.done() and (self._items or self._ended):
            self._arrived.set_result(None)
        self._demand = asyncio.get_running_loop().create_future()
        next_outcomes = asyncio.ensure_future(run.next_outcomes())
        try:
            await asyncio.wait((next_outcomes, self._demand), return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not next_outcomes.done():
                next_outcomes.cancel()
                await asyncio.wait((next_outcomes,))
        return None if next_outcomes.cancelled() else next_outcomes.result()


def as_sync_run(
    method: Callable[Concatenate[A, P], lazy_bulk.AsyncBulkRun],
) -> Callable[Concatenate[SyncResource[A], P], BulkRun]:
    """Return the blocking form of a method that returns an `AsyncBulkRun`."""

    @functools.wraps(method)
    def call(self: SyncResource[A], /, *args: P.args, **kwargs: P.kwargs) -> BulkRun:
        start: Callable[..., lazy_bulk.AsyncBulkRun] = method
        sources: list[CallerThreadSource] = []

        def wrap_iterator(value: object) -> object:
            if not _is_iterator(value):
                return value
            sources.append(CallerThreadSource(value))
            return sources[-1]

        values = [wrap_iterator(value) for value in args]
        named = {name: wrap_iterator(value) for name, value in kwargs.items()}
        try:
            run = start(self._resource, *values, **named)
        except TypeError as error:
            name_class(error, method, self)
            raise
        return BulkRun(run, self._portal, sources[0] if sources else None)

    return call


def _is_iterator(value: object) -> TypeGuard[Iterator[Any]]:
    # The event loop can read an open file by itself.
    return not validation.is_file(value) and isinstance(value, Iterator)
