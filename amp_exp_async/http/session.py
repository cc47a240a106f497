"""The state that a client and its copies share, and the exchange of one request and its response."""

from __future__ import annotations

import asyncio
import time
import weakref
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import attrs
from anyio import Semaphore

from amp_exp_async.config import Endpoint, KeyFunction, Secret
from amp_exp_async.errors import ClientClosedError, ConfigurationError
from amp_exp_async.forking import leak
from amp_exp_async.models import UNSET, UnsetType
from amp_exp_async.ratelimit import RateLimiter, create_limiter, share_with_key

from . import lazy_aiohttp as aiohttp
from .block_deadlines import earliest_deadline
from .call_blocks import CallBlock
from .deadlines import CancelScope, DeadlineTimer
from .error_mapping import TransportFailure
from .keys import CALLS_ITSELF, CANCELLED, KeyFailure, KeyResult, call_key_function
from .locks import KeyedLocks, WaitGroup
from .log import LOGGER
from .options import HttpOptions, Usage, resolve_shutdown_timeout
from .recent_writes import RecentWrites
from .request import Request, Response
from .retry import RefusalStreak
from .timeouts import AttemptLimits

if TYPE_CHECKING:
    from .sender import RequestSender
    from .transport import RetryState

T = TypeVar("T")

_PER_DAY = 100_000  # requests that the service allows in a UTC day
_NEARLY_ALL = 0.9
_CANCEL_SECONDS = 1.0  # in which cancelled tasks must end
_CONTENT_TYPE = ("Content-Type",)
_OUTER_KEY_TASKS: ContextVar[tuple[object, ...]] = ContextVar("amp_exp_async_key_tasks", default=())
"""The calls of key functions, of several clients if they use each other, that the running code belongs to."""


