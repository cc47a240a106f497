"""Rule 3 for several clients: those of one process that use one key on one host keep to one limit together."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import random
import threading
import weakref
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amp_exp_async import AsyncExperimentClient, ClientClosedError, ExperimentClient, RateLimit
from amp_exp_async.emulator import Emulator
from amp_exp_async.ratelimit import limiter as limiter_module
from amp_exp_async.ratelimit.limiter import LimitExceededError, LocalRateLimiter, SharedLimiter
from amp_exp_async.ratelimit.window import PermitWindow
from tests.ratelimit.simulated_network import Network, full_load, most_in_a_second, uniform
from tests.virtual_time import Answer, ScriptedSession, now, run

KEY = "sharing-management-key"
FORKED = "https://forked.example"
WAIT = 10.0
SEARCH = settings(deadline=None, max_examples=40, derandomize=True)


def line_of(client: AsyncExperimentClient | ExperimentClient) -> SharedLimiter:
    """Where its calls wait."""
    inner = client._resource if isinstance(client, ExperimentClient) else client
    return inner._transport.session.limiter._shared


def client(**settings: Any) -> AsyncExperimentClient:
    return AsyncExperimentClient(**({"api_key": KEY, "base_url": "https://service.example"} | settings))


def with_pacers(
    limits: list[RateLimit], scenario: Callable[..., Coroutine[Any, Any, None]], line: SharedLimiter | None = None
) -> SharedLimiter:
    """Run a scenario with pacers at one line, in virtual time, and see that no permit is lost at its end."""

    async def whole() -> SharedLimiter:
        shared = SharedLimiter(PermitWindow(lambda: 1_800_000_000.0 + now())) if line is None else line
        pacers = [LocalRateLimiter(limit, shared=shared) for limit in limits]
        await scenario(*pacers)
        await asyncio.sleep(10.0)
        shared.window.acquire_nowait(now())
        shared.window.undo_acquire()
        assert shared.window.in_use == 0
        assert not shared._waiters
        for pacer in pacers:
            pacer.close()
        return shared

    return run(whole())


@SEARCH
@given(
    limit=st.integers(2, 20),
    at_once=st.tuples(st.sampled_from([1, 4, 32]), st.sampled_from([1, 64])),
    least=st.floats(0.0, 0.1),
    spread=st.floats(0.0, 0.3),
    seed=st.integers(0, 10_000),
)
def test_never_more_arrivals_than_the_limit(
    *, limit: int, at_once: tuple[int, int], least: float, spread: float, seed: int
) -> None:
    """No window of one second holds more arrivals than the limit, of both clients together."""
    drawn = random.Random(seed)
    way = uniform(drawn, least, least + spread)
    networks = Network(way, way), Network(way, way)

    async def scenario(*pacers: LocalRateLimiter) -> None:
        loads = zip(networks, pacers, at_once, strict=True)
        await asyncio.gather(*(full_load(network, pacer, 8 * limit, many) for network, pacer, many in loads))

    with_pacers([RateLimit(per_second=limit)] * 2, scenario)
    assert most_in_a_second(networks[0].arrivals + networks[1].arrivals) <= limit


def test_one_who_waits_alone_is_not_passed() -> None:
    """First come, first served, whosever calls they are: one among 64 of another client has its turn."""
    served: list[str] = []

    async def ask(pacer: LocalRateLimiter, name: str) -> None:
        await pacer.acquire(None)
        served.append(name)
        pacer.release(now(), reached=True, answered=True)

    async def scenario(many: LocalRateLimiter, single: LocalRateLimiter) -> None:
        names = [*(f"many {index}" for index in range(20)), "single", *(f"many {index}" for index in range(20, 64))]
        await asyncio.gather(*(ask(single if name == "single" else many, name) for name in names))
        assert served == names

    with_pacers([RateLimit(per_second=4)] * 2, scenario)


@SEARCH
@given(
    limit=st.integers(1, 4),
    fates=st.lists(
        st.tuples(st.booleans(), st.sampled_from(["served", "cancelled", "late", "refused", "unsent", "lost"])),
        min_size=1,
        max_size=24,
    ),
    closes=st.booleans(),
    seed=st.integers(0, 10_000),
)
def test_no_permit_is_lost(*, limit: int, fates: list[tuple[bool, str]], closes: bool, seed: int) -> None:
    """However waiting and requests end, also with one of the clients, every permit comes back, and only once."""
    drawn = random.Random(seed)

    async def call(pacer: LocalRateLimiter, fate: str) -> None:
        await asyncio.sleep(drawn.uniform(0.0, 1.0))
        await pacer.acquire(now() + 0.7 if fate == "late" else None)
        sent_at = now()
        try:
            await asyncio.sleep(drawn.uniform(0.0, 0.2))
        finally:
            pacer.release(
                sent_at, reached=fate != "unsent", answered=fate in {"served", "refused"}, throttled=fate == "refused"
            )
        if fate == "refused":
            pacer.pause(0.1)

    async def scenario(*pacers: LocalRateLimiter) -> None:
        calls = [asyncio.ensure_future(call(pacers[which], fate)) for which, fate in fates]
        await asyncio.sleep(1.1)
        for task, (which, fate) in zip(calls, fates, strict=True):
            if fate == "cancelled" or (closes and which):
                task.cancel()
        if closes:
            pacers[1].close()
        results = await asyncio.gather(*calls, return_exceptions=True)
        expected = (asyncio.CancelledError, TimeoutError, type(None))
        assert all(isinstance(result, expected) for result in results), results
        await asyncio.sleep(10.0)
        for _ in range(limit):
            await pacers[0].acquire(now())  # every permit is there
        with pytest.raises(TimeoutError):
            await pacers[0].acquire(now() + 0.1)
        for _ in range(limit):
            pacers[0].release(now(), reached=True, answered=True)

    with_pacers([RateLimit(per_second=limit)] * 2, scenario)


def test_the_strictest_limits_hold() -> None:
    """Of clients with different limits the strictest hold for all, for as long as those who gave them are open."""

    async def scenario(usual: LocalRateLimiter, careful: LocalRateLimiter, frugal: LocalRateLimiter) -> None:
        ledger = usual._shared.window
        assert ledger.limit == RateLimit(per_second=25, per_day=50)
        for _ in range(25):
            await usual.acquire(now())
        with pytest.raises(TimeoutError):
            await usual.acquire(now() + 0.5)
        careful.close()
        careful.close()
        assert ledger.limit == RateLimit(per_second=100, per_day=50)
        for _ in range(25):
            await usual.acquire(now())
        with pytest.raises(LimitExceededError):
            await careful.acquire(now() + 0.5)
        frugal.close()
        assert ledger.limit == RateLimit()
        await usual.acquire(now())
        for _ in range(51):
            usual.release(now(), reached=True, answered=True)

    with_pacers([RateLimit(), RateLimit(per_second=25, per_day=None), RateLimit(per_second=None, per_day=50)], scenario)


def test_who_waits_goes_on_when_a_stricter_client_is_closed() -> None:
    """A limit that holds no more keeps nobody waiting."""

    async def scenario(usual: LocalRateLimiter, careful: LocalRateLimiter) -> None:
        await usual.acquire(None)
        waiting = asyncio.ensure_future(usual.acquire(None))
        await asyncio.sleep(0.5)
        assert not waiting.done()
        careful.close()
        await waiting
        assert now() == 0.5
        for _ in range(2):
            usual.release(now(), reached=True, answered=True)

    with_pacers([RateLimit(), RateLimit(per_second=1)], scenario)


def test_a_client_that_is_forgotten_takes_no_permits_with_it() -> None:
    """What was in flight, and will never be heard of again, is usable after as long as it may still arrive."""

    async def scenario(pacer: LocalRateLimiter) -> None:
        other = LocalRateLimiter(RateLimit(per_second=1), shared=pacer._shared)
        await other.acquire(None)
        del other
        gc.collect()
        assert pacer._shared.window.limit == RateLimit(per_second=2)
        await pacer.acquire(None)
        pacer.release(now(), reached=False, answered=False)
        await pacer.acquire(None)
        await pacer.acquire(None)
        assert now() == pytest.approx(3.0)
        for _ in range(2):
            pacer.release(now(), reached=True, answered=True)

    with_pacers([RateLimit(per_second=2)], scenario)


def test_who_shares() -> None:
    """Clients of the same key and host, blocking or not; others, and those without a limit, wait by themselves."""
    with ExperimentClient(KEY, base_url="https://service.example") as blocking:
        line = line_of(client())
        assert line_of(blocking) is line
        assert line_of(client(rate_limit=RateLimit(per_second=10))) is line
        assert line_of(client().with_options(timeout=1.0)) is line
        for settings in (
            {"api_key": "another-management-key"},
            {"base_url": "https://other.example"},
            {"base_url": "https://service.example/proxy"},
            {"rate_limit": None},
        ):
            assert line_of(client(**settings)) is not line
        assert line.window.limit == RateLimit()


def test_the_registry_keeps_nothing_alive() -> None:
    """Neither clients, nor what they share, nor the key."""
    host = "https://registry.example"
    one, two = client(base_url=host), client(base_url=host)
    line = weakref.ref(line_of(one))
    gone = weakref.ref(one)
    assert KEY not in repr(dict(limiter_module._registry))
    del one
    gc.collect()
    assert gone() is None
    assert line_of(client(base_url=host)) is line_of(two) is line()
    del two
    gc.collect()
    assert line() is None
    assert not [name for name, _ in limiter_module._registry.items() if name[0].startswith(host)]


def test_a_loop_with_a_clock_of_its_own() -> None:
    """It shares with nobody: its times mean nothing elsewhere."""
    session: Any = ScriptedSession([Answer(body=b'{"flags": []}')])
    host = "https://clock.example"
    here = client(base_url=host)

    async def scenario() -> None:
        async with client(session=session, base_url=host) as there:
            assert line_of(there) is line_of(here)
            await there.flags.list()
            assert line_of(there) is not line_of(here)
            assert there.usage.requests_today == 1

    run(scenario())
    assert here.usage.requests_today == 0


async def test_closing_a_client_gives_its_permits_back() -> None:
    """What it had in flight is usable again soon after, what waited is not served, and the other goes on."""
    limit = RateLimit(per_second=3)
    session: Any = ScriptedSession([Answer(seconds=50.0)])
    host = "https://closing.example"
    closing, staying = (client(session=session, base_url=host, rate_limit=limit) for _ in range(2))
    calls = [asyncio.ensure_future(closing.flags.get("1")) for _ in range(6)]
    await asyncio.sleep(0.05)
    assert (len(session.sent), line_of(staying).window.in_use) == (3, 3)
    await closing.aclose()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(result) for result in results} == {ClientClosedError}
    session.answers[:] = [Answer(body=b'{"flags": []}')]
    async with staying, asyncio.timeout(2.0):
        await staying.flags.list()
    assert len(session.sent) == 4
    assert not line_of(staying)._waiting_clients


async def other_loop(pacer: LocalRateLimiter, reports: list[float], until: float | None) -> None:
    """Wait for a permit, and say when it came."""
    await pacer.acquire(until)
    reports.append(asyncio.get_running_loop().time())
    pacer.release(reports[-1], reached=False, answered=False)


async def waiting(line: SharedLimiter, many: int) -> None:
    async with asyncio.timeout(WAIT):
        while len(line._waiters) < many:  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.001)


async def test_a_permit_given_back_in_one_loop_serves_another() -> None:
    """At once when it is usable at once, else in its time, also for one that had no timer since nothing was to come."""
    line, reports = SharedLimiter(PermitWindow(lambda: 1.8e9)), list[float]()
    pacer = LocalRateLimiter(RateLimit(per_second=1), shared=line)
    time = asyncio.get_running_loop().time
    with ThreadPoolExecutor(1) as thread:
        for reached, seconds in ((False, 0.0), (True, 1.0)):
            await pacer.acquire(None)
            there = thread.submit(asyncio.run, other_loop(LocalRateLimiter(RateLimit(), shared=line), reports, None))
            await waiting(line, 1)
            released = time()
            pacer.release(released, reached=reached, answered=reached)
            await asyncio.wrap_future(there)
            assert seconds <= reports[-1] - released < seconds + 0.5
    assert line.window.in_use == 0


async def test_a_pause_in_one_loop_refuses_in_another() -> None:
    """Who waits elsewhere, and cannot wait so long, is told at once."""
    line = SharedLimiter(PermitWindow(lambda: 1.8e9))
    pacer = LocalRateLimiter(RateLimit(per_second=1), shared=line)
    time = asyncio.get_running_loop().time
    with ThreadPoolExecutor(1) as thread:
        await pacer.acquire(None)
        started = time()
        there = thread.submit(asyncio.run, other_loop(LocalRateLimiter(RateLimit(), shared=line), [], started + 20.0))
        await waiting(line, 1)
        pacer.pause(30.0)
        with pytest.raises(LimitExceededError):
            await asyncio.wrap_future(there)
    assert time() - started < WAIT
    assert not line._waiters


async def test_a_loop_that_was_closed_while_it_waited() -> None:
    """Its place in the line is passed over, and no permit goes there."""
    line = SharedLimiter(PermitWindow(lambda: 1.8e9))
    pacer = LocalRateLimiter(RateLimit(per_second=1), shared=line)
    await pacer.acquire(None)

    def leave_waiting() -> tuple[LocalRateLimiter, asyncio.Task[None]]:
        loop = asyncio.new_event_loop()
        other = LocalRateLimiter(RateLimit(), shared=line)
        task = loop.create_task(other.acquire(None))
        task._log_destroy_pending = False
        loop.run_until_complete(asyncio.sleep(0.01))
        loop.close()
        return other, task

    left = await asyncio.to_thread(leave_waiting)
    mine = asyncio.ensure_future(pacer.acquire(None))
    await waiting(line, 2)
    pacer.release(asyncio.get_running_loop().time(), reached=False, answered=False)
    await asyncio.wait_for(mine, WAIT)
    assert line.window.in_use == 1
    del left


def test_a_pacer_that_comes_to_another_loop() -> None:
    """What it had set up in the first one is of no use there, and keeps it from nothing."""
    pacer = LocalRateLimiter(RateLimit(per_second=1))

    async def scenario() -> None:
        await pacer.acquire(None)
        pacer.release(now(), reached=True, answered=True)
        with pytest.raises(TimeoutError):
            await pacer.acquire(now() + 0.5)

    run(scenario())
    run(asyncio.wait_for(pacer.acquire(None), 5.0))


async def test_two_clients_in_two_threads() -> None:
    """Both at full load from a loop of their own, they keep to the service's limit without a single refusal."""
    limit = RateLimit(per_second=40)
    with Emulator(per_second=40, per_day=None) as emulator:
        settings: dict[str, Any] = {"base_url": emulator.base_url, "rate_limit": limit}
        with ExperimentClient(emulator.api_key, **settings) as blocking, ThreadPoolExecutor(9) as threads:
            loop = asyncio.get_running_loop()
            async with AsyncExperimentClient(emulator.api_key, **settings) as client:
                assert line_of(client) is line_of(blocking)

                def work() -> int:
                    for _ in range(6):
                        blocking.request("GET", "/flags")
                    return blocking.usage.requests

                many = [loop.run_in_executor(threads, work) for _ in range(8)]
                await asyncio.gather(*many, *(client.request("GET", "/flags") for _ in range(72)))
                assert (blocking.usage.requests, client.usage.requests) == (48, 72)
                assert client.usage.requests_today == blocking.usage.requests_today == 120
                assert (client.usage.rate_limited, blocking.usage.rate_limited, emulator.refused) == (0, 0, 0)
                assert emulator.peak_per_second <= 40


