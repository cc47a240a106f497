"""What is under way until the client is closed."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self


class Scope:
    """What a task does between entering and leaving it, and somebody else may `end`.

    It is `asyncio.timeout` without a time: `end` cancels the task, and that cancellation stops at the scope. One from
    elsewhere passes.

    Args:
        scopes: where the scope is to be found while the task is in it.

    Attributes:
        ended: whether somebody has ended it.
    """

    __slots__ = ("_cancelling", "_scopes", "_task", "ended")

    def __init__(self, scopes: set[Scope]) -> None:
        self._scopes = scopes
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
        """Cancel what is under way."""
        if not self.ended:
            self.ended = True
            self._task.cancel()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        self._scopes.discard(self)
        return self.ended and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError
