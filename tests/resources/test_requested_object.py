"""A response about another object than the requested one is rejected: it may be the response to another request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from amp_exp_async import AsyncExperimentClient, UnexpectedResponseError
from amp_exp_async.emulator import Emulator, Fault

Call = Callable[[AsyncExperimentClient], Awaitable[Any]]
FLAG = {"id": "1", "key": "k"}
GROUP = {"id": 1, "projectId": 7, "name": "g", "key": "g"}
READS: dict[str, tuple[Call, dict[str, Any], dict[str, Any], str]] = {
    "flag": (lambda client: client.flags.get("1"), FLAG, {"id": "666"}, "id"),
    "experiment": (lambda client: client.experiments.get("1"), FLAG, {"id": 666}, "id"),
    "variant": (lambda client: client.flags.variants.get("1", "on"), {"key": "on"}, {"key": "off"}, "key"),
    "version": (
        lambda client: client.flags.versions.get("1", 3),
        {"version": 3, "flagConfig": FLAG},
        {"version": 4},
        "version",
    ),
    "mutex group": (lambda client: client.mutexes.get("1"), {**GROUP, "slots": []}, {"id": 666}, "id"),
    "holdout group": (lambda client: client.holdouts.get("1"), {**GROUP, "holdoutPercentage": 5}, {"id": 666}, "id"),
    "guarded edit": (lambda client: client.flags.guarded_edit("1", lambda flag: flag), FLAG, {"id": "666"}, "id"),
}


@pytest.mark.parametrize("read", READS)
async def test_another_object(client: AsyncExperimentClient, emulator: Emulator, read: str) -> None:
    """The requested object is returned, and any other raises `UnexpectedResponseError`, which names both."""
    call, document, other, location = READS[read]
    emulator.inject(Fault.status(200, body=document))
    assert await call(client)

    emulator.inject(Fault.status(200, body=document | other))
    with pytest.raises(
        UnexpectedResponseError, match=f'at {location}: expected "(1|on|3)", got "(666|off|4)"'
    ) as caught:
        await call(client)
    assert caught.value.location == location
    assert caught.value.attempts == len(emulator.requests) - 1 == 1


@pytest.mark.parametrize("requested", ["1", "01", 1])
async def test_numbers_in_other_forms(client: AsyncExperimentClient, emulator: Emulator, requested: Any) -> None:
    """An ID is the same as a number, and with leading zeros."""
    emulator.inject(Fault.status(200, body={"id": 1, "key": "k"}))
    assert (await client.flags.get(requested)).id == "1"
