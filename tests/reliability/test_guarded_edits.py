"""Guarded edits lose nothing, whatever happens to their requests."""

from __future__ import annotations

import asyncio
from typing import Any

import attrs
import pytest

from amp_exp_async import Condition, Flag, RetryPolicy, Segment
from amp_exp_async.emulator import Emulator, Fault
from tests.reliability.conftest import ClientFactory
from tests.reliability.emulator_process import EmulatorProcess
from tests.reliability.figures import Figures

AREA = "Guarded edits"
PERSISTENT = RetryPolicy(max_attempts=15, backoff_base=0.0)
FAULTS = (
    Fault.close(),
    Fault.close(applied=True),
    Fault.truncate(),
    Fault.status(500, applied=True),
    Fault.status(503),
    Fault.status(429, retry_after=0),
)


def prepare(emulator: Emulator) -> str:
    """Add a flag with a segment, and let every tenth request fail. Return its ID."""
    segment = {"name": "Testers", "conditions": [{"prop": "gp:email", "op": "is", "values": ["first"]}]}
    id = emulator.state.add_flag(key="edited", tags=["first"], targetSegments=[segment])["id"]
    for fault in FAULTS:
        emulator.inject(fault, times=None, probability=0.1 / len(FAULTS))
    return id


def read(emulator: Emulator, id: str) -> dict[str, Any]:
    """Return the flag."""
    return emulator.state.flag(id)


@pytest.mark.parametrize("edits", [15, pytest.param(100, marks=pytest.mark.slow)])
async def test_concurrent_edits(
    emulator_process: EmulatorProcess, make_client: ClientFactory, figures: Figures, edits: int
) -> None:
    """Every tag, value and segment is there in the end, also those that another client writes meanwhile."""
    id = emulator_process.run(prepare)
    options = {"api_key": emulator_process.api_key, "retry": PERSISTENT, "deadline": None}
    ours = await make_client(emulator_process.base_url, **options)
    theirs = await make_client(emulator_process.base_url, **options)

    async def edit(number: int) -> None:
        await ours.flags.tags.add(id, [f"t{number}"])
        await ours.flags.segments.add_values(id, "Testers", "gp:email", [f"v{number}"], case="exact")
        await ours.flags.guarded_edit(id, lambda flag: with_segment(flag, number))
        await theirs.flags.edit(id, description=f"d{number}")

    await asyncio.gather(*map(edit, range(edits)))

    flag = emulator_process.run(read, id)
    assert set(flag["tags"]) == {"first", *(f"t{number}" for number in range(edits))}
    segments = {segment["name"]: segment for segment in flag["targetSegments"]}
    assert segments.keys() == {"Testers", *(f"s{number}" for number in range(edits))}
    values = segments["Testers"]["conditions"][0]["values"]
    assert set(values) == {"first", *(f"v{number}" for number in range(edits))}
    assert flag["description"].startswith("d")
    figures.count("edits", 3 * edits)
    figures.count("requests", ours.usage.requests + theirs.usage.requests)


def with_segment(flag: Flag, number: int) -> Flag:
    """Add a segment to a flag."""
    assert isinstance(flag.target_segments, list)
    condition = Condition(prop="gp:email", op="is", values=[f"v{number}"])
    segment = Segment(name=f"s{number}", conditions=[condition], percentage=10, rollout_weights={"on": 1})
    return attrs.evolve(flag, target_segments=[*flag.target_segments, segment])
