"""Export of live flags and experiments to a manifest."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any, TypeAlias

from attrs import asdict, frozen

from amp_exp_async import validation
from amp_exp_async.errors import InvalidInputError
from amp_exp_async.escaping import escape
from amp_exp_async.formatting import format_value
from amp_exp_async.http import Transport
from amp_exp_async.models import UNSET, FlagConfig

from .live import INCLUSIONS, Inclusion, LiveFlag, LiveReader, to_spec
from .references import DeploymentResolver, ParentResolver, parents_to_export
from .spec import KINDS, ExportScope, KindName, Manifest

_LOG = logging.getLogger("amp_exp_async")

_Listed: TypeAlias = tuple[KindName, FlagConfig]


@frozen(kw_only=True)
class ExportOptions:
    """The details that an export reads in addition to the lists.

    Attributes:
        users: whether to read the users and devices included in variants.
        cohorts: whether to read the cohorts included in variants.
        variants: whether to read complete variants.
        server_fields: whether to export the fields that the service makes.
    """

    users: bool
    cohorts: bool
    variants: bool
    server_fields: bool


async def export(
    transport: Transport,
    *,
    project_id: str | None,
    keys: Iterable[str] | None,
    include_archived: bool,
    options: ExportOptions,
) -> Manifest:
    """Export live flags and experiments to a manifest with the scope of the export."""
    project = UNSET if project_id is None else validation.project_id("project_id", project_id)
    validate_keys = validation.list_of(validation.existing_key)
    for name, value in {"include_archived": include_archived, **asdict(options)}.items():
        validation.boolean(name, value)
    requested: set[str] | None = None if keys is None else set(validate_keys("keys", keys))
    if requested is not None and not requested:
        validation.reject("keys", "must have at least one key; omit it to export all")
    reader = LiveReader(transport)
    flags, experiments = await reader.gather(
        [partial(reader.list_flags, kind, project, requested, include_archived=include_archived) for kind in KINDS]
    )
    by_kind: list[tuple[KindName, list[FlagConfig]]] = [("flags", flags), ("experiments", experiments)]
    listed: list[_Listed] = [(kind, flag) for kind, configs in by_kind for flag in configs]
    _reject_missing(requested, listed)
    listed = list(_without_archived_twins(listed))
    has_deployments = any(flag.deployments for _, flag in listed)
    deployments = DeploymentResolver(await reader.list_deployments() if has_deployments else ())
    live = await _read_details(reader, listed, options)
    parents = ParentResolver(
        await reader.list_parents(parent for _, flag in listed for parent in parents_to_export(flag))
    )
    specs: dict[str, list[Any]] = {kind: [] for kind in KINDS}
    for (kind, _), item in zip(listed, live, strict=True):
        spec = to_spec(kind, item, deployments, parents, server_fields=options.server_fields)
        if not spec.key:
            _LOG.warning(
                "%s with ID %s: a manifest cannot hold its key, so the export leaves it out", kind, item.flag.id
            )
            continue
        if spec.omitted:
            fact = "the export leaves out %s: a manifest cannot hold the live value"
            _LOG.warning(
                f"%s %s (ID %s): {fact}", kind, escape(item.flag.key), item.flag.id, escape(", ".join(spec.omitted))
            )
        specs[kind].append(spec)
    for kind_specs in specs.values():
        kind_specs.sort(key=lambda spec: (spec.key, str(spec.project_id)))
    scope = ExportScope(
        project_id=project or None,
        keys=None if requested is None else frozenset(requested),
        include_archived=include_archived,
    )
    return Manifest(**specs, scope=scope)


def _reject_missing(requested: set[str] | None, listed: Iterable[_Listed]) -> None:
    """Reject requested keys that no live flag or experiment has."""
    missing = (requested or set[str]()) - {flag.key for _, flag in listed}
    if missing:
        rule = f"no flag or experiment with key {', '.join(map(format_value, sorted(missing)))}"
        raise InvalidInputError(argument="keys", rule=rule)


def _without_archived_twins(listed: Iterable[_Listed]) -> Iterator[_Listed]:
    """Yield the live flags, active ones first, without archived ones whose key another one has."""
    seen: set[tuple[KindName, str, Any]] = set()
    for kind, flag in sorted(listed, key=lambda pair: bool(pair[1].deleted)):
        identity = (kind, flag.key, flag.project_id)
        if flag.deleted and identity in seen:
            fact = "the export leaves out this archived one: a manifest can hold one with this key"
            _LOG.warning(f"%s %s (ID %s): {fact}", kind, escape(flag.key), flag.id)
            continue
        seen.add(identity)
        yield kind, flag


async def _read_details(reader: LiveReader, listed: Sequence[_Listed], options: ExportOptions) -> Iterable[LiveFlag]:
    """Return the live flags with the requested details, in the same order."""
    if not (options.variants or options.users or options.cohorts):
        return (LiveFlag.from_listing(flag) for _, flag in listed)  # one at a time: all together take much memory
    return await reader.gather([partial(_read_details_of, reader, kind, flag, options) for kind, flag in listed])


async def _read_details_of(reader: LiveReader, kind: KindName, flag: FlagConfig, options: ExportOptions) -> LiveFlag:
    live = LiveFlag.from_listing(flag)
    requested: list[Inclusion] = [name for name in INCLUSIONS if getattr(options, name)]
    if options.variants:
        live = await reader.list_variants(kind, live)
    # No path can address a variant "." or "..".
    keys = [variant.key for variant in live.variants if variant.key not in {".", ".."}]
    lists: list[tuple[str, Inclusion]] = [(key, name) for key in keys for name in requested]
    return await reader.list_inclusions(kind, live, lists)
