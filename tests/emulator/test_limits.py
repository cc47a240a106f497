"""The limits of requests, by a clock that the test moves."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amp_exp_async.emulator import Emulator, Fault
from amp_exp_async.emulator.limits import Limits, Window

Api = Callable[..., Awaitable[Any]]


@pytest.fixture
async def emulator(clock: Any) -> AsyncIterator[Emulator]:
    async with Emulator(clock=clock, per_second=3, per_day=5, keys={"narrow-key": ["1"]}) as emulator:
        yield emulator


async def statuses(api: Api, count: int) -> list[int]:
    """Return the statuses of some requests."""
    return [(await api("GET", "/flags")).status for _ in range(count)]


async def test_sliding_window(api: Api, emulator: Emulator, clock: Any) -> None:
    """Each request counts for exactly one second from its arrival; a rejected one never counts."""
    assert await statuses(api, 2) == [200, 200]
    clock.move(0.5)
    assert await statuses(api, 3) == [200, 429, 429]
    clock.move(0.499_999)
    assert await statuses(api, 1) == [429]
    clock.move(0.000_001)
    assert await statuses(api, 2) == [200, 200]
    assert emulator.refused == 3
    assert emulator.peak_per_second == 3


async def test_response_over_the_limit_per_second(api: Api, emulator: Emulator) -> None:
    """The response names the limit, and `Retry-After` is one second."""
    await statuses(api, 3)
    response = await api("POST", "/flags", {"projectId": "1", "key": "x"})
    assert (response.status, response.headers["Retry-After"]) == (429, "1")
    assert response.body == {"error": "Too many requests: the limit is 3 a second"}
    assert emulator.state.flags == []
    assert emulator.requests[-1].status == 429
    assert emulator.requests[-1].body == {"projectId": "1", "key": "x"}


async def test_the_day_ends_at_midnight_utc(api: Api, clock: Any) -> None:
    """`Retry-After` is the rest of the UTC day, after which the count restarts."""
    clock.now = datetime(2026, 3, 1, 23, 59, 50, 500_000, tzinfo=UTC)
    for _ in range(5):
        assert await statuses(api, 1) == [200]
        clock.move(1)
    response = await api("GET", "/flags")
    assert (response.status, response.headers["Retry-After"]) == (429, "5")
    assert "5 a day" in response.body["error"]
    clock.move(4.5)
    assert await statuses(api, 1) == [200]


async def test_every_response_but_429_counts(api: Api) -> None:
    """Requests that are rejected for other reasons count too."""
    assert (await api("GET", "/flags", key="wrong")).status == 401
    assert (await api("GET", "/flags?projectId=2", key="narrow-key")).status == 403
    assert (await api("GET", "/flags?limit=0")).status == 400
    assert await statuses(api, 1) == [429]


async def test_a_request_over_the_limit_gets_no_fault(api: Api, emulator: Emulator, clock: Any) -> None:
    """A fault is injected into the first request within the limits."""
    await statuses(api, 3)
    emulator.inject(Fault.status(503))
    assert await statuses(api, 1) == [429]
    clock.move(1)
    assert await statuses(api, 2) == [503, 200]


async def test_reset(api: Api, emulator: Emulator) -> None:
    """A reset clears the log, the counts and the faults, and keeps the state."""
    emulator.state.add_flag()
    assert await statuses(api, 4) == [200, 200, 200, 429]
    emulator.inject(Fault.status(503))
    emulator.reset()
    assert (emulator.requests, emulator.refused, emulator.peak_per_second) == ([], 0, 0)
    assert await statuses(api, 1) == [200]
    assert len(emulator.state.flags) == 1


async def test_the_clock_can_be_set(api: Api, emulator: Emulator) -> None:
    """A new clock holds for timestamps and for limits."""
    await statuses(api, 3)
    emulator.clock = lambda: datetime(2030, 1, 1, tzinfo=UTC)
    assert await statuses(api, 1) == [200]
    assert emulator.requests[-1].received == datetime(2030, 1, 1, tzinfo=UTC)
    assert emulator.state.add_flag()["createdAt"] == "2030-01-01T00:00:00.000Z"


def start_of_second(window: Window, now: datetime) -> datetime:
    """Return the start of the second that a request at this time is counted in, in milliseconds."""
    return now.replace(microsecond=0) if window == "calendar" else now - timedelta(milliseconds=999)


@given(
    st.lists(st.integers(0, 1500), max_size=60),
    st.integers(1, 5),
    st.sampled_from(["sliding", "calendar"]),
)
def test_no_window_holds_more_than_the_limit(gaps: list[int], limit: int, window: Window) -> None:
    """No second has more requests than the limit, and no request within the limit is rejected."""
    limits = Limits(limit, None, window)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    counted: list[datetime] = []
    for gap in gaps:
        now += timedelta(milliseconds=gap)
        recent = [moment for moment in counted if moment >= start_of_second(window, now)]
        rejection = limits.hit(now)
        assert (rejection is not None) == (len(recent) >= limit)
        if rejection is None:
            counted.append(now)
    assert limits.peak <= limit


def test_a_clock_that_is_set_back() -> None:
    """Requests in the future of the clock do not count."""
    limits = Limits(1, None)
    now = datetime(2026, 1, 2, tzinfo=UTC)
    assert limits.hit(now) is None
    assert limits.hit(now) is not None
    assert limits.hit(now - timedelta(hours=1)) is None


def test_without_limits() -> None:
    """Without limits the peak is still measured."""
    limits = Limits(None, None)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert [limits.hit(now) for _ in range(500)] == [None] * 500
    assert limits.peak == 500


@pytest.mark.parametrize(("retry_after", "sent"), [(None, None), (0, "0"), (0.25, "0.25"), (7, "7")])
async def test_retry_after(session: Any, retry_after: float | None, sent: str | None) -> None:
    """The header of the limit per second can be set or omitted."""
    async with Emulator(per_second=0, retry_after=retry_after) as emulator:
        response = await session.get(f"{emulator.base_url}/api/1/flags")
        assert (response.status, response.headers.get("Retry-After")) == (429, sent)


async def test_retry_after_of_the_day(session: Any, clock: Any) -> None:
    """The header of the limit per day does not depend on the setting."""
    async with Emulator(per_day=0, retry_after=None, clock=clock) as emulator:
        response = await session.get(f"{emulator.base_url}/api/1/flags")
        assert (response.status, response.headers["Retry-After"]) == (429, str(12 * 3600))


async def test_calendar_window(session: Any, clock: Any) -> None:
    """The count restarts with each whole second of the clock."""
    async with Emulator(per_second=2, window="calendar", clock=clock) as emulator:

        async def send() -> int:
            headers = {"Authorization": f"Bearer {emulator.api_key}"}
            return (await session.get(f"{emulator.base_url}/api/1/flags", headers=headers)).status

        clock.move(0.9)
        assert [await send() for _ in range(3)] == [200, 200, 429]
        clock.move(0.099_999)
        assert await send() == 429
        clock.move(0.000_001)
        assert [await send() for _ in range(3)] == [200, 200, 429]
        assert (emulator.peak_per_second, emulator.refused) == (2, 3)


def test_a_clock_that_is_set_back_with_a_calendar_window() -> None:
    """Requests in the future of the clock do not count."""
    limits = Limits(1, None, "calendar")
    now = datetime(2026, 1, 2, 0, 0, 0, 900_000, tzinfo=UTC)
    assert limits.hit(now) is None
    assert limits.hit(now) is not None
    assert limits.hit(now - timedelta(milliseconds=500)) is None


async def test_background_requests_use_the_limit(api: Api, emulator: Emulator, clock: Any) -> None:
    """They arrive evenly spaced, also before the first request, and reduce the capacity of the clients."""
    emulator.background_rps = 2
    assert await statuses(api, 2) == [200, 429]
    clock.move(0.5)
    assert await statuses(api, 1) == [429]
    clock.move(0.5)
    assert await statuses(api, 2) == [200, 429]
    assert (len(emulator.requests), emulator.refused, emulator.peak_per_second) == (5, 3, 1)


async def test_background_rps_can_be_changed(api: Api, emulator: Emulator, clock: Any) -> None:
    """A new rate holds from the previous request on; counted requests count for their second."""
    assert await statuses(api, 1) == [200]
    emulator.background_rps = 4
    clock.move(0.25)
    assert await statuses(api, 2) == [200, 429]
    emulator.background_rps = 0
    clock.move(0.75)
    assert await statuses(api, 1) == [200]


async def test_background_requests_over_the_limit_are_dropped(api: Api, emulator: Emulator, clock: Any) -> None:
    """They do not take capacity that clients have used."""
    assert await statuses(api, 3) == [200] * 3
    emulator.background_rps = 10
    clock.move(0.999)
    assert await statuses(api, 1) == [429]
    clock.move(0.001)
    assert await statuses(api, 3) == [200, 200, 429]


async def test_background_requests_do_not_use_the_limit_per_day(api: Api, emulator: Emulator, clock: Any) -> None:
    """All requests of the day are the clients'."""
    emulator.background_rps = 2
    for _ in range(5):
        assert await statuses(api, 1) == [200]
        clock.move(1)
    assert (await api("GET", "/flags")).body["error"].startswith("Too many requests: the limit is 5 a day")


