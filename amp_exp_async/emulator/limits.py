"""The service's two limits: requests in one second, and requests in a UTC day."""

import math
from collections import deque
from datetime import UTC, date, datetime, timedelta
from typing import Final, Literal

from attrs import define, field, frozen

_WINDOW: Final = timedelta(seconds=1)

Window = Literal["sliding", "calendar"]
"""What one second is: any stretch of that length, or one from a whole second of the clock to the next."""


@frozen
class Excess:
    """A request that is over a limit: what to say, and after how many seconds to come again, if that is said."""

    message: str
    retry_after: float | None


@define
class Limits:
    """Counts requests as they arrive. What is refused does not count; `None` means no limit."""

    per_second: int | None
    per_day: int | None
    window: Window = "sliding"
    retry_after: float | None = 1  # seconds, said with the limit of a second
    background_rps: float = 0  # requests a second by others who share the limit
    peak: int = 0  # the most requests of clients counted in one second
    refused: int = 0  # of clients
    _counted: deque[datetime] = field(factory=deque[datetime])
    _counted_others: deque[datetime] = field(factory=deque[datetime])
    _looked: datetime | None = None
    _due: float = 0.0  # the part of the others' next request that has come due
    _day: date | None = None
    _today: int = 0

    def anew(self) -> "Limits":
        """The same limits with nothing counted."""
        return Limits(self.per_second, self.per_day, self.window, self.retry_after, self.background_rps)

    def arrive(self, now: datetime) -> Excess | None:
        """Count a client's request, or say which limit it is over."""
        now = now.astimezone(UTC)
        if self._day != now.date():
            self._day, self._today = now.date(), 0
        self._let_others_in(now)
        self._forget(now)
        excess = self._excess(now)
        if excess is not None:
            self.refused += 1
            return excess
        self._counted.append(now)
        self._today += 1
        self.peak = max(self.peak, len(self._counted))
        return None

    def _let_others_in(self, now: datetime) -> None:
        """Count the others' requests since the last look, evenly spaced; one that finds no room is lost."""
        looked, self._looked = self._looked, now
        if self.per_second is None or not self.background_rps:
            return
        # What came before the last second does not count any more. Before the first look the others were there too.
        passed = _WINDOW if looked is None else max(timedelta(0), min(now - looked, _WINDOW))
        self._due += passed.total_seconds() * self.background_rps
        while self._due >= 1:
            self._due -= 1
            moment = now - timedelta(seconds=self._due / self.background_rps)
            self._forget(moment)
            if self._has_room():
                self._counted_others.append(moment)

    def _forget(self, now: datetime) -> None:
        """Let go of the moments that no longer count: those of earlier seconds or, on a clock set back, ahead."""
        for counted in (self._counted, self._counted_others):
            while counted and not self._shares_a_second(counted[0], now):
                counted.popleft()

    def _shares_a_second(self, moment: datetime, now: datetime) -> bool:
        if self.window == "calendar":
            return now.replace(microsecond=0) <= moment <= now
        return now - _WINDOW < moment <= now

    def _has_room(self) -> bool:
        return self.per_second is None or len(self._counted) + len(self._counted_others) < self.per_second

    def _excess(self, now: datetime) -> Excess | None:
        if self.per_day is not None and self._today >= self.per_day:
            midnight = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), UTC)
            seconds = max(1, math.ceil((midnight - now).total_seconds()))
            return Excess(
                f"Too many requests: the limit is {self.per_day} a day, reset at the end of the UTC day", seconds
            )
        if not self._has_room():
            return Excess(f"Too many requests: the limit is {self.per_second} a second", self.retry_after)
        return None
