"""Blocks of code whose calls share a deadline."""

from __future__ import annotations

import time
from types import TracebackType

from .call_blocks import CallBlock, current_blocks


class BlockDeadline(CallBlock):
    """A context manager whose calls end by the same time.

    Args:
        seconds: the seconds from the start of the block.
        open_blocks: contains this one while its block runs.
    """

    def __init__(self, seconds: float, open_blocks: set[CallBlock]) -> None:
        super().__init__(open_blocks)
        self.seconds = seconds
        self._ends_at = 0.0

    @property
    def seconds_left(self) -> float:
        """The seconds until the deadline; negative after it."""
        return self._ends_at - time.monotonic()

    def __enter__(self) -> None:
        self.open()
        self._ends_at = time.monotonic() + self.seconds

    async def __aenter__(self) -> None:
        self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)


def earliest_deadline(open_blocks: set[CallBlock]) -> BlockDeadline | None:
    """Return the block with the earliest deadline that the running code belongs to; None outside of any."""
    return min(current_blocks(BlockDeadline, open_blocks), key=lambda block: block.seconds_left, default=None)