class HttpSession:
    """The session, rate limiter, locks and tasks of a client and its copies.

    It opens on first use and belongs to the event loop of that moment.

    Attributes:
        endpoint: the URL and the key.
        sender: sends requests with the key; None as long as the key is not known, or the session not open.
        time: returns the time of the event loop, once the session is open.
        limiter: the rate limiter.
        concurrency: limits the requests in flight.
        locks: keep writes to one object apart.
        edit_locks: keep guarded edits of one flag apart, each of which takes several requests.
        refusals: the refusals (429) since the last other response; None without any.
        recent_writes: the writes of the last seconds, which reads may not show yet.
        in_flight: the scopes of the calls in flight.
        calls: their states.
        blocks: the blocks in progress that concern the calls in them.
        writes: the writes in flight, including their reconciliation.
        deadline_timer: cancels attempts that time out.
        on_close: called when closing starts, and again at its end, if still there. The tasks that `spawn` started may
            finish in between.
        closing: whether closing has started: only calls that belong to a write in flight may still send requests.
        closed: whether nothing more may be sent.
    """

    def __init__(self, endpoint: Endpoint, options: HttpOptions) -> None:
        self.endpoint = endpoint
        self.max_concurrency = options.max_concurrency
        self.wall_clock = options.wall_clock
        self.closing = self.closed = False
        self.blocks: set[CallBlock] = set()
        self._options = options
        self._reset()

    def _reset(self) -> None:
        self.limiter = self._create_limiter()
        self.locks = KeyedLocks()
        self.edit_locks = KeyedLocks()
        self.concurrency = Semaphore(self._options.max_concurrency)
        self.requests = 0
        self.retries = 0
        self.rate_limited = 0
        self.refusals: RefusalStreak | None = None
        self.recent_writes = RecentWrites(time.monotonic)
        self._session: aiohttp.ClientSession | None = None
        self.sender: RequestSender | None = None
        self._key_task: asyncio.Task[KeyResult] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.time: Callable[[], float] = time.monotonic
        self._tasks: set[asyncio.Task[Any]] = set()
        self.in_flight: set[CancelScope] = set()
        self.calls: set[RetryState] = set()
        self.writes = WaitGroup()
        self.deadline_timer = DeadlineTimer(self.in_flight)
        self.on_close: set[Callable[[], None]] = set()

    def _create_limiter(self) -> RateLimiter:
        return create_limiter(
            self._options.rate_limit,
            self.endpoint,
            wall_clock=self.wall_clock,
            share=self._options.share_limit,
        )

    @property
    def max_rate(self) -> int | None:
        """The rate limit per second; None without one."""
        return self._options.rate_limit.per_second

    def redact(self, text: str) -> str:
        """Return a text of a response without the key and the password of the proxy."""
        key = self.endpoint.key if self.sender is None else self.sender.key
        return key.redact(text)

    @property
    def usage(self) -> Usage:
        """The requests sent so far."""
        return Usage(
            requests=self.requests,
            requests_today=self.limiter.requests_today,
            retries=self.retries,
            rate_limited=self.rate_limited,
            seconds_waited=self.limiter.seconds_waited,
        )

    @property
    def is_near_daily_limit(self) -> bool:
        """Whether the counted requests of the day come close to the daily limit, which others may use too."""
        limit = self._options.rate_limit.per_day or _PER_DAY
        return self.limiter.requests_today >= _NEARLY_ALL * limit

    @property
    def block_seconds_left(self) -> float | None:
        """The seconds until the first deadline of a block that the running code belongs to; None outside of any."""
        block = earliest_deadline(self.blocks)
        return None if block is None else block.seconds_left

    @property
    def shutdown_timeout(self) -> float | None:
        """The seconds that closing waits for writes in flight; None to wait until they end."""
        return self._options.shutdown_timeout

    def open(self, *, to_finish: bool = False) -> aiohttp.ClientSession:
        """Return the aiohttp session, which is created on first use.

        Args:
            to_finish: whether the call belongs to a write in flight, which closing lets finish.

        Raises:
            ClientClosedError: If the client, or the caller's session, is closed.
            ConfigurationError: If the client, or the caller's session, belongs to another event loop, if asyncio does
                not run, or if this release of aiohttp cannot be kept from sending a request twice.
        """
        if self.closed or (self.closing and not to_finish):
            raise ClientClosedError("the client is closed. Create a new one.")
        loop = running_loop()
        if self._session is None:
            self._session, self._loop, self.time = self._open_session(loop), loop, loop.time
            self.recent_writes = RecentWrites(loop.time)
            # Created inside a loop, a semaphore of anyio takes a third of the time.
            self.concurrency = Semaphore(self._options.max_concurrency)
        elif self._loop is not loop:
            raise ConfigurationError(
                "the client belongs to another event loop. Use one client for each loop, or ExperimentClient."
            )
        if self._session.closed:
            raise ClientClosedError("the session of the client is closed. Pass an open one.")
        if self.sender is None and self.endpoint.has_key:
            self.sender = self._create_sender(self._session)
        return self._session

    def _open_session(self, loop: asyncio.AbstractEventLoop) -> aiohttp.ClientSession:
        from .sender import create_session  # noqa: PLC0415 - loads aiohttp

        session = create_session(self._options, loop)
        if self._options.session is not None:
            # If this client is collected, aiohttp must not take the copy for a session that was left open.
            weakref.finalize(self, session.detach)
        try:
            if self.endpoint.has_key:
                self.sender = self._create_sender(session)
        except ConfigurationError:
            session.detach()
            raise
        return session

    def _create_sender(self, session: aiohttp.ClientSession) -> RequestSender:
        from .sender import RequestSender  # noqa: PLC0415 - loads aiohttp

        return RequestSender(session, self.endpoint, self._options)

    async def fetch_key(self, deadline: float | None, consequence: str, rejected: Secret | None = None) -> bool:
        """Have the key function called, unless it was called since a request was sent, or is being called.

        Args:
            deadline: the loop time until which this waits; None to wait for as long as it takes.
            consequence: what follows if there is no key, for the error.
            rejected: the key that the request was sent with; None without one.

        Returns:
            Whether there is another key than the rejected one.

        Raises:
            ConfigurationError: If the function returns no valid key.
            ClientClosedError: If the client is closed meanwhile.
            TimeoutError: If the deadline passes. The call of the function goes on, for other calls.
        """
        sender = self.sender
        is_needed = not self.endpoint.has_key if rejected is None else sender is not None and sender.key is rejected
        if is_needed:
            self.open(to_finish=True)
            task = self._key_task or self._start_key_function()
            if task in _OUTER_KEY_TASKS.get():
                raise CALLS_ITSELF.error(consequence)
            await asyncio.wait([task], timeout=None if deadline is None else max(0.0, deadline - self.time()))
            if not task.done():
                raise TimeoutError
            result = None if task.cancelled() else task.result()
            if isinstance(result, KeyFailure):
                raise result.error(consequence)
            if result is None and not self.closing:
                raise CANCELLED.error(consequence)
            if result is None:
                raise ClientClosedError("the client was closed while a call waited for its key. Create a new one.")
        self.open(to_finish=True)
        return rejected is None or self.endpoint.key.reveal() != rejected.reveal()

    def _start_key_function(self) -> asyncio.Task[KeyResult]:
        function = self.endpoint.key_function
        if function is None:
            raise RuntimeError("the key does not change")
        task = self._key_task = self.spawn(self._call_key_function(function))
        self.on_close.add(stop := partial(_cancel, task))
        task.add_done_callback(lambda _: self.on_close.discard(stop))
        return task

    async def _call_key_function(self, function: KeyFunction) -> KeyResult:
        # It holds for the function, and for the threads and tasks that the function starts.
        _OUTER_KEY_TASKS.set((*_OUTER_KEY_TASKS.get(), asyncio.current_task()))
        try:
            result = await call_key_function(function, self.endpoint)
        finally:
            self._key_task = None
        # Before the task ends, so that no call finds neither the task nor the key.
        if isinstance(result, Secret):
            self._use_key(result)
        return result

    def _use_key(self, key: Secret) -> None:
        """Send requests with another key from now on."""
        is_first = not self.endpoint.has_key
        self.endpoint = attrs.evolve(self.endpoint, key=key.after(self.endpoint.key))
        self.sender = None  # `open` creates one; requests in flight end with the old one
        if is_first:
            # Nothing was sent, so that nothing is forgotten. Other clients may use the key.
            self.limiter.close()
            self.limiter = self._create_limiter()
        elif self._options.share_limit and not share_with_key(self.limiter, self.endpoint):
            LOGGER.warning(
                "other clients use the new key with a rate limit of their own, so that more requests may be sent than "
                "allowed"
            )

    def send_once(
        self, request: Request, scope: CancelScope, limits: AttemptLimits
    ) -> Coroutine[Any, Any, Response | TransportFailure]:
        """Send one request in the scope of its call, and read its response, within the limits of an attempt."""
        sender = self.sender
        if sender is None or sender.session.closed:
            self.open(to_finish=True)
            return self.send_once(request, scope, limits)
        self.deadline_timer.start_attempt(scope, self.time() + limits.seconds)
        return sender.send(request, scope, limits)

    def spawn(self, coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start a task that ends at the latest when the session is closed."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._on_task_done)
        return task

    def _on_task_done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # marks it as retrieved, in case the task is not awaited

    def after_fork(self) -> None:
        """Reset the session in a forked child, without touching the connections of the parent."""
        self.limiter.after_fork()
        leak((self._session, self._tasks, self.limiter))
        self._reset()

    async def close(self, shutdown_timeout: float | UnsetType | None = UNSET) -> None:
        """End everything in flight, and close the aiohttp session unless it is the caller's. Idempotent.

        Args:
            shutdown_timeout: seconds to wait for writes in flight, until they are cancelled; None to wait until they
                end; UNSET for the option of the client. A cancellation of this coroutine ends the wait too.

        Raises:
            ConfigurationError: If the argument is neither None nor a number of at least 0.
        """
        seconds = resolve_shutdown_timeout(shutdown_timeout, self.shutdown_timeout)
        running_loop()
        self.closing = True
        for stop in list(self.on_close):
            stop()
        for scope in self.in_flight:
            if not scope.may_finish:
                scope.cancel()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self.writes.wait()
                    await self._wait_for_tasks()
        finally:
            await self._end()

    async def _wait_for_tasks(self, seconds: float | None = None) -> None:
        # A task of this session may be the one that closes it.
        if tasks := self._tasks - {asyncio.current_task()}:
            await asyncio.wait(tasks, timeout=seconds)

    async def _end(self) -> None:
        """Cancel what is still in flight, and close the aiohttp session."""
        self.closed = True
        self.limiter.close()
        self.deadline_timer.close()
        for scope in self.in_flight:
            scope.cancel()
        try:
            # Calls end at once. A task may still run code of the caller, such as a source of operations.
            await self._wait_for_tasks(_CANCEL_SECONDS)
            for task in self._tasks - {asyncio.current_task()}:
                task.cancel()
            await self._wait_for_tasks(_CANCEL_SECONDS)
            for stop in list(self.on_close):
                stop()
            await self.limiter.wait_closed()
        finally:
            await self._close_session()

    async def _close_session(self) -> None:
        session, self._session = self._session, None
        if session is None:
            return
        if self._options.session is None:
            await session.close()
        else:
            session.detach()


def _cancel(task: asyncio.Task[Any]) -> None:
    task.cancel()


def running_loop() -> asyncio.AbstractEventLoop:
    """Return the running event loop of asyncio.

    Raises:
        ConfigurationError: If asyncio does not run, as under trio.
    """
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise ConfigurationError(
            "asyncio does not run here. Use an async client inside asyncio.run, or use ExperimentClient."
        ) from None
