"""The deadline of a call that sends several requests."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import attrs
import pytest

from amp_exp_async import AmpExpError, APITimeoutError, AsyncExperimentClient, ExperimentClient, Segment
from tests.reliability.raw_server import RawConnection, RawServer, response

DEADLINE, RESPONSE_TIME = 0.5, 0.2  # seconds: two responses arrive, and the third is too late
FLAG: dict[str, Any] = {
    "id": "1",
    "key": "k",
    "projectId": "1",
    "enabled": True,
    "tags": [],
    "deployments": ["1"],
    "description": "",
    "variants": [{"key": "on"}, {"key": "off"}],
    "targetSegments": [],
    "rolloutWeights": {"on": 1, "off": 1},
}
SEGMENT = Segment(name="s", conditions=[], percentage=10, rollout_weights={"on": 1})
CALLS: dict[str, Callable[[Any], Any]] = {
    "guarded_edit": lambda c: c.flags.guarded_edit("1", lambda flag: attrs.evolve(flag, description="new")),
    "tags": lambda c: c.flags.tags.add("2", ["a"]),
    "segments": lambda c: c.flags.segments.add("3", SEGMENT),
    "roll_out": lambda c: c.experiments.roll_out("4", "on", "reason", everyone=True),
    "roll_back": lambda c: c.experiments.roll_back("5", "reason"),
    "restore_version": lambda c: c.restore_version("flags", "6", 1),
}


async def serve(connection: RawConnection) -> None:
    """Answer slowly: with the flag whose ID the path has, or with a version."""
    while (request := await connection.read_request()) is not None:
        await asyncio.sleep(RESPONSE_TIME)
        flag = {**FLAG, "id": request.target.split("/")[4]}
        version = {"version": 1, "flagConfig": {**flag, "description": "old"}}
        await connection.send(response(json.dumps(version if "/versions/" in request.target else flag)))


async def test_calls_of_several_requests() -> None:
    """The deadline is that of the whole call, and not of each request."""

    async def seconds(name: str) -> float:
        started = time.monotonic()
        with pytest.raises(APITimeoutError) as caught:
            await CALLS[name](client)
        assert caught.value.attempts <= 1
        return time.monotonic() - started

    with RawServer(serve) as server:
        async with AsyncExperimentClient("key-of-tests", base_url=server.url, deadline=DEADLINE) as client:
            taken = await asyncio.gather(*map(seconds, CALLS))
    assert max(taken) < 2 * DEADLINE
    assert min(taken) >= DEADLINE - 0.01


def test_calls_of_several_requests_by_the_blocking_client() -> None:
    """The same holds in threads."""

    def seconds(name: str) -> float:
        started = time.monotonic()
        with pytest.raises(APITimeoutError):
            CALLS[name](client)
        return time.monotonic() - started

    with (
        RawServer(serve) as server,
        ExperimentClient("key-of-tests", base_url=server.url, deadline=DEADLINE) as client,
        ThreadPoolExecutor(len(CALLS)) as pool,
    ):
        taken = list(pool.map(seconds, CALLS))
    assert max(taken) < 2 * DEADLINE
    assert min(taken) >= DEADLINE - 0.01


def test_the_time_that_a_change_takes() -> None:
    """It counts for a guarded edit of the blocking client too: after the deadline, nothing is written."""

    def change(flag: Any) -> Any:
        time.sleep(0.3)
        return attrs.evolve(flag, description="new")

    with RawServer(serve) as server, ExperimentClient("key-of-tests", base_url=server.url, deadline=0.4) as client:
        with pytest.raises(APITimeoutError, match="was not sent"):
            client.flags.guarded_edit("1", change)
        assert server.lines == ["GET /api/1/flags/1"]


async def test_waits_between_requests() -> None:
    """They end at the deadline too: here, between the reads that verify a write which others have overwritten."""

    async def answer(connection: RawConnection) -> None:
        while await connection.read_request() is not None:
            await connection.send(response(json.dumps(FLAG)))

    with RawServer(answer) as server:
        async with AsyncExperimentClient("key-of-tests", base_url=server.url, deadline=0.15) as client:
            started = time.monotonic()
            with pytest.raises(AmpExpError) as caught:
                await client.flags.tags.add("1", ["a"])
    assert isinstance(caught.value, APITimeoutError)
    assert caught.value.__notes__ == ["PATCH /flags/1 succeeded. Only the read that verifies it failed."]
    assert time.monotonic() - started < 1.0
