"""The Beta API, served beside version 1."""

from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from amp_exp_async.emulator import Emulator, Fault

Api = Callable[..., Awaitable[Any]]


@pytest.fixture
def path(emulator: Emulator) -> str:
    """Return the path of an experiment."""
    return f"/experiments/{emulator.state.add_experiment(key='x')['id']}"


@pytest.mark.parametrize("envelope", ["flags", "experiments", "deployments"])
async def test_lists(api: Api, beta: Api, emulator: Emulator, envelope: str) -> None:
    """The Beta API lists the objects of version 1, newest first, in pages, and only those that the key can see."""
    add = {
        "flags": emulator.state.add_flag,
        "experiments": emulator.state.add_experiment,
        "deployments": emulator.state.add_deployment,
    }[envelope]
    ids = [add(projectId=project)["id"] for project in "112"][::-1]
    first = (await beta("GET", f"/{envelope}/list?limit=2")).body
    second = (await beta("GET", f"/{envelope}/list?limit=2&cursor={first['nextCursor']}")).body
    assert [document["id"] for document in first[envelope] + second[envelope]] == ids
    assert "nextCursor" not in second
    assert (await beta("GET", f"/{envelope}/list")).body == (await api("GET", f"/{envelope}")).body
    narrow = (await beta("GET", f"/{envelope}/list", key="narrow-key")).body
    assert [document["id"] for document in narrow[envelope]] == ids[1:]
    for query in ("limit=0", "limit=1001", "cursor=nonsense"):
        assert (await beta("GET", f"/{envelope}/list?{query}")).status == 400


async def test_lists_have_no_filters(beta: Api, emulator: Emulator, kind: Any) -> None:
    """The filters of version 1 are ignored, and archived objects are not listed."""
    ids = [emulator.state.add(kind, {"key": key, "deleted": key == "c"})["id"] for key in "abc"]
    body = (await beta("GET", f"/{kind}/list?key=a&projectId=9&includeArchived=true")).body
    assert [document["id"] for document in body[kind]] == ids[1::-1]


async def test_numeric_cursors(session: aiohttp.ClientSession) -> None:
    """The cursor setting holds for both APIs."""
    async with Emulator(cursor_type="number", last_cursor="null") as emulator:
        for _ in range(2):
            emulator.state.add_flag()
        session.headers["Authorization"] = f"Bearer {emulator.api_key}"
        url = f"{emulator.beta_base_url}/flags/list?limit=1"
        first = await (await session.get(url)).json()
        second = await (await session.get(f"{url}&cursor={first['nextCursor']}")).json()
        assert (type(first["nextCursor"]), second["nextCursor"]) == (int, None)


async def test_details_and_versions(api: Api, beta: Api, kind: str, flag_path: str) -> None:
    """The details and versions are the same as in version 1."""
    await api("PATCH", flag_path, {"name": "second"})
    for below in ("", "/versions", "/versions/1", "/versions/2"):
        response = await beta("GET", flag_path + below)
        assert response.status == 200
        assert response.body == (await api("GET", flag_path + below)).body
    assert (await beta("GET", f"{flag_path}/versions/3")).status == 404
    assert (await beta("GET", f"/{kind}/404")).status == 404


async def test_create_returns_the_experiment(beta: Api, emulator: Emulator) -> None:
    """The response has all fields, missing ones of segments are filled in, and version 1 returns the same."""
    deployment = emulator.state.add_deployment()["id"]
    condition = {"type": "property", "prop": "country", "op": "is", "values": ["Norway"]}
    fields = {
        "projectId": "1",
        "key": "checkout",
        "description": "d",
        "variants": [{"key": "a", "payload": {"b": 1}, "name": "A", "description": "first"}],
        "bucketingKey": "device_id",
        "rolloutWeights": {"a": 3},
        "targetSegments": [{"conditions": [condition]}],
        "stickyBucketing": True,
        "deployments": [deployment],
    }
    response = await beta("POST", "/experiments/new", fields)
    assert response.status == 200
    (segment,) = response.body["targetSegments"]
    assert segment == {
        "name": "Segment 1",
        "conditions": [condition],
        "percentage": 100,
        "rolloutWeights": {"a": 1},
    }
    assert {**fields, "targetSegments": [segment]}.items() <= response.body.items()
    assert response.body == emulator.state.experiment(response.body["id"])
    assert (await beta("GET", f"/experiments/{response.body['id']}")).body == response.body


@pytest.mark.parametrize(
    "change",
    [
        {"projectId": 1},
        {"key": "a b"},
        {"key": "x"},
        {"name": "N"},
        {"evaluationMode": "local"},
        {"experimentType": "no-harm"},
        {"stickyBucketing": "true"},
        {"variants": [{"key": "a"}, {"key": "a"}]},
        {"rolloutWeights": {"a": 0.5}},
        {"targetSegments": [{"name": "s"}]},
        {"targetSegments": {"conditions": []}},
        {"deployments": ["404"]},
        {"projectId": None},
    ],
)
@pytest.mark.usefixtures("path")
async def test_create_rejects_invalid_fields(beta: Api, emulator: Emulator, change: Any) -> None:
    """Invalid fields, and those of version 1 only, are rejected with 400, and nothing is created."""
    assert (await beta("POST", "/experiments/new", {"projectId": "1", "key": "new", **change})).status == 400
    assert len(emulator.state.experiments) == 1


