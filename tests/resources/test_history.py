"""Who changed what, and going back."""

from __future__ import annotations

import copy
import pickle
from datetime import UTC, datetime
from typing import Any

import pytest

from amp_exp_async import (
    UNSET,
    AsyncExperimentClient,
    Condition,
    EditConflictError,
    FieldChange,
    Flag,
    InvalidInputError,
    NotFoundError,
    Segment,
    Variant,
    VersionChange,
)
from amp_exp_async.emulator import Emulator
from amp_exp_async.resources import diff_flags
from tests.resources.fixtures import OF_A_COHORT, PILOT, STAFF, meddled, methods, put


@pytest.fixture
async def id(emulator: Emulator) -> str:
    """The id of a flag in its fourth version."""
    id = str(emulator.state.add_flag(name="one", tags=["a"], targetSegments=[copy.deepcopy(PILOT)])["id"])
    put(emulator, id, name="two", enabled=True)
    put(emulator, id, targetSegments=[PILOT | {"percentage": 20}, STAFF], tags=["b"])
    put(emulator, id, variants=[{"key": "on"}, {"key": "off"}], newHere=5)
    return id


async def test_history(client: AsyncExperimentClient, emulator: Emulator, id: str) -> None:
    """Newest first, field by field, from one request."""
    history = await client.history("flags", id)
    assert methods(emulator) == ["GET"]
    assert [change.version for change in history] == [4, 3, 2, 1]
    assert [set(change.differences) for change in history] == [
        {"variants", "newHere"},
        {"target_segments", "tags"},
        {"name", "enabled"},
        set(),
    ]
    assert history[2].differences["name"] == FieldChange("name", "one", "two")
    assert history[0].differences["newHere"] == FieldChange("newHere", UNSET, 5)
    assert all(change.created_by == "emulator@example.com" and change.created_at for change in history)
    assert pickle.loads(pickle.dumps(history)) == history


async def test_history_in_words(client: AsyncExperimentClient, id: str) -> None:
    """Only the places that differ are named."""
    four, three, two, one = [str(change) for change in await client.history("flags", id)]
    assert two.endswith('UTC: name: "one" -> "two"; enabled: false -> true')
    assert three.endswith(
        'target_segments["Pilot"].percentage: 10 -> 20; target_segments["Staff"]: (none) -> '
        '{"name": "Staff", "conditions": [], "percentage": 100, "rollout_weights": {"on": 1}}; tags: +"b", -"a"'
    )
    assert four.endswith('variants["off"]: (none) -> {"key": "off"}; newHere: (none) -> 5')
    assert one.startswith("version 1 by emulator@example.com at 20")
    assert one.endswith("no visible difference")


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ({"tags": ["a", "b"]}, {"tags": ["b", "a"]}, 'tags: ["a", "b"] -> ["b", "a"]'),
        ({"rollout_weights": {"on": 1}}, {"rollout_weights": {"on": 2}}, 'rollout_weights["on"]: 1 -> 2'),
        ({"name": None}, {"name": "x"}, 'name: null -> "x"'),
        ({"extra": {"x": {"y": 1}}}, {"extra": {"x": {"y": 2}}}, 'x["y"]: 1 -> 2'),
        (
            {"target_segments": []},
            {"target_segments": [Segment(name="A", conditions=[Condition(prop="p", op="is", values=["v"])])]},
            (
                'target_segments: [] -> [{"name": "A", "conditions": '
                '[{"prop": "p", "op": "is", "values": ["v"], "type": "property"}]}]'
            ),
        ),
        (
            {"variants": [Variant(key="on", payload=1), Variant(key="off")]},
            {"variants": [Variant(key="off")]},
            'variants["on"]: {"key": "on", "payload": 1} -> (none)',
        ),
    ],
)
def test_differences_in_words(before: Any, after: Any, words: str) -> None:
    """A difference says where it is."""
    (found,) = diff_flags(Flag(id="1", key="k", **before), Flag(id="1", key="k", **after)).values()
    assert str(found) == words


def test_a_version_without_its_maker() -> None:
    """What the service does not say is left out."""
    assert str(VersionChange(2, UNSET, None, {})) == "version 2: no visible difference"
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    change = VersionChange(2, "u", moment, {"name": FieldChange("name", "a", "a")})
    assert str(change) == "version 2 by u at 2026-01-02 03:04:05 UTC: name: no difference"


