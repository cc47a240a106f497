"""Every operation of version 1 on flags, experiments and deployments, and the table of all there are."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from functools import partial
from typing import Any

import attrs

from amp_exp_async import Created, ExposureEvent
from tests.operations import answers
from tests.operations.answers import (
    CREATED,
    CREATED_JSON,
    ID,
    KEY,
    TOGGLE,
    TOGGLE_JSON,
    VARIANT,
    VARIANT_JSON,
    VERSION,
    VERSION_JSON,
    Kind,
)
from tests.operations.arguments import (
    CREATE,
    CREATE_JSON,
    EDIT,
    EDIT_EXPERIMENT,
    EDIT_EXPERIMENT_JSON,
    EDIT_JSON,
    NEW_VARIANT,
    NEW_VARIANT_JSON,
)
from tests.operations.beta_table import beta_rows
from tests.operations.group_table import group_rows
from tests.operations.rows import WILD, WILD_ENCODED, Call, Row, call

KINDS: tuple[Kind, ...] = ("flags", "experiments")


NEW, NEW_JSON = {"project_id": "654321", "key": "new-key"}, {"projectId": "654321", "key": "new-key"}


def _row(kind: Kind, operation: str, method: str, path: str, call: Call, **rest: Any) -> Row:
    """A row of an operation that flags and experiments both have; the call's name stands after the kind."""
    return Row(operation, attrs.evolve(call, method=f"{kind}.{call.method}"), method, f"/{kind}{path}", **rest)


def _operations(kind: Kind) -> Iterator[Row]:
    """The 22 operations that flags and experiments both have, each called as its example in the contract."""
    row = partial(_row, kind)
    one, on = f"/{ID}", f"/{ID}/variants/on"
    users, cohorts = ["user@example.com", "user-18442"], ["cohort-id-1", "cohort-id-2"]
    deployment, deployment_json = answers.DEPLOYMENTS[:1], answers.DEPLOYMENTS_JSON[:1]

    yield row("List", "GET", "", call("list"), reply={kind: [TOGGLE_JSON[kind]]}, result=[TOGGLE[kind]])
    yield row("Get details", "GET", one, call("get", ID), reply=TOGGLE_JSON[kind], result=TOGGLE[kind])
    version = {"reply": VERSION_JSON[kind], "result": VERSION[kind]}
    versions = {"reply": [VERSION_JSON[kind]], "result": [VERSION[kind]]}
    yield row("List versions", "GET", f"{one}/versions", call("versions.list", ID), **versions)
    yield row("Get version details", "GET", f"{one}/versions/3", call("versions.get", ID, 3), **version)
    listed = {"reply": [VARIANT_JSON], "result": [VARIANT]}
    yield row("List variants", "GET", f"{one}/variants", call("variants.list", ID), **listed)
    yield row("Get variant details", "GET", on, call("variants.get", ID, "on"), reply=VARIANT_JSON, result=VARIANT)
    create = call("variants.create", ID, **NEW_VARIANT)
    yield row("Create variant", "POST", f"{one}/variants", create, body=NEW_VARIANT_JSON)
    yield row("Edit variant", "PATCH", on, call("variants.edit", ID, "on", **NEW_VARIANT), body=NEW_VARIANT_JSON)
    yield row("Remove variant", "DELETE", on, call("variants.remove", ID, "on"))
    yield row("Get variant inclusions", "GET", f"{on}/users", call("users.list", ID, "on"), reply=users, result=users)
    add = call("users.add", ID, "on", users)
    yield row("Add users to variant", "POST", f"{on}/users", add, body={"inclusions": users})
    yield row("Remove one user", "DELETE", f"{on}/users/7", call("users.remove_at", ID, "on", 7))
    yield row("Remove all users", "DELETE", f"{on}/users", call("users.remove_all", ID, "on"))
    remove = call("users.remove", ID, "on", users)
    yield row("Bulk remove users", "DELETE", f"{on}/bulk-delete-users", remove, body={"users": users})
    listed = {"reply": cohorts, "result": cohorts}
    yield row("Get cohort inclusions", "GET", f"{on}/cohorts", call("cohorts.list", ID, "on"), **listed)
    add = call("cohorts.add", ID, "on", cohorts)
    yield row("Add cohorts", "POST", f"{on}/cohorts", add, body={"inclusions": cohorts})
    remove = call("cohorts.remove", ID, "on", cohorts)
    yield row("Bulk remove cohorts", "DELETE", f"{on}/bulk-delete-cohorts", remove, body={"users": cohorts})
    listed = {"reply": deployment_json, "result": deployment}
    yield row("List deployments", "GET", f"{one}/deployments", call("deployments.list", ID), **listed)
    add = call("deployments.add", ID, ["1001"])
    yield row("Add deployments", "POST", f"{one}/deployments", add, body={"deployments": ["1001"]})
    remove = call("deployments.remove", ID, "1001")
    yield row("Remove deployment", "DELETE", f"{one}/deployments/1001", remove)
    edit = call("edit", ID, enabled=True, rollout_percentage=50)
    yield row("Edit", "PATCH", one, edit, body={"enabled": True, "rolloutPercentage": 50})
    yield row("Create", "POST", "", call("create", **NEW), body=NEW_JSON, reply=CREATED_JSON, result=CREATED)


