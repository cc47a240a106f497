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
    emulator.inject(Fault.status(503))
    assert await statuses(api, 1) == [429]
    clock.move(1)
    assert await statuses(api, 2) == [503, 200]


async def test_reset_forgets_what_was_counted(api: Api, emulator: Emulator) -> None:
    """After a reset, log, counts and faults are empty, and the state is as it was."""
    emulator.state.add_flag()
    assert await statuses(api, 4) == [200, 200, 200, 429]
    emulator.inject(Fault.status(503))
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


def one_second(window: Window, now: datetime) -> datetime:
    """Where the second begins that a request at this moment is counted in, in whole milliseconds."""
    return now.replace(microsecond=0) if window == "calendar" else now - timedelta(milliseconds=999)


@given(
    st.lists(st.integers(0, 1500), max_size=60),
    st.integers(1, 5),
    st.sampled_from(["sliding", "calendar"]),
)
def test_no_window_holds_more_than_the_limit(gaps: list[int], limit: int, window: Window) -> None:
    """However requests arrive, no second has more than the limit, and none is refused without need."""
    limits = Limits(limit, None, window)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    counted: list[datetime] = []
    for gap in gaps:
        now += timedelta(milliseconds=gap)
        recent = [moment for moment in counted if moment >= one_second(window, now)]
        excess = limits.hit(now)
        assert (excess is not None) == (len(recent) >= limit)
        if excess is None:
            counted.append(now)
    assert limits.peak <= limit


def test_a_clock_that_is_set_back() -> None:
    """Moments ahead of the clock do not count, so requests are let in again."""
    limits = Limits(1, None)
    now = datetime(2026, 1, 2, tzinfo=UTC)
    assert limits.hit(now) is None
    assert limits.hit(now) is not None
    assert limits.hit(now - timedelta(hours=1)) is None


def test_without_limits() -> None:
    """None stands for no limit, while the peak is still measured."""
    limits = Limits(None, None)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert [limits.hit(now) for _ in range(500)] == [None] * 500
    assert limits.peak == 500


@pytest.mark.parametrize(("retry_after", "sent"), [(None, None), (0, "0"), (0.25, "0.25"), (7, "7")])
async def test_what_retry_after_says(session: Any, retry_after: float | None, sent: str | None) -> None:
    """The header of the limit of a second may say something else, or be missing."""
    async with Emulator(per_second=0, retry_after=retry_after) as emulator:
        answer = await session.get(f"{emulator.base_url}/api/1/flags")
        assert (answer.status, answer.headers.get("Retry-After")) == (429, sent)


async def test_retry_after_of_the_day_stays(session: Any, clock: Any) -> None:
    """The limit of a day says how long it lasts, whatever that of a second says."""
    async with Emulator(per_day=0, retry_after=None, clock=clock) as emulator:
        answer = await session.get(f"{emulator.base_url}/api/1/flags")
        assert (answer.status, answer.headers["Retry-After"]) == (429, str(12 * 3600))


async def test_whole_seconds_of_the_clock(session: Any, clock: Any) -> None:
    """Each whole second begins at nothing, so that two limits fit around its beginning."""
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


def test_a_clock_that_is_set_back_within_whole_seconds() -> None:
    """Moments ahead of the clock do not count there either."""
    limits = Limits(1, None, "calendar")
    now = datetime(2026, 1, 2, 0, 0, 0, 900_000, tzinfo=UTC)
    assert limits.hit(now) is None
    assert limits.hit(now) is not None
    assert limits.hit(now - timedelta(milliseconds=500)) is None


async def test_others_take_up_the_limit(api: Api, emulator: Emulator, clock: Any) -> None:
    """They have been there before the first request, come evenly, and leave our clients what is over."""
    emulator.background_rps = 2
    assert await statuses(api, 2) == [200, 429]
    clock.move(0.5)
    assert await statuses(api, 1) == [429]
    clock.move(0.5)
    assert await statuses(api, 2) == [200, 429]
    assert (len(emulator.requests), emulator.refused, emulator.peak_per_second) == (5, 3, 1)


