"""The line before a part of the permits: a client's own."""

from __future__ import annotations

from collections.abc import Callable
from threading import RLock

from amp_exp_async.ratelimit.line import Line

from .ledger import PartLedger


class PartLine(Line):
    """A line whose permits are brought."""

    def __init__(self, wall_clock: Callable[[], float], ask: Callable[[], None]) -> None:
        """Make a line, as `PartLedger` is made."""
        super().__init__(wall_clock)
        self.part = PartLedger(wall_clock, ask)
        self.ledger = self.part

    @property
    def lock(self) -> RLock:
        """Whoever changes the ledger holds it."""
        return self._lock

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._tickets)

    def look_again(self, now: float) -> None:
        """Hand out what there is, in the loop of those who wait."""
        with self._lock:
            if self._tickets:
                self._serve(now)
