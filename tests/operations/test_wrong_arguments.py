"""Arguments that do not fit, of every method of every client: the message names the class that is used."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from amp_exp_async import AsyncBetaClient, AsyncExperimentClient, BetaClient, ExperimentClient
from amp_exp_async.resources.base import Resource
from amp_exp_async.sync.base import SyncResource

KEY = "management-key"
CLIENTS: list[type[Any]] = [AsyncExperimentClient, AsyncBetaClient, ExperimentClient, BetaClient]


def methods_of(owner: Any) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield the public methods of a client and its resources, with the names that errors should have."""
    for name in dir(owner):
        member = None if name.startswith("_") else inspect.getattr_static(owner, name)
        if inspect.isfunction(member):
            yield f"{type(owner).__name__}.{name}()", getattr(owner, name)
        elif isinstance(member, Resource | SyncResource):
            yield from methods_of(member)


@pytest.mark.parametrize("cls", CLIENTS)
async def test_every_method_names_its_class(cls: type[Any]) -> None:
    """An unknown keyword, and too many arguments, are reported by the class of the client or resource."""
    client, names = cls(KEY), set[str]()
    for name, method in methods_of(client):
        for arguments, keywords in (((), {"bogus": 1}), (("1",) * 9, {})):
            with pytest.raises(TypeError) as caught:
                await _result_of(method(*arguments, **keywords))
            assert str(caught.value).startswith(name)
        names.add(name)
    prefix = "Async" if cls.__name__.startswith("Async") else ""
    assert {f"{prefix}{cls.__name__.removeprefix(prefix)}.request()"} <= names
    assert len(names) > 15
    await _result_of(client.close() if hasattr(client, "close") else client.aclose())


async def _result_of(work: Any) -> None:
    if inspect.isawaitable(work):
        await work
