"""Mutex groups and holdout groups."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from amp_exp_async.emulator import Emulator

Api = Callable[..., Awaitable[Any]]
URL = "http://experiment.amplitude.com/amplitude/experiments/grouped-experiments"
HALVES = [{"percentage": 50}, {"percentage": 50}]
NEW: dict[str, Any] = {
    "mutexes": {"projectId": 1, "name": "Big Test", "slots": HALVES},
    "holdouts": {"projectId": 1, "name": "Big Test", "holdoutPercentage": 5},
}


@pytest.fixture(params=["mutexes", "holdouts"])
def groups(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def experiment(emulator: Emulator) -> int:
    """Return the ID of an experiment in project 1, as a number."""
    return int(emulator.state.add_experiment(id="50", key="child", projectId="1")["id"])


def parents(emulator: Emulator, experiment: int) -> Any:
    """Return the experiment's parent dependencies."""
    return emulator.state.experiment(str(experiment)).get("parentDependencies")


async def test_create_and_get_a_mutex_group(api: Api, emulator: Emulator, experiment: int) -> None:
    """Create returns ID and URL; get returns the documented fields only, with complete slots."""
    holdout = int(emulator.state.add_holdout(projectId=1)["id"])
    first = {"percentage": 95, "experiments": [experiment], "holdouts": [holdout], "individuals": ["u"]}
    fields = {
        "projectId": 1,
        "name": "mutex name",
        "key": "mutex-key",
        "description": None,
        "evaluationMode": "local",
        "bucketingKey": "device_id",
        "bucketingSalt": "salt",
    }
    created = await api("POST", "/mutexes", {**fields, "slots": [first, {"percentage": 5}]})
    id = created.body["id"]
    assert created.body == {"id": id, "url": URL}
    no_members: dict[str, Any] = {"experiments": [], "holdouts": [], "individuals": [], "cohorts": []}
    assert (await api("GET", f"/mutexes/{id}")).body == {
        "id": id,
        **fields,
        "slots": [
            {"name": "SLOT 1", "index": 1, "variantKey": "slot-1", **no_members, **first},
            {"name": "SLOT 2", "index": 2, "variantKey": "slot-2", **no_members, "percentage": 5},
        ],
    }


async def test_create_and_get_a_holdout_group(api: Api, experiment: int) -> None:
    """Create returns ID and URL; get also returns the creator and the times."""
    fields = {
        "projectId": 1,
        "name": "Example",
        "key": "holdout-key",
        "description": "d",
        "holdoutPercentage": 99,
        "evaluationMode": "local",
        "bucketingKey": "device_id",
        "experiments": [experiment],
        "individualInclusion": ["u"],
        "individualExclusion": ["v"],
    }
    created = await api("POST", "/holdouts", fields)
    id = created.body["id"]
    assert created.body == {"id": id, "url": URL}
    holdout = (await api("GET", f"/holdouts/{id}")).body
    assert len(holdout.pop("bucketingSalt")) == 8
    now, user = "2026-03-01T12:00:00.000Z", "emulator@example.com"
    assert holdout == {
        "id": id,
        **fields,
        "variantName": "on",
        "deleted": False,
        "createdBy": user,
        "lastModifiedBy": user,
        "createdAt": now,
        "lastModifiedAt": now,
    }


async def test_defaults(api: Api, groups: str) -> None:
    """The default key is made from the name, and is unique; the other defaults are the documented ones."""
    ids = [(await api("POST", f"/{groups}", NEW[groups])).body["id"] for _ in range(2)]
    first, second = [(await api("GET", f"/{groups}/{id}")).body for id in ids]
    assert (first["key"], second["key"]) == ("big-test", "big-test-2")
    assert (first["description"], first["evaluationMode"], first["bucketingKey"]) == (None, "remote", "amplitude_id")
    assert first["bucketingSalt"] != second["bucketingSalt"]


@pytest.mark.parametrize("taker", ["flag", "experiment", "mutex", "holdout"])
async def test_keys_are_unique_in_a_project(api: Api, emulator: Emulator, groups: str, taker: str) -> None:
    """A key must not equal that of a flag, experiment or group of the project; other projects do not matter."""
    getattr(emulator.state, f"add_{taker}")(key="taken", projectId="1")
    response = await api("POST", f"/{groups}", {**NEW[groups], "key": "taken"})
    assert (response.status, response.body["error"]) == (400, "The key taken already exists in project 1")
    assert (await api("POST", f"/{groups}", {**NEW[groups], "key": "taken", "projectId": 2})).status == 200


BOTH = [
    ({"projectId": "1"}, "projectId"),
    ({"projectId": 1.5}, "projectId"),
    ({"projectId": True}, "projectId"),
    ({"name": ""}, "name"),
    ({"name": None}, "name"),
    ({"key": "no spaces"}, "key"),
    ({"description": 5}, "description"),
    ({"evaluationMode": "cloud"}, "evaluationMode"),
    ({"bucketingKey": 5}, "bucketingKey"),
    ({"archive": False}, "archive"),
    ({"colour": "red"}, "colour"),
]


