"""The execution of a run: the order of its operations, what stops them, and their records in the journal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Hashable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import attrs
from attrs import define, frozen

from amp_exp_async import validation
from amp_exp_async.errors import (
    NOTHING_SENT_FOR_ITEM,
    AmpExpError,
    APITimeoutError,
    ClientClosedError,
    EditConflictError,
    InvalidInputError,
    OutcomeUnknownError,
    RateLimitError,
)
from amp_exp_async.http import CallAbandonedError, CallStats, CancelSignal, ExplanatoryReads, Transport, run_observer
from amp_exp_async.models import Created

from .handlers import OperationHandler, PriorRun
from .journal import Journal, digest
from .key_resolver import KeyResolver
from .operations import CreateExperiment, CreateFlag, FlagOperation, FlagRef, Operation, order_key, pending_key
from .protocols import ResourceFactory
from .results import BulkSummary, Outcome, RunStats, Status, format_outcome
from .source import OperationSource
from .worker_pool import KeyedWorkerPool

_LOOKAHEAD = 1000  # operations whose keys are resolved together


@define(eq=False)
class _Task:
    """An operation on its way through the run.

    Attributes:
        operation: the operation.
        index: its position in the input.
        key: the key that it is ordered by.
        id: the ID of its flag or experiment; None for a creation and while the flag is being created.
        digest: its digest in the journal.
        already_done: whether the journal has it as done.
        in_doubt: whether an earlier run started it and its outcome is unknown.
        created_id: the ID of the flag or experiment that an earlier run created with it, if the journal has it.
        earlier_flag: the flag that an earlier run sent it to, such as `flags/123`; None if it is done or was not sent.
        error: why it cannot be started.
    """

    operation: Operation
    index: int
    key: Hashable
    id: str | None = None
    digest: int = 0
    already_done: bool = False
    in_doubt: bool = False
    created_id: str | None = None
    earlier_flag: str | None = None
    error: AmpExpError | None = None

    @property
    def flag_key(self) -> str:
        """The name of its flag in the journal. It differs from `key` if the flag was created in this run."""
        operation = self.operation
        if self.id is not None and isinstance(operation, FlagOperation):
            return order_key(operation.kind, self.id)
        return str(self.key)


@frozen
class _Worker:
    """The handler of one worker of the pool, with the counts and the signal of its current operation.

    Attributes:
        handler: sends the requests of an operation.
        stats: the requests of the current operation.
        signal: cancels the current operation if it has written nothing yet.
    """

    handler: OperationHandler
    stats: CallStats
    signal: CancelSignal

    def reset(self) -> None:
        """Prepare for the next operation."""
        self.handler.reset()
        self.stats.reset()
        self.signal.reset()

    def outcome(self, task: _Task, created: Created | None, error: AmpExpError | None) -> Outcome:
        """Return the outcome of the current operation."""
        changed = tuple(self.handler.changed)
        if isinstance(error, InvalidInputError) and self.stats.requests:
            error.mark_requests_sent(written=bool(changed))
        status: Status = "done"
        if error is not None:
            if self.stats.ambiguous or isinstance(error, OutcomeUnknownError):
                status = "unknown"
            elif is_fatal(error) and not changed:
                status = "skipped"
            elif task.in_doubt and not self.handler.is_settled:
                status = "unknown"
            else:
                status = "failed"
        return Outcome(task.operation, task.index, status, error, self.stats.requests, changed, created)


class BulkExecutor:
    """The executor of the operations of a run.

    Attributes:
        pool: the workers.
        stats: the counters of the run.
    """

    def __init__(
        self,
        transport: Transport,
        resources: ResourceFactory,
        source: OperationSource,
        journal: Path | None,
        *,
        fsync: bool,
        on_error: str,
    ) -> None:
        """Prepare a run.

        Args:
            transport: sends the requests.
            resources: creates the resources that the operations use.
            source: the operations.
            journal: the path of the journal.
            fsync: whether to force each line of the journal to the disk.
            on_error: what a failure stops: `continue`, `stop` or `stop_flag`.
        """
        self.stats = RunStats(source.total, transport.session.max_rate)
        self._session = transport.session
        self._options = attrs.evolve(
            transport.options, deadline_excludes_queueing=True, explanatory_reads=ExplanatoryReads()
        )
        self._resources = resources
        self._source = source
        self._journal_path = journal
        self._fsync = fsync
        self._on_error = on_error
        self._failed_flags: dict[object, Outcome] = {}
        self._lookups = Transport(self._session, self._options)
        self._resolver = KeyResolver(resources(self._lookups), self._session.recent_writes)
        self._journal: Journal | None = None
        self._stop_cause: AmpExpError | None = None
        self._cancel_signals: list[CancelSignal] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self.pool = KeyedWorkerPool(
            self._tasks(),
            create_worker=self._create_worker,
            on_skip=self._skip,
            spawn=self._session.spawn,
            max_concurrency=self._session.max_concurrency,
            on_stop=self._cancel_unsent,
            on_end=self._on_end,
        )

    def start(self) -> None:
        """Open the session and start the clock.

        Raises:
            ClientClosedError: If the client is closed.
        """
        self._session.open()
        self._session.on_close.add(self._on_client_close)
        self._loop = asyncio.get_running_loop()
        self.stats.start(self._loop.time())

    @property
    def shutdown_timeout(self) -> float | None:
        """The seconds that leaving the run waits for operations in flight; None to wait until they end."""
        return self._session.shutdown_timeout

    @property
    def summary(self) -> BulkSummary:
        """The totals so far."""
        summary = self.stats.summary
        return attrs.evolve(summary, requests=summary.requests + self._lookups.stats.requests)

    def _on_client_close(self) -> None:
        self._stop_cause = self._stop_cause or ClientClosedError("the client was closed during the run")
        self.pool.stop(self._stop_cause)
        if self._session.closed:
            self.pool.abandon_source()

    def _on_end(self) -> None:
        self._session.on_close.discard(self._on_client_close)
        if self._journal is not None:
            self._journal.close()

    async def _tasks(self) -> AsyncGenerator[tuple[Hashable, _Task], None]:
        """Yield the operations of the source, each with its journal entry and the ID of its flag."""
        try:
            await self._open()
            index = 0
            while (operation := await self._source.next()) is not None:
                id = operation.id if isinstance(operation, FlagOperation) else None
                task = _Task(operation, index, operation.order_key, id)
                if self._journal is not None:
                    task.digest = digest(operation)
                    self._journal.check(index, task.digest)
                    record = self._journal.record(index)
                    task.already_done, task.created_id = record.is_done, record.created_id
                    task.earlier_flag = record.flag
                    task.in_doubt = self._journal.is_in_doubt(index)
                    self._add_created(operation, record.created_id)
                if task.key is None and (ref := operation.flag_ref) is not None:
                    await self._resolve(task, ref)
                yield task.key, task
                index += 1
            if self._journal is not None:
                self._journal.check_count(index)
            self.stats.complete = True
        finally:
            await self._source.close()

    async def _open(self) -> None:
        await self._source.open()
        self.stats.total = self._source.total
        if self._journal_path is not None:
            self._journal = Journal(self._journal_path, self._session.endpoint.base_url, fsync=self._fsync)
            await asyncio.to_thread(self._check_journal, self._journal)

    def _check_journal(self, journal: Journal) -> None:
        if self._source.total is not None:
            journal.check_count(self._source.total)
        for index, operation in enumerate(self._source.replay()):
            if not journal.has_entry(index):
                break
            journal.check(index, digest(operation))

    async def _resolve(self, task: _Task, ref: FlagRef) -> None:
        """Resolve the key that names the flag, unless this run is still creating the flag."""
        task.key = pending_key(ref)
        if self.pool.is_busy(task.key):
            return
        lookahead: list[FlagRef] = []
        if not self._resolver.is_known(ref):
            refs = (operation.flag_ref for operation in self._source.peek(_LOOKAHEAD))
            lookahead = [other for other in refs if other is not None]
        try:
            task.id = await self._resolver.resolve(ref, lookahead)
            task.key = order_key(ref.kind, task.id)
        except AmpExpError as error:
            task.key, task.error = task.index, error

    def _create_worker(self) -> Callable[[_Task], Awaitable[Outcome]]:
        signal = CancelSignal()
        self._cancel_signals.append(signal)
        transport = Transport(self._session, self._options, cancel_signal=signal)
        worker = _Worker(
            OperationHandler(self._resources(transport), self._session.recent_writes), transport.stats, signal
        )
        return partial(self._execute, worker)

    def _cancel_unsent(self) -> None:
        """Abandon the operations that have written nothing yet: they may wait for long."""
        for signal in self._cancel_signals:
            signal.cancel_unsent()

    async def _execute(self, worker: _Worker, task: _Task) -> Outcome:
        worker.reset()
        created: Created | None = None
        error: AmpExpError | None = None
        failed = self._failed_flags.get(flag_of(task.operation)) if self._failed_flags else None
        if failed is not None and not self._is_done(task):
            reason = AmpExpError(f"skipped: an earlier operation on this flag failed ({format_outcome(failed)})")
            return self._count(Outcome(task.operation, task.index, "skipped", reason))
        try:
            id = await self._resolve_created(task) if task.id is None else task.id
            if self._is_done(task):
                # If its flag was not found, it is not known whether an earlier operation on it is applied again.
                lookup_error = task.error if self._journal is not None and self._journal.replay.has_stale else None
                return self._count(Outcome(task.operation, task.index, "skipped", lookup_error))
            self._check_flag(task)
            if task.error is not None:
                raise task.error  # noqa: TRY301 - it is handled as an error of the operation itself
            with validation.trusted_text():  # an operation was validated when it was made
                created = await self._send(worker.handler, task, id)
        except AmpExpError as failure:
            error = failure
        except CallAbandonedError:
            return self._skip(task, worker.stats.requests)
        except GeneratorExit:  # the task is destroyed, and no caller takes the outcome
            raise
        except BaseException as interruption:
            interrupted = worker.outcome(task, None, _interruption_error(interruption))
            self.pool.add_result(self._finish(task, interrupted) if worker.stats.requests else self._skip(task))
            raise
        return self._finish(task, worker.outcome(task, created, error))

    def _check_flag(self, task: _Task) -> None:
        """Check that a key names the flag that an earlier run has sent the operation to.

        Raises:
            EditConflictError: If it names another one.
        """
        ref, earlier = task.operation.flag_ref, task.earlier_flag
        if ref is None or task.id is None or earlier is None or not earlier.startswith(f"{ref.kind}/"):
            return
        if earlier != (now := order_key(ref.kind, task.id)):
            raise EditConflictError(
                f"{task.operation.target}: an earlier run of this job changed {earlier}, but the key names {now} now. "
                f"{NOTHING_SENT_FOR_ITEM} Name the flag by its ID, and use a new journal."
            )

    async def _resolve_created(self, task: _Task) -> str | None:
        """Return the ID of a flag that was created since the task was queued, or None for a creation."""
        if task.error is None and task.operation.flag_ref is not None:
            task.id = await self._resolver.resolve(task.operation.flag_ref)
        return task.id

    def _send(self, handler: OperationHandler, task: _Task, id: str | None) -> Coroutine[Any, Any, Created | None]:
        journal = self._journal
        if journal is None:
            return handler.handle(task.operation, id)
        journal.write_start(task.index, task.digest, task.operation, task.flag_key)
        if not (task.in_doubt or task.already_done):
            return handler.handle(task.operation, id)
        has_successor = journal.replay.has_successor(task.flag_key, task.index)
        prior = PriorRun(
            is_rerun=True,
            already_done=task.already_done,
            created_id=task.created_id,
            has_successor=has_successor,
        )
        return handler.handle(task.operation, id, prior)

    def _finish(self, task: _Task, outcome: Outcome) -> Outcome:
        """Record an outcome, and stop what its error stops."""
        if outcome.created is not None:
            self._add_created(outcome.operation, outcome.created.id)
        if self._journal is not None:
            self._record(self._journal, task, outcome)
        if outcome.error is not None:
            self._stop_after(outcome, outcome.error)
        return self._count(outcome)

    def _add_created(self, operation: Operation, id: str | None) -> None:
        """Let later operations that name a created flag by its key have this flag, even if another one has the key."""
        if id is not None and (ref := _created_ref(operation)) is not None:
            self._resolver.add(ref, id)

    def _stop_after(self, outcome: Outcome, error: AmpExpError) -> None:
        """Stop the run or the flag if the error requires it."""
        is_failure = outcome.status in {"failed", "unknown"}
        if is_fatal(error) or (isinstance(error, APITimeoutError) and self._lookups.is_past_block):
            self._stop_cause = self._stop_cause or error
            self.pool.stop(self._stop_cause)
        elif is_failure and self._on_error == "stop_flag":
            self._failed_flags[flag_of(outcome.operation)] = outcome
        elif is_failure and self._on_error == "continue" and (ref := _created_ref(outcome.operation)) is not None:
            # The key may be that of a flag of somebody else.
            self._failed_flags[ref] = self._failed_flags[ref._replace(project_id=None)] = outcome
        elif is_failure and self._on_error == "stop":
            self._stop_cause = self._stop_cause or AmpExpError(
                f"the run was stopped by a failure ({format_outcome(outcome)})"
            )
            self.pool.stop()

    def _record(self, journal: Journal, task: _Task, outcome: Outcome) -> None:
        with suppress(AmpExpError):  # the journal keeps its error
            if outcome.status != "skipped":
                journal.write_outcome(task.digest, outcome, task.flag_key)
        if journal.error is not None:
            self._stop_cause = self._stop_cause or journal.error
            self.pool.stop(self._stop_cause)

    def _is_done(self, task: _Task) -> bool:
        """Return whether an earlier run completed the operation, and it need not be applied again."""
        journal = self._journal
        return journal is not None and task.already_done and not journal.replay.is_stale(task.flag_key, task.index)

    def _skip(self, task: _Task, requests: int = 0) -> Outcome:
        if self._is_done(task):
            return self._count(Outcome(task.operation, task.index, "skipped"))
        return self._count(Outcome(task.operation, task.index, "skipped", skip_error(self._stop_cause), requests))

    def _count(self, outcome: Outcome) -> Outcome:
        self.stats.add(outcome, 0.0 if self._loop is None else self._loop.time())
        if (observer := self._options.observer) is not None:
            run_observer("an observer", observer.on_operation, type(outcome.operation).__name__, outcome.status)
        return outcome


def skip_error(cause: AmpExpError | None) -> AmpExpError:
    """Return the error of an operation that was not started, with the cause that stopped the run."""
    match cause:
        case RateLimitError():
            error: AmpExpError = RateLimitError(
                "skipped: the daily request limit is used up", retry_after=cause.retry_after, daily=cause.daily
            )
        case ClientClosedError():
            error = ClientClosedError(f"skipped: {cause}")
        case _:
            error = AmpExpError(f"skipped: {cause or 'the run was stopped before the operation started'}")
    error.__cause__ = cause
    return error


def _interruption_error(interruption: BaseException) -> AmpExpError:
    """Return the error of an operation that was cancelled, or ended by an exception that is not an `AmpExpError`."""
    if isinstance(interruption, asyncio.CancelledError):
        return AmpExpError("the run was cancelled during the operation")
    error = AmpExpError(f"the run was ended during the operation by {type(interruption).__name__}")
    error.__cause__ = interruption
    return error


def flag_of(operation: Operation) -> object:
    """Return the flag or experiment of an operation, as the operation names it."""
    return _created_ref(operation) or operation.flag_ref or operation.order_key


def _created_ref(operation: Operation) -> FlagRef | None:
    """Return the flag or experiment that an operation creates; None if it creates none."""
    if isinstance(operation, CreateFlag | CreateExperiment):
        return FlagRef(operation.kind, operation.project_id, operation.key)
    return None


def is_fatal(error: AmpExpError | None) -> bool:
    """Return whether every other operation would fail with the same error."""
    return isinstance(error, ClientClosedError) or (isinstance(error, RateLimitError) and error.daily)
