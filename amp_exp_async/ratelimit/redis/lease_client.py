"""The lease client, which refreshes a lease, and falls back to a local limit while Redis is unavailable."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import secrets
from contextlib import suppress
from typing import Protocol

from attrs import frozen

from amp_exp_async.ratelimit.config import RedisRateLimit
from amp_exp_async.ratelimit.limiter import SharedLimiter, get_running_loop

from . import clients
from .leased_window import LeasedWindow

LEASE_DURATION = 1.0
"""Seconds for which a lease may be used without a refresh. A pause by another process goes unnoticed for as long."""

LEASE_EXPIRY = 4.0
"""Seconds after which Redis gives the permits of a silent process to others: the duration of the lease, the time until
its last requests have arrived, within reason, and the second of the service's window after that."""

_LOG = logging.getLogger("amp_exp_async")

_RETRY_INTERVAL = 1.0  # seconds, while Redis is unavailable
_LEARNING_MODE = 1.5  # seconds after an outage, until the other processes have reported what they have
_KEEPALIVE = 2.0  # seconds after which Redis is told that permits are still in use
_MIN_REFRESH = 0.1  # seconds between refreshes while other processes want permits of this one
_MIN_EXTRA = 4  # permits to want at least when there are too few: other processes may be slow to give them up
_MAX_CREDIT, _MIN_CREDIT = 10, -5  # refreshes


@frozen(kw_only=True)
class LeaseRequest:
    """The report of a client.

    Attributes:
        client: the id of the client.
        sequence: A number that grows with each request, so that a late request does not undo a newer one.
        per_second: the limit per second.
        per_day: the limit per day; 0 for none.
        wants: the number of permits that it can use.
        has: the number of permits that it may be using, and goes on to use until it gets the response.
        day: the UTC day, counted from 1970, that the next three numbers refer to.
        released: the requests that were reserved and will not be sent.
        debt: the requests that were sent without a reservation.
        unused: the requests that are reserved and may still be sent.
        reserve: the requests to reserve in addition.
        min_used: the minimum of the requests of the day, in case Redis has lost their number.
        pause: the milliseconds for which nothing may be sent; 0 for no news.
        day_pause: the same because the limit of the day is reached.
    """

    client: str
    sequence: int
    per_second: int
    per_day: int
    wants: int
    has: int
    day: int
    released: int
    debt: int
    unused: int
    reserve: int
    min_used: int
    pause: int
    day_pause: int

    def to_args(self) -> list[str | int]:
        """Return the arguments of the script, in its order."""
        return [
            self.client,
            self.sequence,
            int(LEASE_EXPIRY * 1000),
            self.per_second,
            self.per_day,
            self.wants,
            self.has,
            self.day,
            self.released,
            self.debt,
            self.unused,
            self.reserve,
            self.min_used,
            self.pause,
            self.day_pause,
        ]


@frozen
class LeaseResponse:
    """The part of the permits that a client gets.

    Attributes:
        capacity: the number of permits that it may use.
        interval: the milliseconds until another refresh may bring more.
        day: the current UTC day by the clock of Redis, counted from 1970.
        reserved: the requests of that day that are reserved for it, without those that it reported as unused.
        used: the requests of that day of all processes, reserved ones included.
        exhausted_for: the milliseconds to the end of the day if its limit is reached; else 0.
        pause: the milliseconds for which nothing may be sent.
        day_pause: the same because the limit of the day is reached.
    """

    capacity: int
    interval: int
    day: int
    reserved: int
    used: int
    exhausted_for: int
    pause: int
    day_pause: int


