"""Fixtures that the tests of invalid arguments share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

import pytest

from amp_exp_async import AsyncExperimentClient, InvalidInputError
from amp_exp_async.emulator import Emulator
from tests.validation.call_sites import KINDS, Call

AllRejected = Callable[[Iterable[tuple[Call, str, str]]], Awaitable[None]]


@pytest.fixture
def all_rejected(client: AsyncExperimentClient, emulator: Emulator) -> AllRejected:
    """Return a function that asserts that each call is rejected with this argument and rule, and nothing is sent."""

    async def check(cases: Iterable[tuple[Call, str, str]]) -> None:
        failures: list[str] = []
        for index, (call, argument, rule) in enumerate(cases):
            try:
                await call(client)
            except InvalidInputError as error:
                named = str(error).startswith(f"{argument}: {error.rule}")
                if error.argument != argument or rule not in error.rule or not named:
                    failures.append(f"case {index}: expected {argument}: {rule}, got {error}")
            else:
                failures.append(f"case {index}: expected {argument}: {rule}, but the call was accepted")
        assert failures == []
        assert emulator.requests == []

    return check


@pytest.fixture(params=KINDS)
def edit(request: pytest.FixtureRequest) -> Callable[..., Call]:
    """Return a function that returns the edit of a flag or experiment."""
    return lambda **changes: lambda client: getattr(client, request.param).edit("1", **changes)


@pytest.fixture(params=KINDS)
def create(request: pytest.FixtureRequest) -> Callable[..., Call]:
    """Return a function that returns the creation of a flag or experiment."""
    return lambda **fields: lambda client: getattr(client, request.param).create(project_id="1", key="k", **fields)
