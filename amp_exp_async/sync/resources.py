"""The blocking sections of the API: names only."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from amp_exp_async import validation
from amp_exp_async.bulk import AsyncCohorts, AsyncExperiments, AsyncFlagConfigs, AsyncFlags, AsyncUsers
from amp_exp_async.editing import AsyncSegments, AsyncTags, Guarded, copied
from amp_exp_async.models import Experiment, Flag, FlagConfig
from amp_exp_async.resources import (
    AsyncDeployments,
    AsyncFlagDeployments,
    AsyncHoldouts,
    AsyncMutexes,
    AsyncProjectVersions,
    AsyncVariants,
    AsyncVersions,
)

from .bridge import Bridge
from .bulk import running
from .facade import Facade, blocking, iterating, shown_as

ResourceT_co = TypeVar("ResourceT_co", bound=AsyncFlagConfigs[Any], covariant=True)
FlagConfigT_co = TypeVar("FlagConfigT_co", bound=FlagConfig, covariant=True)

_NOT_ASYNC = "must not be async here: the blocking client calls it in your own thread, where nothing awaits it"


class Variants(Facade[AsyncVariants]):
    """`client.flags.variants` and `client.experiments.variants`, blocking."""

    list = blocking(AsyncVariants.list)
    get = blocking(AsyncVariants.get)
    create = blocking(AsyncVariants.create)
    edit = blocking(AsyncVariants.edit)
    remove = blocking(AsyncVariants.remove)


class Users(Facade[AsyncUsers]):
    """`client.flags.users` and `client.experiments.users`, blocking."""

    list = blocking(AsyncUsers.list)
    add = blocking(AsyncUsers.add)
    remove = blocking(AsyncUsers.remove)
    remove_at = blocking(AsyncUsers.remove_at)
    remove_all = blocking(AsyncUsers.remove_all)
    add_many = running(AsyncUsers.add_many)
    remove_many = running(AsyncUsers.remove_many)
    replace = running(AsyncUsers.replace)


class Cohorts(Facade[AsyncCohorts]):
    """`client.flags.cohorts` and `client.experiments.cohorts`, blocking."""

    list = blocking(AsyncCohorts.list)
    add = blocking(AsyncCohorts.add)
    remove = blocking(AsyncCohorts.remove)
    add_many = running(AsyncCohorts.add_many)
    remove_many = running(AsyncCohorts.remove_many)
    replace = running(AsyncCohorts.replace)


class FlagDeployments(Facade[AsyncFlagDeployments]):
    """`client.flags.deployments` and `client.experiments.deployments`, blocking."""

    list = blocking(AsyncFlagDeployments.list)
    add = blocking(AsyncFlagDeployments.add)
    remove = blocking(AsyncFlagDeployments.remove)


class Versions(Facade[AsyncVersions[FlagConfigT_co]], Generic[FlagConfigT_co]):
    """`client.flags.versions` and `client.experiments.versions`, blocking."""

    list = blocking(AsyncVersions[FlagConfigT_co].list)
    get = blocking(AsyncVersions[FlagConfigT_co].get)


class Segments(Facade[AsyncSegments[FlagConfigT_co]], Generic[FlagConfigT_co]):
    """`client.flags.segments` and `client.experiments.segments`, blocking."""

    add = blocking(AsyncSegments[FlagConfigT_co].add)
    remove = blocking(AsyncSegments[FlagConfigT_co].remove)
    edit = blocking(AsyncSegments[FlagConfigT_co].edit)
    add_values = blocking(AsyncSegments[FlagConfigT_co].add_values)


class Tags(Facade[AsyncTags[FlagConfigT_co]], Generic[FlagConfigT_co]):
    """`client.flags.tags` and `client.experiments.tags`, blocking."""

    add = blocking(AsyncTags[FlagConfigT_co].add)
    remove = blocking(AsyncTags[FlagConfigT_co].remove)


class FlagConfigs(Facade[ResourceT_co], Generic[ResourceT_co, FlagConfigT_co]):
    """What `client.flags` and `client.experiments` have in common, blocking.

    Attributes:
        variants: its variants.
        users: users and devices included in a variant by id.
        cohorts: cohorts included in a variant by id.
        deployments: the deployments that it is assigned to.
        versions: its versions.
        segments: its target segments, one at a time.
        tags: its tags, one at a time.
    """

    def __init__(self, resource: ResourceT_co, bridge: Bridge) -> None:
        super().__init__(resource, bridge)
        self.variants = Variants(resource.variants, bridge)
        self.users = Users(resource.users, bridge)
        self.cohorts = Cohorts(resource.cohorts, bridge)
        self.deployments = FlagDeployments(resource.deployments, bridge)
        self.versions: Versions[FlagConfigT_co] = Versions(resource.versions, bridge)
        self.segments: Segments[FlagConfigT_co] = Segments(resource.segments, bridge)
        self.tags: Tags[FlagConfigT_co] = Tags(resource.tags, bridge)

    list = iterating(AsyncFlagConfigs[FlagConfigT_co].list)
    get = blocking(AsyncFlagConfigs[FlagConfigT_co].get)
    find = blocking(AsyncFlagConfigs[FlagConfigT_co].find)
    archive = blocking(AsyncFlagConfigs[FlagConfigT_co].archive)
    restore = blocking(AsyncFlagConfigs[FlagConfigT_co].restore)

    @shown_as(AsyncFlagConfigs[FlagConfigT_co].guarded_edit)
    def guarded_edit(self, id: str, change: Callable[[FlagConfigT_co], FlagConfigT_co]) -> FlagConfigT_co:
        """See `AsyncFlagConfigs.guarded_edit`; the change is made in the caller's own thread."""
        if inspect.iscoroutinefunction(change):
            validation.reject("change", _NOT_ASYNC)
        guarded: Guarded[FlagConfigT_co] = Guarded(self.resource.transport, self.resource.kind)
        before = self.bridge.call(lambda: guarded.read(id))
        edited = change(copied(before))
        if inspect.isawaitable(edited):
            if inspect.iscoroutine(edited):
                edited.close()
            validation.reject("change", _NOT_ASYNC)
        return self.bridge.call(lambda: guarded.write(id, before, edited))


