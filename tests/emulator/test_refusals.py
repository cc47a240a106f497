"""What the live service refuses beyond its API reference: each request with its status and text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import aiohttp
import pytest
from attrs import frozen

from amp_exp_async.emulator import ApiKey, Emulator
from amp_exp_async.emulator.store import EmulatorState

Strictness = Literal["live", "documented"]

CONDITION = {"type": "property", "prop": "country", "op": "is", "values": ["Norway"]}
SEGMENT = {"name": "All", "conditions": [CONDITION], "percentage": 100, "rolloutWeights": {"on": 1}}
SETTINGS: dict[str, Any] = {
    "cohorts": ["known", "other"],
    "group_types": ["company"],
    "keys": {
        "no-scope": ApiKey(scopes=[]),
        "no-groups": ApiKey(scopes=["experimentation"]),
    },
}


def make_state(state: EmulatorState) -> None:
    """Add the objects that the requests name."""
    state.add_deployment(id="10")
    state.add_deployment(id="11")
    state.add_flag(id="1", key="with-deployment", deployments=["10"])
    state.add_flag(id="2", key="without-deployment", variants=[{"key": "on"}, {"key": "off"}, {"key": "b"}])
    state.add_flag(id="3", key="archived", deployments=["11"], deleted=True)
    state.add_flag(id="4", key="parent", variants=[{"key": "on"}, {"key": "other"}], deployments=["10"])
    dependencies = {"flags": {"4": ["on"]}, "operator": "all"}
    state.add_experiment(id="5", key="child", deployments=["10"], parentDependencies=dependencies)
    state.add_experiment(id="6", key="web", deployments=["10"], deliveryMethod="web")
    state.add_experiment(id="7", key="bandit", experimentType="multi-arm-bandit")
    state.add_experiment(id="8", key="member", deployments=["10"])
    state.add_mutex(id="9", key="mutex")
    state.add_cohorts("flags", "1", "on", ["known"])


@frozen
class Case:
    """A request that the live service refuses. `documented` is its status by the API reference alone."""

    method: str
    path: str
    body: Any
    text: str
    status: int = 400
    documented: int = 200
    key: str = "emulator-management-key"


def segment(**changes: Any) -> dict[str, Any]:
    """Return an edit of segments; a field that is `None` is left out."""
    fields = {**SEGMENT, **changes}
    return {"targetSegments": [{name: value for name, value in fields.items() if value is not None}]}


def slots(name: str) -> dict[str, Any]:
    """Return a new mutex group whose only slot has an empty list."""
    return {"projectId": 1, "name": "new", "slots": [{"percentage": 100, name: []}]}


NOT_FOUND = "Flag or experiment not found"
NO_VARIANT = "Variant key does not exist"
ARCHIVED = "Cannot edit archived flag"
RESERVED = "key contains an invalid value"
WEB = "Web Experiments are not supported by Management API yet"
EXPERIMENTATION = "User does not have permission (experimentation)"
GROUPS = "User does not have permission (experiment_groups)"
BANDIT = "User does not have permission (experiment_multi_armed_bandit)"
DEPENDENTS = "other flags or experiments depend on it"
EXPOSURE: dict[str, Any] = {"exposureEvent": {"event_type": "e"}}

CASES: dict[str, Case] = {
    "get of an unknown flag": Case("GET", "/flags/99", None, NOT_FOUND, documented=404),
    "edit of an unknown experiment": Case("PATCH", "/experiments/99", {"name": "n"}, NOT_FOUND, documented=404),
    "get of an unknown mutex group": Case("GET", "/mutexes/99", None, NOT_FOUND, documented=404),
    "get of an unknown holdout group": Case("GET", "/holdouts/99", None, NOT_FOUND, documented=404),
    "get of an unknown variant": Case("GET", "/flags/1/variants/x", None, NO_VARIANT, documented=404),
    "edit of an unknown variant": Case("PATCH", "/flags/1/variants/x", {"name": "n"}, NO_VARIANT, documented=404),
    "removal of an unknown variant": Case("DELETE", "/flags/1/variants/x", None, NO_VARIANT, documented=404),
    "users of an unknown variant": Case("GET", "/flags/1/variants/x/users", None, NO_VARIANT, documented=404),
    "archive with a field": Case("PATCH", "/flags/1", {"archive": True, "name": "n"}, ARCHIVED),
    "restore with a field": Case("PATCH", "/flags/3", {"archive": False, "name": "n"}, ARCHIVED),
    "edit of an archived flag": Case("PATCH", "/flags/3", {"name": "n"}, ARCHIVED),
    "archive of an archived flag": Case("PATCH", "/flags/3", {"archive": True}, ARCHIVED),
    "variant of an archived flag": Case("POST", "/flags/3/variants", {"key": "b"}, ARCHIVED),
    "users of an archived flag": Case("POST", "/flags/3/variants/on/users", {"inclusions": ["u"]}, ARCHIVED),
    "deployment of an archived flag": Case("DELETE", "/flags/3/deployments/11", None, ARCHIVED),
    "enabling without a deployment": Case(
        "PATCH", "/flags/2", {"enabled": True}, "Cannot activate without deployments"
    ),
    "new variant off": Case("POST", "/flags/1/variants", {"key": "off"}, RESERVED),
    "new variant OFF": Case("POST", "/flags/1/variants", {"key": "OFF"}, RESERVED),
    "variant renamed to Off": Case("PATCH", "/flags/1/variants/on", {"key": "Off"}, RESERVED),
    "new flag with variant off": Case(
        "POST",
        "/flags",
        {"projectId": "1", "key": "new", "variants": [{"key": "on"}, {"key": "off"}]},
        "variants[1].key contains an invalid value",
    ),
    **{
        f"segment without {name}": Case(
            "PATCH", "/flags/1", segment(**{name: None}), f'"targetSegments[0].{name}" is required', documented=400
        )
        for name in SEGMENT
    },
    "new flag with a segment without weights": Case(
        "POST",
        "/flags",
        {"projectId": "1", "key": "new", **segment(rolloutWeights=None)},
        '"targetSegments[0].rolloutWeights" is required',
        documented=400,
    ),
    "condition without values": Case(
        "PATCH", "/flags/1", segment(conditions=[{**CONDITION, "values": []}]), "targetSegments[0].conditions[0].values"
    ),
    "exposure event without filters": Case(
        "PATCH", "/experiments/8", EXPOSURE, '"exposureEvent.filters" is missing', documented=400
    ),
    "evaluation mode in the wrong case": Case(
        "PATCH", "/flags/1", {"evaluationMode": "Remote"}, '"evaluationMode" must be one of', documented=400
    ),
    "experiment type in the wrong case": Case(
        "PATCH", "/experiments/8", {"experimentType": "A-B-Test"}, '"experimentType" must be one of'
    ),
    "operator in the wrong case": Case(
        "PATCH", "/flags/1", segment(conditions=[{**CONDITION, "op": "Is"}]), "conditions[0].op"
    ),
    "unknown field": Case(
        "PATCH",
        "/experiments/8",
        {"parentDependencies": {"flags": {}, "operator": "all"}},
        '"parentDependencies" is not allowed',
        documented=400,
    ),
    "edit of a web experiment": Case("PATCH", "/experiments/6", {"name": "n"}, WEB, documented=405),
    "deployment of a web experiment": Case(
        "POST", "/experiments/6/deployments", {"deployments": ["11"]}, WEB, documented=405
    ),
    "get without permission": Case("GET", "/flags/1", None, EXPERIMENTATION, 403, documented=403, key="no-scope"),
    "edit without permission": Case(
        "PATCH", "/flags/1", {"name": "n"}, EXPERIMENTATION, 403, documented=403, key="no-scope"
    ),
    "create without permission": Case(
        "POST", "/flags", {"projectId": "1", "key": "n"}, EXPERIMENTATION, 403, documented=403, key="no-scope"
    ),
    "new deployment without permission": Case(
        "POST",
        "/deployments",
        {"projectId": "1", "label": "a", "type": "client"},
        EXPERIMENTATION,
        403,
        documented=403,
        key="no-scope",
    ),
    "group without permission": Case("GET", "/mutexes/9", None, GROUPS, 403, documented=403, key="no-groups"),
    "bandit without permission": Case(
        "PATCH", "/experiments/7", {"name": "n"}, BANDIT, 403, documented=403, key="no-groups"
    ),
    "removal of cohorts of which none is included": Case(
        "DELETE", "/flags/1/variants/on/bulk-delete-cohorts", {"users": ["other"]}, "There are no users for this key"
    ),
    "unknown cohort": Case(
        "POST", "/flags/1/variants/on/cohorts", {"inclusions": ["unknown"]}, "Internal server error"
    ),
    "removal of an unknown cohort": Case(
        "DELETE", "/flags/1/variants/on/bulk-delete-cohorts", {"users": ["unknown"]}, "Internal server error"
    ),
    "bucketing unit": Case("PATCH", "/flags/1", {"bucketingUnit": "team"}, "Invalid bucketing unit"),
    "archive of a deployment in use": Case(
        "PATCH",
        "/deployments/10",
        {"archive": True},
        "Cannot have unarchived flags or experiments or templates using this deployment",
    ),
    **{
        f"empty {name} of a new slot": Case("POST", "/mutexes", slots(name), f'"slots[0].{name}"')
        for name in ("experiments", "holdouts", "individuals")
    },
    "empty experiments of a slot": Case("PATCH", "/mutexes/9/slots/1", {"experiments": []}, '"experiments"'),
    "removal of a variant with dependents": Case("DELETE", "/flags/4/variants/on", None, DEPENDENTS),
    "rename of a variant with dependents": Case("PATCH", "/flags/4/variants/on", {"key": "new"}, DEPENDENTS),
    "archive with dependents": Case("PATCH", "/flags/4", {"archive": True}, DEPENDENTS),
    "enabling with an inactive parent": Case("PATCH", "/experiments/5", {"enabled": True}, "parent is not active"),
    "experiment with the key of a flag": Case(
        "POST", "/experiments", {"projectId": "1", "key": "parent"}, "already exists"
    ),
    "flag with the key of a group": Case("POST", "/flags", {"projectId": "1", "key": "mutex"}, "already exists"),
    "group with the key of a flag": Case(
        "POST",
        "/holdouts",
        {"projectId": 1, "name": "n", "key": "parent", "holdoutPercentage": 5},
        "already exists",
        documented=400,
    ),
}

ALLOWED: dict[str, tuple[str, str, Any]] = {
    "archive alone": ("PATCH", "/flags/1", {"archive": True}),
    "restore alone": ("PATCH", "/flags/3", {"archive": False}),
    "enabling with a deployment": ("PATCH", "/flags/1", {"enabled": True}),
    "disabling without a deployment": ("PATCH", "/flags/2", {"enabled": False}),
    "edit of an existing variant off": ("PATCH", "/flags/2/variants/off", {"key": "off", "name": "n"}),
    "removal of an existing variant off": ("DELETE", "/flags/2/variants/off", None),
    "variant without dependents": ("DELETE", "/flags/4/variants/other", None),
    "name of a variant with dependents": ("PATCH", "/flags/4/variants/on", {"key": "on", "name": "n"}),
    "group type": ("PATCH", "/flags/1", {"bucketingUnit": "company"}),
    "users as unit": ("PATCH", "/flags/1", {"bucketingUnit": "User"}),
    "unknown words": ("PATCH", "/experiments/8", {"experimentType": "new-kind", **segment()}),
    "known cohort": ("POST", "/flags/1/variants/on/cohorts", {"inclusions": ["other"]}),
    "removal of an included cohort": (
        "DELETE",
        "/flags/1/variants/on/bulk-delete-cohorts",
        {"users": ["known", "other"]},
    ),
    "archive of an unused deployment": ("PATCH", "/deployments/11", {"archive": True}),
    "web experiment": ("GET", "/experiments/6", None),
    "key of another project": ("POST", "/experiments", {"projectId": "2", "key": "parent"}),
}


@pytest.fixture
def request_of(session: aiohttp.ClientSession) -> Callable[..., Any]:
    """Return a function that sends a request to a new emulator, and returns the status and the body's text."""

    async def send(
        strictness: Strictness, method: str, path: str, body: Any, key: str = "emulator-management-key"
    ) -> tuple[int, str, bool]:
        async with Emulator(strictness=strictness, **SETTINGS) as emulator:
            make_state(emulator.state)
            revision = emulator.state.revision
            headers = {"Authorization": f"Bearer {key}"}
            url = f"{emulator.base_url}/api/1{path}"
            async with session.request(method, url, json=body, headers=headers) as response:
                text = await response.text()
                is_json = response.content_type == "application/json" and response.status != 200
                message = (await response.json())["error"] if is_json else text
                return response.status, message, emulator.state.revision != revision

    return send


