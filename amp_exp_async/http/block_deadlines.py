"""Blocks of code whose calls share a deadline."""

from __future__ import annotations

import time
from contextlib import suppress
from contextvars import ContextVar, Token
from types import TracebackType


class BlockDeadline:
    """A context manager: the calls in its block, also of tasks that are started in it, end by the same time.

    Args:
        seconds: the seconds from the start of the block.
        open_blocks: contains this one while its block runs, so that calls outside of any block pay nothing. Blocks in
            several threads share it.
    """

    def __init__(self, seconds: float, open_blocks: set[BlockDeadline]) -> None:
        self.seconds = seconds
        self._open_blocks = open_blocks
        self._ends_at = 0.0
        self._token: Token[tuple[BlockDeadline, ...]] | None = None

    @property
    def seconds_left(self) -> float:
        """The seconds until the deadline; negative after it."""
        return self._ends_at - time.monotonic()

    def __enter__(self) -> None:
        if self._token is not None:
            raise RuntimeError("a block deadline can be entered only once")
        self._ends_at = time.monotonic() + self.seconds
        self._token = _BLOCKS.set((*_BLOCKS.get(), self))
        self._open_blocks.add(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._open_blocks.discard(self)
        if self._token is not None:
            # An async generator may leave its block in another context, in which there is nothing to reset.
            with suppress(ValueError):
                _BLOCKS.reset(self._token)

    async def __aenter__(self) -> None:
        self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)


_BLOCKS: ContextVar[tuple[BlockDeadline, ...]] = ContextVar("amp_exp_async_deadlines", default=())


def earliest_deadline(open_blocks: set[BlockDeadline]) -> BlockDeadline | None:
    """Return the block, among those of a client that the running code belongs to, that ends first; None without any."""
    own = [block for block in _BLOCKS.get() if block in open_blocks]
    return min(own, key=lambda block: block.seconds_left) if own else None
