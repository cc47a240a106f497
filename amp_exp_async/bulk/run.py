"""A bulk run: operations in, outcomes out as they come, each exactly once."""

from __future__ import annotations

import asyncio
import os
import warnings
from collections import deque
from collections.abc import AsyncIterator, Generator
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias

from amp_exp_async import validation
from amp_exp_async.http import Transport

from .execution import Execution
from .journal import build_path
from .outcomes import BulkSummary, Outcome, Progress
from .protocols import ResourceFactory
from .source import Operations, Source

OnError: TypeAlias = Literal["continue", "stop", "stop_flag"]

_on_error = validation.one_of("continue", "stop", "stop_flag")


class AsyncBulkRun:
    """Operations that are being carried out, or will be: nothing is sent before it is iterated or awaited.

    - `async for outcome in run`: the outcomes, as the operations finish.
    - `await run`: all of them, for the summary.
    - `async with run`: a block at whose end nothing is under way any more.

    Operations on one flag keep their order and never overlap; those on different flags go at once, within the rate
    limit. A failure stops nothing but, if wished, the run. Leaving the loop early begins nothing more; the operations
    that are under way finish, and are in the journal and the summary.

    Raises, while it is read:
        InvalidInputError: the input holds something that is no operation, or the journal is of another job.
        RateLimitError: the day's requests are used up. The outcomes before it are complete; what was not begun is
            `skipped`. A rerun with the same journal goes on from there.
        ClientClosedError: the client was closed.
    """

    def __init__(
        self,
        transport: Transport,
        operations: Operations,
        *,
        resources: ResourceFactory,
        journal: str | os.PathLike[str] | None,
        on_error: OnError,
    ) -> None:
        path = None if journal is None else build_path(journal)
        self._execution = Execution(
            transport, resources, Source(operations), path, on_error=_on_error("on_error", on_error)
        )
        self._runner = self._execution.runner
        self.untaken: deque[Outcome] = deque()
        self.asked = False

    def __aiter__(self) -> AsyncIterator[Outcome]:
        return Outcomes(self)

    def __await__(self) -> Generator[Any, None, BulkSummary]:
        return self.wait().__await__()

    async def wait(self) -> BulkSummary:
        """Carry out all operations; what became of them, in numbers."""
        async for _ in self:
            pass
        return self.summary

    @property
    def summary(self) -> BulkSummary:
        """What became of the operations so far, those included whose outcomes nobody has asked for."""
        return self._execution.summary

    @property
    def progress(self) -> Progress:
        """How far it is. Cheap."""
        return self._execution.account.progress

    def raise_for_failures(self) -> None:
        """Raise if an operation has failed so far, is unknown, or was left out; also if the run ended before its end.

        Raises:
            BulkError: the first of them are named.
        """
        self._execution.account.raise_for_failures(self.summary, ended=self._runner.stopped)

    def stop(self) -> None:
        """Begin nothing more. What is under way finishes, and its outcomes can still be read."""
        self._runner.stop()

    def stop_soon(self) -> None:
        """Likewise, without doing anything here and now."""
        self._runner.stop_soon()

    async def aclose(self) -> None:
        """Begin nothing more, and wait until nothing is under way. Idempotent."""
        await self._runner.finish()

    async def cancel(self) -> None:
        """Start nothing more, and abandon the operations in flight. Their outcomes can still be read.

        An operation in flight fails. If its request may have been applied, its outcome is `unknown`.
        """
        await self._runner.cancel()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"<AsyncBulkRun: {self.summary if self._runner.begun else 'not begun; iterate it, or await it'}>"

    def __del__(self) -> None:
        if hasattr(self, "asked") and not self.asked and not self._runner.stopped:
            warnings.warn("a bulk run was never iterated or awaited: nothing was sent", RuntimeWarning, stacklevel=2)

    async def next_outcomes(self) -> list[Outcome]:
        """Wait for outcomes, and take all that are there. None says that there will be none any more."""
        self.asked = True
        if not self._runner.begun and not self._runner.stopped:
            self._execution.begin()
        return await self._runner.results()


class Outcomes:
    """The outcomes of a run, one by one. Letting go of it ends the run, which keeps what was not handed out."""

    def __init__(self, run: AsyncBulkRun) -> None:
        self._run = run
        self._batch = run.untaken

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Outcome:
        if not self._batch:
            try:
                self._batch.extend(await self._run.next_outcomes())
            except asyncio.CancelledError:
                self._run.stop()
                raise
        if not self._batch:
            raise StopAsyncIteration
        return self._batch.popleft()

    async def aclose(self) -> None:
        """Begin nothing more, and wait until nothing is under way."""
        await self._run.aclose()

    def __del__(self) -> None:
        # Perhaps from the garbage collector, in the midst of anything and in any thread.
        self._run.stop_soon()
