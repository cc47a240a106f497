"""Live flags and experiments: read with few requests, and converted to plain values and to specs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Literal, Self, TypeAlias, TypeVar

import attrs
from attrs import field, frozen

from amp_exp_async import serialization, validation
from amp_exp_async.errors import BadRequestError, NotFoundError, PermissionDeniedError
from amp_exp_async.http import Transport, running_loop
from amp_exp_async.models import UNSET, Deployment, Experiment, FlagConfig, Group, Model, Segment, UnsetType, Variant
from amp_exp_async.models.nested import read_once
from amp_exp_async.resources import AsyncDeployments, AsyncExperiments, AsyncFlags, AsyncHoldouts, AsyncMutexes
from amp_exp_async.serialization.nesting import SCALARS
from amp_exp_async.validation import MAX_PAGE

from .document import ManifestDocument, is_array
from .parse import Parser
from .references import ID_PREFIX, DeploymentResolver, ParentReference, ParentResolver, Project, export_dependencies
from .schema import READ_ONLY, SCHEMAS, VARIANT_SCHEMA, Schema
from .spec import KINDS, ExperimentSpec, FlagConfigSpec, FlagSpec, KindName, VariantSpec

T = TypeVar("T")

Inclusion: TypeAlias = Literal["users", "cohorts"]
INCLUSIONS: tuple[Inclusion, ...] = ("users", "cohorts")

InclusionLists: TypeAlias = Mapping[tuple[str, Inclusion], tuple[str, ...]]
"""The IDs that variants include, by variant key."""

_CONVERTED = frozenset({"archived", "deployments", "dependencies", "variants"})
_NEEDING_VARIANTS = frozenset({"variants", "rollout_weights", "target_segments", "rolled_out_variant"})
_SERVER_FIELDS = frozenset({*READ_ONLY, "bucketing_salt"})
_UNREADABLE = (BadRequestError, NotFoundError, PermissionDeniedError)
"""The errors of a parent that does not exist, or that the key may not read."""


@frozen
class LiveFlag:
    """A live flag or experiment, as far as it was read.

    Attributes:
        flag: the flag, from a list or from its details.
        variants: its variants: complete if they were read, else as listed.
        inclusions: the lists of included IDs that were read.
    """

    flag: FlagConfig
    variants: tuple[Variant, ...]
    inclusions: InclusionLists = field(factory=dict[tuple[str, Inclusion], tuple[str, ...]])

    @classmethod
    def from_listing(cls, flag: FlagConfig) -> Self:
        """Return a live flag with the fields that a list shows."""
        return cls(flag, tuple(read_once(flag, "variants") or ()))


def is_web(flag: FlagConfig | FlagConfigSpec) -> bool:
    """Return whether it is a web experiment, which the API can neither create nor edit."""
    return isinstance(flag, Experiment | ExperimentSpec) and flag.delivery_method == "web"


def to_plain(value: Any) -> Any:
    """Return a model as plain values by snake_case names; unknown fields are under `extra`."""
    if value.__class__ in SCALARS:
        return value
    if isinstance(value, Model):
        values = {field.name: getattr(value, field.name) for field in attrs.fields(type(value))}
        if not values["extra"]:
            del values["extra"]
        return {name: to_plain(item) for name, item in values.items() if item is not UNSET}
    if is_array(value):
        return [to_plain(item) for item in value]
    return serialization.to_json(value)


def to_live_document(live: LiveFlag, names: Collection[str], deployments: DeploymentResolver) -> dict[str, Any]:
    """Return the named fields of a live flag, as plain values: as in a manifest, with the variants that they need."""
    flag = live.flag
    document: dict[str, Any] = {
        name: to_plain(value)
        for name in names
        if name not in _CONVERTED and (value := getattr(flag, name)) is not UNSET
    }
    document["archived"] = bool(flag.deleted)
    if not _NEEDING_VARIANTS.isdisjoint(names):
        document["variants"] = [_plain_variant(variant, live.inclusions) for variant in live.variants]
    if "deployments" in names:
        document["deployments"] = sorted(deployments.name(id, flag.project_id) for id in flag.deployments or ())
    if "rollout_weights" in names and not document.get("rollout_weights"):
        weights = {variant.key: variant.rollout_weight for variant in live.variants}
        document["rollout_weights"] = {key: weight for key, weight in weights.items() if weight is not UNSET}
    return document


def _plain_variant(variant: Variant, inclusions: InclusionLists) -> dict[str, Any]:
    document: dict[str, Any] = to_plain(variant)
    document.pop("extra", None)
    for name in INCLUSIONS:
        if (variant.key, name) in inclusions:
            document[name] = sorted(set(inclusions[variant.key, name]))
    return document


def to_spec(
    kind: KindName, live: LiveFlag, deployments: DeploymentResolver, parents: ParentResolver, *, server_fields: bool
) -> FlagConfigSpec:
    """Return a live flag as a manifest declares it, with the names of the fields that a manifest cannot hold."""
    flag = live.flag
    values: dict[str, Any] = {}
    parser = _LiveValueParser()
    for name, schema in SCHEMAS[kind].fields.items():
        if name in _CONVERTED or (name in _SERVER_FIELDS and not server_fields):
            continue
        value = parser.parse(schema, read_once(flag, name), name)
        values[name] = sorted(set(value)) if name == "tags" and value is not UNSET else value
    if is_web(flag):
        values["delivery_method"] = "web"
    if flag.deleted:
        values["archived"] = True
    if flag.deployments is not UNSET:
        values["deployments"] = sorted(deployments.name(id, flag.project_id) for id in flag.deployments or ())
    if flag.variants is not UNSET:
        variants = [_variant_spec(variant, live.inclusions, parser) for variant in live.variants]
        values["variants"] = variants if all(variant.key for variant in variants) else UNSET
        keys = {variant.key for variant in live.variants}
        values["rollout_weights"] = _weights_of(values["rollout_weights"], keys)
        values["target_segments"] = values["target_segments"] and [
            _with_weights_of(segment, keys) for segment in values["target_segments"]
        ]
    make = FlagSpec if kind == "flags" else ExperimentSpec
    return make(**values, dependencies=export_dependencies(flag, parents), omitted=tuple(parser.omitted))


class _LiveValueParser:
    """A parser of the values of one live flag.

    Attributes:
        omitted: the paths of the values that a manifest cannot hold.
    """

    def __init__(self) -> None:
        self.omitted: list[str] = []
        self._parser = Parser(ManifestDocument("", None))

    def parse(self, schema: Schema, value: Any, path: str) -> Any:
        """Return a value as a manifest holds it; `UNSET` if it cannot."""
        if value is UNSET:
            return UNSET
        known_problems = len(self._parser.problems)
        parsed = self._parser.parse(schema, value, "")
        return self.omit(path) if len(self._parser.problems) > known_problems else parsed

    def omit(self, path: str) -> UnsetType:
        """Note that a manifest cannot hold a value."""
        self.omitted.append(path)
        return UNSET


def _weights_of(weights: Any, keys: set[str]) -> Any:
    """Return the weights of existing variants."""
    if not weights or weights.keys() <= keys:
        return weights
    return {key: weight for key, weight in weights.items() if key in keys}


def _with_weights_of(segment: Segment, keys: set[str]) -> Segment:
    """Return a segment with the weights of existing variants."""
    weights = _weights_of(segment.rollout_weights, keys)
    return segment if weights is segment.rollout_weights else attrs.evolve(segment, rollout_weights=weights)


def _variant_spec(variant: Variant, inclusions: InclusionLists, parser: _LiveValueParser) -> VariantSpec:
    """Return a variant as a manifest declares it; a field that the format cannot hold is `UNSET`, even the key."""
    path = f"variants.{variant.key}"
    ids: dict[str, Any] = {
        name: _inclusion_spec(name, inclusions[variant.key, name], f"{path}.{name}", parser)
        for name in INCLUSIONS
        if (variant.key, name) in inclusions
    }
    fields = {
        name: parser.parse(VARIANT_SCHEMA.fields[name], getattr(variant, name), f"{path}.{name}")
        for name in ("key", "name", "description", "payload")
    }
    return VariantSpec(**fields, **ids)


def _inclusion_spec(name: Inclusion, ids: Collection[str], path: str, parser: _LiveValueParser) -> Any:
    """Return the included IDs; `UNSET` if a manifest cannot hold them: too many users, or IDs joined by commas."""
    unique = sorted(set(ids))
    if name == "users" and len(unique) > validation.MAX_ADDED:
        return parser.omit(path)
    return parser.parse(VARIANT_SCHEMA.fields[name], unique, path)


class LiveReader:
    """A reader of live flags, experiments, deployments and groups.

    Attributes:
        listed: all flags and experiments that were listed so far, by kind and ID, whether or not their keys were
            requested.
        has_hidden_groups: whether the key may not read the mutex groups or the holdout groups.
    """

    def __init__(self, transport: Transport) -> None:
        self._max_concurrency = transport.session.max_concurrency
        self.listed: dict[tuple[KindName, str], FlagConfig] = {}
        self._complete_lists: set[tuple[KindName, str | UnsetType]] = set()
        self._groups: list[Group] | None = None
        self.has_hidden_groups = False
        self._looked_up: list[FlagConfig] = []
        self._mutexes = AsyncMutexes(transport)
        self._holdouts = AsyncHoldouts(transport)
        self._deployments = AsyncDeployments(transport)
        self._flags: dict[KindName, AsyncFlags | AsyncExperiments] = {
            "flags": AsyncFlags(transport),
            "experiments": AsyncExperiments(transport),
        }

    async def list_flags(
        self,
        kind: KindName,
        project_id: str | UnsetType,
        keys: Collection[str] | None = None,
        *,
        include_archived: bool,
    ) -> list[FlagConfig]:
        """Return the flags or experiments with the given keys, or all; one key is requested by itself."""
        key = next(iter(keys)) if keys is not None and len(keys) == 1 else UNSET
        limit = MAX_PAGE if key is UNSET else UNSET
        archived = True if include_archived else UNSET
        flags: Sequence[FlagConfig] = await self._flags[kind].list(
            key=key, project_id=project_id, include_archived=archived, limit=limit
        )
        by_id = {flag.id: flag for flag in flags}
        self.listed |= {(kind, id): flag for id, flag in by_id.items()}
        if key is UNSET:
            self._complete_lists.add((kind, project_id))
        return [flag for flag in by_id.values() if keys is None or flag.key in keys]

    async def list_all(self, projects: Iterable[str]) -> None:
        """List all flags and experiments of the projects, archived ones too, except those listed so far."""
        missing: list[tuple[KindName, str]] = [
            (kind, project)
            for project in sorted(set(projects))
            for kind in KINDS
            if not {(kind, project), (kind, UNSET)} & self._complete_lists
        ]
        await self.gather([partial(self.list_flags, kind, project, include_archived=True) for kind, project in missing])

    async def list_deployments(self) -> list[Deployment]:
        """Return all deployments."""
        return await self._deployments.list(limit=MAX_PAGE)

    async def list_parents(self, references: Iterable[ParentReference]) -> list[FlagConfig | Group]:
        """Return all objects that the references may stand for: those read so far, and the missing ones."""
        missing = _unresolved(dict.fromkeys(references), self._parents)
        if missing:
            await self.list_groups()
        lookups = [partial(self._find, name, project_id) for name, project_id in _unresolved(missing, self._parents)]
        for flags in await self.gather(lookups):
            self._looked_up += flags
        return self._parents

    @property
    def _parents(self) -> list[FlagConfig | Group]:
        """The objects read so far that flags and experiments may depend on."""
        return [*self.listed.values(), *(self._groups or ()), *self._looked_up]

    async def list_groups(self) -> list[Group]:
        """Return all mutex and holdout groups, as far as the key may read them."""
        if self._groups is None:
            self._groups = [*await self._list_groups(self._mutexes), *await self._list_groups(self._holdouts)]
        return self._groups

    async def _list_groups(self, groups: AsyncMutexes | AsyncHoldouts) -> list[Group]:
        try:
            return [*await groups.list(limit=MAX_PAGE)]
        except _UNREADABLE:
            self.has_hidden_groups = True
            return []

    async def _find(self, name: str, project_id: Project) -> list[FlagConfig]:
        """Return the flags and experiments with a key or an ID."""
        if not name.startswith(ID_PREFIX):
            keys, project = {name}, project_id or UNSET
            lists = [partial(self.list_flags, kind, project, keys, include_archived=True) for kind in KINDS]
            return [flag for flags in await self.gather(lists) for flag in flags]
        for kind in KINDS:
            with suppress(*_UNREADABLE):
                return [await self._flags[kind].get(name.removeprefix(ID_PREFIX))]
        return []

    async def get_details(self, kind: KindName, live: LiveFlag) -> LiveFlag:
        """Return the live flag with all its fields."""
        return attrs.evolve(live, flag=await self._flags[kind].get(live.flag.id))

    async def list_variants(self, kind: KindName, live: LiveFlag) -> LiveFlag:
        """Return the live flag with its complete variants."""
        return attrs.evolve(live, variants=tuple(await self._flags[kind].variants.list(live.flag.id)))

    async def list_inclusions(self, kind: KindName, live: LiveFlag, lists: Iterable[tuple[str, Inclusion]]) -> LiveFlag:
        """Return the live flag with more lists of included IDs."""
        inclusions = dict(live.inclusions)
        for key, name in lists:
            resource = self._flags[kind].users if name == "users" else self._flags[kind].cohorts
            with validation.nothing_written():  # the key "..", for example, cannot be part of a path
                ids = resource.list(live.flag.id, key)
            inclusions[key, name] = tuple(await ids)
        return attrs.evolve(live, inclusions=inclusions)

    async def gather(self, calls: Sequence[Callable[[], Awaitable[T]]]) -> list[T]:
        """Run the calls concurrently and return their results; cancel the rest on the first error.

        Raises:
            ConfigurationError: If asyncio does not run.
        """
        running_loop()
        results: list[Any] = [None] * len(calls)
        queue = iter(enumerate(calls))

        async def work() -> None:
            for index, call in queue:
                results[index] = await call()

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self._max_concurrency, len(calls))):
                    group.create_task(work())
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return results


def _unresolved(
    references: Iterable[ParentReference], candidates: Iterable[FlagConfig | Group]
) -> list[ParentReference]:
    """Return the references that no candidate matches."""
    parents = ParentResolver(candidates)
    return [(name, project_id) for name, project_id in references if parents.find(name, project_id)[1]]
