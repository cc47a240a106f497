"""The rate limiter that every request passes, and its implementation for the clients of one process.

A `SharedLimiter` queues the calls of all clients of one key, in the order in which they came. Each client has a
`LocalRateLimiter`, which is registered with a shared limiter.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Protocol

from attrs import define, frozen

from amp_exp_async.config import Endpoint
from amp_exp_async.forking import leak

from .config import RateLimit
from .window import MovingWindow, PermitWindow

_MAX_CLOCK_DIFFERENCE = 1.0  # seconds between two readings of the same clock


@frozen
class LimitExceededError(Exception):
    """No request may be sent in time.

    Attributes:
        seconds: how long no request may be sent.
        daily: whether the limit of the day is reached.
    """

    seconds: float
    daily: bool


class RateLimiter(Protocol):
    """The limiter of one client. It belongs to one event loop."""

    @property
    def seconds_waited(self) -> float:
        """The seconds that calls of this client have waited for permits, summed over all calls."""
        ...

    @property
    def requests_today(self) -> int:
        """The number of requests sent in the current UTC day by all clients that share the limits."""
        ...

    @property
    def permits_in_use(self) -> int:
        """The number of permits of the limit per second that cannot be taken now, by all clients that share them."""
        ...

    def acquire_nowait(self) -> bool:
        """Take a permit to send one request, and return whether one was available and no call waits."""
        ...

    def acquire(self, deadline: float | None, *, fail_on_daily_limit: bool = False) -> Awaitable[None]:
        """Wait for a permit to send one request.

        Args:
            deadline: the loop time at which to give up; None to wait for as long as it takes.
            fail_on_daily_limit: whether to raise if no request may be sent before the next day.

        Raises:
            LimitExceededError: If it is certain that no request may be sent in time.
            TimeoutError: If the deadline passes.
        """
        ...

    def fail_fast(self, deadline: float | None, *, fail_on_daily_limit: bool = False) -> None:
        """Raise if it is certain that `acquire` with the same arguments would raise.

        Raises:
            LimitExceededError: If no request may be sent in time.
        """
        ...

    def release(self, sent_at: float, *, reached: bool, answered: bool, throttled: bool = False) -> None:
        """Return the permit of a request that has ended.

        Args:
            sent_at: the loop time at which the request was sent.
            reached: whether the request may have reached the service.
            answered: whether a response arrived.
            throttled: whether that was a 429 for too many requests in a second. Call `pause` next.
        """
        ...

    def pause(self, seconds: float, *, daily: bool = False) -> None:
        """Send nothing for some seconds; `daily` if the service has reported that the limit of the day is reached."""
        ...

    def close(self) -> None:
        """Unregister the client and stop its timer. The caller cancels the calls that still wait."""
        ...

    async def wait_closed(self) -> None:
        """Wait until nothing is left of a closed limiter."""
        ...

    def after_fork(self) -> None:
        """Detach from the parent process. A forked child calls it, and uses another limiter."""
        ...


@define(eq=False)
class LimiterClient:
    """A client that is registered with a `SharedLimiter`.

    Attributes:
        limit: its limits.
        loop: its event loop, once known.
        in_flight: the number of permits of its requests in flight.
        waiting: the number of its calls that wait.
        timer_at: the loop time for which its timer is set; infinite without a timer.
        closed: whether it needs no timer.
    """

    limit: RateLimit
    loop: asyncio.AbstractEventLoop | None = None
    in_flight: int = 0
    waiting: int = 0
    timer_at: float = math.inf
    closed: bool = False
    _timer: asyncio.TimerHandle | None = None

    def start_timer(self, callback: Callable[[LimiterClient], None]) -> None:
        """Set the timer to `timer_at`. Called in the thread of its loop."""
        self.stop_timer()
        if self.loop is not None and self.timer_at < math.inf and not self.closed:
            self._timer = self.loop.call_at(self.timer_at, callback, self)

    def stop_timer(self) -> None:
        """Cancel the timer. Called in the thread of its loop."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


