"""The vendor's examples of responses, and the objects that they become."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any, Literal

from amp_exp_async import (
    Condition,
    Created,
    Deployment,
    Experiment,
    Flag,
    HoldoutGroup,
    MutexGroup,
    MutexSlot,
    ParentDependencies,
    Segment,
    Variant,
    Version,
)

Kind = Literal["flags", "experiments"]

ID = "123456"

_SEGMENT_JSON: dict[str, Any] = {
    "name": "Segment 1",
    "conditions": [{"prop": "country", "op": "is", "type": "property", "values": ["United States"]}],
    "percentage": 0,
    "bucketingKey": "amplitude_id",
    "rolloutWeights": {"on": 1},
}
_SEGMENT = Segment(
    name="Segment 1",
    conditions=[Condition(prop="country", op="is", type="property", values=["United States"])],
    percentage=0,
    bucketing_key="amplitude_id",
    rollout_weights={"on": 1},
)

_CONFIGURATION_JSON: dict[Kind, dict[str, Any]] = {
    "flags": {
        "id": ID,
        "projectId": "654321",
        "deployments": ["1001"],
        "key": "flag-key",
        "name": "flag-name",
        "description": "feature flag access",
        "enabled": True,
        "evaluationMode": "remote",
        "bucketingKey": "amplitude_id",
        "bucketingSalt": "mHdQDzeE",
        "bucketingUnit": "User",
        "variants": [{"key": "on"}],
        "rolloutPercentage": 0,
        "rolloutWeights": {"on": 1},
        "targetSegments": [_SEGMENT_JSON],
        "parentDependencies": {"flags": {"12345": ["on"]}, "operator": "all"},
    },
    "experiments": {
        "id": ID,
        "projectId": "654321",
        "deployments": ["1001"],
        "key": "experiment-key",
        "name": "experiment-name",
        "decision": None,
        "decisionReason": None,
        "description": "save button color",
        "enabled": True,
        "variants": [{"key": "control"}, {"key": "treatment"}],
        "rolledOutVariant": None,
        "rolloutWeights": {"control": 1, "treatment": 1},
        "targetSegments": [],
        "stickyBucketing": False,
        "state": "running",
        "startDate": "2023-07-29",
        "endDate": None,
        "experimentType": "hypothesis-testing",
    },
}

_FLAG: dict[str, Any] = {
    "id": ID,
    "project_id": "654321",
    "deployments": ["1001"],
    "key": "flag-key",
    "name": "flag-name",
    "description": "feature flag access",
    "enabled": True,
    "evaluation_mode": "remote",
    "bucketing_key": "amplitude_id",
    "bucketing_salt": "mHdQDzeE",
    "bucketing_unit": "User",
    "variants": [Variant(key="on")],
    "rollout_percentage": 0,
    "rollout_weights": {"on": 1},
    "target_segments": [_SEGMENT],
    "parent_dependencies": ParentDependencies(flags={"12345": ["on"]}, operator="all"),
}
_EXPERIMENT: dict[str, Any] = {
    "id": ID,
    "project_id": "654321",
    "deployments": ["1001"],
    "key": "experiment-key",
    "name": "experiment-name",
    "decision": None,
    "decision_reason": None,
    "description": "save button color",
    "enabled": True,
    "variants": [Variant(key="control"), Variant(key="treatment")],
    "rolled_out_variant": None,
    "rollout_weights": {"control": 1, "treatment": 1},
    "target_segments": [],
    "sticky_bucketing": False,
    "state": "running",
    "start_date": date(2023, 7, 29),
    "end_date": None,
    "experiment_type": "hypothesis-testing",
}

_DETAILS_JSON: dict[str, Any] = {
    "createdBy": "abc@amplitude.com",
    "lastModifiedBy": "abc@amplitude.com",
    "createdAt": "2022-09-09T15:29:47.940Z",
    "lastModifiedAt": "2023-01-25T11:43:41.073Z",
    "deleted": False,
}
_DETAILS: dict[str, Any] = {
    "created_by": "abc@amplitude.com",
    "last_modified_by": "abc@amplitude.com",
    "created_at": datetime(2022, 9, 9, 15, 29, 47, 940_000, UTC),
    "last_modified_at": datetime(2023, 1, 25, 11, 43, 41, 73_000, UTC),
    "deleted": False,
}

FLAG_CONFIG_JSON: dict[Kind, dict[str, Any]] = {
    kind: config | _DETAILS_JSON for kind, config in _CONFIGURATION_JSON.items()
}
FLAG_CONFIG: dict[Kind, Flag | Experiment] = {
    "flags": Flag(**_FLAG, **_DETAILS),
    "experiments": Experiment(**_EXPERIMENT, **_DETAILS),
}

VERSION_JSON: dict[Kind, dict[str, Any]] = {
    kind: {"createdAt": "2023-07-29T03:32:49.594Z", "createdBy": "user-18442", "version": 3, "flagConfig": config}
    for kind, config in _CONFIGURATION_JSON.items()
}
_MADE: dict[str, Any] = {
    "created_at": datetime(2023, 7, 29, 3, 32, 49, 594_000, UTC),
    "created_by": "user-18442",
    "version": 3,
}
VERSION: dict[Kind, Version[Any]] = {
    "flags": Version(config=Flag(**_FLAG), **_MADE),
    "experiments": Version(config=Experiment(**_EXPERIMENT), **_MADE),
}

VARIANT_JSON: dict[str, Any] = {"key": "on", "name": "", "payload": {}, "description": "", "rolloutWeight": 1}
VARIANT = Variant(key="on", name="", payload={}, description="", rollout_weight=1)

CREATED_JSON = {"id": ID, "url": f"http://experiment.amplitude.com/amplitude/654321/config/{ID}"}
CREATED = Created(ID, CREATED_JSON["url"])

_CLIENT_KEY, _SERVER_KEY = "client-Tq9vB2mXc7LrZk4WnY8dHs6J", "server-Gp3fK8wRj5NvXt1QbM7zCy2L"
DEPLOYMENTS_JSON: list[dict[str, Any]] = [
    {"id": "1001", "projectId": "654321", "label": "deployment-1", "key": _CLIENT_KEY, "deleted": True},
    {"id": "1002", "projectId": "654321", "label": "deployment-2", "key": _SERVER_KEY, "deleted": False},
]
DEPLOYMENTS = [
    Deployment(id="1001", project_id="654321", label="deployment-1", key=_CLIENT_KEY, deleted=True),
    Deployment(id="1002", project_id="654321", label="deployment-2", key=_SERVER_KEY, deleted=False),
]

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

PROJECT_VERSIONS_JSON: list[dict[str, Any]] = [VERSION_JSON["experiments"], VERSION_JSON["flags"]]
PROJECT_VERSIONS: list[Version[Flag] | Version[Experiment]] = [VERSION["experiments"], VERSION["flags"]]
