"""Time that jumps: an event loop without waits, and a session that answers by script instead of over a network."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Awaitable, Coroutine, Mapping
from typing import Any, TypeVar

import aiohttp
from attrs import define, field, frozen

T = TypeVar("T")


class _JumpingSelector(selectors.DefaultSelector):  # type: ignore[misc, valid-type]
    """Instead of waiting it moves the clock on by as long as it would have waited."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise RuntimeError("nothing is ready, and no timer will ever make it so: the test waits for ever")
        self.now += max(0.0, timeout)
        return super().select(0)


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose time stands still while anything can run, and then jumps to the next timer."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self._jumping.now


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(coroutine)


def now() -> float:
    """The running loop's time."""
    return asyncio.get_running_loop().time()


@frozen
class Answer:
    """What a scripted session answers, or raises, after so many seconds."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(factory=dict[str, str])
    seconds: float = 0.0
    error: Exception | None = None

    async def read(self) -> bytes:
        """The body, as aiohttp's response hands it out."""
        return self.body


@define(eq=False, slots=False)
class ScriptedSession:
    """Stands in for an aiohttp session: the n-th request gets the n-th answer, and the last one from then on."""

    answers: list[Answer]
    sent: list[tuple[float, str]] = field(factory=list[tuple[float, str]])
    """When each request was sent, and its method."""
    closed: bool = False

    async def request(
        self,
        method: str,
        _url: object,
        *,
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp calls it that
        **_: object,
    ) -> Answer:
        """Answer by the script, within the attempt's timeout."""
        answer = self.answers[min(len(self.sent), len(self.answers) - 1)]
        self.sent.append((now(), method))
        async with asyncio.timeout(timeout.total):
            await asyncio.sleep(answer.seconds)
        if answer.error is not None:
            raise answer.error
        return answer

    def detach(self) -> None:
        """Nothing is held that could be let go."""

    @property
    def times(self) -> list[float]:
        """When each request was sent."""
        return [at for at, _ in self.sent]


async def outcome(work: Awaitable[T]) -> tuple[T | Exception, float]:
    """What came of it, result or error, and after how many seconds."""
    started = now()
    try:
        result: T | Exception = await work
    except Exception as error:  # noqa: BLE001 - whatever it was is what the test asks for
        result = error
    return result, now() - started
