"""The parameters of operations: their types for editors, and a validator for each field."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any, NoReturn, TypeAlias, TypedDict

from amp_exp_async import validation
from amp_exp_async.formatting import format_value
from amp_exp_async.http import QueryParameters
from amp_exp_async.models import ExposureEvent, Maybe, Segment, UnsetType, Variant
from amp_exp_async.validation import Validator

SegmentLike: TypeAlias = Segment | Mapping[str, Any]
VariantLike: TypeAlias = Variant | Mapping[str, Any]


class RequestOptions(TypedDict, total=False):
    """The keywords of each method that calls one endpoint: what the call adds to each of its requests.

    Methods that send requests of several operations, such as `guarded_edit` and bulk runs, have no such keywords: use
    `client.with_options`. An option of a call replaces that of `with_options`; None stands for no additions.

    Attributes:
        extra_headers: headers to send in addition, which take the place of `default_headers` of the same name.
            `Authorization` and others that the client sets raise `ConfigurationError`. Values are ASCII text.
        extra_query: query parameters to send in addition, with the names of the API; a list of values repeats the
            parameter. One that the call sets itself raises `InvalidInputError`.

    Example::

        await client.flags.edit("123", enabled=True, extra_headers={"X-Change": "OPS-12"})
    """

    extra_headers: Mapping[str, str] | UnsetType | None
    extra_query: QueryParameters | UnsetType | None


REQUEST_OPTIONS: frozenset[str] = RequestOptions.__optional_keys__


class FlagEditParams(TypedDict, total=False):
    """The fields that `flags.edit` can change. An omitted field is unchanged; `None` is sent as null.

    Attributes:
        name: the name shown in the app.
        description: the flag's purpose.
        bucketing_key: the user property that assigns users to buckets.
        bucketing_salt: the salt of that assignment.
        bucketing_unit: `User`, or a group type of the accounts add-on.
        evaluation_mode: `local` or `remote`.
        rollout_percentage: 0 to 100, for users whom no segment targets.
        target_segments: replaces the whole list, including segments that others made.
        enabled: whether the flag is active.
        archive: true archives the flag, false restores it. The service refuses it together with other changes.
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
    """The fields that `experiments.edit` can change: those of `FlagEditParams`, and more.

    Attributes:
        experiment_type: `hypothesis-testing` or `no-harm` (also known as `a-b-test`), `multi-arm-bandit`, or another.
        sticky_bucketing: whether users keep their first variant.
        start_date: a date or an aware datetime; `None` removes it.
        end_date: a date or an aware datetime; `None` removes it.
        exposure_event: the event that counts as exposure; `None` selects Amplitude's own. Without filters, an empty
            list is sent, because the service requires them.
        decision: `rollout`, `rollback` or `continue-running`.
        decision_reason: the reason for the decision.
        rolled_out_variant: the variant that is rolled out: its key or its name.
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
    """The fields that `flags.create` takes in addition to `project_id` and `key`.

    Attributes:
        name: the name shown in the app.
        description: the flag's purpose.
        variants: the variants, each with its `key`; the key `off` is reserved.
        bucketing_key: the user property that assigns users to buckets.
        rollout_weights: variant key to integer weight, for users whom no segment targets.
        target_segments: the targeted users, in the order of evaluation.
        deployments: the IDs of the deployments to assign the flag to.
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
    """The fields that `experiments.create` takes in addition to `project_id` and `key`.

    Attributes:
        experiment_type: `hypothesis-testing` or `no-harm` (also known as `a-b-test`), `multi-arm-bandit`, or another.
    """

    experiment_type: Maybe[str]


class FlagEditArguments(FlagEditParams, RequestOptions, total=False):
    """The keywords of `flags.edit`."""


class ExperimentEditArguments(ExperimentEditParams, RequestOptions, total=False):
    """The keywords of `experiments.edit`."""


class FlagCreateArguments(FlagCreateParams, RequestOptions, total=False):
    """The keywords of `flags.create`, in addition to `project_id` and `key`."""


class ExperimentCreateArguments(ExperimentCreateParams, RequestOptions, total=False):
    """The keywords of `experiments.create`, in addition to `project_id` and `key`."""


NULLABLE_STRING = validation.nullable(validation.string)
EVALUATION_MODE = validation.nullable(validation.word("local", "remote"))
_EXPERIMENT_TYPE = validation.nullable(validation.word("hypothesis-testing", "no-harm", "a-b-test", "multi-arm-bandit"))
_segments = validation.list_of(validation.segment)

