"""Variants."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from amp_exp_async.emulator import Emulator

Api = Callable[..., Awaitable[Any]]


def stored(emulator: Emulator, flag_path: str) -> dict[str, Any]:
    """Return the document of a path."""
    _, kind, id = flag_path.split("/")
    return emulator.state.flag(id) if kind == "flags" else emulator.state.experiment(id)


async def test_the_long_form(api: Api, flag_path: str) -> None:
    """The variant operations fill in name, payload and description, and the rollout weight."""
    on, off = (await api("GET", f"{flag_path}/variants")).body
    assert on == {"key": "on", "name": "", "payload": {}, "description": "", "rolloutWeight": 1}
    assert (await api("GET", f"{flag_path}/variants/off")).body == off


@pytest.mark.parametrize("payload", [{"a": [1, None]}, [1], "text", 4.5, True, None, {}])
async def test_create(api: Api, emulator: Emulator, flag_path: str, payload: Any) -> None:
    """The document has the short form with the fields that were sent, and any JSON value as payload."""
    fields = {"key": "new_1-A", "name": "New", "payload": payload}
    assert (await api("POST", f"{flag_path}/variants", fields | {"rolloutWeight": 2.5})).body == "OK"
    details = fields | {"description": "", "rolloutWeight": 2.5}
    assert (await api("GET", f"{flag_path}/variants/new_1-A")).body == details
    assert stored(emulator, flag_path)["variants"][-1] == fields


async def test_create_without_a_weight_moves_no_traffic(api: Api, flag_path: str) -> None:
    """The default weight of a new variant is 0."""
    await api("POST", f"{flag_path}/variants", {"key": "new"})
    assert (await api("GET", f"{flag_path}/variants/new")).body["rolloutWeight"] == 0


@pytest.mark.parametrize(
    ("method", "path", "fields"),
    [
        ("POST", "", {}),
        ("POST", "", {"key": "on"}),
        ("POST", "", {"key": "a b"}),
        ("POST", "", {"key": "ä"}),
        ("POST", "", {"key": ""}),
        ("POST", "", {"key": "new", "weight": 1}),
        ("POST", "", {"key": "new", "rolloutWeight": "1"}),
        ("POST", "", {"key": "new", "rolloutWeight": -1}),
        ("PATCH", "/on", {}),
        ("PATCH", "/on", {"key": "off"}),
        ("PATCH", "/on", {"key": "a.b"}),
        ("PATCH", "/on", {"key": None}),
        ("PATCH", "/on", {"rolloutWeight": None}),
        ("PATCH", "/on", {"name": 5}),
    ],
)
async def test_invalid_fields(api: Api, flag_path: str, method: str, path: str, fields: Any) -> None:
    """The status is 400, and the variants do not change."""
    before = (await api("GET", f"{flag_path}/variants")).body
    assert (await api(method, f"{flag_path}/variants{path}", fields)).status == 400
    assert (await api("GET", f"{flag_path}/variants")).body == before


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
async def test_an_unknown_variant(api: Api, flag_path: str, method: str) -> None:
    """The status is 404."""
    assert (await api(method, f"{flag_path}/variants/none", {"name": "n"})).status == 404


async def test_edit(api: Api, flag_path: str) -> None:
    """Missing fields stay, null is set, and the payload is replaced."""
    await api("PATCH", f"{flag_path}/variants/on", {"payload": {"a": 1}, "name": "On"})
    await api("PATCH", f"{flag_path}/variants/on", {"payload": {"b": 2}, "description": None, "rolloutWeight": 7})
    assert (await api("GET", f"{flag_path}/variants/on")).body == {
        "key": "on", "name": "On", "payload": {"b": 2}, "description": None, "rolloutWeight": 7
    }  # fmt: skip


async def test_rename_keeps_weights_and_inclusions(api: Api, emulator: Emulator, kind: Any, flag_path: str) -> None:
    """The renamed variant keeps its location, its weights in all segments, its users and its cohorts."""
    id = flag_path.split("/")[2]
    segments = [
        {"name": "s", "conditions": [], "percentage": 1, "rolloutWeights": {"on": 3, "off": 4}},
        {"name": "no weights"},
    ]
    emulator.state.update(emulator.state.stored_flag(kind, id), targetSegments=segments)
    await api("POST", f"{flag_path}/variants/on/users", {"inclusions": ["u"]})
    await api("POST", f"{flag_path}/variants/on/cohorts", {"inclusions": ["c"]})
    assert (await api("PATCH", f"{flag_path}/variants/on", {"key": "active"})).status == 200
    document = stored(emulator, flag_path)
    assert [variant["key"] for variant in document["variants"]] == ["active", "off"]
    assert list(document["rolloutWeights"].items()) == [("active", 1), ("off", 1)]
    assert document["targetSegments"] == [segments[0] | {"rolloutWeights": {"active": 3, "off": 4}}, segments[1]]
    assert emulator.state.users(kind, id, "active") == ["u"]
    assert emulator.state.cohorts(kind, id, "active") == ["c"]
    assert (await api("GET", f"{flag_path}/variants/on/users")).status == 404


async def test_rename_with_a_new_weight(api: Api, emulator: Emulator, flag_path: str) -> None:
    """The weight in the request belongs to the new key, and the old key has none."""
    assert (await api("PATCH", f"{flag_path}/variants/on", {"key": "active", "rolloutWeight": 9})).status == 200
    assert stored(emulator, flag_path)["rolloutWeights"] == {"active": 9, "off": 1}


async def test_rename_to_the_same_key(api: Api, flag_path: str) -> None:
    """The variant's own key is not a duplicate."""
    assert (await api("PATCH", f"{flag_path}/variants/on", {"key": "on"})).status == 200


async def test_remove_deletes_weights_and_inclusions(api: Api, emulator: Emulator, kind: Any, flag_path: str) -> None:
    """A new variant with the same key has no weights and inclusions."""
    await api("POST", f"{flag_path}/variants/on/users", {"inclusions": ["u"]})
    assert (await api("DELETE", f"{flag_path}/variants/on")).body == "OK"
    assert stored(emulator, flag_path)["rolloutWeights"] == {"off": 1}
    assert (await api("DELETE", f"{flag_path}/variants/on")).status == 404
    await api("POST", f"{flag_path}/variants", {"key": "on"})
    assert emulator.state.users(kind, flag_path.split("/")[2], "on") == []


async def test_null_weights_and_segments(api: Api, emulator: Emulator) -> None:
    """Null is treated like empty weights and segments."""
    flag = emulator.state.add_flag(rolloutWeights=None, targetSegments=None)
    path = f"/flags/{flag['id']}/variants"
    assert (await api("GET", path)).body[0]["rolloutWeight"] == 0
    assert (await api("PATCH", f"{path}/on", {"key": "active"})).status == 200
    assert (await api("DELETE", f"{path}/active")).status == 200
