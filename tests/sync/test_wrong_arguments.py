"""Calls whose arguments do not fit: the message names the class that the caller has used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from amp_exp_async import BetaClient, ExperimentClient
from tests.sync.timeouts import within

KEY = "management-key"
CALLS: dict[str, Callable[[Any], object]] = {
    "Flags.get() missing 1 required positional argument: 'id'": lambda c: c.flags.get(),
    "Experiments.archive() got an unexpected keyword argument 'now'": lambda c: c.experiments.archive("1", now=True),
    "Flags.list() got an unexpected keyword argument 'page'": lambda c: c.flags.list(page=1),
    "FlagDeployments.list() got an unexpected keyword argument 'page'": lambda c: c.flags.deployments.list("1", page=1),
    "Mutexes.edit_slot() got an unexpected keyword argument 'n'": lambda c: c.mutexes.edit_slot("1", 1, n=1),
    "Flags.list() takes 1 positional argument but 2 were given": lambda c: c.flags.list("1"),
    "Flags.guarded_edit() missing 1 required positional argument: 'change'": lambda c: c.flags.guarded_edit("1"),
    "Users.add_many() missing 2 required positional arguments: 'variant' and 'users'": lambda c: c.flags.users.add_many(
        "1"
    ),
    "Variants.edit() got an unexpected keyword argument 'k'": lambda c: c.flags.variants.edit("1", "on", k=1),
    "ExperimentClient.bulk() missing 1 required positional argument: 'operations'": lambda c: c.bulk(),
    "ExperimentClient.apply() got an unexpected keyword argument 'dry_run'": lambda c: c.apply(None, dry_run=True),
    "ExperimentClient.request() missing 1 required positional argument: 'path'": lambda c: c.request("GET"),
    "ExperimentClient.with_options() got an unexpected keyword argument 'region'": lambda c: c.with_options(region="x"),
}


@pytest.mark.parametrize("message", CALLS)
def test_the_message_names_the_class(client: ExperimentClient, message: str) -> None:
    """It is as Python words it, and names no async class."""
    with pytest.raises(TypeError) as caught:
        within(lambda: CALLS[message](client))
    assert str(caught.value) == message


@pytest.mark.parametrize("cls", [ExperimentClient, BetaClient])
def test_the_constructor(cls: Any) -> None:
    """The message of the constructor names the client."""
    with pytest.raises(TypeError) as caught:
        cls(KEY, regoin="eu")
    expected = f"{cls.__name__}.__init__() got an unexpected keyword argument 'regoin'"
    assert str(caught.value).partition(". Did you mean")[0] == expected  # Python 3.14 adds a proposal


def test_an_error_of_the_caller(client: ExperimentClient, emulator: Any) -> None:
    """An error in the caller's own function is raised unchanged."""
    emulator.state.add_flag(id="1")

    def change(_: object, __: object) -> Any:
        raise AssertionError

    with pytest.raises(TypeError, match=r"^test_an_error_of_the_caller\.<locals>\.change\(\) missing 1 required"):
        within(lambda: client.flags.guarded_edit("1", change))  # type: ignore[arg-type]  # that is the mistake