class LeaseStore(Protocol):
    """The place where leases are kept."""

    @property
    def location(self) -> str:
        """The place, for messages."""
        ...

    async def refresh(self, request: LeaseRequest) -> LeaseResponse:
        """Refresh a lease. Any exception means that the store is unavailable."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


class LeaseClient:
    """The task that refreshes a lease. It runs in the event loop of the first call, and only while it is needed.

    Attributes:
        degraded: whether Redis is unavailable.
    """

    def __init__(
        self, limit: RedisRateLimit, store: LeaseStore, name: str, window: LeasedWindow, limiter: SharedLimiter
    ) -> None:
        """Create a client that does not run yet.

        Args:
            limit: the limits, and the fallback without Redis.
            store: the place where leases are kept.
            name: the name of the leases there.
            window: the window that gets the lease.
            limiter: the limiter of that window.
        """
        self.degraded = False
        self._limit = limit
        self._store = store
        self._name = name
        self._window = window
        self._limiter = limiter
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._wakeup = asyncio.Event()
        self._closing = False
        self._pid = 0
        self._client_id = ""
        self._sequence = 0
        self._refreshed_at = -math.inf
        self._not_before = -math.inf  # for the next refresh that brings more
        self._learning_until = -math.inf
        self._interval = 0.0
        self._acquired = 0  # as of the last refresh
        self._credit = 0  # permits acquired, less refreshes, within bounds
        self._day = self._used = 0
        self._pause_until = self._day_pause_until = -math.inf  # what the other processes do not know yet
        clients.register(name, self)

    def pause(self, now: float, seconds: float, *, daily: bool) -> None:
        """Pause the clients of all processes."""
        if daily:
            self._day_pause_until = max(self._day_pause_until, now + seconds)
        else:
            self._pause_until = max(self._pause_until, now + seconds)
        self.notify()

    def notify(self) -> None:
        """Check whether to refresh. May be called in any thread."""
        running = get_running_loop()
        loop = self._loop = self._loop or running
        if loop is None:
            return
        if loop is running:
            self._wake()
        else:
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(self._wake)

    def close(self) -> None:
        """Give up the lease soon, and stop. May be called in any thread; idempotent."""
        self._closing = True
        clients.unregister(self._name, self)
        if self._loop is not None:
            self.notify()

    async def wait_closed(self) -> None:
        """Wait until a closed client has stopped."""
        if self._task is not None:
            await asyncio.wait([self._task])

    def _wake(self) -> None:
        self._wakeup.set()
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        idle = False
        try:
            while not self._closing and (next_at := self._next_refresh(loop.time())) < math.inf:
                if next_at <= loop.time():
                    await self._refresh(loop)
                    continue
                self._wakeup.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(next_at):
                        await self._wakeup.wait()
            if self._closing and not self.degraded and self._sequence:
                await self._refresh(loop)
            idle = not self._closing
        finally:
            if not idle:
                await self._store.close()

    def _next_refresh(self, now: float) -> float:
        """Return when to refresh next; infinite if no call needs it."""
        window = self._window
        if self.degraded:
            return self._not_before
        if self._has_pause(now) or (window.starved and window.capacity > 0 and now >= window.expires_at):
            return now
        if window.starved:
            return max(now, self._not_before)
        acquired = window.acquired - self._acquired
        next_at = math.inf
        if self._credit + acquired > 0:
            # A refresh that no call waits for is made only if there were fewer refreshes than requests.
            if acquired > 0:
                next_at = self._refreshed_at + self._interval
            elif window.capacity > 0 or window.reserved > 0:
                next_at = self._refreshed_at + LEASE_DURATION
        if window.committed(now):
            next_at = min(next_at, self._refreshed_at + _KEEPALIVE)
        return next_at

    def _has_pause(self, now: float) -> bool:
        return max(self._pause_until, self._day_pause_until) > now

    async def _refresh(self, loop: asyncio.AbstractEventLoop) -> None:
        sent_at = loop.time()
        with self._limiter.lock:
            request = self._build_request(sent_at)
        try:
            response = await self._store.refresh(request)
        except Exception as error:  # noqa: BLE001 - requests go on, whatever fails in Redis
            self._on_failure(loop.time(), error, request)
        else:
            self._on_response(loop.time(), sent_at, response, request)

    def _build_request(self, now: float) -> LeaseRequest:
        window, waiting = self._window, 0 if self._closing else self._limiter.waiting
        self._sequence += 1
        if self._pid != os.getpid():
            self._pid, self._client_id = os.getpid(), secrets.token_hex(8)
        acquired, self._acquired = window.acquired - self._acquired, window.acquired
        self._credit = min(_MAX_CREDIT, max(_MIN_CREDIT, self._credit + acquired - 1))
        self._refreshed_at = now
        committed = window.committed(now)
        if not waiting and (self._closing or not committed):
            window.capacity = 0  # until the response arrives
        reserve = 0 if self._closing else waiting + 2 * max(0, acquired)
        debt, unused, released = window.take_reserved(reserve)
        day_pause = self._day_pause_until - now
        if self.degraded:
            day_pause = max(day_pause, window.day_pause(now))
        return LeaseRequest(
            client=self._client_id,
            sequence=self._sequence,
            per_second=self._limit.per_second,
            per_day=self._limit.per_day or 0,
            wants=_wanted_permits(window.in_use, waiting),
            has=max(window.capacity, committed),
            day=self._day,
            released=released,
            debt=debt,
            unused=unused,
            reserve=reserve - unused,
            min_used=self._used if self.degraded else 0,
            pause=_milliseconds(self._pause_until - now),
            day_pause=_milliseconds(day_pause),
        )

    def _on_response(self, now: float, sent_at: float, response: LeaseResponse, request: LeaseRequest) -> None:
        if self.degraded:
            self._learning_until = now + _LEARNING_MODE
            if clients.mark_degraded(self._name, self, degraded=False):
                _LOG.info("Redis at %s is available again: processes share the rate limit", self._store.location)
        self._interval = response.interval / 1000
        satisfied = response.capacity >= request.wants and response.reserved >= request.reserve
        self._not_before = sent_at + (0.0 if satisfied else self._interval)
        self._used = response.used
        with self._limiter.lock:
            window = self._window
            if response.capacity < request.has:  # other processes want permits of this one
                self._not_before = min(self._not_before, max(sent_at + _MIN_REFRESH, window.next_release_at(now)))
            capacity = response.capacity
            window.renew(
                capacity=capacity if now >= self._learning_until else min(capacity, self._safe_capacity),
                expires_at=sent_at + LEASE_DURATION,
                reserved=response.reserved + (window.reserved if response.day == self._day else 0),
            )
            window.record_used(response.day, response.used)
            self._day = response.day
        if request.pause and self._pause_until <= sent_at + request.pause / 1000:
            self._pause_until = -math.inf
        if request.day_pause and self._day_pause_until <= sent_at + request.day_pause / 1000:
            self._day_pause_until = -math.inf
        if response.pause:
            self._limiter.pause(now, response.pause / 1000, daily=False)
        if response.day_pause or response.exhausted_for:
            self._limiter.pause(now, max(response.day_pause, response.exhausted_for) / 1000, daily=True)
        self._limiter.wake_waiters(now)

    def _on_failure(self, now: float, error: Exception, request: LeaseRequest) -> None:
        self._not_before = max(now, self._refreshed_at + _RETRY_INTERVAL)
        if not self.degraded and clients.mark_degraded(self._name, self, degraded=True):
            # Only the type of the error: its message may contain anything.
            _LOG.warning(
                "Redis at %s is unavailable (%s): this process sends at most %d requests a second until it is back",
                self._store.location,
                type(error).__name__,
                self._limit.fallback_per_second,
            )
        with self._limiter.lock:
            self._window.fall_back(self._safe_capacity, debt=request.debt)
        self._limiter.wake_waiters(now)

    @property
    def _safe_capacity(self) -> int:
        """The part of this client in what its process may send without Redis."""
        return max(1, self._limit.fallback_per_second // clients.count(self._name))


def _wanted_permits(in_use: int, waiting: int) -> int:
    """Return how many permits to want: enough to be soon enough while calls wait, else a few to spare."""
    return in_use + (max(waiting, in_use, _MIN_EXTRA) if waiting else math.ceil(in_use / 4))


def _milliseconds(seconds: float) -> int:
    return math.ceil(seconds * 1000) if seconds > 0 else 0
