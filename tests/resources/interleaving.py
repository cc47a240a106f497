"""Several clients whose requests come one at a time, in an order that chance decides and that is the same each time."""

from __future__ import annotations

import asyncio
from random import Random

import aiohttp

_READ_TWICE = ["GET", "GET"]


class Turns:
    """Who may send its next request. The others wait; whoever has read twice goes on until it has written.

    That pair is the window which guarded edits leave open (docs/reliability.md); everything else is interleaved.

    Args:
        seed: decides the order.
        writers: who takes part.
    """

    def __init__(self, seed: object, writers: list[str]) -> None:
        self._chance = Random(repr(seed))
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self._sent: dict[str, list[str]] = {writer: [] for writer in writers}

    def begin(self, writer: str) -> None:
        """It begins an edit."""
        self._sent[writer] = []

    def leave(self, writer: str) -> None:
        """It is through, and the others need not wait for it."""
        del self._sent[writer]
        self._next()

    def of(self, writer: str) -> aiohttp.TraceConfig:
        """What keeps the requests of one client waiting."""
        config = aiohttp.TraceConfig()

        async def ask(_: object, __: object, request: aiohttp.TraceRequestStartParams) -> None:
            turn = self._waiting[writer] = asyncio.get_running_loop().create_future()
            self._next()
            await turn
            self._sent[writer].append(request.method)

        config.on_request_start.append(ask)
        return config

    def _next(self) -> None:
        """Let one go on, as soon as all have come as far as they can."""
        if self._waiting and self._waiting.keys() == self._sent.keys():
            between = [writer for writer, sent in self._sent.items() if sent == _READ_TWICE]
            self._waiting.pop(*between or [self._chance.choice(sorted(self._waiting))]).set_result(None)
