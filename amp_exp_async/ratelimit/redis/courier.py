"""The courier between a client's ledger and Redis: it asks when it must, and sees to it when nobody answers."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import secrets
import time
from collections.abc import Callable
from contextlib import suppress

from amp_exp_async.ratelimit.config import RedisRateLimit

from . import siblings
from .line import PartLine
from .messages import FRESH, Accounts, Answer, Ask

_LOG = logging.getLogger("amp_exp_async")

_RETRY = 1.0  # seconds between attempts while Redis does not answer
_SETTLING = 1.5  # seconds after an outage: until the other processes are back too, and have told what they hold
_RENEW = 2.0  # seconds after which Redis is told that requests are still under way
_HURRY = 0.1  # seconds between questions where others wait for what they give back
_LEAST_MORE = 4  # permits to ask for when there are too few: others may be slow to give them
_MOST_CREDIT, _LEAST_CREDIT = 10, -5  # round trips


class Courier:
    """Brings a line its part. It runs in the event loop of the client's first call, and only while it has to.

    Attributes:
        line: the client's line.
        away: whether Redis does not answer.
    """

    def __init__(
        self, limit: RedisRateLimit, accounts: Accounts, name: str, wall_clock: Callable[[], float] = time.time
    ) -> None:
        """Make a courier that has not started yet.

        Args:
            limit: the limits, and what holds without Redis.
            accounts: where to ask.
            name: what the accounts are called.
            wall_clock: POSIX time in seconds.
        """
        self.line = PartLine(wall_clock, self._poke)
        self.away = False
        self._limit = limit
        self._accounts = accounts
        self._name = name
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._woken = asyncio.Event()
        self._closing = False
        self._process = 0
        self._client = ""
        self._number = 0
        self._asked_at = -math.inf
        self._ask_again_at = -math.inf
        self._settled_at = -math.inf
        self._interval = 0.0
        self._granted = 0  # when it last asked
        self._credit = 0  # permits granted, less questions asked, within bounds
        self._day = self._used = 0
        self._pause_until = self._day_pause_until = -math.inf  # what others do not know yet
        siblings.join(name, self)

    def tell_pause(self, now: float, seconds: float, *, daily: bool) -> None:
        """Let all processes pause."""
        if daily:
            self._day_pause_until = max(self._day_pause_until, now + seconds)
        else:
            self._pause_until = max(self._pause_until, now + seconds)
        self._poke()

    def close(self) -> None:
        """Give back what there is, soon, and end. From any thread; idempotent."""
        self._closing = True
        siblings.leave(self._name, self)
        if self._loop is not None:
            self._poke()

    async def wait_closed(self) -> None:
        """Wait until nothing is left."""
        if self._task is not None:
            await asyncio.wait([self._task])

    def _poke(self) -> None:
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:
            running = None
        loop = self._loop = self._loop or running
        if loop is None:
            return
        if loop is running:
            self._wake()
        else:
            with suppress(RuntimeError):  # it is closed
                loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        self._woken.set()
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        """Ask whenever it is time to."""
        loop = asyncio.get_running_loop()
        ended = False
        try:
            while not self._closing and (due := self._due(loop.time())) < math.inf:
                if due <= loop.time():
                    await self._exchange(loop)
                    continue
                self._woken.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(due):
                        await self._woken.wait()
            if self._closing and not self.away and self._number:
                await self._exchange(loop)
            ended = not self._closing
        finally:
            if not ended:
                await self._accounts.close()

    def _due(self, now: float) -> float:
        """When to ask next; never, where nobody waits for anything."""
        part = self.line.part
        if self.away:
            return self._ask_again_at
        if self._news(now) or (part.wanting and part.part > 0 and now >= part.fresh_until):
            return now
        if part.wanting:
            return max(now, self._ask_again_at)
        since = part.granted - self._granted
        due = math.inf
        if self._credit + since > 0:
            # Round trips that nobody waits for are made only where there have been fewer of them than requests.
            if since > 0:
                due = self._asked_at + self._interval
            elif part.part > 0 or part.counted > 0:
                due = self._asked_at + FRESH
        if part.busy(now):
            due = min(due, self._asked_at + _RENEW)
        return due

    def _news(self, now: float) -> bool:
        return max(self._pause_until, self._day_pause_until) > now

    async def _exchange(self, loop: asyncio.AbstractEventLoop) -> None:
        asked_at = loop.time()
        with self.line.lock:
            ask = self._compose(asked_at)
        try:
            answer = await self._accounts.exchange(ask)
        except Exception as error:  # noqa: BLE001 - whatever it is, requests go on
            self._lost(loop.time(), error, ask)
        else:
            self._heard(loop.time(), asked_at, answer, ask)

    def _compose(self, now: float) -> Ask:
        part, waiting = self.line.part, 0 if self._closing else self.line.waiting
        self._number += 1
        if self._process != os.getpid():
            self._process, self._client = os.getpid(), secrets.token_hex(8)
        since, self._granted = part.granted - self._granted, part.granted
        self._credit = min(_MOST_CREDIT, max(_LEAST_CREDIT, self._credit + since - 1))
        self._asked_at = now
        busy = part.busy(now)
        if not waiting and (self._closing or not busy):
            part.part = 0  # until the answer comes
        wanted = 0 if self._closing else waiting + 2 * max(0, since)
        owed, holding = max(0, -part.counted), min(max(0, part.counted), wanted)
        returned = max(0, part.counted) - holding
        part.counted = holding
        pause, day_pause = self._pause_until - now, self._day_pause_until - now
        if self.away:
            day_pause = max(day_pause, part.day_pause(now))
        return Ask(
            client=self._client,
            number=self._number,
            per_second=self._limit.per_second,
            per_day=self._limit.per_day or 0,
            demand=_demand(part.held, waiting),
            keep=max(part.part, busy),
            day=self._day,
            returned=returned,
            owed=owed,
            holding=holding,
            wanted=wanted - holding,
            seen=self._used if self.away else 0,
            pause=max(0, math.ceil(pause * 1000)) if pause > 0 else 0,
            day_pause=max(0, math.ceil(day_pause * 1000)) if day_pause > 0 else 0,
        )

    def _heard(self, now: float, asked_at: float, answer: Answer, ask: Ask) -> None:
        if self.away:
            self._settled_at = now + _SETTLING
            if siblings.set_away(self._name, self, away=False):
                _LOG.info("Redis at %s answers again: its processes share the rate limit", self._accounts.where)
        self._interval = answer.interval / 1000
        satisfied = answer.part >= ask.demand and answer.counted >= ask.wanted
        self._ask_again_at = asked_at + (0.0 if satisfied else self._interval)
        self._used = answer.used
        with self.line.lock:
            part = self.line.part
            if answer.part < ask.keep:  # others are to have some
                self._ask_again_at = min(self._ask_again_at, max(asked_at + _HURRY, part.less_busy_at(now)))
            part.part = answer.part if now >= self._settled_at else min(answer.part, self._fallback)
            part.fresh_until = asked_at + FRESH
            part.counted = answer.counted + (part.counted if answer.day == self._day else 0)
            part.free = part.wanting = False
            part.saw_used(answer.day, answer.used)
            self._day = answer.day
        if ask.pause and self._pause_until <= asked_at + ask.pause / 1000:
            self._pause_until = -math.inf
        if ask.day_pause and self._day_pause_until <= asked_at + ask.day_pause / 1000:
            self._day_pause_until = -math.inf
        if answer.pause:
            self.line.pause(now, answer.pause / 1000, daily=False)
        if answer.day_pause or answer.spent:
            self.line.pause(now, max(answer.day_pause, answer.spent) / 1000, daily=True)
        self.line.look_again(now)

    def _lost(self, now: float, error: Exception, ask: Ask) -> None:
        self._ask_again_at = max(now, self._asked_at + _RETRY)
        if not self.away and siblings.set_away(self._name, self, away=True):
            # The error's kind only: a text of somebody else's might hold anything.
            _LOG.warning(
                "Redis at %s does not answer (%s): this process goes on with %d requests a second until it does",
                self._accounts.where,
                type(error).__name__,
                self._limit.fallback_per_second,
            )
        with self.line.lock:
            part = self.line.part
            part.counted -= ask.owed
            part.part = self._fallback
            part.fresh_until, part.free, part.wanting = math.inf, True, False
        self.line.look_again(now)

    @property
    def _fallback(self) -> int:
        """This client's part of what its process may send without Redis."""
        return max(1, self._limit.fallback_per_second // siblings.how_many(self._name))


def _demand(held: int, waiting: int) -> int:
    """Permits to ask for: while somebody waits, so many more that it is soon enough; else a few to spare."""
    return held + (max(waiting, held, _LEAST_MORE) if waiting else math.ceil(held / 4))
