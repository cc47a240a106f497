"""The resources of the blocking clients. Each method is derived from the async one."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from amp_exp_async import validation
from amp_exp_async.models import Experiment, Flag, FlagConfig
from amp_exp_async.resources import (
    AsyncBetaDeployments,
    AsyncBetaExperiments,
    AsyncBetaFlagConfigs,
    AsyncBetaFlags,
    AsyncCohorts,
    AsyncDeployments,
    AsyncExperiments,
    AsyncFlagConfigs,
    AsyncFlagDeployments,
    AsyncFlags,
    AsyncHoldouts,
    AsyncMutexes,
    AsyncProjectVersions,
    AsyncSegments,
    AsyncTags,
    AsyncUsers,
    AsyncVariants,
    AsyncVersions,
    OptimisticEdit,
    changed_fields,
    reject_impossible_edit,
)

from .base import SyncResource, as_sync, as_sync_pager, copy_signature
from .bulk import as_sync_run
from .portal import BlockingPortal

ResourceT_co = TypeVar("ResourceT_co", bound=AsyncFlagConfigs[Any], covariant=True)
BetaResourceT_co = TypeVar("BetaResourceT_co", bound=AsyncBetaFlagConfigs[Any], covariant=True)
FlagConfigT_co = TypeVar("FlagConfigT_co", bound=FlagConfig, covariant=True)

_NOT_ASYNC = "must not be async: the blocking client calls it in your thread, and does not await it"


class Variants(SyncResource[AsyncVariants]):
    """`client.flags.variants` and `client.experiments.variants`, blocking."""

    list = as_sync(AsyncVariants.list)
    get = as_sync(AsyncVariants.get)
    create = as_sync(AsyncVariants.create)
    edit = as_sync(AsyncVariants.edit)
    remove = as_sync(AsyncVariants.remove)


class Users(SyncResource[AsyncUsers]):
    """`client.flags.users` and `client.experiments.users`, blocking."""

    list = as_sync(AsyncUsers.list)
    add = as_sync(AsyncUsers.add)
    remove = as_sync(AsyncUsers.remove)
    remove_at = as_sync(AsyncUsers.remove_at)
    remove_all = as_sync(AsyncUsers.remove_all)
    add_many = as_sync_run(AsyncUsers.add_many)
    remove_many = as_sync_run(AsyncUsers.remove_many)
    replace = as_sync_run(AsyncUsers.replace)


class Cohorts(SyncResource[AsyncCohorts]):
    """`client.flags.cohorts` and `client.experiments.cohorts`, blocking."""

    list = as_sync(AsyncCohorts.list)
    add = as_sync(AsyncCohorts.add)
    remove = as_sync(AsyncCohorts.remove)
    add_many = as_sync_run(AsyncCohorts.add_many)
    remove_many = as_sync_run(AsyncCohorts.remove_many)
    replace = as_sync_run(AsyncCohorts.replace)


class FlagDeployments(SyncResource[AsyncFlagDeployments]):
    """`client.flags.deployments` and `client.experiments.deployments`, blocking."""

    list = as_sync(AsyncFlagDeployments.list)
    add = as_sync(AsyncFlagDeployments.add)
    remove = as_sync(AsyncFlagDeployments.remove)


class Versions(SyncResource[AsyncVersions[FlagConfigT_co]], Generic[FlagConfigT_co]):
    """`client.flags.versions` and `client.experiments.versions`, blocking."""

    list = as_sync(AsyncVersions[FlagConfigT_co].list)
    get = as_sync(AsyncVersions[FlagConfigT_co].get)


class Segments(SyncResource[AsyncSegments[FlagConfigT_co]], Generic[FlagConfigT_co]):
    """`client.flags.segments` and `client.experiments.segments`, blocking."""

    add = as_sync(AsyncSegments[FlagConfigT_co].add)
    remove = as_sync(AsyncSegments[FlagConfigT_co].remove)
    edit = as_sync(AsyncSegments[FlagConfigT_co].edit)
    add_values = as_sync(AsyncSegments[FlagConfigT_co].add_values)


class Tags(SyncResource[AsyncTags[FlagConfigT_co]], Generic[FlagConfigT_co]):
    """`client.flags.tags` and `client.experiments.tags`, blocking."""

    add = as_sync(AsyncTags[FlagConfigT_co].add)
    remove = as_sync(AsyncTags[FlagConfigT_co].remove)


class FlagConfigs(SyncResource[ResourceT_co], Generic[ResourceT_co, FlagConfigT_co]):
    """The operations that `client.flags` and `client.experiments` share, blocking.

    Attributes:
        variants: the variants.
        users: the users and devices that a variant includes by ID.
        cohorts: the cohorts that a variant includes by ID.
        deployments: the deployments that a flag or experiment is assigned to.
        versions: the versions.
        segments: single target segments.
        tags: single tags.
    """

    def __init__(self, resource: ResourceT_co, portal: BlockingPortal) -> None:
        super().__init__(resource, portal)
        self.variants = Variants(resource.variants, portal)
        self.users = Users(resource.users, portal)
        self.cohorts = Cohorts(resource.cohorts, portal)
        self.deployments = FlagDeployments(resource.deployments, portal)
        self.versions: Versions[FlagConfigT_co] = Versions(resource.versions, portal)
        self.segments: Segments[FlagConfigT_co] = Segments(resource.segments, portal)
        self.tags: Tags[FlagConfigT_co] = Tags(resource.tags, portal)

    get = as_sync(AsyncFlagConfigs[FlagConfigT_co].get)
    find = as_sync(AsyncFlagConfigs[FlagConfigT_co].find)
    archive = as_sync(AsyncFlagConfigs[FlagConfigT_co].archive)
    restore = as_sync(AsyncFlagConfigs[FlagConfigT_co].restore)

    @copy_signature(AsyncFlagConfigs[FlagConfigT_co].guarded_edit)
    def guarded_edit(
        self,
        id: str,
        change: Callable[[FlagConfigT_co], FlagConfigT_co],
        *,
        base: FlagConfig | None = None,
        dry_run: bool = False,
    ) -> FlagConfigT_co:
        """Call `AsyncFlagConfigs.guarded_edit`, with the change made in the caller's thread."""
        validation.function("change", change)
        if inspect.iscoroutinefunction(change):
            validation.reject("change", _NOT_ASYNC)
        validation.boolean("dry_run", dry_run)

        async def start() -> tuple[OptimisticEdit[FlagConfigT_co], FlagConfigT_co]:
            # All requests and the change share a deadline, which starts here.
            transport = self._resource.transport.as_one_call()
            editor: OptimisticEdit[FlagConfigT_co] = OptimisticEdit(transport, self._resource.collection)
            return editor, await editor.read(id) if base is None else editor.checked_base(id, base)

        editor, before = self._portal.call(start)
        with validation.nothing_written():
            edited = change(copy.deepcopy(before))
            if inspect.isawaitable(edited):
                if inspect.iscoroutine(edited):
                    edited.close()
                validation.reject("change", _NOT_ASYNC)
        if dry_run:
            reject_impossible_edit(before, changed_fields(before, edited))
            return edited
        return self._portal.call(lambda: editor.write(id, before, edited))


