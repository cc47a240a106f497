"""Requests that are refused whatever the operation: keys, paths, methods, bodies, and what may not be edited."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from amp_exp_async.emulator import Emulator
from amp_exp_async.emulator.routes import BETA_PREFIX, PREFIX, ROUTES

Api = Callable[..., Awaitable[Any]]


def test_the_operations_of_the_contract() -> None:
    """22 operations on flags and on experiments, 3 on deployments, 1 on versions, 5 and 4 on groups; 13 of the Beta."""
    shared = [route for route in ROUTES[PREFIX] if route.path.startswith("/{kind}")]
    assert (len(shared), len(ROUTES[PREFIX])) == (22, 22 + 3 + 1 + 5 + 4)
    assert sum(2 if route.path.startswith("/{kind}") else 1 for route in ROUTES[BETA_PREFIX]) == 13


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "emulator-management-key"},
        {"Authorization": "Basic emulator-management-key"},
    ],
)
async def test_a_missing_or_unknown_key(api: Api, emulator: Emulator, headers: dict[str, str]) -> None:
    """401, on unknown paths too, and the log shows that the key was not known, never the key."""
    for path in ("/flags", "/nothing"):
        answer = await api("GET", path, headers=headers)
        assert answer.status == 401
        assert "key" in answer.body["error"]
    assert [request.authorized for request in emulator.requests] == [False, False]
    assert not any("wrong" in str(request) for request in emulator.requests)


async def test_a_key_sees_only_its_projects(api: Api, emulator: Emulator, kind: Any) -> None:
    """Objects of other projects are 403 one by one, and absent from lists."""
    mine = emulator.state.add(kind, {"projectId": "1"})["id"]
    other = emulator.state.add(kind, {"projectId": "2"})["id"]
    listed = (await api("GET", f"/{kind}", key="narrow-key")).body[kind]
    assert [document["id"] for document in listed] == [mine]
    assert (await api("GET", f"/{kind}/{mine}", key="narrow-key")).status == 200
    for method, path, body in (
        ("GET", f"/{kind}/{other}", None),
        ("PATCH", f"/{kind}/{other}", {"name": "n"}),
        ("GET", f"/{kind}?projectId=2", None),
        ("POST", f"/{kind}", {"projectId": "2", "key": "new"}),
        ("DELETE", f"/{kind}/{other}/variants/on/users", None),
    ):
        answer = await api(method, path, body, key="narrow-key")
        assert answer.status == 403
        assert "project 2" in answer.body["error"]


async def test_a_key_sees_only_its_projects_deployments(api: Api, emulator: Emulator) -> None:
    """The same holds for deployments, listed, edited, created or assigned."""
    flag = emulator.state.add_flag(projectId="1")["id"]
    other = emulator.state.add_deployment(projectId="2")["id"]
    assert (await api("GET", "/deployments", key="narrow-key")).body == {"deployments": []}
    for method, path, body in (
        ("PATCH", f"/deployments/{other}", {"label": "a"}),
        ("POST", "/deployments", {"projectId": "2", "label": "a", "type": "client"}),
        ("POST", f"/flags/{flag}/deployments", {"deployments": [other]}),
    ):
        assert (await api(method, path, body, key="narrow-key")).status == 403


@pytest.mark.parametrize("type_", ["web-experiment", "guide", "survey"])
async def test_what_this_api_may_not_edit(api: Api, emulator: Emulator, kind: Any, type_: str) -> None:
    """Web experiments, guides and surveys can be read, and refuse every write with 405, whatever its body."""
    deployment = emulator.state.add_deployment()["id"]
    fields = {"variants": [{"key": "on"}], "deployments": [deployment], "_type": type_}
    id = emulator.state.add(kind, fields)["id"]
    emulator.state.add_users(kind, id, "on", ["u"])
    emulator.requests.clear()
    revision = emulator.state.revision
    for route in ROUTES[PREFIX]:
        if route.path.startswith("/{kind}/{id}"):
            method = route.method
            path = route.path.format(kind=kind, id=id, variant="on", index="0", deployment=deployment, version="1")
            answer = await api(method, path, None if method == "GET" else {})
            assert answer.status == (200 if method == "GET" else 405)
            assert method == "GET" or type_ in answer.body["error"]
    assert [request.status for request in emulator.requests].count(405) == 12
    assert emulator.state.revision == revision
    assert "_type" not in (await api("GET", f"/{kind}/{id}")).body


@pytest.mark.parametrize("method", ["GET", "PATCH"])
async def test_an_unknown_object(api: Api, kind: str, method: str) -> None:
    """404 names the id, decoded."""
    answer = await api(method, f"/{kind}/a%2Fb", {"name": "n"})
    assert answer.status == 404
    assert "a/b" in answer.body["error"]


async def test_flags_and_experiments_are_apart(api: Api, emulator: Emulator) -> None:
    """A flag's id names no experiment."""
    assert (await api("GET", f"/experiments/{emulator.state.add_flag()['id']}")).status == 404