@define(eq=False)
class Waiter:
    """A queued `acquire()`.

    Attributes:
        client: the client whose call it is.
        deadline: the loop time after which a permit is of no use; None for never.
        fail_on_daily_limit: whether not to wait for the next day.
        future: resolves to None for a permit, or to the reason why no permit comes.
        granted: whether a permit has been taken for it.
    """

    client: LimiterClient
    deadline: float | None
    fail_on_daily_limit: bool
    future: asyncio.Future[LimitExceededError | None]
    granted: bool = False

    def resolve(self, result: LimitExceededError | None) -> bool:
        """Resolve the future in its own loop; return False if that loop is closed."""
        loop = self.future.get_loop()
        if get_running_loop() is loop:
            self._set_result(result)
            return True
        try:
            loop.call_soon_threadsafe(self._set_result, result)
        except RuntimeError:
            return False
        return True

    def _set_result(self, result: LimitExceededError | None) -> None:
        if not self.future.done():
            self.future.set_result(result)


class SharedLimiter:
    """A FIFO limiter that is shared by all clients that use the same API key.

    It is thread-safe, and waiters may live in different event loops. A release or a timer wakes the oldest waiter, via
    `call_soon_threadsafe` if it belongs to another loop. The clock of standard loops and of uvloop is the monotonic
    clock of the system, so that times of one loop are valid in another.

    Attributes:
        window: the permits. Hold `lock` while you use it.
        public: whether clients find it by their key.
        lock: guards all state. It is reentrant: while it is held, a garbage collection may finalize a client.
    """

    def __init__(self, window: MovingWindow, *, public: bool = False) -> None:
        self.window = window
        self.public = public
        self.lock = threading.RLock()
        self._waiters: deque[Waiter] = deque()
        self._waiting_clients: set[LimiterClient] = set()
        self._clients: list[LimiterClient] = []
        _limiters.add(self)

    @property
    def waiting(self) -> int:
        """The number of waiters."""
        return len(self._waiters)

    def register(self, client: LimiterClient) -> None:
        """Apply the limits of a client until it is unregistered."""
        with self.lock:
            self._clients.append(client)
            self._use_strictest_limit()

    def unregister(self, client: LimiterClient) -> None:
        """Forget the limits and the waiters of a client. Idempotent."""
        with self.lock:
            if client not in self._clients:
                return
            self._clients.remove(client)
            self._use_strictest_limit()
            for waiter in [waiter for waiter in self._waiters if waiter.client is client]:
                self._remove(waiter)
            if self._waiters:
                self._wake_waiters(self._waiters[0].future.get_loop().time())

    def reclaim(self, client: LimiterClient) -> None:
        """Unregister a client that was garbage-collected, and reclaim its permits."""
        with self.lock:
            self.unregister(client)
            if client.in_flight and client.loop is not None:
                self.window.forfeit(client.loop.time(), client.in_flight)
                client.in_flight = 0

    def acquire_nowait(self, client: LimiterClient, now: float) -> bool:
        """Take a permit, and return whether one was available and no call waits."""
        with self.lock:
            if self._waiters or not self.window.acquire_nowait(now):
                return False
            client.in_flight += 1
            return True

    def release(
        self, client: LimiterClient, now: float, sent_at: float, *, reached: bool, answered: bool, throttled: bool
    ) -> None:
        """Return a permit, as `RateLimiter.release` does."""
        with self.lock:
            if not client.in_flight:
                return  # reclaimed already
            client.in_flight -= 1
            if reached:
                self.window.release(now, sent_at, answered=answered, throttled=throttled)
            else:
                self.window.undo_acquire()
            if self._waiters and not throttled:  # a pause follows a 429
                self._wake_waiters(now)

    def enqueue(self, waiter: Waiter, now: float) -> None:
        """Append a waiter to the queue.

        Raises:
            LimitExceededError: If no request may be sent in time.
        """
        with self.lock:
            self.fail_fast(now, waiter.deadline, fail_on_daily_limit=waiter.fail_on_daily_limit)
            self._waiters.append(waiter)
            waiter.client.waiting += 1
            self._waiting_clients.add(waiter.client)
            self._wake_waiters(now)

    def cancel(self, waiter: Waiter, now: float) -> None:
        """Remove a waiter, and pass on a permit that it was granted."""
        with self.lock:
            if waiter.granted and waiter.client.in_flight:
                waiter.client.in_flight -= 1
                self.window.undo_acquire()
            elif waiter in self._waiters:
                self._remove(waiter)
            self.wake_waiters(now)

    def pause(self, now: float, seconds: float, *, daily: bool) -> None:
        """Send nothing for some seconds."""
        with self.lock:
            self.window.pause(now, seconds, daily=daily)
            self.wake_waiters(now)

    def fail_fast(self, now: float, deadline: float | None, *, fail_on_daily_limit: bool) -> None:
        """Raise if it is certain that no request may be sent in time.

        Raises:
            LimitExceededError: If that is so.
        """
        with self.lock:
            resume_at, daily = self.window.resume_at(now)
        if (daily and fail_on_daily_limit and resume_at > now) or (
            deadline is not None and resume_at > max(deadline, now)
        ):
            raise LimitExceededError(resume_at - now, daily=daily)

    def wake_waiters(self, now: float) -> None:
        """Give the available permits to the oldest waiters."""
        with self.lock:
            if self._waiters:
                self._wake_waiters(now)

    def reset(self) -> None:
        """Start over in a forked child, which has no requests in flight. A thread of the parent may hold the lock."""
        leak((self._waiters, self._waiting_clients))
        self.lock = threading.RLock()
        self._waiters, self._waiting_clients = deque(), set()
        for client in self._clients:
            client.in_flight = client.waiting = 0
        self.window.reset()

    def _use_strictest_limit(self) -> None:
        if self._clients:
            self.window.limit = RateLimit(
                per_second=_strictest(client.limit.per_second for client in self._clients),
                per_day=_strictest(client.limit.per_day for client in self._clients),
            )

    def _on_timer(self, client: LimiterClient) -> None:
        with self.lock:
            client.timer_at = math.inf
            if client.loop is not None:
                self.wake_waiters(client.loop.time())

    def _remove(self, waiter: Waiter) -> None:
        self._waiters.remove(waiter)
        self._on_dequeued(waiter)

    def _on_dequeued(self, waiter: Waiter) -> None:
        client = waiter.client
        client.waiting -= 1
        if not client.waiting:
            self._waiting_clients.discard(client)

    def _wake_waiters(self, now: float) -> None:
        """Give out permits, reject the waiters for which they come too late, and set timers for the others."""
        waiters, window = self._waiters, self.window
        while waiters:
            if waiters[0].future.done():  # cancelled, and its task has not run since
                self._on_dequeued(waiters.popleft())
            elif window.acquire_nowait(now):
                self._wake(waiters.popleft())
            else:
                break
        if not waiters:
            return
        if window.resume_at(now)[0] > now:
            self._reject_late_waiters(now)
        next_permit_at = window.next_permit_at(now)
        for client in tuple(self._waiting_clients):
            if client.timer_at > next_permit_at:
                client.timer_at = next_permit_at
                self._start_timer(client)

    def _wake(self, waiter: Waiter) -> None:
        self._on_dequeued(waiter)
        if waiter.resolve(None):
            waiter.granted = True
            waiter.client.in_flight += 1
        else:
            self.window.undo_acquire()

    def _reject_late_waiters(self, now: float) -> None:
        for waiter in tuple(self._waiters):
            try:
                self.fail_fast(now, waiter.deadline, fail_on_daily_limit=waiter.fail_on_daily_limit)
            except LimitExceededError as error:
                self._remove(waiter)
                waiter.resolve(error.with_traceback(None))

    def _start_timer(self, client: LimiterClient) -> None:
        if client.loop is get_running_loop():
            client.start_timer(self._on_timer)
        elif client.loop is not None:
            with suppress(RuntimeError):  # the loop is closed
                client.loop.call_soon_threadsafe(client.start_timer, self._on_timer)


