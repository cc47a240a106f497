"""The adaptive limit: the number of permits that a process may use while others use the same key.

The curve is that of CUBIC congestion control (RFC 9438), with a higher power. A 429 shows that the service's window was
full, and how many of our own requests were in it. The limit then drops to a little less than that number, reaches a
plateau, stays near the plateau for about two seconds, and grows ever faster in case the others have left. A process
with a larger part of the window backs off by more, so that processes converge to equal parts. After the first 429 in a
while it hardly backs off at all, since that may have been a stray one.
"""

from __future__ import annotations

import math

_BACKOFF = 0.2  # of the limit for a process that has all of it; for others less, by the cube of their part
_STRAY_BACKOFF = 0.02  # the same after the first 429 in a while: the process may be alone on the key
_STRAY_INTERVAL = 6.0  # seconds without a 429, after which the next one may be a stray
_START = 0.95  # of the plateau: the limit right after a 429
_POWER = 5  # of the time before and after the plateau; odd. A higher power makes the plateau longer.
_GROWTH = 0.0045  # of the limit, for a second to that power: 4 s after the plateau, the limit has grown by 40 %
_MIN_SHARE = 0.05  # of the limit: a process must send now and then to notice that the others have left
_ROUNDING = 1e-6  # permits


class AdaptiveLimit:
    """The maximum number of permits in use.

    Attributes:
        limit: the maximum while no other process uses the key.
    """

    __slots__ = (
        "_accepted",
        "_backed_off_at",
        "_backoff",
        "_full",
        "_growing_since",
        "_plateau",
        "_plateau_after",
        "limit",
    )

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._full = True
        self._backed_off_at = -math.inf
        self._growing_since = 0.0
        self._accepted = self._plateau = float(limit)
        self._plateau_after = 0.0
        self._backoff = 0.0

    @property
    def is_full(self) -> bool:
        """Whether the whole limit is available, as of the last call of `current`."""
        return self._full

    def current(self, now: float) -> int:
        """Return the maximum at a time."""
        if self._full:
            return self.limit
        seconds = max(0.0, now - self._growing_since) - self._plateau_after
        size = self._plateau + _GROWTH * self.limit * seconds**_POWER
        self._full = size >= self.limit
        return self.limit if self._full else int(max(1.0, _MIN_SHARE * self.limit, size) + _ROUNDING)

    def time_at(self, permits: int) -> float:
        """Return the time at which the maximum reaches a number of permits if no 429 comes; infinite if never."""
        if permits > self.limit:
            return math.inf
        return self._growing_since + self._plateau_after + self._seconds_to_grow(permits - self._plateau)

    def on_throttled(self, now: float, sent_at: float, in_window: int) -> bool:
        """Back off after a 429, but only once for all requests that had been sent by then.

        Args:
            now: the time of the 429.
            sent_at: when its request was sent.
            in_window: our requests that may be in the service's window, without those that it rejected.

        Returns:
            Whether it has backed off. If not, the window held one request less of ours than it seemed.
        """
        backs_off = sent_at >= self._backed_off_at
        if backs_off:
            self._backoff = _BACKOFF if now < self._backed_off_at + _STRAY_INTERVAL else _STRAY_BACKOFF
            self._backed_off_at = self._growing_since = now
            self._full = False
        self._accepted = max(1.0, float(min(in_window, self.limit)) if backs_off else self._accepted - 1)
        self._plateau = self._accepted - self._backoff * self.limit * (self._accepted / self.limit) ** 3
        self._plateau_after = self._seconds_to_grow(self._plateau * (1 - _START))
        return backs_off

    def hold_until(self, resume_at: float) -> None:
        """Start to grow after a pause."""
        self._growing_since = max(self._growing_since, resume_at)

    def _seconds_to_grow(self, permits: float) -> float:
        """Return the seconds from the plateau until it has grown by a number of permits; negative before it."""
        return math.copysign(abs(permits / (_GROWTH * self.limit)) ** (1 / _POWER), permits)
