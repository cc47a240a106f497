"""Coroutines that another event loop than that of asyncio drives, such as trio's: each call says so."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from operator import attrgetter
from typing import Any

import attrs
import pytest

from amp_exp_async import (
    AddUsers,
    AsyncBetaClient,
    AsyncExperimentClient,
    ConfigurationError,
    FlagSpec,
    Manifest,
    Plan,
    VariantSpec,
)
from amp_exp_async.emulator import Emulator
from amp_exp_async.resources.base import list_operations
from tests.client_config import KEY

MANIFEST = Manifest(flags=[FlagSpec(key="k", project_id="1", variants=[VariantSpec(key="on")])])
PLAN = Plan(changes=(), service="https://experiment.amplitude.com/api/1", manifest=MANIFEST)
OPERATION = AddUsers("flags", "1", "on", ["u"])


def run(work: Coroutine[Any, Any, object]) -> None:
    """Drive a coroutine as far as it goes without asyncio."""
    try:
        work.send(None)
    except StopIteration:
        return
    work.close()
    pytest.fail("it waits for something")


async def _await(work: Any) -> None:
    await work


async def _iterate(items: AsyncIterator[Any]) -> None:
    async for _ in items:
        pass


async def _enter(block: AbstractAsyncContextManager[Any]) -> None:
    async with block:
        pass


async def _call_in(client: AsyncExperimentClient, block: Any) -> None:
    if isinstance(block, AbstractContextManager):
        with block:
            await client.flags.get("1")
    else:
        async with block:
            await client.flags.get("1")


CALLS: dict[str, Callable[[AsyncExperimentClient], Coroutine[Any, Any, object]]] = {
    "async with client": _enter,
    "aclose": lambda c: c.aclose(),
    "request": lambda c: c.request("GET", "/flags"),
    "find": lambda c: c.flags.find("k"),
    "guarded_edit": lambda c: c.flags.guarded_edit("1", lambda flag: attrs.evolve(flag, name="n")),
    "tags": lambda c: c.flags.tags.add("1", ["t"]),
    "segments": lambda c: c.flags.segments.remove("1", "Pilot"),
    "roll_out": lambda c: c.experiments.roll_out("1", "on", reason="r"),
    "pager": lambda c: _iterate(aiter(c.flags.list())),
    "pages": lambda c: _iterate(c.flags.list().pages()),
    "await a pager": lambda c: _await(c.flags.list()),
    "deadline": lambda c: _call_in(c, c.deadline(3)),
    "capture_responses": lambda c: _call_in(c, c.capture_responses()),
    "watch": lambda c: _iterate(c.watch()),
    "history": lambda c: _await(c.history("flags", "1")),
    "restore_version": lambda c: c.restore_version("flags", "1", 1),
    "export": lambda c: c.export(),
    "plan": lambda c: c.plan(MANIFEST),
    "apply": lambda c: _await(c.apply(PLAN)),
    "iterate apply": lambda c: _iterate(aiter(c.apply(PLAN))),
    "bulk": lambda c: _await(c.bulk([OPERATION])),
    "iterate bulk": lambda c: _iterate(aiter(c.bulk([OPERATION]))),
    "async with bulk": lambda c: _enter(c.bulk([OPERATION])),
    "close bulk": lambda c: c.bulk([OPERATION]).aclose(),
    "cancel bulk": lambda c: c.bulk([OPERATION]).cancel(),
    "add_many": lambda c: _await(c.flags.users.add_many("1", "on", ["u"])),
    "replace": lambda c: _await(c.flags.users.replace("1", "on", iter(["u"]))),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_every_entrance_says_that_asyncio_does_not_run(
    call: Callable[[AsyncExperimentClient], Coroutine[Any, Any, object]],
) -> None:
    """The error names asyncio and the blocking client, and comes without a warning."""
    with pytest.raises(ConfigurationError, match=r"asyncio does not run here\. .* or use ExperimentClient"):
        run(call(AsyncExperimentClient(KEY)))


@pytest.mark.parametrize("cls", [AsyncExperimentClient, AsyncBetaClient])
def test_every_operation_says_that_asyncio_does_not_run(cls: type[Any]) -> None:
    """This holds for each method that calls an endpoint."""
    for name, declared in list_operations(cls(KEY)).items():
        if declared.method != "GET":
            continue
        method = attrgetter(name)(cls(KEY))
        parameters = inspect.signature(method).parameters.values()
        arguments = ["1" for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD]
        with pytest.raises(ConfigurationError, match="asyncio does not run here"):
            run(_await(method(*arguments)))


def test_the_emulator() -> None:
    """It names its blocking form."""
    with pytest.raises(RuntimeError, match=r"asyncio does not run here\. Use `with Emulator\(\)`"):
        run(_enter(Emulator()))
