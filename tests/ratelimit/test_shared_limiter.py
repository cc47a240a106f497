"""Clients of one process that use the same key on the same host share one limiter."""

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
from tests.polling import TIMEOUT, eventually
from tests.ratelimit.simulated_network import Network, max_per_second, send_all, uniform
from tests.virtual_time import Answer, ScriptedSession, now, run

KEY = "sharing-management-key"
FORKED = "https://forked.example"
SEARCH = settings(deadline=None, max_examples=40, derandomize=True)


def shared_limiter_of(client: AsyncExperimentClient | ExperimentClient) -> SharedLimiter:
    inner = client._resource if isinstance(client, ExperimentClient) else client
    return inner._transport.session.limiter._shared


def create_client(**options: Any) -> AsyncExperimentClient:
    return AsyncExperimentClient(**({"api_key": KEY, "base_url": "https://service.example"} | options))


def create_shared_limiter() -> SharedLimiter:
    return SharedLimiter(PermitWindow(lambda: 1.8e9))


def run_with_limiters(limits: list[RateLimit], scenario: Callable[..., Coroutine[Any, Any, None]]) -> None:
    """Run a scenario with the limiters of several clients, in virtual time, and check that no permit is lost."""

    async def create_and_run() -> None:
        shared = create_shared_limiter()
        limiters = [LocalRateLimiter(limit, shared=shared) for limit in limits]
        await scenario(*limiters)
        await asyncio.sleep(10.0)
        shared.window.acquire_nowait(now())
        shared.window.undo_acquire()
        assert shared.window.in_use == 0
        assert shared.waiting == 0
        for limiter in limiters:
            limiter.close()

    run(create_and_run())


@SEARCH
@given(
    limit=st.integers(2, 20),
    concurrency=st.tuples(st.sampled_from([1, 4, 32]), st.sampled_from([1, 64])),
    min_delay=st.floats(0.0, 0.1),
    jitter=st.floats(0.0, 0.3),
    seed=st.integers(0, 10_000),
)
def test_never_more_arrivals_than_the_limit(
    *, limit: int, concurrency: tuple[int, int], min_delay: float, jitter: float, seed: int
) -> None:
    """No window of one second holds more arrivals from both clients than the limit."""
    rng = random.Random(seed)
    delay = uniform(rng, min_delay, min_delay + jitter)
    networks = Network(delay, delay), Network(delay, delay)

    async def scenario(*limiters: LocalRateLimiter) -> None:
        loads = zip(networks, limiters, concurrency, strict=True)
        await asyncio.gather(*(send_all(network, limiter, 8 * limit, workers) for network, limiter, workers in loads))

    run_with_limiters([RateLimit(per_second=limit)] * 2, scenario)
    assert max_per_second(networks[0].arrivals + networks[1].arrivals) <= limit


def test_permits_are_granted_in_order() -> None:
    """A single call among 64 of another client gets its permit in the order of the calls."""
    served: list[str] = []

    async def call(limiter: LocalRateLimiter, name: str) -> None:
        await limiter.acquire(None)
        served.append(name)
        limiter.release(now(), reached=True, answered=True)

    async def scenario(busy: LocalRateLimiter, modest: LocalRateLimiter) -> None:
        names = [*(f"busy {index}" for index in range(20)), "modest", *(f"busy {index}" for index in range(20, 64))]
        await asyncio.gather(*(call(modest if name == "modest" else busy, name) for name in names))
        assert served == names

    run_with_limiters([RateLimit(per_second=4)] * 2, scenario)


@SEARCH
@given(
    limit=st.integers(1, 4),
    fates=st.lists(
        st.tuples(st.booleans(), st.sampled_from(["served", "cancelled", "late", "throttled", "unsent", "lost"])),
        min_size=1,
        max_size=24,
    ),
    closes=st.booleans(),
    seed=st.integers(0, 10_000),
)
def test_no_permit_is_lost(*, limit: int, fates: list[tuple[bool, str]], closes: bool, seed: int) -> None:
    """Each permit becomes available again, once, however waits and requests end, also when one client is closed."""
    rng = random.Random(seed)

    async def call(limiter: LocalRateLimiter, fate: str) -> None:
        await asyncio.sleep(rng.uniform(0.0, 1.0))
        await limiter.acquire(now() + 0.7 if fate == "late" else None)
        sent_at, throttled = now(), fate == "throttled"
        try:
            await asyncio.sleep(rng.uniform(0.0, 0.2))
        finally:
            answered = throttled or fate == "served"
            limiter.release(sent_at, reached=fate != "unsent", answered=answered, throttled=throttled)
        if throttled:
            limiter.pause(0.1)

    async def scenario(*limiters: LocalRateLimiter) -> None:
        calls = [asyncio.ensure_future(call(limiters[second], fate)) for second, fate in fates]
        await asyncio.sleep(1.1)
        for task, (second, fate) in zip(calls, fates, strict=True):
            if fate == "cancelled" or (closes and second):
                task.cancel()
        if closes:
            limiters[1].close()
        results = await asyncio.gather(*calls, return_exceptions=True)
        expected = (asyncio.CancelledError, TimeoutError, type(None))
        assert all(isinstance(result, expected) for result in results), results
        await asyncio.sleep(10.0)
        for _ in range(limit):
            await limiters[0].acquire(now())  # all permits are available
        with pytest.raises(TimeoutError):
            await limiters[0].acquire(now() + 0.1)
        for _ in range(limit):
            limiters[0].release(now(), reached=True, answered=True)

    run_with_limiters([RateLimit(per_second=limit)] * 2, scenario)


