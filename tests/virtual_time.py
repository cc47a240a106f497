"""Virtual time: an event loop that does not wait, and a session with scripted responses instead of a network."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Awaitable, Coroutine, Mapping
from typing import Any, TypeVar

import aiohttp
from attrs import define, field, frozen

T = TypeVar("T")


class _JumpingSelector(selectors.DefaultSelector):  # type: ignore[misc, valid-type]
    """A selector that advances its clock instead of waiting."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise RuntimeError("no callback is ready and no timer is set: the test would wait forever")
        self.now += max(0.0, timeout)
        return super().select(0)


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose time stands still while a callback is ready, and then jumps to the next timer."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Return the virtual seconds since the loop was created."""
        return self._jumping.now


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in virtual time, and return its result."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(coroutine)


def now() -> float:
    """Return the time of the running loop."""
    return asyncio.get_running_loop().time()


@frozen
class Answer:
    """A response of a scripted session, or the error that it raises, after some seconds."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(factory=dict[str, str])
    seconds: float = 0.0
    error: Exception | None = None

    async def read(self) -> bytes:
        """Return the body, as a response of aiohttp does."""
        return self.body


@define(eq=False, slots=False)
class ScriptedSession:
    """A replacement for an aiohttp session: the n-th request gets the n-th answer, later requests the last one."""

    answers: list[Answer]
    sent: list[tuple[float, str]] = field(factory=list[tuple[float, str]])
    """When each request was sent, and its method."""
    closed: bool = False

    async def request(
        self,
        method: str,
        _url: object,
        *,
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - the name in aiohttp
        **_: object,
    ) -> Answer:
        """Return the next answer within the timeout of the attempt."""
        answer = self.answers[min(len(self.sent), len(self.answers) - 1)]
        self.sent.append((now(), method))
        async with asyncio.timeout(timeout.total):
            await asyncio.sleep(answer.seconds)
        if answer.error is not None:
            raise answer.error
        return answer

    def detach(self) -> None:
        """Do nothing: there is no connector to detach."""

    @property
    def times(self) -> list[float]:
        """When each request was sent."""
        return [time for time, _ in self.sent]


async def outcome(work: Awaitable[T]) -> tuple[T | Exception, float]:
    """Return the result or the error of an awaitable, and the seconds that it took."""
    started = now()
    try:
        result: T | Exception = await work
    except Exception as error:  # noqa: BLE001 - the test inspects the error
        result = error
    return result, now() - started
