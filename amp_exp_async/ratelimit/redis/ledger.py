"""The accounts of a process's part of the permits. Pure, like the ledger that it is based on."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from heapq import heappop

from amp_exp_async.ratelimit.window import SECONDS_PER_DAY, Ledger

_WINDOW = 1.0  # seconds


class PartLedger(Ledger):
    """A ledger that keeps to a part of its limits, which somebody else has to bring, and bring again.

    Attributes:
        part: permits that may be in use.
        fresh_until: until when that holds.
        counted: requests that may be sent of the day's; less than none when it did not matter.
        free: whether the day's requests do not matter, because nobody can be asked.
        wanting: whether a permit was asked for that only a larger, or fresher, part could give.
        granted: permits granted so far, those that were put back not included.
    """

    def __init__(self, wall_clock: Callable[[], float], ask: Callable[[], None]) -> None:
        """Make a ledger without a part.

        Args:
            wall_clock: POSIX time in seconds.
            ask: called when it becomes `wanting`.
        """
        self._ask = ask
        super().__init__(wall_clock)

    def start_anew(self) -> None:
        """Forget everything but the limits."""
        super().start_anew()
        self.part = 0
        self.fresh_until = -math.inf
        self.counted = 0
        self.free = False
        self.wanting = False
        self.granted = 0
        self._others_today = (0, 0)
        # Since when permits are usable that are not in use, the longest first.
        self._usable: deque[float] = deque()
        self._head_start = 0.0
        self._taken_at = -math.inf

    @property
    def requests_today(self) -> int:
        """Requests sent in the present UTC day, by all processes, as far as they were heard of."""
        day, others = self._others_today
        return super().requests_today + (others if day == self._wall_clock() // SECONDS_PER_DAY else 0)

    def saw_used(self, day: int, used: int) -> None:
        """Take note of how many requests of a day were counted for all."""
        self._others_today = day, max(0, used - max(0, self.counted) - super().requests_today)

    def take(self, now: float) -> bool:
        """Take a permit, if there is one."""
        if now < self._paused_until or now < self._day_paused_until:
            return False
        self._look_for_usable(now)
        if now >= self.fresh_until or self.held >= self.part or not (self.free or self.counted > 0):
            if not self.wanting:
                self.wanting = True
                self._ask()
            return False
        if not super().take(now):
            return False
        if self._usable:
            self._usable.pop()
        self._taken_at = now
        self.counted -= 1
        self.granted += 1
        return True

    def put_back(self) -> None:
        """Undo a taking: nothing was sent."""
        super().put_back()
        self._usable.append(self._taken_at)
        self.counted += 1
        self.granted -= 1

    def give_back(self, now: float, sent_at: float, *, answered: bool, throttled: bool) -> None:
        """End a request that may have reached the service."""
        super().give_back(now, sent_at, answered=answered, throttled=throttled)
        self._head_start = max(self._head_start, self._trips.head_start)

    def next_at(self, now: float) -> float:
        """When it pays to ask again, if nobody brings another part before."""
        opens_at, _ = self.opens_at(now)
        if opens_at > now:
            return opens_at
        if now >= self.fresh_until or not (self.free or self.counted > 0):
            return math.inf
        if self.held >= self.part:
            return self._coming[0] if self._coming else math.inf
        return super().next_at(now)

    def busy(self, now: float) -> int:
        """Permits that no other process may use yet.

        The head start that this process's own network allows is not for others: their way may be shorter.
        """
        self._look_for_usable(now)
        usable = self._usable
        while usable and usable[0] + self._head_start <= now:
            usable.popleft()
        return self.held + len(usable)

    def less_busy_at(self, now: float) -> float:
        """When that may be fewer."""
        return (self._coming[0] if self._coming else now + _WINDOW) + self._head_start

    def day_pause(self, now: float) -> float:
        """Seconds for which the day's limit allows nothing."""
        return max(0.0, self._day_paused_until - now)

    def _look_for_usable(self, now: float) -> None:
        coming = self._coming
        while coming and coming[0] <= now:
            self._usable.append(heappop(coming))
