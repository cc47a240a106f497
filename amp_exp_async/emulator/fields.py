"""The fields that request bodies may have, as the contract lists them."""

from collections.abc import Mapping
from typing import Final

from amp_exp_async.emulator.checks import (
    Check,
    anything,
    boolean,
    date,
    key,
    list_of,
    mapping_of,
    nullable,
    number_id,
    object_with,
    one_of,
    percentage,
    some_text,
    text,
    weight,
    whole,
    whole_weight,
)
from amp_exp_async.emulator.documents import Kind
from amp_exp_async.emulator.groups import GroupKind

_CONDITION: Final = object_with(
    {"type": one_of("property"), "prop": some_text, "op": some_text, "values": list_of(text)}, {}, tolerant=True
)

_SEGMENT: Final = object_with(
    {"name": text, "conditions": list_of(_CONDITION), "percentage": percentage, "rolloutWeights": mapping_of(weight)},
    {"bucketingKey": nullable(text)},
    tolerant=True,
)

_EXPOSURE_FILTER: Final = object_with(
    {"subprop_key": nullable(text), "subprop_op": text, "subprop_type": text, "subprop_value": list_of(text)},
    {"group_type": nullable(text)},
    tolerant=True,
)

_EXPOSURE_EVENT: Final = object_with({"event_type": some_text, "filters": list_of(_EXPOSURE_FILTER)}, {}, tolerant=True)

_EDIT_BOTH: Final[Mapping[str, Check]] = {
    "name": nullable(text),
    "description": nullable(text),
    "bucketingKey": nullable(text),
    "bucketingSalt": nullable(text),
    "bucketingUnit": nullable(text),
    "evaluationMode": nullable(one_of("local", "remote")),
    "rolloutPercentage": nullable(percentage),
    "targetSegments": nullable(list_of(_SEGMENT)),
    "enabled": nullable(boolean),
    "archive": boolean,
    "tags": nullable(list_of(text)),
}

EDIT: Final[Mapping[Kind, Mapping[str, Check]]] = {
    "flags": _EDIT_BOTH,
    "experiments": {
        **_EDIT_BOTH,
        "experimentType": nullable(text),
        "stickyBucketing": nullable(boolean),
        "startDate": nullable(date),
        "endDate": nullable(date),
        "exposureEvent": nullable(_EXPOSURE_EVENT),
        "decision": nullable(one_of("rollout", "rollback", "continue-running")),
        "decisionReason": nullable(text),
        "rolledOutVariant": nullable(text),
    },
}

_NEW_VARIANT: Final = object_with(
    {"key": key}, {"payload": anything, "name": nullable(text), "description": nullable(text)}
)

_CREATE_BOTH: Final[Mapping[str, Check]] = {
    "projectId": some_text,
    "key": key,
    "name": nullable(text),
    "description": nullable(text),
    "variants": list_of(_NEW_VARIANT),
    "bucketingKey": nullable(text),
    "rolloutWeights": mapping_of(whole_weight),
    "targetSegments": list_of(_SEGMENT),
    "deployments": list_of(some_text),
    "evaluationMode": one_of("local", "remote"),
}

CREATE: Final[Mapping[Kind, Mapping[str, Check]]] = {
    "flags": _CREATE_BOTH,
    "experiments": {**_CREATE_BOTH, "experimentType": text},
}

VARIANT: Final[Mapping[str, Check]] = {
    "key": key,
    "name": nullable(text),
    "description": nullable(text),
    "payload": anything,
    "rolloutWeight": weight,
}

ADD_INCLUSIONS: Final[Mapping[str, Check]] = {"inclusions": list_of(some_text)}
REMOVE_INCLUSIONS: Final[Mapping[str, Check]] = {"users": list_of(some_text, at_most=100)}
ADD_DEPLOYMENTS: Final[Mapping[str, Check]] = {"deployments": list_of(some_text)}
CREATE_DEPLOYMENT: Final[Mapping[str, Check]] = {
    "projectId": some_text,
    "label": key,
    "type": one_of("client", "server"),
}
EDIT_DEPLOYMENT: Final[Mapping[str, Check]] = {"label": key, "archive": boolean}

EDIT_SLOT: Final[Mapping[str, Check]] = {
    "experiments": list_of(number_id),
    "holdouts": list_of(number_id),
    "individuals": list_of(some_text),
}

_CREATE_GROUP: Final[Mapping[str, Check]] = {
    "projectId": number_id,
    "name": some_text,
    "key": key,
    "description": nullable(text),
    "evaluationMode": one_of("local", "remote"),
    "bucketingKey": some_text,
}

_HOLDOUT_MEMBERS: Final[Mapping[str, Check]] = {
    "experiments": list_of(number_id),
    "individualInclusion": list_of(some_text),
    "individualExclusion": list_of(some_text),
}

CREATE_GROUP: Final[Mapping[GroupKind, Mapping[str, Check]]] = {
    "mutexes": {
        **_CREATE_GROUP,
        "bucketingSalt": some_text,
        "slots": list_of(object_with({"percentage": whole(1, 100)}, EDIT_SLOT), at_most=20),
    },
    "holdouts": {**_CREATE_GROUP, "holdoutPercentage": whole(1, 99), **_HOLDOUT_MEMBERS},
}

REQUIRED_OF_GROUP: Final[Mapping[GroupKind, tuple[str, ...]]] = {
    "mutexes": ("projectId", "name", "slots"),
    "holdouts": ("projectId", "name", "holdoutPercentage"),
}

_EDIT_GROUP: Final[Mapping[str, Check]] = {"name": some_text, "description": nullable(text), "archive": boolean}

EDIT_GROUP: Final[Mapping[GroupKind, Mapping[str, Check]]] = {
    "mutexes": _EDIT_GROUP,
    "holdouts": {**_EDIT_GROUP, **_HOLDOUT_MEMBERS},
}

_BETA_SEGMENT: Final = object_with(
    {"conditions": list_of(_CONDITION)},
    {"name": text, "percentage": percentage, "rolloutWeights": mapping_of(weight)},
    tolerant=True,
)

BETA_CREATE: Final[Mapping[str, Check]] = {
    "projectId": some_text,
    "key": key,
    "description": nullable(text),
    "variants": list_of(_NEW_VARIANT),
    "bucketingKey": nullable(text),
    "rolloutWeights": mapping_of(whole_weight),
    "targetSegments": list_of(_BETA_SEGMENT),
    "stickyBucketing": boolean,
    "deployments": list_of(some_text),
}

BETA_ROLLOUT_WEIGHTS: Final[Mapping[str, Check]] = {"rolloutWeights": mapping_of(weight)}
