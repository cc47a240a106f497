"""Every operation of version 1 on mutex groups, holdout groups and the versions of all projects."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from amp_exp_async import Created, MutexSlot
from tests.operations.group_answers import ALL_VERSIONS, ALL_VERSIONS_JSON, HOLDOUT, HOLDOUT_JSON, MUTEX, MUTEX_JSON
from tests.operations.rows import WILD, WILD_ENCODED, Row, call

CREATED_JSON = {"id": 1234, "url": "http://experiment.amplitude.com/amplitude/experiments/grouped-experiments"}
MADE: dict[str, Any] = {"reply": CREATED_JSON, "result": Created("1234", CREATED_JSON["url"])}

SLOTS: list[Any] = [
    {"percentage": 95, "experiments": ["123", 124, "123"], "holdouts": ["456"], "individuals": ["x@amplitude.com"]},
    MutexSlot(percentage=5),
]
SLOTS_JSON: list[dict[str, Any]] = [
    {"percentage": 95, "experiments": [123, 124], "holdouts": [456], "individuals": ["x@amplitude.com"]},
    {"percentage": 5},
]
DETAILS = {"key": "a-key", "description": None, "evaluation_mode": "local", "bucketing_key": "device_id"}
DETAILS_JSON = {"key": "a-key", "description": None, "evaluationMode": "local", "bucketingKey": "device_id"}
MEMBERS: dict[str, Any] = {
    "experiments": ["123", 124],
    "individual_inclusion": ["x@amplitude.com", "x@amplitude.com"],
    "individual_exclusion": [],
}
MEMBERS_JSON: dict[str, Any] = {
    "experiments": [123, 124],
    "individualInclusion": ["x@amplitude.com"],
    "individualExclusion": [],
}


def group_rows() -> Iterator[Row]:
    """All rows of these sections."""
    yield from _versions()
    yield from _mutexes()
    yield from _holdouts()
    for section, word in (("mutexes", "mutex"), ("holdouts", "holdout")):
        yield from _both(section, f"Edit {word} group", f"List {word} groups")


def _versions() -> Iterator[Row]:
    reply = {"versions": ALL_VERSIONS_JSON, "nextCursor": None}
    yield Row("List all versions", call("versions.list"), "GET", "/versions", reply=reply, result=ALL_VERSIONS)
    start = datetime(2026, 10, 1, 2, 0, 0, 5_999, timezone(timedelta(hours=2)))
    listing = call("versions.list", start=start, end=datetime(2026, 11, 1, tzinfo=UTC), limit=1000, cursor=12)
    query = {
        "start": "2026-10-01T00:00:00.005Z",
        "end": "2026-11-01T00:00:00.000Z",
        "limit": "1000",
        "cursor": "12",
    }
    empty: dict[str, Any] = {"reply": {"versions": []}, "result": []}
    yield Row("List all versions", listing, "GET", "/versions", query=query, note="everything", **empty)


def _mutexes() -> Iterator[Row]:
    path, one = "/mutexes", "/mutexes/1234"
    listed = {"mutexes": [MUTEX_JSON], "nextCursor": ""}
    yield Row("List mutex groups", call("mutexes.list"), "GET", path, reply=listed, result=[MUTEX])
    yield Row("Get mutex group", call("mutexes.get", "1234"), "GET", one, reply=MUTEX_JSON, result=MUTEX)
    create = call("mutexes.create", project_id="654321", name="mutex name", slots=SLOTS)
    body = {"projectId": 654321, "name": "mutex name", "slots": SLOTS_JSON}
    yield Row("Create mutex group", create, "POST", path, body=body, **MADE)
    edit = call("mutexes.edit", "1234", name="updated name", description=None)
    yield Row("Edit mutex group", edit, "PATCH", one, body={"name": "updated name", "description": None})
    changes: dict[str, Any] = {"experiments": ["123", "456"], "individuals": ["x@amplitude.com", "abcde-12345"]}
    slot = call("mutexes.edit_slot", "1234", 1, **changes)
    body = {"experiments": [123, 456], "individuals": ["x@amplitude.com", "abcde-12345"]}
    yield Row("Edit mutex slot", slot, "PATCH", f"{one}/slots/1", body=body)

    more = {"bucketing_salt": "mHdQDzeE"}
    create = call("mutexes.create", project_id="654321", name="mutex name", slots=tuple(SLOTS), **DETAILS, **more)
    body = {"projectId": 654321, "name": "mutex name", "slots": SLOTS_JSON, **DETAILS_JSON, "bucketingSalt": "mHdQDzeE"}
    yield Row("Create mutex group", create, "POST", path, body=body, note="everything", **MADE)
    edit = call("mutexes.edit", "1234", name="n", archive=False)
    yield Row("Edit mutex group", edit, "PATCH", one, body={"name": "n", "archive": False}, note="and restore")
    slot = call("mutexes.edit_slot", WILD, 20, experiments=[], holdouts={"456"}, individuals=())
    body = {"experiments": [], "holdouts": [456], "individuals": []}
    yield Row("Edit mutex slot", slot, "PATCH", f"{path}/{WILD_ENCODED}/slots/20", body=body, note="everything")


def _holdouts() -> Iterator[Row]:
    path, one = "/holdouts", "/holdouts/2345"
    listed = {"holdouts": [HOLDOUT_JSON], "nextCursor": None}
    yield Row("List holdout groups", call("holdouts.list"), "GET", path, reply=listed, result=[HOLDOUT])
    yield Row("Get holdout group", call("holdouts.get", "2345"), "GET", one, reply=HOLDOUT_JSON, result=HOLDOUT)
    create = call("holdouts.create", project_id="654321", name="holdout name", holdout_percentage=5)
    body: dict[str, Any] = {"projectId": 654321, "name": "holdout name", "holdoutPercentage": 5}
    yield Row("Create holdout group", create, "POST", path, body=body, **MADE)
    edit = call("holdouts.edit", "2345", name="updated name", experiments=["123"])
    yield Row("Edit holdout group", edit, "PATCH", one, body={"name": "updated name", "experiments": [123]})

    new: dict[str, Any] = {"project_id": 654321, "name": "holdout name", "holdout_percentage": 99}
    create = call("holdouts.create", **new, **DETAILS, **MEMBERS)
    body = body | {"holdoutPercentage": 99} | DETAILS_JSON | MEMBERS_JSON
    yield Row("Create holdout group", create, "POST", path, body=body, note="everything", **MADE)
    edit = call("holdouts.edit", "2345", name="n", description=None, archive=True, **MEMBERS)
    body = {"name": "n", "description": None, "archive": True, **MEMBERS_JSON}
    yield Row("Edit holdout group", edit, "PATCH", one, body=body, note="everything")


def _both(section: str, edit: str, listing: str) -> Iterator[Row]:
    """What both sorts of groups have besides."""
    for name, archived in (("archive", True), ("restore", False)):
        change = call(f"{section}.{name}", WILD)
        yield Row(edit, change, "PATCH", f"/{section}/{WILD_ENCODED}", body={"archive": archived}, note=name)
    everything = call(f"{section}.list", limit=1, cursor="c=1")
    query = {"limit": "1", "cursor": "c=1"}
    empty: dict[str, Any] = {"reply": {section: []}, "result": []}
    yield Row(listing, everything, "GET", f"/{section}", query=query, note="everything", **empty)
