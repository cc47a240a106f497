"""Flags and experiments: list, get, create, edit, versions."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from amp_exp_async.emulator import Emulator

Api = Callable[..., Awaitable[Any]]


async def test_a_new_object_is_found_as_it_was_created(api: Api, kind: str) -> None:
    """Create answers id and url, and get shows the fields that were sent beside the defaults."""
    created = await api("POST", f"/{kind}", {"projectId": "7", "key": "checkout", "description": "d"})
    id = created.body["id"]
    assert created.body == {"id": id, "url": f"http://experiment.amplitude.com/amplitude/7/config/{id}"}
    found = (await api("GET", f"/{kind}/{id}")).body
    assert (found["key"], found["name"], found["description"], found["projectId"]) == ("checkout", "checkout", "d", "7")
    assert found["createdAt"] == "2026-03-01T12:00:00.000Z"
    assert found["deleted"] is found["enabled"] is False


async def test_default_variants(api: Api) -> None:
    """A flag begins with on, an experiment with control and treatment, each with weight 1."""
    for kind, keys in (("flags", ["on"]), ("experiments", ["control", "treatment"])):
        created = await api("POST", f"/{kind}", {"projectId": "1", "key": "x"})
        found = (await api("GET", f"/{kind}/{created.body['id']}")).body
        assert [variant["key"] for variant in found["variants"]] == keys
        assert found["rolloutWeights"] == dict.fromkeys(keys, 1)


async def test_only_experiments_have_experiment_fields(api: Api, emulator: Emulator) -> None:
    """A flag's document shows none of the fields that belong to experiments."""
    flag = (await api("GET", f"/flags/{emulator.state.add_flag()['id']}")).body
    experiment = (await api("GET", f"/experiments/{emulator.state.add_experiment()['id']}")).body
    assert set(experiment) - set(flag) == {
        "decision", "decisionReason", "rolledOutVariant", "stickyBucketing", "state", "startDate", "endDate",
        "experimentType", "exposureEvent",
    }  # fmt: skip
    assert experiment["state"] == "planning"


async def test_create_takes_every_field_of_the_contract(api: Api, emulator: Emulator) -> None:
    """Variants, weights, segments, deployments and the rest stand in the document afterwards."""
    deployment = emulator.state.add_deployment()["id"]
    segment = {
        "name": "Segment 1",
        "conditions": [{"prop": "country", "op": "is", "type": "property", "values": ["Norway"], "later": 1}],
        "percentage": 50,
        "bucketingKey": "amplitude_id",
        "rolloutWeights": {"a": 1},
    }
    fields = {
        "projectId": "1",
        "key": "x",
        "name": "X",
        "description": None,
        "variants": [{"key": "a", "payload": None, "name": "A", "description": "first"}, {"key": "b"}],
        "bucketingKey": "device_id",
        "rolloutWeights": {"a": 3, "b": 0},
        "targetSegments": [segment],
        "deployments": [deployment],
        "evaluationMode": "local",
        "experimentType": "multi-arm-bandit",
    }
    created = await api("POST", "/experiments", fields)
    assert fields.items() <= emulator.state.experiment(created.body["id"]).items()


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"projectId": 5}, "projectId"),
        ({"projectId": ""}, "projectId"),
        ({"key": "no spaces"}, "key"),
        ({"key": None}, "key"),
        ({"variants": [{"key": "a"}, {"key": "a"}]}, "variants"),
        ({"variants": [{"name": "a"}]}, "variants[0].key"),
        ({"variants": [{"key": "a", "rolloutWeight": 1}]}, "variants[0].rolloutWeight"),
        ({"variants": ["a"]}, "variants[0]"),
        ({"rolloutWeights": {"on": 0.5}}, "rolloutWeights.on"),
        ({"rolloutWeights": [1]}, "rolloutWeights"),
        ({"deployments": "1"}, "deployments"),
        ({"deployments": ["404"]}, "404"),
        ({"evaluationMode": "cloud"}, "evaluationMode"),
        ({"targetSegments": [{"name": "s", "conditions": [], "percentage": 1}]}, "targetSegments[0].rolloutWeights"),
        ({"enabled": True}, "enabled"),
        ({"key": "taken"}, "already exists"),
    ],
)
async def test_create_refuses_what_will_not_do(
    api: Api, emulator: Emulator, kind: Any, change: Any, place: str
) -> None:
    """400 names the place, and nothing is created."""
    emulator.state.add(kind, {"key": "taken"})
    answer = await api("POST", f"/{kind}", {"projectId": "1", "key": "x", **change})
    assert answer.status == 400
    assert place in answer.body["error"]
    assert len(emulator.state.flags + emulator.state.experiments) == 1


