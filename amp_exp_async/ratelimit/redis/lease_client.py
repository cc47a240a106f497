"""The lease client, which refreshes a lease, and falls back to a local limit while Redis is unavailable."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import secrets
from contextlib import suppress

from amp_exp_async.ratelimit.config import RedisRateLimit
from amp_exp_async.ratelimit.limiter import SharedLimiter, get_running_loop
from amp_exp_async.ratelimit.window import SECONDS_PER_DAY

from . import clients
from .lease_protocol import LeaseRequest, LeaseResponse, LeaseStore, LeaseStoreError
from .leased_window import LeasedWindow

LEASE_DURATION = 1.0
"""Seconds for which a lease may be used without a refresh. A pause by another process goes unnoticed for as long."""

LEASE_EXPIRY = 4.0
"""Seconds after which Redis gives the permits of a silent process to others: the duration of the lease, the time until
its last requests have arrived, within reason, and the second of the service's window after that."""

SETTLING_TIME = 2.0
"""Seconds after Redis has lost leases in which no client gets more permits than it has. Each client that has permits
reports them in this time: after `_KEEPALIVE` at the latest, and the time that Redis may take to respond."""

_LOG = logging.getLogger("amp_exp_async")

_RETRY_INTERVAL = 1.0  # seconds, while Redis is unavailable
_LEARNING_MODE = 1.5  # seconds after an outage, until the other processes have reported what they have
_KEEPALIVE = 1.5  # seconds after which Redis is told that permits are still in use
_MAX_ELAPSED = LEASE_EXPIRY - 1.0  # seconds for which Redis keeps a lease even if its clock is a second ahead
_MIN_REFRESH = 0.1  # seconds between refreshes while other processes want permits of this one
_MIN_EXTRA = 4  # permits to want at least when there are too few: other processes may be slow to give them up
_MAX_CREDIT, _MIN_CREDIT = 10, -5  # refreshes


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
        self._acknowledged = 0  # the sequence of the last request that Redis must still know
        self._acknowledged_at = -math.inf
        self._epoch = 0
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
        """Pause the clients of all processes, for a day at most."""
        seconds = min(seconds, SECONDS_PER_DAY)
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
        next_at = math.inf
        acquired = window.acquired - self._acquired
        if window.starved:
            next_at = max(now, self._not_before)
        elif self._credit + acquired > 0:
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
        sent_at = self._refreshed_at = loop.time()
        request = None
        try:
            with self._limiter.lock:
                request = self._build_request(sent_at)
            response = await self._store.refresh(request)
            self._on_response(loop.time(), sent_at, response, request)
        except Exception as error:  # noqa: BLE001 - requests go on, whatever fails in Redis or here
            self._on_failure(loop.time(), error, debt=request.debt if request else 0)

    def _build_request(self, now: float) -> LeaseRequest:
        window, waiting = self._window, 0 if self._closing else self._limiter.waiting
        self._sequence += 1
        if self._pid != os.getpid():
            self._pid, self._client_id, self._acknowledged = os.getpid(), secrets.token_hex(8), 0
        acquired, self._acquired = window.acquired - self._acquired, window.acquired
        self._credit = min(_MAX_CREDIT, max(_MIN_CREDIT, self._credit + acquired - 1))
        committed = window.committed(now)
        if not waiting and (self._closing or not committed):
            window.capacity = 0  # until the response arrives
        reserve = 0 if self._closing else waiting + 2 * max(0, acquired)
        debt, unused, released = window.take_reserved(reserve)
        day_pause = self._day_pause_until - now
        if self.degraded:
            day_pause = max(day_pause, window.day_pause(now))
        elapsed = now - self._acknowledged_at
        return LeaseRequest(
            client=self._client_id,
            sequence=self._sequence,
            acknowledged=self._acknowledged if elapsed <= _MAX_ELAPSED else 0,
            elapsed=_milliseconds(elapsed),
            epoch=self._epoch,
            lease_expiry=_milliseconds(LEASE_EXPIRY),
            settling_time=_milliseconds(SETTLING_TIME),
            per_second=self._limit.per_second,
            per_day=self._limit.per_day or 0,
            wants=_wanted_permits(window.in_use, waiting),
            has=max(window.capacity if now < window.expires_at else 0, committed),
            day=self._day,
            released=released,
            debt=debt,
            unused=unused,
            reserve=reserve - unused,
            min_used=self._used,
            pause=_milliseconds(self._pause_until - now),
            day_pause=_milliseconds(day_pause),
        )

    def _on_response(self, now: float, sent_at: float, response: LeaseResponse, request: LeaseRequest) -> None:
        self._acknowledge(sent_at, response, request)
        if self.degraded:
            self._learning_until = now + _LEARNING_MODE
        self._interval = response.interval / 1000
        satisfied = response.capacity >= request.wants and response.reserved >= request.reserve
        self._not_before = sent_at + (0.0 if satisfied else self._interval)
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
            self._day, self._used = response.day, response.used
        if request.pause and self._pause_until <= sent_at + request.pause / 1000:
            self._pause_until = -math.inf
        if request.day_pause and self._day_pause_until <= sent_at + request.day_pause / 1000:
            self._day_pause_until = -math.inf
        if response.pause:
            self._limiter.pause(now, response.pause / 1000, daily=False)
        if response.day_pause or response.exhausted_for:
            self._limiter.pause(now, max(response.day_pause, response.exhausted_for) / 1000, daily=True)
        self._limiter.wake_waiters(now)
        if self.degraded and clients.mark_degraded(self._name, self, degraded=False):
            _LOG.info("Redis at %s is available again: processes share the rate limit", self._store.location)

    def _acknowledge(self, sent_at: float, response: LeaseResponse, request: LeaseRequest) -> None:
        """Record what Redis knows of this client. It forgets a lease without permits, wishes and reservations."""
        unused = request.unused if request.day == response.day else 0
        is_kept = response.capacity or request.has or request.wants or unused or response.reserved
        self._acknowledged = request.sequence if is_kept else 0
        self._acknowledged_at = sent_at
        self._epoch = response.epoch

    def _on_failure(self, now: float, error: Exception, *, debt: int) -> None:
        self._not_before = max(now, self._refreshed_at + _RETRY_INTERVAL)
        with self._limiter.lock:
            self._window.fall_back(self._safe_capacity, debt=debt)
        self._limiter.wake_waiters(now)
        if not self.degraded and clients.mark_degraded(self._name, self, degraded=True):
            # Only the type of an error: its message may contain anything.
            reason = str(error) if isinstance(error, LeaseStoreError) else type(error).__name__
            _LOG.warning(
                "Redis at %s is unavailable (%s): this process sends at most %d requests a second until it is back",
                self._store.location,
                reason,
                self._limit.fallback_per_second,
            )

    @property
    def _safe_capacity(self) -> int:
        """The part of this client in what its process may send without Redis."""
        return max(1, self._limit.fallback_per_second // clients.count(self._name))


def _wanted_permits(in_use: int, waiting: int) -> int:
    """Return how many permits to want: enough to be soon enough while calls wait, else a few to spare."""
    return in_use + (max(waiting, in_use, _MIN_EXTRA) if waiting else math.ceil(in_use / 4))


def _milliseconds(seconds: float) -> int:
    """Return a time in milliseconds, a day at most; 0 if it is negative."""
    return math.ceil(min(seconds, SECONDS_PER_DAY) * 1000) if seconds > 0 else 0
