"""The history of a flag, and restoring a version."""

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
from tests.resources.concurrent_writers import (
    COHORT_SEGMENT,
    PILOT,
    STAFF,
    sent_methods,
    with_concurrent_write,
    write_elsewhere,
)


@pytest.fixture
async def id(emulator: Emulator) -> str:
    """The ID of a flag with four versions."""
    id = str(emulator.state.add_flag(name="one", tags=["a"], targetSegments=[copy.deepcopy(PILOT)])["id"])
    write_elsewhere(emulator, id, name="two", enabled=True)
    write_elsewhere(emulator, id, targetSegments=[PILOT | {"percentage": 20}, STAFF], tags=["b"])
    write_elsewhere(emulator, id, variants=[{"key": "on"}, {"key": "off"}], newHere=5)
    return id


async def test_history(client: AsyncExperimentClient, emulator: Emulator, id: str) -> None:
    """One request gives the changes of each version, newest first."""
    history = await client.history("flags", id)
    assert sent_methods(emulator) == ["GET"]
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


async def test_the_text_of_a_version(client: AsyncExperimentClient, id: str) -> None:
    """The text names only the places that differ."""
    fourth, third, second, first = [str(change) for change in await client.history("flags", id)]
    assert second.endswith('UTC: name: "one" -> "two"; enabled: false -> true')
    assert third.endswith(
        'target_segments["Pilot"].percentage: 10 -> 20; target_segments["Staff"]: (none) -> '
        '{"name": "Staff", "conditions": [], "percentage": 100, "rollout_weights": {"on": 1}}; tags: +"b", -"a"'
    )
    assert fourth.endswith('variants["off"]: (none) -> {"key": "off"}; newHere: (none) -> 5')
    assert first.startswith("version 1 by emulator@example.com at 20")
    assert first.endswith("UTC: created")


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
def test_the_text_of_a_change(before: Any, after: Any, words: str) -> None:
    """The text has the location and both values as JSON."""
    (change,) = diff_flags(Flag(id="1", key="k", **before), Flag(id="1", key="k", **after)).values()
    assert str(change) == words


def test_a_version_without_an_author() -> None:
    """Missing metadata is omitted."""
    assert str(VersionChange(2, UNSET, None, {})) == "version 2: no visible difference"
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    change = VersionChange(2, "u", moment, {"name": FieldChange("name", "a", "a")})
    assert str(change) == "version 2 by u at 2026-01-02 03:04:05 UTC: name: no difference"


async def test_an_unknown_flag_or_kind(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """The errors are those of other calls."""
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
    """It shows the changes, and what cannot be restored, and writes nothing."""
    shown = await client.restore_version("flags", id, 1, dry_run=True)
    assert sent_methods(emulator) == ["GET", "GET"]
    assert set(shown.differences) == {"name", "enabled", "target_segments", "tags"}
    assert set(shown.not_restorable) == {"variants"}
    assert (shown.dry_run, shown.flag_config.name) == (True, "two")
    assert str(shown).splitlines()[0] == 'name: "two" -> "one"'
    assert str(shown).splitlines()[-1] == 'not restorable: variants["off"]: {"key": "off"} -> (none)'


async def test_restoring(client: AsyncExperimentClient, emulator: Emulator, id: str) -> None:
    """One write restores the editable fields, and the result names the others."""
    restored = await client.restore_version("flags", id, 1)
    assert sent_methods(emulator) == ["GET", "GET", "GET", "PATCH", "GET"]
    assert emulator.requests[3].body == {"name": "one", "enabled": False, "targetSegments": [PILOT], "tags": ["a"]}
    assert set(restored.not_restorable) == {"variants"}
    assert restored.flag_config == await client.flags.get(id)
    assert [variant["key"] for variant in emulator.state.flag(id)["variants"]] == ["on", "off"]
    repeated = await client.restore_version("flags", id, 1)
    assert repeated.differences == {}


async def test_restoring_the_live_version(client: AsyncExperimentClient, emulator: Emulator, id: str) -> None:
    """Nothing is written."""
    same = await client.restore_version("flags", id, 4)
    assert (same.differences, same.not_restorable, str(same)) == ({}, {}, "no difference")
    assert sent_methods(emulator) == ["GET", "GET"]


async def test_an_archived_flag_stays_archived(client: AsyncExperimentClient, emulator: Emulator, id: str) -> None:
    """A version does not say whether the flag was archived, so restoring one does not un-archive it."""
    write_elsewhere(emulator, id, deleted=True)
    before = len(emulator.requests)
    with pytest.raises(InvalidInputError, match=r"is archived.*Nothing was written\."):
        await client.restore_version("flags", id, 1)
    assert {request.method for request in list(emulator.requests)[before:]} == {"GET"}
    assert emulator.state.flag(id)["deleted"] is True


@pytest.mark.parametrize("dry_run", [True, False])
async def test_a_cohort_condition_in_either_version(
    client: AsyncExperimentClient, emulator: Emulator, id: str, dry_run: bool
) -> None:
    """The segments cannot be written from or to it, which a dry run detects too. The message names the segment."""
    write_elsewhere(emulator, id, targetSegments=[COHORT_SEGMENT])
    with pytest.raises(InvalidInputError, match='"Whales"'):
        await client.restore_version("flags", id, 4, dry_run=dry_run)
    write_elsewhere(emulator, id, targetSegments=[PILOT])
    with pytest.raises(InvalidInputError, match='"Whales"'):
        await client.restore_version("flags", id, 5, dry_run=dry_run)
    assert "PATCH" not in sent_methods(emulator)
    write_elsewhere(emulator, id, targetSegments=[COHORT_SEGMENT], name="other")
    assert set((await client.restore_version("flags", id, 5, dry_run=dry_run)).differences) == {"name"}


async def test_a_concurrent_write(client: AsyncExperimentClient, emulator: Emulator, id: str) -> None:
    """It conflicts, as with every guarded edit."""
    with pytest.raises(EditConflictError, match="name"):
        await with_concurrent_write(client, emulator, id, 2, name="theirs").restore_version("flags", id, 1)


async def test_an_experiment(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """Fields that only experiments have are restored."""
    id = str(emulator.state.add_experiment(endDate="2026-01-01")["id"])
    write_elsewhere(emulator, id, "experiments", endDate=None, state="running")
    restored = await client.restore_version("experiments", id, 1)
    assert set(restored.differences) == {"end_date"}
    assert restored.not_restorable == {}  # a version has no state
    assert emulator.state.experiment(id)["endDate"] == "2026-01-01"


def test_a_long_list_is_short() -> None:
    """A change of thousands of values shows the first ones, and the number of the others."""
    before = ["old", *(f"user-{number}" for number in range(2000))]
    text = str(FieldChange("tags", before, ["new", *before[:1], *before[101:]]))
    assert text.startswith('tags: +"new", -"user-0", -"user-1", ')
    assert text.endswith('-"user-19", -80 more')
