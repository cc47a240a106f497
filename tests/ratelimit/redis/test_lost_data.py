"""Redis loses leases or its clock is set while many clients are busy, in virtual time and with the real script."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator

import pytest
from attrs import define, field
from redis import Redis

from amp_exp_async import RedisRateLimit
from amp_exp_async.ratelimit.redis.lease_protocol import LeaseStoreError
from amp_exp_async.ratelimit.redis.limiter import RedisRateLimiter
from tests.crossing import cross, slow
from tests.ratelimit.redis.moved_clock import EarlierStore, MovedClockStore
from tests.ratelimit.simulated_network import Network, StrictWindow, count_within, max_per_second, uniform
from tests.virtual_time import now, run

pytestmark = pytest.mark.usefixtures("settling")

LIMIT = 100
FALLBACK = 4  # requests a second of each process; all of them together send less than the limit
HOUR = 3600.0
DAY = 86_400.0
NOON = 1_800_014_400.0


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    """A connection to an empty database that no other test of this worker uses."""
    with Redis.from_url(redis_url, db=5) as client:
        client.flushdb()
        yield client


@define
class Fleet:
    """Clients in several processes that share a limit, a service with a strict window, and a Redis with a clock.

    Attributes:
        redis: the connection to Redis.
        offset: the seconds by which the clock of Redis is ahead.
        latency: the seconds of each way to Redis and back.
        available: whether Redis responds.
        rejected: when the service rejected requests.
    """

    redis: Redis
    seed: int = 1
    offset: float = 0.0
    latency: float = 0.001
    available: bool = True
    window: StrictWindow = field(factory=lambda: StrictWindow(LIMIT))
    arrivals: list[float] = field(factory=list[float])
    rejected: list[float] = field(factory=list[float])
    limiters: list[RedisRateLimiter] = field(factory=list[RedisRateLimiter])
    _workers: list[asyncio.Task[None]] = field(factory=list[asyncio.Task[None]])

    def start(
        self, concurrency: int, pause: float = 0.0, store_class: type[MovedClockStore] = MovedClockStore
    ) -> list[float]:
        """Start a client that sends as many requests as it may, or one after each pause; return when they arrive."""
        clock, latency = lambda: NOON + now() + self.offset, self._latency
        store = store_class(self.redis, "fleet", clock, latency)
        limit = RedisRateLimit("redis://unused", fallback_per_second=FALLBACK)
        limiter = RedisRateLimiter(limit, store, f"fleet-{len(self.limiters)}", self._wall)
        self.limiters.append(limiter)
        network = Network(*(uniform(random.Random(self.seed + way), 0.01, 0.04) for way in range(2)))
        self._workers += [asyncio.create_task(self._send(limiter, network, pause)) for _ in range(concurrency)]
        return network.arrivals

    def _latency(self) -> float:
        if not self.available:
            raise LeaseStoreError("no response")
        return self.latency

    def _wall(self) -> float:
        return NOON + now()

    async def _send(self, limiter: RedisRateLimiter, network: Network, pause: float) -> None:
        while True:
            await limiter.acquire(None)
            sent_at = now()
            await asyncio.sleep(network.to_service())
            self.arrivals.append(now())
            network.arrivals.append(now())
            accepted = self.window.accept()
            if not accepted:
                self.rejected.append(now())
            await asyncio.sleep(network.to_client())
            limiter.release(sent_at, reached=True, answered=True, throttled=not accepted)
            await asyncio.sleep(pause)

    async def stop(self) -> None:
        """Stop all clients."""
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        for limiter in self.limiters:
            limiter.close()
            await limiter.wait_closed()

    def share(self, since: float, until: float) -> float:
        """Return the share of the limit that was used between two times."""
        return count_within(self.arrivals, since, until) / (until - since) / LIMIT


Event = Callable[[Fleet], Awaitable[None]]


async def flush(fleet: Fleet) -> None:
    """Empty Redis five times."""
    rng = random.Random(fleet.seed)
    for _ in range(5):
        fleet.redis.flushdb()
        await asyncio.sleep(rng.uniform(0.3, 2.7))


async def flush_in_a_row(fleet: Fleet) -> None:
    """Empty Redis again before the leases are known."""
    for _ in range(20):
        fleet.redis.flushdb()
        await asyncio.sleep(0.25)


async def lose_the_leases(fleet: Fleet) -> None:
    """Lose one of the two keys, as a server does that evicts keys."""
    for _ in range(3):
        fleet.redis.delete("{fleet}:parts")
        await asyncio.sleep(0.9)


async def lose_the_account(fleet: Fleet) -> None:
    """Lose the other key."""
    for _ in range(3):
        fleet.redis.delete("{fleet}:account")
        await asyncio.sleep(0.9)


async def restore_a_snapshot(fleet: Fleet) -> None:
    """Restart with the data of some seconds ago."""
    keys = ["{fleet}:parts", "{fleet}:account"]
    snapshot = [fleet.redis.dump(key) for key in keys]
    await asyncio.sleep(3.0)
    for key, value in zip(keys, snapshot, strict=True):
        assert value is not None
        fleet.redis.restore(key, 0, value, replace=True)


def move_clock(*offsets: float) -> Event:
    """Return an event that sets the clock ahead by each of the seconds in turn."""

    async def move(fleet: Fleet) -> None:
        for offset in offsets:
            fleet.offset = offset
            await asyncio.sleep(0.7)

    move.__name__ = f"clock {offsets}"
    return move


def be_unavailable(seconds: float, *, lose: bool) -> Event:
    """Return an event in which Redis does not respond for some seconds, and comes back with or without its data."""

    async def be_away(fleet: Fleet) -> None:
        fleet.available = False
        await asyncio.sleep(seconds)
        if lose:
            fleet.redis.flushdb()
        fleet.available = True
        if not lose:
            await asyncio.sleep(1.5)  # until all clients have noticed it: Redis cannot know of them before

    be_away.__name__ = f"unavailable {seconds} {lose}"
    return be_away


EVENTS = [
    be_unavailable(0.05, lose=True),
    be_unavailable(0.8, lose=True),
    be_unavailable(6.0, lose=False),
    be_unavailable(6.0, lose=True),
    flush,
    flush_in_a_row,
    lose_the_leases,
    lose_the_account,
    restore_a_snapshot,
    move_clock(HOUR),
    move_clock(DAY),
    move_clock(3 * DAY, 0.0),
    move_clock(10.0, 0.0),
    move_clock(2.5, 0.0, 2.5, 0.0),
    move_clock(-10.0),
    move_clock(-DAY, DAY, -HOUR),
]


async def start_fleet(redis: Redis, busy: int, occasional: int, seed: int = 1) -> Fleet:
    """Start clients, and wait until they use the whole limit."""
    fleet = Fleet(redis, seed)
    for _ in range(busy):
        fleet.start(concurrency=2 * LIMIT // busy)
    for client in range(occasional):
        fleet.start(concurrency=1, pause=0.2 + 0.1 * client)
    await asyncio.sleep(5.0)
    return fleet


FLEETS = {"few": (3, 0), "many": (20, 0), "few, and others that send rarely": (3, 10)}
"""The numbers of clients that are busy and that send rarely."""


@pytest.mark.parametrize(("event", "clients"), cross(EVENTS, FLEETS))
def test_the_limit_holds(event: Event, clients: tuple[int, int], redis: Redis) -> None:
    """The service rejects nothing, and the clients use most of the limit again three seconds later."""

    async def scenario() -> Fleet:
        fleet = await start_fleet(redis, *clients)
        await event(fleet)
        fleet.start(concurrency=40)  # a new process, which has no lease
        await asyncio.sleep(3.0)
        recovered_at = now()
        await asyncio.sleep(4.0)
        assert fleet.share(recovered_at, now()) >= 0.6
        await fleet.stop()
        return fleet

    fleet = run(scenario())
    assert fleet.rejected == []
    assert max_per_second(fleet.arrivals) <= LIMIT


@pytest.mark.parametrize("seed", [0, *slow([(1,), (2,)])])
def test_the_limit_holds_through_many_faults(seed: int, redis: Redis) -> None:
    """The service rejects nothing while one fault follows the other at any moment."""

    async def scenario() -> Fleet:
        rng = random.Random(seed)
        fleet = await start_fleet(redis, busy=5, occasional=5, seed=seed)
        for _ in range(8):
            await rng.choice(EVENTS)(fleet)
            await asyncio.sleep(rng.uniform(0.0, 5.0))
        await fleet.stop()
        return fleet

    fleet = run(scenario())
    assert fleet.rejected == []
    assert max_per_second(fleet.arrivals) <= LIMIT


def test_an_epoch_goes_on_while_nothing_is_lost(redis: Redis) -> None:
    """Neither clients that start, stop or are idle nor slow responses of Redis are taken for lost leases."""

    async def scenario() -> None:
        fleet = await start_fleet(redis, busy=3, occasional=10)
        epoch = redis.hget("{fleet}:account", "epoch")
        for _ in range(10):
            fleet.start(concurrency=1, pause=0.7)
            await asyncio.sleep(1.0)
        fleet.latency = 0.24
        await asyncio.sleep(5.0)
        await fleet.stop()
        await asyncio.sleep(5.0)
        fleet.start(concurrency=5)
        await asyncio.sleep(3.0)
        await fleet.stop()
        assert redis.hget("{fleet}:account", "epoch") == epoch

    run(scenario())


def test_processes_of_an_earlier_version(redis: Redis) -> None:
    """While processes are upgraded one by one, old and new ones share the limit."""

    async def scenario() -> tuple[Fleet, list[list[float]]]:
        fleet = Fleet(redis)
        arrivals = [fleet.start(concurrency=60, store_class=EarlierStore) for _ in range(2)]
        await asyncio.sleep(3.0)
        arrivals += [fleet.start(concurrency=60) for _ in range(2)]
        await asyncio.sleep(20.0)
        await fleet.stop()
        return fleet, arrivals

    fleet, arrivals = run(scenario())
    assert fleet.rejected == []
    assert [count_within(times, 10.0, 20.0) >= 150 for times in arrivals] == [True] * 4


def test_an_empty_redis_gives_no_permits_at_first(settling: float, redis: Redis) -> None:
    """The first request waits until clients that are not known yet would have reported; later ones do not wait."""

    async def scenario() -> Fleet:
        fleet = Fleet(redis)
        fleet.start(concurrency=1)
        await asyncio.sleep(10.0)
        await fleet.stop()
        fleet.start(concurrency=1)
        await asyncio.sleep(0.1)
        await fleet.stop()
        return fleet

    fleet = run(scenario())
    assert settling <= fleet.arrivals[0] <= settling + 0.1
    assert fleet.arrivals[-1] > 10.0
