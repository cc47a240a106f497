"""Blocks of code that concern the calls in them, also the calls of tasks that are started in them."""

from __future__ import annotations

from contextvars import ContextVar
from types import TracebackType
from typing import TypeVar


class CallBlock:
    """The base of context managers that concern the calls of one client and its copies.

    Args:
        open_blocks: contains this one while its block runs, so that calls outside of any block pay nothing. Blocks in
            several threads share it.
    """

    def __init__(self, open_blocks: set[CallBlock]) -> None:
        self._open_blocks = open_blocks
        self._was_opened = False

    @property
    def is_open(self) -> bool:
        """Whether the block runs. A task that was started in it may outlive it."""
        return self in self._open_blocks

    def open(self) -> None:
        """Start the block in the running task or thread."""
        if self._was_opened:
            raise RuntimeError(f"a {type(self).__name__} can be entered only once")
        self._was_opened = True
        _BLOCKS.set((*_BLOCKS.get(), self))
        self._open_blocks.add(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._open_blocks.discard(self)
        # Blocks of generators may end in any order, and in another context, which does not have them.
        if self in _BLOCKS.get():
            _BLOCKS.set(tuple([block for block in _BLOCKS.get() if block is not self]))


BlockT = TypeVar("BlockT", bound=CallBlock)

_BLOCKS: ContextVar[tuple[CallBlock, ...]] = ContextVar("amp_exp_async_blocks", default=())


def current_blocks(kind: type[BlockT], open_blocks: set[CallBlock]) -> tuple[BlockT, ...]:
    """Return the blocks of a kind, among those of a client, that the running code belongs to."""
    return tuple([block for block in _BLOCKS.get() if isinstance(block, kind) and block in open_blocks])