@pytest.mark.parametrize(
    "path",
    ["/", "/nothing", "/flags/1/nothing", "/flags/1/variants/on/users/0/more", "/holdouts/1/slots/1", "/versions/1"],
)
async def test_an_unknown_path(api: Api, path: str) -> None:
    """404 with JSON for a path that the API does not have."""
    answer = await api("GET", path)
    assert answer.status == 404
    assert path in answer.body["error"]


@pytest.mark.parametrize("path", ["/../../flags", "/../1flags", "/../../"])
async def test_a_path_outside_the_prefix(api: Api, emulator: Emulator, path: str) -> None:
    """404 that names the prefix, for paths as they arrive."""
    answer = await api("GET", path)
    assert answer.status == 404
    assert "/api/1 or /beta" in answer.body["error"]
    assert not emulator.requests[-1].path.startswith("/api/1/")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/flags", "GET, POST"),
        ("POST", "/experiments/1", "GET, PATCH"),
        ("POST", "/flags/1/variants/on", "GET, PATCH, DELETE"),
        ("GET", "/flags/1/variants/on/users/0", "DELETE"),
        ("POST", "/flags/1/variants/on/bulk-delete-users", "DELETE"),
        ("PUT", "/deployments", "GET, POST"),
        ("GET", "/deployments/1", "PATCH"),
        ("POST", "/versions", "GET"),
        ("DELETE", "/mutexes/1", "GET, PATCH"),
        ("GET", "/mutexes/1/slots/1", "PATCH"),
        ("PATCH", "/holdouts", "GET, POST"),
    ],
)
async def test_a_wrong_method(api: Api, method: str, path: str, allowed: str) -> None:
    """405 with JSON names the methods that the path has."""
    answer = await api(method, path)
    assert answer.status == 405
    assert answer.body["error"].endswith(f"only {allowed}")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"text"', b"null", b"\xff", b"{'a': 1}"])
async def test_a_body_that_is_no_json_object(api: Api, emulator: Emulator, toggle: str, content: bytes) -> None:
    """400, and the log shows what came."""
    headers = {"Authorization": f"Bearer {emulator.api_key}", "Content-Type": "application/json"}
    assert (await api("PATCH", toggle, headers=headers, data=content)).status == 400
    try:
        expected = json.loads(content) if content else None
    except ValueError:
        expected = content.decode(errors="replace")
    assert emulator.requests[-1].body == expected


async def test_a_body_of_another_type(api: Api, emulator: Emulator, toggle: str) -> None:
    """400 for JSON that is not declared as JSON."""
    headers = {"Authorization": f"Bearer {emulator.api_key}", "Content-Type": "text/plain"}
    answer = await api("PATCH", toggle, headers=headers, data='{"name": "n"}')
    assert answer.status == 400
    assert "Content-Type" in answer.body["error"]