FLAG_EDIT_PARAMS: dict[str, Validator] = {
    "name": NULLABLE_STRING,
    "description": NULLABLE_STRING,
    "bucketing_key": NULLABLE_STRING,
    "bucketing_salt": NULLABLE_STRING,
    "bucketing_unit": NULLABLE_STRING,
    "evaluation_mode": EVALUATION_MODE,
    "rollout_percentage": validation.percentage,
    "target_segments": _segments,
    "enabled": validation.boolean,
    "archive": validation.boolean,
    "tags": validation.strings,
}
EXPERIMENT_EDIT_PARAMS: dict[str, Validator] = FLAG_EDIT_PARAMS | {
    "experiment_type": _EXPERIMENT_TYPE,
    "sticky_bucketing": validation.boolean,
    "start_date": validation.nullable(validation.date_or_datetime),
    "end_date": validation.nullable(validation.date_or_datetime),
    "exposure_event": validation.nullable(validation.exposure_event),
    "decision": validation.nullable(validation.word("rollout", "rollback", "continue-running")),
    "decision_reason": NULLABLE_STRING,
    "rolled_out_variant": NULLABLE_STRING,
}
FLAG_CREATE_PARAMS: dict[str, Validator] = {
    "name": NULLABLE_STRING,
    "description": NULLABLE_STRING,
    "variants": validation.variants,
    "bucketing_key": NULLABLE_STRING,
    "rollout_weights": validation.weights,
    "target_segments": _segments,
    "deployments": validation.id_set,
    "evaluation_mode": EVALUATION_MODE,
}
EXPERIMENT_CREATE_PARAMS: dict[str, Validator] = FLAG_CREATE_PARAMS | {"experiment_type": _EXPERIMENT_TYPE}
VARIANT_PARAMS: dict[str, Validator] = {
    "key": validation.new_variant_key,
    "name": NULLABLE_STRING,
    "description": NULLABLE_STRING,
    "payload": validation.json_value,
    "rollout_weight": validation.number,
}
DEPLOYMENT_EDIT_PARAMS: dict[str, Validator] = {"label": validation.key, "archive": validation.boolean}


_ALTERNATIVES_TO_EDIT = {
    "variants": "use variants.create, variants.edit and variants.remove",
    "rollout_weights": "use variants.edit(id, variant, rollout_weight=...)",
    "deployments": "use deployments.add and deployments.remove",
    "parent_dependencies": "it follows from mutex and holdout groups: use client.mutexes and client.holdouts",
    "state": "the service derives it from the dates and the decision",
    "extra": "it holds fields that this version of the library does not know",
}


def reject_change(name: str) -> NoReturn:
    """Raise `InvalidInputError` for a field that an edit cannot change."""
    alternative = _ALTERNATIVES_TO_EDIT.get(name, "the service sets it")
    validation.reject(name, f"an edit cannot change this field: {alternative}")


def validate_create(validators: Mapping[str, Validator], values: Mapping[str, Any]) -> dict[str, Any]:
    """Require the fields of a new flag or experiment, whose weights and segments name only its own variants.

    Args:
        validators: `FLAG_CREATE_PARAMS` or `EXPERIMENT_CREATE_PARAMS`.
        values: the fields.
    """
    edit_only = EXPERIMENT_EDIT_PARAMS if "experiment_type" in validators else FLAG_EDIT_PARAMS
    for name in values:
        if name not in validators and name in edit_only:
            validation.reject(
                name, "a creation cannot set this field", advice="Create it first, then set the field with an edit."
            )
    valid = validation.fields(validators, values)
    keys = [variant.key for variant in valid.get("variants", ())]
    weights = {"rollout_weights": valid.get("rollout_weights")}
    for index, segment in enumerate(valid.get("target_segments", ())):
        weights[f"target_segments[{index}].rollout_weights"] = segment.rollout_weights
    for argument, variants in weights.items():
        for key in variants or ():
            if key not in keys:
                rule = f"must name variants of this creation ({', '.join(keys) or 'it has no variants'})"
                validation.reject(argument, rule, key)
    return valid


def validate_edit(validators: Mapping[str, Validator], values: Mapping[str, Any]) -> dict[str, Any]:
    """Require the changes of a flag or experiment: at least one, and `archive` only alone.

    Args:
        validators: `FLAG_EDIT_PARAMS` or `EXPERIMENT_EDIT_PARAMS`.
        values: the changes.
    """
    for name in values:
        if name not in validators and name in _ALTERNATIVES_TO_EDIT:
            reject_change(name)
    valid = validation.changes(validators, values)
    others = [name for name in valid if name != "archive"]
    if "archive" in valid and others:
        calls = [f"one with {', '.join(others)}", f"one with only archive={format_value(valid['archive'])}"]
        first, second = calls if valid["archive"] else reversed(calls)
        rule = "must be the only change, because the service refuses it with others"
        validation.reject("archive", f"{rule}: make two calls, first {first}, then {second}")
    return valid


def reject_reversed_dates(start: Maybe[date], end: Maybe[date]) -> None:
    """Raise `InvalidInputError` if an experiment would end before it starts."""
    if not start or not end:
        return
    if not (isinstance(start, datetime) and isinstance(end, datetime)):
        start, end = _day(start), _day(end)
    if end < start:
        validation.reject("end_date", f"must not be before start_date, {start.isoformat()}", end.isoformat())


def _day(value: date) -> date:
    return value.date() if isinstance(value, datetime) else value
