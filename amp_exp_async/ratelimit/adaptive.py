"""How many requests a second may be ours, when others use the same key: it backs off, and recovers.

A refusal says that the service's window was full. How many of our own requests were in it is known. A little less than
that may be ours while the others do what they do: who has more yields more, so that several processes with one key
come near to equal parts; but hardly anything where it is the first refusal in a while, perhaps a stray. The capacity
starts below that, is soon there, stays for a while, and then grows ever faster, in case the others are gone.
"""

from __future__ import annotations

import math

_YIELDED = 0.2  # of the limit, by one who has all of it; less by the cube of the part that one has
_STRAY = 0.02  # the same, when there was no other refusal recently: perhaps nobody else uses the key
_RECENTLY = 6.0  # seconds
_KEPT = 0.95  # of what may be ours, at first
_POWER = 5  # of the time before and after the plateau: odd, and the higher, the longer the capacity stays there
_GROWTH = 0.0045  # of the limit, for a second to that power: in 4 s it grows by 40 % of the limit
_LEAST = 0.05  # of the limit: to notice that there is more, one has to send now and then
_ROUNDING = 1e-6  # permits


class Capacity:
    """The most permits that may be held at once.

    Attributes:
        limit: what it is when nobody else uses the key.
    """

    __slots__ = (
        "_accepted",
        "_backed_off_at",
        "_grows_from",
        "_plateau",
        "_plateau_after",
        "_whole",
        "_yielded",
        "limit",
    )

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._whole = True
        self._backed_off_at = -math.inf
        self._grows_from = 0.0
        self._accepted = self._plateau = float(limit)
        self._plateau_after = 0.0
        self._yielded = 0.0

    @property
    def whole(self) -> bool:
        """Whether the limit is all that holds."""
        return self._whole

    def at(self, now: float) -> int:
        """The capacity at a time."""
        if self._whole:
            return self.limit
        seconds = max(0.0, now - self._grows_from) - self._plateau_after
        size = self._plateau + _GROWTH * self.limit * seconds**_POWER
        self._whole = size >= self.limit
        return self.limit if self._whole else int(max(1.0, _LEAST * self.limit, size) + _ROUNDING)

    def reaches(self, permits: int) -> float:
        """From when on it is so many, unless there are refusals; never, where that is over the limit."""
        if permits > self.limit:
            return math.inf
        return self._grows_from + self._plateau_after + self._seconds(permits - self._plateau)

    def refused(self, now: float, sent_at: float, held: int) -> bool:
        """Back off, but once only for all the requests that had been sent by then.

        Args:
            now: when the refusal came.
            sent_at: when the refused request was sent.
            held: our requests that may be in the service's window, without those that it has refused.

        Returns:
            Whether it backed off; else there was one request less of ours in the window than it seemed.
        """
        first = sent_at >= self._backed_off_at
        if first:
            self._yielded = _YIELDED if now < self._backed_off_at + _RECENTLY else _STRAY
            self._backed_off_at = self._grows_from = now
            self._whole = False
        self._accepted = max(1.0, float(min(held, self.limit)) if first else self._accepted - 1)
        self._plateau = self._accepted - self._yielded * self.limit * (self._accepted / self.limit) ** 3
        self._plateau_after = self._seconds(self._plateau * (1 - _KEPT))
        return first

    def rest(self, until: float) -> None:
        """Grow no sooner than a pause is over."""
        self._grows_from = max(self._grows_from, until)

    def _seconds(self, growth: float) -> float:
        """How long after the plateau it has grown by so much; before the plateau, below nothing."""
        return math.copysign(abs(growth / (_GROWTH * self.limit)) ** (1 / _POWER), growth)