@pytest.mark.parametrize("missing", ["projectId", "key"])
async def test_create_needs_a_project_and_a_key(api: Api, kind: str, missing: str) -> None:
    """A create without one of the two is refused with its name."""
    fields = {"projectId": "1", "key": "x"}
    del fields[missing]
    answer = await api("POST", f"/{kind}", fields)
    assert (answer.status, answer.body) == (400, {"error": f'"{missing}" is missing'})


async def test_a_key_may_exist_in_several_projects(api: Api, kind: str) -> None:
    """Only within one project is a key taken."""
    for project in "12":
        assert (await api("POST", f"/{kind}", {"projectId": project, "key": "x"})).status == 200
    assert len((await api("GET", f"/{kind}?key=x")).body[kind]) == 2
    assert len((await api("GET", f"/{kind}?key=x&projectId=2")).body[kind]) == 1
    assert (await api("GET", f"/{kind}?key=X")).body[kind] == []


@pytest.mark.parametrize(
    "changes",
    [
        {
            "name": "n",
            "description": None,
            "bucketingKey": "device_id",
            "bucketingSalt": "s",
            "bucketingUnit": "org id",
        },
        {"evaluationMode": "local", "rolloutPercentage": 12.5, "enabled": True},
        {"rolloutPercentage": 100, "tags": ["a", "b"]},
        {"targetSegments": [], "tags": []},
        {"enabled": None, "tags": None, "targetSegments": None},
    ],
)
async def test_edit_sets_what_was_sent_and_nothing_else(api: Api, clock: Any, toggle: str, changes: Any) -> None:
    """Fields that were sent are set, null to null; the others stay; the modification time moves."""
    before = (await api("GET", toggle)).body
    clock.move(5)
    answer = await api("PATCH", toggle, changes)
    assert (answer.status, answer.body, answer.headers["Content-Type"]) == (200, "OK", "text/plain; charset=utf-8")
    assert (await api("GET", toggle)).body == before | changes | {"lastModifiedAt": "2026-03-01T12:00:05.000Z"}


async def test_edit_of_an_experiment(api: Api, emulator: Emulator) -> None:
    """An experiment has more fields to edit; dates may be moments, bare dates or null."""
    path = f"/experiments/{emulator.state.add_experiment()['id']}"
    changes = {
        "experimentType": "no-harm",
        "stickyBucketing": True,
        "startDate": "2023-07-31T10:26:00.996Z",
        "endDate": "2023-09-23",
        "exposureEvent": {
            "event_type": "_active",
            "filters": [
                {
                    "group_type": "User",
                    "subprop_key": None,
                    "subprop_op": "is",
                    "subprop_type": "day_time_prop",
                    "subprop_value": ["Tuesday"],
                }
            ],
        },
        "decision": "rollout",
        "decisionReason": "it won",
        "rolledOutVariant": "treatment",
    }
    assert (await api("PATCH", path, changes)).status == 200
    assert changes.items() <= (await api("GET", path)).body.items()
    nulls = dict.fromkeys(changes)
    assert (await api("PATCH", path, nulls)).status == 200
    assert nulls.items() <= (await api("GET", path)).body.items()


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({}, "no field"),
        ({"key": "other"}, "key"),
        ({"colour": "red"}, "colour"),
        ({"name": 1}, "name"),
        ({"rolloutPercentage": 100.1}, "rolloutPercentage"),
        ({"rolloutPercentage": -1}, "rolloutPercentage"),
        ({"rolloutPercentage": True}, "rolloutPercentage"),
        ({"rolloutPercentage": "5"}, "rolloutPercentage"),
        ({"enabled": "true"}, "enabled"),
        ({"archive": None}, "archive"),
        ({"archive": "true"}, "archive"),
        ({"tags": "a,b"}, "tags"),
        ({"tags": [1]}, "tags[0]"),
        ({"targetSegments": {}}, "targetSegments"),
        ({"targetSegments": ["s"]}, "targetSegments[0]"),
        (
            {
                "targetSegments": [
                    {
                        "name": "s",
                        "conditions": [{"type": "cohort", "prop": "p", "op": "is", "values": []}],
                        "percentage": 1,
                        "rolloutWeights": {},
                    }
                ]
            },
            "targetSegments[0].conditions[0].type",
        ),
    ],
)
async def test_edit_refuses_what_will_not_do(
    api: Api, emulator: Emulator, toggle: str, changes: Any, place: str
) -> None:
    """400 names the place, and the good fields of the same request are not set either."""
    answer = await api("PATCH", toggle, {"description": "new", **changes} if changes else {})
    assert answer.status == 400
    assert place in answer.body["error"]
    assert emulator.requests[-1].applied is False
    assert (await api("GET", toggle)).body["description"] == ""


