"""The emulator: lifetime, address, log, faults and state of one served API."""

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Final, Literal, Self, get_args

from aiohttp import web

from amp_exp_async.emulator.background import Background
from amp_exp_async.emulator.call import Caller, Paging
from amp_exp_async.emulator.faults import Fault, Faults
from amp_exp_async.emulator.latency import Latency, drawn
from amp_exp_async.emulator.limits import Limits, Window
from amp_exp_async.emulator.log import RecordedRequest
from amp_exp_async.emulator.routes import BETA_PREFIX
from amp_exp_async.emulator.service import Service
from amp_exp_async.emulator.settings import require_from_zero, require_one_of
from amp_exp_async.emulator.state import EmulatorState
from amp_exp_async.emulator.statefile import dump, load, read, write

_SECONDS_TO_FINISH: Final = 2.0


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Emulator:
    """Amplitude's Experiment Management API, served in-process over real HTTP.

    `async with Emulator()` serves in the running loop, `with Emulator()` on a thread of its own.

    Args:
        state: What it begins with: a mapping in the file's format, the path of such a file, or nothing.
        host: The address to listen on.
        port: The port to listen on; 0 takes a free one, which is kept when the emulator is started again.
        api_key: The key that sees all projects.
        keys: Further keys, each with the ids of the projects it may see.
        per_second: Requests allowed in one second, all keys together; `None` for no limit.
        window: What one second is: "sliding" for any stretch of that length, "calendar" for the clock's whole seconds.
        retry_after: Seconds that the `Retry-After` of that limit says; `None` leaves the header out.
        background_rps: Requests a second by others who use the same keys, evenly spaced; also an
            attribute that may be set.
        per_day: Requests allowed in a UTC day, all keys together; `None` for no limit.
        latency: Seconds of a round trip: a number, a pair `(least, most)` between which each one is drawn evenly, or a
            function that returns them; also an attribute that may be set.
        seed: Makes what is drawn, latencies and `probability`s of faults, the same in every run.
        clock: The time for timestamps and limits; also an attribute that may be set.
        default_limit: The size of a page when `limit` is not sent.
        cursor_type: Whether `nextCursor` is a JSON string or a number.
        last_cursor: How the last page tells that it is the last: no `nextCursor`, null, or an empty string.
    """

    def __init__(
        self,
        state: Mapping[str, Any] | str | os.PathLike[str] | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        api_key: str = "emulator-management-key",
        keys: Mapping[str, Iterable[str]] | None = None,
        per_second: int | None = 100,
        window: Window = "sliding",
        retry_after: float | None = 1,
        background_rps: float = 0,
        per_day: int | None = 100_000,
        latency: Latency | None = None,
        seed: int | None = None,
        clock: Callable[[], datetime] = _utc_now,
        default_limit: int = 100,
        cursor_type: Literal["string", "number"] = "string",
        last_cursor: Literal["absent", "null", "empty"] = "absent",
    ) -> None:
        require_one_of("window", window, get_args(Window))
        if retry_after is not None:
            require_from_zero("retry_after", retry_after)
        require_from_zero("background_rps", background_rps)
        self.clock = clock
        self.api_key = api_key
        self._host = host
        self._port = port
        self._seed = seed
        self._random = Random(seed)  # noqa: S311 - nothing is to be kept secret
        callers = {key: Caller(frozenset(projects)) for key, projects in (keys or {}).items()}
        self._service = Service(
            state=self._read(state),
            clock=self._now,
            callers={**callers, api_key: Caller(None)},
            paging=Paging(default_limit, cursor_type, last_cursor),
            limits=Limits(per_second, per_day, window, retry_after, background_rps),
            faults=Faults(self._random),
            latency=drawn(latency, self._random),
        )
        self._latency = latency
        self._runner: web.ServerRunner | None = None
        self._background: Background | None = None
        self._address: str | None = None

    @property
    def base_url(self) -> str:
        """Where it is served: scheme, host and port, without `/api/1`."""
        if self._address is None:
            raise RuntimeError("the emulator has not been started")
        return self._address

    @property
    def beta_base_url(self) -> str:
        """Where the Beta API is served, with the same state, keys, limits, faults and log: `base_url` and `/beta`."""
        return f"{self.base_url}{BETA_PREFIX}"

    @property
    def state(self) -> EmulatorState:
        """What it knows; its helpers work without HTTP."""
        return self._service.state

    @property
    def requests(self) -> list[RecordedRequest]:
        """Every request in order of arrival, refused ones included: the log itself, no copy."""
        return self._service.log

    @property
    def refused(self) -> int:
        """How many requests were over a limit and answered with 429; those of `background_rps` do not count."""
        return self._service.limits.refused

    @property
    def peak_per_second(self) -> int:
        """The most requests counted in one second, as `window` has it; without refused ones and `background_rps`."""
        return self._service.limits.peak

    @property
    def background_rps(self) -> float:
        """Requests a second by others who use the same keys: they take up the limit of a second, and nothing else.

        They come evenly spaced on the emulator's clock, from before the first request on; one that finds no room is
        lost. They are in no log and no count, and not part of the day's.
        """
        return self._service.limits.background_rps

    @background_rps.setter
    def background_rps(self, per_second: float) -> None:
        require_from_zero("background_rps", per_second)
        self._service.limits.background_rps = per_second

    @property
    def latency(self) -> Latency | None:
        """Seconds of a round trip, as they were given; `None` for none.

        Half of them pass before a request arrives: before it is logged, counted and carried out. The other half pass
        before its reply is sent. Setting it is for the requests from then on.
        """
        return self._latency

    @latency.setter
    def latency(self, latency: Latency | None) -> None:
        self._service.latency = drawn(latency, self._random)
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
        """Let a fault strike.

        Args:
            fault: What goes wrong.
            method: Only requests with this method.
            path: Only requests whose path after `/api/1` matches this glob; `*` stands for any text, slashes included.
                It is compared as it came over the wire, percent-encoded. Paths of the Beta API begin with `/beta`.
            nth: The first matching request from now on that is struck, counted from 1.
            times: How many matching requests are struck from there on; `None` for all.
            probability: The probability from 0 to 1 with which each matching request is struck, instead of `nth`, until
                `times` have been; `Emulator(seed=...)` makes it repeatable.
        """
        self._service.faults.add(fault, method=method, path=path, nth=nth, times=times, probability=probability)

    def clear_faults(self) -> None:
        """Forget every fault that has not struck yet."""
        self._service.faults.clear()

    def reset(self) -> None:
        """Forget the log, the faults, and what was counted and drawn; the state and the settings stay."""
        self._service.log.clear()
        self._service.faults.clear()
        self._service.limits = self._service.limits.anew()
        self._random.seed(self._seed)

    def load(self, path: str | os.PathLike[str]) -> None:
        """Replace the state by the file's."""
        self._service.state = read(Path(path), self._now)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the state to a file; an old one is replaced whole or not at all."""
        write(Path(path), dump(self.state))

    async def start(self) -> None:
        """Serve in the running loop; inside a `with` block, again on the emulator's own thread."""
        await self._at_home(self._start)

    async def stop(self) -> None:
        """Let the requests in progress finish, then close every connection. Once stopped, it does nothing."""
        await self._at_home(self._stop)

    async def _at_home(self, step: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Take the step on the loop that serves, whichever loop it is asked from."""
        background = self._background
        if background is None:
            await step()
        else:
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(step(), background.loop))

    async def _start(self) -> None:
        if self._runner is not None:
            raise RuntimeError("the emulator is running already")
        self._service.begin()
        server = web.Server(self._service.handle, access_log=None)
        runner = web.ServerRunner(server, shutdown_timeout=_SECONDS_TO_FINISH)
        await runner.setup()
        self._runner = runner
        try:
            await web.TCPSite(runner, self._host, self._port).start()
        except BaseException:
            await self._stop()
            raise
        host, self._port = runner.addresses[0][:2]
        self._address = f"http://[{host}]:{self._port}" if ":" in host else f"http://{host}:{self._port}"

    async def _stop(self) -> None:
        runner, self._runner = self._runner, None
        if runner is not None:
            self._service.stop_waiting()
            await runner.cleanup()
            await self._service.finish()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    def __enter__(self) -> Self:
        self._background = Background(self._start, self._stop)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        background, self._background = self._background, None
        if background is not None:
            background.close()

    def _read(self, state: Mapping[str, Any] | str | os.PathLike[str] | None) -> EmulatorState:
        if state is None:
            return EmulatorState(self._now)
        if isinstance(state, Mapping):
            return load(state, self._now)
        return read(Path(state), self._now)

    def _now(self) -> datetime:
        return self.clock().astimezone(UTC)
