"""Plans: the changes that would apply a manifest. A plan can be printed, saved and applied."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Self

import attrs
from attrs import frozen

from amp_exp_async import validation
from amp_exp_async.atomic_file import remove_abandoned_drafts, replace_file
from amp_exp_async.bulk import Operation
from amp_exp_async.errors import InvalidInputError, Problem
from amp_exp_async.file_access import read_file
from amp_exp_async.formatting import format_os_error, format_value
from amp_exp_async.http import Transport
from amp_exp_async.models import UNSET, Condition, ExposureEvent, ExposureFilter, FlagConfig, Segment, UnsetType
from amp_exp_async.resources import FieldChange

from .change import ChangeSet, Identity, ResourceChange, planned_action, sort_changes
from .compare import NOT_COMPARED, FlagDiffer, merge_onto, to_spec_document
from .document import is_array, is_object
from .live import INCLUSIONS, Inclusion, LiveFlag, LiveReader, is_web, to_live_document
from .operations import operations_for
from .parse import problem_at, raise_for_problems, unknown_variants, validated
from .references import (
    DeploymentResolver,
    ParentResolver,
    Project,
    ResolvedIDs,
    check_dependencies,
    cohort_warnings,
    declared_parents,
    inactive_parent_warnings,
    live_parents_to_plan,
    parents_to_plan,
    project_of,
    retarget,
)
from .saved_plan import damaged_plan, dump_plan, parse_plan
from .schema import SCHEMAS, Array, Object, Schema
from .service_rules import broken_rules, dependent_problems, needed_by_others, taken_key
from .spec import KINDS, ExperimentSpec, FlagConfigSpec, FlagSpec, KindName, Manifest, merge_manifests

_NOT_FLAG_FIELDS = NOT_COMPARED | {
    "dependencies",
    "deployments",
    "variants",
    "rollout_weights",
    "target_segments",
    "location",
    "omitted",
    "is_valid",
}
_VARIANT_FIELDS = ("name", "description", "payload")
_NOUNS: dict[object, str] = {
    Condition: "condition",
    ExposureEvent: "exposure event",
    ExposureFilter: "exposure filter",
    Segment: "segment",
}


@frozen(kw_only=True)
class Plan(ChangeSet):
    """The changes that make the live flags and experiments as a manifest declares them. Nothing has changed yet.

    It is falsy if nothing would change. `print` shows a diff, in colour on a terminal.

    Attributes:
        service: the base URL of the service that the plan was made for.
        changes: a `ResourceChange` for each flag and experiment that would change.
        manifest: the specs of these flags and experiments.
        warnings: what to check before applying the plan, each with file, line and field. A plan with warnings can be
            applied. Warnings alone do not make it truthy.
    """

    service: str
    manifest: Manifest = attrs.field(repr=False)
    warnings: tuple[Problem, ...] = ()

    @property
    def _warnings(self) -> tuple[Problem, ...]:
        return self.warnings

    def operations(self) -> list[tuple[ResourceChange, Operation]]:
        """Return the operations that `client.apply` performs, each with the change that it belongs to.

        `Outcome.index` is an index into this list.
        """
        return [(change, operation) for change in self.changes for operation in operations_for(change)]

    def to_json(self) -> str:
        """Return the plan as JSON text: its `changes` and `warnings`, and what is needed to apply it."""
        return dump_plan(self.service, self.changes, self.warnings, self.manifest)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save the plan to a file, to apply it later.

        Args:
            path: the file.

        Raises:
            OSError: If the file cannot be written.
        """
        file = validation.path("path", path)
        remove_abandoned_drafts(file)
        replace_file(file, self.to_json().encode())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Load a saved plan.

        Args:
            path: the file.

        Raises:
            InvalidInputError: If the file is not a plan, or is damaged.
        """
        file = validation.path("path", path)
        try:
            content = read_file(file)
        except OSError as error:
            raise damaged_plan(path, f"cannot be read ({format_os_error(error)})") from None
        return cls(**parse_plan(content, path))


@frozen
class _Match:
    """A spec and its live flag; None if there is no live flag with its key."""

    kind: KindName
    desired: FlagConfigSpec
    live: LiveFlag | None

    @property
    def flag(self) -> FlagConfig | None:
        return self.live.flag if self.live else None

    @property
    def project_id(self) -> Project:
        return project_of(self.desired, self.flag)


async def make_plan(transport: Transport, manifest: Manifest, *, prune: bool, project_id: str | None = None) -> Plan:
    """Return the plan that makes the live flags as a manifest declares them.

    Args:
        transport: sends the requests.
        manifest: the desired flags and experiments.
        prune: whether to archive the live flags of the same projects that are not declared.
        project_id: the project to plan for, instead of the one that the manifest names.
    """
    plan, _ = await _make_plan(transport, manifest, prune=prune, project_id=project_id)
    return plan


async def plan_again(transport: Transport, plan: Plan) -> tuple[Plan, dict[Identity, ResolvedIDs]]:
    """Return a new plan for the flags that a plan changes, and the IDs that its names stand for now."""
    return await _make_plan(transport, plan.manifest, prune=False)


async def _make_plan(
    transport: Transport, manifest: Manifest, *, prune: bool, project_id: str | None = None
) -> tuple[Plan, dict[Identity, ResolvedIDs]]:
    original = manifest = validated(manifest)
    if validation.boolean("prune", prune):
        _check_prunable(manifest)
    if project_id is not None:
        project_id = validation.project_id("project_id", project_id)
        manifest = retarget(original, project_id)
    reader = LiveReader(transport)
    projects: dict[KindName, set[str | UnsetType]]
    projects = {kind: _projects(kind, manifest, project_id if prune else None) for kind in KINDS}
    listed = await _list_live(reader, manifest, projects, prune=prune)
    has_deployments = any(spec.deployments is not UNSET for kind in KINDS for spec in manifest.of(kind))
    deployments = DeploymentResolver(await reader.list_deployments() if has_deployments else ())
    problems: list[Problem] = []
    matches = [match for kind in KINDS for match in _match_specs(kind, manifest.of(kind), listed[kind], problems)]
    if prune:
        pruned = [match for kind in KINDS for match in _prune_candidates(kind, projects[kind], matches, listed[kind])]
        manifest = merge_manifests([manifest, *(Manifest(**{match.kind: [match.desired]}) for match in pruned)])
        matches += pruned
    matches, warnings = _leave_out_web(matches, _promoted_keys(original, project_id))
    matches = await reader.gather([partial(_read_details, reader, match) for match in matches])
    changes, ids = await _plan_changes(reader, matches, deployments, problems, warnings)
    raise_for_problems(problems)
    if project_id is not None:
        warnings += cohort_warnings(original, project_id, changes)
    plan = Plan(
        service=transport.session.endpoint.base_url,
        changes=sort_changes(changes),
        manifest=_subset_for(manifest, changes),
        warnings=tuple(sorted(warnings, key=lambda warning: (warning.file, warning.line))),
    )
    return plan, ids


def _promoted_keys(original: Manifest, project_id: str | None) -> set[str]:
    """Return the keys of the experiments that are planned for a project other than their own."""
    if project_id is None:
        return set()
    return {spec.key for spec in original.of("experiments") if spec.project_id not in (UNSET, project_id)}


def _leave_out_web(matches: Iterable[_Match], promoted: Collection[str]) -> tuple[list[_Match], list[Problem]]:
    """Return the matches without web experiments that would be created, promoted or pruned, and a warning for each."""
    planned: list[_Match] = []
    warnings: list[Problem] = []
    for match in matches:
        is_pruned = match.flag is not None and match.desired.location is None
        if is_pruned and match.flag is not None and is_web(match.flag):
            action = "archive"
        elif is_web(match.desired) and (match.flag is None or match.desired.key in promoted):
            action = "create or edit"
        else:
            planned.append(match)
            continue
        fact = f"is a web experiment, which the API cannot {action}"
        warnings.append(problem_at(match.desired, "", f"{fact}: it was left out of the plan; change it in the app"))
    return planned, warnings


async def _plan_changes(
    reader: LiveReader,
    matches: list[_Match],
    deployments: DeploymentResolver,
    problems: list[Problem],
    warnings: list[Problem],
) -> tuple[list[ResourceChange], dict[Identity, ResolvedIDs]]:
    """Return the changes and the resolved IDs of all matches, and add the problems and warnings to the lists.

    It takes the matches out of their list.
    """
    parents = await _read_parents(reader, matches)
    changes: list[ResourceChange] = []
    ids: dict[Identity, ResolvedIDs] = {}
    compared: list[tuple[_Match, ResourceChange]] = []
    matches.reverse()
    while matches:
        match = matches.pop()  # what was read of it is dropped as soon as it is planned
        change, resolved, change_problems = _plan_change(match, deployments, parents)
        ids[match.kind, str(match.project_id), match.desired.key] = resolved
        dependency_problems, dependency_warnings = check_dependencies(match.kind, match.desired, match.flag, parents)
        problems += [*change_problems, *dependency_problems]
        warnings += dependency_warnings
        if change:
            changes.append(change)
            warnings += inactive_parent_warnings(match.kind, match.desired, match.flag, parents)
            if change.id is None or needed_by_others(change.fields):
                compared.append((match, change))
    await reader.list_all(change.project_id for _, change in compared)
    by_kind = {kind: [flag for (other, _), flag in reader.listed.items() if other == kind] for kind in KINDS}
    groups = await reader.list_groups() if any(change.id is None for _, change in compared) else []
    created: dict[tuple[str, str], KindName] = {}
    for match, change in compared:
        if change.id is None:
            other_kind: KindName = "experiments" if match.kind == "flags" else "flags"
            problems += taken_key(match.desired, change.project_id, [*by_kind[other_kind], *groups])
            if created.setdefault((change.project_id, change.key), match.kind) != match.kind:
                fact = f"is the key of one of the {other_kind} of this plan too, and a project can have it only once"
                problems.append(problem_at(match.desired, "key", f"{fact}: use another key"))
        else:
            problems += dependent_problems(match.desired, change.id, change.fields, reader.listed.values())
    return changes, ids


def _check_prunable(manifest: Manifest) -> None:
    """Reject an export of some keys: all other flags of its projects would be archived."""
    if manifest.scope and manifest.scope.keys is not None:
        validation.reject(
            "prune",
            "must be false for an export of some keys, because all other flags would be archived",
            advice="Export all keys.",
            code_advice="If the manifest is complete, pass attrs.evolve(manifest, scope=None).",
        )


def _projects(kind: KindName, manifest: Manifest, pruned_project: str | None) -> set[str | UnsetType]:
    """Return the projects that specs name, and the project to prune if the kind is declared, even as an empty list."""
    projects = {spec.project_id for spec in manifest.of(kind)}
    if pruned_project is None or getattr(manifest, kind) is UNSET:
        return projects
    return projects | {pruned_project}


async def _list_live(
    reader: LiveReader, manifest: Manifest, projects: Mapping[KindName, set[str | UnsetType]], *, prune: bool
) -> dict[KindName, list[FlagConfig]]:
    """Return the live flags of the projects, from one list for each, or one for all if a spec names no project."""
    requests: list[tuple[KindName, str | UnsetType, set[str] | None]] = []
    for kind in KINDS:
        for project in [UNSET] if UNSET in projects[kind] else sorted(map(str, projects[kind])):
            keys = {spec.key for spec in manifest.of(kind) if project in (UNSET, spec.project_id)}
            requests.append((kind, project, None if prune else keys))
    lists = await reader.gather(
        [partial(reader.list_flags, kind, project, keys, include_archived=True) for kind, project, keys in requests]
    )
    listed: dict[KindName, list[FlagConfig]] = {kind: [] for kind in KINDS}
    for (kind, _, _), flags in zip(requests, lists, strict=True):
        listed[kind] += flags
    return listed


def _match_specs(
    kind: KindName, specs: Sequence[FlagConfigSpec], listed: Iterable[FlagConfig], problems: list[Problem]
) -> Iterator[_Match]:
    """Match each spec with the live flag of its key and project; if there are several, add a problem."""
    by_key: dict[str, list[FlagConfig]] = {}
    for flag in listed:
        by_key.setdefault(flag.key, []).append(flag)
    for spec in specs:
        candidates = [
            flag
            for flag in by_key.get(spec.key, [])
            if spec.project_id is UNSET or flag.project_id in (UNSET, spec.project_id)
        ]
        flags = [flag for flag in candidates if not flag.deleted] or candidates
        if len(flags) > 1:
            places = ", ".join(f"{flag.project_id} (ID {flag.id})" for flag in flags)
            reason = f"is required, because {len(flags)} flags have the key {format_value(spec.key)}: in {places}"
            problems.append(problem_at(spec, "project_id", reason))
        else:
            yield _Match(kind, spec, LiveFlag.from_listing(flags[0]) if flags else None)


def _prune_candidates(
    kind: KindName, projects: Collection[str | UnsetType], matches: Iterable[_Match], listed: Iterable[FlagConfig]
) -> Iterator[_Match]:
    """Yield the live flags of the declared projects that are not declared, each with a spec that archives it."""
    matched = [match.flag for match in matches if match.kind == kind and match.flag]
    owned_projects = {*projects, *(flag.project_id for flag in matched)}
    matched_ids = {flag.id for flag in matched}
    make = FlagSpec if kind == "flags" else ExperimentSpec
    for flag in listed:
        if flag.project_id and flag.project_id in owned_projects and flag.id not in matched_ids and not flag.deleted:
            spec = make(key=flag.key, project_id=flag.project_id, archived=True)
            yield _Match(kind, spec, LiveFlag.from_listing(flag))


async def _read_details(reader: LiveReader, match: _Match) -> _Match:
    """Return the match with everything that is declared and that the list does not show."""
    live = match.live
    if live is None:
        return match
    if _needs_details(match.desired, live):
        live = await reader.get_details(match.kind, live)
    if _needs_variants(match.desired, live):
        live = await reader.list_variants(match.kind, live)
    if inclusions := _needed_inclusions(match.desired, live):
        live = await reader.list_inclusions(match.kind, live, inclusions)
    return match if live is match.live else attrs.evolve(match, live=live)


def _needs_details(desired: FlagConfigSpec, live: LiveFlag) -> bool:
    if desired.dependencies and live.flag.parent_dependencies is UNSET:
        return True
    names = (field.name for field in attrs.fields(type(desired)) if field.name not in _NOT_FLAG_FIELDS)
    return any(getattr(desired, name) is not UNSET and getattr(live.flag, name) is UNSET for name in names)


def _needs_variants(desired: FlagConfigSpec, live: LiveFlag) -> bool:
    if desired.rollout_weights and live.flag.rollout_weights is UNSET:
        return True
    listed = {variant.key: variant for variant in live.variants}
    return any(
        getattr(variant, name) is not UNSET and getattr(listed[variant.key], name) is UNSET
        for variant in desired.variants or ()
        if variant.key in listed
        for name in _VARIANT_FIELDS
    )


def _needed_inclusions(desired: FlagConfigSpec, live: LiveFlag) -> list[tuple[str, Inclusion]]:
    """Return the declared lists of users and cohorts of live variants."""
    keys = {variant.key for variant in live.variants}
    return [
        (variant.key, name)
        for variant in desired.variants or ()
        if variant.key in keys
        for name in INCLUSIONS
        if getattr(variant, name) is not UNSET
    ]


async def _read_parents(reader: LiveReader, matches: Sequence[_Match]) -> ParentResolver:
    """Return a resolver of the parents that are live or to be created."""
    references = [reference for match in matches for reference in parents_to_plan(match.desired, match.flag)]
    pending = {(match.desired.project_id, match.desired.key) for match in matches if match.live is None}
    live = await reader.list_parents(
        [(name, project_id) for name, project_id in references if (project_id, name) not in pending]
    )
    parents = ParentResolver(live, pending)
    live = await reader.list_parents(
        reference
        for match in matches
        for reference in live_parents_to_plan(match.kind, match.desired, match.flag, parents)
    )
    return ParentResolver(live, pending, has_hidden_groups=reader.has_hidden_groups)


def _plan_change(
    match: _Match, deployments: DeploymentResolver, parents: ParentResolver
) -> tuple[ResourceChange | None, ResolvedIDs, list[Problem]]:
    """Return the change of one flag, None if nothing changes, the IDs it names, and the problems that prevent it."""
    desired, live, flag, project_id = match.desired, match.live, match.flag, match.project_id
    problems: list[Problem] = []
    if not project_id:
        reason = "is required to create it, because no live flag or experiment has this key"
        problems.append(problem_at(desired, "project_id", reason))
    if flag is None and (omitted := [path for path in desired.omitted if _is_unset(desired, path)]):
        fact = f"the export left out {', '.join(omitted)}, because a manifest cannot hold the live value"
        problems.append(problem_at(desired, "", f"{fact}: declare a value, so that the new one does not lack it"))
    if desired.variants is UNSET:
        problems += unknown_variants(desired, [variant.key for variant in live.variants] if live else [])
    document = to_spec_document(match.kind, desired, live)
    document.pop("dependencies", None)  # no request sets them
    ids = ResolvedIDs(
        id=flag.id if flag else None,
        deployments=_resolve_deployments(match, document, deployments, problems),
        parents=declared_parents(desired, flag, parents),
    )
    before = to_live_document(live, document, deployments) if live else None
    fields = FlagDiffer(match.kind, before, document, before_is_live=True).changes()
    schema = SCHEMAS[match.kind]
    fields = {name: _merge_unset_parts(schema.fields.get(name), change) for name, change in fields.items()}
    problems += _incomplete_values(desired, schema, fields)
    if flag and flag.deleted and desired.archived and fields:
        fields["archived"] = FieldChange("archived", before=True, after=True)
    problems += broken_rules(desired, flag, fields)
    if flag and flag.enabled is not UNSET and "archived" in fields and desired.archived and not flag.deleted:
        # Who approves that a flag is archived looks at whether it serves users.
        fields.setdefault("enabled", FieldChange("enabled", flag.enabled, flag.enabled))
    if problems or not (fields or flag is None):
        return None, ids, problems
    change = ResourceChange(
        kind=match.kind,
        key=desired.key,
        project_id=str(project_id),
        id=ids.id,
        action=planned_action(ids.id, fields),
        fields=fields,
        deployments=ids.deployments if "deployments" in fields else {},
        parents=ids.parents,
    )
    return change, ids, [*_invalid_operations(desired, change)]


def _is_unset(desired: FlagConfigSpec, path: str) -> bool:
    """Return whether a field that an export left out is still not declared: `name`, or `variants.on.payload`."""
    if not path.startswith("variants."):
        return getattr(desired, path) is UNSET
    key, _, name = path.removeprefix("variants.").rpartition(".")
    values = [getattr(variant, name) for variant in desired.variants or () if variant.key == key]
    return not values or values[0] is UNSET


def _invalid_operations(desired: FlagConfigSpec, change: ResourceChange) -> Iterator[Problem]:
    """Yield a problem if a value may stay as it is, but cannot be written."""
    try:
        operations_for(change)
    except InvalidInputError as error:
        yield problem_at(desired, error.argument, error.rule)


def _resolve_deployments(
    match: _Match, document: dict[str, Any], deployments: DeploymentResolver, problems: list[Problem]
) -> dict[str, str]:
    """Replace the deployments in a document by their usual names. Return the IDs of live and desired ones by name."""
    if not is_array(match.desired.deployments):
        return {}
    flag, project_id = match.flag, match.project_id
    ids = {deployments.name(id, project_id): id for id in (flag.deployments or () if flag else ())}
    live_ids = set(ids.values())
    names: set[str] = set()
    for index, label in enumerate(match.desired.deployments):
        id, reason = deployments.find(label, project_id)
        if reason and id not in live_ids:
            problems.append(problem_at(match.desired, f"deployments[{index}]", reason))
        name = deployments.name(id, project_id)
        ids[name] = id
        names.add(name)
    document["deployments"] = sorted(names)
    if flag is None and not names:
        del document["deployments"]  # a new flag has none
    return ids


def _merge_unset_parts(schema: Schema | None, change: FieldChange) -> FieldChange:
    """Complete an object or a list of objects with the parts of the live value that the spec leaves unset."""
    if schema is None or change.after is UNSET:
        return change
    return FieldChange(change.field, change.before, merge_onto(change.after, change.before))


def _incomplete_values(desired: FlagConfigSpec, schema: Object, fields: Mapping[str, FieldChange]) -> Iterator[Problem]:
    """Yield a problem for each part of a changed value without which the API cannot write it."""
    if "target_segments" in fields:
        for index, segment in enumerate(fields["target_segments"].after):
            if any(condition.get("type", "property") != "property" for condition in segment.get("conditions") or ()):
                reason = "has a condition on a cohort, which the API cannot write: change the segments in the app"
                yield problem_at(desired, f"target_segments[{index}]", reason)
            for number, condition in enumerate(segment.get("conditions") or ()):
                if condition.get("values") == []:
                    path = f"target_segments[{index}].conditions[{number}].values"
                    yield problem_at(desired, path, "must contain at least one value")
    for name, field_schema in schema.fields.items():
        if name in fields:
            for path, noun in _missing_fields(field_schema, fields[name].after, name):
                yield problem_at(desired, path, f"is required when creating a new {noun}")


def _missing_fields(schema: Schema, value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield each missing field without which an object cannot be written: its path, and a noun for the object."""
    match schema:
        case Array() if is_array(value):
            for index, item in enumerate(value):
                yield from _missing_fields(schema.items, item, f"{path}[{index}]")
        case Object() if is_object(value):
            yield from (
                (f"{path}.{name}", _NOUNS[schema.make])
                for name in schema.required_to_create
                if name not in value or (value[name] is None and name != "name")
            )
            for name in (name for name in schema.fields if name in value):
                yield from _missing_fields(schema.fields[name], value[name], f"{path}.{name}")
        case _:
            return


def _subset_for(manifest: Manifest, changes: Iterable[ResourceChange]) -> Manifest:
    """Return the specs of the flags that change."""
    names = {(change.kind, change.key, project) for change in changes for project in (change.project_id, UNSET)}
    specs: dict[str, list[FlagConfigSpec]] = {
        kind: [spec for spec in manifest.of(kind) if (kind, spec.key, spec.project_id) in names] for kind in KINDS
    }
    return Manifest(**{kind: kept for kind, kept in specs.items() if kept})
