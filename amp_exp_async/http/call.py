"""One call: its attempts, and the waits between them."""

from __future__ import annotations

import asyncio
import logging
import random
from itertools import count
from typing import TypeAlias

import attrs
from attrs import define, frozen

from amp_exp_async.errors import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    RateLimitError,
    UnexpectedResponseError,
)
from amp_exp_async.ratelimit import LimitExceededError, seconds_to_midnight

from .connection import HttpSession
from .failures import Failure, after, connection_error, resets, status_error, what_now
from .options import Attempt, CallOptions, Tally
from .request import Request, Response
from .retry import Step, is_daily, is_success, next_step, retry_after

Cause: TypeAlias = APIConnectionError | APIStatusError | UnexpectedResponseError

_LOG = logging.getLogger("amp_exp_async")
_TOO_MANY = 429


@frozen
class AmbiguousWriteError(Exception):
    """Nobody knows whether a request that must not be repeated was applied.

    Attributes:
        cause: the error that hides the outcome.
    """

    cause: Cause


class CallAbandonedError(Exception):
    """Nothing more is to be sent for what has written nothing yet."""


@define(eq=False)
class Call:
    """A request on its way.

    Attributes:
        request: what is asked.
        connection: what it is sent over.
        options: the caller's options.
        tally: counts what is sent through the caller's view.
        started: the loop's time when it began.
        until: the loop's time when its deadline passes, or None.
        attempts: how many attempts were made.
        lost: whether an attempt may have been applied, without a reply that says so.
        under_way: whether a request has been sent whose outcome is not known yet.
    """

    request: Request
    connection: HttpSession
    options: CallOptions
    tally: Tally
    started: float
    until: float | None
    attempts: int = 0
    lost: bool = False
    under_way: bool = False

    async def deliver(self) -> Response:
        """Send the request, and again as often as the rules allow; the successful reply.

        Raises:
            AmbiguousWriteError: it must not be repeated, and may or may not have been applied.
            APIStatusError: the service refused it.
            APIConnectionError: there was no complete reply.
        """
        policy = self.options.retry
        for number in count(1):
            result = await self._attempt(number)
            if isinstance(result, Response) and is_success(result.status):
                self.under_way = False
                return result if number == 1 else attrs.evolve(result, attempts=number)
            outcome = result.outcome
            self.under_way = outcome.lost
            asked, daily = self._asked(result)
            wait = (asked or 0.0) + policy.wait(number, random.random())  # noqa: S311 - jitter keeps no secret
            if outcome.status == _TOO_MANY:
                # One refusal pauses every request of this key, for as long as the service says, if it does.
                self.connection.rate_limited += 1
                self.connection.limiter.pause(asked or wait, daily=daily)
            left = number < policy.max_attempts
            step = next_step(outcome, self.request.repeat, attempts_left=left, lost_before=self.lost)
            if isinstance(result, Response) and step is Step.DONE:
                return attrs.evolve(result, attempts=number)
            self.lost = self.lost or outcome.lost
            if step is Step.SETTLE:
                raise AmbiguousWriteError(self._error(result, asked))
            if step is Step.FAIL:
                raise self._error(result, asked)
            if daily and self.options.patient:
                raise self._error(result, asked)
            if not self._in_time(wait):
                raise self._error(result, asked, self._no_time_for(wait))
            _LOG.info("%s: attempt %d failed, the next in %.2f s", self._name, number, wait)
            await asyncio.sleep(wait)
        raise AssertionError("the attempts are counted without end")

    @property
    def _name(self) -> str:
        return f"{self.request.method} {self.request.path}"

    def _in_time(self, wait: float) -> bool:
        return self.until is None or asyncio.get_running_loop().time() + wait < self.until

    def _asked(self, result: Response | Failure) -> tuple[float | None, bool]:
        """The seconds that the service asks to wait, and whether it is the day's limit that is reached.

        For a used-up day they are those until its end, where it does not say.
        """
        if not isinstance(result, Response):
            return None, False
        asked = retry_after(result.headers, self.connection.wall_clock)
        daily = result.status == _TOO_MANY and is_daily(asked, result.text)
        return seconds_to_midnight(self.connection.wall_clock()) if daily and asked is None else asked, daily

    async def _attempt(self, number: int) -> Response | Failure:
        """Wait for a slot and a permit, and send once."""
        connection = self.connection
        if self.tally.giving_up and not self.tally.written:
            raise CallAbandonedError
        try:
            if not connection.slots.take_free():
                connection.limiter.fail_fast(self.until, fail_on_daily_limit=self.options.patient)
                await connection.slots.wait(self.until)
        except TimeoutError:
            raise self.out_of_time("while it waited for other requests to end") from None
        except LimitExceededError as paused:
            raise self._over_the_limit(paused) from None
        try:
            try:
                await connection.limiter.acquire(self.until, fail_on_daily_limit=self.options.patient)
            except TimeoutError:
                raise self.out_of_time("while it waited for the rate limit") from None
            except LimitExceededError as paused:
                raise self._over_the_limit(paused) from None
            if number == 1 and self.options.patient and self.options.deadline is not None:
                self.until = asyncio.get_running_loop().time() + self.options.deadline
            return await self._send(number)
        finally:
            connection.slots.give_back()

    async def _send(self, number: int) -> Response | Failure:
        connection, loop = self.connection, asyncio.get_running_loop()
        sent_at = loop.time()
        seconds = self.options.timeout if self.until is None else min(self.options.timeout, self.until - sent_at)
        if seconds <= 0:
            connection.limiter.release(sent_at, reached=False, answered=False)
            raise self.out_of_time("before it was sent")
        self.attempts = number
        self.under_way = True
        self.tally.sending(writes=self.request.method != "GET")
        try:
            result = await connection.attempt(self.request, seconds)
        except BaseException:
            self._count(number)
            connection.limiter.release(sent_at, reached=True, answered=False)
            raise
        finally:
            self.tally.in_flight -= 1
        reached = isinstance(result, Response) or result.sent
        if reached:
            self._count(number)
        refused = isinstance(result, Response) and result.status == _TOO_MANY and not self._asked(result)[1]
        connection.limiter.release(sent_at, reached=reached, answered=isinstance(result, Response), throttled=refused)
        if self.options.on_attempt is not None or _LOG.isEnabledFor(logging.DEBUG):
            self._tell(number, result, loop.time() - sent_at)
        return result

    def _count(self, number: int) -> None:
        """Count a request that the service may have received."""
        self.tally.requests += 1
        self.connection.requests += 1
        self.connection.retries += number > 1

    def _tell(self, number: int, result: Response | Failure, seconds: float) -> None:
        status = result.status if isinstance(result, Response) else None
        reason = result.reason if isinstance(result, Failure) else None
        _LOG.debug("%s: attempt %d: %s in %.3f s", self._name, number, status or reason, seconds)
        if self.options.on_attempt is None:
            return
        attempt = Attempt(
            method=self.request.method,
            path=self.request.path,
            number=number,
            status=status,
            error=reason,
            seconds=seconds,
        )
        try:
            self.options.on_attempt(attempt)
        except Exception:  # noqa: BLE001 - whatever it is
            # The request has been made: an observer's mistake must not hide its outcome.
            _LOG.exception("on_attempt raised")

    def _no_time_for(self, wait: float) -> str:
        return f" The deadline of {self.options.deadline} s left no time to wait {wait:.3g} s and try again."

    def _error(
        self, result: Response | Failure, asked: float | None, note: str = ""
    ) -> APIConnectionError | APIStatusError:
        if isinstance(result, Failure):
            return connection_error(self.request, result, self.attempts, lost=self.lost, note=note)
        if asked is not None and self._asked(result)[1]:
            note = f" {resets(self.connection.wall_clock() + asked)}{note}"
        return status_error(attrs.evolve(result, attempts=self.attempts), asked, lost=self.lost, note=note)

    def out_of_time(self, when: str) -> APITimeoutError:
        """The error for a deadline that passed during a wait."""
        return APITimeoutError(
            f"{self._name}: the deadline of {self.options.deadline} s passed {when}, {after(self.attempts)}. "
            f"{what_now(self.request, lost=self.lost)} Raise deadline, or ask for less at once.",
            method=self.request.method,
            path=self.request.path,
            attempts=self.attempts,
            sent=self.lost,
        )

    def _over_the_limit(self, paused: LimitExceededError) -> RateLimitError:
        if paused.daily:
            words = f"the day's requests are used up. {resets(self.connection.wall_clock() + paused.seconds)}"
        else:
            words = "the service has asked to pause."
        return RateLimitError(
            f"{self._name} was not sent: {words} That is in {paused.seconds:.0f} s, later than this call may wait. "
            f"{what_now(self.request, lost=self.lost)} Try again then{'' if paused.daily else ', or raise deadline'}.",
            method=self.request.method,
            path=self.request.path,
            attempts=self.attempts,
            retry_after=paused.seconds,
            daily=paused.daily,
        )
