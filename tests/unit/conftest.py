"""Fixtures that the tests of checks and settings share."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from amp_exp_async import AsyncExperimentClient, InvalidInputError
from amp_exp_async.emulator import Emulator
from tests.unit.calls import KINDS, Call, Refused
from tests.unit.settings import BASE_URL_VARIABLE, BETA_BASE_URL_VARIABLE, KEY_VARIABLE, REGION_VARIABLE


@pytest.fixture
def refused(client: AsyncExperimentClient, emulator: Emulator) -> Refused:
    """Make a call that is refused: the error names the argument and the rule, and nothing reached the service."""

    async def check(call: Call, argument: str, rule: str) -> str:
        with pytest.raises(InvalidInputError) as caught:
            await call(client)
        assert emulator.requests == []
        assert caught.value.argument == argument
        assert rule in caught.value.rule
        assert str(caught.value).startswith(f"{argument}: {caught.value.rule}")
        return str(caught.value)

    return check


@pytest.fixture(params=KINDS)
def edit(request: pytest.FixtureRequest) -> Callable[..., Call]:
    """Edits of a flag, and of an experiment."""
    return lambda **changes: lambda client: getattr(client, request.param).edit("1", **changes)


@pytest.fixture(params=KINDS)
def create(request: pytest.FixtureRequest) -> Callable[..., Call]:
    """Creations of a flag, and of an experiment."""
    return lambda **fields: lambda client: getattr(client, request.param).create(project_id="1", key="k", **fields)


@pytest.fixture
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings but those that a test makes."""
    for variable in (KEY_VARIABLE, REGION_VARIABLE, BASE_URL_VARIABLE, BETA_BASE_URL_VARIABLE):
        monkeypatch.delenv(variable, raising=False)
