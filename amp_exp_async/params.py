"""The fields that creating and editing take: their types for editors, and the check of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, TypeAlias, TypedDict

from amp_exp_async import validation
from amp_exp_async.models import ExposureEvent, Maybe, Segment, UnsetType, Variant
from amp_exp_async.validation import Validator

SegmentLike: TypeAlias = Segment | Mapping[str, Any]
VariantLike: TypeAlias = Variant | Mapping[str, Any]


class FlagEditParams(TypedDict, total=False):
    """What `flags.edit` can change. A field left out is unchanged; `None` is sent as null.

    Attributes:
        name: the name shown in the app.
        description: what it is for.
        bucketing_key: the user property that decides who falls into which bucket.
        bucketing_salt: the salt of that decision.
        bucketing_unit: `User`, or a group type of the accounts add-on.
        evaluation_mode: `local` or `remote`.
        rollout_percentage: 0 to 100, for users whom no segment targets.
        target_segments: replaces the whole list, also the segments that others made.
        enabled: whether it is active.
        archive: True archives, False restores.
        tags: replaces the whole list.
    """

    name: Maybe[str]
    description: Maybe[str]
    bucketing_key: Maybe[str]
    bucketing_salt: Maybe[str]
    bucketing_unit: Maybe[str]
    evaluation_mode: Maybe[str]
    rollout_percentage: float | UnsetType
    target_segments: Iterable[SegmentLike] | UnsetType
    enabled: bool | UnsetType
    archive: bool | UnsetType
    tags: Iterable[str] | UnsetType


class ExperimentEditParams(FlagEditParams, total=False):
    """What `experiments.edit` can change: all that `FlagEditParams` has, and more.

    Attributes:
        experiment_type: `hypothesis-testing` or `no-harm` (also known as `a-b-test`), `multi-arm-bandit`, or another.
        sticky_bucketing: whether users keep the variant that they got first.
        start_date: a date or an aware datetime; `None` takes it away.
        end_date: likewise.
        exposure_event: the event that counts as exposure; `None` for Amplitude's own.
        decision: `rollout`, `rollback` or `continue-running`.
        decision_reason: why.
        rolled_out_variant: the variant that is rolled out.
    """

    experiment_type: Maybe[str]
    sticky_bucketing: bool | UnsetType
    start_date: Maybe[date | str]
    end_date: Maybe[date | str]
    exposure_event: Maybe[ExposureEvent | Mapping[str, Any]]
    decision: Maybe[str]
    decision_reason: Maybe[str]
    rolled_out_variant: Maybe[str]


class FlagCreateParams(TypedDict, total=False):
    """What `flags.create` takes besides `project_id` and `key`.

    Attributes:
        name: the name shown in the app.
        description: what it is for.
        variants: the variants, each with its `key`.
        bucketing_key: the user property that decides who falls into which bucket.
        rollout_weights: variant key to integer weight, for users whom no segment targets.
        target_segments: who is targeted, in the order of evaluation.
        deployments: ids of the deployments to assign it to.
        evaluation_mode: `local` or `remote`.
    """

    name: Maybe[str]
    description: Maybe[str]
    variants: Iterable[VariantLike] | UnsetType
    bucketing_key: Maybe[str]
    rollout_weights: Mapping[str, float] | UnsetType
    target_segments: Iterable[SegmentLike] | UnsetType
    deployments: Iterable[str] | UnsetType
    evaluation_mode: Maybe[str]


class ExperimentCreateParams(FlagCreateParams, total=False):
    """What `experiments.create` takes besides `project_id` and `key`: all that `FlagCreateParams` has, and one more.

    Attributes:
        experiment_type: `hypothesis-testing` or `no-harm` (also known as `a-b-test`), `multi-arm-bandit`, or another.
    """

    experiment_type: Maybe[str]


NULLABLE_TEXT = validation.nullable(validation.string)
_segments = validation.list_of(validation.segment)

FLAG_EDIT_PARAMS: dict[str, Validator] = {
    "name": NULLABLE_TEXT,
    "description": NULLABLE_TEXT,
    "bucketing_key": NULLABLE_TEXT,
    "bucketing_salt": NULLABLE_TEXT,
    "bucketing_unit": NULLABLE_TEXT,
    "evaluation_mode": NULLABLE_TEXT,
    "rollout_percentage": validation.percentage,
    "target_segments": _segments,
    "enabled": validation.boolean,
    "archive": validation.boolean,
    "tags": validation.strings,
}
EXPERIMENT_EDIT_PARAMS: dict[str, Validator] = FLAG_EDIT_PARAMS | {
    "experiment_type": NULLABLE_TEXT,
    "sticky_bucketing": validation.boolean,
    "start_date": validation.nullable(validation.date_or_datetime),
    "end_date": validation.nullable(validation.date_or_datetime),
    "exposure_event": validation.nullable(validation.exposure_event),
    "decision": NULLABLE_TEXT,
    "decision_reason": NULLABLE_TEXT,
    "rolled_out_variant": NULLABLE_TEXT,
}
NEW_FLAG: dict[str, Validator] = {
    "name": NULLABLE_TEXT,
    "description": NULLABLE_TEXT,
    "variants": validation.variants,
    "bucketing_key": NULLABLE_TEXT,
    "rollout_weights": validation.weights,
    "target_segments": _segments,
    "deployments": validation.id_set,
    "evaluation_mode": NULLABLE_TEXT,
}
NEW_EXPERIMENT: dict[str, Validator] = NEW_FLAG | {"experiment_type": NULLABLE_TEXT}
VARIANT: dict[str, Validator] = {
    "key": validation.key,
    "name": NULLABLE_TEXT,
    "description": NULLABLE_TEXT,
    "payload": validation.json_value,
    "rollout_weight": validation.number,
}
DEPLOYMENT_CHANGES: dict[str, Validator] = {"label": validation.key, "archive": validation.boolean}
