"""The pacer under every request: so many in any one second, so many in a UTC day.

Three layers: the `Ledger` keeps the accounts of a key's permits and knows no one; the `Line` is where those wait who
want one, of all clients that share the key; a `Pacer` is one client's place there.
"""

from __future__ import annotations

import asyncio
import math
import time
import weakref
from collections.abc import Callable

from .limits import RateLimit
from .line import Line
from .place import Place, Ticket

_SAME_CLOCK = 1.0  # seconds by which clocks differ that are one and the same


class Pacer:
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

    async def acquire(self, until: float | None, *, patient: bool = False) -> None:
        """Take a permit.

        Args:
            until: the loop's time at which to give up; None for never.
            patient: whether to wait for any pause, but not for another day.

        Raises:
            Paused: there will be none before that time, or before another day.
            TimeoutError: there was none before that time.
        """
        loop = asyncio.get_running_loop()
        if self._place.loop is not loop:
            self._settle_in(loop)
        now = loop.time()
        if not self._line.take(self._place, now):
            await self._wait_in_line(loop, now, until, patient=patient)

    def release(self, sent_at: float, *, reached: bool, answered: bool, refused: bool = False) -> None:
        """Give a permit back.

        Args:
            sent_at: the loop's time when the request was sent.
            reached: whether the request may have reached the service at all.
            answered: whether a reply came.
            refused: whether the reply said that there were too many requests in a second; a `pause` has to follow.
        """
        place = self._place
        if place.loop is not None:
            self._line.give_back(place, place.loop.time(), sent_at, reached=reached, answered=answered, refused=refused)

    def pause(self, seconds: float, *, daily: bool = False) -> None:
        """Send nothing for so many seconds: the service refused a request."""
        self._line.pause(asyncio.get_running_loop().time(), seconds, daily=daily)

    def refuse_hopeless(self, until: float | None, *, patient: bool = False) -> None:
        """Say at once that nothing may be sent before the loop's time `until`, or, to the patient, before another day.

        Raises:
            Paused: for how long not.
        """
        if until is not None or patient:
            self._line.refuse_hopeless(asyncio.get_running_loop().time(), until, patient=patient)

    def close(self) -> None:
        """Leave the line, and no timer behind: those who wait are cancelled by then, or will be."""
        self._line.leave(self._place)
        self._place.closed = True
        self._place.stop_timer()

    async def wait_closed(self) -> None:
        """Wait until nothing is left of it, once it is closed."""

    def forget_parent(self) -> None:
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
        self, loop: asyncio.AbstractEventLoop, started: float, until: float | None, *, patient: bool
    ) -> None:
        ticket = Ticket(self._place, until, patient, loop.create_future())
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