class LocalRateLimiter:
    """The `RateLimiter` of a client that shares its limits with other clients of the same process.

    Attributes:
        seconds_waited: the seconds that calls of this client have waited for permits, summed over all calls.
    """

    def __init__(
        self, limit: RateLimit, wall_clock: Callable[[], float] = time.time, shared: SharedLimiter | None = None
    ) -> None:
        """Register with a shared limiter.

        Args:
            limit: the limits of the client.
            wall_clock: returns POSIX time in seconds.
            shared: the limiter of all clients of the same key; None to create one that no other client uses.
        """
        self.seconds_waited = 0.0
        self._limit = limit
        self._wall_clock = wall_clock
        self._register(SharedLimiter(PermitWindow(wall_clock)) if shared is None else shared)

    def _register(self, shared: SharedLimiter) -> None:
        self._shared, self._client = shared, LimiterClient(self._limit)
        shared.register(self._client)
        self._finalizer = weakref.finalize(self, shared.reclaim, self._client)
        self._finalizer.atexit = False

    @property
    def shared(self) -> SharedLimiter:
        """The limiter of all clients that share the limits."""
        return self._shared

    @property
    def requests_today(self) -> int:
        return self._shared.window.requests_today

    @property
    def permits_in_use(self) -> int:
        loop = self._client.loop
        return 0 if loop is None else self._shared.window.in_use_at(loop.time())

    def acquire_nowait(self) -> bool:
        loop = asyncio.get_running_loop()
        if self._client.loop is not loop:
            self._bind_loop(loop)
        return self._shared.acquire_nowait(self._client, loop.time())

    async def acquire(self, deadline: float | None, *, fail_on_daily_limit: bool = False) -> None:
        if not self.acquire_nowait():
            await self._wait(deadline, fail_on_daily_limit=fail_on_daily_limit)

    def fail_fast(self, deadline: float | None, *, fail_on_daily_limit: bool = False) -> None:
        if deadline is not None or fail_on_daily_limit:
            now = asyncio.get_running_loop().time()
            self._shared.fail_fast(now, deadline, fail_on_daily_limit=fail_on_daily_limit)

    def release(self, sent_at: float, *, reached: bool, answered: bool, throttled: bool = False) -> None:
        client = self._client
        if client.loop is not None:
            now = client.loop.time()
            self._shared.release(client, now, sent_at, reached=reached, answered=answered, throttled=throttled)

    def pause(self, seconds: float, *, daily: bool = False) -> None:
        self._shared.pause(asyncio.get_running_loop().time(), seconds, daily=daily)

    def close(self) -> None:
        self._shared.unregister(self._client)
        self._client.closed = True
        self._client.stop_timer()

    async def wait_closed(self) -> None:
        """Return at once: `close` leaves nothing to wait for."""

    def after_fork(self) -> None:
        """Unregister the client in a forked child. Its timer belongs to the parent's loop."""
        self._finalizer.detach()
        self._shared.unregister(self._client)

    def _bind_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._shared.public and abs(loop.time() - time.monotonic()) > _MAX_CLOCK_DIFFERENCE:
            # The loop has its own clock, as in tests: its times are not valid for other clients.
            self._finalizer()
            self._register(SharedLimiter(PermitWindow(self._wall_clock)))
        self._client.loop, self._client.timer_at = loop, math.inf

    async def _wait(self, deadline: float | None, *, fail_on_daily_limit: bool) -> None:
        loop = asyncio.get_running_loop()
        started = loop.time()
        waiter = Waiter(self._client, deadline, fail_on_daily_limit, loop.create_future())
        self._shared.enqueue(waiter, started)
        try:
            async with asyncio.timeout_at(deadline):
                error = await waiter.future
        except BaseException:
            self._shared.cancel(waiter, loop.time())
            raise
        finally:
            self.seconds_waited += loop.time() - started
        if error is not None:
            raise error


