"""The shape of the file format: which fields there are, and the check of each."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, TypeAlias

import orjson
from attrs import field, frozen

from amp_exp_async import validation
from amp_exp_async.models import Condition, ExposureEvent, ExposureFilter, Segment
from amp_exp_async.params import EXPERIMENT_EDIT_PARAMS, FLAG_EDIT_PARAMS, VARIANT
from amp_exp_async.validation import Validator

from .spec import Dependencies, ExperimentSpec, FlagConfigSpec, FlagSpec, KindName, Manifest, VariantSpec

JsonSchema: TypeAlias = dict[str, Any]


@frozen
class Scalar:
    """A value that is checked as a whole.

    Attributes:
        check: what refuses it, and gives the value to keep.
        schema: what editors are told of it.
        is_id: whether a number stands for its digits.
    """

    check: Validator
    schema: JsonSchema
    is_id: bool = field(default=False, kw_only=True)


@frozen
class Array:
    """A list.

    Attributes:
        of: each of its items.
    """

    of: Schema


@frozen
class Object:
    """An object with fields of its own.

    Attributes:
        make: the class that it becomes.
        fields: its fields.
        required: those that must be there.
        whole: those that must be there to write one; where a file leaves one out, it stays as it is.
        nullable: whether null may stand in its place.
        documented_by: the classes whose docstrings tell of the fields.
    """

    make: Callable[..., Any]
    fields: Mapping[str, Schema]
    documented_by: tuple[type, ...]
    required: tuple[str, ...] = ()
    whole: tuple[str, ...] = field(default=(), kw_only=True)
    nullable: bool = field(default=False, kw_only=True)


Schema: TypeAlias = Scalar | Array | Object


def _nullable(schema: JsonSchema) -> JsonSchema:
    return {**schema, "type": [schema["type"], "null"]}


_TEXT: JsonSchema = {"type": "string"}
_MAYBE_TEXT = _nullable(_TEXT)
_ID: JsonSchema = {"type": ["string", "integer"]}
_KEY: JsonSchema = {"type": "string", "pattern": "^[A-Za-z0-9_-]+$"}
_NAME: JsonSchema = {"type": "string", "pattern": "^(id:.+|[A-Za-z0-9_-]+)$"}
_NUMBER: JsonSchema = {"type": "number", "minimum": 0}
_PERCENTAGE: JsonSchema = {"type": "number", "minimum": 0, "maximum": 100}
_BOOLEAN: JsonSchema = {"type": "boolean"}
_WEIGHTS = Scalar(validation.weights, {"type": "object", "additionalProperties": _NUMBER})
_WORDS = Scalar(validation.nullable(validation.string), _MAYBE_TEXT)
_TEXTS = Array(Scalar(validation.string, _TEXT))
_IDS = Array(Scalar(validation.listed_id, _ID, is_id=True))
_MOMENT = Scalar(validation.nullable(validation.aware_datetime), _MAYBE_TEXT)


def _suggesting(*values: str) -> JsonSchema:
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
        "prop": Scalar(validation.string, _TEXT),
        "op": Scalar(
            validation.string,
            {
                "type": "string",
                "examples": ["is", "is not", "contains", "does not contain", "set contains", "set does not contain"],
            },
        ),
        "values": _TEXTS,
        "type": Scalar(validation.string, _TEXT),
    },
    (Condition,),
    whole=("prop", "op", "values"),
)
SEGMENT = Object(
    Segment,
    {
        "name": _WORDS,
        "conditions": Array(CONDITION),
        "percentage": Scalar(validation.percentage, _PERCENTAGE),
        "rollout_weights": _WEIGHTS,
        "bucketing_key": _WORDS,
    },
    (Segment,),
    whole=("name", "conditions", "percentage", "rollout_weights"),
)
VARIANT_SCHEMA = Object(
    VariantSpec,
    {
        "key": Scalar(validation.key, _KEY),
        "name": _WORDS,
        "description": _WORDS,
        "payload": Scalar(VARIANT["payload"], {}),
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
    {"event_type": Scalar(validation.string, _TEXT), "filters": Array(_FILTER)},
    (ExposureEvent,),
    whole=("event_type", "filters"),
    nullable=True,
)
_DEPENDENCIES = Object(
    Dependencies,
    {
        "flags": Scalar(_parents, {"type": "object", "additionalProperties": {"type": "array", "items": _TEXT}}),
        "operator": Scalar(validation.string, {**_TEXT, "examples": ["all"]}),
    },
    (Dependencies,),
    required=("flags",),
)

READ_ONLY = ("id", "created_by", "created_at", "last_modified_by", "last_modified_at")
"""What the service makes: it may stand in a file, and no plan looks at it."""

_TOGGLE: dict[str, Schema] = {
    "key": Scalar(validation.key, _KEY),
    "project_id": Scalar(validation.identifier, _ID, is_id=True),
    "name": Scalar(FLAG_EDIT_PARAMS["name"], _MAYBE_TEXT),
    "description": Scalar(FLAG_EDIT_PARAMS["description"], _MAYBE_TEXT),
    "enabled": Scalar(FLAG_EDIT_PARAMS["enabled"], _BOOLEAN),
    "archived": Scalar(FLAG_EDIT_PARAMS["archive"], _BOOLEAN),
    "evaluation_mode": Scalar(FLAG_EDIT_PARAMS["evaluation_mode"], _suggesting("local", "remote")),
    "bucketing_key": Scalar(FLAG_EDIT_PARAMS["bucketing_key"], _MAYBE_TEXT),
    "bucketing_salt": Scalar(FLAG_EDIT_PARAMS["bucketing_salt"], _MAYBE_TEXT),
    "bucketing_unit": Scalar(FLAG_EDIT_PARAMS["bucketing_unit"], _MAYBE_TEXT),
    "tags": _TEXTS,
    "deployments": Array(Scalar(_named, _NAME)),
    "variants": Array(VARIANT_SCHEMA),
    "rollout_percentage": Scalar(FLAG_EDIT_PARAMS["rollout_percentage"], _PERCENTAGE),
    "rollout_weights": _WEIGHTS,
    "target_segments": Array(SEGMENT),
    "dependencies": _DEPENDENCIES,
    "id": Scalar(validation.identifier, _ID, is_id=True),
    "created_by": Scalar(validation.nullable(validation.identifier), _nullable(_TEXT)),
    "created_at": _MOMENT,
    "last_modified_by": Scalar(validation.nullable(validation.identifier), _nullable(_TEXT)),
    "last_modified_at": _MOMENT,
}
_EXPERIMENT: dict[str, Schema] = {
    "experiment_type": Scalar(
        EXPERIMENT_EDIT_PARAMS["experiment_type"],
        _suggesting("hypothesis-testing", "no-harm", "a-b-test", "multi-arm-bandit"),
    ),
    "sticky_bucketing": Scalar(EXPERIMENT_EDIT_PARAMS["sticky_bucketing"], _BOOLEAN),
    "start_date": Scalar(EXPERIMENT_EDIT_PARAMS["start_date"], _MAYBE_TEXT),
    "end_date": Scalar(EXPERIMENT_EDIT_PARAMS["end_date"], _MAYBE_TEXT),
    "exposure_event": _EXPOSURE,
    "decision": Scalar(EXPERIMENT_EDIT_PARAMS["decision"], _suggesting("rollout", "rollback", "continue-running")),
    "decision_reason": Scalar(EXPERIMENT_EDIT_PARAMS["decision_reason"], _MAYBE_TEXT),
    "rolled_out_variant": Scalar(EXPERIMENT_EDIT_PARAMS["rolled_out_variant"], _MAYBE_TEXT),
}
FLAG = Object(FlagSpec, _TOGGLE, (FlagConfigSpec,), required=("key",))
EXPERIMENT = Object(ExperimentSpec, _TOGGLE | _EXPERIMENT, (FlagConfigSpec, ExperimentSpec), required=("key",))

SCHEMAS: dict[KindName, Object] = {"flags": FLAG, "experiments": EXPERIMENT}

SCHEMA_KEY = "$schema"
FILE = Object(
    Manifest,
    {
        SCHEMA_KEY: Scalar(validation.string, _TEXT),
        "project_id": Scalar(validation.identifier, _ID, is_id=True),
        "flags": Array(FLAG),
        "experiments": Array(EXPERIMENT),
    },
    (Manifest,),
)
"""A file: `project_id` is that of all flags and experiments that name none."""

_DIALECT = "http://json-schema.org/draft-07/schema#"


def schema_text() -> str:
    """The schema that ships in the package."""
    return files("amp_exp_async.manifests").joinpath("schema.json").read_text(encoding="utf-8")


def generate() -> str:
    """The schema, made anew."""
    whole: dict[str, Any] = {"$schema": _DIALECT, "title": "Flags and experiments as files (amp_exp_async)"}
    whole |= _schema(FILE)
    return orjson.dumps(whole, option=orjson.OPT_INDENT_2).decode() + "\n"


def _schema(shape: Schema) -> JsonSchema:
    match shape:
        case Scalar():
            return dict(shape.schema)
        case Array():
            return {"type": "array", "items": _schema(shape.of)}
        case Object():
            told = {name: text for cls in shape.documented_by for name, text in _told(cls).items()}
            fields = {name: {**_schema(item), **_described(told.get(name))} for name, item in shape.fields.items()}
            schema: JsonSchema = {
                "type": ["object", "null"] if shape.nullable else "object",
                "properties": fields,
                "additionalProperties": False,
            }
            return schema | ({"required": list(shape.required)} if shape.required else {})


def _described(text: str | None) -> JsonSchema:
    return {"description": text} if text else {}


@cache
def _told(cls: type) -> dict[str, str]:
    """What a class's docstring tells of its attributes."""
    _, _, attributes = (inspect.getdoc(cls) or "").partition("Attributes:\n")
    entries = re.findall(r"^ {4}(\w+): (.+(?:\n {8}.+)*)", attributes, re.MULTILINE)
    return {name: re.sub(r"\s+", " ", text) for name, text in entries}
