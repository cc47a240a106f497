"""The methods that build a state reject what no object of the live service has, and keep what existing objects have."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from amp_exp_async import AsyncExperimentClient
from amp_exp_async.emulator import Emulator, EmulatorState, StateError

CONDITION = {"prop": "gp:x", "op": "is", "values": ["a"]}
BIG = 10**30
HALF = "cut \ud83d"


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    """Serve an emulator that refuses what the live service refuses."""
    async with Emulator(per_second=None, per_day=None) as emulator:
        yield emulator


def condition(**changes: Any) -> dict[str, Any]:
    """Return the segments of a flag with one condition."""
    return {"targetSegments": [{"conditions": [{**CONDITION, **changes}]}]}


def without(name: str) -> dict[str, Any]:
    """Return the segments of a flag with one condition that lacks a field."""
    return {"targetSegments": [{"conditions": [{key: CONDITION[key] for key in CONDITION if key != name}]}]}


OF_BOTH: list[tuple[dict[str, Any], str]] = [
    ({"key": ""}, '"key" must be a non-empty string'),
    ({"key": 5}, '"key" must be a non-empty string'),
    ({"id": ""}, '"id" must be a non-empty string'),
    ({"enabled": "yes"}, '"enabled" must be true or false'),
    ({"deleted": None}, '"deleted" must be true or false'),
    ({"archived": True}, '"archived" is not a JSON field name; did you mean "deleted"'),
    ({"archive": True}, '"archive" is not a JSON field name; did you mean "deleted"'),
    ({"deployments": "1001"}, '"deployments" must be a list'),
    ({"deployments": [None]}, r'"deployments\[0\]" must be a non-empty string'),
    ({"tags": "x"}, '"tags" must be a list'),
    ({"rolloutPercentage": 150}, '"rolloutPercentage" must be a number from 0 to 100'),
    ({"rolloutWeights": [1]}, '"rolloutWeights" must be an object'),
    ({"rolloutWeights": {"on": "1"}}, '"rolloutWeights.on" must be a number'),
    ({"evaluationMode": "Remote"}, '"evaluationMode" must be one of local, remote'),
    ({"deliveryMethod": "Web"}, '"deliveryMethod" must be one of feature, web'),
    ({"createdAt": "yesterday"}, '"createdAt" must be a date in ISO 8601'),
    ({"parentDependencies": {"flags": ["1"]}}, '"parentDependencies.flags" must be an object'),
    ({"variants": "on"}, '"variants" must be a list'),
    ({"variants": ["on"]}, r'"variants\[0\]" must be an object'),
    ({"variants": [{"name": "x"}]}, r'"variants\[0\].key" is required'),
    ({"variants": [{"key": ""}]}, r'"variants\[0\].key" must be a non-empty string'),
    ({"variants": [{"key": "on"}, {"key": "b"}, {"key": "on"}]}, r'"variants\[2\].key" must be unique'),
    ({"targetSegments": {}}, '"targetSegments" must be a list'),
    ({"targetSegments": [{"name": None}]}, r'"targetSegments\[0\].name" must be a string'),
    ({"targetSegments": [{"percentage": 101}]}, r'"targetSegments\[0\].percentage" must be a number from 0 to 100'),
    ({"targetSegments": [{"conditions": None}]}, r'"targetSegments\[0\].conditions" must be a list'),
    ({"targetSegments": [{"parentDependencies": {}}]}, r'"targetSegments\[0\].parentDependencies" is not allowed'),
    (without("prop"), r'"targetSegments\[0\].conditions\[0\].prop" is required'),
    (without("op"), r"conditions\[0\].op.* is required"),
    (without("values"), r"conditions\[0\].values.* is required"),
    (condition(values=[]), r"conditions\[0\].values.* must contain at least 1 items"),
    (condition(values="a"), r"conditions\[0\].values.* must be a list"),
    (condition(op="IS"), r"conditions\[0\].op.* must be one of \[is, is not"),
    (condition(type="Property"), r"conditions\[0\].type.* must be one of property, cohort"),
]
OF_EXPERIMENTS: list[tuple[dict[str, Any], str]] = [
    ({"exposureEvent": {"event_type": "x"}}, '"exposureEvent.filters" is missing'),
    ({"exposureEvent": {"filters": []}}, '"exposureEvent.event_type" is missing'),
    ({"experimentType": "A-B-Test"}, '"experimentType" must be one of'),
    ({"startDate": "garbage"}, '"startDate" must be a date'),
    ({"decision": "Rollout"}, '"decision" must be one of rollout'),
    ({"stickyBucketing": "no"}, '"stickyBucketing" must be true or false'),
]
CASES: list[tuple[str, dict[str, Any], str]] = [
    *(("add_flag", fields, message) for fields, message in OF_BOTH),
    *(("add_experiment", fields, message) for fields, message in OF_BOTH + OF_EXPERIMENTS),
    ("add_deployment", {"label": ""}, '"label" must be a non-empty string'),
    ("add_deployment", {"_type": "mobile"}, '"_type" must be one of client, server'),
    ("add_deployment", {"archived": True}, 'did you mean "deleted"'),
    ("add_mutex", {"archived": True}, 'did you mean "_deleted"'),
    ("add_mutex", {"slots": [{"percentage": 150}]}, r'"slots\[0\].percentage" must be a number from 0 to 100'),
    ("add_mutex", {"slots": ["half"]}, r'"slots\[0\]" must be an object'),
    ("add_mutex", {"slots": [{"experiments": "1"}]}, r'"slots\[0\].experiments" must be a list'),
    ("add_mutex", {"evaluationMode": "Local"}, '"evaluationMode" must be one of local, remote'),
    ("add_holdout", {"archive": True}, 'did you mean "deleted"'),
    ("add_holdout", {"holdoutPercentage": 0}, '"holdoutPercentage" must be an integer from 1 to 99'),
    ("add_holdout", {"experiments": "1"}, '"experiments" must be a list'),
    ("add_holdout", {"key": ""}, '"key" must be a non-empty string'),
]


@pytest.mark.parametrize(("add", "fields", "message"), CASES, ids=str)
def test_impossible_objects_are_rejected(add: str, fields: dict[str, Any], message: str) -> None:
    """The error names the field and the rule, and nothing is added."""
    state = EmulatorState()
    with pytest.raises(StateError, match=message):
        getattr(state, add)(**fields)
    assert [*state.flags, *state.experiments, *state.deployments, *state.mutexes, *state.holdouts] == []


@pytest.mark.parametrize("first", ["add_flag", "add_experiment", "add_mutex", "add_holdout"])
@pytest.mark.parametrize("second", ["add_flag", "add_experiment", "add_mutex", "add_holdout"])
def test_a_key_is_unique_in_a_project(first: str, second: str) -> None:
    """Flags, experiments and groups share their keys. Archived objects, and other projects, have keys of their own."""
    state = EmulatorState()
    project = 1 if first in {"add_mutex", "add_holdout"} else "1"
    getattr(state, first)(key="k", projectId=project)
    with pytest.raises(StateError, match='the key "k" is not unique in project 1'):
        getattr(state, second)(key="k")
    getattr(state, second)(key="k", projectId="2")
    getattr(state, second)(key="k", **{"_deleted" if second == "add_mutex" else "deleted": True})


ODD: dict[str, dict[str, Any]] = {
    "a key with a dot": {"key": "checkout.v2"},
    "a reserved variant": {"variants": [{"key": "off"}, {"key": "on"}]},
    "enabled without deployments": {"enabled": True},
    "half a surrogate pair": {"name": HALF, "tags": [HALF]},
    "a huge payload": {"variants": [{"key": "on", "payload": {"n": [BIG, -BIG]}}]},
    "an unknown field": {"holiday": True},
    "a cohort": condition(type="cohort", prop="userdata_cohort"),
    "numbers as IDs": {"projectId": 1, "deployments": [7]},
}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("kind", ["flags", "experiments"])
async def test_existing_odd_objects(
    name: str, kind: Any, emulator: Emulator, client: AsyncExperimentClient, tmp_path: Path
) -> None:
    """What a new object may not have is kept, served exactly in objects and lists, and saved exactly."""
    add: Callable[..., dict[str, Any]] = getattr(emulator.state, f"add_{kind.removesuffix('s')}")
    document = {"id": "5", "key": "k", **ODD[name]}
    assert add(**document).items() >= {"id": "5"}.items()
    for path, pick in ((f"/{kind}/5", lambda body: body), (f"/{kind}", lambda body: body[kind][0])):
        served = pick(await client.request("GET", path))
        assert {field: served[field] for field in ODD[name] if field != "targetSegments"} == {
            field: value for field, value in ODD[name].items() if field != "targetSegments"
        }
    emulator.save(tmp_path / "state.json")
    assert getattr(Emulator(tmp_path / "state.json").state, kind) == getattr(emulator.state, kind)


async def test_writes_are_kept_exactly(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """A request may contain half a surrogate pair as its escape, and integers of any size."""
    emulator.state.add_flag(id="5", key="k")
    await client.request("PATCH", "/flags/5", json={"name": HALF})
    await client.request("PATCH", "/flags/5/variants/on", json={"payload": [BIG]})
    flag = emulator.state.flag("5")
    assert (flag["name"], flag["variants"]) == (HALF, [{"key": "on", "payload": [BIG]}])
    assert emulator.requests[-1].body == {"payload": [BIG]}


@pytest.mark.parametrize("text", ["NaN", "[1e999]", "{", "[" * 100_000, '{"a": 1} x'])
async def test_bodies_that_are_not_json(emulator: Emulator, text: str, api: Callable[..., Any]) -> None:
    """They are refused with 400."""
    emulator.state.add_flag(id="5", key="k")
    headers = {"Authorization": f"Bearer {emulator.api_key}", "Content-Type": "application/json"}
    reply = await api("PATCH", "/flags/5", data=text.encode(), headers=headers)
    assert (reply.status, "not valid JSON" in json.dumps(reply.body)) == (400, True)


async def test_dependencies_of_a_segment_are_refused(emulator: Emulator, api: Callable[..., Any]) -> None:
    """The live service does not know the field there; another unknown field is kept."""
    emulator.state.add_flag(id="5", key="k")
    segment = {
        "name": "s",
        "conditions": [{"type": "property", **CONDITION}],
        "percentage": 5,
        "rolloutWeights": {"on": 1},
        "color": "red",
    }
    assert (await api("PATCH", "/flags/5", {"targetSegments": [segment]})).status == 200
    assert emulator.state.flag("5")["targetSegments"] == [segment]
    refused = await api("PATCH", "/flags/5", {"targetSegments": [{**segment, "parentDependencies": {}}]})
    assert refused.status == 400
    assert refused.body == {"error": '"targetSegments[0].parentDependencies" is not allowed'}


@pytest.mark.parametrize("fields", [{"variants": ["on"]}, {"variants": [{}]}, {"variants": 5}, {"deployments": "7"}])
@pytest.mark.parametrize("kind", ["flags", "experiments"])
def test_what_the_emulator_cannot_handle_is_rejected(kind: Any, fields: dict[str, Any]) -> None:
    """`add` takes objects that break other rules, but these are rejected too."""
    state = EmulatorState()
    with pytest.raises(StateError, match="must be"):
        state.add(kind, fields)
    assert state.add(kind, {"enabled": "yes", "evaluationMode": "Remote"})["enabled"] == "yes"