async def test_background_rps_after_a_reset(api: Api, emulator: Emulator) -> None:
    """A reset clears the counts and keeps the settings."""
    emulator.background_rps = 3
    emulator.reset()
    assert emulator.background_rps == 3
    assert await statuses(api, 1) == [429]


@pytest.mark.parametrize(("window", "max_peak"), [("sliding", 60), ("calendar", 100)])
def test_capacity_beside_background_requests(window: Window, max_peak: int) -> None:
    """Clients below the remaining capacity are never rejected; others get at most the limit."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    modest, greedy = Limits(100, None, window, background_rps=40), Limits(100, None, window, background_rps=40)
    for tick in range(200):
        moment = now + timedelta(milliseconds=17 * tick)
        assert modest.hit(moment) is None
        for _ in range(10):
            greedy.hit(moment)
    assert modest.peak == 59
    assert 59 < greedy.peak <= max_peak


def test_background_requests_after_a_jump_of_the_clock() -> None:
    """At most one second of them is counted, and none in the future of the clock."""
    limits = Limits(50, None, background_rps=40)
    now = datetime(2026, 1, 2, tzinfo=UTC)

    def accepted(moment: datetime) -> int:
        return [limits.hit(moment) for _ in range(51)].count(None)

    assert accepted(now) == 10
    assert accepted(now + timedelta(days=300)) == 10
    assert accepted(now) == 50
    assert limits.hit(now + timedelta(milliseconds=999)) is not None


def test_background_requests_around_midnight() -> None:
    """Background requests of the previous day do not reset the count of the day."""
    limits = Limits(10, 1, background_rps=2)
    midnight = datetime(2026, 1, 2, tzinfo=UTC)
    assert limits.hit(midnight + timedelta(milliseconds=100)) is None
    assert limits.hit(midnight + timedelta(milliseconds=900)) is not None


@pytest.mark.parametrize("options", [{"background_rps": -1}, {"background_rps": float("nan")}, {"retry_after": -0.5}])
def test_invalid_settings(options: Any) -> None:
    """The error names the setting."""
    with pytest.raises(ValueError, match=f"{next(iter(options))} must be a finite number of at least 0, not"):
        Emulator(**options)


def test_invalid_attribute() -> None:
    """A settable attribute rejects the same values as the constructor, and keeps its value."""
    emulator = Emulator(background_rps=4)
    with pytest.raises(ValueError, match="background_rps must be"):
        emulator.background_rps = float("inf")
    assert emulator.background_rps == 4


def test_unknown_window() -> None:
    """The error lists the two windows."""
    with pytest.raises(ValueError, match='window must be one of sliding, calendar, not "fixed"'):
        Emulator(window="fixed")
