"""A key that a function returns, in the blocking clients."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from amp_exp_async import BetaClient, ClientClosedError, ConfigurationError, ExperimentClient
from amp_exp_async.emulator import Emulator
from tests.leaks import leaks
from tests.polling import TIMEOUT, wait_until

OLD, NEW = "canary-of-the-old-key", "canary-of-the-new-key"


class Keys:
    """A function that returns the old key, and then the new one."""

    def __init__(self) -> None:
        self.threads: list[str] = []

    def __call__(self) -> str:
        self.threads.append(threading.current_thread().name)
        return OLD if len(self.threads) == 1 else NEW

    async def call(self) -> str:
        """Return the next key in the event loop."""
        await asyncio.sleep(0)
        return self()


FORMS: dict[str, tuple[Callable[[Keys], Callable[[], str | Awaitable[str]]], str]] = {
    "in a thread": (lambda keys: keys, "amp_exp_async api_key"),
    "in the loop": (lambda keys: keys.call, "amp_exp_async"),
}


@pytest.fixture
def service() -> Iterator[Emulator]:
    """An emulator that accepts the old key."""
    with Emulator(api_key=OLD, per_second=None, per_day=None) as emulator:
        yield emulator


@pytest.mark.parametrize("form", FORMS)
def test_many_threads_share_the_key(service: Emulator, form: str) -> None:
    """The function is called once before the first request, and once after a change."""
    keys, (make, thread) = Keys(), FORMS[form]
    with (
        ExperimentClient(make(keys), base_url=service.base_url, rate_limit=None) as client,
        ThreadPoolExecutor(8) as pool,
    ):
        assert list(pool.map(lambda _: list(client.flags.list()), range(32))) == [[]] * 32
        service.replace_key(NEW)
        assert list(pool.map(lambda _: list(client.flags.list()), range(32))) == [[]] * 32
    assert keys.threads == [thread] * 2
    assert [request.status for request in service.requests].count(200) == 64


@pytest.mark.parametrize("form", FORMS)
def test_the_beta_client(service: Emulator, form: str) -> None:
    """It takes a function too."""
    keys = Keys()
    with BetaClient(FORMS[form][0](keys), base_url=service.beta_base_url) as client:
        assert list(client.deployments.list()) == []
        service.replace_key(NEW)
        assert list(client.deployments.list()) == []
    assert [request.status for request in service.requests] == [200, 401, 200]


def test_a_function_that_fails(service: Emulator) -> None:
    """Each call raises `ConfigurationError`, which shows no key, and the client stays usable."""
    is_open = False

    def function() -> str:
        if not is_open:
            raise OSError(5, "the vault is locked")
        return OLD

    with ExperimentClient(function, base_url=service.base_url) as client:
        with pytest.raises(ConfigurationError, match=r"^api_key is a function that raised OSError\.") as caught:
            client.flags.get("1")
        is_open = True
        assert list(client.flags.list()) == []
    assert isinstance(caught.value.__cause__, OSError)
    assert leaks(caught.value.with_traceback(None), OLD) == []


def test_a_function_that_calls_its_own_client(service: Emulator) -> None:
    """Its call raises an error at once instead of waiting for itself."""

    def key() -> str:
        list(client.flags.list())
        return OLD

    with (
        ExperimentClient(key, base_url=service.base_url, deadline=None) as client,
        pytest.raises(ConfigurationError, match="is a function that raised ConfigurationError") as caught,
    ):
        list(client.flags.list())
    assert str(caught.value.__cause__).startswith("api_key is a function that makes a call with its own client, and")


def test_closing_does_not_wait_for_the_function(service: Emulator) -> None:
    """A call that waits for its key ends, although the function still runs in its thread."""
    started, release, errors = threading.Event(), threading.Event(), list[Exception]()

    def function() -> str:
        started.set()
        assert release.wait(TIMEOUT)
        return OLD

    def call() -> None:
        try:
            client.flags.get("1")
        except ClientClosedError as error:
            errors.append(error)

    client = ExperimentClient(function, base_url=service.base_url)
    caller = threading.Thread(target=call)
    caller.start()
    assert started.wait(TIMEOUT)
    client.close(shutdown_timeout=None)
    caller.join(TIMEOUT)
    assert len(errors) == 1
    release.set()
    wait_until(lambda: not [thread for thread in threading.enumerate() if thread.name == "amp_exp_async api_key"])
    assert service.requests == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("is_used", [True, False])
def test_a_fork(service: Emulator, form: str, is_used: bool) -> None:
    """A child keeps the key that its parent has got, gets one itself otherwise, and replaces it after a 401."""
    keys = Keys()
    client = ExperimentClient(FORMS[form][0](keys), base_url=service.base_url, rate_limit=None)
    if is_used:
        list(client.flags.list())
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            list(client.flags.list())
            status = 0 if len(keys.threads) == 1 else 2
            client.close()
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    list(client.flags.list())
    assert len(keys.threads) == 1
    client.close()
    assert [request.status for request in service.requests] == [200] * (3 if is_used else 2)
