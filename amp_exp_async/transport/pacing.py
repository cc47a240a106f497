"""The pacer under every request: so many in any one second, so many in a UTC day.

It holds as many permits as the limit has requests. A request takes one, and the permit becomes usable again a second
after the reply: whatever the network does to the times of arrival, no window of one second at the service then holds
more requests than there are permits. Waiting from the reply costs throughput, so most of the least round trip seen is
taken off that second again: a request needs some time to arrive, and a reply to come back. Where that least suddenly
becomes less, a few requests come early; the 429 that this may bring makes the pacer learn anew.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import attrs
from attrs import field, frozen

from .retry import SECONDS_A_DAY, at_least_one, seconds_to_midnight

_WINDOW = 1.0  # seconds
_SHARE_OF_ROUND_TRIP = 0.8
_LONGEST_WAY = 2.0  # seconds that a request without a reply may still take to arrive
_WARM = 200  # replies, after which the least round trip seen is close to the least that there is


def _one_or_none(instance: object, field: attrs.Attribute[Any], value: object) -> None:
    if value is not None:
        at_least_one(instance, field, value)


@frozen(kw_only=True)
class RateLimit:
    """The limits that the client keeps to.

    Attributes:
        per_second: requests in any one second; None for no limit.
        per_day: requests in a UTC day; None for no limit.
    """

    per_second: int | None = field(default=100, validator=_one_or_none)
    per_day: int | None = field(default=100_000, validator=_one_or_none)


@frozen
class Paused(Exception):  # noqa: N818 - it is a state that ends, told to the transport
    """No request may be sent before a moment that lies after the deadline.

    Attributes:
        seconds: until then.
        daily: whether it is the day's limit that has been reached.
    """

    seconds: float
    daily: bool


class Pacer:
    """Hands out the permits, first come, first served. It belongs to one event loop."""

    def __init__(self, limit: RateLimit, wall_clock: Callable[[], float] = time.time) -> None:
        self._limit = limit
        self._wall_clock = wall_clock
        self._usable = limit.per_second or 0
        self._coming: list[float] = []
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._paused_until = 0.0
        self._pause_is_daily = False
        self._closed = False
        self._day = 0
        self._today = 0
        self._replies = 0
        self._least_round_trip = math.inf
        self._all_round_trips = 0.0
        self.seconds_waited = 0.0

    @property
    def requests_today(self) -> int:
        """Requests sent in the present UTC day."""
        return self._today if self._day == self._wall_clock() // SECONDS_A_DAY else 0

    async def acquire(self, until: float | None) -> None:
        """Take a permit.

        Args:
            until: the loop's time at which to give up; None for never.

        Raises:
            Paused: there will be none before that time.
            TimeoutError: there was none before that time.
        """
        loop = asyncio.get_running_loop()
        started = loop.time()
        if self._waiters or not self._take(started):
            self.refuse_hopeless(until)
            try:
                await self._wait_in_line(loop, until)
            finally:
                self.seconds_waited += loop.time() - started

    def release(self, sent_at: float, *, reached: bool, answered: bool) -> None:
        """Give a permit back.

        Args:
            sent_at: the loop's time when the request was sent.
            reached: whether the request may have reached the service at all.
            answered: whether a reply came.
        """
        now = asyncio.get_running_loop().time()
        elapsed = now - sent_at
        if not reached:
            self._today = max(0, self._today - 1)
            hold = 0.0
        elif answered:
            self._replies += 1
            self._least_round_trip = min(self._least_round_trip, elapsed)
            self._all_round_trips += elapsed
            hold = _WINDOW - self._head_start()
        else:
            # It may still be under way, for as long again as it has been already, within reason.
            hold = _WINDOW + min(elapsed, _LONGEST_WAY)
        if self._limit.per_second is not None:
            heapq.heappush(self._coming, now + max(0.0, hold))
        self._serve()

    def pause(self, seconds: float, *, daily: bool = False) -> None:
        """Send nothing for so many seconds: the service refused a request."""
        if not daily:
            self._learn_anew()
        until = asyncio.get_running_loop().time() + seconds
        if until > self._paused_until:
            self._paused_until, self._pause_is_daily = until, daily

    def _learn_anew(self) -> None:
        """Forget the round trips: the network may not be any more what it was."""
        self._replies = 0
        self._least_round_trip = math.inf
        self._all_round_trips = 0.0

    def _head_start(self) -> float:
        """What may be taken off the window: nothing before the least round trip is known, and less of an uneven one."""
        if self._replies < max(_WARM, 2 * (self._limit.per_second or 0)):
            return 0.0
        least = self._least_round_trip
        spread = self._all_round_trips / self._replies - least
        margin = (1 - _SHARE_OF_ROUND_TRIP) * max(least, spread)
        return max(0.0, least - margin)

    def _take(self, now: float) -> bool:
        while self._coming and self._coming[0] <= now:
            heapq.heappop(self._coming)
            self._usable += 1
        if now < self._opens_at(now) or (self._limit.per_second is not None and not self._usable):
            return False
        self._usable -= 1
        self._today += 1
        return True

    def _opens_at(self, now: float) -> float:
        """The loop's time from which pauses and the day's limit allow requests again."""
        wall = self._wall_clock()
        if self._day != wall // SECONDS_A_DAY:
            self._day, self._today = int(wall // SECONDS_A_DAY), 0
        if self._limit.per_day is not None and self._today >= self._limit.per_day:
            return max(self._paused_until, now + seconds_to_midnight(wall))
        return self._paused_until

    def refuse_hopeless(self, until: float | None) -> None:
        """Say at once that nothing may be sent before the loop's time `until`.

        Raises:
            Paused: for how long not.
        """
        now = asyncio.get_running_loop().time()
        opens_at = self._opens_at(now)
        if until is not None and opens_at > max(until, now):
            raise Paused(opens_at - now, daily=opens_at > self._paused_until or self._pause_is_daily)

    def close(self) -> None:
        """Leave no timer behind: those who wait are cancelled by then, or will be."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _wait_in_line(self, loop: asyncio.AbstractEventLoop, until: float | None) -> None:
        waiter: asyncio.Future[None] = loop.create_future()
        self._waiters.append(waiter)
        self._serve()
        try:
            async with asyncio.timeout_at(until):
                await waiter
        except BaseException:
            if waiter.done() and not waiter.cancelled():
                self._usable += 1
                self._today = max(0, self._today - 1)
                self._serve()
            elif waiter in self._waiters:
                self._waiters.remove(waiter)
            raise

    def _serve(self) -> None:
        """Give what is usable to those who wait, and come back when there is more."""
        if not self._waiters and self._timer is None:
            return
        loop = asyncio.get_running_loop()
        now = loop.time()
        while self._waiters:
            if self._waiters[0].done():  # cancelled, and not run since
                self._waiters.popleft()
            elif self._take(now):
                self._waiters.popleft().set_result(None)
            else:
                break
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        opens_at = self._opens_at(now)
        if self._waiters and not self._closed and (opens_at > now or self._coming):
            next_permit = self._coming[0] if self._coming and not self._usable else now
            self._timer = loop.call_at(max(opens_at, next_permit), self._serve)