async def test_history_of_what_is_not_there(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """As for every other call; and the kind is one of two."""
    with pytest.raises(NotFoundError):
        await client.history("experiments", "404")
    emulator.requests.clear()
    wrong: Any = "flag"
    with pytest.raises(InvalidInputError, match="kind"):
        await client.history(wrong, "1")
    with pytest.raises(InvalidInputError, match="kind"):
        await client.restore_version(wrong, "1", 1)
    with pytest.raises(InvalidInputError, match="dry_run"):
        await client.restore_version("flags", "1", 1, dry_run=wrong)
    assert emulator.requests == []


async def test_a_dry_run(client: AsyncExperimentClient, emulator: Emulator, id: str) -> None:
    """It shows what would be changed, and what would not, and writes nothing."""
    shown = await client.restore_version("flags", id, 1, dry_run=True)
    assert methods(emulator) == ["GET", "GET"]
    assert set(shown.differences) == {"name", "enabled", "target_segments", "tags"}
    assert set(shown.not_restorable) == {"variants"}
    assert (shown.dry_run, shown.flag_config.name) == (True, "two")
    assert str(shown).splitlines()[0] == 'name: "two" -> "one"'
    assert str(shown).splitlines()[-1] == 'not restorable: variants["off"]: {"key": "off"} -> (none)'


async def test_restoring(client: AsyncExperimentClient, emulator: Emulator, id: str) -> None:
    """What an edit can set is as it was, in one write; the rest is named."""
    restored = await client.restore_version("flags", id, 1)
    assert methods(emulator) == ["GET", "GET", "GET", "PATCH", "GET"]
    assert emulator.requests[3].body == {"name": "one", "enabled": False, "targetSegments": [PILOT], "tags": ["a"]}
    assert set(restored.not_restorable) == {"variants"}
    assert restored.flag_config == await client.flags.get(id)
    assert [variant["key"] for variant in emulator.state.flag(id)["variants"]] == ["on", "off"]
    again = await client.restore_version("flags", id, 1)
    assert again.differences == {}


async def test_restoring_the_present_version(client: AsyncExperimentClient, emulator: Emulator, id: str) -> None:
    """There is nothing to do."""
    same = await client.restore_version("flags", id, 4)
    assert (same.differences, same.not_restorable, str(same)) == ({}, {}, "no difference")
    assert methods(emulator) == ["GET", "GET"]


async def test_an_archived_flag_stays_archived(client: AsyncExperimentClient, emulator: Emulator, id: str) -> None:
    """The versions of the service do not say whether it was."""
    put(emulator, id, deleted=True)
    assert (await client.restore_version("flags", id, 1)).flag_config.deleted is True


@pytest.mark.parametrize("dry_run", [True, False])
async def test_a_cohort_in_either_version(
    client: AsyncExperimentClient, emulator: Emulator, id: str, dry_run: bool
) -> None:
    """The segments cannot be written, from it or to it, and the message names the one; a dry run tells as much."""
    put(emulator, id, targetSegments=[OF_A_COHORT])
    with pytest.raises(InvalidInputError, match='"Whales"'):
        await client.restore_version("flags", id, 4, dry_run=dry_run)
    put(emulator, id, targetSegments=[PILOT])
    with pytest.raises(InvalidInputError, match='"Whales"'):
        await client.restore_version("flags", id, 5, dry_run=dry_run)
    assert "PATCH" not in methods(emulator)
    put(emulator, id, targetSegments=[OF_A_COHORT], name="other")
    assert set((await client.restore_version("flags", id, 5, dry_run=dry_run)).differences) == {"name"}


async def test_others_write_meanwhile(client: AsyncExperimentClient, emulator: Emulator, id: str) -> None:
    """As in every guarded edit."""
    with pytest.raises(EditConflictError, match="name"):
        await meddled(client, emulator, id, 2, name="theirs").restore_version("flags", id, 1)


async def test_an_experiment(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """With the fields that only experiments have."""
    id = str(emulator.state.add_experiment(endDate="2026-01-01")["id"])
    put(emulator, id, "experiments", endDate=None, state="running")
    restored = await client.restore_version("experiments", id, 1)
    assert set(restored.differences) == {"end_date"}
    assert set(restored.not_restorable) == {"state"}
    assert emulator.state.experiment(id)["endDate"] == "2026-01-01"