@pytest.mark.parametrize(
    ("groups", "change", "location"),
    [
        *(("mutexes", *case) for case in BOTH),
        *(("holdouts", *case) for case in BOTH),
        ("mutexes", {"slots": []}, "must add up to 100, not to 0"),
        ("mutexes", {"slots": [{"percentage": 100}] * 2}, "not to 200"),
        ("mutexes", {"slots": [{"percentage": 99}]}, "not to 99"),
        ("mutexes", {"slots": [{"percentage": 5}] * 21}, "at most 20"),
        ("mutexes", {"slots": [{"percentage": 0}, {"percentage": 100}]}, "slots[0].percentage"),
        ("mutexes", {"slots": [{"percentage": 101}]}, "slots[0].percentage"),
        ("mutexes", {"slots": [{"percentage": 50.0}] * 2}, "slots[0].percentage"),
        ("mutexes", {"slots": [{"percentage": "100"}]}, "slots[0].percentage"),
        ("mutexes", {"slots": [{}]}, "slots[0].percentage"),
        ("mutexes", {"slots": {"percentage": 100}}, "slots"),
        ("mutexes", {"slots": [{"percentage": 100, "experiments": ["50"]}]}, "slots[0].experiments[0]"),
        ("mutexes", {"slots": [{"percentage": 100, "experiments": [51]}]}, "Project 1 has no experiment with ID 51"),
        ("mutexes", {"slots": [{"percentage": 100, "experiments": [404]}]}, "no experiment with ID 404"),
        ("mutexes", {"slots": [{"percentage": 100, "holdouts": ["7"]}]}, "slots[0].holdouts[0]"),
        ("mutexes", {"slots": [{"percentage": 100, "holdouts": [404]}]}, "no holdout with ID 404"),
        ("mutexes", {"slots": [{"percentage": 100, "individuals": [5]}]}, "slots[0].individuals[0]"),
        ("mutexes", {"slots": [{"percentage": 100, "cohorts": []}]}, "slots[0].cohorts"),
        ("mutexes", {"bucketingSalt": None}, "bucketingSalt"),
        ("mutexes", {"holdoutPercentage": 5}, "holdoutPercentage"),
        ("holdouts", {"holdoutPercentage": 0}, "holdoutPercentage"),
        ("holdouts", {"holdoutPercentage": 100}, "holdoutPercentage"),
        ("holdouts", {"holdoutPercentage": 5.5}, "holdoutPercentage"),
        ("holdouts", {"holdoutPercentage": "5"}, "holdoutPercentage"),
        ("holdouts", {"experiments": ["50"]}, "experiments[0]"),
        ("holdouts", {"experiments": [51]}, "Project 1 has no experiment with ID 51"),
        ("holdouts", {"individualInclusion": "u"}, "individualInclusion"),
        ("holdouts", {"individualExclusion": [5]}, "individualExclusion[0]"),
        ("holdouts", {"bucketingSalt": "salt"}, "bucketingSalt"),
        ("holdouts", {"slots": HALVES}, "slots"),
    ],
)
async def test_create_rejects_invalid_fields(
    api: Api, emulator: Emulator, experiment: int, *, groups: str, change: Any, location: str
) -> None:
    """The status is 400 with the location, and no group or dependency is created."""
    emulator.state.add_experiment(id="51", projectId="2")
    response = await api("POST", f"/{groups}", {**NEW[groups], **change})
    assert response.status == 400
    assert location in response.body["error"]
    assert emulator.state.mutexes == emulator.state.holdouts == []
    assert parents(emulator, experiment) is None


@pytest.mark.parametrize(
    ("groups", "missing"),
    [(groups, name) for groups, fields in NEW.items() for name in fields],
)
async def test_create_requires_fields(api: Api, groups: str, missing: str) -> None:
    """A create without a required field is rejected."""
    response = await api("POST", f"/{groups}", {name: value for name, value in NEW[groups].items() if name != missing})
    assert (response.status, response.body) == (400, {"error": f'"{missing}" is required'})


async def test_twenty_slots(api: Api, emulator: Emulator) -> None:
    """A group can have 20 slots."""
    assert (await api("POST", "/mutexes", {**NEW["mutexes"], "slots": [{"percentage": 5}] * 20})).status == 200
    assert emulator.state.mutexes[0]["slots"][19]["variantKey"] == "slot-20"


