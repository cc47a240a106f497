"""From operations to outcomes: what is done, skipped or stopped, in which order, and what is noted of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable
from contextlib import suppress
from functools import partial
from pathlib import Path

import attrs
from attrs import define

from amp_exp_async.bulk.worker_pool import Runner
from amp_exp_async.errors import AmpExpError, ClientClosedError, OutcomeUnknownError
from amp_exp_async.http import CallAbandonedError, CallStats, CancelSignal, Transport
from amp_exp_async.models import Created

from .handlers import Performer
from .journal import Journal, digest
from .judging import is_final, not_begun, whole
from .key_resolver import Names
from .operations import CreateExperiment, CreateFlag, Lookup, OnToggle, Operation, created_key, order_key
from .outcomes import Account, BulkSummary, Outcome, Status, describe
from .protocols import ResourceFactory
from .source import Source

_PEEK = 1000  # operations that are looked at for keys, so that these are looked up together


@define(eq=False)
class _Job:
    """An operation on its way.

    Attributes:
        operation: the operation.
        index: its place in the input.
        key: what it keeps its order on.
        id: the id of its flag or experiment; None for a creation, and for what is still being created.
        known_by: what the journal knows it by.
        was_done: whether the journal has it as done.
        again: whether it was begun before, and nobody knows what became of it.
        error: why it cannot be begun.
    """

    operation: Operation
    index: int
    key: Hashable
    id: str | None = None
    known_by: int = 0
    was_done: bool = False
    again: bool = False
    error: AmpExpError | None = None

    @property
    def flag(self) -> str:
        """What the journal calls its flag or experiment. While that is being created, its key in order is another."""
        operation = self.operation
        if self.id is not None and isinstance(operation, OnToggle):
            return order_key(operation.kind, self.id)
        return str(self.key)


class Execution:
    """Carries out the operations of a run.

    Attributes:
        runner: lets it happen.
        account: counts what has happened.
    """

    def __init__(
        self, transport: Transport, resources: ResourceFactory, source: Source, journal: Path | None, *, on_error: str
    ) -> None:
        """Make ready to begin.

        Args:
            transport: sends the requests.
            resources: makes the resources that the operations are carried out with.
            source: the operations.
            journal: where the journal is, or is to be.
            on_error: whether the first failure stops it, or all that comes after it on the same flag.
        """
        self.account = Account(source.total)
        self._session = transport.session
        self._resources = resources
        self._options = attrs.evolve(transport.options, patient=True)
        self._source = source
        self._journal_path = journal
        self._on_error = on_error
        self._left: dict[object, Outcome] = {}
        self._lookups = Transport(self._session, self._options)
        self._names = Names(resources(self._lookups))
        self._journal: Journal | None = None
        self._cause: AmpExpError | None = None
        self._cancel_signals: list[CancelSignal] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self.runner = Runner(
            self._jobs(),
            worker=self._worker,
            drop=self._drop,
            spawn=self._session.spawn,
            at_once=self._session.max_concurrency,
            on_stop=self._give_up,
            on_end=self._ended,
        )

    def begin(self) -> None:
        """Take up the session.

        Raises:
            ClientClosedError: the client is closed.
        """
        self._session.open()
        self._session.finishing.add(self._close)
        self._loop = asyncio.get_running_loop()
        self.account.start(self._loop.time())

    async def _close(self) -> None:
        """Tell the reader, and finish, before the client is closed."""
        self._cause = self._cause or ClientClosedError("the client was closed while the run was under way")
        self.runner.stop(self._cause)
        await self.runner.finish()

    @property
    def summary(self) -> BulkSummary:
        """What has happened so far."""
        summary = self.account.summary
        return attrs.evolve(summary, requests=summary.requests + self._lookups.stats.requests)

    def _ended(self) -> None:
        self._session.finishing.discard(self._close)
        if self._journal is not None:
            self._journal.close()

    async def _jobs(self) -> AsyncGenerator[tuple[Hashable, _Job], None]:
        """The operations, made ready to be carried out."""
        try:
            await self._open()
            index = 0
            while (operation := await self._source.next()) is not None:
                id = operation.id if isinstance(operation, OnToggle) else None
                job = _Job(operation, index, operation.order_key, id)
                if self._journal is not None:
                    job.known_by = digest(operation)
                    self._journal.check(index, job.known_by)
                    job.was_done, job.again = self._journal.was_done(index), self._journal.is_open(index)
                if job.key is None:
                    await self._look_up(job)
                yield job.key, job
                index += 1
            if self._journal is not None:
                self._journal.check_count(index)
            self.account.complete = True
        finally:
            await self._source.close()

    async def _open(self) -> None:
        await self._source.open()
        self.account.total = self._source.total
        if self._journal_path is not None:
            self._journal = Journal(self._journal_path, self._session.endpoint.base_url)
            await asyncio.to_thread(self._check_journal, self._journal)

    def _check_journal(self, journal: Journal) -> None:
        if self._source.total is not None:
            journal.check_count(self._source.total)
        for index, operation in enumerate(self._source.all()):
            if not journal.knows(index):
                break
            journal.check(index, digest(operation))

    async def _look_up(self, job: _Job) -> None:
        """Find the id of what the operation names by key, unless it is being created in this run."""
        lookup = job.operation.lookup
        assert lookup is not None  # noqa: S101 - for type checkers: there is a key where there is no id
        job.key = created_key(lookup)
        if self.runner.is_busy(job.key):
            return
        upcoming: list[Lookup] = []
        if not self._names.is_known(lookup):
            following = (operation.lookup for operation in self._source.upcoming(_PEEK))
            upcoming = [other for other in following if other is not None]
        try:
            job.id = await self._names.resolve(lookup, upcoming)
            job.key = order_key(lookup[0], job.id)
        except AmpExpError as error:
            job.key, job.error = job.index, error

    def _worker(self) -> Callable[[_Job], Awaitable[Outcome]]:
        signal = CancelSignal()
        self._cancel_signals.append(signal)
        transport = Transport(self._session, self._options, cancel_signal=signal)
        return partial(self._carry_out, Performer(self._resources(transport)), transport.stats, signal)

    def _give_up(self) -> None:
        """Let go of the operations that have written nothing yet: they may wait for long."""
        for signal in self._cancel_signals:
            signal.cancel_unsent()

    async def _carry_out(self, performer: Performer, stats: CallStats, signal: CancelSignal, job: _Job) -> Outcome:
        performer.changed = []
        created: Created | None = None
        error: AmpExpError | None = None
        stats.reset()
        signal.reset()
        failed = self._left.get(whole(job.operation))
        if failed is not None and not self._is_done(job):
            left = AmpExpError(f"not begun: its flag or experiment is left alone since {describe(failed)}")
            return self._count(Outcome(job.operation, job.index, "skipped", left))
        try:
            id = await self._id(job) if job.id is None else job.id
            if self._is_done(job):
                # Where its flag could not be found, nobody knows if something on it is done anew.
                doubt = job.error if self._journal is not None and self._journal.is_any_due else None
                return self._count(Outcome(job.operation, job.index, "skipped", doubt))
            if job.error is not None:
                raise job.error
            if self._journal is not None:
                self._journal.begin(job.index, job.known_by, job.operation, job.flag)
            again = job.again or job.was_done
            followed = again and self._journal is not None and self._journal.is_followed(job.index, job.flag)
            created = await performer.perform(job.operation, id, again=again, was_done=job.was_done, followed=followed)
        except AmpExpError as failure:
            error = failure
        except CallAbandonedError:
            return self._drop(job, stats.requests)
        except asyncio.CancelledError:
            error = AmpExpError("the run was cancelled while the operation was under way")
            cancelled = _outcome(job, performer, stats, None, error)
            self.runner.add(self._end(job, cancelled) if stats.requests else self._drop(job))
            raise
        return self._end(job, _outcome(job, performer, stats, created, error))

    async def _id(self, job: _Job) -> str | None:
        """The id of what is named by a key, now that it is created; None for what an operation creates."""
        if job.error is None and job.operation.lookup is not None:
            job.id = await self._names.resolve(job.operation.lookup)
        return job.id

    def _end(self, job: _Job, outcome: Outcome) -> Outcome:
        """Note an outcome, and stop the run where it must not go on."""
        operation = outcome.operation
        if isinstance(operation, CreateFlag | CreateExperiment) and outcome.created is not None:
            self._names.add((operation.kind, operation.project_id, operation.key), outcome.created.id)
        if self._journal is not None:
            self._write_down(self._journal, job, outcome)
        if is_final(outcome.error):
            self._cause = self._cause or outcome.error
            self.runner.stop(self._cause)
        elif self._on_error == "stop_flag" and outcome.status in {"failed", "unknown"}:
            self._left[whole(outcome.operation)] = outcome
        elif self._on_error == "stop" and outcome.status in {"failed", "unknown"}:
            self._cause = self._cause or AmpExpError(f"the run was stopped by {describe(outcome)}")
            self.runner.stop()
        return self._count(outcome)

    def _write_down(self, journal: Journal, job: _Job, outcome: Outcome) -> None:
        with suppress(AmpExpError):  # it remembers, too, why it is broken
            if outcome.status != "skipped":
                journal.end(job.known_by, outcome, job.flag)
        if journal.broken is not None:
            self._cause = self._cause or journal.broken
            self.runner.stop(self._cause)

    def _is_done(self, job: _Job) -> bool:
        """Whether an earlier run has done it, and nothing on the same flag has to come before it now."""
        journal = self._journal
        return journal is not None and job.was_done and not journal.is_due_again(job.index, job.flag)

    def _drop(self, job: _Job, requests: int = 0) -> Outcome:
        if self._is_done(job):
            return self._count(Outcome(job.operation, job.index, "skipped"))
        return self._count(Outcome(job.operation, job.index, "skipped", not_begun(self._cause), requests))

    def _count(self, outcome: Outcome) -> Outcome:
        self.account.add(outcome, 0.0 if self._loop is None else self._loop.time())
        return outcome


def _outcome(
    job: _Job, performer: Performer, stats: CallStats, created: Created | None, error: AmpExpError | None
) -> Outcome:
    changed = tuple(performer.changed)
    state: Status = "done"
    if error is not None:
        if stats.ambiguous or isinstance(error, OutcomeUnknownError):
            state = "unknown"
        elif is_final(error) and not changed:
            state = "skipped"
        else:
            state = "failed"
    return Outcome(job.operation, job.index, state, error, stats.requests, changed, created)
