"""Emulator states as JSON documents and files.

```
{"flags": [...], "experiments": [...], "deployments": [...],      documents with JSON field names, oldest first
 "mutexes": [...], "holdouts": [...],                              the same
 "inclusions": {"flags": {"<id>": {"<variant>": {"users": [...], "cohorts": [...]}}}, "experiments": {...}},
 "versions": {"flags": {"<id>": [version documents, newest first]}, "experiments": {...}}}
```

Every part and every field of a document may be missing; the defaults are filled in. Without versions, version 1 is made
from the document, and if a group adds a dependency to an experiment, another version with it.
"""

import copy
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from amp_exp_async.atomic_file import remove_abandoned_drafts, replace_file
from amp_exp_async.emulator import json_text
from amp_exp_async.emulator.documents import (
    GROUP_KINDS,
    KINDS,
    SINGULAR,
    USER,
    Document,
    Kind,
    format_json,
    is_list,
    is_object,
    parse_timestamp,
)
from amp_exp_async.emulator.state_rules import StateError
from amp_exp_async.emulator.store import EmulatorState, StoredFlag
from amp_exp_async.file_access import read_file

_PARTS: Final = (*KINDS, "deployments", *GROUP_KINDS, "inclusions", "versions")


def dump_state(state: EmulatorState) -> Document:
    """Return a copy of the state as a document."""
    with state.lock:
        flags = state.stored_flags
        parts: Document = {kind: [flag.document for flag in flags[kind].values()] for kind in KINDS}
        parts["deployments"] = list(state.stored_deployments.values())
        parts |= {kind: list(state.groups[kind].values()) for kind in GROUP_KINDS}
        parts["inclusions"] = {
            kind: {id: flag.inclusions for id, flag in flags[kind].items() if flag.inclusions} for kind in KINDS
        }
        parts["versions"] = {kind: {id: flag.versions[::-1] for id, flag in flags[kind].items()} for kind in KINDS}
        return copy.deepcopy(parts)


def parse_state(parts: Mapping[str, Any], clock: Callable[[], datetime]) -> EmulatorState:
    """Return the state that a document describes, or raise `StateError` with the invalid location."""
    state = EmulatorState(clock)
    _require_known(parts, _PARTS, "the state")
    for kind in KINDS:
        for location, document in _documents(parts, kind):
            _check_flag(document, location)
            _add(location, partial(state.add, kind, document))
    for location, document in _documents(parts, "deployments"):
        _add(location, partial(state.add_deployment_document, document))
    for group_kind in GROUP_KINDS:
        for location, document in _documents(parts, group_kind):
            _check_group(document, location)
            _add(location, partial(state.add_group, group_kind, document))
    for location, flag, inclusions in _entries_by_flag(state, parts, "inclusions"):
        flag.inclusions = copy.deepcopy(_inclusions(flag, inclusions, location))
    for location, flag, versions in _entries_by_flag(state, parts, "versions"):
        flag.versions = copy.deepcopy(_versions(versions, location, state.now()))[::-1]
    state.rebuild_history()
    return state


def read_state(path: Path, clock: Callable[[], datetime]) -> EmulatorState:
    """Return the state of a file."""
    try:
        parts: Any = json_text.loads(read_file(path))
    except ValueError as error:
        raise StateError(f"{path}: not valid JSON: {error}") from None
    try:
        return parse_state(_object(parts, "the state"), clock)
    except StateError as error:
        raise StateError(f"{path}: {error}") from None


def write_state(path: Path, state: EmulatorState) -> None:
    """Replace the file by the state, completely or not at all."""
    content = json_text.dumps(dump_state(state), indent=True) + b"\n"
    remove_abandoned_drafts(path)
    replace_file(path, content)


def _documents(parts: Mapping[str, Any], name: str) -> list[tuple[str, Document]]:
    documents = [(f"{name}[{index}]", document) for index, document in enumerate(_list(parts.get(name, []), name))]
    return [(location, _object(document, location)) for location, document in documents]


def _check_flag(document: Document, location: str) -> None:
    if not isinstance(document.get("key"), str):
        raise StateError(f"{location} has no key")
    for index, variant in enumerate(_list(document.get("variants", []), f"{location}.variants")):
        if not isinstance(_object(variant, f"{location}.variants[{index}]").get("key"), str):
            raise StateError(f"{location}.variants[{index}] has no key")
    _list(document.get("deployments", []), f"{location}.deployments")


def _check_group(document: Document, location: str) -> None:
    if not isinstance(document.get("name", ""), str):
        raise StateError(f"{location}.name must be a string")
    _list(document.get("experiments", []), f"{location}.experiments")
    for index, slot in enumerate(_list(document.get("slots", []), f"{location}.slots")):
        slot_location = f"{location}.slots[{index}]"
        _list(_object(slot, slot_location).get("experiments", []), f"{slot_location}.experiments")


def _entries_by_flag(state: EmulatorState, parts: Mapping[str, Any], name: str) -> list[tuple[str, StoredFlag, Any]]:
    """Return the entries of a part that is keyed by kind and ID, each with its location and flag."""
    part = _object(parts.get(name, {}), name)
    _require_known(part, KINDS, name)
    return [
        (f"{name}.{kind}.{id}", _flag(state, kind, id, f"{name}.{kind}.{id}"), entry)
        for kind in KINDS
        for id, entry in _object(part.get(kind, {}), f"{name}.{kind}").items()
    ]


def _flag(state: EmulatorState, kind: Kind, id: str, location: str) -> StoredFlag:
    if id not in state.stored_flags[kind]:
        raise StateError(f"{location} does not belong to any {SINGULAR[kind]} of this state")
    return state.stored_flags[kind][id]


def _inclusions(flag: StoredFlag, inclusions: Any, location: str) -> dict[str, Any]:
    by_variant = _object(inclusions, location)
    for key, members in by_variant.items():
        if flag.variant(key) is None:
            raise StateError(f"{location}.{key} is not a variant of this object")
        _require_known(_object(members, f"{location}.{key}"), ("users", "cohorts"), f"{location}.{key}")
        for member, ids in members.items():
            if not all(isinstance(id, str) for id in _list(ids, f"{location}.{key}.{member}")):
                raise StateError(f"{location}.{key}.{member} must contain strings")
    return by_variant


def _versions(versions: Any, location: str, now: str) -> list[Document]:
    defaults = {"createdAt": now, "createdBy": USER}
    documents: list[Document] = []
    for index, version in enumerate(_list(versions, location)):
        document = {**defaults, **_object(version, f"{location}[{index}]")}
        if not isinstance(document.get("version"), int):
            raise StateError(f"{location}[{index}] has no version number")
        if not _is_timestamp(document["createdAt"]):
            raise StateError(f"{location}[{index}].createdAt must be a date in ISO 8601")
        documents.append(document)
    if not documents:
        raise StateError(f"{location} is empty")
    return documents


def _is_timestamp(value: Any) -> bool:
    try:
        parse_timestamp(value)
    except (TypeError, ValueError):
        return False
    return True


def _add(location: str, add: Callable[[], object]) -> None:
    try:
        add()
    except StateError as error:
        raise StateError(f"{location}: {error}") from None


def _require_known(part: Mapping[str, Any], names: tuple[str, ...], location: str) -> None:
    for name in part:
        if name not in names:
            raise StateError(f"{location} has no part {format_json(name)}, only {', '.join(names)}")


def _object(value: Any, location: str) -> Document:
    if not is_object(value):
        raise StateError(f"{location} must be an object")
    return value


def _list(value: Any, location: str) -> list[Any]:
    if not is_list(value):
        raise StateError(f"{location} must be a list")
    return value
