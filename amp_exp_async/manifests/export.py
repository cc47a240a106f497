"""From what there is to a state."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from attrs import evolve, frozen

from amp_exp_async import validation
from amp_exp_async.http import Transport
from amp_exp_async.models import UNSET, FlagConfig

from .dependencies import exported, to_export
from .names import Labels, Parents
from .present import WHATS, Present, What, declared, present
from .spec import KINDS, ExportScope, KindName, Manifest
from .survey import Survey


@frozen(kw_only=True)
class Depth:
    """What is exported besides what the lists show.

    Attributes:
        users: the users and devices included in the variants.
        cohorts: the cohorts included in them.
        variants: the variants in full.
        server_fields: what the service makes.
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
    depth: Depth,
) -> Manifest:
    """The flags and experiments that there are, as a file declares them, and what was looked at."""
    project = UNSET if project_id is None else validation.identifier("project_id", project_id)
    wanted = None if keys is None else {validation.key("keys", key) for key in validation.sequence("keys", keys)}
    if wanted is not None and not wanted:
        validation.reject("keys", "must hold at least one key; leave it out for all")
    survey = Survey(transport)
    lists = [partial(survey.toggles, kind, project, wanted, include_archived=include_archived) for kind in KINDS]
    flags, experiments = await survey.together(lists)
    listed: list[tuple[KindName, list[FlagConfig]]] = [("flags", flags), ("experiments", experiments)]
    there: list[tuple[KindName, Present]] = [(kind, present(toggle)) for kind, toggles in listed for toggle in toggles]
    if wanted is not None and (missing := wanted - {one.toggle.key for _, one in there}):
        validation.reject("keys", f"must all be there, and there is no flag or experiment {', '.join(sorted(missing))}")
    assigned = any(one.toggle.deployments for _, one in there)
    labels = Labels(await survey.deployments() if assigned else ())
    read = await survey.together([partial(_deepened, survey, kind, one, depth) for kind, one in there])
    parents = Parents(await survey.parents(parent for _, one in there for parent in to_export(one.toggle)))
    states: dict[str, list[Any]] = {kind: [] for kind in KINDS}
    for (kind, _), one in zip(there, read, strict=True):
        state = declared(kind, one, labels, server_fields=depth.server_fields)
        states[kind].append(evolve(state, dependencies=exported(one.toggle, parents)))
    for toggles in states.values():
        toggles.sort(key=lambda toggle: (toggle.key, str(toggle.project_id)))
    scope = ExportScope(
        project_id=project or None,
        keys=None if wanted is None else frozenset(wanted),
        include_archived=include_archived,
    )
    return Manifest(**states, scope=scope)


async def _deepened(survey: Survey, kind: KindName, there: Present, depth: Depth) -> Present:
    asked: tuple[What, ...] = tuple(what for what in WHATS if getattr(depth, what))
    if depth.variants:
        there = await survey.variants(kind, there)
    wanted: list[tuple[str, What]] = []
    for variant in there.variants:
        wanted.extend((variant.key, what) for what in asked)
    return await survey.included(kind, there, wanted)