def test_the_strictest_limits_apply() -> None:
    """The strictest limits of all open clients apply to each of them."""

    async def scenario(usual: LocalRateLimiter, slow: LocalRateLimiter, frugal: LocalRateLimiter) -> None:
        window = usual._shared.window
        assert window.limit == RateLimit(per_second=25, per_day=50)
        for _ in range(25):
            await usual.acquire(now())
        with pytest.raises(TimeoutError):
            await usual.acquire(now() + 0.5)
        slow.close()
        slow.close()
        assert window.limit == RateLimit(per_second=100, per_day=50)
        for _ in range(25):
            await usual.acquire(now())
        with pytest.raises(LimitExceededError):
            await slow.acquire(now() + 0.5)
        frugal.close()
        assert window.limit == RateLimit()
        await usual.acquire(now())
        for _ in range(51):
            usual.release(now(), reached=True, answered=True)

    limits = [RateLimit(), RateLimit(per_second=25, per_day=None), RateLimit(per_second=None, per_day=50)]
    run_with_limiters(limits, scenario)


def test_waiters_go_on_when_a_client_with_a_stricter_limit_is_closed() -> None:
    """They get the permits that the larger limit allows."""

    async def scenario(usual: LocalRateLimiter, slow: LocalRateLimiter) -> None:
        await usual.acquire(None)
        waiting = asyncio.ensure_future(usual.acquire(None))
        await asyncio.sleep(0.5)
        assert not waiting.done()
        slow.close()
        await waiting
        assert now() == 0.5
        for _ in range(2):
            usual.release(now(), reached=True, answered=True)

    run_with_limiters([RateLimit(), RateLimit(per_second=1)], scenario)


def test_the_permits_of_a_collected_client_are_reclaimed() -> None:
    """Permits of its requests in flight become available after the time in which the requests may still arrive."""

    async def scenario(limiter: LocalRateLimiter) -> None:
        other = LocalRateLimiter(RateLimit(per_second=1), shared=limiter._shared)
        await other.acquire(None)
        del other
        gc.collect()
        assert limiter._shared.window.limit == RateLimit(per_second=2)
        await limiter.acquire(None)
        limiter.release(now(), reached=False, answered=False)
        await limiter.acquire(None)
        await limiter.acquire(None)
        assert now() == pytest.approx(3.0)
        for _ in range(2):
            limiter.release(now(), reached=True, answered=True)

    run_with_limiters([RateLimit(per_second=2)], scenario)


def test_which_clients_share_a_limiter() -> None:
    """Async and blocking clients with the same key and host share one; others, and unlimited ones, do not."""
    host = "https://clients.example"  # of no other test, whose limiter may not be collected yet
    with ExperimentClient(KEY, base_url=host) as blocking:
        shared = shared_limiter_of(create_client(base_url=host))
        assert shared_limiter_of(blocking) is shared
        assert shared_limiter_of(create_client(base_url=host, rate_limit=RateLimit(per_second=10))) is shared
        assert shared_limiter_of(create_client(base_url=host).with_options(timeout=1.0)) is shared
        for options in (
            {"api_key": "another-management-key"},
            {"base_url": "https://other.example"},
            {"base_url": f"{host}/proxy"},
            {"rate_limit": None},
        ):
            assert shared_limiter_of(create_client(**{"base_url": host, **options})) is not shared
        assert shared.window.limit == RateLimit()


def test_the_registry_keeps_nothing_alive() -> None:
    """Clients and their shared limiter are garbage-collected, and the registry does not hold the key."""
    host = "https://registry.example"
    first, second = create_client(base_url=host), create_client(base_url=host)
    shared, first_client = weakref.ref(shared_limiter_of(first)), weakref.ref(first)
    assert KEY not in repr(dict(limiter_module._registry))
    del first
    gc.collect()
    assert first_client() is None
    assert shared_limiter_of(create_client(base_url=host)) is shared_limiter_of(second) is shared()
    del second
    gc.collect()
    assert shared() is None
    assert not [key for key in limiter_module._registry if key[0].startswith(host)]


