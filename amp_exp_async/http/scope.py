"""What is under way until the client is closed, or until its time is up."""

from __future__ import annotations

import asyncio
import math
from types import TracebackType
from typing import Self


class Scope:
    """What a task does between entering and leaving it, and somebody else may `end`.

    It is `asyncio.timeout` without a timer: `end` cancels the task, and that cancellation stops at the scope. One from
    elsewhere passes.

    Args:
        scopes: where the scope is to be found while the task is in it.
        until: the loop's time when it is to end, for whoever looks after that.

    Attributes:
        until: likewise.
        ended: whether somebody has ended it.
    """

    __slots__ = ("_cancelling", "_scopes", "_task", "ended", "until")

    def __init__(self, scopes: set[Scope], until: float = math.inf) -> None:
        self._scopes = scopes
        self.until = until
        self.ended = False

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a request needs a task of asyncio to run in")
        self._task = task
        self._cancelling = task.cancelling()
        self._scopes.add(self)
        return self

    def end(self) -> None:
        """Cancel what is in flight. A scope that was left does nothing."""
        if not self.ended and self in self._scopes:
            self.ended = True
            self._task.cancel()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        self._scopes.discard(self)
        return self.ended and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError


class Alarm:
    """Ends scopes whose time is up. One timer is there for all of them, since hardly any ever needs it."""

    def __init__(self) -> None:
        self._scopes: set[Scope] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._rings_at = math.inf

    def within(self, seconds: float) -> Scope:
        """A scope that ends after so many seconds."""
        until = asyncio.get_running_loop().time() + seconds
        if until < self._rings_at:
            self._set(until)
        return Scope(self._scopes, until)

    def close(self) -> None:
        """Leave no timer behind."""
        self._set(math.inf)

    def _set(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if when == math.inf else asyncio.get_running_loop().call_at(when, self._ring)
        self._rings_at = when

    def _ring(self) -> None:
        now = asyncio.get_running_loop().time()
        for scope in self._scopes:
            if scope.until <= now:
                scope.end()
        self._set(min((scope.until for scope in self._scopes if scope.until > now), default=math.inf))
