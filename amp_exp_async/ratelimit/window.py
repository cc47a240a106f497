"""The accounts of the permits: who may send now, and when it pays to ask again. Pure, but for a look at the calendar.

There are as many permits as the limit has requests. A request takes one, and the permit becomes usable again a second
after the reply, less what the network takes at the least: whatever it does to the times of arrival, no window of one
second at the service then holds more requests than there are permits. Every `now` is of one and the same clock.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush

from .adaptive import Capacity
from .config import RateLimit
from .roundtrips import RoundTrips

_WINDOW = 1.0  # seconds
_LONGEST_WAY = 2.0  # seconds that a request without a reply may still take to arrive
_LOOK_AGAIN = 60.0  # seconds after which the calendar is looked at anew: its clock may have been set


SECONDS_PER_DAY = 86_400


def seconds_to_midnight(now: float) -> float:
    """Return the seconds from a POSIX time to the end of its UTC day."""
    return SECONDS_PER_DAY - now % SECONDS_PER_DAY


class Ledger:
    """Permits, pauses and the day's count for one key."""

    def __init__(self, wall_clock: Callable[[], float]) -> None:
        self._wall_clock = wall_clock
        self._limit = RateLimit(per_second=None, per_day=None)
        self.start_anew()

    def start_anew(self) -> None:
        """Forget everything but the limits."""
        self._in_flight = 0
        self._coming: list[float] = []
        self._refused: deque[float] = deque()
        self._trips = RoundTrips()
        self._capacity = Capacity(self._limit.per_second or 1)
        self._paused_until = -math.inf
        self._day_paused_until = -math.inf
        self._look_again_at = -math.inf
        self._day = 0
        self._today = 0

    @property
    def limit(self) -> RateLimit:
        """The limits that hold. They may change at any time."""
        return self._limit

    @limit.setter
    def limit(self, limit: RateLimit) -> None:
        self._limit = limit
        self._capacity.limit = limit.per_second or 1

    @property
    def held(self) -> int:
        """Permits that are not usable: their requests are in flight, or their second is not over."""
        return self._in_flight + len(self._coming)

    @property
    def requests_today(self) -> int:
        """Requests sent in the present UTC day."""
        return self._today if self._day == self._wall_clock() // SECONDS_PER_DAY else 0

    def take(self, now: float) -> bool:
        """Take a permit, if there is one."""
        if now < self._paused_until or now < self._day_paused_until:
            return False
        if now >= self._look_again_at:
            self._look_at_calendar(now)
        limit, coming = self._limit, self._coming
        if limit.per_day is not None and self._today >= limit.per_day:
            return False
        if limit.per_second is not None:
            while coming and coming[0] <= now:
                heappop(coming)
            if self._in_flight + len(coming) >= self._capacity.at(now):
                return False
        self._in_flight += 1
        self._today += 1
        return True

    def put_back(self) -> None:
        """Undo a taking: nothing was sent."""
        self._in_flight -= 1
        self._today = max(0, self._today - 1)

    def give_back(self, now: float, sent_at: float, *, answered: bool, throttled: bool) -> None:
        """End a request that may have reached the service: its permit comes back when its second is over."""
        self._in_flight -= 1
        if self._limit.per_second is None:
            return
        elapsed = now - sent_at
        hold = _WINDOW
        if throttled:
            # Services differ in whether they count what they refuse: this is right for both kinds.
            self._back_off(now, sent_at)
            self._refused.append(now + hold)
        elif answered:
            self._trips.saw(elapsed)
            hold -= self._trips.head_start
        else:
            # It may still be under way, for as long again as it has been already, within reason.
            hold += min(elapsed, _LONGEST_WAY)
        heappush(self._coming, now + max(0.0, hold))

    def give_up(self, now: float, permits: int) -> None:
        """End requests of which nobody will ever hear again."""
        self._in_flight -= permits
        for _ in range(permits if self._limit.per_second is not None else 0):
            heappush(self._coming, now + _WINDOW + _LONGEST_WAY)

    def _back_off(self, now: float, sent_at: float) -> None:
        while self._refused and self._refused[0] <= now:
            self._refused.popleft()
        while self._coming and self._coming[0] <= now:
            heappop(self._coming)
        alone = self._capacity.whole
        if self._capacity.refused(now, sent_at, self.held - len(self._refused)) and alone:
            # Perhaps nobody else uses the key, and the network has become another.
            self._trips.learn_anew()

    def pause(self, now: float, seconds: float, *, daily: bool) -> None:
        """Let nothing be sent for so many seconds: the service refused a request."""
        if daily:
            self._day_paused_until = max(self._day_paused_until, now + seconds)
        else:
            self._paused_until = max(self._paused_until, now + seconds)
            self._capacity.rest(self._paused_until)

    def opens_at(self, now: float) -> tuple[float, bool]:
        """From when on pauses and the day's limit allow requests, and whether the day's is used up."""
        if now >= self._look_again_at:
            self._look_at_calendar(now)
        day = self._day_paused_until
        if self._limit.per_day is not None and self._today >= self._limit.per_day:
            day = max(day, now + seconds_to_midnight(self._wall_clock()))
        return max(day, self._paused_until), day > now

    def next_at(self, now: float) -> float:
        """When it pays to ask again, if nothing else happens before."""
        opens_at, _ = self.opens_at(now)
        held = self.held
        if self._limit.per_second is None or held < self._capacity.at(now):
            return opens_at
        comes_at = self._coming[0] if self._coming else math.inf
        return max(opens_at, min(comes_at, self._capacity.reaches(held + 1)))

    def _look_at_calendar(self, now: float) -> None:
        wall = self._wall_clock()
        self._look_again_at = now + min(_LOOK_AGAIN, seconds_to_midnight(wall))
        day = int(wall // SECONDS_PER_DAY)
        if day != self._day:
            self._day, self._today = day, 0
