"""Moving windows, which decide whether a request may be sent now, and when to ask again.

There are as many permits as the limit allows requests in a second. A request takes a permit. When the response has
arrived, the permit cools down for one second, less the minimum time that the network takes, and is then available
again. However the network delays requests, the service then sees no more requests in any one second than there are
permits.

Nothing here waits, locks or sends. All `now` arguments of one window come from the same clock.
"""

from __future__ import annotations

import math
from bisect import insort
from collections import deque
from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from typing import Protocol

from .adaptive import AdaptiveLimit
from .config import RateLimit

SECONDS_PER_DAY = 86_400
WINDOW_SECONDS = 1.0

_MAX_TRANSIT = 2.0  # seconds that a request without a response may still take to arrive
_CLOCK_CHECK_INTERVAL = 60.0  # seconds after which the day is determined again: the wall clock may have been set

_WARM_UP = 100  # responses before the network counts as known; twice as many each time that it was wrong
_MAX_WARM_UP = 6400
_SHORTEST = 16  # round trips that are kept
_MIN_MARGIN = 0.05  # of the shortest round trip, if all take equally long: a network may become faster


def seconds_to_midnight(now: float) -> float:
    """Return the seconds from a POSIX time to the end of its UTC day."""
    return SECONDS_PER_DAY - now % SECONDS_PER_DAY


class MovingWindow(Protocol):
    """The permits of one key."""

    @property
    def limit(self) -> RateLimit:
        """The limits that apply. They may change at any time."""
        ...

    @limit.setter
    def limit(self, limit: RateLimit) -> None: ...

    @property
    def in_use(self) -> int:
        """The number of permits whose requests are in flight, or that are cooling down."""
        ...

    def in_use_at(self, now: float) -> int:
        """Return the number of permits in use, without those that have cooled down since the last request."""
        ...

    @property
    def requests_today(self) -> int:
        """The number of requests sent in the current UTC day."""
        ...

    def acquire_nowait(self, now: float) -> bool:
        """Take a permit, and return whether one was available."""
        ...

    def undo_acquire(self) -> None:
        """Return a permit of which nothing was sent."""
        ...

    def release(self, now: float, sent_at: float, *, answered: bool, throttled: bool) -> None:
        """Start to cool down the permit of a request that may have reached the service.

        Args:
            now: when the request ended.
            sent_at: when it was sent.
            answered: whether a response arrived.
            throttled: whether that was a 429 for too many requests in a second.
        """
        ...

    def forfeit(self, now: float, permits: int) -> None:
        """Start to cool down permits whose requests will never be released."""
        ...

    def pause(self, now: float, seconds: float, *, daily: bool) -> None:
        """Give out no permits for some seconds, until the UTC day ends at most.

        `daily` if the limit of the day is the reason.
        """
        ...

    def resume_at(self, now: float) -> tuple[float, bool]:
        """Return when pauses and the limit of the day allow requests, and whether the limit of the day is reached."""
        ...

    def next_permit_at(self, now: float) -> float:
        """Return when to try again if no other method is called before; infinite if it depends on responses."""
        ...

    def reset(self) -> None:
        """Forget everything but the limits."""
        ...


