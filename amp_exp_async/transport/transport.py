"""A call: its attempts, the waits between them, and what its end means."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from itertools import count
from typing import TypeAlias, TypeVar

import attrs
from attrs import frozen

from amp_exp_async.errors import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    OutcomeUnknownError,
    RateLimitError,
    UnexpectedResponseError,
)

from .connection import Connection
from .failures import Failure, connection_error, status_error
from .options import Attempt, CallOptions
from .pacing import Paused
from .request import Reply, Request
from .retry import Step, is_daily, next_step, retry_after

T = TypeVar("T")
Cause: TypeAlias = APIConnectionError | APIStatusError | UnexpectedResponseError

_LOG = logging.getLogger("amp_exp_async")
_TOO_MANY = 429


@frozen
class _LostError(Exception):
    cause: Cause


@frozen
class Loss:
    """A write whose outcome nobody knows yet, and the means to find out.

    Attributes:
        request: what was asked.
        cause: the error that hides the outcome.
        elapsed: seconds since the call began.
        reader: a transport for reading back, within what is left of the call's deadline.
    """

    request: Request
    cause: Cause
    elapsed: float
    reader: Transport

    def unknown(self, found: str) -> OutcomeUnknownError:
        """The error that says so.

        Args:
            found: what reading back found, as a sentence.
        """
        request = self.request
        error = OutcomeUnknownError(
            f"{request.method} {request.path} may or may not have been applied. {found} It was not repeated: look at "
            f"the object before you do it again. What hid the outcome: {self.cause}",
            method=request.method,
            path=request.path,
            attempts=self.cause.attempts,
        )
        error.__cause__ = self.cause
        return error


class Transport:
    """Sends requests by the rules, over a connection that it may share with other views."""

    def __init__(self, connection: Connection, options: CallOptions) -> None:
        self.connection = connection
        self.options = options

    async def send(self, request: Request) -> Reply:
        """Send a request, and again as often as the rules allow; the successful reply.

        Raises:
            APIStatusError: the service refused it.
            APIConnectionError: there was no complete reply.
            OutcomeUnknownError: it must not be repeated, and may or may not have been applied.
        """

        async def settle(loss: Loss) -> Reply:
            raise loss.unknown("This operation cannot be checked by reading back.")

        return await self.send_settled(request, lambda reply: reply, settle)

    async def send_settled(
        self, request: Request, answer: Callable[[Reply], T], settle: Callable[[Loss], Awaitable[T]]
    ) -> T:
        """Send a request; where its outcome is lost, or its reply useless, let `settle` find the answer."""
        connection = self.connection
        connection.open()
        loop = asyncio.get_running_loop()
        started = loop.time()
        until = None if self.options.deadline is None else started + self.options.deadline
        try:
            await connection.locks.acquire(request.order_key, until)
        except TimeoutError:
            raise self._out_of_time(request, 0, "while it waited for earlier writes to the same object") from None
        try:
            try:
                return answer(await self._deliver(request, until))
            except _LostError as lost:
                cause = lost.cause
            except UnexpectedResponseError as useless:
                cause = useless
            now = loop.time()
            remaining = None if until is None else max(until - now, 0.001)
            reader = Transport(connection, attrs.evolve(self.options, deadline=remaining))
            return await settle(Loss(request, cause, now - started, reader))
        finally:
            connection.locks.release(request.order_key)

    async def _deliver(self, request: Request, until: float | None) -> Reply:
        loop = asyncio.get_running_loop()
        policy = self.options.retry
        lost = False
        for number in count(1):
            result = await self._attempt(request, until, number)
            asked = retry_after(result.headers, self.connection.wall_clock) if isinstance(result, Reply) else None
            wait = (asked or 0.0) + policy.wait(number, random.random())  # noqa: S311 - jitter keeps no secret
            if result.outcome.status == _TOO_MANY:
                self._slow_down(result, asked, wait)
            step = next_step(
                result.outcome,
                request.repeat,
                attempts_left=number < policy.attempts and (until is None or loop.time() + wait < until),
                lost_before=lost,
            )
            if isinstance(result, Reply) and step is Step.DONE:
                return attrs.evolve(result, attempts=number)
            if step is not Step.AGAIN:
                error = self._error(request, result, number, asked)
                raise _LostError(error) if step is Step.SETTLE else error
            lost = lost or result.outcome.lost
            self.connection.retries += 1
            _LOG.info("%s %s: attempt %d failed, the next in %.2f s", request.method, request.path, number, wait)
            await asyncio.sleep(wait)
        raise AssertionError("the attempts are counted without end")

    async def _attempt(self, request: Request, until: float | None, number: int) -> Reply | Failure:
        """Wait for a slot and a permit, and send once."""
        connection, loop = self.connection, asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(until):
                await connection.slots.acquire()
        except TimeoutError:
            raise self._out_of_time(request, number - 1, "while it waited for other requests to end") from None
        try:
            try:
                await connection.pacer.acquire(until)
            except TimeoutError:
                raise self._out_of_time(request, number - 1, "while it waited for the rate limit") from None
            except Paused as paused:
                raise _over_the_limit(request, number - 1, paused) from None
            sent_at = loop.time()
            seconds = self.options.timeout if until is None else min(self.options.timeout, until - sent_at)
            try:
                result = await connection.attempt(request, max(seconds, 0.001))
            except BaseException:
                connection.pacer.release(sent_at, reached=True, answered=False)
                raise
            answered = isinstance(result, Reply)
            connection.pacer.release(sent_at, reached=answered or result.outcome.sent, answered=answered)
        finally:
            connection.slots.release()
        self._tell(request, number, result, loop.time() - sent_at)
        return result

    def _slow_down(self, result: Reply | Failure, asked: float | None, wait: float) -> None:
        """One refusal pauses every request of this key."""
        self.connection.rate_limited += 1
        daily = isinstance(result, Reply) and is_daily(asked, result.text)
        self.connection.pacer.pause(wait, daily=daily)

    def _tell(self, request: Request, number: int, result: Reply | Failure, seconds: float) -> None:
        status = result.status if isinstance(result, Reply) else None
        reason = result.reason if isinstance(result, Failure) else None
        _LOG.debug("%s %s: attempt %d: %s in %.3f s", request.method, request.path, number, status or reason, seconds)
        if self.options.on_attempt is None:
            return
        attempt = Attempt(
            method=request.method, path=request.path, number=number, status=status, error=reason, seconds=seconds
        )
        try:
            self.options.on_attempt(attempt)
        except Exception:  # noqa: BLE001 - whatever it is
            # The request has been made: an observer's mistake must not hide its outcome.
            _LOG.exception("on_attempt raised")

    def _error(
        self, request: Request, result: Reply | Failure, attempts: int, asked: float | None
    ) -> APIConnectionError | APIStatusError:
        secret = self.connection.endpoint.key
        if isinstance(result, Failure):
            return connection_error(request, result, attempts, secret)
        return status_error(attrs.evolve(result, attempts=attempts), secret, asked)

    def _out_of_time(self, request: Request, attempts: int, when: str) -> APITimeoutError:
        return APITimeoutError(
            f"{request.method} {request.path}: the deadline of {self.options.deadline} s passed {when}, after "
            f"{attempts} attempts. Raise deadline, or ask for less at once.",
            method=request.method,
            path=request.path,
            attempts=attempts,
            sent=attempts > 0,
        )


def _over_the_limit(request: Request, attempts: int, paused: Paused) -> RateLimitError:
    limit = "the day's requests are used up" if paused.daily else "the service has asked to pause"
    return RateLimitError(
        f"{request.method} {request.path} was not sent: {limit}, for another {paused.seconds:.0f} s, and the deadline "
        "comes before that. Try again then, or raise deadline.",
        method=request.method,
        path=request.path,
        attempts=attempts,
        retry_after=paused.seconds,
        daily=paused.daily,
    )