@pytest.mark.parametrize("name", CASES)
async def test_the_live_service_refuses(request_of: Callable[..., Any], name: str) -> None:
    """The response has the observed status and text, and nothing changes."""
    case = CASES[name]
    status, text, changed = await request_of("live", case.method, case.path, case.body, case.key)
    assert (status, changed) == (case.status, False)
    assert case.text in text


@pytest.mark.parametrize("name", CASES)
async def test_the_documented_service_does_not(request_of: Callable[..., Any], name: str) -> None:
    """The response is that of the API reference: success, or the documented status."""
    case = CASES[name]
    status, text, _ = await request_of("documented", case.method, case.path, case.body, case.key)
    assert status == case.documented
    assert status in (400, 403) or case.text not in text


@pytest.mark.parametrize("strictness", ["live", "documented"])
@pytest.mark.parametrize("name", ALLOWED)
async def test_what_is_not_refused(request_of: Callable[..., Any], strictness: Strictness, name: str) -> None:
    """Requests beside the refused ones succeed."""
    status, text, _ = await request_of(strictness, *ALLOWED[name])
    assert (status, text) == (200, text)


@pytest.mark.parametrize("path", ["/flags", "/experiments", "/deployments", "/versions", "/mutexes", "/holdouts"])
async def test_lists_need_no_permission(request_of: Callable[..., Any], path: str) -> None:
    """A key without any scope can read lists."""
    assert (await request_of("live", "GET", path, None, "no-scope"))[0] == 200


