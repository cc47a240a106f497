"""Cursors and IDs of responses that cannot be a part of a URL: no call ends in an error of another library."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

import pytest

from amp_exp_async import AsyncBetaClient, AsyncExperimentClient, RetryPolicy, UnexpectedResponseError
from tests.reliability.raw_server import RawServer, answer_all, response

NAMES = ["flags", "experiments", "deployments", "mutexes", "holdouts", "versions", "groups", "mutexGroups"]
CURSORS = {"surrogate": "c\ud800", "escaped": "\udfff", "long": "c" * 10_000}


async def first(items: AsyncIterator[Any]) -> Any:
    """Return the first of what a generator yields."""
    async with aclosing(items):  # type: ignore[type-var]
        return await anext(items)


LISTINGS: dict[str, Callable[[AsyncExperimentClient], Any]] = {
    "flags": lambda client: client.flags.list(),
    "experiments": lambda client: client.experiments.list(),
    "deployments": lambda client: client.deployments.list(),
    "mutexes": lambda client: client.mutexes.list(),
    "holdouts": lambda client: client.holdouts.list(),
    "versions": lambda client: client.versions.list(),
    "pages": lambda client: first(client.flags.list().pages()),
    "find": lambda client: client.flags.find("k"),
    "export": lambda client: client.export(),
    "export of keys": lambda client: client.export(keys=["k"]),
    "watch": lambda client: first(client.watch(since="2020-01-01T00:00:00Z")),
}


@pytest.mark.parametrize("cursor", CURSORS.values(), ids=CURSORS)
@pytest.mark.parametrize("listing", LISTINGS.values(), ids=LISTINGS)
async def test_a_listing(listing: Callable[[AsyncExperimentClient], Any], cursor: str) -> None:
    """It requests no further page, and the error does not say that the session or the network has failed."""
    page = json.dumps({**{name: [] for name in NAMES}, "nextCursor": cursor})
    with RawServer(answer_all(response(page))) as server:
        async with AsyncExperimentClient("key", base_url=server.url, retry=RetryPolicy(max_attempts=1)) as client:
            with pytest.raises(
                UnexpectedResponseError, match=r"at nextCursor: expected at most .* that a URL"
            ) as caught:
                await listing(client)
    assert caught.value.location == "nextCursor"
    assert len(str(caught.value)) < 1000
    assert not [request for request in server.requests if "cursor=" in request.target]


async def test_the_beta_api() -> None:
    """The same holds there."""
    page = json.dumps({"experiments": [], "nextCursor": "c\ud800"})
    with RawServer(answer_all(response(page))) as server:
        async with AsyncBetaClient("key", base_url=server.url) as client:
            with pytest.raises(UnexpectedResponseError, match="at nextCursor"):
                await client.experiments.list()


async def test_an_id_of_a_new_object() -> None:
    """A creation whose ID has a lone surrogate has succeeded."""
    answer = response(json.dumps({"id": "1\ud800", "url": "u"}))
    with RawServer(answer_all(answer)) as server:
        async with AsyncExperimentClient("key", base_url=server.url) as client:
            created = await client.flags.create(project_id="1", key="k")
    assert created.id == "1\ud800"
