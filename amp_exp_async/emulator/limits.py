"""The service's two limits: requests in any window of one second, and requests in a UTC day."""

import math
from collections import deque
from datetime import UTC, date, datetime, timedelta
from typing import Final

from attrs import define, field, frozen

_WINDOW: Final = timedelta(seconds=1)


@frozen
class Excess:
    """A request that is over a limit: what to say, and after how many seconds to come again."""

    message: str
    retry_after: int


@define
class Limits:
    """Counts requests as they arrive. What is refused does not count; `None` means no limit."""

    per_second: int | None
    per_day: int | None
    peak: int = 0  # the most requests counted in any window of one second
    refused: int = 0
    _window: deque[datetime] = field(factory=deque[datetime])
    _day: date | None = None
    _today: int = 0

    def arrive(self, now: datetime) -> Excess | None:
        """Count a request, or say which limit it is over."""
        now = now.astimezone(UTC)
        self._forget(now)
        excess = self._excess(now)
        if excess is not None:
            self.refused += 1
            return excess
        self._window.append(now)
        self._today += 1
        self.peak = max(self.peak, len(self._window))
        return None

    def _forget(self, now: datetime) -> None:
        """Let go of what no longer counts: other days, and moments a second ago or, on a clock set back, ahead."""
        if self._day != now.date():
            self._day, self._today = now.date(), 0
        while self._window and not now - _WINDOW < self._window[0] <= now:
            self._window.popleft()

    def _excess(self, now: datetime) -> Excess | None:
        if self.per_day is not None and self._today >= self.per_day:
            midnight = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), UTC)
            seconds = max(1, math.ceil((midnight - now).total_seconds()))
            return Excess(
                f"Too many requests: the limit is {self.per_day} a day, reset at the end of the UTC day", seconds
            )
        if self.per_second is not None and len(self._window) >= self.per_second:
            return Excess(f"Too many requests: the limit is {self.per_second} a second", 1)
        return None
