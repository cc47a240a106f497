"""The blocking sections of the API: names only."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from amp_exp_async.bulk import AsyncCohorts, AsyncExperiments, AsyncFlags, AsyncToggles, AsyncUsers
from amp_exp_async.models import Experiment, Flag, Toggle
from amp_exp_async.resources import (
    AsyncAllVersions,
    AsyncAssignedDeployments,
    AsyncDeployments,
    AsyncHoldouts,
    AsyncMutexes,
    AsyncVariants,
    AsyncVersions,
)

from .bridge import Bridge
from .bulk import running
from .facade import Facade, blocking, iterating

ResourceT_co = TypeVar("ResourceT_co", bound=AsyncToggles[Any], covariant=True)
ToggleT_co = TypeVar("ToggleT_co", bound=Toggle, covariant=True)


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


class AssignedDeployments(Facade[AsyncAssignedDeployments]):
    """`client.flags.deployments` and `client.experiments.deployments`, blocking."""

    list = blocking(AsyncAssignedDeployments.list)
    add = blocking(AsyncAssignedDeployments.add)
    remove = blocking(AsyncAssignedDeployments.remove)


class Versions(Facade[AsyncVersions[ToggleT_co]], Generic[ToggleT_co]):
    """`client.flags.versions` and `client.experiments.versions`, blocking."""

    list = blocking(AsyncVersions[ToggleT_co].list)
    get = blocking(AsyncVersions[ToggleT_co].get)


class Toggles(Facade[ResourceT_co], Generic[ResourceT_co, ToggleT_co]):
    """What `client.flags` and `client.experiments` have in common, blocking.

    Attributes:
        variants: its variants.
        users: users and devices included in a variant by id.
        cohorts: cohorts included in a variant by id.
        deployments: the deployments that it is assigned to.
        versions: its versions.
    """

    def __init__(self, resource: ResourceT_co, bridge: Bridge) -> None:
        super().__init__(resource, bridge)
        self.variants = Variants(resource.variants, bridge)
        self.users = Users(resource.users, bridge)
        self.cohorts = Cohorts(resource.cohorts, bridge)
        self.deployments = AssignedDeployments(resource.deployments, bridge)
        self.versions: Versions[ToggleT_co] = Versions(resource.versions, bridge)

    list = iterating(AsyncToggles[ToggleT_co].list)
    get = blocking(AsyncToggles[ToggleT_co].get)
    find = blocking(AsyncToggles[ToggleT_co].find)
    archive = blocking(AsyncToggles[ToggleT_co].archive)
    restore = blocking(AsyncToggles[ToggleT_co].restore)


class Flags(Toggles[AsyncFlags, Flag]):
    """`client.flags`, blocking."""

    create = blocking(AsyncFlags.create)
    edit = blocking(AsyncFlags.edit)


class Experiments(Toggles[AsyncExperiments, Experiment]):
    """`client.experiments`, blocking."""

    create = blocking(AsyncExperiments.create)
    edit = blocking(AsyncExperiments.edit)


class Deployments(Facade[AsyncDeployments]):
    """`client.deployments`, blocking."""

    list = iterating(AsyncDeployments.list)
    create = blocking(AsyncDeployments.create)
    edit = blocking(AsyncDeployments.edit)
    archive = blocking(AsyncDeployments.archive)
    restore = blocking(AsyncDeployments.restore)


class AllVersions(Facade[AsyncAllVersions]):
    """`client.versions`, blocking."""

    list = iterating(AsyncAllVersions.list)


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
