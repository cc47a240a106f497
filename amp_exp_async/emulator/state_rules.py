"""The rules of the methods that build a state: what no object of the live service has is a mistake in a test.

They hold for `add_flag` and the like. `EmulatorState.add` and state files may have objects that break them.
"""

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Any, Final

from amp_exp_async.emulator import refusals
from amp_exp_async.emulator.documents import (
    ARCHIVED,
    GROUP_KINDS,
    KINDS,
    Document,
    GroupKind,
    Kind,
    format_json,
    is_list,
    is_object,
    new_deployment,
    new_flag,
    new_group,
)
from amp_exp_async.emulator.flag_fields import EXPERIMENT
from amp_exp_async.emulator.validation import (
    Fields,
    FieldValidator,
    HTTPError,
    boolean,
    date,
    integer,
    json_value,
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
from amp_exp_async.escaping import escape_lines


class StateError(ValueError):
    """A state or state file is invalid; the message names the location."""

    def __str__(self) -> str:
        return escape_lines(super().__str__())  # it quotes what others wrote


_SIMILARITY: Final = 0.8  # of a misspelt name to a known one; 1 is the same name
_ALIASES: Final = frozenset({"archive", "archived"})  # of the field that marks an archived object
_CONDITION_TYPES: Final = ("property", "cohort")  # the app can make conditions on cohorts, the API cannot


def _id(value: Any, location: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        non_empty_string(value, location)


_MODE: Final = nullable(one_of("local", "remote"))
_CONDITION: Final = object_with(
    {"prop": non_empty_string, "op": non_empty_string, "values": list_of(string)},
    {"type": one_of(*_CONDITION_TYPES)},
    allow_unknown=True,
)
_SEGMENT: Final = object_with(
    {},
    {
        "name": string,
        "conditions": list_of(_CONDITION),
        "percentage": percentage,
        "rolloutWeights": mapping_of(weight),
        "bucketingKey": nullable(string),
    },
    allow_unknown=True,
)
_VARIANT: Final = object_with(
    {"key": non_empty_string},
    {"name": nullable(string), "description": nullable(string), "payload": json_value},
    allow_unknown=True,
)
_FLAG: Final[Fields] = {
    "id": _id,
    "projectId": _id,
    "key": non_empty_string,
    "name": nullable(string),
    "description": nullable(string),
    "enabled": nullable(boolean),
    "evaluationMode": _MODE,
    "bucketingKey": nullable(string),
    "bucketingSalt": nullable(string),
    "bucketingUnit": nullable(string),
    "createdAt": nullable(date),
    "lastModifiedAt": nullable(date),
    "variants": list_of(_VARIANT),
    "rolloutPercentage": nullable(percentage),
    "rolloutWeights": nullable(mapping_of(weight)),
    "targetSegments": nullable(list_of(_SEGMENT)),
    "tags": nullable(list_of(string)),
    "deployments": list_of(_id),
    "deleted": boolean,
    "parentDependencies": nullable(object_with({"flags": mapping_of(list_of(string))}, {}, allow_unknown=True)),
    "deliveryMethod": one_of("feature", "web"),
    "testInstrumentation": json_value,
    "_type": nullable(string),
}
_FLAGS: Final[Mapping[Kind, Fields]] = {
    "flags": _FLAG,
    "experiments": {**_FLAG, **EXPERIMENT, "state": nullable(string)},
}
_DEPLOYMENT: Final[Fields] = {
    "id": _id,
    "projectId": _id,
    "label": non_empty_string,
    "key": _id,
    "deleted": boolean,
    "_type": one_of("client", "server"),
}
_GROUP: Final[Fields] = {
    "id": _id,
    "projectId": _id,
    "name": non_empty_string,
    "key": non_empty_string,
    "description": nullable(string),
    "evaluationMode": _MODE,
    "bucketingKey": nullable(string),
    "bucketingSalt": nullable(string),
}
_SLOT: Final = object_with(
    {},
    {
        "name": nullable(string),
        "index": integer(1, 20),
        "variantKey": non_empty_string,
        "percentage": percentage,
        "experiments": list_of(_id),
        "holdouts": list_of(_id),
        "individuals": list_of(string),
        "cohorts": list_of(_id),
    },
    allow_unknown=True,
)
_GROUPS: Final[Mapping[GroupKind, Fields]] = {
    "mutexes": {**_GROUP, "slots": list_of(_SLOT, max_items=20), "_deleted": boolean},
    "holdouts": {
        **_GROUP,
        "holdoutPercentage": integer(1, 99),
        "variantName": non_empty_string,
        "experiments": list_of(_id),
        "individualInclusion": list_of(string),
        "individualExclusion": list_of(string),
        "deleted": boolean,
        "createdAt": nullable(date),
        "lastModifiedAt": nullable(date),
    },
}

_FLAG_NAMES: Final = {
    kind: frozenset(new_flag(kind, "0", "", {}))
    | {"parentDependencies", "deliveryMethod", "testInstrumentation", "_type"}
    for kind in KINDS
}
_VARIANT_NAMES: Final = frozenset({"key", "name", "description", "payload"})
_SEGMENT_NAMES: Final = frozenset({"name", "conditions", "percentage", "rolloutWeights", "bucketingKey"})
_CONDITION_NAMES: Final = frozenset({"type", "prop", "op", "values"})
_DEPLOYMENT_NAMES: Final = frozenset(new_deployment("0", {}))
_GROUP_NAMES: Final = {kind: frozenset(new_group(kind, "0", "", {})) for kind in GROUP_KINDS}
_SLOT_NAMES: Final = frozenset(new_group("mutexes", "0", "", {})["slots"][0])


def check_flag(kind: Kind, fields: Document) -> None:
    """Reject fields that no flag or experiment of the live service has, and misspelt ones."""
    _check_names(fields, _FLAG_NAMES[kind], archived="deleted")
    for variant, location in _objects(fields, "variants"):
        _check_names(variant, _VARIANT_NAMES, location)
    for segment, location in _objects(fields, "targetSegments"):
        _check_names(segment, _SEGMENT_NAMES, location)
        for condition, condition_location in _objects(segment, "conditions", location):
            _check_names(condition, _CONDITION_NAMES, condition_location)
    _check_values(fields, _FLAGS[kind])
    keys = [variant["key"] for variant in fields.get("variants", [])]
    for index, key in enumerate(keys):
        if key in keys[:index]:
            raise StateError(f'"variants[{index}].key" must be unique, not {format_json(key)} again')


def check_deployment(fields: Document) -> None:
    """Reject fields that no deployment of the live service has, and misspelt ones."""
    _check_names(fields, _DEPLOYMENT_NAMES, archived="deleted")
    _check_values(fields, _DEPLOYMENT)


def check_group(kind: GroupKind, fields: Document) -> None:
    """Reject fields that no group of the live service has, and misspelt ones."""
    _check_names(fields, _GROUP_NAMES[kind], archived=ARCHIVED[kind])
    for slot, location in _objects(fields, "slots"):
        _check_names(slot, _SLOT_NAMES, location)
    _check_values(fields, _GROUPS[kind])


def check_shape(fields: Document) -> None:
    """Reject fields of any object that the emulator could not handle."""
    check_camel_case(fields)
    variants: Any = fields.get("variants", [])
    if not is_list(variants):
        raise StateError('"variants" must be a list')
    for index, variant in enumerate(variants):
        if not is_object(variant) or not isinstance(variant.get("key"), str):
            raise StateError(f'"variants[{index}]" must be an object with a key, not {format_json(variant)}')
    if not is_list(fields.get("deployments", [])):
        raise StateError(f'"deployments" must be a list, not {format_json(fields["deployments"])}')


def check_camel_case(fields: Document, prefix: str = "") -> None:
    """Reject snake_case names, which would be kept as unknown fields, while the intended ones get their defaults."""
    for name in fields:
        if "_" in name.lstrip("_"):
            first, *words = name.split("_")
            _reject_name(prefix + name, first + "".join(word.capitalize() for word in words))


def _check_names(fields: Document, known: Collection[str], prefix: str = "", *, archived: str = "") -> None:
    # A misspelt name would be kept as an unknown field, and the intended field would get its default.
    check_camel_case(fields, prefix)
    for name in fields:
        if archived and name.lower() in _ALIASES:
            _reject_name(name, archived)
        if name not in known:
            by_lower_case = {other.lower(): other for other in known}
            for similar in get_close_matches(name.lower(), by_lower_case, n=1, cutoff=_SIMILARITY):
                _reject_name(prefix + name, by_lower_case[similar])


def _reject_name(name: str, right: str) -> None:
    raise StateError(f"{format_json(name)} is not a JSON field name; did you mean {format_json(right)}?")


def _objects(fields: Document, name: str, prefix: str = "") -> list[tuple[Document, str]]:
    """Return the objects of a list, each with its location."""
    items: Any = fields.get(name)
    if not is_list(items):
        return []
    return [(item, f"{prefix}{name}[{index}].") for index, item in enumerate(items) if is_object(item)]


def _check_values(fields: Document, validators: Fields) -> None:
    try:
        for name, value in fields.items():
            validator: FieldValidator = validators.get(name, json_value)
            validator(value, name)
        refusals.check_values(fields)
    except HTTPError as error:
        raise StateError(error.message) from None
