"""The emulator: a server with a state, limits, faults and a log of requests."""

import asyncio
import contextlib
import logging
import math
import os
import signal
from collections.abc import Callable, Coroutine, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Final, Literal, Self, get_args

from aiohttp import web
from aiohttp.http import HttpProcessingError
from aiohttp.log import server_logger

from amp_exp_async.emulator.documents import format_json
from amp_exp_async.emulator.faults import Fault, Faults
from amp_exp_async.emulator.hosts import make_host_filter, parse_allowed
from amp_exp_async.emulator.limits import Limits, Window
from amp_exp_async.emulator.refusals import LiveSettings, Strictness
from amp_exp_async.emulator.routes import BETA_PREFIX, ApiKey, PageSettings
from amp_exp_async.emulator.service import RecordedRequest, Service
from amp_exp_async.emulator.state_io import parse_state, read_state, write_state
from amp_exp_async.emulator.store import EmulatorState
from amp_exp_async.interruption import is_shutdown_error
from amp_exp_async.loop_thread import LoopThread

_SHUTDOWN_TIMEOUT: Final = 2.0


def _is_of_server(record: logging.LogRecord) -> bool:
    """Return whether a log record is not about a request that a client sent malformed, which its response tells it."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError | web.RequestPayloadError)


_LOGGER: Final = server_logger.getChild("emulator")
_LOGGER.addFilter(_is_of_server)

Latency = float | tuple[float, float] | Callable[[], float]
"""Seconds of a round trip: a constant, a range of uniformly distributed values, or a function that returns them."""


class Emulator:
    """Amplitude's Experiment Management API, served in-process over real HTTP.

    `async with Emulator()` serves in the running loop, `with Emulator()` on a thread of its own.

    Args:
        state: The initial state: a mapping in the format of a state file, the path of a file, or `None` for empty.
        host: The address to listen on.
        allowed_hosts: Further names and addresses in the `Host` header of requests that are served, without port; `*`
            for all. Those of loopback always are, and no others by default, so that no web page can reach the emulator
            by rebinding the name of its own server. If the emulator listens on other addresses too, all addresses and
            the name in `host` are served as well.
        port: The port to listen on; 0 selects a free one, which is kept when the emulator restarts.
        api_key: The API key that can see all projects.
        keys: More API keys, each with the IDs of the projects that it can see, or with an `ApiKey`, which has scopes
            too.
        strictness: "live" also refuses what the live service was seen to refuse, and responds with its texts;
            "documented" follows the API reference alone.
        cohorts: The IDs of the cohorts that exist; `None` if every ID exists. Only for "live".
        group_types: The values of `bucketingUnit` that are configured besides `User`. Only for "live".
        per_second: The maximum of requests per second for all keys together; `None` for no limit.
        window: What one second is: "sliding" for any period of that length, "calendar" for a whole second of the
            clock.
        retry_after: Seconds in the `Retry-After` header of that limit; `None` omits the header.
        background_rps: Requests per second of other clients with the same keys, evenly spaced; also a settable
            attribute.
        per_day: The maximum of requests per UTC day for all keys together; `None` for no limit.
        latency: Seconds of a round trip: a number, a pair `(min, max)` for uniformly distributed values, or a function
            that returns the seconds; also a settable attribute.
        seed: Makes the random choices (latencies, and faults with a `probability`) the same in every run.
        clock: Returns the time for timestamps and limits; also a settable attribute.
        default_limit: The size of a page if `limit` is not sent.
        cursor_type: Whether `nextCursor` is a JSON string or a number.
        last_cursor: The `nextCursor` of the last page: absent, null, or an empty string.
        log_limit: The number of requests that the log keeps, the newest ones, 64 MiB at most; `None` for all.
    """

    def __init__(
        self,
        state: Mapping[str, Any] | str | os.PathLike[str] | None = None,
        *,
        host: str = "127.0.0.1",
        allowed_hosts: Iterable[str] = (),
        port: int = 0,
        api_key: str = "emulator-management-key",
        keys: Mapping[str, Iterable[str] | ApiKey] | None = None,
        strictness: Strictness = "live",
        cohorts: Iterable[str] | None = None,
        group_types: Iterable[str] = (),
        per_second: int | None = 100,
        window: Window = "sliding",
        retry_after: float | None = 1,
        background_rps: float = 0,
        per_day: int | None = 100_000,
        latency: Latency | None = None,
        seed: int | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        default_limit: int = 100,
        cursor_type: Literal["string", "number"] = "string",
        last_cursor: Literal["absent", "null", "empty"] = "absent",
        log_limit: int | None = 10_000,
    ) -> None:
        if window not in get_args(Window):
            raise ValueError(f"window must be one of {', '.join(get_args(Window))}, not {format_json(window)}")
        if strictness not in get_args(Strictness):
            names = ", ".join(get_args(Strictness))
            raise ValueError(f"strictness must be one of {names}, not {format_json(strictness)}")
        if retry_after is not None:
            require_non_negative("retry_after", retry_after)
        require_non_negative("background_rps", background_rps)
        if log_limit is not None and log_limit < 1:
            raise ValueError(f"log_limit must be at least 1, not {log_limit}")
        self.clock = clock
        self.api_key = api_key
        self._host = host
        self._allowed_hosts = parse_allowed(allowed_hosts)
        self._port = port
        self._seed = seed
        self._random = Random(seed)  # noqa: S311 - not used for secrets
        api_keys = {
            key: access if isinstance(access, ApiKey) else ApiKey(access) for key, access in (keys or {}).items()
        }
        live = LiveSettings(None if cohorts is None else frozenset(cohorts), frozenset(group_types))
        self._service = Service(
            state=self._initial_state(state),
            clock=self._now,
            api_keys={**api_keys, api_key: ApiKey(None)},
            page_settings=PageSettings(default_limit, cursor_type, last_cursor),
            limits=Limits(per_second, per_day, window, retry_after, background_rps),
            faults=Faults(self._random),
            latency=make_latency(latency, self._random),
            live=live if strictness == "live" else None,
            is_allowed_host=lambda _: False,  # until the address is known
            log_limit=log_limit,
        )
        self._latency = latency
        self._runner: web.ServerRunner | None = None
        self._thread: LoopThread | None = None
        self._address: str | None = None

    def replace_key(self, key: str, *, old: str | None = None) -> None:
        """Accept another key instead of one, with the same access. Requests with the old one get a 401.

        Args:
            key: The new key.
            old: The key that it replaces; by default `api_key`, which is then the new one.

        Raises:
            KeyError: If the old key is not one of this emulator.
        """
        keys = dict(self._service.api_keys)
        keys[key] = keys.pop(self.api_key if old is None else old)
        self._service.api_keys = keys  # replaced as a whole, because requests read it in another thread
        if old in {None, self.api_key}:
            self.api_key = key

    def __repr__(self) -> str:
        return f"<Emulator {self._address or 'not started'!r}>"

    @property
    def base_url(self) -> str:
        """The scheme, host and port, without `/api/1`."""
        if self._address is None:
            raise RuntimeError("the emulator has not been started")
        return self._address

    @property
    def beta_base_url(self) -> str:
        """The base URL of the Beta API, with the same state, keys, limits, faults and log: `base_url` and `/beta`."""
        return f"{self.base_url}{BETA_PREFIX}"

    @property
    def state(self) -> EmulatorState:
        """The data; its methods work without HTTP."""
        return self._service.state

    @property
    def requests(self) -> list[RecordedRequest]:
        """The newest requests in order of arrival, rejected ones included: the log itself, not a copy.

        It keeps `log_limit` requests. `request_count` counts all.
        """
        return self._service.log

    @property
    def request_count(self) -> int:
        """The number of requests since the start or the last `reset`, also of those that the log no longer has."""
        return self._service.request_count

    @property
    def refused(self) -> int:
        """The number of requests over a limit (429), without those of `background_rps`."""
        return self._service.limits.rejected

    @property
    def peak_per_second(self) -> int:
        """The maximum of requests counted in one second, without rejected ones and those of `background_rps`."""
        return self._service.limits.peak

    @property
    def background_rps(self) -> float:
        """Requests per second of other clients with the same keys, which use up the limit per second.

        They arrive evenly spaced by the emulator's clock, also before the first request; those over the limit are
        dropped. They do not appear in the log or the counts, and do not use up the limit per day.
        """
        return self._service.limits.background_rps

    @background_rps.setter
    def background_rps(self, per_second: float) -> None:
        require_non_negative("background_rps", per_second)
        self._service.limits.background_rps = per_second

    @property
    def latency(self) -> Latency | None:
        """Seconds of a round trip, as they were set; `None` for none.

        Half of the time passes before a request is logged, counted and applied, the other half before its response is
        sent. A new value holds for the next requests.
        """
        return self._latency

    @latency.setter
    def latency(self, latency: Latency | None) -> None:
        self._service.latency = make_latency(latency, self._random)
        self._latency = latency

    def inject(
        self,
        fault: Fault,
        *,
        method: str | None = None,
        path: str | None = None,
        nth: int = 1,
        times: int | None = 1,
        probability: float = 1,
    ) -> None:
        """Inject a fault into matching requests.

        Args:
            fault: What goes wrong.
            method: Only requests with this method match.
            path: Only requests whose path after `/api/1` matches this glob; `*` matches any text, slashes included.
                Paths are compared percent-encoded. Paths of the Beta API begin with `/beta`.
            nth: The first matching request to get the fault, counted from 1 from now on.
            times: The number of requests that get the fault; `None` for all.
            probability: The probability from 0 to 1 with which each matching request gets the fault, instead of `nth`;
                `Emulator(seed=...)` makes it repeatable.
        """
        self._service.faults.add(fault, method=method, path=path, nth=nth, times=times, probability=probability)

    def clear_faults(self) -> None:
        """Remove all faults that have not occurred yet."""
        self._service.faults.clear()

    def reset(self) -> None:
        """Clear the log, the faults, the counts and the random choices; keep the state and the settings."""
        self._service.log.clear()
        self._service.request_count = 0
        self._service.faults.clear()
        self._service.limits = self._service.limits.reset()
        self._random.seed(self._seed)

    def load(self, path: str | os.PathLike[str]) -> None:
        """Replace the state by that of a file."""
        self._service.state = read_state(Path(path), self._now)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the state to a file, completely or not at all."""
        write_state(Path(path), self.state)

    async def start(self) -> None:
        """Serve in the running loop; inside a `with` block, restart on the emulator's thread."""
        await self._on_server_loop(self._start)

    async def stop(self) -> None:
        """Let the requests in flight finish, and close all connections. Does nothing if stopped."""
        await self._on_server_loop(self._stop)

    async def _on_server_loop(self, step: Callable[[], Coroutine[Any, Any, None]]) -> None:
        loop = self._thread.loop if self._thread is not None else None
        if loop is None:
            await step()
        else:
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(step(), loop))

    async def _start(self) -> None:
        if self._runner is not None:
            raise RuntimeError("the emulator is already running")
        _require_asyncio()
        self._service.start()
        server = web.Server(self._service.handle, access_log=None, logger=_LOGGER)
        runner = web.ServerRunner(server, shutdown_timeout=_SHUTDOWN_TIMEOUT)
        await runner.setup()
        self._runner = runner
        try:
            await web.TCPSite(runner, self._host, self._port).start()
        except BaseException:
            await self._stop()
            raise
        bound = [address[0] for address in runner.addresses]
        self._service.is_allowed_host = make_host_filter(self._allowed_hosts, self._host, bound)
        host, self._port = runner.addresses[0][:2]
        self._address = f"http://[{host}]:{self._port}" if ":" in host else f"http://{host}:{self._port}"

    async def _stop(self) -> None:
        runner, self._runner = self._runner, None
        if runner is not None:
            self._service.end_delays()
            await runner.cleanup()
            await self._service.wait_closed()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    def __enter__(self) -> Self:
        thread = self._thread = LoopThread("experiment-emulator")
        try:
            thread.start()
            thread.call(self._start)
            return self  # noqa: TRY300 - a signal may come until then
        except BaseException as error:
            self._close_thread(thread)
            if is_shutdown_error(error):
                raise RuntimeError(
                    f"the program is ending, and Python starts no thread any longer ({error}). Start the emulator "
                    "before the main program ends"
                ) from error
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._thread is not None:
            self._close_thread(self._thread)

    def _close_thread(self, thread: LoopThread) -> None:
        """Let the requests in flight finish, and end the thread. An interruption (Ctrl-C) ends the wait, not that."""
        try:
            thread.stop(self._stop)
        finally:
            thread.stop(self._stop)
            self._thread = None
        thread.wait()

    def _initial_state(self, state: Mapping[str, Any] | str | os.PathLike[str] | None) -> EmulatorState:
        if state is None:
            return EmulatorState(self._now)
        if isinstance(state, Mapping):
            return parse_state(state, self._now)
        return read_state(Path(state), self._now)

    def _now(self) -> datetime:
        return self.clock().astimezone(UTC)