def test_a_loop_with_its_own_clock_does_not_share() -> None:
    """Its times are not valid in other loops."""
    session: Any = ScriptedSession([Answer(body=b'{"flags": []}')])
    host = "https://clock.example"
    other = create_client(base_url=host)

    async def scenario() -> None:
        async with create_client(session=session, base_url=host) as client:
            assert shared_limiter_of(client) is shared_limiter_of(other)
            await client.flags.list()
            assert shared_limiter_of(client) is not shared_limiter_of(other)
            assert client.usage.requests_today == 1

    run(scenario())
    assert other.usage.requests_today == 0


async def test_closing_a_client_returns_its_permits() -> None:
    """Its waiting calls are not sent, and the other client gets its permits soon."""
    limit = RateLimit(per_second=3)
    session: Any = ScriptedSession([Answer(seconds=TIMEOUT)])
    host = "https://closing.example"
    closing, staying = (create_client(session=session, base_url=host, rate_limit=limit) for _ in range(2))
    calls = [asyncio.ensure_future(closing.flags.get("1")) for _ in range(6)]
    await eventually(lambda: len(session.sent) == 3 and shared_limiter_of(staying).waiting == 3)
    assert shared_limiter_of(staying).window.in_use == 3
    await closing.aclose()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(result) for result in results} == {ClientClosedError}
    session.answers[:] = [Answer(body=b'{"flags": []}')]
    async with staying, asyncio.timeout(TIMEOUT):
        await staying.flags.list()
    assert len(session.sent) == 4
    assert shared_limiter_of(staying).waiting == 0


async def acquire_and_return(limiter: LocalRateLimiter, deadline: float | None) -> float:
    """Return the loop time at which a permit came."""
    async with asyncio.timeout(TIMEOUT):
        await limiter.acquire(deadline)
    granted_at = asyncio.get_running_loop().time()
    limiter.release(granted_at, reached=False, answered=False)
    return granted_at


async def test_a_permit_that_is_released_in_one_loop_wakes_a_waiter_in_another() -> None:
    """At once if the permit was not used, else after a second."""
    shared = create_shared_limiter()
    limiter = LocalRateLimiter(RateLimit(per_second=1), shared=shared)
    with ThreadPoolExecutor(1) as thread:
        for reached, cool_down in ((False, 0.0), (True, 1.0)):
            await limiter.acquire(None)
            other = LocalRateLimiter(RateLimit(), shared=shared)
            granted = thread.submit(asyncio.run, acquire_and_return(other, None))
            await eventually(lambda: shared.waiting == 1)
            released_at = asyncio.get_running_loop().time()
            limiter.release(released_at, reached=reached, answered=reached)
            assert await asyncio.wrap_future(granted) - released_at >= cool_down
    assert shared.window.in_use == 0


async def test_a_pause_in_one_loop_rejects_a_waiter_in_another() -> None:
    """A waiter whose deadline comes before the end of the pause fails at once."""
    shared = create_shared_limiter()
    limiter = LocalRateLimiter(RateLimit(per_second=1), shared=shared)
    with ThreadPoolExecutor(1) as thread:
        await limiter.acquire(None)
        deadline = asyncio.get_running_loop().time() + 2 * TIMEOUT
        granted = thread.submit(asyncio.run, acquire_and_return(LocalRateLimiter(RateLimit(), shared=shared), deadline))
        await eventually(lambda: shared.waiting == 1)
        limiter.pause(3 * TIMEOUT)
        with pytest.raises(LimitExceededError):
            await asyncio.wrap_future(granted)
    assert shared.waiting == 0


async def test_a_loop_that_was_closed_while_a_call_waited() -> None:
    """Its waiter is skipped, and takes no permit."""
    shared = create_shared_limiter()
    limiter = LocalRateLimiter(RateLimit(per_second=1), shared=shared)
    await limiter.acquire(None)

    def close_loop_with_waiter() -> tuple[LocalRateLimiter, asyncio.Task[None]]:
        loop = asyncio.new_event_loop()
        other = LocalRateLimiter(RateLimit(), shared=shared)
        task = loop.create_task(other.acquire(None))
        task._log_destroy_pending = False
        loop.run_until_complete(asyncio.sleep(0.01))
        loop.close()
        return other, task

    abandoned = await asyncio.to_thread(close_loop_with_waiter)
    waiting = asyncio.ensure_future(limiter.acquire(None))
    await eventually(lambda: shared.waiting == 2)
    limiter.release(asyncio.get_running_loop().time(), reached=False, answered=False)
    await asyncio.wait_for(waiting, TIMEOUT)
    assert shared.window.in_use == 1
    del abandoned


