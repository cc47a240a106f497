"""The fields of flags, experiments and variants in the bodies of requests, each with its validator."""

from collections.abc import Mapping
from typing import Final

from amp_exp_async.emulator.documents import Kind
from amp_exp_async.emulator.validation import (
    Fields,
    boolean,
    date,
    integer_weight,
    json_value,
    key,
    list_of,
    mapping_of,
    non_empty_string,
    nullable,
    object_with,
    one_of,
    percentage,
    string,
    weight,
)

_CONDITION: Final = object_with(
    {"type": one_of("property"), "prop": non_empty_string, "op": non_empty_string, "values": list_of(string)},
    {},
    allow_unknown=True,
)
_SEGMENT: Final = object_with(
    {
        "name": string,
        "conditions": list_of(_CONDITION),
        "percentage": percentage,
        "rolloutWeights": mapping_of(weight),
    },
    {"bucketingKey": nullable(string)},
    allow_unknown=True,
)
_EXPOSURE_FILTER: Final = object_with(
    {"subprop_key": nullable(string), "subprop_op": string, "subprop_type": string, "subprop_value": list_of(string)},
    {"group_type": nullable(string)},
    allow_unknown=True,
)
EXPOSURE_EVENT: Final = object_with(
    {"event_type": non_empty_string, "filters": list_of(_EXPOSURE_FILTER)}, {}, allow_unknown=True, missing="is missing"
)
_NEW_VARIANT: Final = object_with(
    {"key": key}, {"payload": json_value, "name": nullable(string), "description": nullable(string)}
)

_CREATE_FLAG: Final[Fields] = {
    "projectId": non_empty_string,
    "key": key,
    "name": nullable(string),
    "description": nullable(string),
    "variants": list_of(_NEW_VARIANT),
    "bucketingKey": nullable(string),
    "rolloutWeights": mapping_of(integer_weight),
    "targetSegments": list_of(_SEGMENT),
    "deployments": list_of(non_empty_string),
    "evaluationMode": one_of("local", "remote"),
}
CREATE: Final[Mapping[Kind, Fields]] = {
    "flags": _CREATE_FLAG,
    "experiments": {**_CREATE_FLAG, "experimentType": string},
}
REQUIRED: Final = ("projectId", "key")

EXPERIMENT: Final[Fields] = {
    "experimentType": nullable(string),
    "stickyBucketing": nullable(boolean),
    "startDate": nullable(date),
    "endDate": nullable(date),
    "exposureEvent": nullable(EXPOSURE_EVENT),
    "decision": nullable(one_of("rollout", "rollback", "continue-running")),
    "decisionReason": nullable(string),
    "rolledOutVariant": nullable(string),
}
_EDIT_FLAG: Final[Fields] = {
    "name": nullable(string),
    "description": nullable(string),
    "bucketingKey": nullable(string),
    "bucketingSalt": nullable(string),
    "bucketingUnit": nullable(string),
    "evaluationMode": nullable(one_of("local", "remote")),
    "rolloutPercentage": nullable(percentage),
    "targetSegments": nullable(list_of(_SEGMENT)),
    "enabled": nullable(boolean),
    "archive": boolean,
    "tags": nullable(list_of(string)),
}
EDIT: Final[Mapping[Kind, Fields]] = {
    "flags": _EDIT_FLAG,
    "experiments": {**_EDIT_FLAG, **EXPERIMENT},
}
EDIT_VARIANT: Final[Fields] = {
    "key": key,
    "name": nullable(string),
    "description": nullable(string),
    "payload": json_value,
    "rolloutWeight": weight,
}

_BETA_SEGMENT: Final = object_with(
    {"conditions": list_of(_CONDITION)},
    {"name": string, "percentage": percentage, "rolloutWeights": mapping_of(weight)},
    allow_unknown=True,
)
BETA_CREATE: Final[Fields] = {
    "projectId": non_empty_string,
    "key": key,
    "description": nullable(string),
    "variants": list_of(_NEW_VARIANT),
    "bucketingKey": nullable(string),
    "rolloutWeights": mapping_of(integer_weight),
    "targetSegments": list_of(_BETA_SEGMENT),
    "stickyBucketing": boolean,
    "deployments": list_of(non_empty_string),
}
