"""A bulk run: an async iterator of the outcomes of many operations, each exactly once."""

from __future__ import annotations

import asyncio
import os
import warnings
from collections import deque
from collections.abc import AsyncIterator, Generator
from contextlib import suppress
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias

from amp_exp_async import validation
from amp_exp_async.errors import ConfigurationError
from amp_exp_async.http import Transport, resolve_shutdown_timeout, running_loop
from amp_exp_async.models import UNSET, UnsetType

from .executor import BulkExecutor
from .journal import as_path
from .protocols import ResourceFactory
from .results import BulkSummary, Outcome, Progress
from .source import Operations, OperationSource

OnError: TypeAlias = Literal["continue", "stop", "stop_flag"]

_on_error = validation.one_of("continue", "stop", "stop_flag")


class AsyncBulkRun:
    """A run of many operations. Nothing is sent until it is iterated or awaited.

    - `async for outcome in run`: yields the outcomes as operations finish.
    - `await run`: executes all operations and returns the summary.
    - `async with run`: a block that ends when no operation is in flight.

    Operations on one flag run in order and never overlap; those on different flags run concurrently, within the rate
    limit. Leaving the loop early starts no further operation. Operations in flight finish, and are in the journal and
    the summary. Each operation that was read has one outcome. A run that ends early reads no further operation, and
    raises its error after these outcomes.

    Raises while it is iterated or awaited:
        InvalidInputError: If the input has an item that is not an operation, or the journal belongs to another job.
        RateLimitError: If the daily request limit is used up. Operations that were read and not started are `skipped`.
            A rerun with the same journal continues from there.
        APITimeoutError: If the deadline of a block (`client.deadline`) passes. The same holds.
        ClientClosedError: If the client was closed.
    """

    def __init__(
        self,
        transport: Transport,
        operations: Operations,
        *,
        resources: ResourceFactory,
        journal: str | os.PathLike[str] | None,
        fsync: bool = False,
        on_error: OnError,
    ) -> None:
        path = None if journal is None else as_path(journal)
        if validation.boolean("fsync", fsync) and path is None:
            validation.reject("fsync", "applies to a journal only: pass journal too")
        self._executor = BulkExecutor(
            transport,
            resources,
            OperationSource(operations),
            path,
            fsync=fsync,
            on_error=_on_error("on_error", on_error),
        )
        self._pool = self._executor.pool
        self._buffer: deque[Outcome] = deque()
        self._started = False

    def __aiter__(self) -> AsyncIterator[Outcome]:
        return _OutcomeIterator(self, self._buffer)

    def __await__(self) -> Generator[Any, None, BulkSummary]:
        return self.wait().__await__()

    async def wait(self) -> BulkSummary:
        """Execute all operations and return the summary."""
        async for _ in self:
            pass
        return self.summary

    @property
    def summary(self) -> BulkSummary:
        """The totals so far, including outcomes that were not read yet."""
        return self._executor.summary

    @property
    def progress(self) -> Progress:
        """The progress so far. Cheap to read."""
        return self._executor.stats.progress

    def raise_for_failures(self) -> None:
        """Raise if an operation is not done so far, or if the run has ended before the end of its input.

        Raises:
            BulkError: If an operation failed, was not started, or has an unknown outcome. The message lists the first.
        """
        self._executor.stats.raise_for_failures(self.summary, ended=self._pool.stopped)

    def stop(self) -> None:
        """Start no further operation. Operations in flight finish, and their outcomes can still be read."""
        self._pool.stop()

    def request_stop(self) -> None:
        """Schedule `stop` without running any code now. Safe in a finalizer."""
        self._pool.request_stop()

    async def aclose(self, *, shutdown_timeout: float | UnsetType | None = UNSET) -> None:
        """Start no further operation, and wait a few seconds until none is in flight. Then `cancel`. Idempotent.

        If this call is cancelled, the operations in flight continue until the client is closed.

        Args:
            shutdown_timeout: seconds to wait for operations in flight; None to wait until they end. By default as given
                to the client. To wait for some operations and cancel others, `stop` the run and read its outcomes.
        """
        self._require_asyncio()
        timeout = resolve_shutdown_timeout(shutdown_timeout, self._executor.shutdown_timeout)
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._pool.finish()
        await self._pool.cancel()

    async def cancel(self) -> None:
        """Start no further operation, and abandon those in flight. Their outcomes can still be read.

        An operation in flight fails. If its request may have been applied, its outcome is `unknown`.
        """
        self._require_asyncio()
        await self._pool.cancel()

    async def __aenter__(self) -> Self:
        self._require_asyncio()
        return self

    def _require_asyncio(self) -> None:
        """Raise `ConfigurationError`, and not also a warning, if asyncio does not run."""
        try:
            running_loop()
        except ConfigurationError:
            self.mark_started()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"<AsyncBulkRun: {self.summary if self._pool.started else 'not started; iterate it'}>"

    def __del__(self) -> None:
        if hasattr(self, "_started") and not self._started and not self._pool.stopped:
            warnings.warn("a bulk run was never iterated: nothing was sent", RuntimeWarning, stacklevel=2)

    def mark_started(self) -> None:
        """Record that the run is used, so that its finalizer does not warn."""
        self._started = True

    async def next_outcomes(self) -> list[Outcome]:
        """Wait for outcomes and return all that are available. An empty list means that no more will come."""
        self.mark_started()
        if not self._pool.started and not self._pool.stopped:
            self._executor.start()
        return await self._pool.results()


class _OutcomeIterator:
    """An iterator over the outcomes of a run. Its finalizer stops the run; unread outcomes stay in the buffer."""

    def __init__(self, run: AsyncBulkRun, buffer: deque[Outcome]) -> None:
        self._run = run
        self._buffer = buffer

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Outcome:
        if not self._buffer:
            try:
                self._buffer.extend(await self._run.next_outcomes())
            except asyncio.CancelledError:
                self._run.stop()
                raise
        if not self._buffer:
            raise StopAsyncIteration
        return self._buffer.popleft()

    async def aclose(self) -> None:
        """Start no further operation, and wait a few seconds until none is in flight, as `AsyncBulkRun.aclose`."""
        await self._run.aclose()

    def __del__(self) -> None:
        # The garbage collector may call it at any point and in any thread.
        self._run.request_stop()
