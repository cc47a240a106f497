"""Cancel scopes, and one timer for the timeouts of all attempts."""

from __future__ import annotations

import asyncio
import math
from types import TracebackType
from typing import Self


class CancelScope:
    """A block of code that another task can cancel, and in which one attempt at a time can time out.

    `anyio.CancelScope` does the same with a timer and bookkeeping for each scope. This one costs a fifth (0.8 µs
    instead of 3.6 µs).

    Args:
        scopes: contains the scope while its task is in it.

    Attributes:
        deadline: the loop time at which the attempt in the block times out; infinite without an attempt.
        timed_out: whether the attempt in the block was cancelled at its deadline.
        cancel_called: whether `cancel` was called.
        may_finish: whether the block may take a moment to finish when the client is closed.
    """

    __slots__ = ("_cancelling", "_scopes", "_task", "cancel_called", "deadline", "may_finish", "timed_out")

    def __init__(self, scopes: set[CancelScope]) -> None:
        self._scopes = scopes
        self.deadline = math.inf
        self.timed_out = False
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

    def time_out(self) -> None:
        """Cancel the attempt. The cancellation ends with the attempt, which calls `end_attempt`."""
        self.deadline = math.inf
        self.timed_out = True
        self._task.cancel()

    def end_attempt(self) -> bool:
        """Remove the deadline, and return whether the attempt timed out and nothing else has cancelled the task."""
        self.deadline = math.inf
        if not self.timed_out:
            return False
        self.timed_out = False
        return self._task.uncancel() <= self._cancelling

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        self._scopes.discard(self)
        return self.cancel_called and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError


class DeadlineTimer:
    """A timer for the attempts in all scopes: one for all, because hardly any attempt reaches its deadline.

    Args:
        scopes: the scopes.
    """

    def __init__(self, scopes: set[CancelScope]) -> None:
        self._scopes = scopes
        self._timer: asyncio.TimerHandle | None = None
        self._next_at = math.inf

    def start_attempt(self, scope: CancelScope, deadline: float) -> None:
        """Let an attempt in a scope time out at a loop time, unless `CancelScope.end_attempt` is called before."""
        scope.deadline = deadline
        if deadline < self._next_at:
            self._set(deadline)

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
                scope.time_out()
        self._set(min((scope.deadline for scope in self._scopes), default=math.inf))
