"""The state that a client and its copies share, and the exchange of one request and its response."""

from __future__ import annotations

import asyncio
import copy
import math
import time
import weakref
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import lru_cache
from typing import Any, NoReturn, TypeVar
from urllib.parse import urlsplit

from anyio import Semaphore
from multidict import CIMultiDict
from yarl import URL

from amp_exp_async._version import __version__
from amp_exp_async.config import Endpoint
from amp_exp_async.errors import ClientClosedError, ConfigurationError
from amp_exp_async.forking import leak
from amp_exp_async.models import UNSET, UnsetType
from amp_exp_async.ratelimit import create_limiter

from . import lazy_aiohttp as aiohttp
from .deadlines import CancelScope, DeadlineTimer, connect_seconds
from .error_mapping import TransportFailure, hide_frames, map_exception, shutdown_error
from .locks import KeyedLocks, WaitGroup
from .options import HttpOptions, Usage, resolve_shutdown_timeout
from .request import Request, Response
from .retry import RefusalStreak

T = TypeVar("T")

_PER_DAY = 100_000  # requests that the service allows in a UTC day
_NEARLY_ALL = 0.9
_CANCEL_SECONDS = 1.0  # in which cancelled tasks must end
_CONTENT_TYPE = ("Content-Type",)


@lru_cache(maxsize=16)
def _timeout(seconds: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(
        total=None,  # `DeadlineTimer` takes a third of the time that the timer of aiohttp takes
        connect=connect_seconds(seconds),
        ceil_threshold=math.inf,  # otherwise aiohttp rounds up to a whole second, beyond the deadline
    )


class _Headers(CIMultiDict[str]):
    """Headers that hide the key, because tracebacks may show local variables."""

    def __repr__(self) -> str:
        return f"<headers: {', '.join(self)}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("headers with a management API key cannot be pickled.")


class HttpSession:
    """The session, rate limiter, locks and tasks of a client and its copies.

    It opens on first use and belongs to the event loop of that moment.

    Attributes:
        endpoint: the URL and the key.
        time: returns the time of the event loop, once the session is open.
        limiter: the rate limiter.
        concurrency: limits the requests in flight.
        locks: keep writes to one object apart.
        edit_locks: keep guarded edits of one flag apart, each of which takes several requests.
        refusals: the refusals (429) since the last other response; None without any.
        in_flight: the scopes of the calls in flight.
        writes: the writes in flight, including their reconciliation.
        deadline_timer: cancels attempts that time out.
        on_close: called when closing starts. The tasks that `spawn` started may then finish.
        closing: whether closing has started: only calls that belong to a write in flight may still send requests.
        closed: whether nothing more may be sent.
    """

    def __init__(self, endpoint: Endpoint, options: HttpOptions) -> None:
        self.endpoint = endpoint
        self.max_concurrency = options.max_concurrency
        self.wall_clock = options.wall_clock
        self.closing = self.closed = False
        self._options = options
        self._reset()
        self._headers = _Headers(
            {
                "Authorization": f"Bearer {endpoint.key.reveal()}",
                "Accept": "application/json",
                "User-Agent": f"amp_exp_async/{__version__}",
            }
        )
        self._body_headers = _Headers(self._headers)
        self._body_headers["Content-Type"] = "application/json"

    def _reset(self) -> None:
        self.limiter = create_limiter(
            self._options.rate_limit,
            self.endpoint,
            wall_clock=self.wall_clock,
            share=self._options.share_limit,
        )
        self.locks = KeyedLocks()
        self.edit_locks = KeyedLocks()
        self.concurrency = Semaphore(self._options.max_concurrency)
        self.requests = 0
        self.retries = 0
        self.rate_limited = 0
        self.refusals: RefusalStreak | None = None
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.time: Callable[[], float] = time.monotonic
        self._tasks: set[asyncio.Task[Any]] = set()
        self.in_flight: set[CancelScope] = set()
        self.writes = WaitGroup()
        self.deadline_timer = DeadlineTimer()
        self.on_close: set[Callable[[], None]] = set()

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
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise ConfigurationError(
                "asyncio does not run here. Use an async client inside asyncio.run, or use ExperimentClient."
            ) from None
        if self._session is None:
            self._session, self._loop, self.time = self._create_session(loop), loop, loop.time
            # Created inside a loop, a semaphore of anyio takes a third of the time.
            self.concurrency = Semaphore(self._options.max_concurrency)
        elif self._loop is not loop:
            raise ConfigurationError(
                "the client belongs to another event loop. Use one client for each loop, or ExperimentClient."
            )
        if self._session.closed:
            raise ClientClosedError("the session of the client is closed. Pass an open one.")
        return self._session

    def _create_session(self, loop: asyncio.AbstractEventLoop) -> aiohttp.ClientSession:
        if self._options.session is None:
            session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._options.max_concurrency),
                trace_configs=list(self._options.trace_configs or ()),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        else:
            if getattr(self._options.session, "_loop", loop) is not loop:
                raise ConfigurationError(
                    "the session belongs to another event loop. Create it in the loop that uses the client."
                )
            # A shallow copy shares the caller's connector and settings, and does not change their session.
            session = copy.copy(self._options.session)
            # If this client is collected, aiohttp must not take the copy for a session that was left open.
            weakref.finalize(self, session.detach)
        # aiohttp resends an idempotent request by itself if a kept-alive connection drops. A removal by index would be
        # applied twice, and the second request would bypass the rate limiter. There is no public option.
        # A substitute in a test may only look like a session.
        is_session = isinstance(session, aiohttp.ClientSession)  # pyright: ignore[reportUnnecessaryIsInstance]
        if is_session and not hasattr(session, "_retry_connection"):
            session.detach()
            raise ConfigurationError(
                f"aiohttp {aiohttp.__version__} has no attribute _retry_connection, so it may send a request "
                "twice. Install a release of aiohttp that has it, such as 3.14.5, or a newer amp_exp_async."
            )
        session._retry_connection = False  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        return session

    async def send_once(self, request: Request, seconds: float) -> Response | TransportFailure:
        """Send one request and read its response."""
        session = self._session
        if session is None or session.closed:
            session = self.open(to_finish=True)
        try:
            with self.deadline_timer.scope(self.time() + seconds):
                return await self._request(session, request, seconds)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            return map_exception(error, self.endpoint.key, seconds)
        except BaseException as error:  # noqa: BLE001 - it is raised below
            interruption = error
        else:
            return map_exception(TimeoutError(), self.endpoint.key, seconds)
        # A cancellation, for example. The frames of aiohttp show the request's headers, which contain the key.
        hide_frames(interruption)
        raise shutdown_error(interruption) or interruption

    async def _request(self, session: aiohttp.ClientSession, request: Request, seconds: float) -> Response:
        response = await session.request(
            request.method,
            URL(self.endpoint.base_url + request.target, encoded=True),
            data=request.body,
            headers=self._headers if request.body is None else self._body_headers,
            # Without a body, aiohttp would declare a stream of bytes.
            skip_auto_headers=_CONTENT_TYPE if request.body is None else None,
            timeout=_timeout(seconds),
            allow_redirects=False,
            raise_for_status=False,
            proxy=self._proxy(),
            ssl=self._options.ssl,
        )
        # Reading to the end, or failing, releases the connection.
        body = await response.read()
        return Response(request, response.status, response.headers, body, self.endpoint.key)

    def _proxy(self) -> str | None:
        if self._options.proxy is not None:
            return self._options.proxy.reveal()
        # The trust_env of aiohttp also reads passwords from ~/.netrc, which would replace the key.
        if not self._options.trust_env:
            return None
        from urllib.request import getproxies, proxy_bypass  # noqa: PLC0415 - slow to import, and seldom needed

        parts = urlsplit(self.endpoint.base_url)
        if proxy_bypass(parts.netloc):
            return None
        return getproxies().get(parts.scheme)

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