def _require_asyncio() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise RuntimeError(
            "asyncio does not run here. Use `with Emulator()`, which serves in a thread, or asyncio.run."
        ) from None


async def serve(emulator: Emulator, *, state_file: Path | None, on_ready: Callable[[Emulator], None]) -> None:
    """Serve until SIGINT, SIGTERM or SIGHUP, then stop gracefully.

    Args:
        emulator: The emulator, which has not been started.
        state_file: Is written at the start and at the end. It is not read: create the emulator with its content.
        on_ready: Is called once, when requests are accepted and `base_url` is known.
    """
    stop_requested = asyncio.Event()
    loop = asyncio.get_running_loop()
    names = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has no SIGHUP
    signals = [getattr(signal, name) for name in names if hasattr(signal, name)]
    # On Windows, Ctrl-C cancels this task instead, with the same cleanup.
    with contextlib.suppress(NotImplementedError):  # loops on Windows have no signal handlers
        for number in signals:
            loop.add_signal_handler(number, stop_requested.set)
    try:
        async with emulator:
            if state_file is not None:
                emulator.save(state_file)  # fails early if the file cannot be written
            try:
                on_ready(emulator)
                await stop_requested.wait()
            finally:
                if state_file is not None:
                    emulator.save(state_file)
    finally:
        with contextlib.suppress(NotImplementedError):  # on Windows, none was added
            for number in signals:
                loop.remove_signal_handler(number)


def make_latency(latency: Latency | None, random: Random) -> Callable[[], float]:
    """Return a function that returns the seconds of the next round trip."""
    if latency is None:
        return lambda: 0.0
    if callable(latency):
        return latency
    if isinstance(latency, int | float):
        require_non_negative("latency", latency)
        return lambda: latency
    min_seconds, max_seconds = latency
    if not 0 <= min_seconds <= max_seconds < math.inf:
        raise ValueError(f"latency must be a pair (min, max) of numbers of at least 0, not {format_json(latency)}")
    return lambda: random.uniform(min_seconds, max_seconds)


def require_non_negative(name: str, value: float) -> None:
    """Raise `ValueError` unless the value is a finite number of at least 0."""
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"{name} must be a finite number of at least 0, not {format_json(value)}")
