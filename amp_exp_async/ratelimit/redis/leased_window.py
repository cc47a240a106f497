"""The moving window of a process that has a lease on a part of the permits."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

from amp_exp_async.ratelimit.config import RateLimit
from amp_exp_async.ratelimit.window import SECONDS_PER_DAY, WINDOW_SECONDS, PermitWindow


class LeasedWindow:
    """A `MovingWindow` whose permits have to be leased, and leased again.

    Attributes:
        capacity: the number of leased permits.
        expires_at: when the lease expires.
        reserved: the requests of the day that may still be sent; negative if more were sent while it was `unmetered`.
        unmetered: whether requests are sent without a reservation, since Redis is unavailable.
        starved: whether a permit was requested that only a larger or a newer lease can provide.
        acquired: the number of permits taken so far, without those that were undone.
        on_starved: called when the window becomes `starved`.
    """

    def __init__(self, wall_clock: Callable[[], float]) -> None:
        """Create a window without a lease.

        Args:
            wall_clock: returns POSIX time in seconds.
        """
        self.on_starved: Callable[[], None] = lambda: None
        self._wall_clock = wall_clock
        self._window = PermitWindow(wall_clock)
        self._reset_lease()

    def reset(self) -> None:
        self._window.reset()
        self._reset_lease()

    def _reset_lease(self) -> None:
        self.capacity = 0
        self.expires_at = -math.inf
        self.reserved = 0
        self.unmetered = False
        self.starved = False
        self.acquired = 0
        self._used_by_others = (0, 0)  # a day, and the requests of other processes on that day
        self._available_since: deque[float] = deque()  # of the permits that are not in use, in order
        self._acquired_at = -math.inf
        self._max_rtt_credit = 0.0

    @property
    def limit(self) -> RateLimit:
        return self._window.limit

    @limit.setter
    def limit(self, limit: RateLimit) -> None:
        self._window.limit = limit

    @property
    def in_use(self) -> int:
        return self._window.in_use

    def in_use_at(self, now: float) -> int:
        return self._window.in_use_at(now)

    @property
    def requests_today(self) -> int:
        """The number of requests sent in the current UTC day by all processes, as far as is known."""
        day, others = self._used_by_others
        return self._window.requests_today + (others if day == self._wall_clock() // SECONDS_PER_DAY else 0)

    def acquire_nowait(self, now: float) -> bool:
        window = self._window
        if window.is_paused(now):
            return False
        self._collect_cooled(now)
        if now >= self.expires_at or window.in_use >= self.capacity or not (self.unmetered or self.reserved > 0):
            if not self.starved:
                self.starved = True
                self.on_starved()
            return False
        if not window.acquire_nowait(now):
            return False
        if self._available_since:
            self._available_since.pop()
        self._acquired_at = now
        self.reserved -= 1
        self.acquired += 1
        return True

    def undo_acquire(self) -> None:
        self._window.undo_acquire()
        self._available_since.append(self._acquired_at)
        self.reserved += 1
        self.acquired -= 1

    def release(self, now: float, sent_at: float, *, answered: bool, throttled: bool) -> None:
        window = self._window
        self._collect_cooled(now)  # a 429 removes the cooled permits from the window
        window.release(now, sent_at, answered=answered, throttled=throttled)
        self._max_rtt_credit = max(self._max_rtt_credit, window.rtt_credit)

    def forfeit(self, now: float, permits: int) -> None:
        self._window.forfeit(now, permits)

    def pause(self, now: float, seconds: float, *, daily: bool) -> None:
        self._window.pause(now, seconds, daily=daily)

    def resume_at(self, now: float) -> tuple[float, bool]:
        return self._window.resume_at(now)

    def next_permit_at(self, now: float) -> float:
        """Return when to try again if the lease does not change before; infinite if a new lease is needed."""
        resume_at, _ = self._window.resume_at(now)
        if resume_at > now:
            return resume_at
        if now >= self.expires_at or not (self.unmetered or self.reserved > 0):
            return math.inf
        if self._window.in_use >= self.capacity:
            return self._window.next_cooled_at
        return self._window.next_permit_at(now)

    def renew(self, *, capacity: int, expires_at: float, reserved: int) -> None:
        """Replace the lease."""
        self.capacity, self.expires_at, self.reserved = capacity, expires_at, reserved
        self.unmetered = self.starved = False

    def fall_back(self, capacity: int, *, debt: int) -> None:
        """Use permits without a lease until the next one, since the store did not get our `debt`."""
        self.capacity, self.expires_at = capacity, math.inf
        self.reserved -= debt
        self.unmetered, self.starved = True, False

    def take_reserved(self, max_unused: int) -> tuple[int, int, int]:
        """Update the account of the day.

        Returns:
            The requests that were sent without a reservation; the reservations to keep, at most `max_unused`; the
            reservations that are given up.
        """
        reserved = max(0, self.reserved)
        debt, unused = max(0, -self.reserved), min(reserved, max_unused)
        self.reserved = unused
        return debt, unused, reserved - unused

    def record_used(self, day: int, used: int) -> None:
        """Record the requests of a day, reserved ones included, of all processes."""
        self._used_by_others = day, max(0, used - max(0, self.reserved) - self._window.requests_today)

    def committed(self, now: float) -> int:
        """Return the number of permits that no other process may use yet.

        They cool down for a whole second: the way of another process to the service may be shorter than ours.
        """
        self._collect_cooled(now)
        available_since = self._available_since
        while available_since and available_since[0] + self._max_rtt_credit <= now:
            available_since.popleft()
        return self._window.in_use + len(available_since)

    def next_release_at(self, now: float) -> float:
        """Return when `committed` may become smaller."""
        cooled_at = self._window.next_cooled_at
        return (cooled_at if cooled_at < math.inf else now + WINDOW_SECONDS) + self._max_rtt_credit

    def day_pause(self, now: float) -> float:
        """Return the seconds until the service allows requests again, if the limit of the day is reached; else 0."""
        return max(0.0, self._window.day_paused_until - now)

    def _collect_cooled(self, now: float) -> None:
        if cooled := self._window.take_cooled(now):
            self._available_since.extend(cooled)
