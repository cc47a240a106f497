"""The waits between attempts, the deadline, and the `on_attempt` callback."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import pytest

from amp_exp_async import APITimeoutError, AsyncExperimentClient, Attempt, RateLimitError, RetryPolicy, ServerError
from amp_exp_async.emulator import Emulator, Fault
from tests.virtual_time import Answer, ScriptedSession, outcome, run

KEY = "waits-management-key"


@pytest.fixture
def emulator(emulator: Emulator) -> Emulator:
    """Add a flag."""
    emulator.state.add_flag(id="1")
    return emulator


def scripted(session: ScriptedSession, **options: Any) -> AsyncExperimentClient:
    return AsyncExperimentClient(KEY, base_url="https://service.example", session=session, **options)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("header", "minimum"),
    [(lambda: "3", 3.0), (lambda: "2.5", 2.5), (lambda: formatdate(time.time() + 40, usegmt=True), 38.5)],
    ids=["seconds", "fraction", "date"],
)
def test_retry_after_is_a_floor(status: int, header: Callable[[], str], minimum: float) -> None:
    """The next attempt is sent after `Retry-After`, and at most the wait of the policy later."""
    session = ScriptedSession([Answer(status, headers={"Retry-After": header()}), Answer(body=b'{"flags": []}')])

    async def scenario() -> None:
        async with scripted(session, retry=RetryPolicy(backoff_base=0.5), rate_limit=None) as client:
            await client.flags.list()

    run(scenario())
    assert minimum <= session.times[1] <= minimum + 2.0


@pytest.mark.parametrize("header", ["", "soon", "-5", "Wed, 21 Oct 2015 07:28:00 GMT"])
def test_an_unusable_retry_after(header: str) -> None:
    """Without a valid `Retry-After`, or with a past one, only the wait of the policy counts."""
    session = ScriptedSession([Answer(503, headers={"Retry-After": header}), Answer(body=b'{"flags": []}')])

    async def scenario() -> None:
        async with scripted(session, retry=RetryPolicy(backoff_base=0.5)) as client:
            await client.flags.list()

    run(scenario())
    assert session.times[1] <= 0.5


def test_full_jitter() -> None:
    """The n-th wait is drawn from 0 to its bound, which grows by a factor of two up to the cap."""
    policy = RetryPolicy(max_attempts=5, backoff_base=1.0, backoff_cap=3.0)
    waits: list[list[float]] = [[], [], [], []]
    for _ in range(40):
        session = ScriptedSession([Answer(503)])
        run(outcome(scripted(session, retry=policy, deadline=None).flags.get("1")))
        for wait, (earlier, later) in zip(waits, zip(session.times, session.times[1:], strict=False), strict=True):
            wait.append(later - earlier)
    for drawn, bound in zip(waits, [1.0, 2.0, 3.0, 3.0], strict=True):
        assert 0.0 <= min(drawn) < bound * 0.4
        assert bound * 0.6 < max(drawn) <= bound + 1e-9


def test_one_429_pauses_every_request_of_the_key() -> None:
    """During the `Retry-After` of one call, no other call of the client is sent."""
    session = ScriptedSession([Answer(429, headers={"Retry-After": "5"}), Answer(body=b'{"flags": []}')])

    async def scenario() -> None:
        async with scripted(session, retry=RetryPolicy(backoff_base=0.0)) as client:
            first = asyncio.ensure_future(client.flags.list()._collect())
            await asyncio.sleep(1.0)
            await asyncio.gather(first, *(client.flags.list() for _ in range(5)))

    run(scenario())
    assert len(session.sent) == 7
    assert [seconds for seconds in session.times if 0.0 < seconds < 5.0] == []


@pytest.mark.parametrize(
    ("answer", "error", "seconds"),
    [
        (Answer(seconds=100.0), APITimeoutError, 4.0),
        (Answer(429, headers={"Retry-After": "4.5"}), RateLimitError, 0.0),
        (Answer(503, headers={"Retry-After": "9"}), ServerError, 0.0),
        (Answer(503, headers={"Retry-After": formatdate(time.time() + 1e6, usegmt=True)}), ServerError, 0.0),
        (Answer(503, seconds=1.5), APITimeoutError, 4.0),
    ],
    ids=["no reply", "429 beyond", "503 beyond", "date beyond", "slow failures"],
)
def test_the_deadline_bounds_the_whole_call(answer: Answer, error: type[Exception], seconds: float) -> None:
    """A call never exceeds its deadline, and fails at once if the next attempt would come later."""
    client = scripted(ScriptedSession([answer]), deadline=4.0, retry=RetryPolicy(max_attempts=9, backoff_base=0.0))
    result, elapsed = run(outcome(client.flags.get("1")))
    assert isinstance(result, error)
    assert elapsed == pytest.approx(seconds)


def test_the_deadline_includes_the_wait_for_other_requests() -> None:
    """A call that waits for other requests until its deadline fails then, and is not sent."""
    session = ScriptedSession([Answer(seconds=10.0)])

    async def scenario() -> None:
        async with scripted(session, max_concurrency=1, timeout=20.0) as client:
            first = asyncio.ensure_future(client.flags.get("1"))
            await asyncio.sleep(0)
            result, elapsed = await outcome(client.with_options(deadline=3.0).flags.get("2"))
            assert isinstance(result, APITimeoutError)
            assert (result.sent, result.attempts, elapsed) == (False, 0, 3.0)
            first.cancel()

    run(scenario())
    assert len(session.sent) == 1


@pytest.mark.usefixtures("path_in_turn")
async def test_on_attempt(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """It receives method, path, number, status or error, and the seconds of each request."""
    seen: list[Attempt] = []
    emulator.inject(Fault.close())
    emulator.inject(Fault.delay(0.02), nth=2)
    emulator.inject(Fault.status(503), nth=2)
    emulator.inject(Fault.status(503), nth=3)
    copy = client.with_options(on_attempt=seen.append)
    await asyncio.gather(copy.flags.get("1"))
    await copy.flags.list(limit=1)
    assert [(a.method, a.path, a.number, a.status) for a in seen[:3]] == [
        ("GET", "/flags/1", 1, None),
        ("GET", "/flags/1", 2, 200),
        ("GET", "/flags", 1, 503),
    ]
    assert seen[0].error is not None
    assert seen[1].error is None
    assert seen[1].seconds >= 0.02
    assert len(seen) == len(emulator.requests)


@pytest.mark.usefixtures("path_in_turn")
@pytest.mark.parametrize("error", [ZeroDivisionError, asyncio.CancelledError])
async def test_on_attempt_that_raises(
    client: AsyncExperimentClient, error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    """The call succeeds, nothing is sent twice, and the exception is logged."""

    def raising(_: Attempt) -> None:
        raise error

    await client.with_options(on_attempt=raising).flags.edit("1", name="new")
    assert client.usage.requests == 1
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [error]


@pytest.mark.usefixtures("path_in_turn")
async def test_the_key_is_not_logged(
    client: AsyncExperimentClient, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    """No log line contains the key, on any level and for any kind of failure."""
    caplog.set_level(logging.DEBUG, logger="amp_exp_async")
    for fault in [
        Fault.close(),
        Fault.truncate(),
        Fault.status(503),
        Fault.delay(30.0),
        Fault.status(400, body=f"Bearer {emulator.api_key}"),
        Fault.redirect("http://x"),
    ]:
        emulator.inject(fault)
        await asyncio.gather(client.with_options(timeout=0.05).flags.get("1"), return_exceptions=True)
    lines = [record for record in caplog.records if record.name.startswith("amp_exp_async")]
    assert {record.levelno for record in lines} >= {logging.DEBUG, logging.INFO}
    assert emulator.api_key not in caplog.text
