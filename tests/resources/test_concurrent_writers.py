"""Guarded edits by several clients that know nothing of each other, on one flag."""

from __future__ import annotations

import copy
from asyncio import TaskGroup
from random import Random
from typing import Any

import attrs
import pytest

from amp_exp_async import AsyncExperimentClient, Flag
from amp_exp_async.emulator import Emulator
from tests.resources.fixtures import PILOT, STAFF
from tests.resources.interleaving import Turns

WRITERS = ["ann", "bo", "cy", "di"]
EDITS = 12


class Model:
    """What must be in the flag: all that was added and changed, and nothing that was removed."""

    def __init__(self) -> None:
        self.tags = {"base"}
        self.values = set(PILOT["conditions"][0]["values"])
        self.segments: dict[str, float] = {"Pilot": PILOT["percentage"]}


async def write(
    client: AsyncExperimentClient, id: str, writer: str, *, model: Model, chance: Random, turns: Turns
) -> None:
    """Edit the flag again and again, each edit of what this writer has made; and note in the model what it was told."""
    for number in range(EDITS):
        turns.begin(writer)
        new = f"{writer}-{number}"
        tags = sorted(tag for tag in model.tags if tag.startswith(writer))
        segments = sorted(name for name in model.segments if name.startswith(writer))
        match chance.choice(["tag", "value", "segment", "untag", "resize", "remove", "several"]):
            case "untag" if tags:
                await client.flags.tags.remove(id, tags[:1])
                model.tags.remove(tags[0])
            case "resize" if segments:
                await client.flags.segments.edit(id, segments[0], percentage=number)
                model.segments[segments[0]] = number
            case "remove" if segments:
                await client.flags.segments.remove(id, segments[0])
                del model.segments[segments[0]]
            case "several":
                await client.flags.guarded_edit(id, lambda flag, new=new: with_both(flag, new))
                model.tags.add(new)
                model.segments[new] = STAFF["percentage"]
            case "tag":
                await client.flags.tags.add(id, [new])
                model.tags.add(new)
            case "segment":
                segment = {"name": new, "conditions": [], "percentage": 1, "rollout_weights": {"on": 1}}
                await client.flags.segments.add(id, segment)
                model.segments[new] = 1
            case _:
                await client.flags.segments.add_values(id, "Pilot", "gp:email", [new], case="exact")
                model.values.add(new)
    turns.leave(writer)


def with_both(flag: Flag, new: str) -> Flag:
    """The flag with one more tag, and one more segment in front of the others."""
    pilot, *others = flag.target_segments or ()
    first = attrs.evolve(pilot, name=new, percentage=STAFF["percentage"])
    return attrs.evolve(flag, tags=[*(flag.tags or ()), new], target_segments=[first, pilot, *others])


@pytest.mark.parametrize("seed", range(6))
async def test_interleaved_writers_lose_nothing(emulator: Emulator, seed: int) -> None:
    """Whatever others read and write before, between and after: only the documented window could lose anything."""
    id = str(emulator.state.add_flag(tags=["base"], targetSegments=[copy.deepcopy(PILOT)])["id"])
    model, turns = Model(), Turns(seed, WRITERS)

    async def work(writer: str) -> None:
        async with AsyncExperimentClient(
            emulator.api_key, base_url=emulator.base_url, rate_limit=None, trace_configs=[turns.of(writer)]
        ) as client:
            await write(client, id, writer, model=model, chance=Random(f"{writer} {seed}"), turns=turns)

    async with TaskGroup() as group:
        for writer in WRITERS:
            group.create_task(work(writer))
    flag: Any = emulator.state.flag(id)
    assert set(flag["tags"]) == model.tags
    found = {segment["name"]: segment for segment in flag["targetSegments"]}
    assert {name: segment["percentage"] for name, segment in found.items()} == model.segments
    assert set(found["Pilot"]["conditions"][0].pop("values")) == model.values
    expected = copy.deepcopy(PILOT)
    del expected["conditions"][0]["values"]
    assert found["Pilot"] == expected