async def test_enabling_with_active_parents(session: aiohttp.ClientSession) -> None:
    """An experiment can be enabled if its flag is enabled and its group is not archived."""
    async with Emulator(strictness="live") as emulator:
        state = emulator.state
        session.headers["Authorization"] = f"Bearer {emulator.api_key}"
        deployments = [state.add_deployment()["id"]]
        parent = state.add_flag(deployments=deployments)["id"]
        dependencies = {"flags": {parent: ["on"]}, "operator": "all"}
        child = state.add_experiment(deployments=deployments, parentDependencies=dependencies)["id"]
        holdout = state.add_holdout(experiments=[int(child)])["id"]
        assert set(state.experiment(child)["parentDependencies"]["flags"]) == {parent, holdout}
        statuses = [
            (await session.patch(f"{emulator.base_url}/api/1/{path}", json={"enabled": True})).status
            for path in (f"experiments/{child}", f"flags/{parent}", f"experiments/{child}")
        ]
        assert statuses == [400, 200, 200]


async def test_an_archived_dependent_does_not_count(session: aiohttp.ClientSession) -> None:
    """A flag on which only archived experiments depend can be archived."""
    async with Emulator(strictness="live") as emulator:
        make_state(emulator.state)
        session.headers["Authorization"] = f"Bearer {emulator.api_key}"
        for path in ("experiments/5", "flags/4"):
            response = await session.patch(f"{emulator.base_url}/api/1/{path}", json={"archive": True})
            assert response.status == 200


