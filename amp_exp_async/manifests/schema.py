"""The schema of manifest files: their fields with a validator for each, and the JSON Schema made from them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, TypeAlias

import orjson
from attrs import field, frozen

from amp_exp_async import validation
from amp_exp_async.models import Condition, ExposureEvent, ExposureFilter, Segment
from amp_exp_async.params import EXPERIMENT_EDIT_PARAMS, FLAG_EDIT_PARAMS, VARIANT_PARAMS
from amp_exp_async.validation import Validator

from .spec import Dependencies, ExperimentSpec, FlagConfigSpec, FlagSpec, KindName, Manifest, VariantSpec

JsonSchema: TypeAlias = dict[str, Any]


@frozen
class Scalar:
    """The schema of a value that one validator checks. It may be any JSON value, such as a payload.

    Attributes:
        validator: the validator; it returns the value to keep.
        json_schema: the JSON Schema.
        is_id: whether it is an ID, which may be written as a number.
    """

    validator: Validator
    json_schema: JsonSchema
    is_id: bool = field(default=False, kw_only=True)


@frozen
class Array:
    """The schema of a list.

    Attributes:
        items: the schema of its items.
        is_set: whether neither the order nor duplicates matter.
    """

    items: Schema
    is_set: bool = False


@frozen
class Object:
    """The schema of an object.

    Attributes:
        make: the class that it becomes.
        fields: the schema of each field.
        documented_by: the classes whose docstrings describe the fields.
        required: the required fields.
        required_to_create: the fields that are required if no live object exists whose values could be kept.
        nullable: whether null is allowed instead of an object.
    """

    make: type[Any]
    fields: Mapping[str, Schema]
    documented_by: tuple[type, ...]
    required: tuple[str, ...] = ()
    required_to_create: tuple[str, ...] = field(default=(), kw_only=True)
    nullable: bool = field(default=False, kw_only=True)


Schema: TypeAlias = Scalar | Array | Object


def _nullable(json_schema: JsonSchema) -> JsonSchema:
    return {**json_schema, "type": [json_schema["type"], "null"]}


_STRING: JsonSchema = {"type": "string"}
_NULLABLE_STRING = _nullable(_STRING)
_ID: JsonSchema = {"type": ["string", "integer"]}
_KEY: JsonSchema = {"type": "string", "minLength": 1}
_LABEL_OR_ID: JsonSchema = {"type": "string", "pattern": "^(id:.+|[A-Za-z0-9_-]+)$"}
_NUMBER: JsonSchema = {"type": "number", "minimum": 0}
_PERCENTAGE: JsonSchema = {"type": "number", "minimum": 0, "maximum": 100}
_BOOLEAN: JsonSchema = {"type": "boolean"}

_TEXT = Scalar(validation.string, _STRING)
_NULLABLE_TEXT = Scalar(validation.nullable(validation.string), _NULLABLE_STRING)
_TEXTS = Array(_TEXT, is_set=True)
_WEIGHTS = Scalar(validation.weights, {"type": "object", "additionalProperties": _NUMBER})
_RESOURCE_ID = Scalar(validation.identifier, _ID, is_id=True)
_IDS = Array(Scalar(validation.listed_id, _ID, is_id=True))
_TIME = Scalar(validation.nullable(validation.aware_datetime), _NULLABLE_STRING)
_AUTHOR = Scalar(validation.nullable(validation.identifier), _NULLABLE_STRING)


def _with_examples(*values: str) -> JsonSchema:
    """Return the JSON Schema of a string for which editors suggest the values."""
    return {**_NULLABLE_STRING, "examples": list(values)}


def _or_id(validator: Validator) -> Validator:
    """Return a validator that also accepts `id:` and an ID."""

    def validate(argument: str, value: Any) -> str:
        name = validation.string(argument, value)
        if name.startswith("id:"):
            validation.identifier(argument, name.removeprefix("id:"))
            return name
        return str(validator(argument, name))

    return validate


_validate_label_or_id = _or_id(validation.key)
_validate_key_or_id = _or_id(validation.existing_key)


def _validate_dependencies(argument: str, value: Any) -> dict[str, list[str]]:
    return {
        _validate_key_or_id(f"{argument}.{name}", name): validation.strings(f"{argument}.{name}", variants)
        for name, variants in validation.mapping(argument, value).items()
    }


CONDITION = Object(
    Condition,
    {
        "prop": _TEXT,
        "op": Scalar(
            validation.string,
            {
                "type": "string",
                "examples": ["is", "is not", "contains", "does not contain", "set contains", "set does not contain"],
            },
        ),
        "values": _TEXTS,
        "type": _TEXT,
    },
    (Condition,),
    required_to_create=("prop", "op", "values"),
)
SEGMENT = Object(
    Segment,
    {
        "name": _NULLABLE_TEXT,
        "conditions": Array(CONDITION),
        "percentage": Scalar(validation.percentage, _PERCENTAGE),
        "rollout_weights": _WEIGHTS,
        "bucketing_key": _NULLABLE_TEXT,
    },
    (Segment,),
    required_to_create=("name", "conditions", "percentage", "rollout_weights"),
)
VARIANT_SCHEMA = Object(
    VariantSpec,
    {
        "key": Scalar(validation.existing_key, _KEY),
        "name": _NULLABLE_TEXT,
        "description": _NULLABLE_TEXT,
        "payload": Scalar(VARIANT_PARAMS["payload"], {}),
        "users": _IDS,
        "cohorts": _IDS,
    },
    (VariantSpec,),
    required=("key",),
)
_EXPOSURE_FILTER = Object(
    ExposureFilter,
    {
        "subprop_key": _NULLABLE_TEXT,
        "subprop_op": _NULLABLE_TEXT,
        "subprop_type": _NULLABLE_TEXT,
        "subprop_value": _TEXTS,
        "group_type": _NULLABLE_TEXT,
    },
    (ExposureFilter,),
    required_to_create=("subprop_key", "subprop_op", "subprop_type", "subprop_value"),
)
_EXPOSURE_EVENT = Object(
    ExposureEvent,
    {"event_type": _TEXT, "filters": Array(_EXPOSURE_FILTER)},
    (ExposureEvent,),
    required_to_create=("event_type", "filters"),
    nullable=True,
)
_DEPENDENCIES = Object(
    Dependencies,
    {
        "flags": Scalar(
            _validate_dependencies,
            {"type": "object", "additionalProperties": {"type": "array", "items": _STRING}},
        ),
        "operator": Scalar(validation.string, {**_STRING, "examples": ["all"]}),
    },
    (Dependencies,),
    required=("flags",),
)

READ_ONLY = ("id", "created_by", "created_at", "last_modified_by", "last_modified_at", "delivery_method")
"""The fields that the service sets: a file may contain them, and plans ignore them."""

_FLAG_FIELDS: dict[str, Schema] = {
    "key": Scalar(validation.existing_key, _KEY),
    "project_id": _RESOURCE_ID,
    "name": Scalar(FLAG_EDIT_PARAMS["name"], _NULLABLE_STRING),
    "description": Scalar(FLAG_EDIT_PARAMS["description"], _NULLABLE_STRING),
    "enabled": Scalar(FLAG_EDIT_PARAMS["enabled"], _BOOLEAN),
    "archived": Scalar(FLAG_EDIT_PARAMS["archive"], _BOOLEAN),
    "evaluation_mode": Scalar(FLAG_EDIT_PARAMS["evaluation_mode"], _with_examples("local", "remote")),
    "bucketing_key": Scalar(FLAG_EDIT_PARAMS["bucketing_key"], _NULLABLE_STRING),
    "bucketing_salt": Scalar(FLAG_EDIT_PARAMS["bucketing_salt"], _NULLABLE_STRING),
    "bucketing_unit": Scalar(FLAG_EDIT_PARAMS["bucketing_unit"], _NULLABLE_STRING),
    "tags": _TEXTS,
    "deployments": Array(Scalar(_validate_label_or_id, _LABEL_OR_ID)),
    "variants": Array(VARIANT_SCHEMA),
    "rollout_percentage": Scalar(FLAG_EDIT_PARAMS["rollout_percentage"], _PERCENTAGE),
    "rollout_weights": _WEIGHTS,
    "target_segments": Array(SEGMENT),
    "dependencies": _DEPENDENCIES,
    "id": _RESOURCE_ID,
    "created_by": _AUTHOR,
    "created_at": _TIME,
    "last_modified_by": _AUTHOR,
    "last_modified_at": _TIME,
}
_EXPERIMENT_FIELDS: dict[str, Schema] = {
    "experiment_type": Scalar(
        EXPERIMENT_EDIT_PARAMS["experiment_type"],
        _with_examples("hypothesis-testing", "no-harm", "a-b-test", "multi-arm-bandit"),
    ),
    "sticky_bucketing": Scalar(EXPERIMENT_EDIT_PARAMS["sticky_bucketing"], _BOOLEAN),
    "start_date": Scalar(EXPERIMENT_EDIT_PARAMS["start_date"], _NULLABLE_STRING),
    "end_date": Scalar(EXPERIMENT_EDIT_PARAMS["end_date"], _NULLABLE_STRING),
    "exposure_event": _EXPOSURE_EVENT,
    "decision": Scalar(EXPERIMENT_EDIT_PARAMS["decision"], _with_examples("rollout", "rollback", "continue-running")),
    "decision_reason": Scalar(EXPERIMENT_EDIT_PARAMS["decision_reason"], _NULLABLE_STRING),
    "rolled_out_variant": Scalar(EXPERIMENT_EDIT_PARAMS["rolled_out_variant"], _NULLABLE_STRING),
    "delivery_method": Scalar(validation.nullable(validation.string), _with_examples("web")),
}
SCHEMAS: dict[KindName, Object] = {
    "flags": Object(FlagSpec, _FLAG_FIELDS, (FlagConfigSpec,), required=("key",)),
    "experiments": Object(
        ExperimentSpec, _FLAG_FIELDS | _EXPERIMENT_FIELDS, (FlagConfigSpec, ExperimentSpec), required=("key",)
    ),
}

SCHEMA_KEY = "$schema"
FILE = Object(
    Manifest,
    {
        SCHEMA_KEY: _TEXT,
        "project_id": _RESOURCE_ID,  # the default of the flags and experiments
        **{kind: Array(schema) for kind, schema in SCHEMAS.items()},
    },
    (Manifest,),
)

_DIALECT = "http://json-schema.org/draft-07/schema#"


def schema_text() -> str:
    """Return the JSON Schema that the package contains."""
    return files("amp_exp_async.manifests").joinpath("schema.json").read_text(encoding="utf-8")


def generate() -> str:
    """Generate the JSON Schema."""
    json_schema: JsonSchema = {"$schema": _DIALECT, "title": "Flags and experiments as files (amp_exp_async)"}
    json_schema |= _to_json_schema(FILE)
    return orjson.dumps(json_schema, option=orjson.OPT_INDENT_2).decode() + "\n"


def _to_json_schema(schema: Schema) -> JsonSchema:
    match schema:
        case Scalar():
            return dict(schema.json_schema)
        case Array():
            return {"type": "array", "items": _to_json_schema(schema.items)}
        case Object():
            descriptions = {name: text for cls in schema.documented_by for name, text in _descriptions(cls).items()}
            properties = {name: _to_json_schema(item) for name, item in schema.fields.items()}
            for name in properties.keys() & descriptions.keys():
                properties[name]["description"] = descriptions[name]
            json_schema: JsonSchema = {
                "type": ["object", "null"] if schema.nullable else "object",
                "properties": properties,
                "additionalProperties": False,
            }
            return json_schema | ({"required": list(schema.required)} if schema.required else {})


@cache
def _descriptions(cls: type) -> dict[str, str]:
    """Return the descriptions of attributes in a class's docstring."""
    _, _, attributes = (inspect.getdoc(cls) or "").partition("Attributes:\n")
    entries = re.findall(r"^ {4}(\w+): (.+(?:\n {8}.+)*)", attributes, re.MULTILINE)
    return {name: re.sub(r"\s+", " ", text) for name, text in entries}
