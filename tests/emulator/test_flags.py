"""Flags and experiments: list, get, create, edit, versions."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from amp_exp_async.emulator import Emulator

Api = Callable[..., Awaitable[Any]]


async def test_create_and_get(api: Api, kind: str) -> None:
    """Create returns ID and URL; get returns the fields that were sent, and the defaults."""
    created = await api("POST", f"/{kind}", {"projectId": "7", "key": "checkout", "description": "d"})
    id = created.body["id"]
    assert created.body == {"id": id, "url": f"http://experiment.amplitude.com/amplitude/7/config/{id}"}
    document = (await api("GET", f"/{kind}/{id}")).body
    assert (document["key"], document["name"], document["description"], document["projectId"]) == (
        "checkout",
        "checkout",
        "d",
        "7",
    )
    assert document["createdAt"] == "2026-03-01T12:00:00.000Z"
    assert document["deleted"] is document["enabled"] is False


async def test_default_variants(api: Api) -> None:
    """A flag has the variant on, an experiment control and treatment, each with weight 1."""
    for kind, keys in (("flags", ["on"]), ("experiments", ["control", "treatment"])):
        created = await api("POST", f"/{kind}", {"projectId": "1", "key": "x"})
        document = (await api("GET", f"/{kind}/{created.body['id']}")).body
        assert [variant["key"] for variant in document["variants"]] == keys
        assert document["rolloutWeights"] == dict.fromkeys(keys, 1)


async def test_only_experiments_have_experiment_fields(api: Api, emulator: Emulator) -> None:
    """A flag's document has no field of experiments."""
    flag = (await api("GET", f"/flags/{emulator.state.add_flag()['id']}")).body
    experiment = (await api("GET", f"/experiments/{emulator.state.add_experiment()['id']}")).body
    assert set(experiment) - set(flag) == {
        "decision", "decisionReason", "rolledOutVariant", "stickyBucketing", "state", "startDate", "endDate",
        "experimentType", "exposureEvent",
    }  # fmt: skip
    assert experiment["state"] == "planning"


async def test_create_accepts_every_documented_field(api: Api, emulator: Emulator) -> None:
    """The document contains the variants, weights, segments, deployments and the other fields."""
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
    ("change", "location"),
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
async def test_create_rejects_invalid_fields(
    api: Api, emulator: Emulator, kind: Any, change: Any, location: str
) -> None:
    """The status is 400 with the location, and nothing is created."""
    emulator.state.add(kind, {"key": "taken"})
    response = await api("POST", f"/{kind}", {"projectId": "1", "key": "x", **change})
    assert response.status == 400
    assert location in response.body["error"]
    assert len(emulator.state.flags + emulator.state.experiments) == 1


@pytest.mark.parametrize("missing", ["projectId", "key"])
async def test_create_requires_a_project_and_a_key(api: Api, kind: str, missing: str) -> None:
    """A create without a required field is rejected."""
    fields = {"projectId": "1", "key": "x"}
    del fields[missing]
    response = await api("POST", f"/{kind}", fields)
    assert (response.status, response.body) == (400, {"error": f'"{missing}" is required'})


async def test_keys_are_unique_in_a_project(api: Api, kind: str) -> None:
    """The same key can exist in several projects."""
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
async def test_edit(api: Api, clock: Any, flag_path: str, changes: Any) -> None:
    """The fields that were sent are set, null included, and the others stay, except the modification time."""
    before = (await api("GET", flag_path)).body
    clock.move(5)
    response = await api("PATCH", flag_path, changes)
    assert (response.status, response.body) == (200, "OK")
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert (await api("GET", flag_path)).body == before | changes | {"lastModifiedAt": "2026-03-01T12:00:05.000Z"}


async def test_edit_of_an_experiment(api: Api, emulator: Emulator) -> None:
    """An experiment has more fields; dates can be timestamps, dates or null."""
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
    ("changes", "location"),
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
async def test_edit_rejects_invalid_fields(
    api: Api, emulator: Emulator, flag_path: str, changes: Any, location: str
) -> None:
    """The status is 400 with the location, and the valid fields are not set."""
    response = await api("PATCH", flag_path, {"description": "new", **changes} if changes else {})
    assert response.status == 400
    assert location in response.body["error"]
    assert emulator.requests[-1].applied is False
    assert (await api("GET", flag_path)).body["description"] == ""


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
async def test_edit_of_an_experiment_rejects_invalid_fields(api: Api, emulator: Emulator, changes: Any) -> None:
    """The exposure event is in snake_case, dates are ISO 8601, and a decision has three values."""
    path = f"/experiments/{emulator.state.add_experiment()['id']}"
    assert (await api("PATCH", path, changes)).status == 400


async def test_flags_have_no_experiment_fields(api: Api, emulator: Emulator) -> None:
    """A field of experiments is unknown for a flag."""
    path = f"/flags/{emulator.state.add_flag()['id']}"
    assert (await api("PATCH", path, {"stickyBucketing": True})).status == 400


async def test_archive_hides_from_the_list_only(api: Api, kind: str, flag_path: str) -> None:
    """An archived object can be read, is listed with `includeArchived`, and can be restored."""
    await api("PATCH", flag_path, {"archive": True})
    assert (await api("GET", flag_path)).body["deleted"] is True
    assert (await api("GET", f"/{kind}")).body[kind] == []
    assert (await api("GET", f"/{kind}?includeArchived=false")).body[kind] == []
    assert len((await api("GET", f"/{kind}?includeArchived=true")).body[kind]) == 1
    await api("PATCH", flag_path, {"archive": False})
    assert len((await api("GET", f"/{kind}")).body[kind]) == 1


async def test_every_write_makes_a_version(api: Api, flag_path: str) -> None:
    """Versions are numbered from 1 and listed newest first, with the configuration of their time."""
    await api("PATCH", flag_path, {"description": "second"})
    await api("POST", f"{flag_path}/variants", {"key": "third"})
    versions = (await api("GET", f"{flag_path}/versions")).body
    assert [version["version"] for version in versions] == [3, 2, 1]
    assert [version["flagConfig"]["description"] for version in versions] == ["second", "second", ""]
    assert [len(version["flagConfig"]["variants"]) for version in versions] == [3, 2, 2]
    assert set(versions[0]) == {"createdAt", "createdBy", "version", "flagConfig"}
    assert not {"deleted", "createdAt", "lastModifiedAt"} & set(versions[0]["flagConfig"])
    assert (await api("GET", f"{flag_path}/versions/2")).body == versions[1]


@pytest.mark.parametrize("version", ["9", "0", "latest"])
async def test_a_version_that_does_not_exist(api: Api, flag_path: str, version: str) -> None:
    """The status is 404."""
    assert (await api("GET", f"{flag_path}/versions/{version}")).status == 404
