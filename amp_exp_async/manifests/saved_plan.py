"""The file format of plans. A digest tells a damaged file from a complete one.

The first format had no digest. Its files are still read.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, TypedDict, get_args

import attrs
import orjson

from amp_exp_async import serialization
from amp_exp_async.errors import InvalidInputError, Problem
from amp_exp_async.formatting import format_value
from amp_exp_async.models import UNSET
from amp_exp_async.resources import FieldChange
from amp_exp_async.serialization.nesting import MAX_DEPTH, is_deeper_than

from .change import Action, ResourceChange, planned_action
from .document import ManifestDocument, is_array, is_object, join_path
from .dump import to_document
from .operations import operations_for
from .parse import cross_checks, parse_document
from .spec import KINDS, Manifest

_FORMAT = "amp_exp_async plan 2"
_FORMAT_WITHOUT_DIGEST = "amp_exp_async plan 1"
_DIGEST = "digest"
_MAX_DEPTH = MAX_DEPTH + 10  # a value of a flag, and what a plan has around it


class _DamagedPlanError(ValueError):
    """The content is not a plan. The message says where it differs from one."""


class PlanContent(TypedDict):
    """The attributes of a plan."""

    service: str
    changes: tuple[ResourceChange, ...]
    manifest: Manifest
    warnings: tuple[Problem, ...]


def dump_plan(service: str, changes: Iterable[ResourceChange], warnings: Iterable[Problem], manifest: Manifest) -> str:
    """Return the text of a plan."""
    content = {
        "plan": _FORMAT,
        "service": service,
        "changes": [change.as_json() for change in changes],
        "warnings": [attrs.asdict(warning) for warning in warnings],
        "state": to_document(manifest),
    }
    document = {"plan": _FORMAT, _DIGEST: _digest(content), **content}
    return serialization.dumps(document, orjson.OPT_INDENT_2).decode() + "\n"


def _digest(document: Mapping[str, Any]) -> str:
    """Return a digest of a document, whatever the order of its fields and the white space of its text."""
    content = {name: value for name, value in document.items() if name != _DIGEST}
    return f"sha256:{hashlib.sha256(serialization.dumps(content, orjson.OPT_SORT_KEYS)).hexdigest()}"


def damaged_plan(path: str | os.PathLike[str], reason: str) -> InvalidInputError:
    """Return the error for a file that holds no plan that can be applied."""
    return InvalidInputError(subject=f"plan {path}", argument="plan", rule=reason, advice="Create a new plan.")


def parse_plan(content: bytes, path: str | os.PathLike[str]) -> PlanContent:
    """Return the plan in the content of a file.

    Args:
        content: the content.
        path: the file that errors name.

    Raises:
        InvalidInputError: If the content is not a plan, or is damaged.
    """
    try:
        return _parse_document(serialization.loads(content), str(path))
    except ValueError as error:
        raise damaged_plan(path, f"is not a plan, or damaged ({error})") from None


def _parse_document(document: Any, file: str) -> PlanContent:
    if is_deeper_than(document, _MAX_DEPTH):
        raise _DamagedPlanError(f"more than {_MAX_DEPTH} levels of nesting")
    _check_format(_object(document, "the content"))
    # The first plans had no warnings.
    members = _members(document, "", ("plan", "state", "service", "changes"), optional=("warnings", _DIGEST))
    manifest = _parse_manifest(members["state"], file)
    changes = [_parse_change(item, path) for item, path in _items(members["changes"], "changes")]
    declared = {(kind, spec.key) for kind in KINDS for spec in manifest.of(kind)}
    if declared != {(change.kind, change.key) for change in changes}:
        raise _DamagedPlanError("the state does not declare what changes")
    warnings = [_parse_warning(item, path) for item, path in _items(members.get("warnings", []), "warnings")]
    return {
        "service": _text(members["service"], "service"),
        "changes": tuple(changes),
        "manifest": manifest,
        "warnings": tuple(warnings),
    }


def _check_format(document: Mapping[str, Any]) -> None:
    format = document.get("plan")
    if format not in (_FORMAT, _FORMAT_WITHOUT_DIGEST):
        raise _DamagedPlanError(f"unsupported format {format_value(format)}")
    is_first_format = format == _FORMAT_WITHOUT_DIGEST and _DIGEST not in document
    if not is_first_format and document.get(_DIGEST) != _digest(document):
        raise _DamagedPlanError("its digest does not match its content")


def _parse_manifest(value: Any, file: str) -> Manifest:
    problems: list[Problem] = []
    manifest = parse_document(ManifestDocument(file, value), problems)
    problem = next((problem for problem in (*problems, *cross_checks(manifest))), None)
    if problem:
        raise _DamagedPlanError(f"state: {problem.field}: {problem.message}")
    return manifest


def _parse_change(value: Any, path: str) -> ResourceChange:
    required = ("kind", "key", "project_id", "id", "action", "fields", "deployments")
    members = _members(value, path, required, optional=("parents",))  # the first plans had no parents
    kind, action = members["kind"], members["action"]
    if kind not in KINDS or action not in get_args(Action):
        raise _DamagedPlanError(f"{path}: unknown change: {format_value(action)} of {format_value(kind)}")
    id = None if members["id"] is None else _text(members["id"], f"{path}.id")
    sides = {
        name: _members(item, f"{path}.fields.{name}", (), optional=("before", "after"))
        for name, item in _object(members["fields"], f"{path}.fields").items()
    }
    fields = {
        name: FieldChange(name, side.get("before", UNSET), side.get("after", UNSET)) for name, side in sides.items()
    }
    if action != planned_action(id, fields):
        raise _DamagedPlanError(f"{path}.action: {action} is not what the fields do")
    change = ResourceChange(
        kind=kind,
        key=_text(members["key"], f"{path}.key"),
        project_id=_text(members["project_id"], f"{path}.project_id"),
        id=id,
        action=action,
        fields=fields,
        deployments=_texts(members["deployments"], f"{path}.deployments"),
        parents=_texts(members.get("parents", {}), f"{path}.parents"),
    )
    _check_operations(change, path)
    return change


def _check_operations(change: ResourceChange, path: str) -> None:
    """Raise if a value is not possible."""
    try:
        operations_for(change)
    except InvalidInputError as error:
        raise _DamagedPlanError(f"{path}: {error.argument}: {error.rule}") from None
    except (LookupError, TypeError, AttributeError):  # the values of fields may be of any type
        raise _DamagedPlanError(f"{path}: a value has another type") from None


def _parse_warning(value: Any, path: str) -> Problem:
    members = _members(value, path, [field.name for field in attrs.fields(Problem)])
    line = members.pop("line")
    if type(line) is not int:
        raise _DamagedPlanError(f"{path}.line is not a number")
    return Problem(line=line, **_texts(members, path))


def _object(value: Any, path: str) -> dict[str, Any]:
    if not is_object(value):
        raise _DamagedPlanError(f"{path} is not an object")
    return value


def _items(value: Any, path: str) -> Iterator[tuple[Any, str]]:
    """Yield the items of a list, each with its path."""
    if not is_array(value):
        raise _DamagedPlanError(f"{path} is not a list")
    return ((item, f"{path}[{index}]") for index, item in enumerate(value))


def _members(value: Any, path: str, required: Iterable[str], optional: Collection[str] = ()) -> dict[str, Any]:
    """Return the members of an object that has the required ones, and no others than these and the optional ones."""
    members = dict(_object(value, path))
    for name in required:
        if name not in members:
            raise _DamagedPlanError(f"{format_value(join_path(path, name))} is missing")
    for name in members.keys() - {*required, *optional}:
        raise _DamagedPlanError(f"{format_value(join_path(path, name))} is unknown")
    return members


def _text(value: Any, path: str) -> str:
    if not isinstance(value, str):
        raise _DamagedPlanError(f"{path} is not a string")
    return value


def _texts(value: Any, path: str) -> dict[str, str]:
    return {name: _text(item, f"{path}.{name}") for name, item in _object(value, path).items()}