class Flags(FlagConfigs[AsyncFlags, Flag]):
    """`client.flags`, blocking."""

    create = blocking(AsyncFlags.create)
    edit = blocking(AsyncFlags.edit)


class Experiments(FlagConfigs[AsyncExperiments, Experiment]):
    """`client.experiments`, blocking."""

    create = blocking(AsyncExperiments.create)
    edit = blocking(AsyncExperiments.edit)
    roll_out = blocking(AsyncExperiments.roll_out)
    roll_back = blocking(AsyncExperiments.roll_back)


class Deployments(Facade[AsyncDeployments]):
    """`client.deployments`, blocking."""

    list = iterating(AsyncDeployments.list)
    create = blocking(AsyncDeployments.create)
    edit = blocking(AsyncDeployments.edit)
    archive = blocking(AsyncDeployments.archive)
    restore = blocking(AsyncDeployments.restore)


class ProjectVersions(Facade[AsyncProjectVersions]):
    """`client.versions`, blocking."""

    list = iterating(AsyncProjectVersions.list)


class Mutexes(Facade[AsyncMutexes]):
    """`client.mutexes`, blocking."""

    list = iterating(AsyncMutexes.list)
    get = blocking(AsyncMutexes.get)
    create = blocking(AsyncMutexes.create)
    edit = blocking(AsyncMutexes.edit)
    edit_slot = blocking(AsyncMutexes.edit_slot)
    archive = blocking(AsyncMutexes.archive)
    restore = blocking(AsyncMutexes.restore)


class Holdouts(Facade[AsyncHoldouts]):
    """`client.holdouts`, blocking."""

    list = iterating(AsyncHoldouts.list)
    get = blocking(AsyncHoldouts.get)
    create = blocking(AsyncHoldouts.create)
    edit = blocking(AsyncHoldouts.edit)
    archive = blocking(AsyncHoldouts.archive)
    restore = blocking(AsyncHoldouts.restore)
