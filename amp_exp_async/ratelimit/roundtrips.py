"""How much earlier than a second after its reply a permit may be used again: what the network takes at the least.

Between two requests with the same permit lie a reply's way back, the wait, and the next request's way there. So the
wait may be shorter than a second by the least that two such ways can take together. The least round trip seen so far
is a little more than that, and the fewer round trips lie close to it, the more: the distance from the least to the
sixteenth least is taken off it.
"""

from __future__ import annotations

from bisect import insort

_WARM = 100  # replies, before which nothing is known; twice as many each time that it turns out to have been wrong
_WARM_AT_MOST = 6400
_NEAREST = 16  # round trips, from the least on
_LEAST_MARGIN = 0.05  # of the least round trip, where all of them take equally long: a network may become faster


class RoundTrips:
    """The least round trips seen.

    Attributes:
        head_start: seconds that may be taken off the second.
    """

    __slots__ = ("_least", "_replies", "_warm", "head_start")

    def __init__(self) -> None:
        self.head_start = 0.0
        self._warm = _WARM
        self._replies = 0
        self._least: list[float] = []

    def learn_anew(self) -> None:
        """Forget it all, and be slower to conclude: the network is not what it seemed, or not any more."""
        self.head_start = 0.0
        self._warm = min(2 * self._warm, _WARM_AT_MOST)
        self._replies = 0
        self._least = []

    def saw(self, seconds: float) -> None:
        """Take note of a round trip."""
        self._replies += 1
        least = self._least
        if len(least) < _NEAREST:
            insort(least, seconds)
        elif seconds < least[-1]:
            del least[-1]
            insort(least, seconds)
        elif self._replies != self._warm:
            return
        if self._replies >= self._warm:
            margin = max(_LEAST_MARGIN * least[0], least[-1] - least[0])
            self.head_start = max(0.0, least[0] - margin)