@pytest.mark.parametrize("body", [None, {}, {"anything": 1}])
async def test_activate_and_deactivate(beta: Api, emulator: Emulator, path: str, body: Any) -> None:
    """An experiment is enabled or disabled, whatever it was before, with or without a body."""
    for below, enabled in (("activate", True), ("activate", True), ("deactivate", False), ("deactivate", False)):
        assert (await beta("POST", f"{path}/{below}", body)).body == "OK"
        assert emulator.state.experiments[0]["enabled"] is enabled


async def test_rollout_weights(beta: Api, emulator: Emulator, path: str) -> None:
    """The weights are replaced, in a new version."""
    assert (await beta("POST", f"{path}/rollout-weights", {"rolloutWeights": {"treatment": 3}})).body == "OK"
    (experiment,) = emulator.state.experiments
    assert experiment["rolloutWeights"] == {"treatment": 3}
    assert len(emulator.state.versions("experiments", experiment["id"])) == 2


@pytest.mark.parametrize(
    "body",
    [None, {}, {"rolloutWeights": [1]}, {"rolloutWeights": {"a": -1}}, {"rolloutWeights": {"a": "1"}}, {"weights": {}}],
)
async def test_invalid_rollout_weights(beta: Api, emulator: Emulator, path: str, body: Any) -> None:
    """Invalid weights are rejected with 400, and the old ones stay."""
    assert (await beta("POST", f"{path}/rollout-weights", body)).status == 400
    assert emulator.state.experiments[0]["rolloutWeights"] == {"control": 1, "treatment": 1}


WRITES: list[tuple[str, Any]] = [
    ("activate", None),
    ("deactivate", None),
    ("rollout-weights", {"rolloutWeights": {"control": 1}}),
]


@pytest.mark.parametrize(("below", "body"), WRITES)
async def test_experiments_that_cannot_be_edited(beta: Api, emulator: Emulator, below: str, body: Any) -> None:
    """The status is 404 for an unknown experiment, 403 for another project's, 405 for a web experiment."""
    other = emulator.state.add_experiment(projectId="2")["id"]
    web = emulator.state.add_experiment(_type="web-experiment")["id"]
    assert (await beta("POST", f"/experiments/404/{below}", body)).status == 404
    assert (await beta("POST", f"/experiments/{other}/{below}", body, key="narrow-key")).status == 403
    assert (await beta("POST", f"/experiments/{web}/{below}", body)).status == 405
    assert not any(request.applied for request in emulator.requests)


async def test_an_unknown_key(beta: Api) -> None:
    """Both APIs have the same keys, and reject unknown ones the same way."""
    assert (await beta("GET", "/flags/list", key="wrong")).status == 401
    fields = {"projectId": "2", "key": "x"}
    assert (await beta("POST", "/experiments/new", fields, key="narrow-key")).status == 403


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/flags", 404),
        ("GET", "/experiments", 404),
        ("POST", "/flags/1/activate", 404),
        ("GET", "/experiments/1/variants", 404),
        ("GET", "/versions", 404),
        ("GET", "/mutexes/list", 404),
        ("GET", "/deployments/1", 404),
        ("POST", "/flags/new", 405),
        ("POST", "/flags/list", 405),
        ("GET", "/experiments/new", 405),
        ("PATCH", "/experiments/1", 405),
        ("GET", "/experiments/1/activate", 405),
    ],
)
async def test_paths_of_version_1_only(beta: Api, *, method: str, path: str, status: int) -> None:
    """The other paths and methods of version 1 do not exist in the Beta API."""
    response = await beta(method, path)
    assert response.status == status
    assert f"/beta{path}" in response.body["error"]


async def test_paths_of_the_beta_api_only(api: Api, path: str) -> None:
    """In version 1 a Beta list is the path of an object, and an activation does not exist."""
    assert (await api("GET", "/flags/list")).status == 404
    assert (await api("POST", f"{path}/activate")).status == 404


async def test_log_and_faults(api: Api, beta: Api, emulator: Emulator, path: str) -> None:
    """One log contains the requests of both APIs, and a fault for a path of one does not affect the other."""
    emulator.inject(Fault.status(503, applied=True), path="/beta/experiments/*/activate")
    emulator.inject(Fault.status(502), path="/experiments/*")
    assert (await beta("GET", path)).status == 200
    assert (await beta("POST", f"{path}/activate")).status == 503
    assert (await api("GET", path)).status == 502
    assert [(request.path, request.applied) for request in emulator.requests] == [
        (f"/beta{path}", False),
        (f"/beta{path}/activate", True),
        (f"/api/1{path}", False),
    ]
    assert emulator.state.experiments[0]["enabled"] is True


async def test_shared_limits(session: aiohttp.ClientSession, clock: Any) -> None:
    """Requests to either API count."""
    async with Emulator(clock=clock, per_second=2) as emulator:
        headers = {"Authorization": f"Bearer {emulator.api_key}"}
        urls = [f"{emulator.base_url}/api/1/versions", f"{emulator.beta_base_url}/flags/list"] * 2
        assert [(await session.get(url, headers=headers)).status for url in urls] == [200, 200, 429, 429]
        assert emulator.refused == 2


def test_no_base_url_before_start() -> None:
    """The base URL is not available before the start."""
    with pytest.raises(RuntimeError, match="not been started"):
        _ = Emulator().beta_base_url
