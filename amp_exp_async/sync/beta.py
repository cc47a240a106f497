"""The blocking sections of the Beta API: names only."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from amp_exp_async.models import Experiment, Flag, FlagConfig
from amp_exp_async.resources import AsyncBetaDeployments, AsyncBetaExperiments, AsyncBetaFlagConfigs, AsyncBetaFlags

from .base import SyncResource, as_sync, as_sync_pager
from .portal import BlockingPortal
from .resources import Versions

ResourceT_co = TypeVar("ResourceT_co", bound=AsyncBetaFlagConfigs[Any], covariant=True)
FlagConfigT_co = TypeVar("FlagConfigT_co", bound=FlagConfig, covariant=True)


class BetaFlagConfigs(SyncResource[ResourceT_co], Generic[ResourceT_co, FlagConfigT_co]):
    """What flags and experiments of the Beta API have in common, blocking.

    Attributes:
        versions: its versions.
    """

    def __init__(self, resource: ResourceT_co, portal: BlockingPortal) -> None:
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
