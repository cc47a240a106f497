"""Lookups of host names, which may hang."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading

import aiohttp
import pytest

from amp_exp_async import APIConnectionError, APITimeoutError, AsyncExperimentClient, RetryPolicy
from amp_exp_async.emulator import Emulator
from amp_exp_async.http.resolver import create_resolver
from tests.polling import TIMEOUT

PROGRAM = """
import asyncio, socket, sys, threading
from amp_exp_async import APITimeoutError, AsyncExperimentClient, ExperimentClient

socket.getaddrinfo = lambda *_, **__: threading.Event().wait()
options = {"base_url": "https://example.invalid", "deadline": 0.2, "shutdown_timeout": 0.2}

async def call():
    async with AsyncExperimentClient("key-of-tests", **options) as client:
        await client.flags.get("1")

def call_blocking():
    with ExperimentClient("key-of-tests", **options) as client:
        client.flags.get("1")

try:
    asyncio.run(call()) if sys.argv[1] == "async" else call_blocking()
except APITimeoutError as error:
    print("Nothing was sent." in str(error))
"""


@pytest.mark.parametrize("client", ["async", "blocking"])
def test_a_program_ends_while_a_lookup_hangs(client: str) -> None:
    """The call ends at its deadline, and Python does not wait for the lookup."""
    command = [sys.executable, "-W", "error", "-c", PROGRAM, client]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    assert (ended.stdout, ended.stderr, ended.returncode) == ("True\n", "", 0)


@pytest.fixture
def lookups(monkeypatch: pytest.MonkeyPatch) -> list[threading.Thread]:
    """The threads of the lookups. Every name is that of this machine."""
    threads: list[threading.Thread] = []
    original = socket.getaddrinfo

    def look_up(host: str, *args: object, **options: object) -> object:
        threads.append(threading.current_thread())
        if host == "none.invalid":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return original("127.0.0.1", *args, **options)  # type: ignore[arg-type]  # as the caller passes them

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return threads


@pytest.mark.usefixtures("each_path")
async def test_a_name(lookups: list[threading.Thread]) -> None:
    """It is looked up in a thread that nothing waits for, and requests go to its address."""
    async with (
        Emulator(allowed_hosts=["emulator.invalid"]) as emulator,
        AsyncExperimentClient(
            emulator.api_key,
            base_url=emulator.base_url.replace("127.0.0.1", "emulator.invalid"),
            allow_insecure_http=True,
        ) as client,
    ):
        assert await client.flags.list() == []
    assert {(thread.name, thread.daemon) for thread in lookups} == {("amp_exp_async DNS", True)}


@pytest.mark.usefixtures("lookups")
async def test_a_name_that_does_not_exist(no_backoff: RetryPolicy) -> None:
    """The error says so, and that nothing was sent."""
    async with AsyncExperimentClient("key-of-tests", base_url="https://none.invalid", retry=no_backoff) as client:
        with pytest.raises(APIConnectionError, match=r"Name or service not known.*Nothing was sent") as caught:
            await client.flags.get("1")
    assert not isinstance(caught.value, APITimeoutError)


def test_a_resolver_without_threads_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """aiohttp uses another one if aiodns is installed."""
    monkeypatch.setattr(aiohttp, "DefaultResolver", object)
    assert create_resolver() is None
