"""The script of the leases: epochs, pauses, the requests of the day, and data that other versions have stored."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from attrs import define, evolve, field
from redis import Redis

from amp_exp_async.ratelimit.redis.lease_protocol import LeaseRequest, LeaseResponse
from tests.ratelimit.redis.moved_clock import MovedClockStore

NOON = 1_800_014_400
DAY = 86_400
TODAY = NOON // DAY
LEASES, ACCOUNT = "{script}:parts", "{script}:account"


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    """A connection to an empty database."""
    with Redis.from_url(redis_url, db=6, decode_responses=True) as client:
        client.flushdb()
        yield client


@define
class Script:
    """The script at a time that the test sets, in seconds, and clients that report by it."""

    redis: Redis
    now: float = NOON
    _responses: dict[str, tuple[float, LeaseRequest, LeaseResponse]] = field(factory=dict[str, Any])

    async def refresh(self, client: str, *, real: float | None = None, **report: Any) -> LeaseResponse:
        """Refresh the lease of a client, which believes that it is the time `real`."""
        real = self.now if real is None else real
        sent_at, last, response = self._responses.get(client, (0.0, None, None))
        kept = last and response and (last.has or last.wants or last.unused or response.capacity or response.reserved)
        known = kept and real - sent_at <= 3.0
        request = LeaseRequest(
            client=client,
            sequence=last.sequence + 1 if last else 1,
            acknowledged=last.sequence if known and last else 0,
            elapsed=round((real - sent_at) * 1000) if known else 0,
            epoch=response.epoch if response else 0,
            lease_expiry=4000,
            settling_time=2000,
            per_second=100,
            per_day=1000,
            wants=report.pop("wants", 0),
            has=report.pop("has", 0),
            day=TODAY,
            released=0,
            debt=0,
            unused=0,
            reserve=0,
            min_used=response.used if response else 0,
            pause=0,
            day_pause=0,
        )
        request = evolve(request, **report)
        response = await MovedClockStore(self.redis, "script", lambda: self.now, lambda: 0.0).refresh(request)
        self._responses[client] = real, request, response
        return response


@pytest.fixture
async def script(redis: Redis) -> Script:
    """The script two seconds after the first client has reported, when it knows all leases."""
    script = Script(redis)
    await script.refresh("first")
    script.now += 2.0
    return script


async def test_an_epoch_starts_with_the_data(redis: Redis) -> None:
    """For two seconds, clients get no more than they have; they hear when to ask again."""
    script = Script(redis)
    first = await script.refresh("a", wants=60, has=50)
    second = await script.refresh("b", wants=10)
    assert (first.capacity, second.capacity, second.interval) == (50, 0, 2000)
    script.now += 1.999
    assert (await script.refresh("c", wants=1)).capacity == 0
    script.now += 0.001
    assert (await script.refresh("b", wants=10)).capacity == 10
    assert first.epoch == second.epoch == NOON * 1000


@pytest.mark.parametrize(
    "lost", [(LEASES, ACCOUNT), (LEASES,), (ACCOUNT,)], ids=["both keys", "the leases", "the account"]
)
async def test_an_epoch_starts_when_data_are_lost(lost: tuple[str, ...], script: Script, redis: Redis) -> None:
    """A client whose lease no longer exists shows that those of others are lost too."""
    assert (await script.refresh("a", wants=40)).capacity == 40
    redis.delete(*lost)
    script.now += 0.1
    kept = await script.refresh("a", wants=60, has=40)
    assert (kept.capacity, kept.epoch) == (40, round(script.now * 1000))


@pytest.mark.parametrize("is_deleted", [True, False], ids=["deleted", "damaged"])
async def test_an_epoch_starts_when_the_lease_of_another_client_is_lost(
    is_deleted: bool, script: Script, redis: Redis
) -> None:
    """A client that reports before it must not get its permits. Later, all is as before."""
    await script.refresh("a", wants=40)
    assert (await script.refresh("b", wants=60)).capacity == 60
    if is_deleted:
        redis.hdel(LEASES, "a")
    else:
        redis.hset(LEASES, "a", "x y")
    script.now += 0.1
    lost = await script.refresh("b", wants=100, has=60)
    assert (lost.capacity, lost.epoch) == (60, round(script.now * 1000))
    assert (await script.refresh("new", wants=10)).capacity == 0
    assert (await script.refresh("a", wants=40, has=40)).capacity == 40
    script.now += 2.0
    goes_on = await script.refresh("b", wants=50, has=60)
    assert (goes_on.capacity, goes_on.epoch) == (50, (await script.refresh("a", has=40, wants=40)).epoch)


@pytest.mark.parametrize("jump", [1.1, 2.5, 10.0, 3600.0, DAY, 3 * DAY, -1.1, -10.0, -3600.0, -2 * DAY])
async def test_an_epoch_starts_when_the_clock_is_set(jump: float, script: Script) -> None:
    """The time that has passed for a client is not the time that has passed for Redis."""
    await script.refresh("a", wants=40)
    script.now += 0.5 + jump
    kept = await script.refresh("a", real=script.now - jump, wants=60, has=40)
    assert (kept.capacity, kept.epoch) == (40, round(script.now * 1000))


@pytest.mark.parametrize("drift", [-0.9, 0.0, 0.9])
async def test_an_epoch_goes_on_through_drift_and_delay(drift: float, script: Script) -> None:
    """A request that takes nearly a second, or a clock that is adjusted by less, is not a lost lease."""
    before = await script.refresh("a", wants=40)
    script.now += 1.0 + drift
    after = await script.refresh("a", real=script.now - drift, wants=60, has=40)
    assert (after.capacity, after.epoch) == (60, before.epoch)


async def test_an_epoch_goes_on_after_silence(script: Script) -> None:
    """A client whose lease has expired, a new one and one that gave everything up find what is free."""
    epoch = (await script.refresh("a", wants=40)).epoch
    script.now += 5.0
    assert (await script.refresh("b", wants=70)).capacity == 70
    assert (await script.refresh("a", wants=40)).capacity == 30
    script.now += 0.1
    await script.refresh("b")
    script.now += 0.1
    last = await script.refresh("b", wants=10)
    assert (last.capacity, last.epoch) == (10, epoch)


async def test_permits_of_a_silent_client_after_the_clock_was_ahead(script: Script) -> None:
    """They are given to others four seconds after the clock was set back."""
    await script.refresh("a", wants=10)
    script.now += 3600.0
    await script.refresh("silent", wants=90, has=90)
    script.now -= 3600.0
    assert (await script.refresh("a", wants=100, has=10)).capacity == 10
    script.now += 3.9
    assert (await script.refresh("a", wants=100, has=10)).capacity == 10
    script.now += 0.2
    assert (await script.refresh("a", wants=100, has=10)).capacity == 100


@pytest.mark.parametrize("pause", ["pause", "day_pause"])
async def test_a_pause_ends_in_time(pause: str, script: Script) -> None:
    """All clients hear of it. A shorter one changes nothing, and a longer one extends it."""
    await script.refresh("a", **{pause: 3000})
    script.now += 1.0
    assert getattr(await script.refresh("b", **{pause: 1000}), pause) == 2000
    assert getattr(await script.refresh("b", **{pause: 5000}), pause) == 5000
    script.now += 5.0
    assert getattr(await script.refresh("c"), pause) == 0


@pytest.mark.parametrize("pause", ["pause", "day_pause"])
@pytest.mark.parametrize("ahead", [10.0, 3600.0, DAY])
async def test_a_pause_that_began_in_the_future(ahead: float, pause: str, script: Script) -> None:
    """It was stored while the clock was ahead, and is over when the clock is back."""
    script.now += ahead
    await script.refresh("a", **{pause: 1000})
    script.now -= ahead
    assert getattr(await script.refresh("b"), pause) == 0
    await script.refresh("a", **{pause: 700})
    assert getattr(await script.refresh("b"), pause) == 700


@pytest.mark.parametrize("pause", ["pause", "day_pause"])
async def test_a_pause_ends_with_the_day(pause: str, script: Script, redis: Redis) -> None:
    """This holds for one that is reported, and for one that is stored."""
    to_midnight = (TODAY + 1) * DAY - script.now
    assert getattr(await script.refresh("a", **{pause: DAY * 1000}), pause) == to_midnight * 1000
    name = "second_pause" if pause == "pause" else "daily_pause"
    redis.hset(ACCOUNT, name, f"{NOON * 1000} {10**14}")
    assert getattr(await script.refresh("a"), pause) == to_midnight * 1000
    script.now += to_midnight
    assert getattr(await script.refresh("a"), pause) == 0


async def test_the_requests_of_the_day_survive_lost_data(script: Script, redis: Redis) -> None:
    """Each client reports what it knows of, once for each epoch."""
    await script.refresh("a", reserve=300)
    await script.refresh("b", reserve=100)
    redis.flushdb()
    script.now += 0.1
    assert (await script.refresh("a")).used == 300
    assert (await script.refresh("b")).used == 400
    assert (await script.refresh("a")).used == 400
    assert (await script.refresh("b", released=50)).used == 350
    assert (await script.refresh("a")).used == 350


async def test_the_requests_of_the_day_survive_a_clock_that_was_a_day_ahead(script: Script) -> None:
    """The next day begins without requests, and the day before it has its own again."""
    await script.refresh("a", reserve=300)
    script.now += DAY
    assert (await script.refresh("b", reserve=5, day=TODAY + 1)).used == 5
    script.now -= DAY
    assert (await script.refresh("c", reserve=7)).used == 307


async def test_leases_of_an_earlier_version_count(script: Script, redis: Redis) -> None:
    """They keep their permits, and reports of this version have the form that an earlier one reads."""
    redis.hset(LEASES, "old", f"30 30 0 100 7 {script.now * 1000 + 3000:.0f}")
    assert (await script.refresh("a", wants=100)).capacity == 70
    entry = redis.hget(LEASES, "a")
    assert entry == f"70 100 0 100 1 {script.now * 1000 + 4000:.0f}"
    assert redis.hmget(ACCOUNT, "day", "used") == [str(TODAY), "0"]


async def test_data_of_an_earlier_version_alone(redis: Redis) -> None:
    """Without an epoch, clients get no more than they have at first; the requests of the day go on."""
    redis.hset(ACCOUNT, mapping={"day": TODAY, "used": 123, "pause": NOON * 2000, "day_pause": 10**15})
    response = await Script(redis).refresh("a", wants=5, reserve=1)
    assert (response.capacity, response.used, response.pause, response.day_pause) == (0, 124, 0, 0)


async def test_a_lease_with_absurd_numbers(script: Script, redis: Redis) -> None:
    """It keeps others from getting permits for as long as any lease, and no longer."""
    for client in "ab":
        redis.hset(LEASES, client, " ".join(["9" * 300] * 6))
    assert (await script.refresh("c", wants=5)).capacity == 0
    script.now += 4.1
    assert (await script.refresh("c", wants=5)).capacity == 5
    assert (await script.refresh("a", wants=5)).capacity == 5


@pytest.mark.parametrize(
    "text", ["", "x", "-1", "1.5", "1e9", "9" * 16, f"1 {'9' * 16}", "1 ", " 1 2", "1 2 x", "1 2 3 4 5 6 7", "nan"]
)
async def test_damaged_data(text: str, script: Script, redis: Redis) -> None:
    """What has another form than this version writes is ignored, unless it was a lease, and the rest goes on."""
    for name in ("second_pause", "daily_pause", "previous", "used"):
        redis.hset(ACCOUNT, name, text)
    response = await script.refresh("a", wants=5)
    assert (response.capacity, response.used, response.pause, response.day_pause) == (5, 0, 0, 0)
    redis.hset(ACCOUNT, "leases", text)
    redis.hset(LEASES, "damaged", text)
    assert (await script.refresh("a", wants=10, has=5)).capacity == 5
    assert redis.hkeys(LEASES) == ["a"]
    script.now += 2.0
    assert (await script.refresh("a", wants=10, has=5)).capacity == 10
    redis.hset(ACCOUNT, mapping={"epoch": text, "seen": text, "day": text})
    assert (await script.refresh("a", wants=10, has=5)).capacity == 5