def _more_calls(kind: Kind) -> Iterator[Row]:
    """Beyond the 22: what is made of them, all arguments, nulls, and ids that a path cannot hold as they are."""
    row = partial(_row, kind)
    one, on = f"/{ID}", f"/{ID}/variants/on"
    created = {"reply": CREATED_JSON, "result": CREATED}
    wild = f"/{WILD_ENCODED}"
    edited, edited_json = EDIT, EDIT_JSON
    made, made_json = NEW | CREATE, NEW_JSON | CREATE_JSON
    if kind == "experiments":
        edited, edited_json = EDIT | EDIT_EXPERIMENT, EDIT_JSON | EDIT_EXPERIMENT_JSON
        made, made_json = made | {"experiment_type": "no-harm"}, made_json | {"experimentType": "no-harm"}
    yield row("Edit", "PATCH", one, call("edit", ID, **edited), body=edited_json, note="everything")
    nulls = {name: None for name, value in edited.items() if isinstance(value, str | date | ExposureEvent)}
    nulls_json = {
        name: None for name, value in edited_json.items() if isinstance(value, str) or name == "exposureEvent"
    }
    yield row("Edit", "PATCH", one, call("edit", ID, **nulls), body=nulls_json, note="nulls")
    yield row("Create", "POST", "", call("create", **made), body=made_json, note="everything", **created)
    yield row("Edit", "PATCH", one, call("archive", ID), body={"archive": True}, note="archive")
    yield row("Edit", "PATCH", one, call("restore", ID), body={"archive": False}, note="restore")
    found: dict[str, Any] = {"reply": {kind: [TOGGLE_JSON[kind]], "nextCursor": ""}, "result": TOGGLE[kind]}
    key = {"key": KEY[kind]}
    yield row("List", "GET", "", call("find", KEY[kind]), query=key, note="find", **found)
    find = call("find", KEY[kind], project_id="654321")
    yield row("List", "GET", "", find, query=key | {"projectId": "654321"}, note="find in a project", **found)
    listing = call("list", key="k", project_id="6 & 7", include_archived=True, limit=1000, cursor="eyJpZCI6MTIzfQ==")
    query = {"key": "k", "projectId": "6 & 7", "includeArchived": "true", "limit": "1000", "cursor": "eyJpZCI6MTIzfQ=="}
    empty: dict[str, Any] = {"reply": {kind: [], "nextCursor": None}, "result": []}
    yield row("List", "GET", "", listing, query=query, note="everything", **empty)
    listing = call("list", include_archived=False, limit=1, cursor=0)
    query = {"includeArchived": "false", "limit": "1", "cursor": "0"}
    yield row("List", "GET", "", listing, query=query, note="falsy arguments", **empty)
    get = call("get", WILD)
    yield row("Get details", "GET", wild, get, reply=TOGGLE_JSON[kind], result=TOGGLE[kind], note="wild id")
    get = call("versions.get", WILD, WILD)
    version = {"reply": VERSION_JSON[kind], "result": VERSION[kind]}
    yield row("Get version details", "GET", f"{wild}/versions{wild}", get, note="wild ids", **version)
    remove = call("deployments.remove", WILD, WILD)
    yield row("Remove deployment", "DELETE", f"{wild}/deployments{wild}", remove, note="wild ids")
    edit = call("variants.edit", ID, "on", name=None, description=None, payload=None)
    nulls_json = {"name": None, "description": None, "payload": None}
    yield row("Edit variant", "PATCH", on, edit, body=nulls_json, note="nulls")


def _deployments() -> Iterator[Row]:
    path, listed = "/deployments", {"deployments": answers.DEPLOYMENTS_JSON}
    yield Row("List deployments", call("deployments.list"), "GET", path, reply=listed, result=answers.DEPLOYMENTS)
    create = call("deployments.create", project_id="654321", label="hello-world", type="client")
    body = {"projectId": "654321", "label": "hello-world", "type": "client"}
    yield Row("Create deployment", create, "POST", path, body=body, reply={"id": "1001"}, result=Created("1001"))
    edit = call("deployments.edit", "1001", label="updated-label")
    yield Row("Edit deployment", edit, "PATCH", f"{path}/1001", body={"label": "updated-label"})

    listing, query = call("deployments.list", limit=2, cursor="c=1"), {"limit": "2", "cursor": "c=1"}
    listed = {"deployments": []}
    yield Row("List deployments", listing, "GET", path, query=query, reply=listed, result=[], note="everything")
    edit = call("deployments.edit", WILD, label="updated-label", archive=True)
    changed = {"label": "updated-label", "archive": True}
    yield Row("Edit deployment", edit, "PATCH", f"{path}/{WILD_ENCODED}", body=changed, note="everything")
    for name, archived in (("archive", True), ("restore", False)):
        change = call(f"deployments.{name}", "1001")
        yield Row("Edit deployment", change, "PATCH", f"{path}/1001", body={"archive": archived}, note=name)


TOGGLE_ROWS = tuple(row for kind in KINDS for row in (*_operations(kind), *_more_calls(kind)))
ROWS: tuple[Row, ...] = (*TOGGLE_ROWS, *_deployments(), *group_rows())
BETA_ROWS: tuple[Row, ...] = tuple(beta_rows())
