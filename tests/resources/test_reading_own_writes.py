"""Reads that lag behind writes: what a client has just written is not lost, and what it has created is found."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import attrs
import pytest

from amp_exp_async import (
    AddCohorts,
    AddDeployments,
    AddUsers,
    AsyncExperimentClient,
    CreateFlag,
    CreateVariant,
    Edit,
    EditVariant,
    NotFoundError,
    RemoveAllUsers,
    RemoveCohorts,
    RemoveDeployment,
    RemoveUsers,
    RemoveVariant,
    ReplaceUsers,
    loads,
)
from amp_exp_async.emulator import EmulatorState
from amp_exp_async.http.recent_writes import LAG, RecentWrites
from tests.resources.lagging_service import LaggingService, lagging_service

FLAG = "5"
ON = ("flags", FLAG, "on")


def prepare(state: EmulatorState) -> None:
    """Add a flag and a deployment."""
    state.add_deployment(id="7", label="web")
    state.add_flag(id=FLAG, key="f", name="old", tags=["t"])
    state.add_users("flags", FLAG, "on", ["u0"])


@pytest.fixture(params=[0.1, 0.5])
async def service(request: pytest.FixtureRequest) -> AsyncIterator[LaggingService]:
    """Serve the flag. Reads lag by a tenth or half of a second."""
    async with lagging_service(prepare, request.param) as service:
        yield service


@pytest.fixture
async def lagging(service: LaggingService) -> AsyncIterator[AsyncExperimentClient]:
    """Return a client of that service."""
    async with AsyncExperimentClient(service.primary.api_key, base_url=service.base_url, rate_limit=None) as client:
        yield client


RUNS: dict[str, tuple[list[Any], list[str]]] = {
    "add, remove": ([AddUsers(*ON, ["u1"]), RemoveUsers(*ON, ["u1"])], ["u0"]),
    "remove, add": ([RemoveUsers(*ON, ["u0"]), AddUsers(*ON, ["u0"])], ["u0"]),
    "add, replace": ([AddUsers(*ON, ["u1"]), ReplaceUsers(*ON, ["u2"])], ["u2"]),
    "replace, replace": ([ReplaceUsers(*ON, ["u1"]), ReplaceUsers(*ON, ["u0"])], ["u0"]),
    "remove all, add": ([RemoveAllUsers(*ON), AddUsers(*ON, ["u0"])], ["u0"]),
    "add, remove all": ([RemoveUsers(*ON, ["u0"]), AddUsers(*ON, ["u1"]), RemoveAllUsers(*ON)], []),
    "a new variant with an old key": (
        [RemoveVariant(*ON), CreateVariant(*ON), AddUsers(*ON, ["u0"])],
        ["u0"],
    ),
    "a renamed variant": (
        [
            AddUsers(*ON, ["u1"]),
            EditVariant(*ON, {"key": "b"}),
            RemoveUsers("flags", FLAG, "b", ["u1"]),
            EditVariant("flags", FLAG, "b", {"key": "on"}),
        ],
        ["u0"],
    ),
}


@pytest.mark.parametrize("name", RUNS)
async def test_operations_on_included_users(name: str, service: LaggingService, lagging: AsyncExperimentClient) -> None:
    """Each operation of a run sees those before it."""
    operations, expected = RUNS[name]
    assert (await lagging.bulk(operations)).done == len(operations)
    assert service.primary.state.users("flags", FLAG, "on") == expected


async def test_operations_on_cohorts_and_deployments(service: LaggingService, lagging: AsyncExperimentClient) -> None:
    """Each operation of a run sees those before it."""
    operations = [
        *(AddCohorts(*ON, ["c"]), RemoveCohorts(*ON, ["c"])),
        *(AddDeployments("flags", FLAG, deployments=["7"]), RemoveDeployment("flags", FLAG, deployment="7")),
    ]
    assert (await lagging.bulk(operations)).done == 4
    state = service.primary.state
    assert (state.cohorts("flags", FLAG, "on"), state.flag(FLAG)["deployments"]) == ([], [])


async def test_a_run_sees_plain_calls(service: LaggingService, lagging: AsyncExperimentClient) -> None:
    """What the same client has just added with a method is removed by a run."""
    await lagging.flags.users.add(FLAG, "on", ["u1"])
    await lagging.flags.users.remove_many(FLAG, "on", ["u0", "u1"])
    assert service.primary.state.users("flags", FLAG, "on") == []


async def test_new_objects_are_found(service: LaggingService, lagging: AsyncExperimentClient) -> None:
    """A run reads the users of a flag and of variants that it has just created."""
    operations = [
        CreateFlag("1", "new", variants=[{"key": "on"}]),
        AddUsers("flags", key="new", variant="on", users=["u1"]),
        CreateVariant("flags", key="new", variant="b"),
        AddUsers("flags", key="new", variant="b", users=["u2"]),
        Edit("flags", key="new", changes={"name": "n"}),
    ]
    summary = await lagging.bulk(operations)
    assert summary.done == 5
    [created] = [flag for flag in service.primary.state.flags if flag["key"] == "new"]
    users = service.primary.state.users
    assert (users("flags", created["id"], "on"), users("flags", created["id"], "b")) == (["u1"], ["u2"])
    assert (await lagging.flags.get(created["id"])).name in {"new", "n"}


async def test_a_new_flag_is_found_by_its_key(lagging: AsyncExperimentClient) -> None:
    """Also if the project is not named, and if another project has a flag with the key."""
    created = await lagging.flags.create(project_id="1", key="new")
    assert (await lagging.flags.find("new")).id == created.id


async def test_a_key_of_two_projects(lagging: AsyncExperimentClient, service: LaggingService) -> None:
    """A run does not take a flag of another project for the one that it has just created."""
    await lagging.flags.create(project_id="2", key="new")
    await asyncio.sleep(1.0)
    operations = [CreateFlag("1", "new"), Edit("flags", key="new", changes={"name": "n"})]
    outcomes = [outcome async for outcome in lagging.bulk(operations)]
    assert [outcome.status for outcome in outcomes] == ["done", "failed"]
    assert "exists 2 times" in str(outcomes[1].error)
    assert [flag["name"] for flag in service.primary.state.flags if flag["key"] == "new"] == ["new", "new"]


async def test_a_plan_creates_a_flag_with_users(lagging: AsyncExperimentClient) -> None:
    """The creation and the inclusions of a new flag are applied in one run."""
    plan = await lagging.plan(
        loads('project_id: "1"\nflags: [{key: new, variants: [{key: a, users: [u1]}, {key: b, users: [u2]}]}]')
    )
    assert (await lagging.apply(plan)).done == 3


GUARDED: dict[str, tuple[Callable[[AsyncExperimentClient], Awaitable[Any]], dict[str, Any]]] = {
    "tags": (lambda client: client.flags.tags.add(FLAG, ["more"]), {"name": "y", "tags": ["mine", "more"]}),
    "back": (
        lambda client: client.flags.guarded_edit(FLAG, lambda flag: attrs.evolve(flag, name="old")),
        {"name": "old", "tags": ["mine"]},
    ),
}


@pytest.mark.parametrize("name", GUARDED)
async def test_a_guarded_edit_after_a_plain_one(
    name: str, service: LaggingService, lagging: AsyncExperimentClient
) -> None:
    """It starts from what the same client has just written."""
    edit, expected = GUARDED[name]
    await lagging.flags.edit(FLAG, tags=["mine"])
    await lagging.flags.edit(FLAG, name="y")
    await edit(lagging)
    flag = service.primary.state.flag(FLAG)
    assert {field: flag[field] for field in expected} == expected


async def test_an_object_that_is_removed_is_not_looked_for(lagging: AsyncExperimentClient) -> None:
    """Only an object that was created and not removed since is expected to appear."""
    await lagging.flags.variants.create(FLAG, key="b")
    await lagging.flags.variants.remove(FLAG, "b")
    with pytest.raises(NotFoundError) as caught:
        await lagging.flags.variants.get(FLAG, "nope")
    assert caught.value.attempts == 1


class Clock:
    """A clock that is set."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_recent_writes_expire() -> None:
    """After the lag, only what is read counts, also if the path is written all the time."""
    clock = Clock()
    recent = RecentWrites(clock)
    recent.add_creation("/flags/1")
    recent.add_edit("/flags/1", {"name": "a"})
    recent.empty_list("/flags/1/variants/on/users")
    recent.change_list("/flags/1/variants/on/users", added=["a", "b"], removed=["b"])
    assert recent.is_new("/flags/1/variants/on")
    assert not recent.is_new("/flags/12")
    assert recent.edited_fields("/flags/1") == {"name": "a"}
    assert recent.apply_to_list("/flags/1/variants/on/users", ["x"]) == ["a"]
    clock.now += LAG / 2
    recent.add_edit("/flags/1", {"tags": []})
    recent.change_list("/flags/1/variants/on/users", added=["c"])
    assert recent.edited_fields("/flags/1") == {"name": "a", "tags": []}
    clock.now += LAG / 2
    assert not recent.is_new("/flags/1")
    assert recent.apply_to_list("/flags/1/variants/on/users", ["x", "b"]) == ["x", "b", "c"]
    clock.now += LAG
    assert recent.edited_fields("/flags/1") == {}
    assert recent.apply_to_list("/flags/1/variants/on/users", ["x"]) == ["x"]


def test_many_recent_writes() -> None:
    """Only those of the last seconds count."""
    clock = Clock()
    recent = RecentWrites(clock)
    for number in range(1000):
        clock.now += LAG / 8  # exact in binary
        recent.add_creation(f"/flags/{number}")
        recent.add_edit(f"/flags/{number}", {"name": "n"})
        recent.change_list("/flags/1/deployments", added=[f"{number}"])
    assert sum(recent.is_new(f"/flags/{number}") for number in range(1000)) == 8
    assert len(recent.apply_to_list("/flags/1/deployments", [])) == 8