async def test_edit(api: Api, emulator: Emulator, clock: Any, groups: Any) -> None:
    """The fields that were sent are set, null included; a holdout group records the time."""
    path = f"/{groups}/{emulator.state.add_group(groups, {'description': 'd'})['id']}"
    before = (await api("GET", path)).body
    clock.move(5)
    assert (await api("PATCH", path, {"name": "new", "description": None})).body == "OK"
    modified = {"lastModifiedAt": "2026-03-01T12:00:05.000Z"} if groups == "holdouts" else {}
    assert (await api("GET", path)).body == {**before, "name": "new", "description": None, **modified}


@pytest.mark.parametrize(
    ("groups", "changes", "location"),
    [
        *(
            (groups, changes, location)
            for groups in NEW
            for changes, location in (
                ({}, "no field"),
                ({"name": None}, "name"),
                ({"name": ""}, "name"),
                ({"description": 5}, "description"),
                ({"archive": "true"}, "archive"),
                ({"archive": None}, "archive"),
                ({"key": "other"}, "key"),
                ({"evaluationMode": "local"}, "evaluationMode"),
            )
        ),
        ("mutexes", {"slots": HALVES}, "slots"),
        ("mutexes", {"experiments": []}, "experiments"),
        ("holdouts", {"holdoutPercentage": 6}, "holdoutPercentage"),
        ("holdouts", {"experiments": ["50"]}, "experiments[0]"),
        ("holdouts", {"experiments": [404]}, "no experiment with ID 404"),
        ("holdouts", {"individualInclusion": None}, "individualInclusion"),
    ],
)
async def test_edit_rejects_invalid_fields(
    api: Api, emulator: Emulator, groups: Any, changes: Any, location: str
) -> None:
    """The status is 400 with the location, and the valid fields are not set."""
    group = emulator.state.add_group(groups, {})
    response = await api("PATCH", f"/{groups}/{group['id']}", {"description": "new", **changes} if changes else {})
    assert response.status == 400
    assert location in response.body["error"]
    assert getattr(emulator.state, groups) == [group]


async def test_edit_a_slot(api: Api, emulator: Emulator, experiment: int) -> None:
    """A list that was sent replaces that of the slot, which is identified by its index from 1."""
    holdout = int(emulator.state.add_holdout(projectId=1)["id"])
    path = f"/mutexes/{emulator.state.add_mutex(projectId=1)['id']}"
    first, second = (await api("GET", path)).body["slots"]
    changes = {"experiments": [experiment], "holdouts": [holdout], "individuals": ["u", "v"]}
    assert (await api("PATCH", f"{path}/slots/2", changes)).body == "OK"
    assert (await api("PATCH", f"{path}/slots/2", {"individuals": ["w"]})).status == 200
    assert (await api("GET", path)).body["slots"] == [first, {**second, **changes, "individuals": ["w"]}]


@pytest.mark.parametrize(
    ("slot", "changes", "status"),
    [
        ("0", {"individuals": []}, 404),
        ("3", {"individuals": []}, 404),
        ("first", {"individuals": []}, 400),
        ("-1", {"individuals": []}, 400),
        ("1", {}, 400),
        ("1", {"experiments": ["50"]}, 400),
        ("1", {"experiments": [404]}, 400),
        ("1", {"holdouts": [404]}, 400),
        ("1", {"individuals": "u"}, 400),
        ("1", {"percentage": 50}, 400),
        ("1", {"cohorts": []}, 400),
    ],
)
async def test_edit_a_slot_rejects_invalid_fields(
    api: Api, emulator: Emulator, slot: str, changes: Any, status: int
) -> None:
    """An unknown slot is 404, an invalid field 400, and nothing is set."""
    group = emulator.state.add_mutex()
    assert (await api("PATCH", f"/mutexes/{group['id']}/slots/{slot}", changes)).status == status
    assert emulator.state.mutexes == [group]


async def test_experiments_depend_on_their_groups(api: Api, emulator: Emulator, experiment: int) -> None:
    """Each group adds itself with the variants that admit users, in a new version of the experiment."""
    slots = [{"percentage": 50, "experiments": [experiment, experiment]}, {"percentage": 50}]
    mutex = (await api("POST", "/mutexes", {**NEW["mutexes"], "slots": slots})).body["id"]
    assert parents(emulator, experiment) == {"flags": {mutex: ["slot-1"]}, "operator": "all"}
    holdout = (await api("POST", "/holdouts", {**NEW["holdouts"], "experiments": [experiment]})).body["id"]
    assert parents(emulator, experiment)["flags"] == {mutex: ["slot-1"], holdout: ["on"]}
    await api("PATCH", f"/mutexes/{mutex}/slots/2", {"experiments": [experiment]})
    assert parents(emulator, experiment)["flags"][mutex] == ["slot-1", "slot-2"]
    await api("PATCH", f"/holdouts/{holdout}", {"experiments": []})
    await api("PATCH", f"/holdouts/{holdout}", {"name": "no new version"})
    assert parents(emulator, experiment)["flags"] == {mutex: ["slot-1", "slot-2"]}
    versions = (await api("GET", f"/experiments/{experiment}/versions")).body
    assert [len(version["flagConfig"].get("parentDependencies", {}).get("flags", [])) for version in versions] == [
        1, 2, 2, 1, 0
    ]  # fmt: skip


