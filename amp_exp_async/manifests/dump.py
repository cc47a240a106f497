"""From what is declared to the plain document that a file holds. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import evolve

from amp_exp_async import serialization, validation
from amp_exp_async.models import UNSET, Condition, UnsetType

from .document import is_array, locate
from .parse import Parser, cross_checks, raise_for_problems
from .schema import CONDITION, SCHEMA_KEY, SCHEMAS, Array, Object, Scalar, Schema
from .spec import KINDS, FlagConfigSpec, Manifest, merge_manifests


def unstructure(shape: Schema, value: Any) -> Any:
    """A value as plain JSON, its fields in the order of the format."""
    match shape:
        case Scalar():
            return serialization.to_json(value)
        case Array():
            return [unstructure(shape.of, item) for item in value] if is_array(value) else value
        case Object() if not hasattr(value, "__attrs_attrs__"):
            return serialization.to_json(value)
        case Object():
            given = {name: getattr(value, name) for name in shape.fields}
            if shape is CONDITION and value.type == Condition().type:
                given.pop("type")
            return {name: unstructure(shape.fields[name], item) for name, item in given.items() if item is not UNSET}


def to_document(state: Manifest, schema: str | None = None, present: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The document of a state. A project that all its flags and experiments are of is named once.

    Args:
        state: the state.
        schema: where the schema is, to be named.
        present: the document that it takes the place of: it names projects where that does.
    """
    present = present or {}
    named = {
        (kind, entry["key"], str(entry["project_id"]))
        for kind in KINDS
        for entry in present.get(kind, ())
        if "project_id" in entry
    }
    shared = _shared(state, present.get("project_id"), apart=bool(named))
    written: dict[str, Any] = {} if schema is None else {SCHEMA_KEY: schema}
    if shared is not UNSET:
        written["project_id"] = shared
    for kind in KINDS:
        if getattr(state, kind) is not UNSET:
            written[kind] = [unstructure(SCHEMAS[kind], toggle) for toggle in state.of(kind)]
            for entry in written[kind]:
                if entry.get("project_id") == shared and (kind, entry["key"], shared) not in named:
                    del entry["project_id"]
    return written


def _shared(state: Manifest, named: object, *, apart: bool) -> str | UnsetType:
    """The project to name once: the one that is named so already, or the only one where none is named apart."""
    projects = {toggle.project_id for kind in KINDS for toggle in state.of(kind)}
    if UNSET in projects:
        return UNSET
    if named is not None and str(named) in projects:
        return str(named)
    return projects.pop() if len(projects) == 1 and (named is not None or not apart) else UNSET


def validated(state: Manifest) -> Manifest:
    """A state that may have been made in code, checked as a file would be.

    Raises:
        InvalidInputError: it is no state.
        InvalidManifestError: it has problems.
    """
    _refuse_others("manifest", state)
    parser = Parser("")
    made: list[Manifest] = []
    for kind in KINDS:
        if getattr(state, kind) is UNSET:
            continue
        fresh = [toggle for toggle in state.of(kind) if toggle.location is None]
        read = parser.parse_manifest(locate({kind: [unstructure(SCHEMAS[kind], toggle) for toggle in fresh]}))
        placed = [toggle for toggle in state.of(kind) if toggle.location is not None]
        made += [Manifest(**{kind: placed}), read]
    whole = evolve(merge_manifests(made), scope=state.scope)
    raise_for_problems([*parser.problems, *cross_checks(whole)])
    return whole


def validated_values(argument: str, state: Manifest) -> Manifest:
    """A state that may have been made in code, each value checked as a file's would be, and not how they go together.

    Args:
        argument: what the caller knows it by.
        state: the state.

    Raises:
        InvalidInputError: it is no state.
        InvalidManifestError: a value in it cannot be.
    """
    _refuse_others(argument, state)
    parser = Parser("")
    read: dict[str, list[FlagConfigSpec]] = {}
    for kind in KINDS:
        if getattr(state, kind) is not UNSET:
            given = state.of(kind)
            found = parser.parse_manifest(locate({kind: [unstructure(SCHEMAS[kind], toggle) for toggle in given]})).of(
                kind
            )
            raise_for_problems(parser.problems)
            read[kind] = [evolve(toggle, location=one.location) for toggle, one in zip(found, given, strict=True)]
    return evolve(state, **read)


def _refuse_others(argument: str, state: object) -> None:
    """Refuse what is no state: a path is a likely mistake."""
    if not isinstance(state, Manifest):
        validation.reject(argument, "must be a Manifest, as load(path) makes one", state)
