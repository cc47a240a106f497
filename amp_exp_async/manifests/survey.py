"""Reading what there is, with few requests."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

import attrs

from amp_exp_async.errors import NotFoundError
from amp_exp_async.http import Transport
from amp_exp_async.models import UNSET, Deployment, FlagConfig, Group, UnsetType
from amp_exp_async.resources import AsyncDeployments, AsyncExperiments, AsyncFlags, AsyncHoldouts, AsyncMutexes
from amp_exp_async.validation import MAX_PAGE

from .names import BY_ID, Parents, Project
from .present import Present, What
from .spec import KINDS, KindName

T = TypeVar("T")


class Survey:
    """Reads what there is.

    Attributes:
        seen: the flags and experiments that were listed, asked for or not.
    """

    def __init__(self, transport: Transport) -> None:
        self._at_once = transport.session.max_concurrency
        self.seen: list[FlagConfig] = []
        self._mutexes = AsyncMutexes(transport)
        self._holdouts = AsyncHoldouts(transport)
        self._deployments = AsyncDeployments(transport)
        self._toggles: dict[KindName, AsyncFlags | AsyncExperiments] = {
            "flags": AsyncFlags(transport),
            "experiments": AsyncExperiments(transport),
        }

    async def toggles(
        self,
        kind: KindName,
        project_id: str | UnsetType,
        keys: Collection[str] | None = None,
        *,
        include_archived: bool,
    ) -> list[FlagConfig]:
        """All of a project, or of all projects; one key is asked for by itself."""
        key = next(iter(keys)) if keys is not None and len(keys) == 1 else UNSET
        limit = MAX_PAGE if key is UNSET else UNSET
        archived = True if include_archived else UNSET
        found: Sequence[FlagConfig] = await self._toggles[kind].list(
            key=key, project_id=project_id, include_archived=archived, limit=limit
        )
        self.seen += found
        return [toggle for toggle in found if keys is None or toggle.key in keys]

    async def deployments(self) -> list[Deployment]:
        """All deployments."""
        return await self._deployments.list(limit=MAX_PAGE)

    async def parents(self, wanted: Iterable[tuple[str, Project]]) -> list[FlagConfig | Group]:
        """What flags and experiments may depend on: what was listed, and of the rest what is wanted.

        Args:
            wanted: what a file calls them, each with its project.
        """
        found: list[FlagConfig | Group] = [*self.seen]
        missing = _missing(dict.fromkeys(wanted), found)
        if missing:
            found += await self._mutexes.list(limit=MAX_PAGE)
            found += await self._holdouts.list(limit=MAX_PAGE)
        for toggles in await self.together([partial(self._called, *one) for one in _missing(missing, found)]):
            found += toggles
        return found

    async def _called(self, name: str, project_id: Project) -> list[FlagConfig]:
        """The flags and experiments that a file calls so."""
        if not name.startswith(BY_ID):
            keys, project = {name}, project_id or UNSET
            lists = [partial(self.toggles, kind, project, keys, include_archived=True) for kind in KINDS]
            return [toggle for toggles in await self.together(lists) for toggle in toggles]
        for kind in KINDS:
            with suppress(NotFoundError):
                return [await self._toggles[kind].get(name.removeprefix(BY_ID))]
        return []

    async def details(self, kind: KindName, there: Present) -> Present:
        """One with all its fields."""
        toggle = await self._toggles[kind].get(there.toggle.id)
        return attrs.evolve(there, toggle=toggle)

    async def variants(self, kind: KindName, there: Present) -> Present:
        """One with its variants in full."""
        return attrs.evolve(there, variants=tuple(await self._toggles[kind].variants.list(there.toggle.id)))

    async def included(self, kind: KindName, there: Present, wanted: Iterable[tuple[str, What]]) -> Present:
        """One with what its variants include."""
        included = dict(there.included)
        for key, what in wanted:
            toggles = self._toggles[kind]
            section = toggles.users if what == "users" else toggles.cohorts
            included[key, what] = tuple(await section.list(there.toggle.id, key))
        return attrs.evolve(there, included=included)

    async def together(self, calls: Sequence[Callable[[], Awaitable[T]]]) -> list[T]:
        """What all calls give; many are under way at once. The first failure ends them all."""
        results: list[Any] = [None] * len(calls)
        waiting = iter(enumerate(calls))

        async def work() -> None:
            for at, call in waiting:
                results[at] = await call()

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self._at_once, len(calls))):
                    group.create_task(work())
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return results


def _missing(wanted: Iterable[tuple[str, Project]], found: Iterable[FlagConfig | Group]) -> list[tuple[str, Project]]:
    """What is wanted, and was not found."""
    parents = Parents(found)
    return [(name, project) for name, project in wanted if parents.find(name, project)[1]]
