"""Deployments of projects, and of flags and experiments."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from amp_exp_async.emulator import Emulator

Api = Callable[..., Awaitable[Any]]
NEW = {"projectId": "1", "label": "web_1-A", "type": "server"}


async def test_create_and_list(api: Api) -> None:
    """Create returns only the ID; the list has five fields, without the type."""
    created = await api("POST", "/deployments", NEW)
    assert set(created.body) == {"id"}
    (deployment,) = (await api("GET", "/deployments")).body["deployments"]
    assert deployment.pop("key").startswith("server-")
    assert deployment == {"id": created.body["id"], "projectId": "1", "label": "web_1-A", "deleted": False}


async def test_labels_need_not_be_unique(api: Api) -> None:
    """A repeated create makes a second deployment."""
    ids = [(await api("POST", "/deployments", NEW)).body["id"] for _ in range(2)]
    assert ids[0] != ids[1]


@pytest.mark.parametrize(
    "change", [{"projectId": 1}, {"label": "a b"}, {"label": None}, {"type": "mobile"}, {"colour": "red"}]
)
async def test_create_rejects_invalid_fields(api: Api, emulator: Emulator, change: Any) -> None:
    """Invalid fields are rejected with 400, and nothing is created."""
    assert (await api("POST", "/deployments", NEW | change)).status == 400
    assert emulator.state.deployments == []


@pytest.mark.parametrize("missing", ["projectId", "label", "type"])
async def test_create_requires_three_fields(api: Api, missing: str) -> None:
    """The fields must be in the body; query parameters are ignored."""
    fields = {name: value for name, value in NEW.items() if name != missing}
    response = await api("POST", "/deployments", fields, params=NEW)
    assert (response.status, response.body) == (400, {"error": f'"{missing}" is required'})


async def test_edit_archive_and_restore(api: Api, emulator: Emulator) -> None:
    """The label is set, `archive` sets `deleted`, and an archived deployment is still listed."""
    path = f"/deployments/{emulator.state.add_deployment()['id']}"
    for changes, shown in (
        ({"label": "new"}, {"label": "new", "deleted": False}),
        ({"archive": True}, {"label": "new", "deleted": True}),
        ({"archive": False, "label": "newer"}, {"label": "newer", "deleted": False}),
    ):
        assert (await api("PATCH", path, changes)).body == "OK"
        assert shown.items() <= (await api("GET", "/deployments")).body["deployments"][0].items()


@pytest.mark.parametrize("changes", [{}, {"label": "a b"}, {"archive": "true"}, {"type": "client"}])
async def test_edit_rejects_invalid_fields(api: Api, emulator: Emulator, changes: Any) -> None:
    """Invalid fields, and an empty body, are rejected with 400."""
    path = f"/deployments/{emulator.state.add_deployment()['id']}"
    assert (await api("PATCH", path, changes)).status == 400


async def test_edit_of_an_unknown_deployment(api: Api) -> None:
    """The status is 404."""
    assert (await api("PATCH", "/deployments/404", {"label": "a"})).status == 404


async def test_flag_deployments(api: Api, emulator: Emulator, flag_path: str) -> None:
    """A flag's deployments are added once each, listed as complete objects, and removed one by one."""
    first, second = (emulator.state.add_deployment(label=label)["id"] for label in "ab")
    path = f"{flag_path}/deployments"
    assert (await api("POST", path, {"deployments": [first]})).body == "OK"
    assert (await api("POST", path, {"deployments": [first, second]})).body == "OK"
    listed = (await api("GET", path)).body
    assert [(deployment["id"], deployment["label"]) for deployment in listed] == [(first, "a"), (second, "b")]
    assert "_type" not in listed[0]
    assert (await api("GET", flag_path)).body["deployments"] == [first, second]
    assert (await api("DELETE", f"{path}/{first}")).body == "OK"
    assert (await api("DELETE", f"{path}/{first}")).status == 404
    assert (await api("GET", flag_path)).body["deployments"] == [second]


@pytest.mark.parametrize("ids", [["404"], [1], "1", None, [""]])
async def test_flag_deployments_that_do_not_exist(api: Api, emulator: Emulator, flag_path: str, ids: Any) -> None:
    """The status is 400, and no other deployment of the request is added."""
    known = emulator.state.add_deployment()["id"]
    body = {"deployments": [known, *ids] if isinstance(ids, list) else ids}
    assert (await api("POST", f"{flag_path}/deployments", body)).status == 400
    assert (await api("GET", flag_path)).body["deployments"] == []
