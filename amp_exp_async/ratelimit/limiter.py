"""The pacer under every request: so many in any one second, so many in a UTC day.

Three layers: the `Ledger` keeps the accounts of a key's permits and knows no one; the `Line` is where those wait who
want one, of all clients that share the key; a `LocalRateLimiter` is one client's place there.
"""

from __future__ import annotations

import asyncio
import math
import time
import weakref
from collections.abc import Awaitable, Callable
from typing import Protocol

from .config import RateLimit
from .line import Line
from .place import Place, Ticket


class RateLimiter(Protocol):
    """What every request of one client has to pass. It belongs to one event loop.

    Attributes:
        seconds_waited: the time that calls of this client waited for permits, in seconds, summed over all calls.
        requests_today: the requests sent in the current UTC day by all clients that share the limits.
    """

    @property
    def seconds_waited(self) -> float: ...

    @property
    def requests_today(self) -> int: ...

    def acquire(self, deadline: float | None, *, fail_on_daily_limit: bool = False) -> Awaitable[None]:
        """Wait for a permit to send one request.

        Args:
            deadline: the loop time at which to give up; None to wait for as long as it takes.
            fail_on_daily_limit: whether to raise if no request may be sent before the next day.

        Raises:
            LimitExceededError: If it is certain that there will be no permit in time.
            TimeoutError: If the deadline passes.
        """
        ...

    def fail_fast(self, deadline: float | None, *, fail_on_daily_limit: bool = False) -> None:
        """Raise if `acquire` with the same arguments would certainly fail.

        Raises:
            LimitExceededError: If there will be no permit in time.
        """
        ...

    def release(self, sent_at: float, *, reached: bool, answered: bool, throttled: bool = False) -> None:
        """Return the permit of a request that has ended.

        Args:
            sent_at: the loop time at which the request was sent.
            reached: whether the request may have reached the service.
            answered: whether a response arrived.
            throttled: whether the response was a 429 for too many requests in a second; call `pause` next.
        """
        ...

    def pause(self, seconds: float, *, daily: bool = False) -> None:
        """Send no request for some seconds.

        Args:
            seconds: how long.
            daily: whether the service has reported that the limit of the day is reached.
        """
        ...

    def close(self) -> None:
        """Release what the client holds and stop its timer. Calls that still wait have to be cancelled."""
        ...

    async def wait_closed(self) -> None:
        """Wait until everything that `close` has started is done."""
        ...

    def after_fork(self) -> None:
        """Detach from the state that is shared with the parent process. Call it in a forked child."""
        ...


_SAME_CLOCK = 1.0  # seconds by which clocks differ that are one and the same


class LocalRateLimiter:
    """Hands out a client's permits, first come, first served. It belongs to one event loop.

    Attributes:
        seconds_waited: seconds that calls of this client spent waiting in line, summed.
    """

    def __init__(self, limit: RateLimit, wall_clock: Callable[[], float] = time.time, line: Line | None = None) -> None:
        """Take a place at a line.

        Args:
            limit: the limits to keep to.
            wall_clock: POSIX time in seconds.
            line: what other clients of the same key wait in too; None for a line of its own.
        """
        self.seconds_waited = 0.0
        self._limit = limit
        self._wall_clock = wall_clock
        self._join(Line(wall_clock) if line is None else line)

    def _join(self, line: Line) -> None:
        self._line, self._place = line, Place(self._limit)
        line.join(self._place)
        self._end = weakref.finalize(self, line.give_up, self._place)
        self._end.atexit = False

    @property
    def requests_today(self) -> int:
        """Requests sent in the present UTC day, by all clients of the line."""
        return self._line.ledger.requests_today

    async def acquire(self, until: float | None, *, fail_on_daily_limit: bool = False) -> None:
        """Take a permit.

        Args:
            until: the loop's time at which to give up; None for never.
            fail_on_daily_limit: whether to wait for any pause, but not for another day.

        Raises:
            LimitExceededError: there will be none before that time, or before another day.
            TimeoutError: there was none before that time.
        """
        loop = asyncio.get_running_loop()
        if self._place.loop is not loop:
            self._settle_in(loop)
        now = loop.time()
        if not self._line.take(self._place, now):
            await self._wait_in_line(loop, now, until, fail_on_daily_limit=fail_on_daily_limit)

    def release(self, sent_at: float, *, reached: bool, answered: bool, throttled: bool = False) -> None:
        """Give a permit back.

        Args:
            sent_at: the loop's time when the request was sent.
            reached: whether the request may have reached the service at all.
            answered: whether a reply came.
            throttled: whether the reply said that there were too many requests in a second; a `pause` has to follow.
        """
        place = self._place
        if place.loop is not None:
            self._line.give_back(
                place, place.loop.time(), sent_at, reached=reached, answered=answered, throttled=throttled
            )

    def pause(self, seconds: float, *, daily: bool = False) -> None:
        """Send nothing for so many seconds: the service refused a request."""
        self._line.pause(asyncio.get_running_loop().time(), seconds, daily=daily)

    def fail_fast(self, until: float | None, *, fail_on_daily_limit: bool = False) -> None:
        """Say at once that nothing may be sent before the loop's time `until`, or before another day.

        Raises:
            LimitExceededError: for how long not.
        """
        if until is not None or fail_on_daily_limit:
            self._line.fail_fast(asyncio.get_running_loop().time(), until, fail_on_daily_limit=fail_on_daily_limit)

    def close(self) -> None:
        """Leave the line, and no timer behind: those who wait are cancelled by then, or will be."""
        self._line.leave(self._place)
        self._place.closed = True
        self._place.stop_timer()

    async def wait_closed(self) -> None:
        """Wait until nothing is left of it, once it is closed."""

    def after_fork(self) -> None:
        """In a forked child: leave the line to another pacer, and the parent's loop alone."""
        self._end.detach()
        self._line.leave(self._place)

    def _settle_in(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._line.shared and abs(loop.time() - time.monotonic()) > _SAME_CLOCK:
            # A loop with a clock of its own, as tests have them: its times mean nothing to others.
            self._end()
            self._join(Line(self._wall_clock))
        self._place.loop, self._place.rings_at = loop, math.inf

    async def _wait_in_line(
        self, loop: asyncio.AbstractEventLoop, started: float, until: float | None, *, fail_on_daily_limit: bool
    ) -> None:
        ticket = Ticket(self._place, until, fail_on_daily_limit, loop.create_future())
        self._line.enter(ticket, started)
        try:
            async with asyncio.timeout_at(until):
                refusal = await ticket.answer
        except BaseException:
            self._line.withdraw(ticket, loop.time())
            raise
        finally:
            self.seconds_waited += loop.time() - started
        if refusal is not None:
            raise refusal
