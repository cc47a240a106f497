"""Variants."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from amp_exp_async.emulator import Emulator

Api = Callable[..., Awaitable[Any]]


def stored(emulator: Emulator, toggle: str) -> dict[str, Any]:
    """The document behind a path."""
    _, kind, id = toggle.split("/")
    return emulator.state.flag(id) if kind == "flags" else emulator.state.experiment(id)


async def test_the_long_form(api: Api, toggle: str) -> None:
    """The variant operations fill in name, payload and description, and show the rollout weight."""
    on, off = (await api("GET", f"{toggle}/variants")).body
    assert on == {"key": "on", "name": "", "payload": {}, "description": "", "rolloutWeight": 1}
    assert (await api("GET", f"{toggle}/variants/off")).body == off


@pytest.mark.parametrize("payload", [{"a": [1, None]}, [1], "text", 4.5, True, None, {}])
async def test_create_keeps_what_was_set(api: Api, emulator: Emulator, toggle: str, payload: Any) -> None:
    """The document has the short form with what was set, any JSON value as payload."""
    fields = {"key": "new_1-A", "name": "New", "payload": payload}
    assert (await api("POST", f"{toggle}/variants", fields | {"rolloutWeight": 2.5})).body == "OK"
    assert (await api("GET", f"{toggle}/variants/new_1-A")).body == fields | {"description": "", "rolloutWeight": 2.5}
    assert stored(emulator, toggle)["variants"][-1] == fields


async def test_create_without_a_weight_moves_no_traffic(api: Api, toggle: str) -> None:
    """The weight of a new variant is 0 unless it is sent."""
    await api("POST", f"{toggle}/variants", {"key": "new"})
    assert (await api("GET", f"{toggle}/variants/new")).body["rolloutWeight"] == 0


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
async def test_what_will_not_do(api: Api, toggle: str, method: str, path: str, fields: Any) -> None:
    """400, and the variants are as before."""
    before = (await api("GET", f"{toggle}/variants")).body
    assert (await api(method, f"{toggle}/variants{path}", fields)).status == 400
    assert (await api("GET", f"{toggle}/variants")).body == before


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
async def test_an_unknown_variant(api: Api, toggle: str, method: str) -> None:
    """404 for a variant that is not there."""
    assert (await api(method, f"{toggle}/variants/none", {"name": "n"})).status == 404


async def test_edit_sets_what_was_sent(api: Api, toggle: str) -> None:
    """Fields left out stay, null becomes null, the payload is replaced whole."""
    await api("PATCH", f"{toggle}/variants/on", {"payload": {"a": 1}, "name": "On"})
    await api("PATCH", f"{toggle}/variants/on", {"payload": {"b": 2}, "description": None, "rolloutWeight": 7})
    assert (await api("GET", f"{toggle}/variants/on")).body == {
        "key": "on", "name": "On", "payload": {"b": 2}, "description": None, "rolloutWeight": 7
    }  # fmt: skip


async def test_rename_takes_weights_and_inclusions_along(api: Api, emulator: Emulator, kind: Any, toggle: str) -> None:
    """Under its new key the variant has the old one's place, weights in all segments, users and cohorts."""
    id = toggle.split("/")[2]
    segments = [
        {"name": "s", "conditions": [], "percentage": 1, "rolloutWeights": {"on": 3, "off": 4}},
        {"name": "no weights"},
    ]
    emulator.state.update(emulator.state.stored_flag(kind, id), targetSegments=segments)
    await api("POST", f"{toggle}/variants/on/users", {"inclusions": ["u"]})
    await api("POST", f"{toggle}/variants/on/cohorts", {"inclusions": ["c"]})
    assert (await api("PATCH", f"{toggle}/variants/on", {"key": "active"})).status == 200
    document = stored(emulator, toggle)
    assert [variant["key"] for variant in document["variants"]] == ["active", "off"]
    assert list(document["rolloutWeights"].items()) == [("active", 1), ("off", 1)]
    assert document["targetSegments"] == [segments[0] | {"rolloutWeights": {"active": 3, "off": 4}}, segments[1]]
    assert emulator.state.users(kind, id, "active") == ["u"]
    assert emulator.state.cohorts(kind, id, "active") == ["c"]
    assert (await api("GET", f"{toggle}/variants/on/users")).status == 404


async def test_rename_with_a_new_weight(api: Api, emulator: Emulator, toggle: str) -> None:
    """A weight in the same request belongs to the new key; nothing is left under the old one."""
    assert (await api("PATCH", f"{toggle}/variants/on", {"key": "active", "rolloutWeight": 9})).status == 200
    assert stored(emulator, toggle)["rolloutWeights"] == {"active": 9, "off": 1}


async def test_rename_to_the_same_key(api: Api, toggle: str) -> None:
    """The own key is not taken."""
    assert (await api("PATCH", f"{toggle}/variants/on", {"key": "on"})).status == 200


async def test_remove_takes_weights_and_inclusions_away(api: Api, emulator: Emulator, kind: Any, toggle: str) -> None:
    """A variant that is created again under the same key begins with nothing."""
    await api("POST", f"{toggle}/variants/on/users", {"inclusions": ["u"]})
    assert (await api("DELETE", f"{toggle}/variants/on")).body == "OK"
    assert stored(emulator, toggle)["rolloutWeights"] == {"off": 1}
    assert (await api("DELETE", f"{toggle}/variants/on")).status == 404
    await api("POST", f"{toggle}/variants", {"key": "on"})
    assert emulator.state.users(kind, toggle.split("/")[2], "on") == []


async def test_documents_whose_weights_and_segments_are_null(api: Api, emulator: Emulator) -> None:
    """Null in place of weights and segments counts as none."""
    flag = emulator.state.add_flag(rolloutWeights=None, targetSegments=None)
    path = f"/flags/{flag['id']}/variants"
    assert (await api("GET", path)).body[0]["rolloutWeight"] == 0
    assert (await api("PATCH", f"{path}/on", {"key": "active"})).status == 200
    assert (await api("DELETE", f"{path}/active")).status == 200