async def test_others_come_and_go(api: Api, emulator: Emulator, clock: Any) -> None:
    """What is set holds for the time since the request before; what has been counted counts for its second."""
    assert await statuses(api, 1) == [200]
    emulator.background_rps = 4
    clock.move(0.25)
    assert await statuses(api, 2) == [200, 429]
    emulator.background_rps = 0
    clock.move(0.75)
    assert await statuses(api, 1) == [200]


async def test_others_lose_what_finds_no_room(api: Api, emulator: Emulator, clock: Any) -> None:
    """What our clients have taken is theirs for its second."""
    assert await statuses(api, 3) == [200] * 3
    emulator.background_rps = 10
    clock.move(0.999)
    assert await statuses(api, 1) == [429]
    clock.move(0.001)
    assert await statuses(api, 3) == [200, 200, 429]


async def test_others_are_no_part_of_the_day(api: Api, emulator: Emulator, clock: Any) -> None:
    """The five of the day are all our clients'."""
    emulator.background_rps = 2
    for _ in range(5):
        assert await statuses(api, 1) == [200]
        clock.move(1)
    assert (await api("GET", "/flags")).body["error"].startswith("Too many requests: the limit is 5 a day")


async def test_others_outlast_a_reset(api: Api, emulator: Emulator) -> None:
    """A reset forgets what was counted, and keeps what was set."""
    emulator.background_rps = 3
    emulator.reset()
    assert emulator.background_rps == 3
    assert await statuses(api, 1) == [429]


@pytest.mark.parametrize(("window", "most"), [("sliding", 60), ("calendar", 100)])
def test_how_much_others_leave(window: Window, most: int) -> None:
    """Clients that ask for less than what is over are never refused; greedy ones get the limit at most."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    modest, greedy = Limits(100, None, window, background_rps=40), Limits(100, None, window, background_rps=40)
    for tick in range(200):
        moment = now + timedelta(milliseconds=17 * tick)
        assert modest.hit(moment) is None
        for _ in range(10):
            greedy.hit(moment)
    assert modest.peak == 59
    assert 59 < greedy.peak <= most


def test_others_after_a_long_silence_and_on_a_clock_set_back() -> None:
    """However far the clock moves, at most a second of theirs is counted, and none of the time before it was set."""
    limits = Limits(50, None, background_rps=40)
    now = datetime(2026, 1, 2, tzinfo=UTC)

    def let_in(moment: datetime) -> int:
        return [limits.hit(moment) for _ in range(51)].count(None)

    assert let_in(now) == 10
    assert let_in(now + timedelta(days=300)) == 10
    assert let_in(now) == 50
    assert limits.hit(now + timedelta(milliseconds=999)) is not None


def test_others_around_midnight_leave_the_day_alone() -> None:
    """Their requests of yesterday do not begin the day anew."""
    limits = Limits(10, 1, background_rps=2)
    midnight = datetime(2026, 1, 2, tzinfo=UTC)
    assert limits.hit(midnight + timedelta(milliseconds=100)) is None
    assert limits.hit(midnight + timedelta(milliseconds=900)) is not None


@pytest.mark.parametrize("options", [{"background_rps": -1}, {"background_rps": float("nan")}, {"retry_after": -0.5}])
def test_settings_that_are_no_numbers_from_zero(options: Any) -> None:
    """The message names the setting."""
    with pytest.raises(ValueError, match=f"{next(iter(options))} must be a finite number of at least 0, not"):
        Emulator(**options)


def test_settings_that_are_wrong_later() -> None:
    """An attribute refuses what the constructor refuses, and keeps what it was."""
    emulator = Emulator(background_rps=4)
    with pytest.raises(ValueError, match="background_rps must be"):
        emulator.background_rps = float("inf")
    assert emulator.background_rps == 4


def test_a_window_of_another_kind() -> None:
    """The message names the two that there are."""
    with pytest.raises(ValueError, match='window must be one of sliding, calendar, not "fixed"'):
        Emulator(window="fixed")