class PermitWindow:
    """The `MovingWindow` of one process."""

    def __init__(self, wall_clock: Callable[[], float]) -> None:
        """Create a window without limits.

        Args:
            wall_clock: returns POSIX time in seconds.
        """
        self._wall_clock = wall_clock
        self._limit = RateLimit(per_second=None, per_day=None)
        self.reset()

    def reset(self) -> None:
        self._in_flight = 0
        self._cooling: list[float] = []  # a heap of the times at which permits become available
        self._throttled: deque[float] = deque()  # the same of those whose requests the service rejected
        self._rtt = RttEstimator()
        self._adaptive = AdaptiveLimit(self._limit.per_second or 1)
        self._paused_until = -math.inf
        self._day_paused_until = -math.inf
        self._check_clock_at = -math.inf
        self._day = 0
        self._today = 0

    @property
    def limit(self) -> RateLimit:
        return self._limit

    @limit.setter
    def limit(self, limit: RateLimit) -> None:
        self._limit = limit
        self._adaptive.limit = limit.per_second or 1

    @property
    def rtt_credit(self) -> float:
        """The seconds by which cooling down is shorter than a second."""
        return self._rtt.credit

    @property
    def in_use(self) -> int:
        return self._in_flight + len(self._cooling)

    def in_use_at(self, now: float) -> int:
        # Another thread may ask, so it reads a copy.
        return self._in_flight + sum(time > now for time in self._cooling.copy())

    @property
    def requests_today(self) -> int:
        return self._today if self._day == self._wall_clock() // SECONDS_PER_DAY else 0

    @property
    def day_paused_until(self) -> float:
        """When the service allows requests again after it has reported that the limit of the day is reached."""
        return self._day_paused_until

    @property
    def next_cooled_at(self) -> float:
        """When the next permit has cooled down; infinite if none is cooling down."""
        return self._cooling[0] if self._cooling else math.inf

    def is_paused(self, now: float) -> bool:
        """Return whether the service has asked to send nothing."""
        return now < self._paused_until or now < self._day_paused_until

    def acquire_nowait(self, now: float) -> bool:
        if now < self._paused_until or now < self._day_paused_until:
            return False
        if now >= self._check_clock_at:
            self._roll_day(now)
        limit, cooling = self._limit, self._cooling
        if limit.per_day is not None and self._today >= limit.per_day:
            return False
        if limit.per_second is not None:
            while cooling and cooling[0] <= now:
                heappop(cooling)
            if self._in_flight + len(cooling) >= self._adaptive.current(now):
                return False
        self._in_flight += 1
        self._today += 1
        return True

    def undo_acquire(self) -> None:
        self._in_flight -= 1
        self._today = max(0, self._today - 1)

    def release(self, now: float, sent_at: float, *, answered: bool, throttled: bool) -> None:
        self._in_flight -= 1
        if self._limit.per_second is None:
            return
        elapsed = now - sent_at
        cool_down = WINDOW_SECONDS
        if throttled:
            # Some services count what they reject: a whole second is right for both kinds.
            self._back_off(now, sent_at)
            self._throttled.append(now + cool_down)
        elif answered:
            self._rtt.record(elapsed)
            cool_down -= self._rtt.credit
        else:
            # The request may still be in flight, for as long again as it has been already, within reason.
            cool_down += min(elapsed, _MAX_TRANSIT)
        heappush(self._cooling, now + max(0.0, cool_down))

    def forfeit(self, now: float, permits: int) -> None:
        self._in_flight -= permits
        for _ in range(permits if self._limit.per_second is not None else 0):
            heappush(self._cooling, now + WINDOW_SECONDS + _MAX_TRANSIT)

    def take_cooled(self, now: float) -> Sequence[float]:
        """Remove the permits that have cooled down, and return since when each has been available, in order."""
        cooling = self._cooling
        if not cooling or cooling[0] > now:
            return ()
        cooled = list[float]()
        while cooling and cooling[0] <= now:
            cooled.append(heappop(cooling))
        return cooled

    def pause(self, now: float, seconds: float, *, daily: bool) -> None:
        seconds = min(seconds, seconds_to_midnight(self._wall_clock()))
        if daily:
            self._day_paused_until = max(self._day_paused_until, now + seconds)
        else:
            self._paused_until = max(self._paused_until, now + seconds)
            self._adaptive.hold_until(self._paused_until)

    def resume_at(self, now: float) -> tuple[float, bool]:
        if now >= self._check_clock_at:
            self._roll_day(now)
        day = self._day_paused_until
        if self._limit.per_day is not None and self._today >= self._limit.per_day:
            day = max(day, now + seconds_to_midnight(self._wall_clock()))
        return max(day, self._paused_until), day > now

    def next_permit_at(self, now: float) -> float:
        resume_at, _ = self.resume_at(now)
        in_use = self.in_use
        if self._limit.per_second is None or in_use < self._adaptive.current(now):
            return resume_at
        return max(resume_at, min(self.next_cooled_at, self._adaptive.time_at(in_use + 1)))

    def _back_off(self, now: float, sent_at: float) -> None:
        self.take_cooled(now)
        while self._throttled and self._throttled[0] <= now:
            self._throttled.popleft()
        was_full = self._adaptive.is_full
        if self._adaptive.on_throttled(now, sent_at, self.in_use - len(self._throttled)) and was_full:
            # If no other process uses the key, then the network has become faster than it was.
            self._rtt.reset()

    def _roll_day(self, now: float) -> None:
        wall = self._wall_clock()
        self._check_clock_at = now + min(_CLOCK_CHECK_INTERVAL, seconds_to_midnight(wall))
        day = int(wall // SECONDS_PER_DAY)
        if day != self._day:
            self._day, self._today = day, 0


class RttEstimator:
    """An estimate of the minimum round-trip time, by which a permit may be used again earlier.

    Between two requests with the same permit lie the way back of a response, the wait, and the way of the next request.
    So the wait may be shorter than a second by the minimum time of two such ways. The shortest round trip seen so far
    is a little longer than that, the more so the fewer round trips come close to it. Therefore the credit is the
    shortest round trip less its distance to the 16th shortest.

    Attributes:
        credit: the seconds by which the wait may be shorter.
    """

    __slots__ = ("_responses", "_shortest", "_warm_up", "credit")

    def __init__(self) -> None:
        self.credit = 0.0
        self._warm_up = _WARM_UP
        self._responses = 0
        self._shortest: list[float] = []

    def reset(self) -> None:
        """Forget all round trips, and take longer to warm up: the network is not as it seemed."""
        self.credit = 0.0
        self._warm_up = min(2 * self._warm_up, _MAX_WARM_UP)
        self._responses = 0
        self._shortest = []

    def record(self, seconds: float) -> None:
        """Add a round trip."""
        self._responses += 1
        shortest = self._shortest
        if len(shortest) < _SHORTEST:
            insort(shortest, seconds)
        elif seconds < shortest[-1]:
            del shortest[-1]
            insort(shortest, seconds)
        elif self._responses != self._warm_up:
            return
        if self._responses >= self._warm_up:
            margin = max(_MIN_MARGIN * shortest[0], shortest[-1] - shortest[0])
            self.credit = max(0.0, shortest[0] - margin)
