"""The service's two limits: requests per second, and requests per UTC day."""

import math
from collections import deque
from datetime import UTC, date, datetime, timedelta
from typing import Final, Literal

from attrs import define, field, frozen

_SECOND: Final = timedelta(seconds=1)

Window = Literal["sliding", "calendar"]
"""What one second is: any period of that length, or a whole second of the clock."""


@frozen
class RateLimited:
    """The rejection of a request: the message, and the seconds of `Retry-After` if that header is sent."""

    message: str
    retry_after: float | None


@define
class Limits:
    """A counter of the requests that arrive. Rejected requests do not count; `None` means no limit."""

    per_second: int | None
    per_day: int | None
    window: Window = "sliding"
    retry_after: float | None = 1  # of the limit per second
    background_rps: float = 0
    peak: int = 0  # the maximum of counted requests in one second, without background requests
    rejected: int = 0
    _counted: deque[datetime] = field(factory=deque[datetime])
    _background: deque[datetime] = field(factory=deque[datetime])
    _last_arrival: datetime | None = None
    _due: float = 0.0  # background requests that are due, with the fraction of the next one
    _day: date | None = None
    _today: int = 0

    def reset(self) -> "Limits":
        """Return the same limits without any counted requests."""
        return Limits(self.per_second, self.per_day, self.window, self.retry_after, self.background_rps)

    def hit(self, now: datetime) -> RateLimited | None:
        """Count a client's request, or return its rejection."""
        now = now.astimezone(UTC)
        if self._day != now.date():
            self._day, self._today = now.date(), 0
        self._add_background(now)
        self._drop_expired(now)
        rejection = self._rejection(now)
        if rejection is not None:
            self.rejected += 1
            return rejection
        self._counted.append(now)
        self._today += 1
        self.peak = max(self.peak, len(self._counted))
        return None

    def _add_background(self, now: datetime) -> None:
        """Count the background requests since the last arrival, evenly spaced; those over the limit are dropped."""
        last, self._last_arrival = self._last_arrival, now
        if self.per_second is None or not self.background_rps:
            return
        # Only the last second counts. Background requests also arrive before the first client's request.
        elapsed = _SECOND if last is None else max(timedelta(0), min(now - last, _SECOND))
        self._due += elapsed.total_seconds() * self.background_rps
        while self._due >= 1:
            self._due -= 1
            arrival = now - timedelta(seconds=self._due / self.background_rps)
            self._drop_expired(arrival)
            if self._has_capacity():
                self._background.append(arrival)

    def _drop_expired(self, now: datetime) -> None:
        """Drop arrivals of earlier seconds, and those of the future if the clock was set back."""
        for arrivals in (self._counted, self._background):
            while arrivals and not self._is_same_second(arrivals[0], now):
                arrivals.popleft()

    def _is_same_second(self, arrival: datetime, now: datetime) -> bool:
        if self.window == "calendar":
            return now.replace(microsecond=0) <= arrival <= now
        return now - _SECOND < arrival <= now

    def _has_capacity(self) -> bool:
        return self.per_second is None or len(self._counted) + len(self._background) < self.per_second

    def _rejection(self, now: datetime) -> RateLimited | None:
        if self.per_day is not None and self._today >= self.per_day:
            midnight = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), UTC)
            seconds = max(1, math.ceil((midnight - now).total_seconds()))
            message = f"Too many requests: the limit is {self.per_day} a day, reset at the end of the UTC day"
            return RateLimited(message, seconds)
        if not self._has_capacity():
            return RateLimited(f"Too many requests: the limit is {self.per_second} a second", self.retry_after)
        return None