def get_running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the event loop that runs in this thread, or None."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def get_shared_limiter(endpoint: Endpoint) -> SharedLimiter:
    """Return the limiter of this process for the host and key of an endpoint. It lives as long as its clients."""
    key = _registry_key(endpoint)
    with _registry_lock:
        limiter = _registry.get(key)
        if limiter is None:
            limiter = _registry[key] = SharedLimiter(PermitWindow(time.time), public=True)
        return limiter


def share_with_key(limiter: RateLimiter, endpoint: Endpoint) -> bool:
    """Let later clients of another key share a limiter that they find by its key.

    Args:
        limiter: the limiter of a client whose key has changed.
        endpoint: the host and the new key.

    Returns:
        Whether no clients of the new key have another limiter.
    """
    if not isinstance(limiter, LocalRateLimiter) or not limiter.shared.public:
        return True
    with _registry_lock:
        return _registry.setdefault(_registry_key(endpoint), limiter.shared) is limiter.shared


def _registry_key(endpoint: Endpoint) -> tuple[str, bytes]:
    return endpoint.base_url, hashlib.sha256(endpoint.key.reveal().encode()).digest()


def _strictest(limits: Iterable[int | None]) -> int | None:
    return min((limit for limit in limits if limit is not None), default=None)


_limiters: weakref.WeakSet[SharedLimiter] = weakref.WeakSet()
_registry: weakref.WeakValueDictionary[tuple[str, bytes], SharedLimiter] = weakref.WeakValueDictionary()
_registry_lock = threading.Lock()


def _after_fork() -> None:
    global _registry_lock  # noqa: PLW0603 - a thread of the parent may hold the lock, and a lock cannot be reset
    _registry_lock = threading.Lock()
    for limiter in list(_limiters):
        limiter.reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
