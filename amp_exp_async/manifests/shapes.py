"""The shape of the file format: which fields there are, and the check of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from attrs import field, frozen

from amp_exp_async import validation
from amp_exp_async.models import Condition, ExposureEvent, ExposureFilter, Segment
from amp_exp_async.params import EXPERIMENT_EDIT_PARAMS, FLAG_EDIT_PARAMS, VARIANT
from amp_exp_async.validation import Validator

from .state import Dependencies, ExperimentSpec, FlagConfigSpec, FlagSpec, Manifest, VariantSpec

Schema: TypeAlias = dict[str, Any]


@frozen
class Leaf:
    """A value that is checked as a whole.

    Attributes:
        check: what refuses it, and gives the value to keep.
        schema: what editors are told of it.
        is_id: whether a number stands for its digits.
    """

    check: Validator
    schema: Schema
    is_id: bool = field(default=False, kw_only=True)


@frozen
class Items:
    """A list.

    Attributes:
        of: each of its items.
    """

    of: Shape


@frozen
class Object:
    """An object with fields of its own.

    Attributes:
        make: the class that it becomes.
        fields: its fields.
        required: those that must be there.
        whole: those that must be there to write one; where a file leaves one out, it stays as it is.
        nullable: whether null may stand in its place.
        told_by: the classes whose docstrings tell of the fields.
    """

    make: Callable[..., Any]
    fields: Mapping[str, Shape]
    told_by: tuple[type, ...]
    required: tuple[str, ...] = ()
    whole: tuple[str, ...] = field(default=(), kw_only=True)
    nullable: bool = field(default=False, kw_only=True)


Shape: TypeAlias = Leaf | Items | Object


def _nullable(schema: Schema) -> Schema:
    return {**schema, "type": [schema["type"], "null"]}


_TEXT: Schema = {"type": "string"}
_MAYBE_TEXT = _nullable(_TEXT)
_ID: Schema = {"type": ["string", "integer"]}
_KEY: Schema = {"type": "string", "pattern": "^[A-Za-z0-9_-]+$"}
_NAME: Schema = {"type": "string", "pattern": "^(id:.+|[A-Za-z0-9_-]+)$"}
_NUMBER: Schema = {"type": "number", "minimum": 0}
_PERCENTAGE: Schema = {"type": "number", "minimum": 0, "maximum": 100}
_BOOLEAN: Schema = {"type": "boolean"}
_WEIGHTS = Leaf(validation.weights, {"type": "object", "additionalProperties": _NUMBER})
_WORDS = Leaf(validation.nullable(validation.string), _MAYBE_TEXT)
_TEXTS = Items(Leaf(validation.string, _TEXT))
_IDS = Items(Leaf(validation.listed_id, _ID, is_id=True))
_MOMENT = Leaf(validation.nullable(validation.aware_datetime), _MAYBE_TEXT)


def _suggesting(*values: str) -> Schema:
    """Any text; an editor offers these."""
    return {**_MAYBE_TEXT, "examples": list(values)}


def _named(argument: str, value: Any) -> str:
    given = validation.string(argument, value)
    if given.startswith("id:"):
        validation.identifier(argument, given.removeprefix("id:"))
        return given
    return validation.key(argument, given)


def _parents(argument: str, value: Any) -> dict[str, list[str]]:
    given = validation.mapping(argument, value)
    return {_named(f"{argument}.{name}", name): validation.strings(f"{argument}.{name}", given[name]) for name in given}


CONDITION = Object(
    Condition,
    {
        "prop": Leaf(validation.string, _TEXT),
        "op": Leaf(
            validation.string,
            {
                "type": "string",
                "examples": ["is", "is not", "contains", "does not contain", "set contains", "set does not contain"],
            },
        ),
        "values": _TEXTS,
        "type": Leaf(validation.string, _TEXT),
    },
    (Condition,),
    whole=("prop", "op", "values"),
)
SEGMENT = Object(
    Segment,
    {
        "name": _WORDS,
        "conditions": Items(CONDITION),
        "percentage": Leaf(validation.percentage, _PERCENTAGE),
        "rollout_weights": _WEIGHTS,
        "bucketing_key": _WORDS,
    },
    (Segment,),
    whole=("name", "conditions", "percentage", "rollout_weights"),
)
VARIANT_SHAPE = Object(
    VariantSpec,
    {
        "key": Leaf(validation.key, _KEY),
        "name": _WORDS,
        "description": _WORDS,
        "payload": Leaf(VARIANT["payload"], {}),
        "users": _IDS,
        "cohorts": _IDS,
    },
    (VariantSpec,),
    required=("key",),
)
_FILTER = Object(
    ExposureFilter,
    {
        "subprop_key": _WORDS,
        "subprop_op": _WORDS,
        "subprop_type": _WORDS,
        "subprop_value": _TEXTS,
        "group_type": _WORDS,
    },
    (ExposureFilter,),
    whole=("subprop_key", "subprop_op", "subprop_type", "subprop_value"),
)
_EXPOSURE = Object(
    ExposureEvent,
    {"event_type": Leaf(validation.string, _TEXT), "filters": Items(_FILTER)},
    (ExposureEvent,),
    whole=("event_type", "filters"),
    nullable=True,
)
_DEPENDENCIES = Object(
    Dependencies,
    {
        "flags": Leaf(_parents, {"type": "object", "additionalProperties": {"type": "array", "items": _TEXT}}),
        "operator": Leaf(validation.string, {**_TEXT, "examples": ["all"]}),
    },
    (Dependencies,),
    required=("flags",),
)

INFORMATION = ("id", "created_by", "created_at", "last_modified_by", "last_modified_at")
"""What the service makes: it may stand in a file, and no plan looks at it."""

_TOGGLE: dict[str, Shape] = {
    "key": Leaf(validation.key, _KEY),
    "project_id": Leaf(validation.identifier, _ID, is_id=True),
    "name": Leaf(FLAG_EDIT_PARAMS["name"], _MAYBE_TEXT),
    "description": Leaf(FLAG_EDIT_PARAMS["description"], _MAYBE_TEXT),
    "enabled": Leaf(FLAG_EDIT_PARAMS["enabled"], _BOOLEAN),
    "archived": Leaf(FLAG_EDIT_PARAMS["archive"], _BOOLEAN),
    "evaluation_mode": Leaf(FLAG_EDIT_PARAMS["evaluation_mode"], _suggesting("local", "remote")),
    "bucketing_key": Leaf(FLAG_EDIT_PARAMS["bucketing_key"], _MAYBE_TEXT),
    "bucketing_salt": Leaf(FLAG_EDIT_PARAMS["bucketing_salt"], _MAYBE_TEXT),
    "bucketing_unit": Leaf(FLAG_EDIT_PARAMS["bucketing_unit"], _MAYBE_TEXT),
    "tags": _TEXTS,
    "deployments": Items(Leaf(_named, _NAME)),
    "variants": Items(VARIANT_SHAPE),
    "rollout_percentage": Leaf(FLAG_EDIT_PARAMS["rollout_percentage"], _PERCENTAGE),
    "rollout_weights": _WEIGHTS,
    "target_segments": Items(SEGMENT),
    "dependencies": _DEPENDENCIES,
    "id": Leaf(validation.identifier, _ID, is_id=True),
    "created_by": Leaf(validation.nullable(validation.identifier), _nullable(_TEXT)),
    "created_at": _MOMENT,
    "last_modified_by": Leaf(validation.nullable(validation.identifier), _nullable(_TEXT)),
    "last_modified_at": _MOMENT,
}
_EXPERIMENT: dict[str, Shape] = {
    "experiment_type": Leaf(
        EXPERIMENT_EDIT_PARAMS["experiment_type"],
        _suggesting("hypothesis-testing", "no-harm", "a-b-test", "multi-arm-bandit"),
    ),
    "sticky_bucketing": Leaf(EXPERIMENT_EDIT_PARAMS["sticky_bucketing"], _BOOLEAN),
    "start_date": Leaf(EXPERIMENT_EDIT_PARAMS["start_date"], _MAYBE_TEXT),
    "end_date": Leaf(EXPERIMENT_EDIT_PARAMS["end_date"], _MAYBE_TEXT),
    "exposure_event": _EXPOSURE,
    "decision": Leaf(EXPERIMENT_EDIT_PARAMS["decision"], _suggesting("rollout", "rollback", "continue-running")),
    "decision_reason": Leaf(EXPERIMENT_EDIT_PARAMS["decision_reason"], _MAYBE_TEXT),
    "rolled_out_variant": Leaf(EXPERIMENT_EDIT_PARAMS["rolled_out_variant"], _MAYBE_TEXT),
}
FLAG = Object(FlagSpec, _TOGGLE, (FlagConfigSpec,), required=("key",))
EXPERIMENT = Object(ExperimentSpec, _TOGGLE | _EXPERIMENT, (FlagConfigSpec, ExperimentSpec), required=("key",))

SCHEMA_KEY = "$schema"
FILE = Object(
    Manifest,
    {
        SCHEMA_KEY: Leaf(validation.string, _TEXT),
        "project_id": Leaf(validation.identifier, _ID, is_id=True),
        "flags": Items(FLAG),
        "experiments": Items(EXPERIMENT),
    },
    (Manifest,),
)
"""A file: `project_id` is that of all flags and experiments that name none."""
