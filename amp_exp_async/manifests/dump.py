"""Manifests as plain documents, and as YAML or JSON text that keeps the look of an existing file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from amp_exp_async import serialization
from amp_exp_async.models import UNSET, Condition, UnsetType
from amp_exp_async.serialization.nesting import SCALARS

from .document import DocumentError, is_array, json_equal
from .parse import Format, ParsedFile
from .schema import CONDITION, SCHEMA_KEY, SCHEMAS, Array, Object, Scalar, Schema
from .spec import KINDS, FlagConfigSpec, FlagSpec, KindName, Manifest
from .yaml_reader import read_yaml
from .yaml_updater import update_entries, update_yaml
from .yaml_writer import write_yaml

_HEADER = "# yaml-language-server: $schema"


def unstructure(schema: Schema, value: Any) -> Any:
    """Return a value as plain JSON, with its fields in the order of the schema."""
    match schema:
        case Scalar():
            return value if value.__class__ in SCALARS else serialization.to_json(value)
        case Array():
            return [unstructure(schema.items, item) for item in value] if is_array(value) else value
        case Object() if isinstance(value, schema.make):
            fields = {
                name: unstructure(field, item)
                for name, field in schema.fields.items()
                if (item := getattr(value, name)) is not UNSET
            }
            if schema is CONDITION and value.type == Condition().type:
                fields.pop("type")
            return fields
        case Object():
            return serialization.to_json(value)


def to_document(
    manifest: Manifest, schema_path: str | None = None, existing: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the document of a manifest. A project that all flags and experiments share is named once.

    Args:
        manifest: the manifest.
        schema_path: the path of the JSON Schema, if the document shall name it.
        existing: the document that it replaces: flags and experiments that name their project there still do.
    """
    layout = _Layout(manifest, existing or {})
    return {
        name: [layout.entry(flag) for flag in value] if name in KINDS else value
        for name, value in layout.document(schema_path).items()
    }


class _Layout:
    """Where the document of a manifest names the projects: once if all flags and experiments share one."""

    def __init__(self, manifest: Manifest, existing: Mapping[str, Any]) -> None:
        self._manifest = manifest
        self._with_project = {
            (kind, entry["key"], str(entry["project_id"]))
            for kind in KINDS
            for entry in existing.get(kind, ())
            if "project_id" in entry
        }
        self._shared = _shared_project(manifest, existing.get("project_id"), has_own=bool(self._with_project))

    def document(self, schema_path: str | None) -> dict[str, Any]:
        """Return the document, with specs instead of entries."""
        document: dict[str, Any] = {} if schema_path is None else {SCHEMA_KEY: schema_path}
        if self._shared is not UNSET:
            document["project_id"] = self._shared
        return document | {kind: flags for kind in KINDS if (flags := getattr(self._manifest, kind)) is not UNSET}

    def entry(self, flag: FlagConfigSpec) -> dict[str, Any]:
        """Return the entry of a flag or experiment."""
        kind: KindName = "flags" if isinstance(flag, FlagSpec) else "experiments"
        entry: dict[str, Any] = unstructure(SCHEMAS[kind], flag)
        project = entry.get("project_id")
        if project == self._shared and (kind, entry["key"], project) not in self._with_project:
            del entry["project_id"]
        return entry


def _shared_project(manifest: Manifest, existing: object, *, has_own: bool) -> str | UnsetType:
    """Return the project to name once: the existing document's, or the only one if no entry has its own."""
    projects = {flag.project_id for kind in KINDS for flag in manifest.of(kind)}
    if UNSET in projects:
        return UNSET
    if existing is not None and str(existing) in projects:
        return str(existing)
    return projects.pop() if len(projects) == 1 and (existing is not None or not has_own) else UNSET


def dump_text(
    manifest: Manifest, format: Format, schema_path: str | None = None, existing: ParsedFile | None = None
) -> str:
    """Return a manifest as text.

    Args:
        manifest: the manifest.
        format: `yaml` or `json`.
        schema_path: the path of the JSON Schema, if the text shall name it.
        existing: the text that it replaces: its comments, quotes and order are kept if possible.
    """
    value = None if existing is None else existing.value
    if format == "json":
        layout = _Layout(manifest, value or {})
        # Each entry is dropped after it is written. All together would take long to make and to collect.
        return serialization.dumps(layout.document(schema_path), orjson.OPT_INDENT_2, layout.entry).decode() + "\n"
    desired = to_document(manifest, existing=value)
    text = (existing and _update_text(existing, desired)) or write_yaml(desired)
    return text if schema_path is None or _HEADER in text else f"{_HEADER}={schema_path}\n{text}"