async def test_activation_by_the_beta_api(session: aiohttp.ClientSession) -> None:
    """The Beta API does not enable an experiment without a deployment either."""
    async with Emulator(strictness="live") as emulator:
        id = emulator.state.add_experiment()["id"]
        session.headers["Authorization"] = f"Bearer {emulator.api_key}"
        response = await session.post(f"{emulator.beta_base_url}/experiments/{id}/activate")
        assert (response.status, await response.json()) == (400, {"error": "Cannot activate without deployments"})


@pytest.mark.parametrize(("delivery_method", "keys"), [("web", ["web"]), ("feature", ["feature"])])
async def test_list_by_delivery_method(
    api: Callable[..., Any], emulator: Emulator, delivery_method: str, keys: list[str]
) -> None:
    """The list of experiments has a filter; an experiment without the field is a feature experiment."""
    emulator.state.add_experiment(key="web", deliveryMethod="web")
    emulator.state.add_experiment(key="feature")
    listed = (await api("GET", f"/experiments?deliveryMethod={delivery_method}")).body["experiments"]
    assert [experiment["key"] for experiment in listed] == keys
    assert len((await api("GET", "/experiments")).body["experiments"]) == 2
    assert (await api("GET", "/experiments?deliveryMethod=email")).status == 400


def test_settings_are_checked() -> None:
    """Another strictness, an unknown scope, and a string for a list are rejected."""
    with pytest.raises(ValueError, match='strictness must be one of live, documented, not "lax"'):
        Emulator(strictness="lax")  # type: ignore[arg-type] - the wrong value is the test
    with pytest.raises(ValueError, match='"everything" is not a scope; use experiment_groups'):
        ApiKey(scopes=["everything"])
    with pytest.raises(TypeError, match="lists"):
        Emulator(keys={"key": "12"})
