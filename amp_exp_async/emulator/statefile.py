"""The state as a JSON document, and that document as a file.

```
{"flags": [...], "experiments": [...], "deployments": [...],             documents in the wire's shape, the oldest first
 "mutexes": [...], "holdouts": [...],                                     the same
 "inclusions": {"flags": {"<id>": {"<variant>": {"users": [...], "cohorts": [...]}}}, "experiments": {...}},
 "versions": {"flags": {"<id>": [version documents, the newest first]}, "experiments": {...}}}
```

Every part may be left out, and so may every field of a document: defaults are filled in. Without versions, version 1 is
made from the document, and where a group gives an experiment a dependency that it does not have, another one from that.
"""

import copy
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

import orjson

from amp_exp_async.emulator.documents import KINDS, USER, Document, Kind, is_list, is_object, moment
from amp_exp_async.emulator.groups import GROUP_KINDS
from amp_exp_async.emulator.state import EmulatorState
from amp_exp_async.emulator.store import FlagConfig, StateError

_PARTS: Final = (*KINDS, "deployments", *GROUP_KINDS, "inclusions", "versions")


def dump(state: EmulatorState) -> Document:
    """The state as a document of its own."""
    with state.lock:
        toggles = state.toggles
        parts: Document = {kind: [toggle.document for toggle in toggles[kind].values()] for kind in KINDS}
        parts["deployments"] = list(state.stored_deployments.values())
        parts |= {kind: list(state.groups[kind].values()) for kind in GROUP_KINDS}
        parts["inclusions"] = {
            kind: {id: toggle.inclusions for id, toggle in toggles[kind].items() if toggle.inclusions} for kind in KINDS
        }
        parts["versions"] = {
            kind: {id: toggle.versions[::-1] for id, toggle in toggles[kind].items()} for kind in KINDS
        }
        return copy.deepcopy(parts)


def load(parts: Mapping[str, Any], clock: Callable[[], datetime]) -> EmulatorState:
    """The state that the document describes; `StateError` names the place where it does not."""
    state = EmulatorState(clock)
    _require_known(parts, _PARTS, "the state")
    for kind in KINDS:
        for place, document in _documents(parts, kind):
            _check_toggle(document, place)
            _at(place, partial(state.add, kind, document))
    for place, document in _documents(parts, "deployments"):
        _at(place, partial(state.add_deployment, **document))
    for group_kind in GROUP_KINDS:
        for place, document in _documents(parts, group_kind):
            _check_group(document, place)
            _at(place, partial(state.add_group, group_kind, document))
    for place, toggle, variants in _by_toggle(state, parts, "inclusions"):
        toggle.inclusions = copy.deepcopy(_inclusions(toggle, variants, place))
    for place, toggle, versions in _by_toggle(state, parts, "versions"):
        toggle.versions = copy.deepcopy(_versions(versions, place, state.now()))[::-1]
    state.rebuild_history()
    return state


def read(path: Path, clock: Callable[[], datetime]) -> EmulatorState:
    """The state in a file."""
    try:
        parts: Any = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        raise StateError(f"{path}: no valid JSON: {error}") from None
    try:
        return load(_object(parts, "the state"), clock)
    except StateError as error:
        raise StateError(f"{path}: {error}") from None


def write(path: Path, parts: Document) -> None:
    """Put the document into the file, by way of another one beside it, so that none is left half written."""
    draft = path.with_name(f".{path.name}.draft")
    try:
        draft.write_bytes(orjson.dumps(parts, option=orjson.OPT_INDENT_2) + b"\n")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _documents(parts: Mapping[str, Any], name: str) -> list[tuple[str, Document]]:
    documents = _list(parts.get(name, []), name)
    places = [f"{name}[{index}]" for index in range(len(documents))]
    return [(place, _object(document, place)) for place, document in zip(places, documents, strict=True)]


def _check_toggle(document: Document, place: str) -> None:
    if not isinstance(document.get("key"), str):
        raise StateError(f"{place} has no key")
    for index, variant in enumerate(_list(document.get("variants", []), f"{place}.variants")):
        if not isinstance(_object(variant, f"{place}.variants[{index}]").get("key"), str):
            raise StateError(f"{place}.variants[{index}] has no key")
    _list(document.get("deployments", []), f"{place}.deployments")


def _check_group(document: Document, place: str) -> None:
    if not isinstance(document.get("name", ""), str):
        raise StateError(f"{place}.name must be a string")
    _list(document.get("experiments", []), f"{place}.experiments")
    for index, slot in enumerate(_list(document.get("slots", []), f"{place}.slots")):
        _list(_object(slot, f"{place}.slots[{index}]").get("experiments", []), f"{place}.slots[{index}].experiments")


def _by_toggle(state: EmulatorState, parts: Mapping[str, Any], name: str) -> list[tuple[str, FlagConfig, Any]]:
    """The part's entries, which stand below a kind and an id, each with the object it belongs to."""
    part = _object(parts.get(name, {}), name)
    _require_known(part, KINDS, name)
    return [
        (f"{name}.{kind}.{id}", _toggle(state, kind, id, name), entry)
        for kind in KINDS
        for id, entry in _object(part.get(kind, {}), f"{name}.{kind}").items()
    ]


def _toggle(state: EmulatorState, kind: Kind, id: str, name: str) -> FlagConfig:
    if id not in state.toggles[kind]:
        raise StateError(f"{name}.{kind}.{id} belongs to no {kind[:-1]} of this state")
    return state.toggles[kind][id]


def _inclusions(toggle: FlagConfig, variants: Any, place: str) -> dict[str, Any]:
    by_variant = _object(variants, place)
    for key, members in by_variant.items():
        if toggle.variant(key) is None:
            raise StateError(f"{place}.{key} is no variant of this object")
        _require_known(_object(members, f"{place}.{key}"), ("users", "cohorts"), f"{place}.{key}")
        for member, ids in members.items():
            if not all(isinstance(id, str) for id in _list(ids, f"{place}.{key}.{member}")):
                raise StateError(f"{place}.{key}.{member} must hold strings")
    return by_variant


def _versions(versions: Any, place: str, now: str) -> list[Document]:
    defaults = {"createdAt": now, "createdBy": USER}
    documents = [{**defaults, **_object(version, f"{place}[{i}]")} for i, version in enumerate(_list(versions, place))]
    if not documents:
        raise StateError(f"{place} is empty")
    for index, version in enumerate(documents):
        if not isinstance(version.get("version"), int):
            raise StateError(f"{place}[{index}] has no version number")
        if not _is_moment(version["createdAt"]):
            raise StateError(f"{place}[{index}].createdAt must be a date in ISO 8601")
    return documents


def _is_moment(value: Any) -> bool:
    try:
        moment(value)
    except (TypeError, ValueError):
        return False
    return True


def _at(place: str, add: Callable[[], object]) -> None:
    try:
        add()
    except StateError as error:
        raise StateError(f"{place}: {error}") from None


def _require_known(part: Mapping[str, Any], names: tuple[str, ...], place: str) -> None:
    for name in part:
        if name not in names:
            raise StateError(f"{place} has no part {name!r}, only {', '.join(names)}")


def _object(value: Any, place: str) -> Document:
    if not is_object(value):
        raise StateError(f"{place} must be an object")
    return value


def _list(value: Any, place: str) -> list[Any]:
    if not is_list(value):
        raise StateError(f"{place} must be a list")
    return value
