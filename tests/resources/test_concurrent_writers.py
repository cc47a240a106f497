"""Guarded edits of one flag by several independent clients."""

from __future__ import annotations

import copy
from asyncio import TaskGroup
from random import Random
from typing import Any

import attrs
import pytest

from amp_exp_async import AsyncExperimentClient, Flag
from amp_exp_async.emulator import Emulator
from tests.resources.concurrent_writers import PILOT, STAFF
from tests.resources.interleaving import Interleaving

WRITERS = ["ann", "bo", "cy", "di"]
EDITS = 12


class ExpectedFlag:
    """The flag that must result: every addition and change, and no removed item."""

    def __init__(self) -> None:
        self.tags = {"base"}
        self.values = set(PILOT["conditions"][0]["values"])
        self.segments: dict[str, float] = {"Pilot": PILOT["percentage"]}


async def write(
    client: AsyncExperimentClient,
    id: str,
    writer: str,
    *,
    expected_flag: ExpectedFlag,
    chance: Random,
    interleaving: Interleaving,
) -> None:
    """Edit the flag repeatedly, each time something of this writer's, and record each confirmed edit."""
    for number in range(EDITS):
        interleaving.start_edit(writer)
        new = f"{writer}-{number}"
        tags = sorted(tag for tag in expected_flag.tags if tag.startswith(writer))
        segments = sorted(name for name in expected_flag.segments if name.startswith(writer))
        match chance.choice(["tag", "value", "segment", "untag", "resize", "remove", "several"]):
            case "untag" if tags:
                await client.flags.tags.remove(id, tags[:1])
                expected_flag.tags.remove(tags[0])
            case "resize" if segments:
                await client.flags.segments.edit(id, segments[0], percentage=number)
                expected_flag.segments[segments[0]] = number
            case "remove" if segments:
                await client.flags.segments.remove(id, segments[0])
                del expected_flag.segments[segments[0]]
            case "several":
                await client.flags.guarded_edit(id, lambda flag, new=new: with_both(flag, new))
                expected_flag.tags.add(new)
                expected_flag.segments[new] = STAFF["percentage"]
            case "tag":
                await client.flags.tags.add(id, [new])
                expected_flag.tags.add(new)
            case "segment":
                segment = {"name": new, "conditions": [], "percentage": 1, "rollout_weights": {"on": 1}}
                await client.flags.segments.add(id, segment)
                expected_flag.segments[new] = 1
            case _:
                await client.flags.segments.add_values(id, "Pilot", "gp:email", [new], case="exact")
                expected_flag.values.add(new)
    interleaving.finish(writer)


def with_both(flag: Flag, new: str) -> Flag:
    """Return the flag with one more tag, and one more segment at the front."""
    pilot, *others = flag.target_segments or ()
    first = attrs.evolve(pilot, name=new, percentage=STAFF["percentage"])
    return attrs.evolve(flag, tags=[*(flag.tags or ()), new], target_segments=[first, pilot, *others])


@pytest.mark.parametrize("seed", range(6))
async def test_no_change_is_lost(emulator: Emulator, seed: int) -> None:
    """With requests in any order outside the documented window, no change is lost."""
    id = str(emulator.state.add_flag(tags=["base"], targetSegments=[copy.deepcopy(PILOT)])["id"])
    expected_flag, interleaving = ExpectedFlag(), Interleaving(seed, WRITERS)

    async def work(writer: str) -> None:
        async with AsyncExperimentClient(
            emulator.api_key,
            base_url=emulator.base_url,
            rate_limit=None,
            trace_configs=[interleaving.trace_config(writer)],
        ) as client:
            await write(
                client,
                id,
                writer,
                expected_flag=expected_flag,
                chance=Random(f"{writer} {seed}"),
                interleaving=interleaving,
            )

    async with TaskGroup() as group:
        for writer in WRITERS:
            group.create_task(work(writer))
    flag: Any = emulator.state.flag(id)
    assert set(flag["tags"]) == expected_flag.tags
    live = {segment["name"]: segment for segment in flag["targetSegments"]}
    assert {name: segment["percentage"] for name, segment in live.items()} == expected_flag.segments
    assert set(live["Pilot"]["conditions"][0].pop("values")) == expected_flag.values
    expected = copy.deepcopy(PILOT)
    del expected["conditions"][0]["values"]
    assert live["Pilot"] == expected
