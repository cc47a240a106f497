"""Sending a call in its turn, and finding out what became of one whose outcome was lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NoReturn, TypeVar

import attrs
from attrs import frozen

from amp_exp_async.errors import (
    APIConnectionError,
    ClientClosedError,
    OutcomeUnknownError,
    ServerError,
    UnexpectedResponseError,
)

from .call import AmbiguousWriteError, Call, CallAbandonedError, Cause
from .connection import HttpSession
from .options import CallOptions, Tally
from .request import Request, Response
from .retry import Idempotency
from .scope import Scope

T = TypeVar("T")


@frozen
class AmbiguousWrite:
    """A write whose outcome nobody knows yet, and the means to find out.

    Attributes:
        call: the call.
        cause: the error that hides the outcome.
    """

    call: Call
    cause: Cause

    @property
    def elapsed(self) -> float:
        """Seconds since the call began."""
        return asyncio.get_running_loop().time() - self.call.started

    def reader(self) -> Transport:
        """A transport for reading back, within what is left of the call's deadline.

        Raises:
            OutcomeUnknownError: nothing is left of it.
        """
        options = self.call.options
        if self.call.until is not None:
            remaining = self.call.until - asyncio.get_running_loop().time()
            if remaining <= 0:
                raise self.unknown("The deadline left no time to read back.")
            options = attrs.evolve(options, deadline=remaining, patient=False)
        return Transport(self.call.connection, options, self.call.tally)

    async def wait(self, reading: int) -> None:
        """Wait after a reading (counted from 1), as far as the deadline allows."""
        seconds = self.call.options.retry.wait(reading, chance=1.0)
        if self.call.until is not None:
            seconds = min(seconds, self.call.until - asyncio.get_running_loop().time())
        await asyncio.sleep(max(0.0, seconds))

    def unknown(self, found: str) -> OutcomeUnknownError:
        """The error that says so.

        Args:
            found: what reading back found, as a sentence.
        """
        request = self.call.request
        error = OutcomeUnknownError(
            f"{request.method} {request.path} may or may not have been applied. {found} It was not repeated: look at "
            f"the object before you do it again. What hid the outcome: {self.cause}",
            method=request.method,
            path=request.path,
            attempts=self.cause.attempts,
        )
        error.__cause__ = self.cause
        return error


async def cannot_reconcile(loss: AmbiguousWrite) -> NoReturn:
    """The way to settle what cannot be settled."""
    raise loss.unknown("This operation cannot be checked by reading back.")


class Transport:
    """Sends requests by the rules, over a connection that it may share with other views.

    Args:
        connection: what requests are sent over.
        options: how.
        tally: the tally of the view that this one reads back for; None for one of its own.

    Attributes:
        tally: what was sent through this view.
    """

    def __init__(self, connection: HttpSession, options: CallOptions, tally: Tally | None = None) -> None:
        self.connection = connection
        self.options = options
        self.tally = Tally() if tally is None else tally

    def send(self, request: Request) -> Coroutine[Any, Any, Response]:
        """Send a request, and again as often as the rules allow; the successful reply.

        Raises:
            APIStatusError: the service refused it.
            APIConnectionError: there was no complete reply.
            OutcomeUnknownError: it must not be repeated, and may or may not have been applied.
            ClientClosedError: the client is closed, or was closed meanwhile.
        """
        return self.send_settled(request, lambda reply: reply, cannot_reconcile)

    async def send_settled(
        self, request: Request, answer: Callable[[Response], T], settle: Callable[[AmbiguousWrite], Awaitable[T]]
    ) -> T:
        """Send a request; where its outcome is lost, or its reply useless, let `settle` find the answer."""
        connection = self.connection
        connection.open()
        started = asyncio.get_running_loop().time()
        # A patient call's deadline begins with its first permit.
        deadline = None if self.options.patient else self.options.deadline
        until = None if deadline is None else started + deadline
        call = Call(request, connection, self.options, self.tally, started, until)
        with Scope(connection.scopes) as scope:
            self.tally.scope = scope
            try:
                return await self._in_turn(call, answer, settle)
            except BaseException:
                if request.method != "GET" and (call.lost or call.under_way):
                    self.tally.lost = True
                raise
            finally:
                self.tally.scope = None
        if self.tally.giving_up and not connection.closed:
            raise CallAbandonedError
        # The scope was ended. Its handler is left by now: what it caught leads to the request's headers.
        raise self._closed(call)

    async def _in_turn(
        self, call: Call, answer: Callable[[Response], T], settle: Callable[[AmbiguousWrite], Awaitable[T]]
    ) -> T:
        """Wait for the earlier writes to the same object, and send."""
        locks, key = self.connection.locks, call.request.order_key
        try:
            if not locks.take_free(key):
                await locks.acquire(key, call.until)
        except TimeoutError:
            raise call.out_of_time("while it waited for earlier writes to the same object") from None
        try:
            try:
                return answer(await call.deliver())
            except AmbiguousWriteError as lost:
                loss = AmbiguousWrite(call, lost.cause)
            except UnexpectedResponseError as useless:
                call.lost = True
                if call.request.repeat is not Idempotency.NON_IDEMPOTENT:
                    raise
                loss = AmbiguousWrite(call, useless)
            call.under_way = True
            try:
                return await settle(loss)
            except ServerError:
                # Reading back has shown that it was not applied.
                call.lost = call.under_way = False
                raise
        finally:
            locks.release(key)

    def _closed(self, call: Call) -> ClientClosedError | OutcomeUnknownError:
        request = call.request
        if request.repeat is Idempotency.NON_IDEMPOTENT and call.under_way:
            words = f"{request.method} {request.path}: the client was closed while the request was under way"
            cause = APIConnectionError(
                words, method=request.method, path=request.path, attempts=call.attempts, sent=True
            )
            return AmbiguousWrite(call, cause).unknown("Nothing was read back.")
        return ClientClosedError(
            f"{request.method} {request.path}: the client was closed while the call was under way: open a new one"
        )