async def test_other_parents_stay(api: Api, emulator: Emulator) -> None:
    """Dependencies that no group made are not changed."""
    dependencies = {"flags": {"12345": ["on"]}, "operator": "any"}
    child = int(emulator.state.add_experiment(projectId=1, parentDependencies=dependencies)["id"])
    holdout = emulator.state.add_holdout(projectId=1, experiments=[child])["id"]
    assert parents(emulator, child) == {"flags": {"12345": ["on"], holdout: ["on"]}, "operator": "any"}
    await api("PATCH", f"/holdouts/{holdout}", {"archive": True})
    assert parents(emulator, child) == dependencies


async def test_archive_and_restore_a_mutex_group(api: Api, emulator: Emulator, experiment: int) -> None:
    """An archived group has no children and is not listed; the other fields of the request are ignored."""
    slots = [{"percentage": 100, "experiments": [experiment]}]
    id = emulator.state.add_mutex(projectId=1, name="old", slots=slots)["id"]
    path = f"/mutexes/{id}"
    before = (await api("GET", path)).body
    assert (await api("PATCH", path, {"archive": True, "name": 5, "colour": "red"})).body == "OK"
    assert emulator.state.mutex(id)["_deleted"] is True
    assert parents(emulator, experiment) == {"flags": {}, "operator": "all"}
    assert (await api("GET", "/mutexes")).body == {"mutexes": []}
    assert (await api("GET", path)).body == before
    assert (await api("PATCH", path, {"archive": False, "name": "new"})).body == "OK"
    assert (await api("GET", "/mutexes")).body == {"mutexes": [{**before, "name": "new"}]}
    assert parents(emulator, experiment)["flags"] == {id: ["slot-1"]}


async def test_archive_and_restore_a_holdout_group(api: Api, emulator: Emulator, experiment: int) -> None:
    """An archived group loses its children for good and is listed as deleted; the other fields are set."""
    id = emulator.state.add_holdout(projectId=1, experiments=[experiment])["id"]
    path = f"/holdouts/{id}"
    assert (await api("PATCH", path, {"archive": True, "name": 5})).status == 400
    assert (await api("PATCH", path, {"archive": True, "name": "new"})).body == "OK"
    assert parents(emulator, experiment)["flags"] == {}
    (shown,) = (await api("GET", "/holdouts")).body["holdouts"]
    assert (shown["deleted"], shown["name"]) == (True, "new")
    assert (await api("PATCH", path, {"archive": False})).body == "OK"
    assert emulator.state.holdout(id)["experiments"] == []
    assert parents(emulator, experiment)["flags"] == {}


@pytest.mark.parametrize(("method", "below"), [("GET", ""), ("PATCH", ""), ("PATCH", "/slots/1")])
async def test_an_unknown_group(api: Api, emulator: Emulator, groups: str, method: str, below: str) -> None:
    """The status is 404; the ID of a holdout group is not the ID of a mutex group."""
    other = emulator.state.add_holdout() if groups == "mutexes" else emulator.state.add_mutex()
    response = await api(method, f"/{groups}/{other['id']}{below}", {"name": "n"})
    assert response.status == 404
    assert other["id"] in response.body["error"]


async def test_a_key_sees_only_its_projects_groups(api: Api, emulator: Emulator, groups: Any) -> None:
    """Groups of other projects are 403 one by one, and absent from lists."""
    mine = emulator.state.add_group(groups, {"projectId": 1})["id"]
    other = emulator.state.add_group(groups, {"projectId": 2})["id"]
    listed = (await api("GET", f"/{groups}", key="narrow-key")).body[groups]
    assert [group["id"] for group in listed] == [mine]
    for method, path, body in (
        ("GET", f"/{groups}/{other}", None),
        ("PATCH", f"/{groups}/{other}", {"name": "n"}),
        ("POST", f"/{groups}", {**NEW[groups], "projectId": 2}),
    ):
        assert (await api(method, path, body, key="narrow-key")).status == 403
    if groups == "mutexes":
        assert (await api("PATCH", f"/mutexes/{other}/slots/1", {"experiments": []}, key="narrow-key")).status == 403


async def test_the_log_records_changes(api: Api, emulator: Emulator, groups: str) -> None:
    """The log records whether a write was applied."""
    await api("POST", f"/{groups}", NEW[groups])
    await api("POST", f"/{groups}", {**NEW[groups], "name": ""})
    assert [(request.status, request.applied) for request in emulator.requests] == [(200, True), (400, False)]
