"""The line of those who wait for a permit: one for each key, whatever threads and event loops they wait in.

First come, first served, so that one who waits alone in a loop is not passed by the many of another. Whoever gives a
permit back, or sees its own timer ring, hands out what there is to whoever is first; who waits in another loop is told
there. Standard loops and uvloop share the system's monotonic clock, so that the times of one hold in another.
"""

from __future__ import annotations

import math
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress

from amp_exp_async.forking import leak

from .config import LimitExceededError, RateLimit
from .place import Place, Ticket, running_loop
from .window import Ledger

_LINES: weakref.WeakSet[Line] = weakref.WeakSet()


def _strictest(limits: Iterable[int | None]) -> int | None:
    return min((limit for limit in limits if limit is not None), default=None)


class Line:
    """A ledger and those who wait for its permits. Every method may be called from any thread."""

    def __init__(self, wall_clock: Callable[[], float], *, shared: bool = False) -> None:
        """Make a line.

        Args:
            wall_clock: POSIX time in seconds.
            shared: whether clients find it by their key.
        """
        self.shared = shared
        self.ledger = Ledger(wall_clock)
        # Collecting garbage while it is held may end an abandoned call, which takes it again.
        self._lock = threading.RLock()
        self._tickets: deque[Ticket] = deque()
        self._waiting: set[Place] = set()
        self._places: list[Place] = []
        _LINES.add(self)

    def join(self, place: Place) -> None:
        """Keep to a client's limits, as long as it is open."""
        with self._lock:
            self._places.append(place)
            self._agree()

    def leave(self, place: Place) -> None:
        """A client is closed: its limits hold no more, and its calls need no permits. Idempotent."""
        with self._lock:
            if place not in self._places:
                return
            self._places.remove(place)
            self._agree()
            for ticket in [ticket for ticket in self._tickets if ticket.place is place]:
                self._drop(ticket)
            if self._tickets:
                self._serve(self._tickets[0].answer.get_loop().time())

    def give_up(self, place: Place) -> None:
        """A client is no more: take back what it has taken."""
        with self._lock:
            self.leave(place)
            if place.out and place.loop is not None:
                self.ledger.give_up(place.loop.time(), place.out)
                place.out = 0

    def _agree(self) -> None:
        if self._places:
            self.ledger.limit = RateLimit(
                per_second=_strictest(place.limit.per_second for place in self._places),
                per_day=_strictest(place.limit.per_day for place in self._places),
            )

    def take(self, place: Place, now: float) -> bool:
        """Take a permit, unless there is none, or others wait."""
        with self._lock:
            if self._tickets or not self.ledger.take(now):
                return False
            place.out += 1
            return True

    def give_back(
        self, place: Place, now: float, sent_at: float, *, reached: bool, answered: bool, throttled: bool
    ) -> None:
        """End a request, as a pacer's `release` says."""
        with self._lock:
            if not place.out:
                return  # given up already
            place.out -= 1
            if reached:
                self.ledger.give_back(now, sent_at, answered=answered, throttled=throttled)
            else:
                self.ledger.put_back()
            if self._tickets and not throttled:  # a refusal is followed by a pause
                self._serve(now)

    def enter(self, ticket: Ticket, now: float) -> None:
        """Wait in line.

        Raises:
            LimitExceededError: there is no use in it.
        """
        with self._lock:
            self.fail_fast(now, ticket.until, fail_on_daily_limit=ticket.fail_on_daily_limit)
            self._tickets.append(ticket)
            ticket.place.waiting += 1
            self._waiting.add(ticket.place)
            self._serve(now)

    def withdraw(self, ticket: Ticket, now: float) -> None:
        """Wait no more, and leave what was granted meanwhile to the next."""
        with self._lock:
            if ticket.granted and ticket.place.out:
                ticket.place.out -= 1
                self.ledger.put_back()
            elif ticket in self._tickets:
                self._drop(ticket)
            if self._tickets:
                self._serve(now)

    def pause(self, now: float, seconds: float, *, daily: bool) -> None:
        """Let nothing be sent for so many seconds."""
        with self._lock:
            self.ledger.pause(now, seconds, daily=daily)
            if self._tickets:
                self._serve(now)

    def fail_fast(self, now: float, until: float | None, *, fail_on_daily_limit: bool) -> None:
        """Say at once that nothing may be sent before `until`, or, to the fail_on_daily_limit, before another day.

        Raises:
            LimitExceededError: for how long not.
        """
        with self._lock:
            opens_at, daily = self.ledger.opens_at(now)
        if (daily and fail_on_daily_limit and opens_at > now) or (until is not None and opens_at > max(until, now)):
            raise LimitExceededError(opens_at - now, daily=daily)

    def _ring(self, place: Place) -> None:
        with self._lock:
            place.rings_at = math.inf
            if place.loop is not None and self._tickets:
                self._serve(place.loop.time())

    def _drop(self, ticket: Ticket) -> None:
        self._tickets.remove(ticket)
        self._count(ticket)

    def _count(self, ticket: Ticket) -> None:
        """One of a client's calls waits no more."""
        place = ticket.place
        place.waiting -= 1
        if not place.waiting:
            self._waiting.discard(place)

    def _serve(self, now: float) -> None:
        """Hand out what there is, tell those for whom it comes too late, and come back when there is more."""
        tickets, ledger = self._tickets, self.ledger
        while tickets:
            if tickets[0].answer.done():  # cancelled, and not run since
                self._count(tickets.popleft())
            elif ledger.take(now):
                self._grant(tickets.popleft())
            else:
                break
        if not tickets:
            return
        if ledger.opens_at(now)[0] > now:
            self._refuse_the_hopeless(now)
        rings_at = ledger.next_at(now)
        for place in tuple(self._waiting):
            if place.rings_at > rings_at:
                place.rings_at = rings_at
                self._set_timer(place)

    def _grant(self, ticket: Ticket) -> None:
        self._count(ticket)
        if ticket.tell(None):
            ticket.granted = True
            ticket.place.out += 1
        else:
            self.ledger.put_back()

    def _refuse_the_hopeless(self, now: float) -> None:
        for ticket in tuple(self._tickets):
            try:
                self.fail_fast(now, ticket.until, fail_on_daily_limit=ticket.fail_on_daily_limit)
            except LimitExceededError as paused:
                self._drop(ticket)
                ticket.tell(paused.with_traceback(None))

    def _set_timer(self, place: Place) -> None:
        if place.loop is running_loop():
            place.set_timer(self._ring)
        elif place.loop is not None:
            with suppress(RuntimeError):  # it is closed
                place.loop.call_soon_threadsafe(place.set_timer, self._ring)

    def start_anew(self) -> None:
        """In a forked child: its requests are none, and another thread may have held the lock."""
        leak((self._tickets, self._waiting))
        self._lock = threading.RLock()
        self._tickets, self._waiting = deque(), set()
        for place in self._places:
            place.out = place.waiting = 0
        self.ledger.start_anew()


def _after_fork() -> None:
    for line in list(_LINES):
        line.start_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