@pytest.mark.parametrize(
    "changes",
    [
        {"decision": "stop"},
        {"startDate": "31.7.2023"},
        {"endDate": 5},
        {"exposureEvent": {"eventType": "_active", "filters": []}},
        {"exposureEvent": {"event_type": "_active", "filters": [{"subpropKey": "k"}]}},
    ],
)
async def test_edit_of_an_experiment_refuses_what_will_not_do(api: Api, emulator: Emulator, changes: Any) -> None:
    """The exposure event is snake_case, dates are ISO 8601, decisions are three words."""
    path = f"/experiments/{emulator.state.add_experiment()['id']}"
    assert (await api("PATCH", path, changes)).status == 400


async def test_flags_take_no_experiment_fields(api: Api, emulator: Emulator) -> None:
    """A field that only experiments have is unknown to a flag."""
    path = f"/flags/{emulator.state.add_flag()['id']}"
    assert (await api("PATCH", path, {"stickyBucketing": True})).status == 400


async def test_archive_hides_from_the_list_only(api: Api, kind: str, toggle: str) -> None:
    """An archived object is listed on demand, can be read, and comes back when restored."""
    await api("PATCH", toggle, {"archive": True})
    assert (await api("GET", toggle)).body["deleted"] is True
    assert (await api("GET", f"/{kind}")).body[kind] == []
    assert (await api("GET", f"/{kind}?includeArchived=false")).body[kind] == []
    assert len((await api("GET", f"/{kind}?includeArchived=true")).body[kind]) == 1
    await api("PATCH", toggle, {"archive": False})
    assert len((await api("GET", f"/{kind}")).body[kind]) == 1


async def test_every_write_makes_a_version(api: Api, toggle: str) -> None:
    """Versions are numbered from 1 and listed the newest first, each with the configuration of its time."""
    await api("PATCH", toggle, {"description": "second"})
    await api("POST", f"{toggle}/variants", {"key": "third"})
    versions = (await api("GET", f"{toggle}/versions")).body
    assert [version["version"] for version in versions] == [3, 2, 1]
    assert [version["flagConfig"]["description"] for version in versions] == ["second", "second", ""]
    assert [len(version["flagConfig"]["variants"]) for version in versions] == [3, 2, 2]
    assert set(versions[0]) == {"createdAt", "createdBy", "version", "flagConfig"}
    assert not {"deleted", "createdAt", "lastModifiedAt"} & set(versions[0]["flagConfig"])
    assert (await api("GET", f"{toggle}/versions/2")).body == versions[1]


@pytest.mark.parametrize("version", ["9", "0", "latest"])
async def test_a_version_that_does_not_exist(api: Api, toggle: str, version: str) -> None:
    """404 for a version that was never made."""
    assert (await api("GET", f"{toggle}/versions/{version}")).status == 404
