"""Deployments of the projects, and those that a flag or an experiment is assigned to."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from amp_exp_async.emulator import Emulator

Api = Callable[..., Awaitable[Any]]
NEW = {"projectId": "1", "label": "web_1-A", "type": "server"}


async def test_create_and_list(api: Api) -> None:
    """Create answers the id alone; the list shows five fields, the type is not among them."""
    created = await api("POST", "/deployments", NEW)
    assert set(created.body) == {"id"}
    (deployment,) = (await api("GET", "/deployments")).body["deployments"]
    assert deployment.pop("key").startswith("server-")
    assert deployment == {"id": created.body["id"], "projectId": "1", "label": "web_1-A", "deleted": False}


async def test_a_label_may_be_used_twice(api: Api) -> None:
    """A create that is repeated makes a second deployment."""
    ids = [(await api("POST", "/deployments", NEW)).body["id"] for _ in range(2)]
    assert ids[0] != ids[1]


@pytest.mark.parametrize(
    "change", [{"projectId": 1}, {"label": "a b"}, {"label": None}, {"type": "mobile"}, {"colour": "red"}]
)
async def test_create_refuses_what_will_not_do(api: Api, emulator: Emulator, change: Any) -> None:
    """400, and nothing is created."""
    assert (await api("POST", "/deployments", NEW | change)).status == 400
    assert emulator.state.deployments == []


@pytest.mark.parametrize("missing", ["projectId", "label", "type"])
async def test_create_needs_three_fields(api: Api, missing: str) -> None:
    """The fields belong into the body, as parameters of the query they are missing."""
    fields = {name: value for name, value in NEW.items() if name != missing}
    answer = await api("POST", "/deployments", fields, params=NEW)
    assert (answer.status, answer.body) == (400, {"error": f'"{missing}" is missing'})


async def test_edit_archive_and_restore(api: Api, emulator: Emulator) -> None:
    """The label is set, archive becomes deleted; an archived deployment is still listed."""
    path = f"/deployments/{emulator.state.add_deployment()['id']}"
    for changes, shown in (
        ({"label": "new"}, {"label": "new", "deleted": False}),
        ({"archive": True}, {"label": "new", "deleted": True}),
        ({"archive": False, "label": "newer"}, {"label": "newer", "deleted": False}),
    ):
        assert (await api("PATCH", path, changes)).body == "OK"
        assert shown.items() <= (await api("GET", "/deployments")).body["deployments"][0].items()


@pytest.mark.parametrize("changes", [{}, {"label": "a b"}, {"archive": "true"}, {"type": "client"}])
async def test_edit_refuses_what_will_not_do(api: Api, emulator: Emulator, changes: Any) -> None:
    """400, also for a body without any field."""
    path = f"/deployments/{emulator.state.add_deployment()['id']}"
    assert (await api("PATCH", path, changes)).status == 400


async def test_edit_of_an_unknown_deployment(api: Api) -> None:
    """404 for a deployment that is not there."""
    assert (await api("PATCH", "/deployments/404", {"label": "a"})).status == 404


async def test_assign_to_deployments(api: Api, emulator: Emulator, toggle: str) -> None:
    """Deployments are added once each, listed as full objects, and removed one by one."""
    first, second = (emulator.state.add_deployment(label=label)["id"] for label in "ab")
    path = f"{toggle}/deployments"
    assert (await api("POST", path, {"deployments": [first]})).body == "OK"
    assert (await api("POST", path, {"deployments": [first, second]})).body == "OK"
    listed = (await api("GET", path)).body
    assert [(deployment["id"], deployment["label"]) for deployment in listed] == [(first, "a"), (second, "b")]
    assert "_type" not in listed[0]
    assert (await api("GET", toggle)).body["deployments"] == [first, second]
    assert (await api("DELETE", f"{path}/{first}")).body == "OK"
    assert (await api("DELETE", f"{path}/{first}")).status == 404
    assert (await api("GET", toggle)).body["deployments"] == [second]


@pytest.mark.parametrize("ids", [["404"], [1], "1", None, [""]])
async def test_assign_to_what_is_no_deployment(api: Api, emulator: Emulator, toggle: str, ids: Any) -> None:
    """400, and no other deployment of the request is added."""
    known = emulator.state.add_deployment()["id"]
    body = {"deployments": [known, *ids] if isinstance(ids, list) else ids}
    assert (await api("POST", f"{toggle}/deployments", body)).status == 400
    assert (await api("GET", toggle)).body["deployments"] == []
