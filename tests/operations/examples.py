"""The examples of all operations: one derived for each, and those that say something more.

The bodies here are the vendor's examples, or use every argument, nulls, or IDs that a path must encode.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import attrs

from amp_exp_async import ExposureEvent
from tests.operations.arguments import (
    CREATE,
    CREATE_JSON,
    EDIT,
    EDIT_EXPERIMENT,
    EDIT_EXPERIMENT_JSON,
    EDIT_JSON,
    GROUP,
    GROUP_JSON,
    HOLDOUT_MEMBERS,
    HOLDOUT_MEMBERS_JSON,
    NEW_VARIANT,
    NEW_VARIANT_JSON,
    SLOTS,
    SLOTS_JSON,
)
from tests.operations.catalog import ARGUMENTS, KINDS, OPERATIONS, WILD, Example, plain_example
from tests.operations.responses import FLAG_CONFIG, FLAG_CONFIG_JSON, ID, Kind

USERS, COHORTS = ARGUMENTS["users"], ARGUMENTS["cohorts"]
NEW, NEW_JSON = {"project_id": "654321", "key": "experiment-key"}, {"projectId": "654321", "key": "experiment-key"}
CURSOR = "eyJpZCI6MTIzfQ=="


def call(name: str, /, *args: Any, **kwargs: Any) -> Example:
    """An example of version 1, written like a call; the response is that of the plain example."""
    return attrs.evolve(plain_example(name, is_beta=False), args=args, kwargs=kwargs, query={}, body=None)


def beta_call(name: str, /, *args: Any, **kwargs: Any) -> Example:
    """The same of the Beta API."""
    return attrs.evolve(plain_example(name, is_beta=True), args=args, kwargs=kwargs, query={}, body=None)


def expect(example: Example, note: str = "", **expected: Any) -> Example:
    """The example with another request or response."""
    return attrs.evolve(example, note=note, **expected)


def with_wild_id(example: Example) -> Example:
    """The example of an object whose ID must be encoded in the path, and comes back in the response."""
    document, result = example.response | {"id": WILD}, attrs.evolve(example.result, id=WILD)
    return expect(example, "encoded ID", response=document, result=result)


def _flags(kind: Kind) -> Iterator[Example]:
    edit, edit_json = EDIT, EDIT_JSON
    create, create_json = NEW | CREATE, NEW_JSON | CREATE_JSON
    if kind == "experiments":
        edit, edit_json = EDIT | EDIT_EXPERIMENT, EDIT_JSON | EDIT_EXPERIMENT_JSON
        create, create_json = create | {"experiment_type": "no-harm"}, create_json | {"experimentType": "no-harm"}
    nulls = {name: None for name, value in edit.items() if isinstance(value, str | date | ExposureEvent)}
    nulls_json = {name: None for name, value in edit_json.items() if isinstance(value, str) or name == "exposureEvent"}
    half = {"enabled": True, "rollout_percentage": 50}
    yield expect(call(f"{kind}.edit", ID, **half), body={"enabled": True, "rolloutPercentage": 50})
    yield expect(call(f"{kind}.edit", ID, **edit), "everything", body=edit_json)
    yield expect(call(f"{kind}.edit", ID, **nulls), "nulls", body=nulls_json)
    yield expect(call(f"{kind}.edit", ID, archive=True), "archive", body={"archive": True})
    yield expect(call(f"{kind}.edit", ID, archive=False), "restore", body={"archive": False})
    yield expect(call(f"{kind}.create", **create), "everything", body=create_json)
    yield expect(call(f"{kind}.archive", ID), body={"archive": True})
    yield expect(call(f"{kind}.restore", ID), body={"archive": False})
    key = FLAG_CONFIG[kind].key
    page = {kind: [FLAG_CONFIG_JSON[kind]], "nextCursor": ""}
    yield expect(call(f"{kind}.find", key), query={"key": key}, response=page)
    query = {"key": key, "projectId": "654321"}
    yield expect(call(f"{kind}.find", key, project_id="654321"), "in a project", query=query, response=page)
    empty: dict[str, Any] = {"response": {kind: [], "nextCursor": None}, "result": []}
    listing = call(f"{kind}.list", key="k", project_id="6 & 7", include_archived=True, limit=1000, cursor=CURSOR)
    query = {"key": "k", "projectId": "6 & 7", "includeArchived": "true", "limit": "1000", "cursor": CURSOR}
    yield expect(listing, "everything", query=query, **empty)
    listing = call(f"{kind}.list", include_archived=False, limit=1, cursor=0)
    yield expect(listing, "falsy arguments", query={"includeArchived": "false", "limit": "1", "cursor": "0"}, **empty)
    yield with_wild_id(call(f"{kind}.get", WILD))


def _web_experiments() -> Iterator[Example]:
    document = FLAG_CONFIG_JSON["experiments"] | {"deliveryMethod": "web"}
    yield expect(
        call("experiments.list", delivery_method="web", limit=5),
        "web experiments",
        query={"deliveryMethod": "web", "limit": "5"},
        response={"experiments": [document]},
        result=[attrs.evolve(FLAG_CONFIG["experiments"], delivery_method="web")],
    )


def _of_a_flag(kind: Kind) -> Iterator[Example]:
    yield expect(call(f"{kind}.variants.create", ID, **NEW_VARIANT), "everything", body=NEW_VARIANT_JSON)
    yield expect(call(f"{kind}.variants.edit", ID, "on", **NEW_VARIANT), body=NEW_VARIANT_JSON)
    nulls = {"name": None, "description": None, "payload": None}
    yield expect(call(f"{kind}.variants.edit", ID, "on", **nulls), "nulls", body=nulls)
    yield expect(call(f"{kind}.users.add", ID, "on", USERS), body={"inclusions": USERS})
    yield expect(call(f"{kind}.users.remove", ID, "on", USERS), body={"users": USERS})
    yield expect(call(f"{kind}.cohorts.add", ID, "on", COHORTS), body={"inclusions": COHORTS})
    yield expect(call(f"{kind}.cohorts.remove", ID, "on", COHORTS), body={"users": COHORTS})
    yield expect(call(f"{kind}.deployments.remove", WILD, WILD), "encoded IDs")
    yield expect(call(f"{kind}.versions.get", WILD, 3), "encoded ID")


def _deployments() -> Iterator[Example]:
    yield expect(call("deployments.edit", "1001", label="updated-label"), body={"label": "updated-label"})
    edit = call("deployments.edit", WILD, label="updated-label", archive=True)
    yield expect(edit, "everything", body={"label": "updated-label", "archive": True})
    yield expect(call("deployments.archive", "1001"), body={"archive": True})
    yield expect(call("deployments.restore", "1001"), body={"archive": False})


def _versions() -> Iterator[Example]:
    start = datetime(2026, 10, 1, 2, 0, 0, 5_999, timezone(timedelta(hours=2)))
    listing = call("versions.list", start=start, end=datetime(2026, 11, 1, tzinfo=UTC), limit=1000, cursor=12)
    query = {"start": "2026-10-01T00:00:00.005Z", "end": "2026-11-01T00:00:00.000Z", "limit": "1000", "cursor": "12"}
    yield expect(listing, "everything", query=query, response={"versions": []}, result=[])


def _groups() -> Iterator[Example]:
    for kind in ("mutexes", "holdouts"):
        yield expect(call(f"{kind}.archive", WILD), body={"archive": True})
        yield expect(call(f"{kind}.restore", WILD), body={"archive": False})
    yield from _mutexes()
    yield from _holdouts()


def _mutexes() -> Iterator[Example]:
    new: dict[str, Any] = {"project_id": "654321", "name": "mutex name", "slots": SLOTS}
    body = {"projectId": 654321, "name": "mutex name", "slots": SLOTS_JSON}
    yield expect(call("mutexes.create", **new), body=body)
    create = call("mutexes.create", **new | {"slots": tuple(SLOTS)}, **GROUP, bucketing_salt="mHdQDzeE")
    yield expect(create, "everything", body={**body, **GROUP_JSON, "bucketingSalt": "mHdQDzeE"})
    edit = call("mutexes.edit", "1234", name="updated name", description=None)
    yield expect(edit, body={"name": "updated name", "description": None})
    edit = call("mutexes.edit", "1234", name="n", archive=False)
    yield expect(edit, "with restore", body={"name": "n", "archive": False})
    changes: dict[str, Any] = {"experiments": ["123", "456"], "individuals": ["x@amplitude.com", "abcde-12345"]}
    body = {"experiments": [123, 456], "individuals": ["x@amplitude.com", "abcde-12345"]}
    yield expect(call("mutexes.edit_slot", "1234", 1, **changes), body=body)
    slot = call("mutexes.edit_slot", WILD, 20, experiments=[], holdouts={"456"}, individuals=())
    yield expect(slot, "everything", body={"experiments": [], "holdouts": [456], "individuals": []})


def _holdouts() -> Iterator[Example]:
    new: dict[str, Any] = {"project_id": "654321", "name": "holdout name", "holdout_percentage": 5}
    body = {"projectId": 654321, "name": "holdout name", "holdoutPercentage": 5}
    yield expect(call("holdouts.create", **new), body=body)
    create = call(
        "holdouts.create", **new | {"project_id": 654321, "holdout_percentage": 99}, **GROUP, **HOLDOUT_MEMBERS
    )
    members = {name: value for name, value in HOLDOUT_MEMBERS_JSON.items() if value}  # no empty array
    yield expect(create, "everything", body={**body, "holdoutPercentage": 99, **GROUP_JSON, **members})
    edit = call("holdouts.edit", "2345", name="updated name", experiments=["123"])
    yield expect(edit, body={"name": "updated name", "experiments": [123]})
    edit = call("holdouts.edit", "2345", name="n", description=None, archive=True, **HOLDOUT_MEMBERS)
    body = {"name": "n", "description": None, "archive": True, **HOLDOUT_MEMBERS_JSON}
    yield expect(edit, "everything", body=body)


def _lists() -> Iterator[Example]:
    query, arguments = {"limit": "1000", "cursor": CURSOR}, {"limit": 1000, "cursor": CURSOR}
    for kind in ("deployments", "mutexes", "holdouts"):
        yield expect(call(f"{kind}.list", **arguments), "everything", query=query, response={kind: []}, result=[])
    for kind in ("flags", "experiments", "deployments"):
        yield expect(beta_call(f"{kind}.list", **arguments), "everything", query=query, response={kind: []}, result=[])


def _beta() -> Iterator[Example]:
    names = ["description", "variants", "bucketing_key", "rollout_weights", "target_segments", "deployments"]
    names_json = ["description", "variants", "bucketingKey", "rolloutWeights", "targetSegments", "deployments"]
    fields = {name: CREATE[name] for name in names} | {"sticky_bucketing": True}
    body = NEW_JSON | {name: CREATE_JSON[name] for name in names_json} | {"stickyBucketing": True}
    yield expect(beta_call("experiments.create", **NEW, **fields), "everything", body=body)
    for kind in KINDS:
        yield with_wild_id(beta_call(f"{kind}.get", WILD))
    yield expect(beta_call("experiments.activate", WILD), "encoded ID")
    weights = beta_call("experiments.set_rollout_weights", WILD, rollout_weights={})
    yield expect(weights, "no weights", body={"rolloutWeights": {}})


def _explicit() -> Iterator[Example]:
    for kind in KINDS:
        yield from _flags(kind)
        yield from _of_a_flag(kind)
    yield from _web_experiments()
    yield from _deployments()
    yield from _versions()
    yield from _groups()
    yield from _lists()
    yield from _beta()


_EXPLICIT = tuple(_explicit())
_WITHOUT_NOTE = {(example.is_beta, example.name) for example in _EXPLICIT if not example.note}

EXAMPLES: tuple[Example, ...] = (
    *(plain_example(name, is_beta) for is_beta, name in OPERATIONS if (is_beta, name) not in _WITHOUT_NOTE),
    *_EXPLICIT,
)
"""At least one example of every operation; exactly one of each has no note."""
