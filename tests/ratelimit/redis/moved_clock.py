"""The script of the leases with a clock that a test sets: a server's clock cannot be set without privileges."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path

from redis import Redis

from amp_exp_async.ratelimit.redis import store
from amp_exp_async.ratelimit.redis.lease_protocol import LeaseRequest, LeaseResponse, parse_response
from amp_exp_async.ratelimit.redis.store import _SCRIPT

OFFSET = "test:clock-offset"
"""The name in Redis of the seconds by which the clock is ahead, for `set_clock` and processes that move their clock."""

_OFFSET_CLOCK = """
local server = redis
local redis = {}
function redis.call(command, ...)
    local result = server.call(command, ...)
    if command == 'TIME' then
        result[1] = string.format('%.0f', result[1] + tonumber(server.call('GET', 'test:clock-offset') or 0))
    end
    return result
end
"""

# The last argument of the script replaces the time of the server, and keys expire by that time.
_GIVEN_CLOCK = """
local server, time = redis, tonumber(table.remove(ARGV))
local redis = {}
function redis.call(command, key, ...)
    if command == 'TIME' then
        return {string.format('%.0f', math.floor(time / 1000)), string.format('%.0f', time % 1000 * 1000)}
    elseif command == 'PEXPIRE' then
        return server.call('HSET', 'test:expiry-times', key, string.format('%.0f', time + (...)))
    elseif command == 'PEXPIREAT' then
        return server.call('HSET', 'test:expiry-times', key, (...))
    elseif key then
        return server.call(command, key, ...)
    end
end
for _, key in ipairs(KEYS) do
    if tonumber(server.call('HGET', 'test:expiry-times', key) or 1e15) <= time then
        server.call('DEL', key)
        server.call('HDEL', 'test:expiry-times', key)
    end
end
"""


class MovedClockStore:
    """A `LeaseStore` that runs the script at a time of the test.

    Attributes:
        location: the place, for messages.
    """

    location = "moved-clock:1"
    script = _SCRIPT

    def __init__(self, redis: Redis, name: str, clock: Callable[[], float], latency: Callable[[], float]) -> None:
        """Create a store.

        Args:
            redis: the connection, which several stores may share.
            name: the prefix of the names in Redis.
            clock: returns POSIX time in seconds, as the server sees it.
            latency: returns the seconds of the next way to the server or back.
        """
        self._script = redis.register_script(_GIVEN_CLOCK + self.script)
        self._keys = [f"{{{name}}}:parts", f"{{{name}}}:account"]
        self._clock = clock
        self._latency = latency

    async def refresh(self, request: LeaseRequest) -> LeaseResponse:
        """Refresh a lease."""
        await asyncio.sleep(self._latency())
        response = self._run(request, round(self._clock() * 1000))
        await asyncio.sleep(self._latency())
        return response

    def _run(self, request: LeaseRequest, time: int) -> LeaseResponse:
        return parse_response(self._script(self._keys, [*request.to_args(), time]), request)

    async def close(self) -> None:
        """Do nothing: the test closes the connection."""


class EarlierStore(MovedClockStore):
    """The same with the script of version 0.1.0, which knows no epochs."""

    script = Path(__file__).with_name("lease_0_1_0.lua").read_text(encoding="utf-8")

    def _run(self, request: LeaseRequest, time: int) -> LeaseResponse:
        args = request.to_args()
        del args[6], args[2:5]  # the settling time, and what tells that leases are lost
        capacity, interval, *others = self._script(self._keys, [*args, time])
        return parse_response([capacity, interval, 1, *others], request)


def script_with_offset() -> dict[str, str]:
    """Return the attributes of the module `store` for a script whose clock `set_clock` sets."""
    script = _OFFSET_CLOCK + _SCRIPT
    return {"_SCRIPT": script, "_SCRIPT_SHA": hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()}


def use_clock_with_offset() -> None:
    """Let all clients of this process use that script."""
    for name, value in script_with_offset().items():
        setattr(store, name, value)


def set_clock(redis: Redis, offset: int) -> None:
    """Set the clock ahead by some seconds. As by a real clock, the leases expire if that is more than four."""
    redis.set(OFFSET, offset)
    if offset > 4 and (leases := redis.keys("*:parts")):
        redis.delete(*leases)
