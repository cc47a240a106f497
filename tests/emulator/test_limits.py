"""The limits of requests, by a clock that the test moves."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amp_exp_async.emulator import Emulator, Fault
from amp_exp_async.emulator.limits import Limits

Api = Callable[..., Awaitable[Any]]


@pytest.fixture
async def emulator(clock: Any) -> AsyncIterator[Emulator]:
    async with Emulator(clock=clock, per_second=3, per_day=5, keys={"narrow-key": ["1"]}) as emulator:
        yield emulator


async def statuses(api: Api, count: int) -> list[int]:
    """The statuses of some requests."""
    return [(await api("GET", "/flags")).status for _ in range(count)]


async def test_the_window_of_one_second_slides(api: Api, emulator: Emulator, clock: Any) -> None:
    """Each request counts for exactly a second from its arrival; a refused one never."""
    assert await statuses(api, 2) == [200, 200]
    clock.move(0.5)
    assert await statuses(api, 3) == [200, 429, 429]
    clock.move(0.499_999)
    assert await statuses(api, 1) == [429]
    clock.move(0.000_001)
    assert await statuses(api, 2) == [200, 200]
    assert emulator.refused == 3
    assert emulator.peak_per_second == 3


async def test_the_reply_over_the_limit_of_a_second(api: Api, emulator: Emulator) -> None:
    """429 says which limit, and to come again after a second."""
    await statuses(api, 3)
    answer = await api("POST", "/flags", {"projectId": "1", "key": "x"})
    assert (answer.status, answer.headers["Retry-After"]) == (429, "1")
    assert answer.body == {"error": "Too many requests: the limit is 3 a second"}
    assert emulator.state.flags == []
    assert emulator.requests[-1].status == 429
    assert emulator.requests[-1].body == {"projectId": "1", "key": "x"}


async def test_the_day_ends_at_midnight_utc(api: Api, clock: Any) -> None:
    """429 says how many seconds are left of the day; the next day begins at nothing."""
    clock.now = datetime(2026, 3, 1, 23, 59, 50, 500_000, tzinfo=UTC)
    for _ in range(5):
        assert await statuses(api, 1) == [200]
        clock.move(1)
    answer = await api("GET", "/flags")
    assert (answer.status, answer.headers["Retry-After"]) == (429, "5")
    assert "5 a day" in answer.body["error"]
    clock.move(4.5)
    assert await statuses(api, 1) == [200]


async def test_every_answer_but_429_counts(api: Api) -> None:
    """Requests that are refused for other reasons count too."""
    assert (await api("GET", "/flags", key="wrong")).status == 401
    assert (await api("GET", "/flags?projectId=2", key="narrow-key")).status == 403
    assert (await api("GET", "/flags?limit=0")).status == 400
    assert await statuses(api, 1) == [429]


async def test_a_request_over_the_limit_uses_no_fault_up(api: Api, emulator: Emulator, clock: Any) -> None:
    """A fault waits for the first request that is let in."""
    await statuses(api, 3)
    emulator.fail(Fault.status(503))
    assert await statuses(api, 1) == [429]
    clock.move(1)
    assert await statuses(api, 2) == [503, 200]


async def test_reset_forgets_what_was_counted(api: Api, emulator: Emulator) -> None:
    """After a reset, log, counts and faults are empty, and the state is as it was."""
    emulator.state.add_flag()
    assert await statuses(api, 4) == [200, 200, 200, 429]
    emulator.fail(Fault.status(503))
    emulator.reset()
    assert (emulator.requests, emulator.refused, emulator.peak_per_second) == ([], 0, 0)
    assert await statuses(api, 1) == [200]
    assert len(emulator.state.flags) == 1


async def test_the_clock_may_be_set_at_any_time(api: Api, emulator: Emulator) -> None:
    """A new clock holds for timestamps and for limits."""
    await statuses(api, 3)
    emulator.clock = lambda: datetime(2030, 1, 1, tzinfo=UTC)
    assert await statuses(api, 1) == [200]
    assert emulator.requests[-1].received == datetime(2030, 1, 1, tzinfo=UTC)
    assert emulator.state.add_flag()["createdAt"] == "2030-01-01T00:00:00.000Z"


@given(
    st.lists(st.integers(0, 1500), max_size=60),
    st.integers(1, 5),
)
def test_no_window_holds_more_than_the_limit(gaps: list[int], limit: int) -> None:
    """However requests arrive, no second has more than the limit, and none is refused without need."""
    limits = Limits(limit, None)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    counted: list[datetime] = []
    for gap in gaps:
        now += timedelta(milliseconds=gap)
        recent = [moment for moment in counted if moment > now - timedelta(seconds=1)]
        excess = limits.arrive(now)
        assert (excess is not None) == (len(recent) >= limit)
        if excess is None:
            counted.append(now)
    assert limits.peak <= limit


def test_a_clock_that_is_set_back() -> None:
    """Moments ahead of the clock do not count, so requests are let in again."""
    limits = Limits(1, None)
    now = datetime(2026, 1, 2, tzinfo=UTC)
    assert limits.arrive(now) is None
    assert limits.arrive(now) is not None
    assert limits.arrive(now - timedelta(hours=1)) is None


def test_without_limits() -> None:
    """None stands for no limit, while the peak is still measured."""
    limits = Limits(None, None)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert [limits.arrive(now) for _ in range(500)] == [None] * 500
    assert limits.peak == 500
