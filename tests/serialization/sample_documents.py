"""Sample documents, and locations in them."""

from __future__ import annotations

import copy
from typing import Any, TypeAlias

from amp_exp_async import UNSET

Location: TypeAlias = tuple[str | int, ...]

SEGMENT = {
    "name": "S",
    "conditions": [{"prop": "p", "op": "is", "type": "property", "values": ["a", "b"]}],
    "percentage": 50,
    "rolloutWeights": {"on": 1, "off": 0.5},
    "bucketingKey": "amplitude_id",
}
FLAG: dict[str, Any] = {
    "id": "1",
    "key": "k",
    "projectId": 12,
    "enabled": True,
    "deployments": ["1", 2],
    "variants": [{"key": "on", "payload": {"a": [1]}, "rolloutWeight": 1, "name": None}],
    "rolloutPercentage": 2.5,
    "targetSegments": [SEGMENT, SEGMENT],
    "parentDependencies": {"flags": {"7": ["on", "off"]}, "operator": "all"},
    "tags": ["a"],
    "createdAt": "2023-07-29T03:32:49.594Z",
    "newHere": {"anything": [None]},
}
EXPERIMENT = {
    **FLAG,
    "startDate": "2023-07-29",
    "endDate": "2023-07-29T03:32:49.594Z",
    "stickyBucketing": False,
    "exposureEvent": {"event_type": "e", "filters": [{"subprop_key": "k", "subprop_value": ["v"]}]},
}
VERSION = {"version": 3, "createdAt": "2023-07-29T03:32:49.594Z", "createdBy": "u", "flagConfig": EXPERIMENT}
MUTEX = {
    "id": 1,
    "projectId": 12,
    "name": "n",
    "slots": [
        {"index": 1, "percentage": 95, "experiments": [123, "124"], "individuals": ["u"], "cohorts": [5]},
        {"index": 2, "percentage": 5, "holdouts": [456], "newHere": None},
    ],
}
HOLDOUT = {
    "id": 1,
    "holdoutPercentage": 5,
    "experiments": [123],
    "individualExclusion": ["u"],
    "deleted": False,
    "createdAt": "2023-07-29T03:32:49.594Z",
}


def changed(document: Any, location: Location, value: Any) -> Any:
    """Return a copy of a document with another value at a location, or without it if the value is `UNSET`."""
    step, *rest = location
    result = copy.copy(document)
    if rest:
        result[step] = changed(result[step], tuple(rest), value)
    elif value is UNSET:
        del result[step]
    else:
        result[step] = value
    return result


def format_location(location: Location) -> str:
    """Return a location as errors name it."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location).removeprefix(".")
