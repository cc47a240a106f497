"""Every operation end to end: the requests, the changes and the outcome."""

from __future__ import annotations

from typing import Any

import pytest

from amp_exp_async import (
    AddCohorts,
    AddDeployments,
    AddUsers,
    AsyncExperimentClient,
    CreateExperiment,
    CreateFlag,
    CreateVariant,
    Edit,
    EditVariant,
    InvalidInputError,
    NotFoundError,
    RemoveAllUsers,
    RemoveCohorts,
    RemoveDeployment,
    RemoveUsers,
    RemoveVariant,
    ReplaceCohorts,
    ReplaceUsers,
)
from amp_exp_async.bulk.operations import OPERATIONS
from amp_exp_async.emulator import Emulator
from tests.bulk.emulator_snapshot import ABSENT, KINDS, changes, execute, populate, sent_requests, snapshot

ON = "/variants/on"

# The operation, its requests, the IDs it changes, and the fields that differ afterwards.
CASES: dict[str, tuple[Any, list[str], list[str], dict[tuple[str, ...], Any]]] = {
    "add users": (
        lambda k, i: AddUsers(k, i, "on", ["u4", "u2", "u5"]),
        [f"GET {ON}/users", f"POST {ON}/users"],
        ["u4", "u5"],
        {("on", "users"): ["u1", "u2", "u3", "u4", "u5"]},
    ),
    "add included users": (lambda k, i: AddUsers(k, i, "on", ["u2"]), [f"GET {ON}/users"], [], {}),
    "remove users": (
        lambda k, i: RemoveUsers(k, i, "on", ["u9", "u3", "u1"]),
        [f"GET {ON}/users", f"DELETE {ON}/bulk-delete-users"],
        ["u1", "u3"],
        {("on", "users"): ["u2"]},
    ),
    "remove users that are not included": (lambda k, i: RemoveUsers(k, i, "on", ["u9"]), [f"GET {ON}/users"], [], {}),
    "replace users": (
        lambda k, i: ReplaceUsers(k, i, "on", ["u3", "u4"]),
        [f"GET {ON}/users", f"POST {ON}/users", f"DELETE {ON}/bulk-delete-users"],
        ["u4", "u1", "u2"],
        {("on", "users"): ["u3", "u4"]},
    ),
    "replace users by the same": (
        lambda k, i: ReplaceUsers(k, i, "on", ["u3", "u1", "u2"]),
        [f"GET {ON}/users"],
        [],
        {},
    ),
    "replace users by none": (
        lambda k, i: ReplaceUsers(k, i, "on", [], allow_empty=True),
        [f"GET {ON}/users", f"DELETE {ON}/bulk-delete-users"],
        ["u1", "u2", "u3"],
        {("on", "users"): ABSENT},
    ),
    "remove all users": (
        lambda k, i: RemoveAllUsers(k, i, "on"),
        [f"GET {ON}/users", f"DELETE {ON}/users"],
        ["u1", "u2", "u3"],
        {("on", "users"): ABSENT},
    ),
    "add cohorts": (
        lambda k, i: AddCohorts(k, i, "on", ["c3", "c1"]),
        [f"GET {ON}/cohorts", f"POST {ON}/cohorts"],
        ["c3"],
        {("on", "cohorts"): ["c1", "c2", "c3"]},
    ),
    "remove cohorts": (
        lambda k, i: RemoveCohorts(k, i, "on", ["c1", "c9"]),
        [f"GET {ON}/cohorts", f"DELETE {ON}/bulk-delete-cohorts"],
        ["c1"],
        {("on", "cohorts"): ["c2"]},
    ),
    "replace cohorts": (
        lambda k, i: ReplaceCohorts(k, i, "on", ["c9", "c1"]),
        [f"GET {ON}/cohorts", f"POST {ON}/cohorts", f"DELETE {ON}/bulk-delete-cohorts"],
        ["c9", "c2"],
        {("on", "cohorts"): ["c1", "c9"]},
    ),
    "edit": (
        lambda k, i: Edit(k, i, {"enabled": True, "tags": ["t"]}),
        ["PATCH "],
        [],
        {("enabled",): True, ("tags",): ["t"]},
    ),
    "archive": (lambda k, i: Edit(k, i, {"archive": True}), ["PATCH "], [], {("deleted",): True}),
    "create a variant": (
        lambda k, i: CreateVariant(k, i, "new", payload={"a": [None]}, rollout_weight=0.5),
        ["POST /variants"],
        [],
        {
            ("variants",): [{"key": "on"}, {"key": "off"}, {"key": "new", "payload": {"a": [None]}}],
            ("rolloutWeights",): {"on": 1, "off": 1, "new": 0.5},
        },
    ),
    "edit a variant": (
        lambda k, i: EditVariant(k, i, "on", {"name": "On", "payload": None}),
        [f"PATCH {ON}"],
        [],
        {("variants",): [{"key": "on", "name": "On", "payload": None}, {"key": "off"}]},
    ),
    "rename a variant": (
        lambda k, i: EditVariant(k, i, "on", {"key": "an"}),
        [f"PATCH {ON}"],
        [],
        {
            ("variants",): [{"key": "an"}, {"key": "off"}],
            ("rolloutWeights",): {"an": 1, "off": 1},
            ("on", "users"): ABSENT,
            ("on", "cohorts"): ABSENT,
            ("an", "users"): ["u1", "u2", "u3"],
            ("an", "cohorts"): ["c1", "c2"],
        },
    ),
    "remove a variant": (
        lambda k, i: RemoveVariant(k, i, "on"),
        [f"DELETE {ON}"],
        [],
        {
            ("variants",): [{"key": "off"}],
            ("rolloutWeights",): {"off": 1},
            ("on", "users"): ABSENT,
            ("on", "cohorts"): ABSENT,
        },
    ),
    "add deployments": (
        lambda k, i: AddDeployments(k, i, ["52", "53"]),
        ["GET /deployments", "POST /deployments"],
        ["53"],
        {("deployments",): ["51", "52", "53"]},
    ),
    "add assigned deployments": (lambda k, i: AddDeployments(k, i, ["52"]), ["GET /deployments"], [], {}),
    "remove a deployment": (
        lambda k, i: RemoveDeployment(k, i, "51"),
        ["GET /deployments", "DELETE /deployments/51"],
        ["51"],
        {("deployments",): ["52"]},
    ),
    "remove a deployment that is not assigned": (
        lambda k, i: RemoveDeployment(k, i, "53"),
        ["GET /deployments"],
        [],
        {},
    ),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", CASES)
async def test_an_operation(client: AsyncExperimentClient, emulator: Emulator, case: str, kind: str) -> None:
    """An operation sends only the difference, changes nothing else, and reports both."""
    make, sent, changed, expected = CASES[case]
    id = populate(emulator)[kind]
    before = snapshot(emulator)
    [outcome] = await execute(client, make(kind, id))
    assert (outcome.status, outcome.ok, outcome.error, outcome.index) == ("done", True, None, 0)
    assert sent_requests(emulator) == [line.replace(" ", f" /{kind}/{id}", 1) for line in sent]
    assert (outcome.requests, list(outcome.changed), outcome.created) == (len(sent), changed, None)
    bodies = [request.body or {} for request in emulator.requests]
    ids = [id for body in bodies for name in ("inclusions", "users", "deployments") for id in body.get(name, ())]
    assert ids in ([], changed), "only IDs that make a difference are sent"
    assert changes(before, snapshot(emulator)) == {(kind, id, *place): value for place, value in expected.items()}


async def test_removing_all_of_no_users(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """Without included users, `RemoveAllUsers` writes nothing."""
    id = emulator.state.add_flag()["id"]
    [outcome] = await execute(client, RemoveAllUsers("flags", id, "on"))
    assert (outcome.status, outcome.changed) == ("done", ())
    assert sent_requests(emulator) == [f"GET /flags/{id}/variants/on/users"]


def test_every_operation_is_covered() -> None:
    """The cases and the creations below cover all operations."""
    assert {type(make("flags", "1")) for make, *_ in CASES.values()} | {CreateFlag, CreateExperiment} == set(OPERATIONS)


@pytest.mark.parametrize(("kind", "cls"), [("flags", CreateFlag), ("experiments", CreateExperiment)])
async def test_a_creation(client: AsyncExperimentClient, emulator: Emulator, kind: str, cls: type[Any]) -> None:
    """One request creates the object, and the outcome has its ID."""
    populate(emulator)
    before = snapshot(emulator)
    [outcome] = await execute(client, cls("1", "new", description="d", deployments=["51"]))
    assert (outcome.status, outcome.requests, outcome.changed) == ("done", 1, ())
    assert sent_requests(emulator) == [f"POST /{kind}"]
    assert outcome.created is not None
    created = changes(before, snapshot(emulator))
    assert {place[:2] for place in created} == {(kind, outcome.created.id)}
    fields = {place[2]: value for place, value in created.items()}
    assert (fields["key"], fields["projectId"], fields["description"], fields["deployments"]) == (
        "new",
        "1",
        "d",
        ["51"],
    )


@pytest.mark.parametrize("case", CASES)
async def test_an_unknown_flag(client: AsyncExperimentClient, emulator: Emulator, case: str) -> None:
    """An operation on an unknown flag fails after one request and changes nothing."""
    populate(emulator)
    before = snapshot(emulator)
    [outcome] = await execute(client, CASES[case][0]("flags", "99"))
    assert (outcome.status, type(outcome.error), outcome.requests) == ("failed", NotFoundError, 1)
    assert changes(before, snapshot(emulator)) == {}


@pytest.mark.parametrize("cls", [AddUsers, ReplaceUsers])
async def test_more_users_than_a_variant_can_have(
    client: AsyncExperimentClient, emulator: Emulator, cls: type[Any]
) -> None:
    """The limit of 2,000 is checked before anything is written; a replacement removes first."""
    id = populate(emulator)["flags"]
    emulator.state.add_users("flags", id, "off", [f"x{number}" for number in range(1997)])
    ids = [f"y{number}" for number in range(2000)]
    [outcome] = await execute(client, cls("flags", id, "off", ids))
    if cls is AddUsers:
        assert (outcome.status, outcome.requests, outcome.changed) == ("failed", 1, ())
        assert isinstance(outcome.error, InvalidInputError)
        assert "it has 2000, and 2000 would be added" in str(outcome.error)
        assert len(emulator.state.users("flags", id, "off")) == 2000
    else:
        assert (outcome.status, outcome.requests, len(outcome.changed)) == ("done", 22, 4000)
        assert [line.split()[0] for line in sent_requests(emulator)] == ["GET", *["DELETE"] * 20, "POST"]
        assert emulator.state.users("flags", id, "off") == ids
    assert [request.body for request in emulator.requests if request.status != 200] == []


@pytest.mark.parametrize("kind", KINDS)
async def test_many_removals(client: AsyncExperimentClient, emulator: Emulator, kind: Any) -> None:
    """Removals send 100 IDs per request, each once, and only included IDs."""
    id = populate(emulator)[kind]
    emulator.state.add_users(kind, id, "on", [f"x{number}" for number in range(400)])
    to_remove = [f"x{number}" for number in range(150, 900)]
    [outcome] = await execute(client, RemoveUsers(kind, id, "on", to_remove))
    bodies = [request.body["users"] for request in emulator.requests if request.method == "DELETE"]
    assert [len(body) for body in bodies] == [100, 100, 50]
    assert (
        [id for body in bodies for id in body] == list(outcome.changed) == [f"x{number}" for number in range(150, 400)]
    )
    assert outcome.requests == len(emulator.requests) == 4