def _update_text(existing: ParsedFile, desired: dict[str, Any]) -> str | None:
    """Return a YAML text with the desired content, or None if the existing text cannot be updated."""
    desired = _keep_spelling(existing, desired)
    if json_equal(_sorted(existing.value), _sorted(desired)):
        return existing.text
    text = update_entries(existing.text, existing.value, existing.lines, desired)
    if text is not None and _has_content(text, desired):
        return text
    text = update_yaml(existing.text, desired)
    return text if text is not None and _has_content(text, desired) else None


def _has_content(text: str, desired: dict[str, Any]) -> bool:
    try:
        return json_equal(_sorted(read_yaml(text, "").value), _sorted(desired))
    except DocumentError:
        return False


def _keep_spelling(existing: ParsedFile, desired: dict[str, Any]) -> dict[str, Any]:
    """Return the desired document with entries of the same meaning spelled as before: an ID may be a number."""
    normalized = to_document(existing.manifest, existing=existing.value)
    document = {name: existing.value[name] for name in (SCHEMA_KEY,) if name in existing.value} | desired
    if "project_id" in desired and normalized.get("project_id") == desired["project_id"]:
        document["project_id"] = existing.value["project_id"]
    for kind in KINDS:
        if kind not in desired:
            continue
        raw_entries = {
            _key_and_project(entry): (entry, raw)
            for entry, raw in zip(normalized.get(kind, ()), existing.value.get(kind, ()), strict=True)
        }
        document[kind] = [
            known[1] if (known := raw_entries.get(_key_and_project(entry))) and _equivalent(known[0], entry) else entry
            for entry in desired[kind]
        ]
    return document


def _equivalent(entry: dict[str, Any], other: dict[str, Any]) -> bool:
    return json_equal(_sorted_flag(entry), _sorted_flag(other))


def _sorted(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document with everything sorted that has no order, for comparison."""
    return dict(document) | {
        kind: sorted(map(_sorted_flag, document[kind]), key=_key_and_project) for kind in KINDS if kind in document
    }


def _key_and_project(entry: Mapping[str, Any]) -> tuple[str, str]:
    return entry["key"], str(entry.get("project_id", ""))


def _sorted_flag(entry: dict[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {name: _sorted_set(entry[name]) for name in ("tags", "deployments") if name in entry}
    if "variants" in entry:
        variants = map(_sorted_variant, entry["variants"])
        values["variants"] = sorted(variants, key=lambda variant: str(variant["key"]))
    return entry | values


def _sorted_variant(entry: dict[str, Any]) -> dict[str, Any]:
    return entry | {name: _sorted_set(entry[name]) for name in ("users", "cohorts") if name in entry}


def _sorted_set(values: list[Any]) -> list[str]:
    return sorted(set(map(str, values)))


def keep_out_of_scope(manifest: Manifest, existing: Manifest) -> Manifest:
    """Return an export with the existing flags and experiments outside its scope, in the existing order.

    Args:
        manifest: the export; a manifest without a scope is complete, and is returned unchanged.
        existing: the manifest that it replaces.
    """
    scope = manifest.scope
    if scope is None:
        return manifest
    merged: dict[str, list[FlagConfigSpec]] = {}
    for kind in KINDS:
        exported = {id(flag): flag for flag in manifest.of(kind)}
        by_key: dict[str, list[FlagConfigSpec]] = {}
        for flag in exported.values():
            by_key.setdefault(flag.key, []).append(flag)
        flags: list[FlagConfigSpec] = []
        for old in existing.of(kind):
            matching = [flag for flag in by_key.get(old.key, ()) if _is_same_flag(old, flag)]
            flags += [exported.pop(id(flag)) for flag in matching if id(flag) in exported]
            if not (matching or scope.covers(old)):
                flags.append(old)
        if flags or exported or UNSET not in (getattr(manifest, kind), getattr(existing, kind)):
            merged[kind] = [*flags, *exported.values()]
    return Manifest(**merged, scope=scope)


def _is_same_flag(old: FlagConfigSpec, new: FlagConfigSpec) -> bool:
    """Return whether two specs with one key are of one flag. A spec without a project matches any project."""
    return old.project_id == new.project_id or UNSET in (old.project_id, new.project_id)
