"""The 13 operations of the Beta API, on paths without a prefix."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from tests.operations import answers
from tests.operations.answers import ID, TOGGLE, TOGGLE_JSON, VERSION, VERSION_JSON
from tests.operations.arguments import CREATE, CREATE_JSON
from tests.operations.rows import WILD, WILD_ENCODED, Row, call

NEW, NEW_JSON = {"project_id": "654321", "key": "new-key"}, {"projectId": "654321", "key": "new-key"}
_FIELDS = ("description", "variants", "bucketing_key", "rollout_weights", "target_segments", "deployments")
_FIELDS_JSON = ("description", "variants", "bucketingKey", "rolloutWeights", "targetSegments", "deployments")


def beta_rows() -> Iterator[Row]:
    """All of them."""
    for row in (*_reads(), *_experiments()):
        yield attrs.evolve(row, beta=True)


def _reads() -> Iterator[Row]:
    everything: dict[str, Any] = {"query": {"limit": "1000", "cursor": "eyJpZCI6MTIzfQ=="}, "note": "everything"}
    arguments: dict[str, Any] = {"limit": 1000, "cursor": "eyJpZCI6MTIzfQ=="}
    for kind in ("flags", "experiments"):
        path, one, wild = f"/{kind}/list", f"/{kind}/{ID}", f"/{WILD_ENCODED}"
        listed = {kind: [TOGGLE_JSON[kind]], "nextCursor": None}
        yield Row("List", call(f"{kind}.list"), "GET", path, reply=listed, result=[TOGGLE[kind]])
        empty: dict[str, Any] = {"reply": {kind: []}, "result": []}
        yield Row("List", call(f"{kind}.list", **arguments), "GET", path, **everything, **empty)
        found: dict[str, Any] = {"reply": TOGGLE_JSON[kind], "result": TOGGLE[kind]}
        yield Row("Get details", call(f"{kind}.get", ID), "GET", one, **found)
        yield Row("Get details", call(f"{kind}.get", WILD), "GET", f"/{kind}{wild}", note="wild id", **found)
        versions: dict[str, Any] = {"reply": [VERSION_JSON[kind]], "result": [VERSION[kind]]}
        yield Row("List versions", call(f"{kind}.versions.list", ID), "GET", f"{one}/versions", **versions)
        version: dict[str, Any] = {"reply": VERSION_JSON[kind], "result": VERSION[kind]}
        yield Row("Get version details", call(f"{kind}.versions.get", ID, 3), "GET", f"{one}/versions/3", **version)
    path, listed = "/deployments/list", {"deployments": answers.DEPLOYMENTS_JSON}
    yield Row("List deployments", call("deployments.list"), "GET", path, reply=listed, result=answers.DEPLOYMENTS)
    empty = {"reply": {"deployments": []}, "result": []}
    yield Row("List deployments", call("deployments.list", **arguments), "GET", path, **everything, **empty)


def _experiments() -> Iterator[Row]:
    one, made = f"/experiments/{ID}", {"reply": TOGGLE_JSON["experiments"], "result": TOGGLE["experiments"]}
    create = call("experiments.create", **NEW)
    yield Row("Create", create, "POST", "/experiments/new", body=NEW_JSON, **made)
    yield Row("Activate", call("experiments.activate", ID), "POST", f"{one}/activate")
    yield Row("Deactivate", call("experiments.deactivate", ID), "POST", f"{one}/deactivate")
    weights = call("experiments.set_rollout_weights", ID, {"control": 1, "treatment": 2})
    body: dict[str, Any] = {"rolloutWeights": {"control": 1, "treatment": 2}}
    yield Row("Rollout weights", weights, "POST", f"{one}/rollout-weights", body=body)

    fields = {name: CREATE[name] for name in _FIELDS} | {"sticky_bucketing": True}
    body = NEW_JSON | {name: CREATE_JSON[name] for name in _FIELDS_JSON} | {"stickyBucketing": True}
    create = call("experiments.create", **NEW, **fields)
    yield Row("Create", create, "POST", "/experiments/new", body=body, note="everything", **made)
    wild = f"/experiments/{WILD_ENCODED}"
    yield Row("Activate", call("experiments.activate", WILD), "POST", f"{wild}/activate", note="wild id")
    weights = call("experiments.set_rollout_weights", WILD, rollout_weights={})
    body = {"rolloutWeights": {}}
    yield Row("Rollout weights", weights, "POST", f"{wild}/rollout-weights", body=body, note="none")