async def test_two_clients_in_two_threads() -> None:
    """At full load in two event loops, they keep to the limit of the service without a single 429."""
    limit = RateLimit(per_second=40)
    with Emulator(per_second=40, per_day=None) as emulator:
        options: dict[str, Any] = {"base_url": emulator.base_url, "rate_limit": limit}
        with ExperimentClient(emulator.api_key, **options) as blocking, ThreadPoolExecutor(9) as threads:
            loop = asyncio.get_running_loop()
            async with AsyncExperimentClient(emulator.api_key, **options) as client:
                assert shared_limiter_of(client) is shared_limiter_of(blocking)

                def send_six() -> None:
                    for _ in range(6):
                        blocking.request("GET", "/flags")

                calls = [loop.run_in_executor(threads, send_six) for _ in range(8)]
                await asyncio.gather(*calls, *(client.request("GET", "/flags") for _ in range(72)))
                assert (blocking.usage.requests, client.usage.requests) == (48, 72)
                assert client.usage.requests_today == blocking.usage.requests_today == 120
                assert (client.usage.rate_limited, blocking.usage.rate_limited, emulator.refused) == (0, 0, 0)
                assert emulator.peak_per_second <= 40


def use_in_child(client: AsyncExperimentClient, own: SharedLimiter, results: Any) -> None:
    shared, limiter = shared_limiter_of(client), client._transport.session.limiter
    is_shared = shared_limiter_of(create_client(base_url=FORKED)) is shared
    state = [is_shared, shared.window.in_use, own.window.in_use, shared.window.limit.per_second]

    async def acquire_four() -> None:
        async with asyncio.timeout(TIMEOUT):
            for _ in range(4):
                await limiter.acquire(None)

    asyncio.run(acquire_four())
    results.put([*state, shared.window.in_use])


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_starts_over() -> None:
    """Nothing is in flight, no call waits and all locks are free; but clients still share."""
    client = create_client(base_url=FORKED, rate_limit=RateLimit(per_second=4))
    other = create_client(base_url=FORKED)
    shared, own = shared_limiter_of(client), create_shared_limiter()
    results = multiprocessing.get_context("fork").SimpleQueue()
    locked, unlock = threading.Event(), threading.Event()

    def hold_locks() -> None:
        with shared.lock, own.lock, limiter_module._registry_lock:
            locked.set()
            unlock.wait(TIMEOUT)

    async def acquire() -> None:
        for limiter in (LocalRateLimiter(RateLimit(per_second=1), shared=own), other._transport.session.limiter):
            await limiter.acquire(None)
        for _ in range(2):
            asyncio.ensure_future(other._transport.session.limiter.acquire(None)).cancel()
        assert (shared.window.in_use, own.window.in_use) == (1, 1)

    asyncio.run(acquire())
    thread = threading.Thread(target=hold_locks)
    thread.start()
    locked.wait(TIMEOUT)
    child = multiprocessing.get_context("fork").Process(target=use_in_child, args=(client, own, results), daemon=True)
    child.start()
    child.join(TIMEOUT)
    unlock.set()
    thread.join(TIMEOUT)
    assert child.exitcode == 0
    assert results.get() == [True, 0, 0, 4, 4]
    assert shared.window.in_use == 1


def use_blocking_in_child(client: ExperimentClient, results: Any) -> None:
    for _ in range(2):
        client.request("GET", "/flags")
    shared = shared_limiter_of(client)
    results.put([client.usage.requests_today, shared.window.in_use <= 2, len(shared._clients)])
    client.close()
    results.put(len(shared._clients))


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_blocking_client_in_a_forked_child() -> None:
    """Its limiter replaces that of the parent, whose requests do not count in the child."""
    results = multiprocessing.get_context("fork").SimpleQueue()
    with (
        Emulator(per_second=None, per_day=None) as emulator,
        ExperimentClient(emulator.api_key, base_url=emulator.base_url, rate_limit=RateLimit(per_second=3)) as client,
    ):
        for _ in range(3):
            client.request("GET", "/flags")
        child = multiprocessing.get_context("fork").Process(
            target=use_blocking_in_child, args=(client, results), daemon=True
        )
        child.start()
        child.join(TIMEOUT)
        assert child.exitcode == 0
        assert [results.get(), results.get()] == [[2, True, 1], 0]
        assert (client.usage.requests_today, len(shared_limiter_of(client)._clients)) == (3, 1)