class Flags(FlagConfigs[AsyncFlags, Flag]):
    """`client.flags`, blocking."""

    list = as_sync_pager(AsyncFlags.list)
    create = as_sync(AsyncFlags.create)
    edit = as_sync(AsyncFlags.edit)


class Experiments(FlagConfigs[AsyncExperiments, Experiment]):
    """`client.experiments`, blocking."""

    list = as_sync_pager(AsyncExperiments.list)
    create = as_sync(AsyncExperiments.create)
    edit = as_sync(AsyncExperiments.edit)
    roll_out = as_sync(AsyncExperiments.roll_out)
    roll_back = as_sync(AsyncExperiments.roll_back)


class Deployments(SyncResource[AsyncDeployments]):
    """`client.deployments`, blocking."""

    list = as_sync_pager(AsyncDeployments.list)
    create = as_sync(AsyncDeployments.create)
    edit = as_sync(AsyncDeployments.edit)
    archive = as_sync(AsyncDeployments.archive)
    restore = as_sync(AsyncDeployments.restore)


class ProjectVersions(SyncResource[AsyncProjectVersions]):
    """`client.versions`, blocking."""

    list = as_sync_pager(AsyncProjectVersions.list)


class Mutexes(SyncResource[AsyncMutexes]):
    """`client.mutexes`, blocking."""

    list = as_sync_pager(AsyncMutexes.list)
    get = as_sync(AsyncMutexes.get)
    create = as_sync(AsyncMutexes.create)
    edit = as_sync(AsyncMutexes.edit)
    edit_slot = as_sync(AsyncMutexes.edit_slot)
    archive = as_sync(AsyncMutexes.archive)
    restore = as_sync(AsyncMutexes.restore)


class Holdouts(SyncResource[AsyncHoldouts]):
    """`client.holdouts`, blocking."""

    list = as_sync_pager(AsyncHoldouts.list)
    get = as_sync(AsyncHoldouts.get)
    create = as_sync(AsyncHoldouts.create)
    edit = as_sync(AsyncHoldouts.edit)
    archive = as_sync(AsyncHoldouts.archive)
    restore = as_sync(AsyncHoldouts.restore)


class BetaFlagConfigs(SyncResource[BetaResourceT_co], Generic[BetaResourceT_co, FlagConfigT_co]):
    """The operations that flags and experiments of the Beta API share, blocking.

    Attributes:
        versions: the versions.
    """

    def __init__(self, resource: BetaResourceT_co, portal: BlockingPortal) -> None:
        super().__init__(resource, portal)
        self.versions: Versions[FlagConfigT_co] = Versions(resource.versions, portal)

    list = as_sync_pager(AsyncBetaFlagConfigs[FlagConfigT_co].list)
    get = as_sync(AsyncBetaFlagConfigs[FlagConfigT_co].get)


class BetaFlags(BetaFlagConfigs[AsyncBetaFlags, Flag]):
    """`flags` of the Beta API, blocking."""


class BetaExperiments(BetaFlagConfigs[AsyncBetaExperiments, Experiment]):
    """`experiments` of the Beta API, blocking."""

    create = as_sync(AsyncBetaExperiments.create)
    activate = as_sync(AsyncBetaExperiments.activate)
    deactivate = as_sync(AsyncBetaExperiments.deactivate)
    set_rollout_weights = as_sync(AsyncBetaExperiments.set_rollout_weights)


class BetaDeployments(SyncResource[AsyncBetaDeployments]):
    """`deployments` of the Beta API, blocking."""

    list = as_sync_pager(AsyncBetaDeployments.list)
