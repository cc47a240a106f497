"""The vendor's examples of requests: the arguments, and the JSON that they become."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from amp_exp_async import Condition, ExposureEvent, ExposureFilter, MutexSlot, Segment, Variant

SEGMENT = Segment(
    name="Segment 1",
    conditions=[Condition(prop="country", op="is", values=["United States"])],
    percentage=0,
    bucketing_key="amplitude_id",
    rollout_weights={"on": 1},
)
SEGMENT_JSON = {
    "name": "Segment 1",
    "conditions": [{"prop": "country", "op": "is", "type": "property", "values": ["United States"]}],
    "percentage": 0,
    "bucketingKey": "amplitude_id",
    "rolloutWeights": {"on": 1},
}

EDIT: dict[str, Any] = {
    "name": "updated name",
    "description": "updated description",
    "bucketing_key": "amplitude_id",
    "bucketing_salt": "mHdQDzeE",
    "bucketing_unit": "org id",
    "evaluation_mode": "remote",
    "rollout_percentage": 0,
    "target_segments": [SEGMENT],
    "enabled": False,
    "tags": ["prod", "staging"],
}
EDIT_JSON: dict[str, Any] = {
    "name": "updated name",
    "description": "updated description",
    "bucketingKey": "amplitude_id",
    "bucketingSalt": "mHdQDzeE",
    "bucketingUnit": "org id",
    "evaluationMode": "remote",
    "rolloutPercentage": 0,
    "targetSegments": [SEGMENT_JSON],
    "enabled": False,
    "tags": ["prod", "staging"],
}
EDIT_EXPERIMENT: dict[str, Any] = {
    "experiment_type": "no-harm",
    "sticky_bucketing": False,
    "start_date": datetime(2023, 7, 31, 10, 26, 0, 996_000, UTC),
    "end_date": date(2023, 9, 23),
    "exposure_event": ExposureEvent(
        event_type="_active",
        filters=[
            ExposureFilter(
                group_type="User",
                subprop_key="amplitude_day_of_week",
                subprop_op="is",
                subprop_type="day_time_prop",
                subprop_value=["Tuesday"],
            )
        ],
    ),
    "decision": "rollout",
    "decision_reason": "it won",
    "rolled_out_variant": "treatment",
}
EDIT_EXPERIMENT_JSON: dict[str, Any] = {
    "experimentType": "no-harm",
    "stickyBucketing": False,
    "startDate": "2023-07-31T10:26:00.996Z",
    "endDate": "2023-09-23",
    "exposureEvent": {
        "event_type": "_active",
        "filters": [
            {
                "group_type": "User",
                "subprop_key": "amplitude_day_of_week",
                "subprop_op": "is",
                "subprop_type": "day_time_prop",
                "subprop_value": ["Tuesday"],
            }
        ],
    },
    "decision": "rollout",
    "decisionReason": "it won",
    "rolledOutVariant": "treatment",
}
CREATE: dict[str, Any] = {
    "name": "Analyze button clicks",
    "description": "analyze button clicks on the main page",
    "variants": [{"key": "on", "payload": {"colour": None}}, Variant(key="control", name="Control", description="no")],
    "bucketing_key": "amplitude_id",
    "rollout_weights": {"on": 1, "control": 0},
    "target_segments": [SEGMENT],
    "deployments": ["1001"],
    "evaluation_mode": "remote",
}
CREATE_JSON: dict[str, Any] = {
    "name": "Analyze button clicks",
    "description": "analyze button clicks on the main page",
    "variants": [
        {"key": "on", "payload": {"colour": None}},
        {"key": "control", "name": "Control", "description": "no"},
    ],
    "bucketingKey": "amplitude_id",
    "rolloutWeights": {"on": 1, "control": 0},
    "targetSegments": [SEGMENT_JSON],
    "deployments": ["1001"],
    "evaluationMode": "remote",
}
NEW_VARIANT: dict[str, Any] = {
    "key": "new-variant-key",
    "name": "optional name for variant",
    "description": "optional description for variant",
    "payload": {"variant-payload": ["example", 1, 0.5, True, None, {}]},
    "rollout_weight": 10,
}
NEW_VARIANT_JSON: dict[str, Any] = {
    "key": "new-variant-key",
    "name": "optional name for variant",
    "description": "optional description for variant",
    "payload": {"variant-payload": ["example", 1, 0.5, True, None, {}]},
    "rolloutWeight": 10,
}

SLOTS: list[Any] = [
    {"percentage": 95, "experiments": ["123", 124, "123"], "holdouts": ["456"], "individuals": ["x@amplitude.com"]},
    MutexSlot(percentage=5),
]
SLOTS_JSON: list[dict[str, Any]] = [
    {"percentage": 95, "experiments": [123, 124], "holdouts": [456], "individuals": ["x@amplitude.com"]},
    {"percentage": 5},
]
GROUP = {"key": "a-key", "description": None, "evaluation_mode": "local", "bucketing_key": "device_id"}
GROUP_JSON = {"key": "a-key", "description": None, "evaluationMode": "local", "bucketingKey": "device_id"}
HOLDOUT_MEMBERS: dict[str, Any] = {
    "experiments": ["123", 124],
    "individual_inclusion": ["x@amplitude.com", "x@amplitude.com"],
    "individual_exclusion": [],
}
HOLDOUT_MEMBERS_JSON: dict[str, Any] = {
    "experiments": [123, 124],
    "individualInclusion": ["x@amplitude.com"],
    "individualExclusion": [],
}
