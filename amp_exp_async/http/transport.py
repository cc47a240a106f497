"""The transport: rate limiting and retries of requests, and reports of ambiguous writes."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Coroutine
from http import HTTPStatus
from itertools import count
from types import TracebackType
from typing import Any, Self, TypeAlias, TypeVar
from urllib.parse import urlsplit

import attrs
from attrs import define, frozen

from amp_exp_async.config import Secret
from amp_exp_async.errors import (
    NOTHING_SENT,
    NOTHING_WRITTEN,
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    ClientClosedError,
    OutcomeUnknownError,
    RateLimitError,
    UnexpectedResponseError,
)
from amp_exp_async.ratelimit import LimitExceededError

from .block_deadlines import BlockDeadline, earliest_deadline
from .call_blocks import current_blocks
from .capture import ResponseCapture
from .deadlines import CancelScope
from .error_mapping import (
    TransportFailure,
    format_attempts,
    make_connection_error,
    make_status_error,
    reset_advice,
    retry_advice,
)
from .hooks import run_observer
from .log import LOGGER, log_request
from .observation import CallObservation
from .observers import Attempt, WaitReason
from .options import CallOptions, CallStats, CancelSignal, PendingCall, Wait
from .recent_writes import READ_INTERVAL
from .refusals import RefusalKind
from .request import Request, Response
from .retry import (
    NO_WAIT,
    AttemptResult,
    RequestedWait,
    RetryDecision,
    RetryPolicy,
    confirms_removal,
    decide,
    is_success,
    read_requested_wait,
    rules_out,
    start_streak,
)
from .session import HttpSession
from .timeouts import AttemptLimits

T = TypeVar("T")
Cause: TypeAlias = APIConnectionError | APIStatusError | UnexpectedResponseError

_ABANDONED = "the run was stopped before the call wrote anything"
_CLOCK_TOLERANCE = 0.05  # seconds; timers and the clock of a block differ a little
_MAX_EXPLANATION = 10.0  # seconds for a request that explains an error, waits included
_CLOSED = "the client was closed while the call was in flight"
# Python 3.11 looks up members of an enum slowly, and these are needed for every request.
_UNAUTHORIZED, _TOO_MANY_REQUESTS = int(HTTPStatus.UNAUTHORIZED), int(HTTPStatus.TOO_MANY_REQUESTS)
_SERVER_ERROR = int(HTTPStatus.INTERNAL_SERVER_ERROR)


class CallAbandonedError(Exception):
    """A `CancelSignal` stopped the call before it wrote anything."""


class AmbiguousWriteError(Exception):
    """A write may have been applied, and is not sent again. Internal: the resource reconciles it.

    Either it must not be repeated, or a repeat was refused.

    Attributes:
        write: the write.
    """

    def __init__(self, write: AmbiguousWrite) -> None:
        super().__init__(write.reason)
        self.write = write


@define(eq=False)
class RetryState:
    """The progress of one call.

    Attributes:
        request: the request.
        started: the loop time at which the call started.
        deadline: the loop time at which the call times out, or None.
        attempts: the number of attempts that were sent.
        ambiguous: whether an attempt may have been applied, without a response that confirms it.
        in_flight: whether an attempt was sent whose outcome is not known yet.
        received: whether the service may have received an attempt.
        requested_wait: the wait that the last response asked for.
        max_attempts: how often the request is sent at most.
        waits_for: what the call waits for.
        last_failure: the status or the reason of the last attempt that failed.
        request_id: the ID that the service gave the last attempt that failed; None without one.
        observation: reports the call; None if it is not observed.
        early_reads: the number of attempts that came too early to see an object that was just created. They are not
            failures, so the retry policy does not count them.
        asked_for_key: whether the key function was asked because of a 401. The retry policy does not count that attempt
            either.
    """

    request: Request
    started: float
    deadline: float | None
    attempts: int = 0
    ambiguous: bool = False
    in_flight: bool = False
    received: bool = False
    requested_wait: RequestedWait = NO_WAIT
    early_reads: int = 0
    asked_for_key: bool = False
    max_attempts: int = 1
    waits_for: Wait = "turn"
    last_failure: str | None = None
    request_id: str | None = None
    observation: CallObservation | None = None

    @property
    def name(self) -> str:
        """The method and the path, for messages."""
        return f"{self.request.method} {self.request.path}"

    @property
    def is_ambiguous_write(self) -> bool:
        """Whether an attempt of a write may have been applied."""
        return self.ambiguous and self.request.method != "GET"

    @property
    def failure(self) -> str:
        """The beginning of a message about an attempt that was not sent."""
        if not self.attempts:
            return f"{self.name} was not sent"
        return f"{self.name} failed{format_attempts(self.attempts) or ' after 1 attempt'}"


class Transport:
    """A sender of requests with the options of one client or copy, over the session that they share.

    Args:
        session: the session.
        options: the options of the calls.
        stats: counts what is sent; None for new counts.
        cancel_signal: stops calls that have written nothing; None if they cannot be stopped.
        may_finish: whether all calls belong to writes in flight, which closing the client lets finish. Calls with a
            cancel signal do: their run decides.
        ends_at: the loop time by which all requests end, in addition to the deadline of each; None for no such time.

    Attributes:
        stats: the counts of what was sent through this transport.
    """

    def __init__(
        self,
        session: HttpSession,
        options: CallOptions,
        stats: CallStats | None = None,
        cancel_signal: CancelSignal | None = None,
        *,
        may_finish: bool = False,
        ends_at: float | None = None,
    ) -> None:
        self.session = session
        self.options = options
        self._ends_at = ends_at
        self.stats = CallStats() if stats is None else stats
        self.cancel_signal = cancel_signal
        self._may_finish = may_finish or cancel_signal is not None
        self._is_observed = options.is_observed
        self._limits = AttemptLimits(options.timeout.total, options.timeout)
        self._additions = options.make_additions()

    def send(self, request: Request) -> Coroutine[Any, Any, Response]:
        """Send a request that needs no lock, with retries, and return the successful response.

        Raises:
            AmbiguousWriteError: If the request may have been applied, and must not be repeated or was refused then.
            APIStatusError: If the service rejected it.
            APIConnectionError: If no complete response arrived.
            ClientClosedError: If the client is closed, or is closed before the response arrives.
        """
        state = self.start(request)
        return self.send_with_retries(state) if state.observation is None else self._send_observed(state)

    async def _send_observed(self, state: RetryState) -> Response:
        async with Call(self, state) as response:
            return response

    def call(self, request: Request) -> Call:
        """Return a context manager that sends a request as `send` does, and whose block parses the response.

        Raises:
            ClientClosedError: If the client is closed.
        """
        return Call(self, self.start(request))

    async def read(self, request: Request, parse: Callable[[Response], T]) -> T:
        """Send a request as `send` does, and return its response, parsed in a `call`.

        Raises:
            ClientClosedError: If the client is closed.
        """
        state = self.start(request)
        if state.observation is None:
            return parse(await self.send_with_retries(state))  # the block of a `call` takes 4 % of a whole read
        async with Call(self, state) as response:
            return parse(response)

    async def start_observation(self, state: RetryState) -> None:
        """Report that a call starts, if it is observed.

        Raises:
            APITimeoutError: If the deadline passes.
            ClientClosedError: If the client was closed meanwhile.
        """
        if state.observation is not None:
            had_expired = self._has_expired(state)
            await state.observation.start(state.deadline)
            self.session.open(to_finish=self._may_finish)
            if self._has_expired(state) and not had_expired and self.options.on_call_start is not None:
                advice = "Raise deadline, or let on_call_start return sooner."
                raise self.deadline_error(state, "while it waited for on_call_start", advice)

    def _has_expired(self, state: RetryState) -> bool:
        """Return whether the deadline of a call has passed."""
        return state.deadline is not None and self.session.time() >= state.deadline

    def serialized(self, request: Request) -> SerializedWrite:
        """Return a context manager that sends a write and holds the lock of the object that it changes."""
        return SerializedWrite(self, request)

    async def write(self, request: Request, parse: Callable[[Response], T]) -> T:
        """Send a write that is not verified by reading back, and return its parsed response.

        Raises:
            OutcomeUnknownError: If the request must not be repeated and may have been applied.
            UnexpectedResponseError: If the response cannot be parsed.
            APIStatusError: If the service rejected it.
            APIConnectionError: If no complete response arrived.
        """
        async with self.serialized(request) as write:
            try:
                return await write.send(parse)
            except AmbiguousWriteError as error:
                ambiguous = error.write
            raise ambiguous.cause if request.idempotency.may_repeat else ambiguous.error("")

    def as_one_call(self) -> Transport:
        """Return a transport whose requests are one call: they share a deadline, which starts now.

        The deadline of calls that exclude queueing starts with each request.

        Raises:
            ClientClosedError: If the client is closed.
        """
        seconds = None if self.options.deadline_excludes_queueing else self.options.deadline
        if seconds is None and not self.session.blocks:
            return self
        self.session.open(to_finish=self._may_finish)
        now = self.session.time()
        ends_at = self._within_block(None if seconds is None else now + seconds, now)
        return self if ends_at is None else self._until(ends_at)

    def to_explain(self, started: float) -> Transport:
        """Return a transport for a request that explains the error of a call: it is sent once, within seconds.

        Args:
            started: the loop time at which the call started. Its deadline holds for the request, too.
        """
        options, now = self.options, self.session.time()
        ends_at = now + _MAX_EXPLANATION
        if options.deadline is not None and not options.deadline_excludes_queueing:
            ends_at = min(ends_at, started + options.deadline)
        within = self._until(ends_at)
        return within.with_options(retry=RetryPolicy(max_attempts=1), deadline_excludes_queueing=False)

    def _within_block(self, deadline: float | None, now: float) -> float | None:
        """Return a loop time, or the end of the block that the call belongs to if that is earlier."""
        block = earliest_deadline(self.session.blocks) if self.session.blocks else None
        if block is None:
            return deadline
        ends_at = now + block.seconds_left
        return ends_at if deadline is None else min(deadline, ends_at)

    def _format_deadline(self, wait: float = 0.0) -> str:
        """Return the deadline that passes within some seconds, for messages."""
        block = self._ending_block(wait)
        if block is None:
            return f"deadline of {self.options.deadline} s"
        return f"deadline of {block.seconds:g} s of the block"

    @property
    def is_past_block(self) -> bool:
        """Whether the running code belongs to a block whose deadline has passed, so that every call fails."""
        return self._ending_block() is not None

    def _ending_block(self, wait: float = 0.0) -> BlockDeadline | None:
        """Return the block that the running code belongs to, if its deadline passes within some seconds."""
        block = earliest_deadline(self.session.blocks)
        return block if block is not None and block.seconds_left <= wait + _CLOCK_TOLERANCE else None

    async def sleep(self, seconds: float) -> None:
        """Wait between the requests of one call, no longer than until they end."""
        if self._ends_at is not None:
            seconds = min(seconds, self._ends_at - self.session.time())
        await asyncio.sleep(max(0.0, seconds))

    def with_options(self, **values: object) -> Transport:
        """Return this transport with other options, except those that are `UNSET`."""
        signal, may_finish, ends_at = self.cancel_signal, self._may_finish, self._ends_at
        options = self.options.evolve(**values)
        return Transport(self.session, options, self.stats, signal, may_finish=may_finish, ends_at=ends_at)

    def _until(self, ends_at: float) -> Transport:
        """Return a transport whose requests end by a loop time, or by that of this transport if it is earlier."""
        if self._ends_at is not None:
            ends_at = min(ends_at, self._ends_at)
        may_finish, signal = self._may_finish, self.cancel_signal
        return Transport(self.session, self.options, self.stats, signal, may_finish=may_finish, ends_at=ends_at)

    @property
    def pending_calls(self) -> list[PendingCall]:
        """The calls in flight of all transports of the session, the oldest first."""
        host, now = urlsplit(self.session.endpoint.base_url).netloc, self.session.time()
        calls: list[PendingCall] = []
        for state in list(self.session.calls):
            attempt = state.attempts + (state.waits_for != "response")
            call = PendingCall(
                host=host,
                method=state.request.method,
                path=state.request.path,
                attempt=attempt,
                max_attempts=max(state.max_attempts, attempt),
                last_failure=state.last_failure,
                waits_for=state.waits_for,
                seconds=now - state.started,
            )
            calls.append(call)
        return sorted(calls, key=lambda call: -call.seconds)

    def start(self, request: Request) -> RetryState:
        """Start the clock of a call.

        Raises:
            ClientClosedError: If the client is closed.
            InvalidInputError: If `extra_query` has a parameter that the request sets itself.
        """
        self.session.open(to_finish=self._may_finish)
        if self._additions is not None:
            request = self._additions.apply(request)
        started = self.session.time()
        # If queueing does not count, the deadline starts with the first permit.
        seconds = None if self.options.deadline_excludes_queueing else self.options.deadline
        deadline = None if seconds is None else started + seconds
        if self._ends_at is not None:
            deadline = self._ends_at if deadline is None else min(deadline, self._ends_at)
        captures: tuple[ResponseCapture, ...] = ()
        if self.session.blocks:
            deadline = self._within_block(deadline, started)
            captures = current_blocks(ResponseCapture, self.session.blocks)
        state = RetryState(request, started, deadline, max_attempts=self.options.retry.max_attempts)
        if self._is_observed or captures:
            state.observation = CallObservation(request, self.options, self.session.time, started, captures)
        return state

    async def send_with_retries(self, state: RetryState) -> Response:
        """Send the request of a call until it succeeds, fails for good, or is ambiguous."""
        self.session.calls.add(state)
        try:
            with self.cancel_scope() as scope:
                if self.session.sender is None:
                    await self._fetch_key(state)
                for number in count(1):
                    result = await self._attempt(state, number, scope)
                    if isinstance(result, Response) and is_success(result.status):
                        state.in_flight = False
                        return result if number == 1 else attrs.evolve(result, attempts=number)
                    if (
                        isinstance(result, Response)
                        and state.ambiguous
                        and confirms_removal(result.refusal_kind, state.request.idempotency)
                    ):
                        state.in_flight = False
                        # The body explains the refusal, so it must not be read as the answer to the write.
                        return attrs.evolve(result, attempts=number, body=b"")
                    scope.may_finish = self._may_finish or state.is_ambiguous_write
                    if isinstance(result, Response) and await self._has_new_key(state, result):
                        continue
                    wait = self._next_wait(state, result, number)
                    scope.may_finish = self._may_finish or state.is_ambiguous_write
                    state.waits_for = "retry"
                    state.last_failure = str(result.status) if isinstance(result, Response) else result.reason
                    await self.wait(state, "retry", asyncio.sleep(wait))
        finally:
            self.session.calls.discard(state)
        # The scope was cancelled. Its exception is gone by now: its traceback leads to the request's headers.
        raise self.cancelled_error(state)

    async def _has_new_key(self, state: RetryState, response: Response) -> bool:
        """Return whether a request was rejected for its key, and there is another one to send it with, once.

        Raises:
            APITimeoutError: If the deadline passes.
            ConfigurationError: If the function returns no valid key.
        """
        has_function = self.session.endpoint.key_function is not None
        if response.status != _UNAUTHORIZED or not has_function or state.asked_for_key:
            return False
        state.in_flight = False
        state.request_id, state.last_failure = response.request_id, str(response.status)
        state.asked_for_key = True
        if not await self._fetch_key(state, response.key):
            return False
        _log_failure(state, response, "sent again with another key")
        return True

    async def _fetch_key(self, state: RetryState, rejected: Secret | None = None) -> bool:
        """Wait for the function that returns the key, and return whether there is another key than a rejected one."""
        state.waits_for, session, is_write = "key", self.session, state.request.method != "GET"
        consequence = NOTHING_SENT if rejected is None else NOTHING_WRITTEN if is_write else ""
        if state.is_ambiguous_write:
            consequence = retry_advice(state.request)
        deadline = state.deadline
        if deadline is None and self.options.deadline is not None:  # it starts with the first permit
            deadline = session.time() + self.options.deadline
        try:
            return await self.wait(state, "key", session.fetch_key(deadline, consequence, rejected))
        except TimeoutError:
            advice = "Raise deadline, or let the function return sooner."
            error = self.deadline_error(state, "while it waited for the function that returns the key", advice)
        raise error

    def cancel_scope(self) -> CancelScope:
        """Return a scope that closing the client and the cancel signal can cancel."""
        scope = CancelScope(self.session.in_flight)
        scope.may_finish = self._may_finish
        if self.cancel_signal is not None:
            self.cancel_signal.scope = scope
        return scope

    def _next_wait(self, state: RetryState, result: Response | TransportFailure, number: int) -> float:
        """Return the seconds to wait before the next attempt.

        Raises:
            AmbiguousWriteError: If the request may have been applied, and must not be repeated or was refused then.
            APIStatusError: If the service rejected it.
            APIConnectionError: If no complete response arrived.
        """
        attempt_result, policy = result.attempt_result, self.options.retry
        state.in_flight = attempt_result.ambiguous
        state.request_id = result.request_id if isinstance(result, Response) else None
        asked, daily = state.requested_wait.seconds, state.requested_wait.daily
        may_lag = self._may_lag(state, attempt_result)
        state.early_reads += may_lag
        failures = number - state.early_reads - state.asked_for_key
        wait = READ_INTERVAL
        if not may_lag:
            wait = (asked or 0.0) + policy.wait(failures, random.random())  # noqa: S311 - jitter is not a secret
        if attempt_result.status == _TOO_MANY_REQUESTS:
            # One 429 pauses every request of this key, for as long as the service asks.
            self.session.rate_limited += 1
            self.session.limiter.pause(asked or wait, daily=daily)
        decision = decide(
            attempt_result,
            state.request.idempotency,
            attempts_left=failures < policy.max_attempts,
            ambiguous_before=state.is_ambiguous_write,
            may_lag=may_lag,
        )
        ruled_out = rules_out(attempt_result.refusal, state.request.idempotency)
        state.ambiguous = (state.ambiguous or attempt_result.ambiguous) and not ruled_out
        if decision is RetryDecision.RECONCILE:
            reason = result.reason if isinstance(result, TransportFailure) else f"the service answered {result.status}"
            _log_failure(state, result, "its outcome is ambiguous")
            raise AmbiguousWriteError(AmbiguousWrite(self, state, self.make_error(state, result), reason, result))
        if decision is RetryDecision.RAISE or (daily and self.options.deadline_excludes_queueing):
            _log_failure(state, result, "not repeated")
            raise self.make_error(state, result)
        if state.deadline is not None and self.session.time() + wait >= state.deadline:
            pause = f"wait {wait:.1f} s and " if wait >= 0.1 else ""
            note = f"The {self._format_deadline(wait)} left no time to {pause}try again."
            _log_failure(state, result, "the deadline leaves no time to try again")
            raise self.make_error(state, result, note)
        _log_failure(state, result, f"retrying in {wait:.2f} s", wait)
        return wait

    def _may_lag(self, state: RetryState, result: AttemptResult) -> bool:
        """Return whether an object is not found because this client created it just now."""
        return result.refusal is RefusalKind.NOT_FOUND and self.session.recent_writes.is_new(state.request.path)

    async def _attempt(self, state: RetryState, number: int, scope: CancelScope) -> Response | TransportFailure:
        """Wait for the concurrency limit and the rate limiter, and send once."""
        session, is_write = self.session, state.request.method != "GET"
        if self.cancel_signal is not None and self.cancel_signal.stops_calls:
            raise CallAbandonedError(_ABANDONED)
        if session.concurrency.value:
            session.concurrency.acquire_nowait()
        else:
            await self._wait_to_send(state, "concurrency limit", self._acquire_slot(state), "other requests")
        try:
            if not session.limiter.acquire_nowait():
                state.waits_for = "rate limit"
                await self._wait_to_send(state, "rate limit", self._acquire_permit(state), "the rate limit")
            sent_at = session.time()
            limits = self._limits_left(state, number, sent_at)
            state.attempts = number
            state.in_flight = True
            state.waits_for = "response"
            scope.may_finish = self._may_finish or is_write
            if self.cancel_signal is not None:
                self.cancel_signal.on_send(writes=is_write)
            if state.observation is not None:
                state.observation.start_attempt(number)
            try:
                result = await session.send_once(state.request, scope, limits)
            except BaseException:
                self._record(state)
                session.limiter.release(sent_at, reached=True, answered=False)
                raise
            finally:
                if self.cancel_signal is not None:
                    self.cancel_signal.on_response()
        finally:
            session.concurrency.release()
        self._on_result(state, result, sent_at)
        return result

    async def _acquire_slot(self, state: RetryState) -> None:
        session = self.session
        session.limiter.fail_fast(state.deadline, fail_on_daily_limit=self.options.deadline_excludes_queueing)
        async with asyncio.timeout_at(state.deadline):
            await session.concurrency.acquire()

    def _acquire_permit(self, state: RetryState) -> Awaitable[None]:
        return self.session.limiter.acquire(state.deadline, fail_on_daily_limit=self.options.deadline_excludes_queueing)

    async def wait(self, state: RetryState, reason: WaitReason, waited: Awaitable[T]) -> T:
        """Wait, report how long, log it, and return the result."""
        started = self.session.time()
        try:
            return await waited
        finally:
            seconds = self.session.time() - started
            if state.observation is not None:
                state.observation.add_wait(reason, seconds)
            if reason != "retry":  # otherwise the log has it already
                log_request(
                    logging.DEBUG,
                    "waited %.3f s (%s)",
                    seconds,
                    reason,
                    method=state.request.method,
                    path=state.request.path,
                    attempt=state.attempts,
                    wait=seconds,
                    wait_reason=reason,
                )

    async def _wait_to_send(self, state: RetryState, reason: WaitReason, acquired: Awaitable[None], cause: str) -> None:
        """Wait for what an attempt needs.

        Raises:
            APITimeoutError: If the deadline passes.
            RateLimitError: If it is certain that no request may be sent in time.
        """
        try:
            await self.wait(state, reason, acquired)
        except TimeoutError:
            raise self.deadline_error(state, f"while it waited for {cause}") from None
        except LimitExceededError as exceeded:
            raise self._rate_limit_error(state, exceeded) from None

    def _limits_left(self, state: RetryState, number: int, now: float) -> AttemptLimits:
        """Return the limits of an attempt that is sent now.

        Raises:
            APITimeoutError: If the deadline has passed.
        """
        if number == 1 and self.options.deadline_excludes_queueing and self.options.deadline is not None:
            state.deadline = self._within_block(now + self.options.deadline, now)
        if state.deadline is None or state.deadline - now >= self._limits.seconds:
            return self._limits
        if state.deadline <= now:
            self.session.limiter.release(now, reached=False, answered=False)
            raise self.deadline_error(state)
        return AttemptLimits(state.deadline - now, self.options.timeout)

    def _on_result(self, state: RetryState, result: Response | TransportFailure, sent_at: float) -> None:
        """Release the permit of an attempt, count it and report it."""
        if isinstance(result, Response):
            answered = reached = True
            state.requested_wait = self._read_wait(result, sent_at)
            throttled = result.status == _TOO_MANY_REQUESTS and not state.requested_wait.daily
        else:
            answered, reached, throttled = False, result.sent, False
            state.requested_wait = NO_WAIT
        if reached:
            self._record(state)
        self.session.limiter.release(sent_at, reached=reached, answered=answered, throttled=throttled)
        if self.options.on_attempt is not None or state.observation is not None or LOGGER.isEnabledFor(logging.DEBUG):
            self._report_attempt(state, result, self.session.time() - sent_at)

    def _read_wait(self, response: Response, sent_at: float) -> RequestedWait:
        """Return the wait that a response asks for, and remember whether the service refuses everything."""
        session = self.session
        if response.status != _TOO_MANY_REQUESTS:
            session.refusals = None
            if response.status < _SERVER_ERROR:
                return NO_WAIT
            return read_requested_wait(response.status, response.headers, response.text, now=session.wall_clock())
        now, streak = session.time(), session.refusals
        streak = start_streak(sent_at, now) if streak is None else streak.followed_by(sent_at, now)
        wait = read_requested_wait(
            response.status,
            response.headers,
            response.text,
            now=session.wall_clock(),
            persistent=streak.is_persistent,
            near_daily_limit=session.is_near_daily_limit,
        )
        # The next day starts without suspicion.
        session.refusals = None if wait.daily else streak.after_wait(now + (wait.seconds or 0.0))
        return wait

    def _record(self, state: RetryState) -> None:
        """Count an attempt that the service may have received."""
        state.received = True
        self.stats.requests += 1
        self.session.requests += 1
        self.session.retries += state.attempts > 1

    def _report_attempt(self, state: RetryState, result: Response | TransportFailure, seconds: float) -> None:
        attempt = Attempt(
            method=state.request.method,
            path=state.request.path,
            number=state.attempts,
            status=result.status if isinstance(result, Response) else None,
            error=result.reason if isinstance(result, TransportFailure) else None,
            error_type=result.error_type if isinstance(result, TransportFailure) else None,
            seconds=seconds,
            request_id=result.request_id if isinstance(result, Response) else None,
        )
        log_request(
            logging.DEBUG,
            "attempt %d: %s in %.3f s%s",
            attempt.number,
            attempt.status or attempt.error,
            seconds,
            _format_request_id(attempt.request_id),
            method=attempt.method,
            path=attempt.path,
            attempt=attempt.number,
            status=attempt.status,
            error=attempt.error,
            seconds=seconds,
            request_id=attempt.request_id,
        )
        if state.observation is not None:
            state.observation.end_attempt(attempt)
        if self.options.on_attempt is not None:
            run_observer("on_attempt", self.options.on_attempt, attempt)

    def make_error(self, state: RetryState, result: Response | TransportFailure, note: str = "") -> Cause:
        """Return the error for the last attempt of a call."""
        if isinstance(result, TransportFailure):
            return make_connection_error(
                state.request,
                result,
                state.attempts,
                received=state.received,
                ambiguous=state.ambiguous,
                note=note,
            )
        response = attrs.evolve(result, attempts=state.attempts)
        api = self.session.endpoint.api
        return make_status_error(response, state.requested_wait, ambiguous=state.ambiguous, note=note, api=api)

    def deadline_error(
        self,
        state: RetryState,
        wait: str = "",
        advice: str = "Raise deadline, or make fewer calls at the same time.",
    ) -> APITimeoutError:
        """Return the error for a deadline that passed during a wait."""
        is_write_ambiguous = state.is_ambiguous_write
        error = APITimeoutError(
            f"{state.failure}: the {self._format_deadline()} passed{wait and f' {wait}'}.",
            method=state.request.method,
            path=state.request.path,
            attempts=state.attempts,
            sent=state.ambiguous,
        )
        error.advice = retry_advice(state.request) if is_write_ambiguous else advice
        error.request_id = state.request_id
        return error

    def _rate_limit_error(self, state: RetryState, exceeded: LimitExceededError) -> RateLimitError:
        if exceeded.daily:
            reason = "the requests of the day are used up."
            advice = reset_advice(self.session.wall_clock() + exceeded.seconds)
        else:
            reason = f"the service asks to pause for {exceeded.seconds:.0f} s, longer than the deadline allows."
            advice = "Try again later, or raise deadline."
        if state.is_ambiguous_write:
            reason = f"{reason} An earlier attempt may have been applied."
        error = RateLimitError(
            f"{state.failure}: {reason}",
            method=state.request.method,
            path=state.request.path,
            attempts=state.attempts,
            retry_after=exceeded.seconds,
            daily=exceeded.daily,
        )
        error.advice = advice
        error.request_id = state.request_id
        return error

    def cancelled_error(self, state: RetryState) -> ClientClosedError | OutcomeUnknownError | CallAbandonedError:
        """Return the error for a call whose scope was cancelled."""
        if self.cancel_signal is not None and self.cancel_signal.requested and not self.session.closed:
            return CallAbandonedError(_ABANDONED)
        request = state.request
        if not request.idempotency.may_repeat and state.in_flight:
            cause = APIConnectionError(
                f"{state.name} failed{format_attempts(state.attempts)}: {_CLOSED}. {retry_advice(request)}",
                method=request.method,
                path=request.path,
                attempts=state.attempts,
                sent=True,
            )
            return AmbiguousWrite(self, state, cause, _CLOSED).error("")
        consequence = f" {retry_advice(request)}" if request.method != "GET" and state.in_flight else ""
        return ClientClosedError(f"{state.name} failed: {_CLOSED}.{consequence} Create a new client.")


class Call:
    """A call that needs no lock: a context manager that sends the request and returns the successful response.

    Parse the response in the block, so that hooks and observers get to know of one that cannot be parsed.

    Example::

        async with transport.call(request) as response:
            return response.parse_object(Flag)
    """

    def __init__(self, transport: Transport, state: RetryState) -> None:
        self._transport = transport
        self._state = state

    async def __aenter__(self) -> Response:
        transport, state = self._transport, self._state
        if state.observation is None:
            return await transport.send_with_retries(state)
        try:
            await transport.start_observation(state)
            response = await transport.send_with_retries(state)
        except BaseException as error:
            await end_observation(state, error)
            raise
        state.observation.succeed(response)
        return response

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._state.observation is not None:
            await self._state.observation.end(error)


class SerializedWrite:
    """A write that holds the lock of its object: a context manager that waits for earlier writes to the object.

    Reconcile inside it, so that no other write changes the object before its outcome is known.

    Example::

        async with transport.serialized(request) as write:
            try:
                return await write.send(parse)
            except AmbiguousWriteError as error:
                ambiguous = error.write
            return await reconcile(ambiguous)
    """

    def __init__(self, transport: Transport, request: Request) -> None:
        self._transport = transport
        self._state = transport.start(request)

    async def __aenter__(self) -> Self:
        state = self._state
        try:
            if state.observation is not None:
                await self._transport.start_observation(state)
            if not self._transport.session.locks.acquire_nowait(state.request.lock_key):
                await self._wait_for_lock()
        except BaseException as error:
            await end_observation(state, error)
            raise
        self._transport.session.writes.add()
        return self

    async def _wait_for_lock(self) -> None:
        transport, state = self._transport, self._state
        with transport.cancel_scope():
            try:
                acquired = transport.session.locks.acquire(state.request.lock_key, state.deadline)
                await transport.wait(state, "lock", acquired)
            except TimeoutError:
                raise transport.deadline_error(state, "while it waited for earlier writes to the same object") from None
            return
        raise transport.cancelled_error(state)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        session = self._transport.session
        session.locks.release(self._state.request.lock_key)
        session.writes.done()
        if error is not None and (self._state.ambiguous or self._state.in_flight):
            self._transport.stats.ambiguous = True
        if self._state.observation is not None:
            await self._state.observation.end(error)

    async def send(self, parse: Callable[[Response], T]) -> T:
        """Send the write, with retries, and return its parsed response.

        Raises:
            AmbiguousWriteError: If the request may have been applied, and must not be repeated or was refused then.
            UnexpectedResponseError: If the response cannot be parsed and the request may be repeated.
            APIStatusError: If the service rejected it.
            APIConnectionError: If no complete response arrived.
        """
        state = self._state
        response = await self._transport.send_with_retries(state)
        try:
            parsed = parse(response)
        except UnexpectedResponseError as error:
            state.ambiguous = True
            if state.request.idempotency.may_repeat:
                raise
            cause = error
        else:
            if state.observation is not None:
                state.observation.succeed(response)
            return parsed
        raise AmbiguousWriteError(AmbiguousWrite(self._transport, state, cause, "the response is not understood"))


@frozen(eq=False)
class AmbiguousWrite:
    """A write that may or may not have been applied, and what is needed to find out.

    Attributes:
        cause: the error that hides the outcome.
        reason: the same in a few words.
    """

    _transport: Transport
    _state: RetryState
    cause: Cause
    reason: str
    _result: Response | TransportFailure | None = None

    @property
    def request(self) -> Request:
        """The request."""
        return self._state.request

    @property
    def elapsed(self) -> float:
        """The seconds since the call started."""
        return self._transport.session.time() - self._state.started

    def transport(self) -> Transport:
        """Return a transport for reading back within the rest of the call's deadline.

        Raises:
            OutcomeUnknownError: If the deadline has passed.
        """
        transport, deadline, observation = self._transport, self._state.deadline, self._state.observation
        observer = None if observation is None else observation.observe_reads()
        options = attrs.evolve(transport.options, query_yields=True, observer=observer)
        if deadline is not None:
            if deadline <= transport.session.time():
                raise self.error("The deadline left no time to read back.")
            options = attrs.evolve(options, deadline_excludes_queueing=False)
        signal = transport.cancel_signal
        return Transport(transport.session, options, transport.stats, signal, may_finish=True, ends_at=deadline)

    async def wait(self, reading: int) -> None:
        """Wait after a reading (counted from 1), no longer than the deadline allows."""
        seconds = self._transport.options.retry.wait(reading, fraction=1.0)
        if self._state.deadline is not None:
            seconds = min(seconds, self._state.deadline - self._transport.session.time())
        with self._transport.cancel_scope() as scope:  # the next reading reports that the client was closed
            scope.may_finish = True
            await self._transport.wait(self._state, "retry", asyncio.sleep(max(0.0, seconds)))

    def not_applied(self) -> APIConnectionError | APIStatusError | UnexpectedResponseError:
        """Record that reading back has shown that the write was not applied, and return the error of the call."""
        self._state.ambiguous = self._state.in_flight = False
        return self.cause if self._result is None else self._transport.make_error(self._state, self._result)

    def error(self, finding: str) -> OutcomeUnknownError:
        """Return the error for an outcome that stays unknown.

        Args:
            finding: what reading back has shown, as a sentence; empty if it was not tried.
        """
        request = self._state.request
        fact = f"{self._state.name} may have been applied: {self.reason}{format_attempts(self.cause.attempts)}."
        error = OutcomeUnknownError(
            " ".join(filter(None, [fact, finding, "Check the object before you retry."])),
            method=request.method,
            path=request.path,
            attempts=self.cause.attempts,
        )
        error.request_id = self.cause.request_id
        error.__cause__ = self.cause
        return error


def _log_failure(
    state: RetryState, result: Response | TransportFailure, consequence: str, wait: float | None = None
) -> None:
    """Log why an attempt failed, and what follows."""
    status = result.status if isinstance(result, Response) else None
    reason = result.reason if isinstance(result, TransportFailure) else None
    log_request(
        logging.INFO,
        "attempt %d failed%s%s; %s",
        state.attempts,
        f" with {status}" if reason is None else f": {reason}",
        _format_request_id(state.request_id),
        consequence,
        method=state.request.method,
        path=state.request.path,
        attempt=state.attempts,
        status=status,
        error=reason,
        request_id=state.request_id,
        wait=wait,
        wait_reason=None if wait is None else "retry",
    )


def _format_request_id(request_id: str | None) -> str:
    return "" if request_id is None else f" (request ID {request_id})"


async def end_observation(state: RetryState, error: BaseException | None) -> None:
    """Report the outcome of a call, if it is observed: the exception that it raises, or None."""
    if state.observation is not None:
        await state.observation.end(error)
