"""The life of mutex and holdout groups, and the versions of all projects, with both clients."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from amp_exp_async import BadRequestError, Created, Experiment, Flag, MutexSlot, NotFoundError
from amp_exp_async.emulator import Emulator
from tests.operations.conftest import PROJECT
from tests.operations.recording_server import run


@pytest.fixture
def experiments(emulator: Emulator) -> list[str]:
    """The IDs of two experiments of the project."""
    return [emulator.state.add_experiment(projectId=PROJECT, key=key)["id"] for key in ("first", "second")]


@pytest.fixture
async def mutex(client: Any, experiments: list[str]) -> Created:
    """A mutex group with the first experiment in its first slot."""
    slots = [MutexSlot(percentage=30, experiments=experiments[:1], individuals=["u"]), {"percentage": 70}]
    made: Created = await run(client.mutexes.create(project_id=PROJECT, name="Prices", slots=slots, description="d"))
    return made


@pytest.fixture
async def holdout(client: Any, experiments: list[str]) -> Created:
    """A holdout group with both experiments."""
    made: Created = await run(
        client.holdouts.create(
            project_id=PROJECT, name="Nobody", key="none", holdout_percentage=10, experiments=experiments
        )
    )
    return made


def parents(emulator: Emulator, experiment: str) -> Any:
    """Return the groups that an experiment depends on."""
    return emulator.state.experiment(experiment).get("parentDependencies", {}).get("flags", {})


async def test_a_mutex_group(client: Any, emulator: Emulator, mutex: Created, experiments: list[str]) -> None:
    """The group and its slots are created, read and edited, and its experiments depend on it."""
    live = await run(client.mutexes.get(mutex.id))
    assert (live.id, live.project_id, live.name, live.description) == (mutex.id, PROJECT, "Prices", "d")
    assert [(slot.index, slot.percentage, slot.experiments) for slot in live.slots] == [
        (1, 30, experiments[:1]),
        (2, 70, []),
    ]
    assert emulator.state.mutex(mutex.id)["slots"][0]["experiments"] == [int(experiments[0])]
    assert parents(emulator, experiments[0]) == {mutex.id: ["slot-1"]}
    assert (await run(client.mutexes.list()))[0] == live

    await run(client.mutexes.edit(mutex.id, name="Other", description=None))
    await run(client.mutexes.edit_slot(mutex.id, live.slots[1].index, experiments=experiments[1:], individuals=["v"]))
    changed = await run(client.mutexes.get(mutex.id))
    assert (changed.name, changed.description, changed.slots[0]) == ("Other", None, live.slots[0])
    assert (changed.slots[1].experiments, changed.slots[1].individuals) == (experiments[1:], ["v"])
    assert parents(emulator, experiments[1]) == {mutex.id: ["slot-2"]}
    with pytest.raises(NotFoundError):
        await run(client.mutexes.edit_slot(mutex.id, 3, individuals=["v"]))


async def test_a_holdout_group(client: Any, emulator: Emulator, holdout: Created, experiments: list[str]) -> None:
    """The group is created, read and edited, and its experiments depend on it."""
    live = await run(client.holdouts.get(holdout.id))
    assert (live.id, live.key, live.holdout_percentage) == (holdout.id, "none", 10)
    assert (live.experiments, live.deleted) == (experiments, False)
    assert datetime.now(UTC) - live.created_at < timedelta(minutes=1)
    assert emulator.state.holdout(holdout.id)["experiments"] == [int(id) for id in experiments]
    assert all(holdout.id in parents(emulator, experiment) for experiment in experiments)
    await run(client.holdouts.edit(holdout.id, name="n", experiments=experiments[1:], individual_exclusion=["u"]))
    changed = await run(client.holdouts.get(holdout.id))
    assert (changed.name, changed.experiments, changed.individual_exclusion) == ("n", experiments[1:], ["u"])
    assert (changed.key, changed.holdout_percentage) == ("none", 10)
    assert parents(emulator, experiments[0]) == {}
    with pytest.raises(BadRequestError, match="exists"):
        await run(client.holdouts.create(project_id=PROJECT, name="n", key="none", holdout_percentage=5))


async def test_a_holdout_group_in_a_slot(client: Any, mutex: Created, holdout: Created) -> None:
    """A slot may contain holdout groups, and IDs that were read can be written back."""
    await run(client.mutexes.edit_slot(mutex.id, 2, holdouts=[holdout.id]))
    [_, slot] = (await run(client.mutexes.get(mutex.id))).slots
    assert slot.holdouts == [holdout.id]
    await run(client.mutexes.edit_slot(mutex.id, 2, holdouts=slot.holdouts))


@pytest.mark.parametrize("kind", ["mutexes", "holdouts"])
async def test_archived_and_restored(
    *, client: Any, emulator: Emulator, kind: str, mutex: Created, holdout: Created, experiments: list[str]
) -> None:
    """The experiments of an archived group do not depend on it. Restoring a holdout group does not add them."""
    id = {"mutexes": mutex.id, "holdouts": holdout.id}[kind]
    groups = getattr(client, kind)
    await run(groups.archive(id))
    assert id not in parents(emulator, experiments[0])
    assert (await run(groups.get(id))).id == id
    await run(groups.restore(id))
    assert (id in parents(emulator, experiments[0])) == (kind == "mutexes")
    await run(groups.edit(id, archive=True))
    assert id not in parents(emulator, experiments[0])


@pytest.mark.parametrize("kind", ["mutexes", "holdouts"])
async def test_a_long_list(client: Any, emulator: Emulator, kind: str) -> None:
    """All pages are read, newest first."""
    add = {"mutexes": emulator.state.add_mutex, "holdouts": emulator.state.add_holdout}[kind]
    ids = [add(name=f"n{number}")["id"] for number in range(7)]
    assert [live.id for live in await run(getattr(client, kind).list(limit=3))] == ids[::-1]
    assert len(emulator.requests) == 3


async def test_versions_of_all_projects(client: Any, emulator: Emulator, experiments: list[str]) -> None:
    """Versions of flags and experiments are listed together, newest first, with numbers as cursors."""
    flag = await run(client.flags.create(project_id="8", key="checkout", name="Checkout"))
    await run(client.experiments.edit(experiments[0], name="Renamed"))
    await run(client.flags.edit(flag.id, enabled=False))
    versions = await run(client.versions.list(limit=2))
    assert [(type(version.config), version.config.id, version.version) for version in versions] == [
        (Flag, flag.id, 2),
        (Experiment, experiments[0], 2),
        (Flag, flag.id, 1),
        (Experiment, experiments[1], 1),
        (Experiment, experiments[0], 1),
    ]
    assert [version.config.name for version in versions][1:3] == ["Renamed", "Checkout"]
    cursors = [request.query.get("cursor") for request in emulator.requests if request.method == "GET"]
    assert [str(cursor).isdigit() for cursor in cursors] == [False, True, True]
    assert versions[0] == await run(client.flags.versions.get(flag.id, 2))


async def test_versions_in_a_time_range(client: Any, emulator: Emulator) -> None:
    """The start is inclusive, the end exclusive."""
    hour = datetime(2026, 3, 1, 12, tzinfo=UTC)
    for number in range(3):
        emulator.clock = lambda number=number: hour + timedelta(hours=number)
        emulator.state.add_flag(key=f"k{number}")

    async def keys(**times: datetime) -> list[str]:
        return [version.config.key for version in await run(client.versions.list(**times))]

    assert await keys(start=hour + timedelta(hours=1)) == ["k2", "k1"]
    assert await keys(end=hour + timedelta(hours=1)) == ["k0"]
    assert await keys(start=hour, end=hour + timedelta(hours=2)) == ["k1", "k0"]
    assert await keys(start=hour + timedelta(milliseconds=1), end=hour + timedelta(hours=1)) == []
