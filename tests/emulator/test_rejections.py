"""Requests that are rejected for every operation: keys, paths, methods, bodies, and read-only types."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from amp_exp_async.emulator import Emulator
from amp_exp_async.emulator.routes import BETA_PREFIX, PREFIX, ROUTES

Api = Callable[..., Awaitable[Any]]


def test_number_of_operations() -> None:
    """22 for flags and experiments, 3 for deployments, 1 for versions, 5 and 4 for groups; 13 of the Beta API."""
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
    """The status is 401, also for unknown paths, and the log contains no key."""
    for path in ("/flags", "/nothing"):
        response = await api("GET", path, headers=headers)
        assert response.status == 401
        assert "key" in response.body["error"]
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
        response = await api(method, path, body, key="narrow-key")
        assert response.status == 403
        assert "project 2" in response.body["error"]


async def test_a_key_sees_only_its_projects_deployments(api: Api, emulator: Emulator) -> None:
    """Deployments of other projects cannot be listed, edited, created or added."""
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
async def test_read_only_types(api: Api, emulator: Emulator, kind: Any, type_: str) -> None:
    """Web experiments, guides and surveys can be read, and every write is rejected with 405, whatever its body."""
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
            response = await api(method, path, None if method == "GET" else {})
            assert response.status == (200 if method == "GET" else 405)
            assert method == "GET" or type_ in response.body["error"]
    assert [request.status for request in emulator.requests].count(405) >= 12
    assert emulator.state.revision == revision
    assert "_type" not in (await api("GET", f"/{kind}/{id}")).body


@pytest.mark.parametrize("method", ["GET", "PATCH"])
async def test_an_unknown_object(api: Api, kind: str, method: str) -> None:
    """The status is 404 with the decoded ID."""
    response = await api(method, f"/{kind}/a%2Fb", {"name": "n"})
    assert response.status == 404
    assert "a/b" in response.body["error"]


async def test_a_flag_is_not_an_experiment(api: Api, emulator: Emulator) -> None:
    """The ID of a flag is not the ID of an experiment."""
    assert (await api("GET", f"/experiments/{emulator.state.add_flag()['id']}")).status == 404


@pytest.mark.parametrize(
    "path",
    ["/", "/nothing", "/flags/1/nothing", "/flags/1/variants/on/users/0/more", "/holdouts/1/slots/1", "/versions/1"],
)
async def test_an_unknown_path(api: Api, path: str) -> None:
    """The status is 404 with JSON."""
    response = await api("GET", path)
    assert response.status == 404
    assert path in response.body["error"]


@pytest.mark.parametrize("path", ["/../../flags", "/../1flags", "/../../"])
async def test_a_path_outside_the_prefix(api: Api, emulator: Emulator, path: str) -> None:
    """The status is 404 with the prefixes."""
    response = await api("GET", path)
    assert response.status == 404
    assert "/api/1 or /beta" in response.body["error"]
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
    """The status is 405 with JSON that names the methods of the path."""
    response = await api(method, path)
    assert response.status == 405
    assert response.body["error"].endswith(f"only {allowed}")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"text"', b"null", b"\xff", b"{'a': 1}"])
async def test_invalid_json_body(api: Api, emulator: Emulator, flag_path: str, content: bytes) -> None:
    """The status is 400, and the log contains the body."""
    headers = {"Authorization": f"Bearer {emulator.api_key}", "Content-Type": "application/json"}
    assert (await api("PATCH", flag_path, headers=headers, data=content)).status == 400
    try:
        expected = json.loads(content) if content else None
    except ValueError:
        expected = content.decode(errors="replace")
    assert emulator.requests[-1].body == expected


async def test_body_with_another_content_type(api: Api, emulator: Emulator, flag_path: str) -> None:
    """The status is 400 for JSON that is not declared as JSON."""
    headers = {"Authorization": f"Bearer {emulator.api_key}", "Content-Type": "text/plain"}
    response = await api("PATCH", flag_path, headers=headers, data='{"name": "n"}')
    assert response.status == 400
    assert "Content-Type" in response.body["error"]
