"""A client's place at the line of those who wait for permits, and the tickets of its calls that wait."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

from attrs import define

from .config import LimitExceededError, RateLimit


@define(eq=False)
class Place:
    """A client's place at a line: its limits, its loop with a timer there, and what it has taken.

    Attributes:
        limit: the limits that it was given.
        loop: the client's loop, once it is known.
        out: permits of requests in flight.
        waiting: how many of its calls wait.
        rings_at: the loop's time at which its timer rings; infinite without one.
        closed: whether it needs no timer any more.
    """

    limit: RateLimit
    loop: asyncio.AbstractEventLoop | None = None
    out: int = 0
    waiting: int = 0
    rings_at: float = math.inf
    closed: bool = False
    _timer: asyncio.TimerHandle | None = None

    def set_timer(self, ring: Callable[[Place], None]) -> None:
        """In its own loop's thread: set the timer to what `rings_at` says."""
        self.stop_timer()
        if self.loop is not None and self.rings_at < math.inf and not self.closed:
            self._timer = self.loop.call_at(self.rings_at, ring, self)

    def stop_timer(self) -> None:
        """In its own loop's thread: leave no timer behind."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


@define(eq=False)
class Ticket:
    """One who waits.

    Attributes:
        place: whose call it is.
        until: the loop's time after which a permit is of no use; None for never.
        fail_on_daily_limit: whether it would wait for any pause but the day's.
        answer: None for a permit, or why there is none.
        granted: whether a permit has been taken for it.
    """

    place: Place
    until: float | None
    fail_on_daily_limit: bool
    answer: asyncio.Future[LimitExceededError | None]
    granted: bool = False

    def tell(self, answer: LimitExceededError | None) -> bool:
        """Answer, in its own loop; False when that loop is no more."""
        loop = self.answer.get_loop()
        if running_loop() is loop:
            self._settle(answer)
            return True
        try:
            loop.call_soon_threadsafe(self._settle, answer)
        except RuntimeError:
            return False
        return True

    def _settle(self, answer: LimitExceededError | None) -> None:
        if not self.answer.done():
            self.answer.set_result(answer)


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The loop that runs in this thread, if one does."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
