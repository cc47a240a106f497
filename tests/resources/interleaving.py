"""Requests of several clients, interleaved in a random order that a seed reproduces."""

from __future__ import annotations

import asyncio
from random import Random

import aiohttp

_READ_TWICE = ["GET", "GET"]


class Interleaving:
    """A scheduler that lets one client at a time send its next request, chosen at random.

    A client that has read twice continues until it has written: between these requests, guarded edits do not protect
    others' changes (docs/reliability.md).

    Args:
        seed: determines the order.
        writers: the names of the clients.
    """

    def __init__(self, seed: object, writers: list[str]) -> None:
        self._chance = Random(repr(seed))
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self._sent: dict[str, list[str]] = {writer: [] for writer in writers}

    def start_edit(self, writer: str) -> None:
        """Start an edit of a writer."""
        self._sent[writer] = []

    def finish(self, writer: str) -> None:
        """Stop waiting for a writer."""
        del self._sent[writer]
        self._release_next()

    def trace_config(self, writer: str) -> aiohttp.TraceConfig:
        """Return the tracing that delays the requests of a writer's client."""
        config = aiohttp.TraceConfig()

        async def wait_for_turn(_: object, __: object, request: aiohttp.TraceRequestStartParams) -> None:
            turn = self._waiting[writer] = asyncio.get_running_loop().create_future()
            self._release_next()
            await turn
            self._sent[writer].append(request.method)

        config.on_request_start.append(wait_for_turn)
        return config

    def _release_next(self) -> None:
        """Release one request, once every writer waits."""
        if self._waiting and self._waiting.keys() == self._sent.keys():
            about_to_write = [writer for writer, sent in self._sent.items() if sent == _READ_TWICE]
            self._waiting.pop(*about_to_write or [self._chance.choice(sorted(self._waiting))]).set_result(None)