def in_child(shared: AsyncExperimentClient, unshared: SharedLimiter, answers: Any) -> None:
    line = line_of(shared)
    pacer = shared._transport.session.limiter
    shares = line_of(client(base_url=FORKED)) is line
    report = [shares, line.window.in_use, unshared.window.in_use, line.window.limit.per_second]

    async def use() -> None:
        async with asyncio.timeout(WAIT):
            for _ in range(4):
                await pacer.acquire(None)

    asyncio.run(use())
    answers.put([*report, line.window.in_use])


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_fork() -> None:
    """A child starts anew: nothing in flight, nobody in line, all locks free; but clients still share."""
    shared = client(base_url=FORKED, rate_limit=RateLimit(per_second=4))
    other = client(base_url=FORKED)
    line, unshared = line_of(shared), SharedLimiter(PermitWindow(lambda: 1.8e9))
    answers = multiprocessing.get_context("fork").SimpleQueue()
    free = threading.Event()

    def hold_the_locks() -> None:
        with line.lock, unshared.lock, limiter_module._registry_lock:
            held.set()
            free.wait(WAIT)

    async def use() -> None:
        for taken in (LocalRateLimiter(RateLimit(per_second=1), shared=unshared), other._transport.session.limiter):
            await taken.acquire(None)
        for _ in range(2):
            asyncio.ensure_future(other._transport.session.limiter.acquire(None)).cancel()
        assert (line.window.in_use, unshared.window.in_use) == (1, 1)

    asyncio.run(use())
    held = threading.Event()
    thread = threading.Thread(target=hold_the_locks)
    thread.start()
    held.wait(WAIT)
    child = multiprocessing.get_context("fork").Process(target=in_child, args=(shared, unshared, answers), daemon=True)
    child.start()
    child.join(WAIT)
    free.set()
    thread.join(WAIT)
    assert child.exitcode == 0
    assert answers.get() == [True, 0, 0, 4, 4]
    assert line.window.in_use == 1


def in_child_of_blocking(blocking: ExperimentClient, answers: Any) -> None:
    for _ in range(2):
        blocking.request("GET", "/flags")
    ledger = line_of(blocking).window
    answers.put([blocking.usage.requests_today, ledger.in_use, len(line_of(blocking)._clients)])
    blocking.close()
    answers.put(len(line_of(blocking)._clients))


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_fork_with_a_blocking_client() -> None:
    """Its pacer in the child takes the place of the parent's, whose requests are not its own."""
    answers = multiprocessing.get_context("fork").SimpleQueue()
    with (
        Emulator(per_second=None, per_day=None) as emulator,
        ExperimentClient(emulator.api_key, base_url=emulator.base_url, rate_limit=RateLimit(per_second=3)) as blocking,
    ):
        for _ in range(3):
            blocking.request("GET", "/flags")
        child = multiprocessing.get_context("fork").Process(
            target=in_child_of_blocking, args=(blocking, answers), daemon=True
        )
        child.start()
        child.join(WAIT)
        assert child.exitcode == 0
        assert [answers.get(), answers.get()] == [[2, 2, 1], 0]
        assert (blocking.usage.requests_today, len(line_of(blocking)._clients)) == (3, 1)
