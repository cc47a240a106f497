"""The vendor's examples of groups and of versions across projects: ids are numbers on the wire, and strings here."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from amp_exp_async import Experiment, Flag, HoldoutGroup, MutexGroup, MutexSlot, Version
from tests.operations.answers import VERSION, VERSION_JSON

MUTEX_JSON: dict[str, Any] = {
    "id": 1234,
    "projectId": 654321,
    "name": "mutex name",
    "key": "mutex-key",
    "description": None,
    "evaluationMode": "local",
    "bucketingKey": "device_id",
    "bucketingSalt": "mHdQDzeE",
    "slots": [
        {
            "name": "SLOT 1",
            "index": 1,
            "variantKey": "slot-1",
            "percentage": 95,
            "experiments": [123],
            "holdouts": [456, "457"],
            "individuals": ["x@amplitude.com"],
            "cohorts": [],
        },
        {
            "name": "SLOT 2",
            "index": 2,
            "variantKey": "slot-2",
            "percentage": 5,
            "experiments": [],
            "holdouts": [],
            "individuals": [],
            "cohorts": ["c1", 2],
        },
    ],
}
MUTEX = MutexGroup(
    id="1234",
    project_id="654321",
    name="mutex name",
    key="mutex-key",
    description=None,
    evaluation_mode="local",
    bucketing_key="device_id",
    bucketing_salt="mHdQDzeE",
    slots=[
        MutexSlot(
            name="SLOT 1",
            index=1,
            variant_key="slot-1",
            percentage=95,
            experiments=["123"],
            holdouts=["456", "457"],
            individuals=["x@amplitude.com"],
            cohorts=[],
        ),
        MutexSlot(
            name="SLOT 2",
            index=2,
            variant_key="slot-2",
            percentage=5,
            experiments=[],
            holdouts=[],
            individuals=[],
            cohorts=["c1", "2"],
        ),
    ],
)

HOLDOUT_JSON: dict[str, Any] = {
    "id": 2345,
    "projectId": 654321,
    "name": "holdout name",
    "key": "holdout-key",
    "description": None,
    "holdoutPercentage": 5,
    "evaluationMode": "remote",
    "bucketingKey": "amplitude_id",
    "bucketingSalt": "mHdQDzeE",
    "variantName": "on",
    "experiments": [123, 124],
    "individualInclusion": ["x@amplitude.com"],
    "individualExclusion": [],
    "deleted": False,
    "createdBy": 77,
    "lastModifiedBy": "abc@amplitude.com",
    "createdAt": "2023-07-29T03:32:49.594Z",
    "lastModifiedAt": "2023-07-30T03:32:49.594Z",
}
HOLDOUT = HoldoutGroup(
    id="2345",
    project_id="654321",
    name="holdout name",
    key="holdout-key",
    description=None,
    holdout_percentage=5,
    evaluation_mode="remote",
    bucketing_key="amplitude_id",
    bucketing_salt="mHdQDzeE",
    variant_name="on",
    experiments=["123", "124"],
    individual_inclusion=["x@amplitude.com"],
    individual_exclusion=[],
    deleted=False,
    created_by="77",
    last_modified_by="abc@amplitude.com",
    created_at=datetime(2023, 7, 29, 3, 32, 49, 594_000, UTC),
    last_modified_at=datetime(2023, 7, 30, 3, 32, 49, 594_000, UTC),
)

ALL_VERSIONS_JSON: list[dict[str, Any]] = [VERSION_JSON["experiments"], VERSION_JSON["flags"]]
ALL_VERSIONS: list[Version[Flag] | Version[Experiment]] = [VERSION["experiments"], VERSION["flags"]]
