"""Cancel scopes, one timer for the timeouts of all requests, and the time to connect."""

from __future__ import annotations

import asyncio
import math
from types import TracebackType
from typing import Self

_MAX_CONNECT_SECONDS = 10.0
# Connecting (with the TLS handshake) must time out before the attempt: then it is known that nothing was sent.
_CONNECT_SHARE = 0.9


def connect_seconds(timeout: float) -> float:
    """Return the seconds that an attempt with a timeout may take to connect."""
    return min(timeout * _CONNECT_SHARE, _MAX_CONNECT_SECONDS)


class CancelScope:
    """A block of code that another task can cancel.

    `anyio.CancelScope` does the same with a timer and bookkeeping for each scope. This one costs a fifth (0.8 µs
    instead of 3.6 µs, 1.1 µs instead of 6.6 µs with a timeout), and every request needs two.

    Args:
        scopes: contains the scope while its task is in it.
        deadline: the loop time at which a `DeadlineTimer` cancels the scope.

    Attributes:
        deadline: the loop time at which a `DeadlineTimer` cancels the scope.
        cancel_called: whether `cancel` was called.
        may_finish: whether the block may take a moment to finish when the client is closed.
    """

    __slots__ = ("_cancelling", "_scopes", "_task", "cancel_called", "deadline", "may_finish")

    def __init__(self, scopes: set[CancelScope], deadline: float = math.inf) -> None:
        self._scopes = scopes
        self.deadline = deadline
        self.cancel_called = False
        self.may_finish = False

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("requests must be made from within an asyncio task")
        self._task = task
        self._cancelling = task.cancelling()
        self._scopes.add(self)
        return self

    def cancel(self) -> None:
        """Cancel the task. The cancellation ends at the scope; after the scope was left, this does nothing."""
        if not self.cancel_called and self in self._scopes:
            self.cancel_called = True
            self._task.cancel()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        self._scopes.discard(self)
        return self.cancel_called and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError


class DeadlineTimer:
    """A timer that cancels scopes at their deadlines: one for all scopes, because hardly any reaches its deadline."""

    def __init__(self) -> None:
        self._scopes: set[CancelScope] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._next_at = math.inf

    def scope(self, deadline: float) -> CancelScope:
        """Return a scope that is cancelled at a loop time."""
        if deadline < self._next_at:
            self._set(deadline)
        return CancelScope(self._scopes, deadline)

    def close(self) -> None:
        """Cancel the timer."""
        self._set(math.inf)

    def _set(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if when == math.inf else asyncio.get_running_loop().call_at(when, self._expire)
        self._next_at = when

    def _expire(self) -> None:
        now = asyncio.get_running_loop().time()
        for scope in self._scopes:
            if scope.deadline <= now:
                scope.cancel()
        self._set(min((scope.deadline for scope in self._scopes if scope.deadline > now), default=math.inf))
